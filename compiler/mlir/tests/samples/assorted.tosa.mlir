module {
  func.func @main(%arg0: tensor<3x8xf32>, %arg1: tensor<3x8xf32>) -> (tensor<3x12xf32>, tensor<3xi64>) {
    %0 = tosa.const_shape  {values = dense<[3, 12]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %1 = tosa.const_shape  {values = dense<[0, 2]> : tensor<2xindex>} : () -> !tosa.shape<2>
    %2 = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
    %3 = "tosa.const"() <{values = dense<0.000000e+00> : tensor<1x1xf32>}> : () -> tensor<1x1xf32>
    %4 = tosa.concat %arg0, %arg1 {axis = 1 : i32} : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x16xf32>
    %5 = tosa.slice %4, %1, %0 : (tensor<3x16xf32>, !tosa.shape<2>, !tosa.shape<2>) -> tensor<3x12xf32>
    %6 = tosa.clamp %5 {max_val = 7.500000e-01 : f32, min_val = -5.000000e-01 : f32} : (tensor<3x12xf32>) -> tensor<3x12xf32>
    %7 = tosa.greater %6, %3 : (tensor<3x12xf32>, tensor<1x1xf32>) -> tensor<3x12xi1>
    %8 = tosa.tanh %6 : (tensor<3x12xf32>) -> tensor<3x12xf32>
    %9 = tosa.mul %6, %6, %2 : (tensor<3x12xf32>, tensor<3x12xf32>, tensor<1xi8>) -> tensor<3x12xf32>
    %10 = tosa.select %7, %8, %9 : (tensor<3x12xi1>, tensor<3x12xf32>, tensor<3x12xf32>) -> tensor<3x12xf32>
    %11 = tosa.argmax %10 {axis = 1 : i32} : (tensor<3x12xf32>) -> tensor<3xi64>
    return %10, %11 : tensor<3x12xf32>, tensor<3xi64>
  }
}
