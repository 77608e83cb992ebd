// RUN: legalize-sort
// EVAL: exact
// CHECK: stablehlo.compare
// CHECK-NOT: stablehlo.sort
func.func public @main(%x: tensor<2x5xi32>, %y: tensor<2x5xi32>) -> (tensor<2x5xi32>, tensor<2x5xi32>) {
  %0:2 = "stablehlo.sort"(%x, %y) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<i32>, %b: tensor<i32>, %c: tensor<i32>, %d: tensor<i32>):
    %1 = stablehlo.compare LT, %a, %b, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %1 : tensor<i1>
  }) : (tensor<2x5xi32>, tensor<2x5xi32>) -> (tensor<2x5xi32>, tensor<2x5xi32>)
  return %0#0, %0#1 : tensor<2x5xi32>, tensor<2x5xi32>
}
