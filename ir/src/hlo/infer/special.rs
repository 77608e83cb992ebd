//! Linear algebra, transforms and random numbers.

use super::{Cx, Infer, same_size};
use crate::dtype::DType;
use crate::hlo::ops::{Fft, FftType, Rng, RngDistribution, TriangularSolve};
use crate::hlo::types::{DYNAMIC, TensorType, Type};

fn square_matrices(cx: &Cx<'_>, t: &TensorType, constraint: &str) -> Infer<()> {
    let rank = t.rank();
    cx.check(
        rank >= 2 && same_size(t.shape[rank - 1], t.shape[rank - 2]),
        constraint,
        || format!("{t} does not hold square matrices"),
    )
}

pub(super) fn cholesky(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let a = cx.tensor(0)?;
    cx.check(a.dtype.is_float() || a.dtype.is_complex(), "I1", || {
        format!("{a} is not of a float or complex type")
    })?;
    square_matrices(cx, a, "C3")?;
    Ok(a.clone())
}

pub(super) fn triangular_solve(cx: &Cx<'_>, s: &TriangularSolve) -> Infer<TensorType> {
    cx.arity(2)?;
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(a, b, "C1")?;
    cx.check(a.rank() >= 2 && a.rank() == b.rank(), "C2", || {
        format!("{a} and {b} must have the same rank of at least 2")
    })?;
    square_matrices(cx, a, "C3")?;
    let rank = a.rank();
    let side = b.shape[if s.left_side { rank - 2 } else { rank - 1 }];
    cx.check(
        super::same_shape(&a.shape[..rank - 2], &b.shape[..rank - 2]) && same_size(a.shape[rank - 1], side),
        "C3",
        || format!("shapes of {a} and {b} do not fit"),
    )?;
    Ok(b.clone())
}

pub(super) fn fft(cx: &Cx<'_>, f: &Fft) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    let n = f.fft_length.len();
    cx.check((1..=3).contains(&n) && n <= x.rank(), "C1", || {
        format!("{n} transformed dimensions do not fit {x}")
    })?;
    let first = x.rank() - n;
    let last = x.rank() - 1;
    let mut out = x.clone();
    let checked = match f.fft_type {
        FftType::Fft | FftType::Ifft => {
            cx.check(x.dtype.is_complex(), "C2", || format!("{x} is not of a complex type"))?;
            n
        }
        FftType::Rfft => {
            out.dtype = match x.dtype {
                DType::F32 => DType::C64,
                DType::F64 => DType::C128,
                other => return Err(cx.violation("C2", format!("`RFFT` does not take {other} elements"))),
            };
            out.shape[last] = f.fft_length[n - 1] / 2 + 1;
            n
        }
        FftType::Irfft => {
            cx.check(x.dtype.is_complex(), "C2", || format!("{x} is not of a complex type"))?;
            out.dtype = x.dtype.real();
            out.shape[last] = f.fft_length[n - 1];
            cx.check(
                f.fft_length[n - 1] >= 0 && same_size(x.shape[last], f.fft_length[n - 1] / 2 + 1),
                "C5",
                || format!("the last dimension of {x} does not fit length {}", f.fft_length[n - 1]),
            )?;
            n - 1
        }
    };
    for i in 0..checked {
        cx.check(
            f.fft_length[i] >= 0 && same_size(x.shape[first + i], f.fft_length[i]),
            "C4",
            || format!("fft_length {:?} does not fit {x}", f.fft_length),
        )?;
    }
    Ok(out)
}

pub(super) fn rng(cx: &Cx<'_>, r: &Rng) -> Infer<TensorType> {
    cx.arity(3)?;
    let (a, b, shape, out) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?, cx.hint_tensor(0)?);
    cx.same_dtype(a, b, "C1")?;
    cx.check(a.rank() == 0 && b.rank() == 0, "I1", || {
        format!("bounds must be scalars, they are {a} and {b}")
    })?;
    cx.check(
        shape.rank() == 1 && shape.dtype.is_int() && same_size(shape.shape[0], out.rank() as i64),
        "C3",
        || format!("{shape} does not hold the shape of {out}"),
    )?;
    cx.check(
        r.distribution == RngDistribution::Uniform || a.dtype.is_float(),
        "C2",
        || format!("a normal distribution does not take {} elements", a.dtype),
    )?;
    cx.same_dtype(a, out, "C1")?;
    Ok(out.clone())
}

pub(super) fn rng_bit_generator(cx: &Cx<'_>) -> Infer<Vec<Type>> {
    cx.arity(1)?;
    let state = cx.tensor(0)?;
    cx.check(
        state.rank() == 1 && state.dtype.is_int() && (state.shape[0] == DYNAMIC || state.shape[0] >= 1),
        "C2",
        || format!("{state} is no generator state"),
    )?;
    let out = cx.hint_tensor(1)?;
    cx.check(out.dtype.is_int() || out.dtype.is_float(), "output", || {
        format!("{out} cannot hold random bits")
    })?;
    Ok(vec![state.clone().into(), out.clone().into()])
}
