// RUN: legalize-integer-contraction
// EVAL: exact
func.func public @main(%x: tensor<3x40xi32>, %y: tensor<40x2xi32>) -> tensor<3x2xi32> {
  %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<3x40xi32>, tensor<40x2xi32>) -> tensor<3x2xi32>
  return %0 : tensor<3x2xi32>
}
// OUT:
// func.func public @main(%arg0: tensor<3x40xi32>, %arg1: tensor<40x2xi32>) -> tensor<3x2xi32> {
//   %c = stablehlo.constant dense<255> : tensor<3x40xi32>
//   %0 = stablehlo.and %arg0, %c : tensor<3x40xi32>
//   %1 = stablehlo.convert %0 : (tensor<3x40xi32>) -> tensor<3x40xbf16>
//   %c_0 = stablehlo.constant dense<8> : tensor<3x40xi32>
//   %2 = stablehlo.shift_right_arithmetic %arg0, %c_0 : tensor<3x40xi32>
//   %c_1 = stablehlo.constant dense<255> : tensor<3x40xi32>
//   %3 = stablehlo.and %2, %c_1 : tensor<3x40xi32>
//   %4 = stablehlo.convert %3 : (tensor<3x40xi32>) -> tensor<3x40xbf16>
//   %c_2 = stablehlo.constant dense<16> : tensor<3x40xi32>
//   %5 = stablehlo.shift_right_arithmetic %arg0, %c_2 : tensor<3x40xi32>
//   %c_3 = stablehlo.constant dense<255> : tensor<3x40xi32>
//   %6 = stablehlo.and %5, %c_3 : tensor<3x40xi32>
//   %7 = stablehlo.convert %6 : (tensor<3x40xi32>) -> tensor<3x40xbf16>
//   %c_4 = stablehlo.constant dense<24> : tensor<3x40xi32>
//   %8 = stablehlo.shift_right_arithmetic %arg0, %c_4 : tensor<3x40xi32>
//   %9 = stablehlo.convert %8 : (tensor<3x40xi32>) -> tensor<3x40xbf16>
//   %c_5 = stablehlo.constant dense<255> : tensor<40x2xi32>
//   %10 = stablehlo.and %arg1, %c_5 : tensor<40x2xi32>
//   %11 = stablehlo.convert %10 : (tensor<40x2xi32>) -> tensor<40x2xbf16>
//   %c_6 = stablehlo.constant dense<8> : tensor<40x2xi32>
//   %12 = stablehlo.shift_right_arithmetic %arg1, %c_6 : tensor<40x2xi32>
//   %c_7 = stablehlo.constant dense<255> : tensor<40x2xi32>
//   %13 = stablehlo.and %12, %c_7 : tensor<40x2xi32>
//   %14 = stablehlo.convert %13 : (tensor<40x2xi32>) -> tensor<40x2xbf16>
//   %c_8 = stablehlo.constant dense<16> : tensor<40x2xi32>
//   %15 = stablehlo.shift_right_arithmetic %arg1, %c_8 : tensor<40x2xi32>
//   %c_9 = stablehlo.constant dense<255> : tensor<40x2xi32>
//   %16 = stablehlo.and %15, %c_9 : tensor<40x2xi32>
//   %17 = stablehlo.convert %16 : (tensor<40x2xi32>) -> tensor<40x2xbf16>
//   %c_10 = stablehlo.constant dense<24> : tensor<40x2xi32>
//   %18 = stablehlo.shift_right_arithmetic %arg1, %c_10 : tensor<40x2xi32>
//   %19 = stablehlo.convert %18 : (tensor<40x2xi32>) -> tensor<40x2xbf16>
//   %20 = stablehlo.dot_general %1, %11, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %21 = stablehlo.convert %20 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %22 = stablehlo.dot_general %1, %14, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %23 = stablehlo.convert %22 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_11 = stablehlo.constant dense<8> : tensor<3x2xi32>
//   %24 = stablehlo.shift_left %23, %c_11 : tensor<3x2xi32>
//   %25 = stablehlo.add %21, %24 : tensor<3x2xi32>
//   %26 = stablehlo.dot_general %1, %17, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %27 = stablehlo.convert %26 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_12 = stablehlo.constant dense<16> : tensor<3x2xi32>
//   %28 = stablehlo.shift_left %27, %c_12 : tensor<3x2xi32>
//   %29 = stablehlo.add %25, %28 : tensor<3x2xi32>
//   %30 = stablehlo.dot_general %1, %19, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %31 = stablehlo.convert %30 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_13 = stablehlo.constant dense<24> : tensor<3x2xi32>
//   %32 = stablehlo.shift_left %31, %c_13 : tensor<3x2xi32>
//   %33 = stablehlo.add %29, %32 : tensor<3x2xi32>
//   %34 = stablehlo.dot_general %4, %11, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %35 = stablehlo.convert %34 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_14 = stablehlo.constant dense<8> : tensor<3x2xi32>
//   %36 = stablehlo.shift_left %35, %c_14 : tensor<3x2xi32>
//   %37 = stablehlo.add %33, %36 : tensor<3x2xi32>
//   %38 = stablehlo.dot_general %4, %14, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %39 = stablehlo.convert %38 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_15 = stablehlo.constant dense<16> : tensor<3x2xi32>
//   %40 = stablehlo.shift_left %39, %c_15 : tensor<3x2xi32>
//   %41 = stablehlo.add %37, %40 : tensor<3x2xi32>
//   %42 = stablehlo.dot_general %4, %17, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %43 = stablehlo.convert %42 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_16 = stablehlo.constant dense<24> : tensor<3x2xi32>
//   %44 = stablehlo.shift_left %43, %c_16 : tensor<3x2xi32>
//   %45 = stablehlo.add %41, %44 : tensor<3x2xi32>
//   %46 = stablehlo.dot_general %7, %11, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %47 = stablehlo.convert %46 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_17 = stablehlo.constant dense<16> : tensor<3x2xi32>
//   %48 = stablehlo.shift_left %47, %c_17 : tensor<3x2xi32>
//   %49 = stablehlo.add %45, %48 : tensor<3x2xi32>
//   %50 = stablehlo.dot_general %7, %14, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %51 = stablehlo.convert %50 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_18 = stablehlo.constant dense<24> : tensor<3x2xi32>
//   %52 = stablehlo.shift_left %51, %c_18 : tensor<3x2xi32>
//   %53 = stablehlo.add %49, %52 : tensor<3x2xi32>
//   %54 = stablehlo.dot_general %9, %11, contracting_dims = [1] x [0] : (tensor<3x40xbf16>, tensor<40x2xbf16>) -> tensor<3x2xf32>
//   %55 = stablehlo.convert %54 : (tensor<3x2xf32>) -> tensor<3x2xi32>
//   %c_19 = stablehlo.constant dense<24> : tensor<3x2xi32>
//   %56 = stablehlo.shift_left %55, %c_19 : tensor<3x2xi32>
//   %57 = stablehlo.add %53, %56 : tensor<3x2xi32>
//   return %57 : tensor<3x2xi32>
// }
