func.func @main(%x: tensor<1x9x9x2xf32>, %k: tensor<3x3x2x4xf32>, %dw: tensor<3x3x4xf32>, %m: tensor<6x4xi8>, %v: tensor<4xi8>, %p: tensor<3x5xf32>)
  -> (tensor<1x7x7x4xf32>, tensor<1x3x3x4xf32>, tensor<6xi32>, tensor<5x7xf32>, tensor<3x5xf32>, tensor<3xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %izero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<1x7x7x4xf32>
  %f = linalg.fill ins(%one : f32) outs(%e : tensor<1x7x7x4xf32>) -> tensor<1x7x7x4xf32>
  %c = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>} ins(%x, %k : tensor<1x9x9x2xf32>, tensor<3x3x2x4xf32>) outs(%f : tensor<1x7x7x4xf32>) -> tensor<1x7x7x4xf32>
  %e2 = tensor.empty() : tensor<1x3x3x4xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<1x3x3x4xf32>) -> tensor<1x3x3x4xf32>
  %d = linalg.depthwise_conv_2d_nhwc_hwc {dilations = dense<1> : tensor<2xi64>, strides = dense<2> : tensor<2xi64>} ins(%c, %dw : tensor<1x7x7x4xf32>, tensor<3x3x4xf32>) outs(%f2 : tensor<1x3x3x4xf32>) -> tensor<1x3x3x4xf32>
  %e3 = tensor.empty() : tensor<6xi32>
  %f3 = linalg.fill ins(%izero : i32) outs(%e3 : tensor<6xi32>) -> tensor<6xi32>
  %mv = linalg.matvec ins(%m, %v : tensor<6x4xi8>, tensor<4xi8>) outs(%f3 : tensor<6xi32>) -> tensor<6xi32>
  %e4 = tensor.empty() : tensor<5x3xf32>
  %t = linalg.transpose ins(%p : tensor<3x5xf32>) outs(%e4 : tensor<5x3xf32>) permutation = [1, 0]
  %pad = tensor.pad %t low[0, 1] high[0, 3] {
  ^bb0(%i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<5x3xf32> to tensor<5x7xf32>
  %e5 = tensor.empty() : tensor<3x5xf32>
  %sm = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, 4 - d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<3x5xf32>) outs(%e5 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<3x5xf32>
  %e6 = tensor.empty() : tensor<3xf32>
  %f6 = linalg.fill ins(%one : f32) outs(%e6 : tensor<3xf32>) -> tensor<3xf32>
  %r = linalg.reduce ins(%p : tensor<3x5xf32>) outs(%f6 : tensor<3xf32>) dimensions = [1] (%a: f32, %b: f32) {
    %mx = arith.maximumf %a, %b : f32
    linalg.yield %mx : f32
  }
  return %c, %d, %mv, %pad, %sm, %r : tensor<1x7x7x4xf32>, tensor<1x3x3x4xf32>, tensor<6xi32>, tensor<5x7xf32>, tensor<3x5xf32>, tensor<3xf32>
}
