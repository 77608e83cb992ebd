// RUN: legalize-64bit, legalize-int64, remove-dead-ops
// OPTIONS: target=inf2 native-int64
// CHECK: stablehlo.convert
// CHECK-NOT: bitcast
func.func public @main(%x: tensor<4xi64>, %y: tensor<4xi64>) -> tensor<4xi64> {
  %0 = stablehlo.add %x, %y : tensor<4xi64>
  return %0 : tensor<4xi64>
}
