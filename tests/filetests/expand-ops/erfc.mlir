// RUN: expand-ops, merge-equal-ops, remove-dead-ops
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = chlo.erfc %x : tensor<8xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
// OUT:
// func.func @main(%arg0: tensor<8xf32>) -> tensor<8xf32> {
//   %0 = stablehlo.abs %arg0 : tensor<8xf32>
//   %cst = stablehlo.constant dense<4.000000e-01> : tensor<8xf32>
//   %1 = stablehlo.multiply %0, %cst : tensor<8xf32>
//   %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<8xf32>
//   %2 = stablehlo.add %1, %cst_0 : tensor<8xf32>
//   %3 = stablehlo.divide %cst_0, %2 : tensor<8xf32>
//   %cst_1 = stablehlo.constant dense<0.068334721> : tensor<8xf32>
//   %4 = stablehlo.multiply %cst_1, %3 : tensor<8xf32>
//   %cst_2 = stablehlo.constant dense<-0.58076328> : tensor<8xf32>
//   %5 = stablehlo.add %4, %cst_2 : tensor<8xf32>
//   %6 = stablehlo.multiply %5, %3 : tensor<8xf32>
//   %cst_3 = stablehlo.constant dense<1.80643427> : tensor<8xf32>
//   %7 = stablehlo.add %6, %cst_3 : tensor<8xf32>
//   %8 = stablehlo.multiply %7, %3 : tensor<8xf32>
//   %cst_4 = stablehlo.constant dense<-2.66546965> : tensor<8xf32>
//   %9 = stablehlo.add %8, %cst_4 : tensor<8xf32>
//   %10 = stablehlo.multiply %9, %3 : tensor<8xf32>
//   %cst_5 = stablehlo.constant dense<1.98093545> : tensor<8xf32>
//   %11 = stablehlo.add %10, %cst_5 : tensor<8xf32>
//   %12 = stablehlo.multiply %11, %3 : tensor<8xf32>
//   %cst_6 = stablehlo.constant dense<-0.969362497> : tensor<8xf32>
//   %13 = stablehlo.add %12, %cst_6 : tensor<8xf32>
//   %14 = stablehlo.multiply %13, %3 : tensor<8xf32>
//   %cst_7 = stablehlo.constant dense<0.481169671> : tensor<8xf32>
//   %15 = stablehlo.add %14, %cst_7 : tensor<8xf32>
//   %16 = stablehlo.multiply %15, %3 : tensor<8xf32>
//   %cst_8 = stablehlo.constant dense<0.361413479> : tensor<8xf32>
//   %17 = stablehlo.add %16, %cst_8 : tensor<8xf32>
//   %18 = stablehlo.multiply %17, %3 : tensor<8xf32>
//   %cst_9 = stablehlo.constant dense<1.00624859> : tensor<8xf32>
//   %19 = stablehlo.add %18, %cst_9 : tensor<8xf32>
//   %20 = stablehlo.multiply %19, %3 : tensor<8xf32>
//   %cst_10 = stablehlo.constant dense<-1.48894072> : tensor<8xf32>
//   %21 = stablehlo.add %20, %cst_10 : tensor<8xf32>
//   %22 = stablehlo.multiply %arg0, %arg0 : tensor<8xf32>
//   %23 = stablehlo.subtract %21, %22 : tensor<8xf32>
//   %24 = stablehlo.exponential %23 : tensor<8xf32>
//   %25 = stablehlo.multiply %3, %24 : tensor<8xf32>
//   %cst_11 = stablehlo.constant dense<0.000000e+00> : tensor<8xf32>
//   %26 = stablehlo.compare  LT, %arg0, %cst_11,  FLOAT : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xi1>
//   %cst_12 = stablehlo.constant dense<2.000000e+00> : tensor<8xf32>
//   %27 = stablehlo.subtract %cst_12, %25 : tensor<8xf32>
//   %28 = stablehlo.select %26, %27, %25 : tensor<8xi1>, tensor<8xf32>
//   return %28 : tensor<8xf32>
// }
