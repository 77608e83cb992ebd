// Movement: ranks to 8, negative and interior padding, empty tensors.
func.func @main(%x: tensor<2x1x3x2x1x2x3x2xf32>, %s: tensor<f32>, %z: tensor<5x37xcomplex<f32>>, %c: tensor<complex<f32>>) -> (tensor<2x3x2x1x2x3x1x2xf32>, tensor<2x1x2x2x3x2x1x2xf32>, tensor<1x1x1xf32>, tensor<10x183xcomplex<f32>>) {
  %0 = stablehlo.transpose %x, dims = [7, 6, 5, 4, 3, 2, 1, 0] : (tensor<2x1x3x2x1x2x3x2xf32>) -> tensor<2x3x2x1x2x3x1x2xf32>
  %p = stablehlo.slice %x [0:2, 0:1, 0:3:2, 0:2, 0:1, 0:2, 0:3, 0:2] : (tensor<2x1x3x2x1x2x3x2xf32>) -> tensor<2x1x2x2x1x2x3x2xf32>
  %1 = stablehlo.transpose %p, dims = [0, 1, 2, 3, 6, 5, 4, 7] : (tensor<2x1x2x2x1x2x3x2xf32>) -> tensor<2x1x2x2x3x2x1x2xf32>
  %2 = stablehlo.broadcast_in_dim %s, dims = [] : (tensor<f32>) -> tensor<1x1x1xf32>
  %3 = stablehlo.pad %z, %c, low = [-1, 3], high = [2, -1], interior = [1, 4] : (tensor<5x37xcomplex<f32>>, tensor<complex<f32>>) -> tensor<10x183xcomplex<f32>>
  return %0, %1, %2, %3 : tensor<2x3x2x1x2x3x1x2xf32>, tensor<2x1x2x2x3x2x1x2xf32>, tensor<1x1x1xf32>, tensor<10x183xcomplex<f32>>
}
// -----
func.func @main(%x: tensor<3x130xcomplex<f32>>, %c: tensor<complex<f32>>, %y: tensor<129x5xi8>, %d: tensor<i8>) -> (tensor<7x1291xcomplex<f32>>, tensor<642x15xi8>) {
  %0 = stablehlo.pad %x, %c, low = [1, 0], high = [1, 0], interior = [1, 9] : (tensor<3x130xcomplex<f32>>, tensor<complex<f32>>) -> tensor<7x1291xcomplex<f32>>
  %1 = stablehlo.pad %y, %d, low = [0, 1], high = [1, 1], interior = [4, 2] : (tensor<129x5xi8>, tensor<i8>) -> tensor<642x15xi8>
  return %0, %1 : tensor<7x1291xcomplex<f32>>, tensor<642x15xi8>
}
// -----
func.func @main(%x: tensor<0x4xf32>, %y: tensor<4x0xf32>, %z: tensor<3x0xi32>, %w: tensor<3x2xi32>) -> (tensor<0x0xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<3x2xi32>, tensor<0x4xf32>, tensor<3xi32>) {
  %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<0x4xf32>, tensor<4x0xf32>) -> tensor<0x0xf32>
  %1 = stablehlo.dot_general %y, %x, contracting_dims = [1] x [0] : (tensor<4x0xf32>, tensor<0x4xf32>) -> tensor<4x4xf32>
  %c = stablehlo.constant dense<1.5> : tensor<f32>
  %d = stablehlo.constant dense<7> : tensor<i32>
  %2 = stablehlo.reduce(%x init: %c) applies stablehlo.add across dimensions = [0] : (tensor<0x4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = stablehlo.concatenate %z, %w, dim = 1 : (tensor<3x0xi32>, tensor<3x2xi32>) -> tensor<3x2xi32>
  %4 = stablehlo.exponential %x : tensor<0x4xf32>
  %5 = stablehlo.reduce(%z init: %d) applies stablehlo.maximum across dimensions = [1] : (tensor<3x0xi32>, tensor<i32>) -> tensor<3xi32>
  return %0, %1, %2, %3, %4, %5 : tensor<0x0xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<3x2xi32>, tensor<0x4xf32>, tensor<3xi32>
}
// -----
func.func @main(%x: tensor<i1>, %y: tensor<3xui8>) -> (tensor<3xcomplex<f32>>, tensor<2x3xbf16>, tensor<1000xui16>, tensor<3x2xi1>, tensor<3xui8>) {
  %0 = stablehlo.iota dim = 0 : tensor<3xcomplex<f32>>
  %1 = stablehlo.iota dim = 1 : tensor<2x3xbf16>
  %2 = stablehlo.iota dim = 0 : tensor<1000xui16>
  %3 = stablehlo.broadcast_in_dim %x, dims = [] : (tensor<i1>) -> tensor<3x2xi1>
  %4 = stablehlo.reverse %y, dims = [0] : tensor<3xui8>
  return %0, %1, %2, %3, %4 : tensor<3xcomplex<f32>>, tensor<2x3xbf16>, tensor<1000xui16>, tensor<3x2xi1>, tensor<3xui8>
}
// -----
// Bits of one type as another, of any widths.
func.func @main(%a: tensor<5xf32>, %b: tensor<5x2xbf16>, %c: tensor<3x4xui8>, %d: tensor<4xi64>, %e: tensor<3xf16>, %f: tensor<2x2xui32>) -> (tensor<5x4xi8>, tensor<5xui32>, tensor<3xf32>, tensor<4x2xi32>, tensor<3x2xui8>, tensor<2xi64>, tensor<5x2xi16>, tensor<3xi16>) {
  %0 = stablehlo.bitcast_convert %a : (tensor<5xf32>) -> tensor<5x4xi8>
  %1 = stablehlo.bitcast_convert %b : (tensor<5x2xbf16>) -> tensor<5xui32>
  %n = stablehlo.constant dense<[0, 0, 128, 63]> : tensor<4xui8>
  %m = stablehlo.broadcast_in_dim %n, dims = [1] : (tensor<4xui8>) -> tensor<3x4xui8>
  %o = stablehlo.or %c, %m : tensor<3x4xui8>
  %2 = stablehlo.bitcast_convert %o : (tensor<3x4xui8>) -> tensor<3xf32>
  %3 = stablehlo.bitcast_convert %d : (tensor<4xi64>) -> tensor<4x2xi32>
  %4 = stablehlo.bitcast_convert %e : (tensor<3xf16>) -> tensor<3x2xui8>
  %5 = stablehlo.bitcast_convert %f : (tensor<2x2xui32>) -> tensor<2xi64>
  %6 = stablehlo.bitcast_convert %a : (tensor<5xf32>) -> tensor<5x2xi16>
  %7 = stablehlo.bitcast_convert %e : (tensor<3xf16>) -> tensor<3xi16>
  return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<5x4xi8>, tensor<5xui32>, tensor<3xf32>, tensor<4x2xi32>, tensor<3x2xui8>, tensor<2xi64>, tensor<5x2xi16>, tensor<3xi16>
}
// -----
func.func @main(%a: tensor<3x2xi4>, %b: tensor<4xi8>, %c: tensor<2x4xui4>) -> (tensor<3xi8>, tensor<4x2xi4>, tensor<2xui16>) {
  %0 = stablehlo.bitcast_convert %a : (tensor<3x2xi4>) -> tensor<3xi8>
  %1 = stablehlo.bitcast_convert %b : (tensor<4xi8>) -> tensor<4x2xi4>
  %2 = stablehlo.bitcast_convert %c : (tensor<2x4xui4>) -> tensor<2xui16>
  return %0, %1, %2 : tensor<3xi8>, tensor<4x2xi4>, tensor<2xui16>
}
// -----
// Eight-bit floats keep their infinities and NaN where they are only chosen.
func.func @main(%a: tensor<130x2xf8E4M3>, %b: tensor<130x2xf8E4M3>, %p: tensor<130x2xi1>, %c: tensor<130x2xf8E5M2>) -> (tensor<130x2xf8E4M3>, tensor<130x2xf8E4M3>, tensor<130x2xf32>) {
  %0 = stablehlo.select %p, %a, %b : tensor<130x2xi1>, tensor<130x2xf8E4M3>
  %k = stablehlo.constant dense<0x78> : tensor<130x2xf8E4M3>
  %1 = stablehlo.select %p, %k, %0 : tensor<130x2xi1>, tensor<130x2xf8E4M3>
  %2 = stablehlo.convert %c : (tensor<130x2xf8E5M2>) -> tensor<130x2xf32>
  return %0, %1, %2 : tensor<130x2xf8E4M3>, tensor<130x2xf8E4M3>, tensor<130x2xf32>
}
// -----
// Truth values multiplied and added.
func.func @main(%a: tensor<1x3x4xi1>, %b: tensor<1x4x3xi1>) -> (tensor<1xi32>, tensor<1x3x3xi32>, tensor<1x3xi32>) {
  %0 = stablehlo.dot_general %a, %b, batching_dims = [0] x [0], contracting_dims = [2, 1] x [1, 2] : (tensor<1x3x4xi1>, tensor<1x4x3xi1>) -> tensor<1xi1>
  %1 = stablehlo.dot_general %a, %b, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<1x3x4xi1>, tensor<1x4x3xi1>) -> tensor<1x3x3xi1>
  %f = stablehlo.constant dense<false> : tensor<i1>
  %2 = stablehlo.reduce(%a init: %f) applies stablehlo.add across dimensions = [2] : (tensor<1x3x4xi1>, tensor<i1>) -> tensor<1x3xi1>
  %3 = stablehlo.convert %0 : (tensor<1xi1>) -> tensor<1xi32>
  %4 = stablehlo.convert %1 : (tensor<1x3x3xi1>) -> tensor<1x3x3xi32>
  %5 = stablehlo.convert %2 : (tensor<1x3xi1>) -> tensor<1x3xi32>
  return %3, %4, %5 : tensor<1xi32>, tensor<1x3x3xi32>, tensor<1x3xi32>
}
// -----
// Functions of complex numbers.
func.func @main(%x: tensor<7x20xcomplex<f32>>, %y: tensor<7x20xcomplex<f32>>) -> (tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>) {
  %0 = chlo.sinh %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %1 = chlo.cosh %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %2 = chlo.asin %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %3 = chlo.acos %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %4 = chlo.atan %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %5 = chlo.asinh %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %6 = chlo.acosh %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %7 = chlo.atanh %x : tensor<7x20xcomplex<f32>> -> tensor<7x20xcomplex<f32>>
  %8 = stablehlo.cbrt %x : tensor<7x20xcomplex<f32>>
  %9 = stablehlo.atan2 %x, %y : tensor<7x20xcomplex<f32>>
  %10 = stablehlo.power %x, %y : tensor<7x20xcomplex<f32>>
  %11 = stablehlo.maximum %x, %y : tensor<7x20xcomplex<f32>>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11 : tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>
}
// -----
func.func @main(%x: tensor<7x20xcomplex<f32>>, %y: tensor<complex<f32>>) -> (tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>) {
  %0 = stablehlo.sqrt %x : tensor<7x20xcomplex<f32>>
  %1 = stablehlo.rsqrt %x : tensor<7x20xcomplex<f32>>
  %2 = stablehlo.exponential_minus_one %x : tensor<7x20xcomplex<f32>>
  %3 = stablehlo.log_plus_one %x : tensor<7x20xcomplex<f32>>
  %4 = stablehlo.tan %x : tensor<7x20xcomplex<f32>>
  %5 = stablehlo.logistic %x : tensor<7x20xcomplex<f32>>
  %6 = stablehlo.tanh %x : tensor<7x20xcomplex<f32>>
  %7 = stablehlo.sign %x : tensor<7x20xcomplex<f32>>
  %8 = stablehlo.log %x : tensor<7x20xcomplex<f32>>
  %i = stablehlo.constant dense<(-0.5, 9.0)> : tensor<complex<f32>>
  %9 = stablehlo.clamp %i, %x, %y : (tensor<complex<f32>>, tensor<7x20xcomplex<f32>>, tensor<complex<f32>>) -> tensor<7x20xcomplex<f32>>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9 : tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>, tensor<7x20xcomplex<f32>>
}
// -----
// Linear algebra: triangles of either side, transposed and adjoint, real and complex.
func.func @main(%r: tensor<2x4x4xf32>, %b: tensor<2x4x3xf32>, %d: tensor<2x3x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x4xf32>, tensor<2x4x3xf32>, tensor<2x3x4xf32>, tensor<2x4x3xf32>) {
  %e = stablehlo.constant dense<[[6.0, 0.0, 0.0, 0.0], [0.0, 7.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0], [0.0, 0.0, 0.0, 9.0]]> : tensor<4x4xf32>
  %f = stablehlo.broadcast_in_dim %e, dims = [1, 2] : (tensor<4x4xf32>) -> tensor<2x4x4xf32>
  %s = stablehlo.dot_general %r, %r, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<2x4x4xf32>, tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  %a = stablehlo.add %s, %f : tensor<2x4x4xf32>
  %0 = "stablehlo.cholesky"(%a) <{lower = true}> : (tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  %1 = "stablehlo.cholesky"(%a) <{lower = false}> : (tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  %2 = "stablehlo.triangular_solve"(%a, %b) <{left_side = true, lower = true, unit_diagonal = false, transpose_a = #stablehlo<transpose TRANSPOSE>}> : (tensor<2x4x4xf32>, tensor<2x4x3xf32>) -> tensor<2x4x3xf32>
  %3 = "stablehlo.triangular_solve"(%a, %d) <{left_side = false, lower = false, unit_diagonal = false, transpose_a = #stablehlo<transpose NO_TRANSPOSE>}> : (tensor<2x4x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %u = stablehlo.constant dense<0.1> : tensor<2x4x4xf32>
  %v = stablehlo.multiply %a, %u : tensor<2x4x4xf32>
  %4 = "stablehlo.triangular_solve"(%v, %b) <{left_side = true, lower = false, unit_diagonal = true, transpose_a = #stablehlo<transpose ADJOINT>}> : (tensor<2x4x4xf32>, tensor<2x4x3xf32>) -> tensor<2x4x3xf32>
  return %0, %1, %2, %3, %4 : tensor<2x4x4xf32>, tensor<2x4x4xf32>, tensor<2x4x3xf32>, tensor<2x3x4xf32>, tensor<2x4x3xf32>
}
// -----
func.func @main(%r: tensor<3x3xcomplex<f32>>, %b: tensor<3x2xcomplex<f32>>) -> (tensor<3x3xcomplex<f32>>, tensor<3x3xcomplex<f32>>, tensor<3x2xcomplex<f32>>, tensor<3x2xcomplex<f32>>) {
  %e = stablehlo.constant dense<[[(6.0, 0.0), (0.0, 0.0), (0.0, 0.0)], [(0.0, 0.0), (7.0, 0.0), (0.0, 0.0)], [(0.0, 0.0), (0.0, 0.0), (8.0, 0.0)]]> : tensor<3x3xcomplex<f32>>
  %re = stablehlo.real %r : (tensor<3x3xcomplex<f32>>) -> tensor<3x3xf32>
  %im = stablehlo.imag %r : (tensor<3x3xcomplex<f32>>) -> tensor<3x3xf32>
  %ni = stablehlo.negate %im : tensor<3x3xf32>
  %conj = stablehlo.complex %re, %ni : tensor<3x3xcomplex<f32>>
  %s = stablehlo.dot_general %r, %conj, contracting_dims = [1] x [1] : (tensor<3x3xcomplex<f32>>, tensor<3x3xcomplex<f32>>) -> tensor<3x3xcomplex<f32>>
  %a = stablehlo.add %s, %e : tensor<3x3xcomplex<f32>>
  %0 = "stablehlo.cholesky"(%a) <{lower = true}> : (tensor<3x3xcomplex<f32>>) -> tensor<3x3xcomplex<f32>>
  %1 = "stablehlo.cholesky"(%a) <{lower = false}> : (tensor<3x3xcomplex<f32>>) -> tensor<3x3xcomplex<f32>>
  %2 = "stablehlo.triangular_solve"(%a, %b) <{left_side = true, lower = true, unit_diagonal = false, transpose_a = #stablehlo<transpose ADJOINT>}> : (tensor<3x3xcomplex<f32>>, tensor<3x2xcomplex<f32>>) -> tensor<3x2xcomplex<f32>>
  %3 = "stablehlo.triangular_solve"(%a, %b) <{left_side = true, lower = false, unit_diagonal = false, transpose_a = #stablehlo<transpose NO_TRANSPOSE>}> : (tensor<3x3xcomplex<f32>>, tensor<3x2xcomplex<f32>>) -> tensor<3x2xcomplex<f32>>
  return %0, %1, %2, %3 : tensor<3x3xcomplex<f32>>, tensor<3x3xcomplex<f32>>, tensor<3x2xcomplex<f32>>, tensor<3x2xcomplex<f32>>
}
// -----
// Transforms of every kind, lengths with and without factors.
func.func @main(%x: tensor<2x9x5xcomplex<f32>>, %y: tensor<2x6x7xf32>, %z: tensor<2x6x4xcomplex<f32>>) -> (tensor<2x9x5xcomplex<f32>>, tensor<2x9x5xcomplex<f32>>, tensor<2x6x4xcomplex<f32>>, tensor<2x6x7xf32>) {
  %0 = stablehlo.fft %x, type = FFT, length = [2, 9, 5] : (tensor<2x9x5xcomplex<f32>>) -> tensor<2x9x5xcomplex<f32>>
  %1 = stablehlo.fft %x, type = IFFT, length = [5] : (tensor<2x9x5xcomplex<f32>>) -> tensor<2x9x5xcomplex<f32>>
  %2 = stablehlo.fft %y, type = RFFT, length = [6, 7] : (tensor<2x6x7xf32>) -> tensor<2x6x4xcomplex<f32>>
  %3 = stablehlo.fft %z, type = IRFFT, length = [6, 7] : (tensor<2x6x4xcomplex<f32>>) -> tensor<2x6x7xf32>
  return %0, %1, %2, %3 : tensor<2x9x5xcomplex<f32>>, tensor<2x9x5xcomplex<f32>>, tensor<2x6x4xcomplex<f32>>, tensor<2x6x7xf32>
}
// -----
// Random bits: the algorithms, the widths.
func.func @main(%s: tensor<2xui64>, %t: tensor<3xui64>) -> (tensor<2xui64>, tensor<5x3xui32>, tensor<7xui64>, tensor<9xui8>, tensor<5xui16>, tensor<3xui64>, tensor<6xui32>) {
  %0:2 = stablehlo.rng_bit_generator %s, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<5x3xui32>)
  %1:2 = stablehlo.rng_bit_generator %s, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<7xui64>)
  %2:2 = stablehlo.rng_bit_generator %s, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<9xui8>)
  %3:2 = stablehlo.rng_bit_generator %s, algorithm = THREE_FRY : (tensor<2xui64>) -> (tensor<2xui64>, tensor<5xui16>)
  %4:2 = stablehlo.rng_bit_generator %t, algorithm = PHILOX : (tensor<3xui64>) -> (tensor<3xui64>, tensor<6xui32>)
  return %0#0, %0#1, %1#1, %2#1, %3#1, %4#0, %4#1 : tensor<2xui64>, tensor<5x3xui32>, tensor<7xui64>, tensor<9xui8>, tensor<5xui16>, tensor<3xui64>, tensor<6xui32>
}
// -----
// Collectives of one device, and what it is called.
module attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func @main(%x: tensor<4x2xf32>) -> (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<ui32>, tensor<ui32>) {
    %0 = "stablehlo.all_reduce"(%x) <{replica_groups = dense<0> : tensor<1x1xi64>}> ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %1 = "stablehlo.all_gather"(%x) <{all_gather_dim = 0 : i64, replica_groups = dense<0> : tensor<1x1xi64>}> : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %2 = "stablehlo.all_to_all"(%x) <{split_dimension = 1 : i64, concat_dimension = 0 : i64, split_count = 1 : i64, replica_groups = dense<0> : tensor<1x1xi64>}> : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %3 = "stablehlo.reduce_scatter"(%x) <{scatter_dimension = 0 : i64, replica_groups = dense<0> : tensor<1x1xi64>}> ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %s = stablehlo.maximum %a, %b : tensor<f32>
      stablehlo.return %s : tensor<f32>
    }) : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %4 = "stablehlo.collective_permute"(%x) <{source_target_pairs = dense<0> : tensor<1x2xi64>}> : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %5 = "stablehlo.collective_broadcast"(%x) <{replica_groups = dense<0> : tensor<1x1xi64>}> : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %6 = stablehlo.replica_id : tensor<ui32>
    %7 = stablehlo.partition_id : tensor<ui32>
    return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<ui32>, tensor<ui32>
  }
}
// -----
// Convolutions: groups of either kind, both dilations, reversal, padding that removes.
func.func @main(%x: tensor<4x9x7x6xf32>, %k: tensor<3x2x3x4xf32>, %y: tensor<2x11x3xf32>, %l: tensor<4x3x5xf32>, %m: tensor<3x2x6x4xf32>) -> (tensor<4x8x6x4xf32>, tensor<2x9x5xf32>, tensor<2x7x6x4xf32>) {
  %0 = stablehlo.convolution(%x, %k) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [2, 1], pad = [[1, 2], [0, 0]], lhs_dilate = [2, 1], rhs_dilate = [1, 1], reverse = [true, false]} {batch_group_count = 1 : i64, feature_group_count = 2 : i64} : (tensor<4x9x7x6xf32>, tensor<3x2x3x4xf32>) -> tensor<4x9x6x4xf32>
  %s = stablehlo.slice %0 [0:4, 0:8, 0:6, 0:4] : (tensor<4x9x6x4xf32>) -> tensor<4x8x6x4xf32>
  %1 = stablehlo.convolution(%y, %l) dim_numbers = [b, 0, f]x[0, i, o]->[b, 0, f], window = {pad = [[-1, 5]], rhs_dilate = [2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x11x3xf32>, tensor<4x3x5xf32>) -> tensor<2x9x5xf32>
  %2 = stablehlo.convolution(%x, %m) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {} {batch_group_count = 2 : i64, feature_group_count = 1 : i64} : (tensor<4x9x7x6xf32>, tensor<3x2x6x4xf32>) -> tensor<2x7x6x4xf32>
  return %s, %1, %2 : tensor<4x8x6x4xf32>, tensor<2x9x5xf32>, tensor<2x7x6x4xf32>
}
// -----
// Older and dynamic forms, sizes known.
func.func @main(%x: tensor<3x4xf32>, %y: tensor<4x2xf32>, %i: tensor<2x2xi32>, %z: tensor<2x5xf32>, %v: tensor<3xf32>) -> (tensor<3x2xf32>, tensor<2x3x4xf32>, tensor<4x3xf32>, tensor<3x2x2xf32>, tensor<2x6xf32>, tensor<6x2xf32>, tensor<3x3xi32>, tensor<i32>, tensor<3x3xf32>) {
  %0 = stablehlo.dot %x, %y : (tensor<3x4xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
  %1 = stablehlo.broadcast %x, sizes = [2] : (tensor<3x4xf32>) -> tensor<2x3x4xf32>
  %2 = stablehlo.unary_einsum %x, config = "ij->ji" : (tensor<3x4xf32>) -> tensor<4x3xf32>
  %3 = "stablehlo.torch_index_select"(%x, %i) <{dim = 1 : i64, batch_dims = 0 : i64}> : (tensor<3x4xf32>, tensor<2x2xi32>) -> tensor<3x2x2xf32>
  %a = stablehlo.constant dense<[0, 1]> : tensor<2xi64>
  %b = stablehlo.constant dense<[0, 0]> : tensor<2xi64>
  %c = stablehlo.constant dense<0.5> : tensor<f32>
  %4 = stablehlo.dynamic_pad %z, %c, %a, %b, %b : (tensor<2x5xf32>, tensor<f32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x6xf32>
  %d = stablehlo.constant dense<[6, 2]> : tensor<2xi64>
  %5 = stablehlo.dynamic_reshape %x, %d : (tensor<3x4xf32>, tensor<2xi64>) -> tensor<6x2xf32>
  %e = stablehlo.constant dense<[3, 3]> : tensor<2xi64>
  %6 = stablehlo.dynamic_iota %e, dim = 1 : (tensor<2xi64>) -> tensor<3x3xi32>
  %7 = stablehlo.get_dimension_size %x, dim = 1 : (tensor<3x4xf32>) -> tensor<i32>
  %8 = stablehlo.dynamic_broadcast_in_dim %v, %e, dims = [1] : (tensor<3xf32>, tensor<2xi64>) -> tensor<3x3xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8 : tensor<3x2xf32>, tensor<2x3x4xf32>, tensor<4x3xf32>, tensor<3x2x2xf32>, tensor<2x6xf32>, tensor<6x2xf32>, tensor<3x3xi32>, tensor<i32>, tensor<3x3xf32>
}
// -----
func.func @main(%x: tensor<2x3x2x2xf32>, %s: tensor<2xf32>, %o: tensor<2xf32>, %m: tensor<2xf32>, %g: tensor<2x3x2x2xf32>) -> (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %v = stablehlo.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %0:3 = "stablehlo.batch_norm_training"(%x, %s, %o) <{epsilon = 1.0e-3 : f32, feature_index = 2 : i64}> : (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>)
  %1 = "stablehlo.batch_norm_inference"(%x, %s, %o, %m, %v) <{epsilon = 1.0e-3 : f32, feature_index = 3 : i64}> : (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x3x2x2xf32>
  %2:3 = "stablehlo.batch_norm_grad"(%x, %s, %m, %v, %g) <{epsilon = 1.0e-3 : f32, feature_index = 0 : i64}> : (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x3x2x2xf32>) -> (tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>)
  return %0#0, %0#1, %0#2, %1, %2#0, %2#1, %2#2 : tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>, tensor<2xf32>, tensor<2xf32>
}
// -----
// Neighbours in the type itself.
func.func @main(%x: tensor<40xbf16>, %y: tensor<40xbf16>, %z: tensor<40xf16>, %w: tensor<40xf16>) -> (tensor<40xbf16>, tensor<40xf16>) {
  %0 = chlo.next_after %x, %y : tensor<40xbf16>, tensor<40xbf16> -> tensor<40xbf16>
  %1 = chlo.next_after %z, %w : tensor<40xf16>, tensor<40xf16> -> tensor<40xf16>
  return %0, %1 : tensor<40xbf16>, tensor<40xf16>
}
// -----
// 64-bit values within 32 bits.
func.func @main(%x: tensor<3x5xi64>, %y: tensor<3x5xi64>, %u: tensor<4xui64>, %f: tensor<4xf64>) -> (tensor<3x5xi64>, tensor<3x5xi64>, tensor<3x5xi1>, tensor<3xi64>, tensor<4xui64>, tensor<4xf64>, tensor<4xf64>, tensor<3x5xi64>) {
  %0 = stablehlo.multiply %x, %y : tensor<3x5xi64>
  %1 = stablehlo.negate %x : tensor<3x5xi64>
  %2 = stablehlo.compare LT, %x, %y, SIGNED : (tensor<3x5xi64>, tensor<3x5xi64>) -> tensor<3x5xi1>
  %c = stablehlo.constant dense<-9223372036854775808> : tensor<i64>
  %3 = stablehlo.reduce(%x init: %c) applies stablehlo.maximum across dimensions = [1] : (tensor<3x5xi64>, tensor<i64>) -> tensor<3xi64>
  %4 = stablehlo.add %u, %u : tensor<4xui64>
  %5 = stablehlo.multiply %f, %f : tensor<4xf64>
  %6 = stablehlo.cosine %f : tensor<4xf64>
  %7 = stablehlo.shift_right_arithmetic %x, %y : tensor<3x5xi64>
  return %0, %1, %2, %3, %4, %5, %6, %7 : tensor<3x5xi64>, tensor<3x5xi64>, tensor<3x5xi1>, tensor<3xi64>, tensor<4xui64>, tensor<4xf64>, tensor<4xf64>, tensor<3x5xi64>
}
// -----
// Bits of 64 counted; groups of a ragged dimension; the parts of many complex numbers.
func.func @main(%x: tensor<2x3xi64>, %l: tensor<11x5xf32>, %w: tensor<3x5x7xf32>, %r: tensor<11x4xf32>, %z: tensor<20x300xcomplex<f32>>, %c: tensor<complex<f32>>) -> (tensor<2x3xi64>, tensor<2x3xi64>, tensor<11x7xf32>, tensor<3x5x4xf32>, tensor<39x2991xcomplex<f32>>) {
  %0 = stablehlo.popcnt %x : tensor<2x3xi64>
  %1 = stablehlo.count_leading_zeros %x : tensor<2x3xi64>
  %g = stablehlo.constant dense<[3, 4, 4]> : tensor<3xi32>
  %2 = "chlo.ragged_dot"(%l, %w, %g) <{ragged_dot_dimension_numbers = #chlo.ragged_dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [1], lhs_ragged_dimensions = [0], rhs_group_dimensions = [0]>}> : (tensor<11x5xf32>, tensor<3x5x7xf32>, tensor<3xi32>) -> tensor<11x7xf32>
  %3 = "chlo.ragged_dot"(%l, %r, %g) <{ragged_dot_dimension_numbers = #chlo.ragged_dot<lhs_batching_dimensions = [], rhs_batching_dimensions = [], lhs_contracting_dimensions = [0], rhs_contracting_dimensions = [0], lhs_ragged_dimensions = [0], rhs_group_dimensions = []>}> : (tensor<11x5xf32>, tensor<11x4xf32>, tensor<3xi32>) -> tensor<3x5x4xf32>
  %4 = stablehlo.pad %z, %c, low = [0, 0], high = [0, 0], interior = [1, 9] : (tensor<20x300xcomplex<f32>>, tensor<complex<f32>>) -> tensor<39x2991xcomplex<f32>>
  return %0, %1, %2, %3, %4 : tensor<2x3xi64>, tensor<2x3xi64>, tensor<11x7xf32>, tensor<3x5x4xf32>, tensor<39x2991xcomplex<f32>>
}
