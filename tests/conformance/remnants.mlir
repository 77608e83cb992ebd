// Sizes computed beside the tensors.
func.func @main() {
  %x = stablehlo.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %shape = shape.shape_of %x : tensor<2x3xf32> -> tensor<2xindex>
  check.expect_eq_const %shape, dense<[2, 3]> : tensor<2xindex>
  %n = shape.num_elements %shape : tensor<2xindex> -> index
  %c1 = arith.constant 1 : index
  %d = tensor.dim %x, %c1 : tensor<2x3xf32>
  %sum = arith.addi %n, %d : index
  %i = arith.index_cast %sum : index to i32
  %c2 = arith.constant 2 : i32
  %q = arith.divsi %i, %c2 : i32
  %list = tensor.from_elements %i, %q : tensor<2xi32>
  check.expect_eq_const %list, dense<[9, 4]> : tensor<2xi32>
  %e = tensor.extract %list[%c1] : tensor<2xi32>
  %big = arith.cmpi sgt, %e, %c2 : i32
  %s = arith.select %big, %e, %c2 : i32
  %t = tensor.from_elements %s : tensor<1xi32>
  check.expect_eq_const %t, dense<4> : tensor<1xi32>
  %other = shape.const_shape [7, 1, 3] : tensor<3xindex>
  %both = shape.broadcast %shape, %other : tensor<2xindex>, tensor<3xindex> -> tensor<3xindex>
  check.expect_eq_const %both, dense<[7, 2, 3]> : tensor<3xindex>
  %minus = arith.constant -1 : i8
  %wide = arith.extui %minus : i8 to i32
  %signed = arith.extsi %minus : i8 to i32
  %pair = tensor.from_elements %wide, %signed : tensor<2xi32>
  check.expect_eq_const %pair, dense<[255, -1]> : tensor<2xi32>
  %u = arith.divui %signed, %c2 : i32
  %ut = tensor.from_elements %u : tensor<1xi32>
  check.expect_eq_const %ut, dense<2147483647> : tensor<1xi32>
  %f = arith.constant dense<[1.0, -2.0]> : tensor<2xf32>
  %neg = arith.negf %f : tensor<2xf32>
  %max = arith.maximumf %f, %neg fastmath<fast> : tensor<2xf32>
  check.expect_eq_const %max, dense<[1.0, 2.0]> : tensor<2xf32>
  %cast = tensor.cast %max : tensor<2xf32> to tensor<?xf32>
  %half = stablehlo.multiply %cast, %cast : tensor<?xf32>
  %back = tensor.cast %half : tensor<?xf32> to tensor<2xf32>
  check.expect_eq_const %back, dense<[1.0, 4.0]> : tensor<2xf32>
  return
}
// -----
// The same in generic form.
"builtin.module"() ({
  "func.func"() <{function_type = () -> (), sym_name = "main"}> ({
    %0 = "arith.constant"() <{value = 3 : i32}> : () -> i32
    %1 = "arith.constant"() <{value = true}> : () -> i1
    %2 = "arith.extsi"(%1) : (i1) -> i32
    %3 = "arith.muli"(%0, %2) <{overflowFlags = #arith.overflow<none>}> : (i32, i32) -> i32
    %4 = "tensor.from_elements"(%3) : (i32) -> tensor<1xi32>
    "check.expect_eq_const"(%4) <{value = dense<-3> : tensor<1xi32>}> : (tensor<1xi32>) -> ()
    "func.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
// -----
// Several modules in one, each with its own `main` and its own functions.
module {
  module @first {
    func.func private @f() -> tensor<i32> {
      %0 = stablehlo.constant dense<1> : tensor<i32>
      return %0 : tensor<i32>
    }
    func.func @main() {
      %0 = call @f() : () -> tensor<i32>
      check.expect_eq_const %0, dense<1> : tensor<i32>
      return
    }
  }
  module @second {
    func.func private @f() -> tensor<i32> {
      %0 = stablehlo.constant dense<2> : tensor<i32>
      return %0 : tensor<i32>
    }
    func.func @main() {
      %0 = call @f() : () -> tensor<i32>
      check.expect_eq_const %0, dense<2> : tensor<i32>
      return
    }
  }
}
// -----
// expect-error: predicate 7 of `arith.cmpf` is not supported
func.func @main(%a: f32) {
  %0 = arith.cmpf ord, %a, %a : f32
  return
}
// -----
// expect-error: function `main` has more than one block
"builtin.module"() ({
  "func.func"() <{function_type = (tensor<f32>) -> tensor<f32>, sym_name = "main"}> ({
  ^bb0(%a: tensor<f32>):
    "cf.br"(%a)[^bb1] : (tensor<f32>) -> ()
  ^bb1(%b: tensor<f32>):
    "func.return"(%b) : (tensor<f32>) -> ()
  }) : () -> ()
}) : () -> ()
