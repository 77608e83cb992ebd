// Bodies of any kind.
func.func @main(%x: tensor<5x7x3xf32>, %i: tensor<5x7x3xi32>, %a: tensor<f32>) -> (tensor<7xf32>, tensor<7xi32>) {
  %c = stablehlo.constant dense<-1> : tensor<i32>
  %0:2 = stablehlo.reduce(%x init: %a), (%i init: %c) across dimensions = [0, 2] : (tensor<5x7x3xf32>, tensor<5x7x3xi32>, tensor<f32>, tensor<i32>) -> (tensor<7xf32>, tensor<7xi32>)
   reducer(%p: tensor<f32>, %q: tensor<f32>) (%m: tensor<i32>, %n: tensor<i32>) {
    %ap = stablehlo.abs %p : tensor<f32>
    %aq = stablehlo.abs %q : tensor<f32>
    %ge = stablehlo.compare GE, %ap, %aq : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %v = stablehlo.select %ge, %p, %q : tensor<i1>, tensor<f32>
    %w = stablehlo.select %ge, %m, %n : tensor<i1>, tensor<i32>
    stablehlo.return %v, %w : tensor<f32>, tensor<i32>
  }
  return %0#0, %0#1 : tensor<7xf32>, tensor<7xi32>
}
// -----
func.func @main(%x: tensor<4x9xcomplex<f32>>, %a: tensor<complex<f32>>) -> (tensor<4xcomplex<f32>>, tensor<9xcomplex<f32>>) {
  %0 = stablehlo.reduce(%x init: %a) applies stablehlo.multiply across dimensions = [1] : (tensor<4x9xcomplex<f32>>, tensor<complex<f32>>) -> tensor<4xcomplex<f32>>
  %1 = stablehlo.reduce(%x init: %a) applies stablehlo.maximum across dimensions = [0] : (tensor<4x9xcomplex<f32>>, tensor<complex<f32>>) -> tensor<9xcomplex<f32>>
  return %0, %1 : tensor<4xcomplex<f32>>, tensor<9xcomplex<f32>>
}
// -----
// Windows: several inputs, dilations, padding of either sign.
func.func @main(%x: tensor<6x8xf32>, %y: tensor<6x8xi32>) -> (tensor<4x4xf32>, tensor<4x4xi32>) {
  %a = stablehlo.constant dense<0.0> : tensor<f32>
  %b = stablehlo.constant dense<0> : tensor<i32>
  %0:2 = "stablehlo.reduce_window"(%x, %y, %a, %b) <{window_dimensions = array<i64: 2, 3>, window_strides = array<i64: 2, 2>, base_dilations = array<i64: 1, 1>, window_dilations = array<i64: 2, 1>, padding = dense<[[1, 2], [0, 1]]> : tensor<2x2xi64>}> ({
  ^bb0(%p: tensor<f32>, %m: tensor<i32>, %q: tensor<f32>, %n: tensor<i32>):
    %s = stablehlo.add %p, %q : tensor<f32>
    %t = stablehlo.maximum %m, %n : tensor<i32>
    stablehlo.return %s, %t : tensor<f32>, tensor<i32>
  }) : (tensor<6x8xf32>, tensor<6x8xi32>, tensor<f32>, tensor<i32>) -> (tensor<4x4xf32>, tensor<4x4xi32>)
  return %0#0, %0#1 : tensor<4x4xf32>, tensor<4x4xi32>
}
// -----
func.func @main(%x: tensor<9xcomplex<f32>>) -> (tensor<9xcomplex<f32>>, tensor<4xcomplex<f32>>) {
  %a = stablehlo.constant dense<(1.0, 0.0)> : tensor<complex<f32>>
  %0 = "stablehlo.reduce_window"(%x, %a) <{window_dimensions = array<i64: 9>, padding = dense<[[8, 0]]> : tensor<1x2xi64>}> ({
  ^bb0(%p: tensor<complex<f32>>, %q: tensor<complex<f32>>):
    %s = stablehlo.multiply %p, %q : tensor<complex<f32>>
    stablehlo.return %s : tensor<complex<f32>>
  }) : (tensor<9xcomplex<f32>>, tensor<complex<f32>>) -> tensor<9xcomplex<f32>>
  %1 = "stablehlo.reduce_window"(%x, %a) <{window_dimensions = array<i64: 3>, window_strides = array<i64: 2>, padding = dense<[[-1, 2]]> : tensor<1x2xi64>}> ({
  ^bb0(%p: tensor<complex<f32>>, %q: tensor<complex<f32>>):
    %s = stablehlo.add %p, %q : tensor<complex<f32>>
    stablehlo.return %s : tensor<complex<f32>>
  }) : (tensor<9xcomplex<f32>>, tensor<complex<f32>>) -> tensor<4xcomplex<f32>>
  return %0, %1 : tensor<9xcomplex<f32>>, tensor<4xcomplex<f32>>
}
// -----
// Pooling gradients: selections and combinations of any kind.
func.func @main(%x: tensor<10x24xf32>, %s: tensor<4x8xf32>) -> (tensor<10x24xf32>, tensor<10x24xf32>) {
  %a = stablehlo.constant dense<0.5> : tensor<f32>
  %0 = "stablehlo.select_and_scatter"(%x, %s, %a) <{window_dimensions = array<i64: 4, 3>, window_strides = array<i64: 2, 3>}> ({
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %r = stablehlo.compare LT, %p, %q : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %r : tensor<i1>
  }, {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %r = stablehlo.maximum %p, %q : tensor<f32>
    stablehlo.return %r : tensor<f32>
  }) : (tensor<10x24xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<10x24xf32>
  %1 = "stablehlo.select_and_scatter"(%x, %s, %a) <{window_dimensions = array<i64: 4, 3>, window_strides = array<i64: 3, 3>, padding = dense<[[1, 2], [0, 0]]> : tensor<2x2xi64>}> ({
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %r = stablehlo.compare GE, %p, %q : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %r : tensor<i1>
  }, {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %h = stablehlo.constant dense<0.5> : tensor<f32>
    %t = stablehlo.multiply %q, %h : tensor<f32>
    %r = stablehlo.add %p, %t : tensor<f32>
    stablehlo.return %r : tensor<f32>
  }) : (tensor<10x24xf32>, tensor<4x8xf32>, tensor<f32>) -> tensor<10x24xf32>
  return %0, %1 : tensor<10x24xf32>, tensor<10x24xf32>
}
// -----
// Sorts: two keys, three operands, any dimension; complex numbers.
func.func @main(%x: tensor<3x11x2xi8>, %y: tensor<3x11x2xf32>, %z: tensor<3x11x2xi64>) -> (tensor<3x11x2xi8>, tensor<3x11x2xf32>, tensor<3x11x2xi64>) {
  %0:3 = "stablehlo.sort"(%x, %y, %z) <{dimension = 1 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<i8>, %b: tensor<i8>, %c: tensor<f32>, %d: tensor<f32>, %e: tensor<i64>, %f: tensor<i64>):
    %lt = stablehlo.compare LT, %a, %b : (tensor<i8>, tensor<i8>) -> tensor<i1>
    %eq = stablehlo.compare EQ, %a, %b : (tensor<i8>, tensor<i8>) -> tensor<i1>
    %gt = stablehlo.compare GT, %c, %d : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %and = stablehlo.and %eq, %gt : tensor<i1>
    %or = stablehlo.or %lt, %and : tensor<i1>
    stablehlo.return %or : tensor<i1>
  }) : (tensor<3x11x2xi8>, tensor<3x11x2xf32>, tensor<3x11x2xi64>) -> (tensor<3x11x2xi8>, tensor<3x11x2xf32>, tensor<3x11x2xi64>)
  return %0#0, %0#1, %0#2 : tensor<3x11x2xi8>, tensor<3x11x2xf32>, tensor<3x11x2xi64>
}
// -----
func.func @main(%x: tensor<13xcomplex<f32>>, %y: tensor<13xi32>) -> (tensor<13xcomplex<f32>>, tensor<13xi32>) {
  %0:2 = "stablehlo.sort"(%x, %y) <{dimension = -1 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<complex<f32>>, %b: tensor<complex<f32>>, %c: tensor<i32>, %d: tensor<i32>):
    %ar = stablehlo.real %a : (tensor<complex<f32>>) -> tensor<f32>
    %br = stablehlo.real %b : (tensor<complex<f32>>) -> tensor<f32>
    %lt = stablehlo.compare GT, %ar, %br : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %lt : tensor<i1>
  }) : (tensor<13xcomplex<f32>>, tensor<13xi32>) -> (tensor<13xcomplex<f32>>, tensor<13xi32>)
  return %0#0, %0#1 : tensor<13xcomplex<f32>>, tensor<13xi32>
}
// -----
// Scatters: several inputs, batching dimensions, windows, places outside, repeated ones.
func.func @main(%x: tensor<2x3x4x2xi64>, %i: tensor<2x2x3x2xi64>, %u: tensor<2x2x3x1x2xi64>) -> tensor<2x3x4x2xi64> {
  %0 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [3, 4], inserted_window_dims = [1], input_batching_dims = [0], scatter_indices_batching_dims = [1], scatter_dims_to_operand_dims = [2, 1], index_vector_dim = 3>, indices_are_sorted = false, unique_indices = false}> ({
  ^bb0(%a: tensor<i64>, %b: tensor<i64>):
    %r = stablehlo.add %a, %b : tensor<i64>
    stablehlo.return %r : tensor<i64>
  }) : (tensor<2x3x4x2xi64>, tensor<2x2x3x2xi64>, tensor<2x2x3x1x2xi64>) -> tensor<2x3x4x2xi64>
  return %0 : tensor<2x3x4x2xi64>
}
// -----
func.func @main(%x: tensor<7xf32>, %y: tensor<7xi32>, %i: tensor<5x1xi32>, %u: tensor<5xf32>, %v: tensor<5xi32>) -> (tensor<7xf32>, tensor<7xi32>) {
  %0:2 = "stablehlo.scatter"(%x, %y, %i, %u, %v) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%a: tensor<f32>, %m: tensor<i32>, %b: tensor<f32>, %n: tensor<i32>):
    %r = stablehlo.subtract %a, %b : tensor<f32>
    %s = stablehlo.maximum %m, %n : tensor<i32>
    stablehlo.return %r, %s : tensor<f32>, tensor<i32>
  }) : (tensor<7xf32>, tensor<7xi32>, tensor<5x1xi32>, tensor<5xf32>, tensor<5xi32>) -> (tensor<7xf32>, tensor<7xi32>)
  return %0#0, %0#1 : tensor<7xf32>, tensor<7xi32>
}
// -----
func.func @main(%x: tensor<5xcomplex<f32>>, %i: tensor<3x1xi32>, %u: tensor<3xcomplex<f32>>) -> (tensor<5xcomplex<f32>>, tensor<5xcomplex<f32>>) {
  %0 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%a: tensor<complex<f32>>, %b: tensor<complex<f32>>):
    %r = stablehlo.multiply %a, %b : tensor<complex<f32>>
    stablehlo.return %r : tensor<complex<f32>>
  }) : (tensor<5xcomplex<f32>>, tensor<3x1xi32>, tensor<3xcomplex<f32>>) -> tensor<5xcomplex<f32>>
  %1 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
  ^bb0(%a: tensor<complex<f32>>, %b: tensor<complex<f32>>):
    %r = stablehlo.add %a, %b : tensor<complex<f32>>
    stablehlo.return %r : tensor<complex<f32>>
  }) : (tensor<5xcomplex<f32>>, tensor<3x1xi32>, tensor<3xcomplex<f32>>) -> tensor<5xcomplex<f32>>
  return %0, %1 : tensor<5xcomplex<f32>>, tensor<5xcomplex<f32>>
}
// -----
// Gathers: batching dimensions, the index vector in front, windows that are clamped, small index types.
func.func @main(%x: tensor<3x2x4x7x9xi32>, %i: tensor<4x3x5x2xi32>, %y: tensor<6x5xf32>, %j: tensor<2x4xi8>, %k: tensor<3xui8>) -> (tensor<4x3x5x8xi32>, tensor<4x2x3xf32>, tensor<3x5xf32>) {
  %0 = "stablehlo.gather"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [3], collapsed_slice_dims = [1, 3], operand_batching_dims = [0, 2], start_indices_batching_dims = [1, 0], start_index_map = [1, 3], index_vector_dim = 3>, slice_sizes = array<i64: 1, 1, 1, 1, 8>, indices_are_sorted = false}> : (tensor<3x2x4x7x9xi32>, tensor<4x3x5x2xi32>) -> tensor<4x3x5x8xi32>
  %1 = "stablehlo.gather"(%y, %j) <{dimension_numbers = #stablehlo.gather<offset_dims = [1, 2], start_index_map = [1, 0], index_vector_dim = 0>, slice_sizes = array<i64: 2, 3>}> : (tensor<6x5xf32>, tensor<2x4xi8>) -> tensor<4x2x3xf32>
  %2 = "stablehlo.gather"(%y, %k) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 5>}> : (tensor<6x5xf32>, tensor<3xui8>) -> tensor<3x5xf32>
  return %0, %1, %2 : tensor<4x3x5x8xi32>, tensor<4x2x3xf32>, tensor<3x5xf32>
}
// -----
func.func @main(%x: tensor<4x3x5xf32>, %i: tensor<i64>, %j: tensor<i64>, %k: tensor<i64>, %u: tensor<2x3x2xf32>, %a: tensor<ui8>, %b: tensor<i8>, %y: tensor<6x7xi1>) -> (tensor<2x2x3xf32>, tensor<4x3x5xf32>, tensor<3x1xi1>) {
  %0 = stablehlo.dynamic_slice %x, %i, %j, %k, sizes = [2, 2, 3] : (tensor<4x3x5xf32>, tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<2x2x3xf32>
  %1 = stablehlo.dynamic_update_slice %x, %u, %k, %j, %i : (tensor<4x3x5xf32>, tensor<2x3x2xf32>, tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<4x3x5xf32>
  %c = stablehlo.convert %b : (tensor<i8>) -> tensor<i32>
  %d = stablehlo.convert %a : (tensor<ui8>) -> tensor<i32>
  %2 = stablehlo.dynamic_slice %y, %c, %d, sizes = [3, 1] : (tensor<6x7xi1>, tensor<i32>, tensor<i32>) -> tensor<3x1xi1>
  return %0, %1, %2 : tensor<2x2x3xf32>, tensor<4x3x5xf32>, tensor<3x1xi1>
}
// -----
// Control flow: an index outside, complex and boolean carried values, captured ones, branches in loops.
func.func @main(%i: tensor<i32>, %x: tensor<300x700xf32>, %y: tensor<300x700xf32>, %p: tensor<i1>) -> (tensor<300x700xf32>, tensor<300x700xf32>) {
  %0 = "stablehlo.case"(%i) ({
    %a = stablehlo.add %x, %y : tensor<300x700xf32>
    stablehlo.return %a : tensor<300x700xf32>
  }, {
    %a = stablehlo.multiply %x, %y : tensor<300x700xf32>
    stablehlo.return %a : tensor<300x700xf32>
  }, {
    stablehlo.return %y : tensor<300x700xf32>
  }) : (tensor<i32>) -> tensor<300x700xf32>
  %1 = "stablehlo.if"(%p) ({
    %a = stablehlo.subtract %0, %y : tensor<300x700xf32>
    stablehlo.return %a : tensor<300x700xf32>
  }, {
    stablehlo.return %0 : tensor<300x700xf32>
  }) : (tensor<i1>) -> tensor<300x700xf32>
  return %0, %1 : tensor<300x700xf32>, tensor<300x700xf32>
}
// -----
func.func @main(%z: tensor<3xcomplex<f32>>, %w: tensor<3xcomplex<f32>>, %n: tensor<i64>) -> (tensor<3xcomplex<f32>>, tensor<i1>, tensor<i64>) {
  %zero = stablehlo.constant dense<0> : tensor<i64>
  %one = stablehlo.constant dense<1> : tensor<i64>
  %four = stablehlo.constant dense<4> : tensor<i64>
  %t = stablehlo.constant dense<true> : tensor<i1>
  %0:3 = stablehlo.while(%a = %z, %b = %t, %i = %zero) : tensor<3xcomplex<f32>>, tensor<i1>, tensor<i64>
   cond {
    %l = stablehlo.maximum %n, %four : tensor<i64>
    %c = stablehlo.compare LT, %i, %l, SIGNED : (tensor<i64>, tensor<i64>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  } do {
    %m = stablehlo.multiply %a, %w : tensor<3xcomplex<f32>>
    %s = stablehlo.add %a, %z : tensor<3xcomplex<f32>>
    %r = "stablehlo.if"(%b) ({
      stablehlo.return %m : tensor<3xcomplex<f32>>
    }, {
      stablehlo.return %s : tensor<3xcomplex<f32>>
    }) : (tensor<i1>) -> tensor<3xcomplex<f32>>
    %nb = stablehlo.not %b : tensor<i1>
    %ni = stablehlo.add %i, %one : tensor<i64>
    stablehlo.return %r, %nb, %ni : tensor<3xcomplex<f32>>, tensor<i1>, tensor<i64>
  }
  return %0#0, %0#1, %0#2 : tensor<3xcomplex<f32>>, tensor<i1>, tensor<i64>
}
// -----
func.func @main(%x: tensor<4x3xf32>, %y: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %0 = "stablehlo.map"(%x, %y) <{dimensions = array<i64: 0, 1>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = stablehlo.multiply %a, %b : tensor<f32>
    %d = stablehlo.maximum %c, %a : tensor<f32>
    stablehlo.return %d : tensor<f32>
  }) : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
// -----
// Selections of the largest, exactly, by any order.
module {
  func.func @gt(%a: tensor<f32>, %b: tensor<f32>, %i: tensor<i32>, %j: tensor<i32>) -> tensor<i1> {
    %0 = stablehlo.compare GT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>
    return %0 : tensor<i1>
  }
  func.func @odd(%a: tensor<f32>, %b: tensor<f32>, %i: tensor<i32>, %j: tensor<i32>) -> tensor<i1> {
    %c = stablehlo.abs %a : tensor<f32>
    %d = stablehlo.abs %b : tensor<f32>
    %0 = stablehlo.compare LT, %c, %d : (tensor<f32>, tensor<f32>) -> tensor<i1>
    return %0 : tensor<i1>
  }
  func.func @main(%x: tensor<4x19xf32>, %k: tensor<4x19xi32>) -> (tensor<4x3xf32>, tensor<4x3xi32>, tensor<2x19xf32>, tensor<2x19xi32>) {
    %i = stablehlo.iota dim = 1 : tensor<4x19xi32>
    %a = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %b = stablehlo.constant dense<-1> : tensor<i32>
    %0:2 = stablehlo.custom_call @ApproxTopK(%x, %i, %a, %b) {called_computations = [@gt], mhlo.backend_config = {aggregate_to_topk = true, recall_target = 9.500000e-01 : f32, reduction_dim = 1 : i64, top_k = 3 : i64}} : (tensor<4x19xf32>, tensor<4x19xi32>, tensor<f32>, tensor<i32>) -> (tensor<4x3xf32>, tensor<4x3xi32>)
    %j = stablehlo.iota dim = 0 : tensor<4x19xi32>
    %1:2 = stablehlo.custom_call @ApproxTopK(%x, %j, %a, %b) {called_computations = [@gt], mhlo.backend_config = {aggregate_to_topk = true, recall_target = 9.500000e-01 : f32, reduction_dim = 0 : i64, top_k = 2 : i64}} : (tensor<4x19xf32>, tensor<4x19xi32>, tensor<f32>, tensor<i32>) -> (tensor<2x19xf32>, tensor<2x19xi32>)
    return %0#0, %0#1, %1#0, %1#1 : tensor<4x3xf32>, tensor<4x3xi32>, tensor<2x19xf32>, tensor<2x19xi32>
  }
}
// -----
// Windows that lie partly outside: what is inside counts, element by element.
func.func @main(%x: tensor<7x6xf32>, %i: tensor<9x2xi32>, %u: tensor<9x2x3xf32>, %j: tensor<1xi32>, %v: tensor<5xf32>) -> (tensor<7x6xf32>, tensor<7x6xf32>) {
  %0 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1, 2], scatter_dims_to_operand_dims = [0, 1], index_vector_dim = 1>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = stablehlo.add %a, %b : tensor<f32>
    stablehlo.return %c : tensor<f32>
  }) : (tensor<7x6xf32>, tensor<9x2xi32>, tensor<9x2x3xf32>) -> tensor<7x6xf32>
  %1 = "stablehlo.scatter"(%x, %j, %v) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [0], inserted_window_dims = [1], scatter_dims_to_operand_dims = [0], index_vector_dim = 0>}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    stablehlo.return %b : tensor<f32>
  }) : (tensor<7x6xf32>, tensor<1xi32>, tensor<5xf32>) -> tensor<7x6xf32>
  return %0, %1 : tensor<7x6xf32>, tensor<7x6xf32>
}
// -----
func.func @main(%x: tensor<4x4xf32>, %u: tensor<3x2x2xf32>) -> tensor<4x4xf32> {
  %i = stablehlo.constant dense<[[3, 3], [-1, -1], [0, 2]]> : tensor<3x2xi32>
  %0 = "stablehlo.scatter"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1, 2], scatter_dims_to_operand_dims = [0, 1], index_vector_dim = 1>, unique_indices = true}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    stablehlo.return %b : tensor<f32>
  }) : (tensor<4x4xf32>, tensor<3x2xi32>, tensor<3x2x2xf32>) -> tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}
