func.func @main(%n: tensor<i32>, %x: tensor<5xf32>) -> (tensor<5xf32>, tensor<f32>, tensor<f32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %limit = arith.constant 0.01 : f32
  %e = tensor.empty() : tensor<5xf32>
  %0:2 = scf.for %i = %c0 to %c5 step %c1 iter_args(%a = %e, %s = %zero) -> (tensor<5xf32>, f32) {
    %v = tensor.extract %x[%i] : tensor<5xf32>
    %s1 = arith.addf %s, %v : f32
    %big = arith.cmpf ogt, %s1, %half : f32
    %w = scf.if %big -> (f32) {
      %m = math.sqrt %s1 : f32
      scf.yield %m : f32
    } else {
      scf.yield %s1 : f32
    }
    %a1 = tensor.insert %w into %a[%i] : tensor<5xf32>
    scf.yield %a1, %s1 : tensor<5xf32>, f32
  }
  %1 = scf.while (%y = %0#1) : (f32) -> f32 {
    %more = arith.cmpf ogt, %y, %limit : f32
    scf.condition(%more) %y : f32
  } do {
  ^bb0(%z: f32):
    %z1 = arith.mulf %z, %half : f32
    scf.yield %z1 : f32
  }
  %2 = tensor.from_elements %0#1 : tensor<f32>
  %3 = tensor.from_elements %1 : tensor<f32>
  return %0#0, %2, %3 : tensor<5xf32>, tensor<f32>, tensor<f32>
}
