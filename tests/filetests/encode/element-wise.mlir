// RUN: lower, assign-engines, schedule, place, synchronise, encode, check-sync
// OPTIONS: target=inf2
// EVAL: atol=1e-6 rtol=1e-5
func.func public @main(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = stablehlo.broadcast_in_dim %b, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %1 = stablehlo.add %x, %0 : tensor<4x8xf32>
  %2 = stablehlo.tanh %1 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}
// OUT:
// "isa.program"() ({
//   "isa.var"() {sym_name = "input0", kind = "input", index = 0, bytes = 128} : () -> ()
//   "isa.var"() {sym_name = "input1", kind = "input", index = 1, bytes = 32} : () -> ()
//   "isa.var"() {sym_name = "output0", kind = "output", index = 0, bytes = 128} : () -> ()
//   "isa.input"() {sym_name = "input0", dtype = f32, shape = [4, 8]} : () -> ()
//   "isa.input"() {sym_name = "input1", dtype = f32, shape = [8]} : () -> ()
//   "isa.output"() {sym_name = "output0", dtype = f32, shape = [4, 8]} : () -> ()
//   "isa.queue"() {sym_name = "qSyncIO0", owner = "sync"} : () -> ()
//   "isa.queue"() {sym_name = "qGpSimdIO0", owner = "gpsimd"} : () -> ()
//   "isa.transfer"() {queue = 0, semaphore = 10, elements = [#isa.dma<"copy", #isa.access<@input0, 0, f32, [4], [32]>, #isa.access<"sbuf", 0, f32, [196608], [32]>>]} : () -> ()
//   "isa.transfer"() {queue = 0, semaphore = 11, elements = [#isa.dma<"copy", #isa.access<@input1, 0, f32, [0, 4], [4, 8]>, #isa.access<"sbuf", 32, f32, [196608], [32]>>]} : () -> ()
//   "isa.transfer"() {queue = 1, semaphore = 12, elements = [#isa.dma<"copy", #isa.access<"sbuf", 64, f32, [196608], [32]>, #isa.access<@output0, 0, f32, [4], [32]>>]} : () -> ()
//   "isa.stream"() ({
//     "vector.yield"() : () -> ()
//   }) {engine = "tensor"} : () -> ()
//   "isa.stream"() ({
//     "vector.yield"() : () -> ()
//   }) {engine = "vector"} : () -> ()
//   "isa.stream"() ({
//     "isa.act_table_load"() {set = 3} : () -> ()
//     "isa.event_semaphore"() {wait = #isa.wait<11, 16>} : () -> ()
//     "isa.activation"() {dst = #isa.ap<"sbuf", 0, 32, 64, f32, [], []>, src = #isa.ap<"sbuf", 0, 32, 0, f32, [], []>, func = "tanh", scale = 1.000000e+00 : f32, bias = #isa.ap<"sbuf", 0, 32, 32, f32, [], []>, wait = #isa.wait<10, 16>, update = #isa.update<2, "add", 1, "complete">} : () -> ()
//     "vector.yield"() : () -> ()
//   }) {engine = "scalar"} : () -> ()
//   "isa.stream"() ({
//     "isa.dma_trigger"() {transfer = 2, wait = #isa.wait<2, 1>} : () -> ()
//     "vector.yield"() : () -> ()
//   }) {engine = "gpsimd"} : () -> ()
//   "isa.stream"() ({
//     "isa.dma_trigger"() {transfer = 0} : () -> ()
//     "isa.dma_trigger"() {transfer = 1} : () -> ()
//     "isa.event_semaphore"() {wait = #isa.wait<12, 16>} : () -> ()
//     "isa.event_semaphore_range_clear"() {first = 0, count = 13} : () -> ()
//     "vector.yield"() : () -> ()
//   }) {engine = "sync"} : () -> ()
//   "vector.yield"() : () -> ()
// }) {target = "inf2", model_flops = 0} : () -> ()
