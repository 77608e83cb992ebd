// RUN: lower, assign-engines, schedule{lookahead=64, load-lookahead=128}
// OPTIONS: target=inf2
// EVAL: atol=1e-4 rtol=1e-4
func.func public @main(%x: tensor<8x32xf32>, %w: tensor<32x16xf32>) -> tensor<8x16xf32> {
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<8x32xf32>, tensor<32x16xf32>) -> tensor<8x16xf32>
  %1 = stablehlo.exponential %0 : tensor<8x16xf32>
  return %1 : tensor<8x16xf32>
}
// OUT:
// "tile.program"() ({
//   %b0 = "tile.buffer"() {name = "input0", kind = "input", index = 0, bytes = 1024} : () -> !tile.memory
//   %b1 = "tile.buffer"() {name = "input1", kind = "input", index = 1, bytes = 2048} : () -> !tile.memory
//   %b2 = "tile.buffer"() {name = "output0", kind = "output", index = 0, bytes = 512} : () -> !tile.memory
//   %t0 = "tile.tile"() {name = "dot", space = "psum", partitions = 8, bytes = 64} : () -> !tile.memory
//   %t1 = "tile.tile"() {name = "transposed", space = "sbuf", partitions = 32, bytes = 32} : () -> !tile.memory
//   %t2 = "tile.tile"() {name = "ones", space = "sbuf", partitions = 128, bytes = 512} : () -> !tile.memory
//   %t3 = "tile.tile"() {name = "identity", space = "sbuf", partitions = 128, bytes = 512} : () -> !tile.memory
//   %t4 = "tile.tile"() {name = "transpose", space = "psum", partitions = 32, bytes = 32} : () -> !tile.memory
//   %t5 = "tile.tile"() {name = "load", space = "sbuf", partitions = 8, bytes = 128} : () -> !tile.memory
//   %t6 = "tile.tile"() {name = "load", space = "sbuf", partitions = 32, bytes = 64} : () -> !tile.memory
//   %t7 = "tile.tile"() {name = "value", space = "sbuf", partitions = 8, bytes = 64} : () -> !tile.memory
//   "tile.input"() {sym_name = "input0", dtype = f32, shape = [8, 32]} : () -> ()
//   "tile.input"() {sym_name = "input1", dtype = f32, shape = [32, 16]} : () -> ()
//   "tile.output"() {sym_name = "output0", dtype = f32, shape = [8, 16]} : () -> ()
//   "tile.memset"(%t2) {dst = #tile.view<0, 0, 128, 0, f32, [1], [128]>, bits = 1065353216, engine = "vector"} : (!tile.memory) -> ()
//   "tile.dma_copy"(%b0, %t5) {pieces = [#tile.dma<"copy", #tile.access<0, 0, f32, [4], [256]>, #tile.view<1, 0, 8, 0, f32, [1], [32]>>], engine = "sync"} : (!tile.memory, !tile.memory) -> ()
//   "tile.dma_copy"(%b1, %t6) {pieces = [#tile.dma<"copy", #tile.access<0, 0, f32, [4], [512]>, #tile.view<1, 0, 32, 0, f32, [1], [16]>>], engine = "sync"} : (!tile.memory, !tile.memory) -> ()
//   "tile.affine_select"(%t3, %t2) {dst = #tile.view<0, 0, 128, 0, f32, [1], [128]>, src = #tile.view<1, 0, 128, 0, f32, [1], [128]>, base = 0, channel_multiplier = 1, steps = [-1], compare = "is_equal", fill = 0, engine = "gpsimd"} : (!tile.memory, !tile.memory) -> ()
//   "tile.nc_matmul"(%t4, %t5, %t3) {dst = #tile.view<0, 0, 32, 0, f32, [1], [8]>, stationary = #tile.view<1, 0, 8, 0, f32, [1], [32]>, moving = #tile.view<2, 0, 8, 0, f32, [1], [8]>, engine = "tensor"} : (!tile.memory, !tile.memory, !tile.memory) -> ()
//   "tile.activation"(%t1, %t4) {dst = #tile.view<0, 0, 32, 0, f32, [1], [8]>, src = #tile.view<1, 0, 32, 0, f32, [1], [8]>, func = "copy", scale = 1.000000e+00 : f32, bias = 0.000000e+00 : f32, engine = "scalar"} : (!tile.memory, !tile.memory) -> ()
//   "tile.nc_matmul"(%t0, %t1, %t6) {dst = #tile.view<0, 0, 8, 0, f32, [1], [16]>, stationary = #tile.view<1, 0, 32, 0, f32, [1], [8]>, moving = #tile.view<2, 0, 32, 0, f32, [1], [16]>, engine = "tensor"} : (!tile.memory, !tile.memory, !tile.memory) -> ()
//   "tile.activation"(%t7, %t0) {dst = #tile.view<0, 0, 8, 0, f32, [1], [16]>, src = #tile.view<1, 0, 8, 0, f32, [1], [16]>, func = "exp", scale = 1.000000e+00 : f32, bias = 0.000000e+00 : f32, engine = "scalar"} : (!tile.memory, !tile.memory) -> ()
//   "tile.dma_copy"(%t7, %b2) {pieces = [#tile.dma<"copy", #tile.view<0, 0, 8, 0, f32, [1], [16]>, #tile.access<1, 0, f32, [4], [128]>>], engine = "gpsimd"} : (!tile.memory, !tile.memory) -> ()
//   "vector.yield"() : () -> ()
// }) {model_flops = 0} : () -> ()
