//! `cholesky`, `triangular_solve` and `fft`, computed in `f64`.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Fft, FftType, TransposeA, TriangularSolve};
use num_complex::Complex64;
use rustfft::FftPlanner;

use crate::invalid;
use crate::movement;
use crate::tensor::Tensor;

/// The size of square matrices in the last two dimensions.
fn square(x: &Tensor, name: &str) -> Result<usize> {
    match x.shape()[..] {
        [.., a, b] if a == b => Ok(a as usize),
        _ => Err(invalid(format!(
            "`stablehlo.{name}` needs square matrices, found {}",
            x.ty()
        ))),
    }
}

/// `cholesky`: the other triangle of the result is zero; NaN where the matrix is not positive definite.
pub(crate) fn cholesky(lower: bool, x: &Tensor) -> Result<Tensor> {
    let n = square(x, "cholesky")?;
    let mut v = x.to_complex();
    let real = !x.dtype().is_complex();
    for a in v.chunks_exact_mut((n * n).max(1)) {
        // The factor L in the lower triangle; an upper matrix is the adjoint of a lower one.
        let at = |i: usize, j: usize| if lower { i * n + j } else { j * n + i };
        let element = |a: &[Complex64], i: usize, j: usize| if lower { a[at(i, j)] } else { a[at(i, j)].conj() };
        let mut l = vec![Complex64::new(0.0, 0.0); n * n];
        for j in 0..n {
            let mut pivot = element(a, j, j).re;
            for k in 0..j {
                pivot -= l[j * n + k].norm_sqr();
            }
            // Of a number that is not positive, NaN.
            let root = if pivot > 0.0 { pivot.sqrt() } else { f64::NAN };
            l[j * n + j] = Complex64::new(root, 0.0);
            for i in j + 1..n {
                let mut sum = element(a, i, j);
                for k in 0..j {
                    sum -= l[i * n + k] * l[j * n + k].conj();
                }
                l[i * n + j] = sum / root;
            }
        }
        for i in 0..n {
            for j in 0..n {
                a[at(i, j)] = if lower { l[i * n + j] } else { l[i * n + j].conj() };
            }
        }
        if real {
            a.iter_mut().for_each(|z| z.im = 0.0);
        }
    }
    Ok(Tensor::from_complex(x.ty().clone(), v))
}

/// `triangular_solve`: `op(a) x = b`, or `x op(a) = b`.
pub(crate) fn triangular_solve(attrs: &TriangularSolve, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let n = square(a, "triangular_solve")?;
    let bad = || invalid(format!("`stablehlo.triangular_solve` of {} and {}", a.ty(), b.ty()));
    let [.., rows, columns] = b.shape()[..] else {
        return Err(bad());
    };
    let (rows, columns) = (rows as usize, columns as usize);
    let batches = a.count().checked_div(n * n).unwrap_or(0);
    if (if attrs.left_side { rows } else { columns }) != n || b.count() != batches * rows * columns {
        return if b.count() == 0 { Ok(b.clone()) } else { Err(bad()) };
    }
    let (matrices, mut x) = (a.to_complex(), b.to_complex());
    let transposed = attrs.transpose_a != TransposeA::NoTranspose;
    let adjoint = attrs.transpose_a == TransposeA::Adjoint;
    // x op(a) = b is op(a)^T x^T = b^T.
    let flipped = transposed == attrs.left_side;
    let lower = attrs.lower != flipped;
    for (a, x) in matrices
        .chunks_exact((n * n).max(1))
        .zip(x.chunks_exact_mut((rows * columns).max(1)))
    {
        let element = |i: usize, j: usize| {
            let z = if flipped { a[j * n + i] } else { a[i * n + j] };
            if adjoint { z.conj() } else { z }
        };
        let vectors = if attrs.left_side { columns } else { rows };
        for c in 0..vectors {
            let at = |i: usize| {
                if attrs.left_side {
                    i * columns + c
                } else {
                    c * columns + i
                }
            };
            for step in 0..n {
                let i = if lower { step } else { n - 1 - step };
                let known = if lower { 0..i } else { i + 1..n };
                let mut sum = x[at(i)];
                for k in known {
                    sum -= element(i, k) * x[at(k)];
                }
                x[at(i)] = if attrs.unit_diagonal { sum } else { sum / element(i, i) };
            }
        }
    }
    Ok(Tensor::from_complex(b.ty().clone(), x))
}

