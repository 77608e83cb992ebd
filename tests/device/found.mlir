// Found by random programs. Infinities of a type that engines store with saturation, in a reduction and in data that moves.
func.func @main(%x: tensor<200x3xf8E4M3>, %y: tensor<30x3x3xf8E4M3>) -> (tensor<200xf8E4M3>, tensor<30x3x3xf8E4M3>) {
  %least = stablehlo.constant dense<0xF8> : tensor<f8E4M3>
  %0 = stablehlo.reduce(%x init: %least) applies stablehlo.maximum across dimensions = [1] : (tensor<200x3xf8E4M3>, tensor<f8E4M3>) -> tensor<200xf8E4M3>
  %i = stablehlo.constant dense<[[-3], [4], [3]]> : tensor<3x1xi32>
  %u = stablehlo.constant dense<0x78> : tensor<3x3x3xf8E4M3>
  %1 = "stablehlo.scatter"(%y, %i, %u) ({
  ^bb0(%a: tensor<f8E4M3>, %b: tensor<f8E4M3>):
    stablehlo.return %b : tensor<f8E4M3>
  }) {scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1, 2], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>} : (tensor<30x3x3xf8E4M3>, tensor<3x1xi32>, tensor<3x3x3xf8E4M3>) -> tensor<30x3x3xf8E4M3>
  return %0, %1 : tensor<200xf8E4M3>, tensor<30x3x3xf8E4M3>
}
// -----
// Integers by way of floats: what does not fit saturates, and does not wrap.
func.func @main(%x: tensor<129x16xi4>, %y: tensor<7x5xi16>) -> (tensor<129x16xui4>, tensor<7x5xui8>) {
  %0 = stablehlo.convert %x : (tensor<129x16xi4>) -> tensor<129x16xbf16>
  %1 = stablehlo.convert %0 : (tensor<129x16xbf16>) -> tensor<129x16xui4>
  %2 = stablehlo.convert %y : (tensor<7x5xi16>) -> tensor<7x5xf32>
  %3 = stablehlo.convert %2 : (tensor<7x5xf32>) -> tensor<7x5xui8>
  return %1, %3 : tensor<129x16xui4>, tensor<7x5xui8>
}
// -----
// One row of a block of several, repeated on all partitions.
func.func @main(%x: tensor<4x300xf32>, %i: tensor<130x1xi32>) -> tensor<4x300xf32> {
  %u = stablehlo.constant dense<-0.5> : tensor<130x300xf32>
  %0 = "stablehlo.scatter"(%x, %i, %u) ({
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %m = stablehlo.maximum %a, %b : tensor<f32>
    stablehlo.return %m : tensor<f32>
  }) {scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>} : (tensor<4x300xf32>, tensor<130x1xi32>, tensor<130x300xf32>) -> tensor<4x300xf32>
  return %0 : tensor<4x300xf32>
}
// -----
// Updates that come from the operand.
func.func @main(%x: tensor<130x31x3xui16>, %i: tensor<130x1xi32>) -> tensor<130x31x3xf32> {
  %0 = stablehlo.convert %x : (tensor<130x31x3xui16>) -> tensor<130x31x3xbf16>
  %1 = "stablehlo.scatter"(%0, %i, %0) ({
  ^bb0(%a: tensor<bf16>, %b: tensor<bf16>):
    stablehlo.return %b : tensor<bf16>
  }) {scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1, 2], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>} : (tensor<130x31x3xbf16>, tensor<130x1xi32>, tensor<130x31x3xbf16>) -> tensor<130x31x3xbf16>
  %2 = stablehlo.convert %1 : (tensor<130x31x3xbf16>) -> tensor<130x31x3xf32>
  return %2 : tensor<130x31x3xf32>
}
// -----
// The second contraction reads what the first leaves batch by batch.
func.func @main(%x: tensor<7x127x2xui8>, %w: tensor<7x17x1xui8>) -> (tensor<7x127x1xui8>, tensor<7x127x17xui8>) {
  %one = stablehlo.constant dense<1> : tensor<7x1x2xui8>
  %0 = stablehlo.dot_general %x, %one, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<7x127x2xui8>, tensor<7x1x2xui8>) -> tensor<7x127x1xui8>
  %1 = stablehlo.dot_general %0, %w, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<7x127x1xui8>, tensor<7x17x1xui8>) -> tensor<7x127x17xui8>
  return %0, %1 : tensor<7x127x1xui8>, tensor<7x127x17xui8>
}
