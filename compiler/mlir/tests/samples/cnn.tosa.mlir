module {
  func.func @main(%arg0: tensor<2x3x12x12xf32>, %arg1: tensor<8x3x3x3xf32>, %arg2: tensor<8xf32>, %arg3: tensor<8x1x3x3xf32>, %arg4: tensor<5x8xf32>) -> tensor<2x5xf32> {
    %0 = "tosa.const"() <{values = dense<0.000000e+00> : tensor<1xf32>}> : () -> tensor<1xf32>
    %1 = "tosa.const"() <{values = dense<0.000000e+00> : tensor<8xf32>}> : () -> tensor<8xf32>
    %2 = tosa.const_shape  {values = dense<[2, 8]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %3 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
    %4 = tosa.const_shape  {values = dense<[1, 2, 8]> : tensor<3xindex>} : () -> !tosa.shape<3>
    %5 = tosa.const_shape  {values = dense<[1, 8, 5]> : tensor<3xindex>} : () -> !tosa.shape<3>
    %6 = tosa.const_shape  {values = dense<[2, 5]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %7 = "tosa.const"() <{values = dense<0.027777778> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
    %8 = tosa.transpose %arg0 {perms = array<i32: 0, 2, 3, 1>} : (tensor<2x3x12x12xf32>) -> tensor<2x12x12x3xf32>
    %9 = tosa.transpose %arg1 {perms = array<i32: 0, 2, 3, 1>} : (tensor<8x3x3x3xf32>) -> tensor<8x3x3x3xf32>
    %10 = tosa.conv2d %8, %9, %arg2, %0, %0 {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 0, 1, 0>, stride = array<i64: 2, 2>} : (tensor<2x12x12x3xf32>, tensor<8x3x3x3xf32>, tensor<8xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<2x6x6x8xf32>
    %11 = tosa.clamp %10 {max_val = 3.40282347E+38 : f32, min_val = 0.000000e+00 : f32} : (tensor<2x6x6x8xf32>) -> tensor<2x6x6x8xf32>
    %12 = tosa.max_pool2d %11 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<2x6x6x8xf32>) -> tensor<2x6x6x8xf32>
    %13 = tosa.transpose %arg3 {perms = array<i32: 2, 3, 0, 1>} : (tensor<8x1x3x3xf32>) -> tensor<3x3x8x1xf32>
    %14 = tosa.depthwise_conv2d %12, %13, %1, %0, %0 {acc_type = f32, dilation = array<i64: 1, 1>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<2x6x6x8xf32>, tensor<3x3x8x1xf32>, tensor<8xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<2x6x6x8xf32>
    %15 = tosa.transpose %14 {perms = array<i32: 0, 3, 1, 2>} : (tensor<2x6x6x8xf32>) -> tensor<2x8x6x6xf32>
    %16 = tosa.reduce_sum %15 {axis = 3 : i32} : (tensor<2x8x6x6xf32>) -> tensor<2x8x6x1xf32>
    %17 = tosa.reduce_sum %16 {axis = 2 : i32} : (tensor<2x8x6x1xf32>) -> tensor<2x8x1x1xf32>
    %18 = tosa.reshape %17, %2 : (tensor<2x8x1x1xf32>, !tosa.shape<2>) -> tensor<2x8xf32>
    %19 = tosa.mul %18, %7, %3 : (tensor<2x8xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<2x8xf32>
    %20 = tosa.transpose %arg4 {perms = array<i32: 1, 0>} : (tensor<5x8xf32>) -> tensor<8x5xf32>
    %21 = tosa.reshape %19, %4 : (tensor<2x8xf32>, !tosa.shape<3>) -> tensor<1x2x8xf32>
    %22 = tosa.reshape %20, %5 : (tensor<8x5xf32>, !tosa.shape<3>) -> tensor<1x8x5xf32>
    %23 = tosa.matmul %21, %22, %0, %0 : (tensor<1x2x8xf32>, tensor<1x8x5xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x2x5xf32>
    %24 = tosa.reshape %23, %6 : (tensor<1x2x5xf32>, !tosa.shape<2>) -> tensor<2x5xf32>
    return %24 : tensor<2x5xf32>
  }
}
