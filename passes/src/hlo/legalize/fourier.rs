//! Fourier transforms as products with matrices of roots of unity.
//!
//! Before                                              After
//!   fft %x, length n                                    dot_general of the parts of %x with cosines and sines
//!   fft %x, length n = p * q, large                     transforms of length p, a multiplication by roots of unity,
//!                                                       transforms of length q, and a transpose
//!
//! Transforms run along the last dimension, the others are transposed there in turn. `RFFT` keeps the first
//! `n / 2 + 1` values; `IRFFT` completes its input by symmetry. The inverse divides by the number of points.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo` without `fft`.

use std::f64::consts::TAU;

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    Builder, Dims, DotDims, DotGeneral, Fft, FftType, OpId, OpKind, Precision, Reverse, TensorType, UnaryOp, ValueId,
};
use ferrite_ir::literal::{Literal, write_f64};

use super::complex::{Pair, joined, parts};
use super::rewrite::{Rewrite, Step, operands, refuse, result_type};

/// Length up to which one matrix is used (our choice: two matrices of 64 KiB in f32).
const MAX_DIRECT: i64 = 128;
/// Largest prime factor (our choice: two matrices of 16 MiB).
const MAX_PRIME: i64 = 2048;

/// The rule for `fft`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId, f: &Fft) -> Rewrite {
    let x = operands(b, op)[0];
    let result = result_type(b, op);
    if result.element_count() == 0 || b.tensor(x)?.element_count() == 0 {
        return Ok(Some(vec![b.constant_i(result, 0)]));
    }
    let rank = result.rank();
    let first = rank - f.fft_length.len();
    let real_input = f.fft_type == FftType::Rfft;
    let inverse = matches!(f.fft_type, FftType::Ifft | FftType::Irfft);
    let mut value = if real_input { (x, None) } else { split(b, x)? };
    // The halved dimension is the last: it comes first on the way there and last on the way back.
    let order: Vec<usize> = if f.fft_type == FftType::Irfft {
        (first..rank).collect()
    } else {
        (first..rank).rev().collect()
    };
    for d in order {
        let n = f.fft_length[d - first];
        let last = d == rank - 1;
        value = along(b, value, d, |b, mut v| {
            if last && f.fft_type == FftType::Irfft {
                v = complete(b, v, n)?;
            }
            let whole = transform(b, v, n, inverse)?;
            if last && real_input {
                let re = b.slice_dim(whole.0, 1, 0, n / 2 + 1)?;
                let im = whole.1.map(|im| b.slice_dim(im, 1, 0, n / 2 + 1)).transpose()?;
                return Ok((re, im));
            }
            Ok(whole)
        })?;
    }
    if inverse {
        let points: i64 = f.fft_length.iter().product();
        let scale = 1.0 / points as f64;
        let factor = b.like_f(value.0, scale)?;
        value.0 = b.mul(value.0, factor)?;
        value.1 = value.1.map(|im| b.mul(im, factor)).transpose()?;
    }
    if f.fft_type == FftType::Irfft {
        return Ok(Some(vec![value.0]));
    }
    let im = match value.1 {
        Some(im) => im,
        None => b.like_f(value.0, 0.0)?,
    };
    joined(b, (value.0, im))
}

/// Real part, and imaginary part if there is one.
type Parts = (ValueId, Option<ValueId>);

fn split(b: &mut Builder<'_>, x: ValueId) -> Step<Parts> {
    let (re, im): Pair = parts(b, x)?;
    Ok((re, Some(im)))
}

fn each(b: &mut Builder<'_>, v: Parts, mut f: impl FnMut(&mut Builder<'_>, ValueId) -> Step) -> Step<Parts> {
    let re = f(b, v.0)?;
    let im = v.1.map(|im| f(b, im)).transpose()?;
    Ok((re, im))
}