// -----
// Orders with one NaN, also in comparators.
func.func @main(%x: tensor<19xf8E5M2>, %y: tensor<19xf8E5M2>) -> (tensor<19xi1>, tensor<19xi1>, tensor<19xf32>) {
  %0 = stablehlo.compare LE, %x, %y, WEAKORDER : (tensor<19xf8E5M2>, tensor<19xf8E5M2>) -> tensor<19xi1>
  %1 = stablehlo.compare NE, %x, %y, WEAKORDER : (tensor<19xf8E5M2>, tensor<19xf8E5M2>) -> tensor<19xi1>
  %w = stablehlo.convert %x : (tensor<19xf8E5M2>) -> tensor<19xf32>
  %2 = "stablehlo.sort"(%w) <{dimension = 0 : i64, is_stable = true}> ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %c = stablehlo.compare LT, %a, %b, WEAKORDER : (tensor<f32>, tensor<f32>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  }) : (tensor<19xf32>) -> tensor<19xf32>
  return %0, %1, %2 : tensor<19xi1>, tensor<19xi1>, tensor<19xf32>
}
// -----
func.func @main(%x: tensor<33xi32>, %y: tensor<33xi32>, %u: tensor<33xui32>, %s: tensor<33xi16>) -> (tensor<33xi32>, tensor<33xui32>, tensor<33xi16>) {
  %k = stablehlo.constant dense<123456789> : tensor<33xi32>
  %a = stablehlo.multiply %x, %k : tensor<33xi32>
  %b = stablehlo.subtract %a, %y : tensor<33xi32>
  %0 = chlo.mulhi %a, %b : tensor<33xi32>, tensor<33xi32> -> tensor<33xi32>
  %m = stablehlo.constant dense<4123456789> : tensor<33xui32>
  %c = stablehlo.multiply %u, %m : tensor<33xui32>
  %1 = chlo.mulhi %c, %m : tensor<33xui32>, tensor<33xui32> -> tensor<33xui32>
  %2 = chlo.mulhi %s, %s : tensor<33xi16>, tensor<33xi16> -> tensor<33xi16>
  return %0, %1, %2 : tensor<33xi32>, tensor<33xui32>, tensor<33xi16>
}
// -----
// Quantized: per tensor, per axis, hybrid, in a reducer.
func.func @main(%x: tensor<5x8xf32>, %y: tensor<5x8xf32>, %w: tensor<8x4xi8>) -> (tensor<5x8xf32>, tensor<5x4xf32>, tensor<5xf32>, tensor<5x8xi8>) {
  %0 = stablehlo.uniform_quantize %x : (tensor<5x8xf32>) -> tensor<5x8x!quant.uniform<i8:f32, 0.0625:-3>>
  %1 = stablehlo.uniform_quantize %y : (tensor<5x8xf32>) -> tensor<5x8x!quant.uniform<i8:f32, 0.03125:5>>
  %2 = stablehlo.add %0, %1 : (tensor<5x8x!quant.uniform<i8:f32, 0.0625:-3>>, tensor<5x8x!quant.uniform<i8:f32, 0.03125:5>>) -> tensor<5x8x!quant.uniform<i8:f32, 0.125:2>>
  %3 = stablehlo.uniform_dequantize %2 : (tensor<5x8x!quant.uniform<i8:f32, 0.125:2>>) -> tensor<5x8xf32>
  %4 = stablehlo.bitcast_convert %w : (tensor<8x4xi8>) -> tensor<8x4x!quant.uniform<i8:f32:1, {0.5, 0.25:1, 1.0:-2, 0.125}>>
  %5 = stablehlo.dot_general %x, %4, contracting_dims = [1] x [0] : (tensor<5x8xf32>, tensor<8x4x!quant.uniform<i8:f32:1, {0.5, 0.25:1, 1.0:-2, 0.125}>>) -> tensor<5x4xf32>
  %z = stablehlo.constant dense<-3> : tensor<i8>
  %q = stablehlo.bitcast_convert %z : (tensor<i8>) -> tensor<!quant.uniform<i8:f32, 0.0625:-3>>
  %6 = stablehlo.reduce(%0 init: %q) applies stablehlo.maximum across dimensions = [1] : (tensor<5x8x!quant.uniform<i8:f32, 0.0625:-3>>, tensor<!quant.uniform<i8:f32, 0.0625:-3>>) -> tensor<5x!quant.uniform<i8:f32, 0.0625:-3>>
  %7 = stablehlo.uniform_dequantize %6 : (tensor<5x!quant.uniform<i8:f32, 0.0625:-3>>) -> tensor<5xf32>
  %8 = stablehlo.bitcast_convert %2 : (tensor<5x8x!quant.uniform<i8:f32, 0.125:2>>) -> tensor<5x8xi8>
  return %3, %5, %7, %8 : tensor<5x8xf32>, tensor<5x4xf32>, tensor<5xf32>, tensor<5x8xi8>
}
// -----
func.func @main(%x: tensor<40xcomplex<f32>>, %y: tensor<40xcomplex<f32>>) -> (tensor<40xi1>, tensor<40xi1>) {
  %r = stablehlo.real %x : (tensor<40xcomplex<f32>>) -> tensor<40xf32>
  %i = stablehlo.imag %y : (tensor<40xcomplex<f32>>) -> tensor<40xf32>
  %z = stablehlo.complex %r, %i : tensor<40xcomplex<f32>>
  %0 = stablehlo.compare LE, %x, %z : (tensor<40xcomplex<f32>>, tensor<40xcomplex<f32>>) -> tensor<40xi1>
  %1 = stablehlo.compare GT, %x, %y : (tensor<40xcomplex<f32>>, tensor<40xcomplex<f32>>) -> tensor<40xi1>
  return %0, %1 : tensor<40xi1>, tensor<40xi1>
}
