#map = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map1 = affine_map<(d0, d1, d2, d3) -> (d0, d1)>
#map2 = affine_map<(d0, d1) -> (d0, d1)>
module {
  func.func @main(%arg0: tensor<2x3x12x12xf32>, %arg1: tensor<8x3x3x3xf32>, %arg2: tensor<8xf32>, %arg3: tensor<8x1x3x3xf32>, %arg4: tensor<5x8xf32>) -> tensor<2x5xf32> {
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant 0xFF800000 : f32
    %cst_1 = arith.constant 3.600000e+01 : f32
    %padded = tensor.pad %arg0 low[0, 0, 1, 1] high[0, 0, 1, 1] {
    ^bb0(%arg5: index, %arg6: index, %arg7: index, %arg8: index):
      tensor.yield %cst : f32
    } : tensor<2x3x12x12xf32> to tensor<2x3x14x14xf32>
    %0 = tensor.empty() : tensor<2x8x6x6xf32>
    %broadcasted = linalg.broadcast ins(%arg2 : tensor<8xf32>) outs(%0 : tensor<2x8x6x6xf32>) dimensions = [0, 2, 3] 
    %1 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>} ins(%padded, %arg1 : tensor<2x3x14x14xf32>, tensor<8x3x3x3xf32>) outs(%broadcasted : tensor<2x8x6x6xf32>) -> tensor<2x8x6x6xf32>
    %2 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%1 : tensor<2x8x6x6xf32>) outs(%0 : tensor<2x8x6x6xf32>) {
    ^bb0(%in: f32, %out: f32):
      %16 = arith.cmpf ugt, %in, %cst : f32
      %17 = arith.select %16, %in, %cst : f32
      linalg.yield %17 : f32
    } -> tensor<2x8x6x6xf32>
    %padded_2 = tensor.pad %2 low[0, 0, 1, 1] high[0, 0, 1, 1] {
    ^bb0(%arg5: index, %arg6: index, %arg7: index, %arg8: index):
      tensor.yield %cst_0 : f32
    } : tensor<2x8x6x6xf32> to tensor<2x8x8x8xf32>
    %3 = linalg.fill ins(%cst_0 : f32) outs(%0 : tensor<2x8x6x6xf32>) -> tensor<2x8x6x6xf32>
    %4 = tensor.empty() : tensor<3x3xf32>
    %5 = linalg.pooling_nchw_max {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%padded_2, %4 : tensor<2x8x8x8xf32>, tensor<3x3xf32>) outs(%3 : tensor<2x8x6x6xf32>) -> tensor<2x8x6x6xf32>
    %padded_3 = tensor.pad %5 low[0, 0, 1, 1] high[0, 0, 1, 1] {
    ^bb0(%arg5: index, %arg6: index, %arg7: index, %arg8: index):
      tensor.yield %cst : f32
    } : tensor<2x8x6x6xf32> to tensor<2x8x8x8xf32>
    %6 = linalg.fill ins(%cst : f32) outs(%0 : tensor<2x8x6x6xf32>) -> tensor<2x8x6x6xf32>
    %collapsed = tensor.collapse_shape %arg3 [[0, 1], [2], [3]] : tensor<8x1x3x3xf32> into tensor<8x3x3xf32>
    %7 = linalg.depthwise_conv_2d_nchw_chw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%padded_3, %collapsed : tensor<2x8x8x8xf32>, tensor<8x3x3xf32>) outs(%6 : tensor<2x8x6x6xf32>) -> tensor<2x8x6x6xf32>
    %8 = tensor.empty() : tensor<2x8xf32>
    %9 = linalg.fill ins(%cst : f32) outs(%8 : tensor<2x8xf32>) -> tensor<2x8xf32>
    %10 = linalg.generic {indexing_maps = [#map, #map1], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%7 : tensor<2x8x6x6xf32>) outs(%9 : tensor<2x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %16 = arith.addf %in, %out : f32
      linalg.yield %16 : f32
    } -> tensor<2x8xf32>
    %11 = linalg.generic {indexing_maps = [#map2, #map2], iterator_types = ["parallel", "parallel"]} ins(%10 : tensor<2x8xf32>) outs(%8 : tensor<2x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %16 = arith.divf %in, %cst_1 : f32
      linalg.yield %16 : f32
    } -> tensor<2x8xf32>
    %12 = tensor.empty() : tensor<8x5xf32>
    %transposed = linalg.transpose ins(%arg4 : tensor<5x8xf32>) outs(%12 : tensor<8x5xf32>) permutation = [1, 0] 
    %13 = tensor.empty() : tensor<2x5xf32>
    %14 = linalg.fill ins(%cst : f32) outs(%13 : tensor<2x5xf32>) -> tensor<2x5xf32>
    %15 = linalg.matmul ins(%11, %transposed : tensor<2x8xf32>, tensor<8x5xf32>) outs(%14 : tensor<2x5xf32>) -> tensor<2x5xf32>
    return %15 : tensor<2x5xf32>
  }
}
