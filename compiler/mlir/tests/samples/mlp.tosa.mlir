module {
  func.func @main(%arg0: tensor<4x16xf32>, %arg1: tensor<32x16xf32>, %arg2: tensor<32xf32>) -> tensor<4x32xf32> {
    %0 = "tosa.const"() <{values = dense<0.000000e+00> : tensor<1xf32>}> : () -> tensor<1xf32>
    %1 = tosa.const_shape  {values = dense<[1, 4, 16]> : tensor<3xindex>} : () -> !tosa.shape<3>
    %2 = tosa.const_shape  {values = dense<[1, 16, 32]> : tensor<3xindex>} : () -> !tosa.shape<3>
    %3 = tosa.const_shape  {values = dense<[4, 32]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %4 = tosa.const_shape  {values = dense<[1, 32]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %5 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
    %6 = "tosa.const"() <{values = dense<1.000000e+00> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
    %7 = "tosa.const"() <{values = dense<5.000000e-01> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
    %8 = "tosa.const"() <{values = dense<0.707106769> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
    %9 = tosa.transpose %arg1 {perms = array<i32: 1, 0>} : (tensor<32x16xf32>) -> tensor<16x32xf32>
    %10 = tosa.reshape %arg0, %1 : (tensor<4x16xf32>, !tosa.shape<3>) -> tensor<1x4x16xf32>
    %11 = tosa.reshape %9, %2 : (tensor<16x32xf32>, !tosa.shape<3>) -> tensor<1x16x32xf32>
    %12 = tosa.matmul %10, %11, %0, %0 : (tensor<1x4x16xf32>, tensor<1x16x32xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x4x32xf32>
    %13 = tosa.reshape %12, %3 : (tensor<1x4x32xf32>, !tosa.shape<2>) -> tensor<4x32xf32>
    %14 = tosa.reshape %arg2, %4 : (tensor<32xf32>, !tosa.shape<2>) -> tensor<1x32xf32>
    %15 = tosa.add %13, %14 : (tensor<4x32xf32>, tensor<1x32xf32>) -> tensor<4x32xf32>
    %16 = tosa.mul %15, %8, %5 : (tensor<4x32xf32>, tensor<1x1xf32>, tensor<1xi8>) -> tensor<4x32xf32>
    %17 = tosa.erf %16 : (tensor<4x32xf32>) -> tensor<4x32xf32>
    %18 = tosa.add %17, %6 : (tensor<4x32xf32>, tensor<1x1xf32>) -> tensor<4x32xf32>
    %19 = tosa.mul %7, %18, %5 : (tensor<1x1xf32>, tensor<4x32xf32>, tensor<1xi8>) -> tensor<4x32xf32>
    %20 = tosa.mul %15, %19, %5 : (tensor<4x32xf32>, tensor<4x32xf32>, tensor<1xi8>) -> tensor<4x32xf32>
    %21 = tosa.reduce_max %20 {axis = 1 : i32} : (tensor<4x32xf32>) -> tensor<4x1xf32>
    %22 = tosa.sub %20, %21 : (tensor<4x32xf32>, tensor<4x1xf32>) -> tensor<4x32xf32>
    %23 = tosa.exp %22 : (tensor<4x32xf32>) -> tensor<4x32xf32>
    %24 = tosa.reduce_sum %23 {axis = 1 : i32} : (tensor<4x32xf32>) -> tensor<4x1xf32>
    %25 = tosa.reciprocal %24 : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %26 = tosa.mul %23, %25, %5 : (tensor<4x32xf32>, tensor<4x1xf32>, tensor<1xi8>) -> tensor<4x32xf32>
    return %26 : tensor<4x32xf32>
  }
}
