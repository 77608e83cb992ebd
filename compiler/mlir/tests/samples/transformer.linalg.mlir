#map = affine_map<(d0, d1, d2) -> (d0, d1)>
#map1 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1, 0)>
#map3 = affine_map<(d0, d1, d2) -> (d2)>
#map4 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map5 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map6 = affine_map<(d0) -> (d0)>
#map7 = affine_map<(d0, d1) -> (d1)>
#map8 = affine_map<(d0, d1) -> (d0, 0)>
#map9 = affine_map<(d0, d1) -> (d0, d1)>
#map10 = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
#map11 = affine_map<(d0, d1, d2, d3) -> ()>
#map12 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map13 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>
module {
  func.func @main(%arg0: tensor<2x6xi64>, %arg1: tensor<11x16xf32>, %arg2: tensor<16xf32>, %arg3: tensor<16xf32>, %arg4: tensor<16x16xf32>, %arg5: tensor<16x16xf32>, %arg6: tensor<16x16xf32>) -> tensor<2x6x16xf32> {
    %c0_i64 = arith.constant 0 : i64
    %c11 = arith.constant 11 : index
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant 0xFF800000 : f32
    %cst_1 = arith.constant dense<0xFF800000> : tensor<f32>
    %cst_2 = arith.constant 1.000000e-05 : f64
    %cst_3 = arith.constant 1.600000e+01 : f32
    %cst_4 = arith.constant 5.000000e-01 : f32
    %0 = tensor.empty() : tensor<2x6x16xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg0 : tensor<2x6xi64>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %54 = arith.index_cast %in : i64 to index
      %55 = linalg.index 2 : index
      %56 = arith.cmpi slt, %54, %c11 : index
      cf.assert %56, "index must be smaller than dim size"
      %57 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %57, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg1[%54, %55] : tensor<11x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<2x6x16xf32>
    %2 = tensor.empty() : tensor<2x6x1xf32>
    %3 = linalg.fill ins(%cst : f32) outs(%2 : tensor<2x6x1xf32>) -> tensor<2x6x1xf32>
    %4 = linalg.generic {indexing_maps = [#map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%1 : tensor<2x6x16xf32>) outs(%3 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.addf %in, %out : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x1xf32>
    %5 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4 : tensor<2x6x1xf32>) outs(%2 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.divf %in, %cst_3 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x1xf32>
    %collapsed = tensor.collapse_shape %5 [[0], [1, 2]] : tensor<2x6x1xf32> into tensor<2x6xf32>
    %6 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%collapsed : tensor<2x6xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x6x16xf32>
    %7 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%1, %6 : tensor<2x6x16xf32>, tensor<2x6x16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.subf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    %8 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %7 : tensor<2x6x16xf32>, tensor<2x6x16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.mulf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    %9 = linalg.generic {indexing_maps = [#map1, #map2], iterator_types = ["parallel", "parallel", "reduction"]} ins(%8 : tensor<2x6x16xf32>) outs(%3 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.addf %in, %out : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x1xf32>
    %10 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%9 : tensor<2x6x1xf32>) outs(%2 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.divf %in, %cst_3 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x1xf32>
    %11 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%10 : tensor<2x6x1xf32>) outs(%2 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.truncf %cst_2 : f64 to f32
      %55 = arith.addf %in, %54 : f32
      linalg.yield %55 : f32
    } -> tensor<2x6x1xf32>
    %12 = linalg.generic {indexing_maps = [#map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%11 : tensor<2x6x1xf32>) outs(%2 : tensor<2x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = math.rsqrt %in : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x1xf32>
    %collapsed_5 = tensor.collapse_shape %12 [[0], [1, 2]] : tensor<2x6x1xf32> into tensor<2x6xf32>
    %13 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%collapsed_5 : tensor<2x6xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x6x16xf32>
    %14 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %13 : tensor<2x6x16xf32>, tensor<2x6x16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.mulf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    %15 = linalg.generic {indexing_maps = [#map1, #map3, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%14, %arg2 : tensor<2x6x16xf32>, tensor<16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.mulf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    %16 = linalg.generic {indexing_maps = [#map1, #map3, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%15, %arg3 : tensor<2x6x16xf32>, tensor<16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.addf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    %17 = tensor.empty() : tensor<16x16xf32>
    %transposed = linalg.transpose ins(%arg4 : tensor<16x16xf32>) outs(%17 : tensor<16x16xf32>) permutation = [1, 0] 
    %18 = tensor.empty() : tensor<2x16x16xf32>
    %19 = linalg.generic {indexing_maps = [#map4, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<16x16xf32>) outs(%18 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %20 = linalg.fill ins(%cst : f32) outs(%0 : tensor<2x6x16xf32>) -> tensor<2x6x16xf32>
    %21 = linalg.batch_matmul ins(%16, %19 : tensor<2x6x16xf32>, tensor<2x16x16xf32>) outs(%20 : tensor<2x6x16xf32>) -> tensor<2x6x16xf32>
    %expanded = tensor.expand_shape %21 [[0], [1], [2, 3]] output_shape [2, 6, 4, 4] : tensor<2x6x16xf32> into tensor<2x6x4x4xf32>
    %22 = tensor.empty() : tensor<2x4x6x4xf32>
    %transposed_6 = linalg.transpose ins(%expanded : tensor<2x6x4x4xf32>) outs(%22 : tensor<2x4x6x4xf32>) permutation = [0, 2, 1, 3] 
    %transposed_7 = linalg.transpose ins(%arg5 : tensor<16x16xf32>) outs(%17 : tensor<16x16xf32>) permutation = [1, 0] 
    %23 = linalg.generic {indexing_maps = [#map4, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_7 : tensor<16x16xf32>) outs(%18 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %24 = linalg.batch_matmul ins(%16, %23 : tensor<2x6x16xf32>, tensor<2x16x16xf32>) outs(%20 : tensor<2x6x16xf32>) -> tensor<2x6x16xf32>
    %expanded_8 = tensor.expand_shape %24 [[0], [1], [2, 3]] output_shape [2, 6, 4, 4] : tensor<2x6x16xf32> into tensor<2x6x4x4xf32>
    %transposed_9 = linalg.transpose ins(%arg6 : tensor<16x16xf32>) outs(%17 : tensor<16x16xf32>) permutation = [1, 0] 
    %25 = linalg.generic {indexing_maps = [#map4, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_9 : tensor<16x16xf32>) outs(%18 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %26 = linalg.batch_matmul ins(%16, %25 : tensor<2x6x16xf32>, tensor<2x16x16xf32>) outs(%20 : tensor<2x6x16xf32>) -> tensor<2x6x16xf32>
    %expanded_10 = tensor.expand_shape %26 [[0], [1], [2, 3]] output_shape [2, 6, 4, 4] : tensor<2x6x16xf32> into tensor<2x6x4x4xf32>
    %transposed_11 = linalg.transpose ins(%expanded_10 : tensor<2x6x4x4xf32>) outs(%22 : tensor<2x4x6x4xf32>) permutation = [0, 2, 1, 3] 
    %27 = tensor.empty() : tensor<2x4x4x6xf32>
    %transposed_12 = linalg.transpose ins(%expanded_8 : tensor<2x6x4x4xf32>) outs(%27 : tensor<2x4x4x6xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_13 = tensor.collapse_shape %transposed_6 [[0, 1], [2], [3]] : tensor<2x4x6x4xf32> into tensor<8x6x4xf32>
    %collapsed_14 = tensor.collapse_shape %transposed_12 [[0, 1], [2], [3]] : tensor<2x4x4x6xf32> into tensor<8x4x6xf32>
    %28 = tensor.empty() : tensor<8x6x6xf32>
    %29 = linalg.fill ins(%cst : f32) outs(%28 : tensor<8x6x6xf32>) -> tensor<8x6x6xf32>
    %30 = linalg.batch_matmul ins(%collapsed_13, %collapsed_14 : tensor<8x6x4xf32>, tensor<8x4x6xf32>) outs(%29 : tensor<8x6x6xf32>) -> tensor<8x6x6xf32>
    %expanded_15 = tensor.expand_shape %30 [[0, 1], [2], [3]] output_shape [2, 4, 6, 6] : tensor<8x6x6xf32> into tensor<2x4x6x6xf32>
    %31 = tensor.empty() : tensor<2x4x6x6xf32>
    %32 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_15 : tensor<2x4x6x6xf32>) outs(%31 : tensor<2x4x6x6xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.mulf %in, %cst_4 : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x6xf32>
    %33 = tensor.empty() : tensor<6xi64>
    %34 = linalg.generic {indexing_maps = [#map6], iterator_types = ["parallel"]} outs(%33 : tensor<6xi64>) {
    ^bb0(%out: i64):
      %54 = linalg.index 0 : index
      %55 = arith.index_cast %54 : index to i64
      linalg.yield %55 : i64
    } -> tensor<6xi64>
    %expanded_16 = tensor.expand_shape %34 [[0, 1]] output_shape [6, 1] : tensor<6xi64> into tensor<6x1xi64>
    %35 = tensor.empty() : tensor<6x6xi1>
    %36 = linalg.generic {indexing_maps = [#map7, #map8, #map9], iterator_types = ["parallel", "parallel"]} ins(%34, %expanded_16 : tensor<6xi64>, tensor<6x1xi64>) outs(%35 : tensor<6x6xi1>) {
    ^bb0(%in: i64, %in_23: i64, %out: i1):
      %54 = arith.cmpi sgt, %in, %in_23 : i64
      linalg.yield %54 : i1
    } -> tensor<6x6xi1>
    %37 = linalg.generic {indexing_maps = [#map10, #map11, #map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%36, %cst_1, %32 : tensor<6x6xi1>, tensor<f32>, tensor<2x4x6x6xf32>) outs(%31 : tensor<2x4x6x6xf32>) {
    ^bb0(%in: i1, %in_23: f32, %in_24: f32, %out: f32):
      %54 = arith.select %in, %in_23, %in_24 : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x6xf32>
    %38 = tensor.empty() : tensor<2x4x6xi64>
    %39 = linalg.fill ins(%c0_i64 : i64) outs(%38 : tensor<2x4x6xi64>) -> tensor<2x4x6xi64>
    %40 = tensor.empty() : tensor<2x4x6xf32>
    %41 = linalg.fill ins(%cst_0 : f32) outs(%40 : tensor<2x4x6xf32>) -> tensor<2x4x6xf32>
    %42:2 = linalg.generic {indexing_maps = [#map5, #map12, #map12], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%37 : tensor<2x4x6x6xf32>) outs(%41, %39 : tensor<2x4x6xf32>, tensor<2x4x6xi64>) {
    ^bb0(%in: f32, %out: f32, %out_23: i64):
      %54 = linalg.index 3 : index
      %55 = arith.index_cast %54 : index to i64
      %56 = arith.maximumf %in, %out : f32
      %57 = arith.cmpf ogt, %in, %out : f32
      %58 = arith.select %57, %55, %out_23 : i64
      linalg.yield %56, %58 : f32, i64
    } -> (tensor<2x4x6xf32>, tensor<2x4x6xi64>)
    %expanded_17 = tensor.expand_shape %42#0 [[0], [1], [2, 3]] output_shape [2, 4, 6, 1] : tensor<2x4x6xf32> into tensor<2x4x6x1xf32>
    %43 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%37, %expanded_17 : tensor<2x4x6x6xf32>, tensor<2x4x6x1xf32>) outs(%31 : tensor<2x4x6x6xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.subf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x6xf32>
    %44 = linalg.generic {indexing_maps = [#map5, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%43 : tensor<2x4x6x6xf32>) outs(%31 : tensor<2x4x6x6xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = math.exp %in : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x6xf32>
    %45 = tensor.empty() : tensor<2x4x6x1xf32>
    %46 = linalg.fill ins(%cst : f32) outs(%45 : tensor<2x4x6x1xf32>) -> tensor<2x4x6x1xf32>
    %47 = linalg.generic {indexing_maps = [#map5, #map13], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%44 : tensor<2x4x6x6xf32>) outs(%46 : tensor<2x4x6x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %54 = arith.addf %in, %out : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x1xf32>
    %48 = linalg.generic {indexing_maps = [#map5, #map13, #map5], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%44, %47 : tensor<2x4x6x6xf32>, tensor<2x4x6x1xf32>) outs(%31 : tensor<2x4x6x6xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.divf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x4x6x6xf32>
    %collapsed_18 = tensor.collapse_shape %48 [[0, 1], [2], [3]] : tensor<2x4x6x6xf32> into tensor<8x6x6xf32>
    %collapsed_19 = tensor.collapse_shape %transposed_11 [[0, 1], [2], [3]] : tensor<2x4x6x4xf32> into tensor<8x6x4xf32>
    %49 = tensor.empty() : tensor<8x6x4xf32>
    %50 = linalg.fill ins(%cst : f32) outs(%49 : tensor<8x6x4xf32>) -> tensor<8x6x4xf32>
    %51 = linalg.batch_matmul ins(%collapsed_18, %collapsed_19 : tensor<8x6x6xf32>, tensor<8x6x4xf32>) outs(%50 : tensor<8x6x4xf32>) -> tensor<8x6x4xf32>
    %expanded_20 = tensor.expand_shape %51 [[0, 1], [2], [3]] output_shape [2, 4, 6, 4] : tensor<8x6x4xf32> into tensor<2x4x6x4xf32>
    %52 = tensor.empty() : tensor<2x6x4x4xf32>
    %transposed_21 = linalg.transpose ins(%expanded_20 : tensor<2x4x6x4xf32>) outs(%52 : tensor<2x6x4x4xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_22 = tensor.collapse_shape %transposed_21 [[0], [1], [2, 3]] : tensor<2x6x4x4xf32> into tensor<2x6x16xf32>
    %53 = linalg.generic {indexing_maps = [#map1, #map1, #map1], iterator_types = ["parallel", "parallel", "parallel"]} ins(%collapsed_22, %16 : tensor<2x6x16xf32>, tensor<2x6x16xf32>) outs(%0 : tensor<2x6x16xf32>) {
    ^bb0(%in: f32, %in_23: f32, %out: f32):
      %54 = arith.addf %in, %in_23 : f32
      linalg.yield %54 : f32
    } -> tensor<2x6x16xf32>
    return %53 : tensor<2x6x16xf32>
  }
}