/// `fft` over the innermost dimensions; the inverse ones divide by the number of points.
pub(crate) fn fft(attrs: &Fft, x: &Tensor) -> Result<Tensor> {
    let (rank, depth) = (x.shape().len(), attrs.fft_length.len());
    if depth == 0 || depth > rank || attrs.fft_length.iter().any(|&n| n < 0) {
        return Err(invalid(format!(
            "`stablehlo.fft` of lengths {:?} does not fit {}",
            attrs.fft_length,
            x.ty()
        )));
    }
    let first = rank - depth;
    let inverse = matches!(attrs.fft_type, FftType::Ifft | FftType::Irfft);
    let complex = if x.dtype().real() == DType::F64 {
        DType::C128
    } else {
        DType::C64
    };
    let mut shape = x.shape().clone();
    let wanted = |d: usize| attrs.fft_length[d - first];
    for d in first..rank {
        let halved = attrs.fft_type == FftType::Irfft && d == rank - 1;
        let size = if halved { wanted(d) / 2 + 1 } else { wanted(d) };
        if shape[d] != size && x.count() > 0 {
            return Err(invalid(format!(
                "`stablehlo.fft` of lengths {:?} does not fit {}",
                attrs.fft_length,
                x.ty()
            )));
        }
    }
    // Computed on C128 throughout and rounded at the end.
    let mut data = Tensor::from_complex(x.ty().with_dtype(DType::C128), x.to_complex());
    let mut planner = FftPlanner::<f64>::new();
    for d in (first..rank).rev().filter(|_| attrs.fft_type != FftType::Irfft) {
        data = transform(&mut planner, &data, d, inverse)?;
    }
    if attrs.fft_type == FftType::Irfft {
        for d in first..rank - 1 {
            data = transform(&mut planner, &data, d, true)?;
        }
        // The other half of the spectrum is the conjugate.
        let n = wanted(rank - 1) as usize;
        let half = shape[rank - 1] as usize;
        let mut full = Vec::new();
        for row in data.to_complex().chunks_exact(half.max(1)) {
            full.extend((0..n).map(|k| if k < half { row[k] } else { row[n - k].conj() }));
        }
        shape[rank - 1] = n as i64;
        let ty = data.ty().with_shape(shape.iter().copied());
        data = transform(&mut planner, &Tensor::from_complex(ty, full), rank - 1, true)?;
        return Ok(Tensor::from_complex(
            data.ty().with_dtype(x.dtype().real()),
            data.to_complex(),
        ));
    }
    if attrs.fft_type == FftType::Rfft {
        let half = wanted(rank - 1) / 2 + 1;
        let mut limit = data.shape().clone();
        limit[rank - 1] = half.min(limit[rank - 1]);
        data = movement::slice(&data, &vec![0; rank], &limit, &vec![1; rank])?;
    }
    Ok(Tensor::from_complex(data.ty().with_dtype(complex), data.to_complex()))
}

/// One dimension of a transform.
fn transform(planner: &mut FftPlanner<f64>, x: &Tensor, d: usize, inverse: bool) -> Result<Tensor> {
    let n = x.shape()[d] as usize;
    if x.count() == 0 {
        return Ok(x.clone());
    }
    let mut order: Vec<i64> = (0..x.shape().len() as i64).collect();
    let last = order.len() - 1;
    order.swap(d, last);
    let rows = movement::transpose(x, &order)?;
    let mut data = rows.to_complex();
    let plan = if inverse {
        planner.plan_fft_inverse(n)
    } else {
        planner.plan_fft_forward(n)
    };
    plan.process(&mut data);
    if inverse {
        data.iter_mut().for_each(|z| *z /= n as f64);
    }
    movement::transpose(&Tensor::from_complex(rows.ty().clone(), data), &order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(shape: &[i64], values: &[f32]) -> Tensor {
        match Tensor::from_f32(shape, values) {
            Some(t) => t,
            None => panic!("wrong number of values"),
        }
    }

    #[test]
    fn a_factor_times_its_transpose_is_the_matrix() {
        let a = f(&[2, 2], &[4.0, 99.0, 2.0, 5.0]);
        assert_eq!(cholesky(true, &a), Ok(f(&[2, 2], &[2.0, 0.0, 1.0, 2.0])));
        let upper = f(&[2, 2], &[4.0, 2.0, 99.0, 5.0]);
        assert_eq!(cholesky(false, &upper), Ok(f(&[2, 2], &[2.0, 1.0, 0.0, 2.0])));
    }

    #[test]
    fn triangles_are_solved_from_both_sides() {
        let a = f(&[2, 2], &[2.0, 0.0, 1.0, 4.0]);
        let attrs = |left_side, transpose_a| TriangularSolve {
            left_side,
            lower: true,
            unit_diagonal: false,
            transpose_a,
        };
        let b = f(&[2, 1], &[2.0, 9.0]);
        assert_eq!(
            triangular_solve(&attrs(true, TransposeA::NoTranspose), &a, &b),
            Ok(f(&[2, 1], &[1.0, 2.0]))
        );
        // x a = b with x = [1, 2]: [2 + 2, 8].
        let b = f(&[1, 2], &[4.0, 8.0]);
        assert_eq!(
            triangular_solve(&attrs(false, TransposeA::NoTranspose), &a, &b),
            Ok(f(&[1, 2], &[1.0, 2.0]))
        );
        // a^T x = b with x = [1, 2]: [2 + 2, 8].
        let b = f(&[2, 1], &[4.0, 8.0]);
        assert_eq!(
            triangular_solve(&attrs(true, TransposeA::Transpose), &a, &b),
            Ok(f(&[2, 1], &[1.0, 2.0]))
        );
    }

    #[test]
    fn a_real_transform_comes_back() {
        let x = f(&[2, 5], &[1.0, 2.0, 3.0, -1.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let lengths = [5].as_slice();
        let forward = fft(
            &Fft {
                fft_type: FftType::Rfft,
                fft_length: lengths.into(),
            },
            &x,
        );
        let back = forward.and_then(|y| {
            fft(
                &Fft {
                    fft_type: FftType::Irfft,
                    fft_length: lengths.into(),
                },
                &y,
            )
        });
        let Ok(back) = back else { panic!("transforms") };
        for (a, b) in back.to_f64s().iter().zip(x.to_f64s().iter()) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
