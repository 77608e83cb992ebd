// RUN: expand-ops, remove-dead-ops
func.func @main(%x: tensor<6x40xf32>, %w: tensor<40xf32>) -> (tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>) {
  %eps = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
  %0 = stablehlo.custom_call @AwsNeuronSoftmax(%x) {backend_config = "1"} : (tensor<6x40xf32>) -> tensor<6x40xf32>
  %1 = stablehlo.custom_call @AwsNeuronRmsNorm(%x, %w, %eps) {backend_config = "1"} : (tensor<6x40xf32>, tensor<40xf32>, tensor<f32>) -> tensor<6x40xf32>
  %2 = stablehlo.custom_call @AwsNeuronArgMax(%x) {backend_config = "1"} : (tensor<6x40xf32>) -> tensor<6xui32>
  return %0, %1, %2 : tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>
}
// OUT:
// func.func @main(%arg0: tensor<6x40xf32>, %arg1: tensor<40xf32>) -> (tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>) {
//   %cst = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
//   %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
//   %0 = stablehlo.reduce(%arg0 init: %cst_0) applies stablehlo.maximum across dimensions = [1] : (tensor<6x40xf32>, tensor<f32>) -> tensor<6xf32>
//   %1 = stablehlo.broadcast_in_dim %0, dims = [0] : (tensor<6xf32>) -> tensor<6x40xf32>
//   %2 = stablehlo.subtract %arg0, %1 : tensor<6x40xf32>
//   %3 = stablehlo.exponential %2 : tensor<6x40xf32>
//   %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %4 = stablehlo.reduce(%3 init: %cst_1) applies stablehlo.add across dimensions = [1] : (tensor<6x40xf32>, tensor<f32>) -> tensor<6xf32>
//   %5 = stablehlo.broadcast_in_dim %4, dims = [0] : (tensor<6xf32>) -> tensor<6x40xf32>
//   %6 = stablehlo.divide %3, %5 : tensor<6x40xf32>
//   %7 = stablehlo.multiply %arg0, %arg0 : tensor<6x40xf32>
//   %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
//   %8 = stablehlo.reduce(%7 init: %cst_2) applies stablehlo.add across dimensions = [1] : (tensor<6x40xf32>, tensor<f32>) -> tensor<6xf32>
//   %cst_3 = stablehlo.constant dense<2.500000e-02> : tensor<6xf32>
//   %9 = stablehlo.multiply %8, %cst_3 : tensor<6xf32>
//   %10 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<6xf32>
//   %11 = stablehlo.add %9, %10 : tensor<6xf32>
//   %12 = stablehlo.rsqrt %11 : tensor<6xf32>
//   %13 = stablehlo.broadcast_in_dim %12, dims = [0] : (tensor<6xf32>) -> tensor<6x40xf32>
//   %14 = stablehlo.multiply %arg0, %13 : tensor<6x40xf32>
//   %15 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<40xf32>) -> tensor<6x40xf32>
//   %16 = stablehlo.multiply %14, %15 : tensor<6x40xf32>
//   %cst_4 = stablehlo.constant dense<0xFF800000> : tensor<f32>
//   %17 = stablehlo.reduce(%arg0 init: %cst_4) applies stablehlo.maximum across dimensions = [1] : (tensor<6x40xf32>, tensor<f32>) -> tensor<6xf32>
//   %18 = stablehlo.broadcast_in_dim %17, dims = [0] : (tensor<6xf32>) -> tensor<6x40xf32>
//   %19 = stablehlo.compare  EQ, %arg0, %18,  FLOAT : (tensor<6x40xf32>, tensor<6x40xf32>) -> tensor<6x40xi1>
//   %20 = stablehlo.compare  NE, %arg0, %arg0,  FLOAT : (tensor<6x40xf32>, tensor<6x40xf32>) -> tensor<6x40xi1>
//   %21 = stablehlo.or %19, %20 : tensor<6x40xi1>
//   %22 = stablehlo.iota dim = 1 : tensor<6x40xi32>
//   %c = stablehlo.constant dense<40> : tensor<6x40xi32>
//   %23 = stablehlo.select %21, %22, %c : tensor<6x40xi1>, tensor<6x40xi32>
//   %c_5 = stablehlo.constant dense<2147483647> : tensor<i32>
//   %24 = stablehlo.reduce(%23 init: %c_5) applies stablehlo.minimum across dimensions = [1] : (tensor<6x40xi32>, tensor<i32>) -> tensor<6xi32>
//   %25 = stablehlo.convert %24 : (tensor<6xi32>) -> tensor<6xui32>
//   return %6, %16, %25 : tensor<6x40xf32>, tensor<6x40xf32>, tensor<6xui32>
// }
