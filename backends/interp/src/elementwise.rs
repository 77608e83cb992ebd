//! Element-wise operations on whole tensors.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::{DType, Specials};
use ferrite_ir::hlo::{BinaryOp, Compare, ComparisonType, ReducePrecision, TensorType, UnaryOp};
use num_complex::Complex64;
use rayon::prelude::*;

use crate::invalid;
use crate::number::{self, Num};
use crate::tensor::{Buf, Tensor, wrap, zip_width};

/// Elements below which threads cost more than they bring.
const PARALLEL: usize = 1 << 15;

/// Applies a function to every element, in parallel where it pays.
pub(crate) fn map<T: Copy + Sync, U: Send>(x: &[T], f: impl Fn(T) -> U + Sync) -> Vec<U> {
    if x.len() < PARALLEL {
        x.iter().map(|&v| f(v)).collect()
    } else {
        x.par_iter().with_min_len(PARALLEL / 4).map(|&v| f(v)).collect()
    }
}

/// Applies a function to every pair of elements, in parallel where it pays.
pub(crate) fn zip<T: Copy + Sync, U: Send>(x: &[T], y: &[T], f: impl Fn(T, T) -> U + Sync) -> Vec<U> {
    if x.len() < PARALLEL {
        x.iter().zip(y).map(|(&a, &b)| f(a, b)).collect()
    } else {
        x.par_iter()
            .zip(y)
            .with_min_len(PARALLEL / 4)
            .map(|(&a, &b)| f(a, b))
            .collect()
    }
}

fn undefined(name: &str, dtype: DType) -> ferrite_ir::diag::Diagnostic {
    invalid(format!("`{name}` is not defined for `{dtype}`"))
}

/// A unary operation.
pub(crate) fn unary(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    let dtype = x.dtype();
    let none = || undefined(op.mnemonic(), dtype);
    if dtype.is_complex() {
        let v = x.to_complex();
        let real = x.ty().with_dtype(dtype.real());
        return Ok(match op {
            UnaryOp::Abs => Tensor::from_f64s(real, map(&v, |z| z.norm())),
            UnaryOp::Real => Tensor::from_f64s(real, map(&v, |z| z.re)),
            UnaryOp::Imag => Tensor::from_f64s(real, map(&v, |z| z.im)),
            UnaryOp::IsFinite => bools(x.ty(), map(&v, |z| z.is_finite())),
            _ => Tensor::from_complex(x.ty().clone(), map(&v, number::unary_complex(op).ok_or_else(none)?)),
        });
    }
    if !dtype.is_float() {
        if op == UnaryOp::IsFinite {
            return Ok(bools(x.ty(), vec![true; x.count()]));
        }
        let f = number::unary_int(op).ok_or_else(none)?;
        return Ok(Tensor::from_i64s(x.ty().clone(), map(&x.to_i64s(), |v| f(dtype, v))));
    }
    if let Some(test) = number::unary_predicate(op) {
        return Ok(bools(x.ty(), map(&x.to_f64s(), test)));
    }
    let f = number::unary_float(op).ok_or_else(none)?;
    if dtype == DType::F64 {
        return Ok(Tensor::from_f64s(x.ty().clone(), map(&x.to_f64s(), f)));
    }
    let v = x.to_f32s();
    let out = match op {
        UnaryOp::Negate => map(&v, |x| -x),
        UnaryOp::Abs => map(&v, f32::abs),
        UnaryOp::Sqrt => map(&v, f32::sqrt),
        UnaryOp::Floor => map(&v, f32::floor),
        UnaryOp::Exponential => map(&v, |x| (x as f64).exp() as f32),
        _ => map(&v, |x| f(x as f64) as f32),
    };
    Ok(Tensor::from_f32s(x.ty().clone(), out))
}

fn bools(ty: &TensorType, values: Vec<bool>) -> Tensor {
    let bytes = values.into_iter().map(u8::from).collect();
    Tensor::from_buf(ty.with_dtype(DType::Bool), Buf::B1(bytes))
}

/// Checks that two operands have one shape and dtype.
fn same_type(name: &str, a: &Tensor, b: &Tensor) -> Result<()> {
    if a.shape() == b.shape() && a.dtype() == b.dtype() {
        return Ok(());
    }
    Err(invalid(format!(
        "operands of `{name}` have the types {} and {}",
        a.ty(),
        b.ty()
    )))
}

