// RUN: legalize-64bit
func.func @main(%x: tensor<i64>) -> tensor<i64> {
  %c = stablehlo.constant dense<4294967296> : tensor<i64>
  %0 = stablehlo.add %x, %c : tensor<i64>
  return %0 : tensor<i64>
}
