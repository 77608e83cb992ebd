// RUN: lower, assign-engines, place, check-placement
// OPTIONS: target=inf2
// EVAL: atol=1e-6 rtol=1e-5
func.func public @main(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %1 = stablehlo.add %x, %0 : tensor<4x8xf32>
  %2 = stablehlo.tanh %1 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}
// OUT:
// "tile.program"() ({
//   %b0 = "tile.buffer"() {name = "input0", kind = "input", index = 0, bytes = 128} : () -> !tile.memory
//   %b1 = "tile.buffer"() {name = "input1", kind = "input", index = 1, bytes = 32} : () -> !tile.memory
//   %b2 = "tile.buffer"() {name = "output0", kind = "output", index = 0, bytes = 128} : () -> !tile.memory
//   %t0 = "tile.tile"() {name = "load", space = "sbuf", partitions = 32, bytes = 4} : () -> !tile.memory
//   %t1 = "tile.tile"() {name = "load", space = "sbuf", partitions = 32, bytes = 4} : () -> !tile.memory
//   %t2 = "tile.tile"() {name = "value", space = "sbuf", partitions = 32, bytes = 4} : () -> !tile.memory
//   %t3 = "tile.tile"() {name = "value", space = "sbuf", partitions = 32, bytes = 4} : () -> !tile.memory
//   "tile.input"() {sym_name = "input0", dtype = f32, shape = [4, 8]} : () -> ()
//   "tile.input"() {sym_name = "input1", dtype = f32, shape = [8]} : () -> ()
//   "tile.output"() {sym_name = "output0", dtype = f32, shape = [4, 8]} : () -> ()
//   "tile.dma_copy"(%b0, %t0) {pieces = [#tile.dma<"copy", #tile.access<0, 0, f32, [4], [32]>, #tile.view<1, 0, 32, 0, f32, [], []>>], engine = "sync"} : (!tile.memory, !tile.memory) -> ()
//   "tile.dma_copy"(%b1, %t1) {pieces = [#tile.dma<"copy", #tile.access<0, 0, f32, [0, 4], [4, 8]>, #tile.view<1, 0, 32, 0, f32, [], []>>], engine = "sync"} : (!tile.memory, !tile.memory) -> ()
//   "tile.activation"(%t3, %t0, %t1) {dst = #tile.view<0, 0, 32, 0, f32, [], []>, src = #tile.view<1, 0, 32, 0, f32, [], []>, func = "tanh", scale = 1.000000e+00 : f32, bias = #tile.view<2, 0, 32, 0, f32, [], []>, engine = "scalar"} : (!tile.memory, !tile.memory, !tile.memory) -> ()
//   "tile.dma_copy"(%t3, %b2) {pieces = [#tile.dma<"copy", #tile.view<0, 0, 32, 0, f32, [], []>, #tile.access<1, 0, f32, [4], [32]>>], engine = "gpsimd"} : (!tile.memory, !tile.memory) -> ()
//   "vector.yield"() : () -> ()
// }) {model_flops = 0} : () -> ()
// // placement: byte offset in each partition
// //   %t0: sbuf 0
// //   %t1: sbuf 32
// //   %t2: sbuf 0
// //   %t3: sbuf 64
// //   scratch in HBM: 0 bytes