/// A binary operation.
pub(crate) fn binary(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    use BinaryOp::*;
    same_type(op.mnemonic(), a, b)?;
    let dtype = a.dtype();
    let ty = a.ty().clone();
    let none = || undefined(op.mnemonic(), dtype);
    if dtype.is_complex() {
        let f = number::binary_complex(op).ok_or_else(none)?;
        return Ok(Tensor::from_complex(ty, zip(&a.to_complex(), &b.to_complex(), f)));
    }
    if !dtype.is_float() {
        if let (Buf::B4(x), Buf::B4(y)) = (&*a.buf, &*b.buf) {
            let out = match op {
                Add => zip(x, y, u32::wrapping_add),
                Subtract => zip(x, y, u32::wrapping_sub),
                Multiply => zip(x, y, u32::wrapping_mul),
                And => zip(x, y, |a, b| a & b),
                Or => zip(x, y, |a, b| a | b),
                Xor => zip(x, y, |a, b| a ^ b),
                ShiftLeft => zip(x, y, |a, b| a.checked_shl(b).unwrap_or(0)),
                ShiftRightLogical => zip(x, y, |a, b| a.checked_shr(b).unwrap_or(0)),
                _ => {
                    let f = number::binary_int(op).ok_or_else(none)?;
                    return Ok(Tensor::from_i64s(
                        ty,
                        zip(&a.to_i64s(), &b.to_i64s(), |a, b| f(dtype, a, b)),
                    ));
                }
            };
            return Ok(Tensor::from_buf(ty, Buf::B4(out)));
        }
        let f = number::binary_int(op).ok_or_else(none)?;
        return Ok(Tensor::from_i64s(
            ty,
            zip(&a.to_i64s(), &b.to_i64s(), |a, b| f(dtype, a, b)),
        ));
    }
    if op == NextAfter {
        let out = zip(&a.to_f64s(), &b.to_f64s(), |a, b| number::next_after(dtype, a, b));
        return Ok(Tensor::from_f64s(ty, out));
    }
    let f = number::binary_float(op).ok_or_else(none)?;
    if dtype == DType::F64 {
        return Ok(Tensor::from_f64s(ty, zip(&a.to_f64s(), &b.to_f64s(), f)));
    }
    let (x, y) = (a.to_f32s(), b.to_f32s());
    let out = match op {
        Add => zip(&x, &y, |a, b| a + b),
        Subtract => zip(&x, &y, |a, b| a - b),
        Multiply => zip(&x, &y, |a, b| a * b),
        Divide => zip(&x, &y, |a, b| a / b),
        Maximum => zip(&x, &y, |a, b| number::maximum(a as f64, b as f64) as f32),
        Minimum => zip(&x, &y, |a, b| number::minimum(a as f64, b as f64) as f32),
        _ => zip(&x, &y, |a, b| f(a as f64, b as f64) as f32),
    };
    Ok(Tensor::from_f32s(ty, out))
}

/// `compare`.
pub(crate) fn compare(c: Compare, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    same_type("stablehlo.compare", a, b)?;
    let dtype = a.dtype();
    let out = if dtype.is_complex() {
        zip(&a.to_complex(), &b.to_complex(), |a, b| {
            number::compare_complex(c, a, b)
        })
    } else if dtype.is_float() {
        match (a.f32s(), b.f32s()) {
            (Some(x), Some(y)) if c.compare_type != ComparisonType::TotalOrder => {
                zip(x, y, |a, b| number::compare_float(c, a as f64, b as f64))
            }
            _ => zip(&a.to_f64s(), &b.to_f64s(), |a, b| number::compare_float(c, a, b)),
        }
    } else {
        zip(&a.to_i64s(), &b.to_i64s(), |a, b| number::compare_int(c, dtype, a, b))
    };
    Ok(bools(a.ty(), out))
}

/// `select`: the predicate is a scalar or has the shape of the others.
pub(crate) fn select(pred: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    same_type("stablehlo.select", a, b)?;
    let Buf::B1(p) = &*pred.buf else {
        return Err(undefined("the predicate of `stablehlo.select`", pred.dtype()));
    };
    if p.len() == 1 && (pred.shape().is_empty() || a.count() == 1) {
        return Ok(if p[0] != 0 { a.clone() } else { b.clone() });
    }
    if p.len() != a.count() {
        return Err(invalid(format!(
            "`stablehlo.select` has a predicate {} for {}",
            pred.ty(),
            a.ty()
        )));
    }
    let buf = zip_width!(&*a.buf, &*b.buf, (x, y) => {
        p.iter().zip(x.iter().zip(y)).map(|(&p, (&a, &b))| if p != 0 { a } else { b }).collect()
    });
    buf.map(|buf| Tensor::from_buf(a.ty().clone(), buf))
        .ok_or_else(|| undefined("stablehlo.select", a.dtype()))
}

/// A scalar repeated to a shape; anything else as it is.
fn spread(x: &Tensor, like: &Tensor) -> Tensor {
    if x.count() == 1 && x.shape() != like.shape() {
        let ty = x.ty().with_shape(like.shape().iter().copied());
        let count = like.count();
        let buf = crate::tensor::map_width!(&*x.buf, v => vec![v[0]; count]);
        return Tensor::from_buf(ty, buf);
    }
    x.clone()
}