/// Calls `f` with dimension `d` last and all others flattened, `[rows, n]`.
fn along(
    b: &mut Builder<'_>,
    v: Parts,
    d: usize,
    f: impl FnOnce(&mut Builder<'_>, Parts) -> Step<Parts>,
) -> Step<Parts> {
    let shape = b.tensor(v.0)?.shape.clone();
    let order: Dims = (0..shape.len())
        .filter(|&x| x != d)
        .chain([d])
        .map(|x| x as i64)
        .collect();
    let mut turned: Dims = order.iter().map(|&x| shape[x as usize]).collect();
    let n = shape[d];
    let rows: i64 = turned.iter().product::<i64>() / n;
    let flat = each(b, v, |b, x| {
        let x = b.transpose(x, &order)?;
        Ok(b.reshape(x, &[rows, n])?)
    })?;
    let done = f(b, flat)?;
    if let Some(size) = turned.last_mut() {
        *size = b.tensor(done.0)?.shape[1];
    }
    let mut back: Dims = order.iter().map(|_| 0).collect();
    for (i, &x) in order.iter().enumerate() {
        back[x as usize] = i as i64;
    }
    each(b, done, |b, x| {
        let x = b.reshape(x, &turned)?;
        Ok(b.transpose(x, &back)?)
    })
}

/// The `n` values of a spectrum of a real signal, given the first `n / 2 + 1`.
fn complete(b: &mut Builder<'_>, v: Parts, n: i64) -> Step<Parts> {
    let mirrored = n - (n / 2 + 1);
    let re = mirror(b, v.0, mirrored)?;
    let im = match v.1 {
        None => None,
        Some(im) => Some(mirror_conjugate(b, im, mirrored)?),
    };
    Ok((re, im))
}

fn mirrored_part(b: &mut Builder<'_>, x: ValueId, count: i64) -> Step {
    let part = b.slice_dim(x, 1, 1, count)?;
    let dimensions = [1].into_iter().collect();
    Ok(b.op1(OpKind::Reverse(Reverse { dimensions }), &[part])?)
}

fn mirror(b: &mut Builder<'_>, x: ValueId, count: i64) -> Step {
    if count == 0 {
        return Ok(x);
    }
    let back = mirrored_part(b, x, count)?;
    Ok(b.concatenate(&[x, back], 1)?)
}

fn mirror_conjugate(b: &mut Builder<'_>, x: ValueId, count: i64) -> Step {
    if count == 0 {
        return Ok(x);
    }
    let back = mirrored_part(b, x, count)?;
    let back = b.unary(UnaryOp::Negate, back)?;
    Ok(b.concatenate(&[x, back], 1)?)
}

/// The transform of every row of `[rows, n]`, not divided by anything.
fn transform(b: &mut Builder<'_>, v: Parts, n: i64, inverse: bool) -> Step<Parts> {
    let divisor = (2..=MAX_DIRECT.min(n / 2)).rev().find(|p| n % p == 0);
    let p = match divisor {
        Some(p) if n > MAX_DIRECT => p,
        _ if n <= MAX_PRIME => {
            let matrix = roots(b, v.0, &[n, n], n, inverse)?;
            return times(b, v, matrix, 1);
        }
        _ => {
            return Err(refuse(
                format!("a Fourier transform of length {n}, which has no divisor up to {MAX_DIRECT}"),
                "pad to a length with small factors",
            ));
        }
    };
    let q = n / p;
    let rows = b.tensor(v.0)?.shape[0];
    let grid = each(b, v, |b, x| Ok(b.reshape(x, &[rows, p, q])?))?;
    // [rows, p, q] -> [rows, q, p'], each column of length p transformed.
    let matrix = roots(b, v.0, &[p, p], p, inverse)?;
    let inner = times(b, grid, matrix, 1)?;
    let twiddle = roots(b, v.0, &[q, p], n, inverse)?;
    let shape = [rows, q, p];
    let (tr, ti) = (
        b.broadcast_in_dim(twiddle.0, &shape, &[1, 2])?,
        b.broadcast_in_dim(twiddle.1, &shape, &[1, 2])?,
    );
    let rr = b.mul(inner.0, tr)?;
    let ri = b.mul(inner.0, ti)?;
    let turned = match inner.1 {
        None => (rr, ri),
        Some(im) => {
            let (ii, ir) = (b.mul(im, ti)?, b.mul(im, tr)?);
            (b.sub(rr, ii)?, b.add(ri, ir)?)
        }
    };
    let turned = (turned.0, Some(turned.1));
    let columns = each(b, turned, |b, x| {
        let x = b.transpose(x, &[0, 2, 1])?;
        Ok(b.reshape(x, &[rows * p, q])?)
    })?;
    let outer = transform(b, columns, q, inverse)?;
    each(b, outer, |b, x| {
        let x = b.reshape(x, &[rows, p, q])?;
        let x = b.transpose(x, &[0, 2, 1])?;
        Ok(b.reshape(x, &[rows, n])?)
    })
}

/// Contracts dimension `d` of both parts with dimension 0 of a complex matrix.
fn times(b: &mut Builder<'_>, v: Parts, (mr, mi): Pair, d: i64) -> Step<Parts> {
    let rr = dot(b, v.0, mr, d)?;
    let ri = dot(b, v.0, mi, d)?;
    let Some(im) = v.1 else { return Ok((rr, Some(ri))) };
    let ii = dot(b, im, mi, d)?;
    let ir = dot(b, im, mr, d)?;
    Ok((b.sub(rr, ii)?, Some(b.add(ri, ir)?)))
}

fn dot(b: &mut Builder<'_>, x: ValueId, y: ValueId, d: i64) -> Step {
    let dtype = b.tensor(x)?.dtype;
    let dot = OpKind::DotGeneral(DotGeneral {
        dims: DotDims {
            lhs_contracting: [d].into_iter().collect(),
            rhs_contracting: [0].into_iter().collect(),
            ..DotDims::default()
        },
        precision: vec![Precision::Highest; 2],
        algorithm: None,
    });
    Ok(b.op_as_dtype(dot, &[x, y], dtype)?)
}

/// `exp(-+ 2 pi i j k / n)` for all `j`, `k` of a shape, in the element type of `like`.
fn roots(b: &mut Builder<'_>, like: ValueId, shape: &[i64; 2], n: i64, inverse: bool) -> Step<Pair> {
    let dtype: DType = b.tensor(like)?.dtype;
    let ty = TensorType::new(dtype, shape);
    let size = dtype.bytes();
    let count = (shape[0] * shape[1]) as usize;
    let (mut re, mut im) = (vec![0u8; count * size], vec![0u8; count * size]);
    for i in 0..count as i64 {
        let (j, k) = (i / shape[1], i % shape[1]);
        // Reduced first, so that the angle is as exact as can be.
        let angle = TAU * (j * k % n) as f64 / n as f64;
        let at = i as usize * size..(i as usize + 1) * size;
        write_f64(dtype, angle.cos(), &mut re[at.clone()]);
        let sine = if inverse { angle.sin() } else { -angle.sin() };
        write_f64(dtype, sine, &mut im[at]);
    }
    let mut constant = |bytes: Vec<u8>| match Literal::new(ty.clone(), bytes) {
        Some(literal) => Ok(b.constant(literal)),
        None => Err(ferrite_ir::hlo::Violation::new("constant", "wrong number of bytes")),
    };
    Ok((constant(re)?, constant(im)?))
}
