module @types {
  func.func @consts() -> (tensor<3xi4>, tensor<3xui4>, tensor<4xi1>, tensor<9xi1>, tensor<20xi1>, tensor<2xcomplex<f32>>, tensor<0xf32>, tensor<2xbf16>, tensor<2xf16>, tensor<2xf8E4M3FN>, tensor<2xf8E5M2>, tensor<3xui8>, tensor<i1>, tensor<12xi1>) {
    %0 = stablehlo.constant dense<[1, -2, 7]> : tensor<3xi4>
    %1 = stablehlo.constant dense<[1, 2, 15]> : tensor<3xui4>
    %2 = stablehlo.constant dense<[true, false, true, true]> : tensor<4xi1>
    %3 = stablehlo.constant dense<[true, false, true, true, false, false, true, false, true]> : tensor<9xi1>
    %4 = stablehlo.constant dense<true> : tensor<20xi1>
    %5 = stablehlo.constant dense<[(1.0, 2.0), (-1.0, 0x7F800000)]> : tensor<2xcomplex<f32>>
    %6 = stablehlo.constant dense<> : tensor<0xf32>
    %7 = stablehlo.constant dense<[1.0, 0x7FC0]> : tensor<2xbf16>
    %8 = stablehlo.constant dense<[1.0, 0x7C00]> : tensor<2xf16>
    %9 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf8E4M3FN>
    %10 = stablehlo.constant dense<[1.0, 2.0]> : tensor<2xf8E5M2>
    %11 = stablehlo.constant dense<[1, 2, 255]> : tensor<3xui8>
    %12 = stablehlo.constant dense<true> : tensor<i1>
    %13 = stablehlo.constant dense<false> : tensor<12xi1>
    return %0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13 : tensor<3xi4>, tensor<3xui4>, tensor<4xi1>, tensor<9xi1>, tensor<20xi1>, tensor<2xcomplex<f32>>, tensor<0xf32>, tensor<2xbf16>, tensor<2xf16>, tensor<2xf8E4M3FN>, tensor<2xf8E5M2>, tensor<3xui8>, tensor<i1>, tensor<12xi1>
}
}