/// `clamp`: bounds are scalars or have the operand's shape.
pub(crate) fn clamp(low: &Tensor, x: &Tensor, high: &Tensor) -> Result<Tensor> {
    let raised = binary(BinaryOp::Maximum, x, &spread(low, x))?;
    binary(BinaryOp::Minimum, &raised, &spread(high, x))
}

/// `convert`.
pub(crate) fn convert(x: &Tensor, to: DType) -> Tensor {
    let (from, ty) = (x.dtype(), x.ty().with_dtype(to));
    if from == to {
        return x.retyped(ty);
    }
    if to == DType::Bool {
        return match from {
            _ if from.is_complex() => bools(&ty, map(&x.to_complex(), |z| z.re != 0.0)),
            _ if from.is_float() => bools(&ty, map(&x.to_f64s(), |v| v != 0.0)),
            _ => bools(&ty, map(&x.to_i64s(), |v| v != 0)),
        };
    }
    if from.is_complex() && to.is_complex() {
        return Tensor::from_complex(ty, x.to_complex());
    }
    let from_int = !from.is_float() && !from.is_complex();
    if from_int && to.is_int() {
        return Tensor::from_i64s(ty, x.to_i64s().into_owned());
    }
    if from_int && from != DType::U64 && matches!(to, DType::F32 | DType::F64) {
        return Tensor::from_i64s(ty, x.to_i64s().into_owned());
    }
    if from == DType::U64 && to == DType::F32 {
        return Tensor::from_f32s(ty, map(&x.to_i64s(), |v| v as u64 as f32));
    }
    if from.is_float() && from != DType::F64 && !to.is_int() && !to.is_complex() && to != DType::F64 {
        return Tensor::from_f32s(ty, x.to_f32s().into_owned());
    }
    // f64 is exact for all others but 64-bit integers to 8- and 16-bit floats, where 53 bits are more than enough.
    Tensor::from_f64s(ty, x.to_f64s().into_owned())
}

/// `bitcast_convert`: equal widths keep the shape, others split or join along a new or the last dimension.
pub(crate) fn bitcast_convert(x: &Tensor, ty: &TensorType) -> Result<Tensor> {
    let (from, to) = (x.dtype().bits(), ty.dtype.bits());
    let sub_byte = |bits: usize| bits < 8;
    if from == to {
        let ty = x.ty().with_dtype(ty.dtype);
        let mut bytes = x.bytes().to_vec();
        if sub_byte(from) {
            let class = ty.dtype;
            if class.is_int() {
                bytes.iter_mut().for_each(|b| *b = wrap(class, i64::from(*b)) as u8);
            } else {
                bytes.iter_mut().for_each(|b| *b &= (1 << from) - 1);
            }
        }
        return Tensor::new(ty, &bytes).ok_or_else(|| invalid("`stablehlo.bitcast_convert` between unequal widths"));
    }
    let mut shape = x.shape().clone();
    if from > to {
        shape.push((from / to) as i64);
    } else {
        shape.pop();
    }
    let ty = TensorType::new(ty.dtype, &shape);
    let bytes = if sub_byte(from) || sub_byte(to) {
        repack(&ty, x.bytes(), from, to)
    } else {
        x.bytes().to_vec()
    };
    Tensor::new(ty, &bytes).ok_or_else(|| invalid(format!("`stablehlo.bitcast_convert` of {} does not fit", x.ty())))
}

/// Splits or joins elements whose storage is wider than their bits; low bits come first.
fn repack(ty: &TensorType, bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
    let (from_width, to_width) = (from.div_ceil(8), to.div_ceil(8));
    let mut out = Vec::new();
    let mut pending = 0u128;
    let mut held = 0;
    for element in bytes.chunks_exact(from_width) {
        let value = element.iter().rev().fold(0u128, |v, &b| v << 8 | u128::from(b));
        pending |= (value & ((1u128 << from) - 1)) << held;
        held += from;
        while held >= to {
            let piece = pending & ((1u128 << to) - 1);
            let stored = if ty.dtype.is_int() {
                wrap(ty.dtype, piece as i64) as u128
            } else {
                piece
            };
            out.extend_from_slice(&stored.to_le_bytes()[..to_width]);
            pending >>= to;
            held -= to;
        }
    }
    out
}

/// `complex`.
pub(crate) fn complex(re: &Tensor, im: &Tensor) -> Result<Tensor> {
    same_type("stablehlo.complex", re, im)?;
    let dtype = match re.dtype() {
        DType::F32 => DType::C64,
        DType::F64 => DType::C128,
        other => return Err(undefined("stablehlo.complex", other)),
    };
    let values = zip(&re.to_f64s(), &im.to_f64s(), Complex64::new);
    Ok(Tensor::from_complex(re.ty().with_dtype(dtype), values))
}

