// RUN: legalize-64bit
func.func @main(%x: tensor<i64>) -> tensor<i64> {
  %c = stablehlo.constant dense<4294967296> : tensor<i64>
  %0 = stablehlo.add %x, %c : tensor<i64>
  return %0 : tensor<i64>
}
// OUT:
// error[NCC_ESFH002]: the i64 constant 4294967296 does not fit into i32, in which it is computed
//   --> line 3:3
//    = help: use 32-bit integers in the model, or `--native-int64 enabled` where the target has them
