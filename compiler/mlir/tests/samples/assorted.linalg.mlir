#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d0)>
module {
  func.func @main(%arg0: tensor<3x8xf32>, %arg1: tensor<3x8xf32>) -> (tensor<3x12xf32>, tensor<3xi64>) {
    %c0_i64 = arith.constant 0 : i64
    %cst = arith.constant 0xFF800000 : f32
    %cst_0 = arith.constant -5.000000e-01 : f32
    %cst_1 = arith.constant 7.500000e-01 : f32
    %cst_2 = arith.constant 0.000000e+00 : f32
    %concat = tensor.concat dim(1) %arg0, %arg1 : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x16xf32>
    %extracted_slice = tensor.extract_slice %concat[0, 2] [3, 12] [1, 1] : tensor<3x16xf32> to tensor<3x12xf32>
    %0 = tensor.empty() : tensor<3x12xf32>
    %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%extracted_slice : tensor<3x12xf32>) outs(%0 : tensor<3x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %12 = arith.cmpf ult, %in, %cst_0 : f32
      %13 = arith.select %12, %cst_0, %in : f32
      %14 = arith.cmpf ugt, %13, %cst_1 : f32
      %15 = arith.select %14, %cst_1, %13 : f32
      linalg.yield %15 : f32
    } -> tensor<3x12xf32>
    %2 = tensor.empty() : tensor<3x12xi1>
    %3 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<3x12xf32>) outs(%2 : tensor<3x12xi1>) {
    ^bb0(%in: f32, %out: i1):
      %12 = arith.cmpf ogt, %in, %cst_2 : f32
      linalg.yield %12 : i1
    } -> tensor<3x12xi1>
    %4 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<3x12xf32>) outs(%0 : tensor<3x12xf32>) {
    ^bb0(%in: f32, %out: f32):
      %12 = math.tanh %in : f32
      linalg.yield %12 : f32
    } -> tensor<3x12xf32>
    %5 = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel", "parallel"]} ins(%1, %1 : tensor<3x12xf32>, tensor<3x12xf32>) outs(%0 : tensor<3x12xf32>) {
    ^bb0(%in: f32, %in_3: f32, %out: f32):
      %12 = arith.mulf %in, %in_3 : f32
      linalg.yield %12 : f32
    } -> tensor<3x12xf32>
    %6 = linalg.generic {indexing_maps = [#map, #map, #map, #map], iterator_types = ["parallel", "parallel"]} ins(%3, %4, %5 : tensor<3x12xi1>, tensor<3x12xf32>, tensor<3x12xf32>) outs(%0 : tensor<3x12xf32>) {
    ^bb0(%in: i1, %in_3: f32, %in_4: f32, %out: f32):
      %12 = arith.select %in, %in_3, %in_4 : f32
      linalg.yield %12 : f32
    } -> tensor<3x12xf32>
    %7 = tensor.empty() : tensor<3xi64>
    %8 = linalg.fill ins(%c0_i64 : i64) outs(%7 : tensor<3xi64>) -> tensor<3xi64>
    %9 = tensor.empty() : tensor<3xf32>
    %10 = linalg.fill ins(%cst : f32) outs(%9 : tensor<3xf32>) -> tensor<3xf32>
    %11:2 = linalg.generic {indexing_maps = [#map, #map1, #map1], iterator_types = ["parallel", "reduction"]} ins(%6 : tensor<3x12xf32>) outs(%10, %8 : tensor<3xf32>, tensor<3xi64>) {
    ^bb0(%in: f32, %out: f32, %out_3: i64):
      %12 = linalg.index 1 : index
      %13 = arith.index_cast %12 : index to i64
      %14 = arith.maximumf %in, %out : f32
      %15 = arith.cmpf ogt, %in, %out : f32
      %16 = arith.select %15, %13, %out_3 : i64
      linalg.yield %14, %16 : f32, i64
    } -> (tensor<3xf32>, tensor<3xi64>)
    return %6, %11#1 : tensor<3x12xf32>, tensor<3xi64>
  }
}