/// `reduce_precision`.
pub(crate) fn reduce_precision(attrs: ReducePrecision, x: &Tensor) -> Result<Tensor> {
    let mut out = x.clone();
    let dtype = x.dtype();
    let width = dtype.bytes();
    for element in out.bytes_mut().chunks_exact_mut(width) {
        let number = reduce_number_precision(attrs, dtype, Num::read(dtype, element))
            .ok_or_else(|| undefined("stablehlo.reduce_precision", dtype))?;
        number.write(dtype, element);
    }
    Ok(out)
}

/// Rounds one number to fewer exponent and mantissa bits: overflow gives an infinity, underflow a zero.
pub(crate) fn reduce_number_precision(attrs: ReducePrecision, dtype: DType, x: Num) -> Option<Num> {
    let Num::F(x) = x else { return None };
    let (exponent, mantissa) = match dtype {
        DType::F64 => (11, 52),
        DType::F32 | DType::TF32 => (8, 23),
        _ => dtype.minifloat().map(|f| (f.exponent_bits, f.mantissa_bits))?,
    };
    let ieee = dtype.minifloat().is_none_or(|f| f.specials == Specials::Ieee);
    if x.is_nan() {
        // Without mantissa there is no NaN: the exponent alone says infinity.
        let none = attrs.mantissa_bits == 0 && ieee;
        return Some(Num::F(if none { f64::INFINITY } else { x }));
    }
    let mut bytes = [0u8; 16];
    Num::F(x).write(dtype, &mut bytes[..dtype.bytes()]);
    let mut bits = u64::from_le_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ]);
    let exponent_mask = ((1u64 << exponent) - 1) << mantissa;
    let sign = bits & (1u64 << (exponent + mantissa));
    if x.is_infinite() {
        return Some(Num::F(x));
    }
    let kept = attrs.mantissa_bits.clamp(0, mantissa as i64) as u32;
    if kept < mantissa {
        let unit = 1u64 << (mantissa - kept);
        bits += (unit >> 1) - 1 + u64::from(bits & unit != 0);
        bits &= !(unit - 1);
    }
    let reduced = attrs.exponent_bits.clamp(1, exponent as i64) as u32;
    if reduced < exponent {
        let bias = (1u64 << (exponent - 1)) - 1;
        let reduced_bias = (1u64 << (reduced - 1)) - 1;
        let field = (bits & exponent_mask) >> mantissa;
        if field > bias + reduced_bias {
            bits = sign | exponent_mask;
        } else if field <= bias - reduced_bias {
            bits = sign;
        }
    }
    bytes[..8].copy_from_slice(&bits.to_le_bytes());
    Some(Num::read(dtype, &bytes[..dtype.bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_truncate_saturate_and_drop_nan() {
        let x = Tensor::from_f32(&[4], &[-1.7, 3e9, f32::NAN, 2.5]).map(|t| convert(&t, DType::I32));
        assert_eq!(x.map(|t| t.to_i64s().to_vec()), Some(vec![-1, i32::MAX as i64, 0, 2]));
    }

    #[test]
    fn bitcasts_split_and_join_little_end_first() {
        let x =
            Tensor::from_i32(&[1], &[0x0403_0201]).map(|t| bitcast_convert(&t, &TensorType::new(DType::U8, &[1, 4])));
        let Some(Ok(bytes)) = x else { panic!("splits") };
        assert_eq!(bytes.to_i64s().to_vec(), [1, 2, 3, 4]);
        let back = bitcast_convert(&bytes, &TensorType::new(DType::I32, &[1]));
        assert_eq!(back.map(|t| t.get_i64(0)).ok(), Some(0x0403_0201));
    }

    #[test]
    fn reduced_precision_rounds_to_even_and_overflows() {
        let bf16 = ReducePrecision {
            exponent_bits: 8,
            mantissa_bits: 7,
        };
        let half = ReducePrecision {
            exponent_bits: 5,
            mantissa_bits: 10,
        };
        assert_eq!(
            reduce_number_precision(bf16, DType::F32, Num::F(1.0 + 2f64.powi(-8))),
            Some(Num::F(1.0))
        );
        assert_eq!(
            reduce_number_precision(half, DType::F32, Num::F(1e6)),
            Some(Num::F(f64::INFINITY))
        );
        assert_eq!(
            reduce_number_precision(half, DType::F32, Num::F(-1e-9)),
            Some(Num::F(-0.0))
        );
    }

    #[test]
    fn an_integer_has_no_tangent() {
        let x = Tensor::from_i32(&[1], &[1]).map(|t| unary(UnaryOp::Tan, &t).is_err());
        assert_eq!(x, Some(true));
    }
}
