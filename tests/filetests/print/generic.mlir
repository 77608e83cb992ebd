// RUN:
// OPTIONS: generic
func.func public @main(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %1 = stablehlo.add %x, %0 : tensor<4x8xf32>
  %2 = stablehlo.tanh %1 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}
// OUT:
// "builtin.module"() ({
//   "func.func"() <{function_type = (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>, sym_name = "main", sym_visibility = "public"}> ({
//   ^bb0(%arg0: tensor<4x8xf32>, %arg1: tensor<8xf32>):
//     %0 = "stablehlo.broadcast_in_dim"(%arg1) <{broadcast_dimensions = array<i64: 1>}> : (tensor<8xf32>) -> tensor<4x8xf32>
//     %1 = "stablehlo.add"(%arg0, %0) : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
//     %2 = "stablehlo.tanh"(%1) : (tensor<4x8xf32>) -> tensor<4x8xf32>
//     "func.return"(%2) : (tensor<4x8xf32>) -> ()
//   }) : () -> ()
// }) : () -> ()
