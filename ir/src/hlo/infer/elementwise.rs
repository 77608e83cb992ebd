//! Operations element by element.

use super::{Cx, Infer, merge_shapes, quantized, same_size};
use crate::dtype::{DType, DTypeClass};
use crate::hlo::ops::{BinaryOp, ChloBroadcast, Compare, ComparisonType, MapOp, ReducePrecision, UnaryOp};
use crate::hlo::types::{Dims, TensorType};

pub(super) fn unary(cx: &Cx<'_>, op: UnaryOp) -> Infer<TensorType> {
    use UnaryOp::*;
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    if quantized(x) {
        return Ok(cx.maybe_hint(0).unwrap_or(x).clone());
    }
    let d = x.dtype;
    let allowed = match op {
        Abs | Negate | Sign | Square => d != DType::Bool,
        Not => d == DType::Bool || d.is_int(),
        CountLeadingZeros | PopulationCount => d.is_int(),
        Ceil | Floor | IsFinite | RoundNearestAfz | RoundNearestEven => d.is_float(),
        BesselI1e | Digamma | Erf | ErfInv | Erfc | Lgamma | IsInf | IsNegInf | IsPosInf => d.is_float(),
        Conj => d != DType::Bool,
        Real | Imag => d.is_float() || d.is_complex(),
        Cbrt | Cosine | Exponential | ExponentialMinusOne | Log | LogPlusOne | Logistic | Rsqrt | Sine | Sqrt | Tan
        | Tanh | Acos | Acosh | Asin | Asinh | Atan | Atanh | Cosh | Sinh | ChloTan => d.is_float() || d.is_complex(),
    };
    cx.check(allowed, "I1", || {
        format!("`{}` does not take {d} elements", op.mnemonic())
    })?;
    Ok(match op {
        IsFinite | IsInf | IsNegInf | IsPosInf => x.with_dtype(DType::Bool),
        Abs | Real | Imag => x.with_dtype(d.real()),
        _ => x.clone(),
    })
}

pub(super) fn binary(cx: &Cx<'_>, op: BinaryOp) -> Infer<TensorType> {
    cx.arity(2)?;
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_shape(a, b, "C1")?;
    if quantized(a) || quantized(b) {
        return Ok(cx.maybe_hint(0).unwrap_or(a).clone());
    }
    cx.same_dtype(a, b, "C1")?;
    check_binary_dtype(cx, op, a.dtype)?;
    Ok(a.with_shape(merge_shapes([&a.shape, &b.shape])))
}

fn check_binary_dtype(cx: &Cx<'_>, op: BinaryOp, d: DType) -> Infer<()> {
    use BinaryOp::*;
    let allowed = match op {
        Add | Multiply | Maximum | Minimum => true,
        And | Or | Xor => d == DType::Bool || d.is_int(),
        ShiftLeft | ShiftRightArithmetic | ShiftRightLogical => d.is_int(),
        Atan2 => d.is_float() || d.is_complex(),
        Divide | Power | Remainder | Subtract => d != DType::Bool,
        NextAfter | Polygamma | Zeta => d.is_float(),
    };
    cx.check(allowed, "I1", || {
        format!("`{}` does not take {d} elements", op.mnemonic())
    })
}

/// The binary operation that `chlo.broadcast_<name>` broadcasts.
pub fn chlo_binary(name: &str) -> Option<BinaryOp> {
    BinaryOp::from_mnemonic(&format!("stablehlo.{name}")).or_else(|| BinaryOp::from_mnemonic(&format!("chlo.{name}")))
}

pub(super) fn chlo_broadcast(cx: &Cx<'_>, b: &ChloBroadcast) -> Infer<TensorType> {
    let first = usize::from(b.op == "select");
    cx.arity(first + 2)?;
    let (x, y) = (cx.tensor(first)?, cx.tensor(first + 1)?);
    let mut shape = broadcast_shapes(cx, &x.shape, &y.shape, b.broadcast_dimensions.as_ref())?;
    let dtype = match b.op.as_str() {
        "select" => {
            let p = cx.tensor(0)?;
            cx.check(p.dtype == DType::Bool, "I1", || {
                format!("the predicate must be i1, it is {p}")
            })?;
            shape = broadcast_shapes(cx, &p.shape, &shape, None)?;
            x.dtype
        }
        "compare" => DType::Bool,
        "complex" => match x.dtype {
            DType::F32 => DType::C64,
            DType::F64 => DType::C128,
            other => return Err(cx.violation("I1", format!("`complex` does not take {other} elements"))),
        },
        name => {
            let op = chlo_binary(name)
                .ok_or_else(|| cx.violation("op", format!("`chlo.broadcast_{name}` is not an operation")))?;
            check_binary_dtype(cx, op, x.dtype)?;
            x.dtype
        }
    };
    cx.same_dtype(x, y, "C1")?;
    Ok(TensorType::new(dtype, &shape))
}

/// NumPy broadcasting: right-aligned, or the lower-rank operand placed by `dims`.
fn broadcast_shapes(cx: &Cx<'_>, a: &Dims, b: &Dims, dims: Option<&Dims>) -> Infer<Dims> {
    let (low, high) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut out = high.clone();
    let offset = high.len() - low.len();
    if let Some(dims) = dims {
        // Equal ranks may still carry the identity.
        cx.length(dims.len(), low.len(), "broadcast_dimensions", "broadcast")?;
        cx.dims(dims, high.len(), "broadcast")?;
    }
    for (i, &size) in low.iter().enumerate() {
        let d = dims.map_or(i + offset, |dims| dims[i] as usize);
        let other = out[d];
        out[d] = match (size, other) {
            (a, b) if a == b => a,
            (1, b) => b,
            (a, 1) => a,
            (a, b) if same_size(a, b) => super::merge_size(a, b),
            (a, b) => {
                return Err(cx.violation("broadcast", format!("sizes {a} and {b} cannot be broadcast together")));
            }
        };
    }
    Ok(out)
}

pub(super) fn compare(cx: &Cx<'_>, c: &Compare) -> Infer<TensorType> {
    cx.arity(2)?;
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(a, b, "C1")?;
    cx.same_shape(a, b, "C2")?;
    let class = a.dtype.class();
    let fits = quantized(a)
        || match c.compare_type {
            ComparisonType::NoType => true,
            ComparisonType::Float => matches!(class, DTypeClass::Float | DTypeClass::Complex),
            ComparisonType::TotalOrder | ComparisonType::WeakOrder => class == DTypeClass::Float,
            ComparisonType::Signed => class == DTypeClass::Signed,
            ComparisonType::Unsigned => matches!(class, DTypeClass::Unsigned | DTypeClass::Bool),
        };
    cx.check(fits, "C3", || {
        format!(
            "comparison type {} does not fit {} elements",
            c.compare_type.mnemonic(),
            a.dtype
        )
    })?;
    Ok(TensorType::new(DType::Bool, &merge_shapes([&a.shape, &b.shape])))
}

pub(super) fn select(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(3)?;
    let (pred, on_true, on_false) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    cx.check(pred.dtype == DType::Bool, "I1", || {
        format!("the predicate must be i1, it is {pred}")
    })?;
    cx.check(
        pred.rank() == 0 || super::same_shape(&pred.shape, &on_true.shape),
        "C1",
        || format!("the predicate {pred} is neither a scalar nor of the shape of {on_true}"),
    )?;
    cx.same_dtype(on_true, on_false, "C2")?;
    cx.same_shape(on_true, on_false, "C2")?;
    if quantized(on_true) {
        return Ok(cx.maybe_hint(0).unwrap_or(on_true).clone());
    }
    Ok(on_true.with_shape(merge_shapes([&on_true.shape, &on_false.shape])))
}

pub(super) fn clamp(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(3)?;
    let (min, x, max) = (cx.tensor(0)?, cx.tensor(1)?, cx.tensor(2)?);
    for (bound, constraint) in [(min, "C1"), (max, "C2")] {
        cx.check(
            bound.rank() == 0 || super::same_shape(&bound.shape, &x.shape),
            constraint,
            || format!("the bound {bound} is neither a scalar nor of the shape of {x}"),
        )?;
        cx.same_dtype(bound, x, "C3")?;
    }
    Ok(x.clone())
}

pub(super) fn convert(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let (x, hint) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.same_shape(x, hint, "C1")?;
    Ok(hint.clone())
}

pub(super) fn bitcast_convert(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let (x, r) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    let (from, to) = (x.dtype.bits() as i64, r.dtype.bits() as i64);
    let fits = match from.cmp(&to) {
        std::cmp::Ordering::Equal => super::same_shape(&x.shape, &r.shape),
        std::cmp::Ordering::Greater => widens(&x.shape, &r.shape, from, to),
        std::cmp::Ordering::Less => widens(&r.shape, &x.shape, to, from),
    };
    cx.check(fits, "C1", || format!("{x} and {r} do not have the same bits"))?;
    cx.check(x.dtype.is_complex() == r.dtype.is_complex(), "C2", || {
        format!("complex and other element types cannot be exchanged: {x} to {r}")
    })?;
    Ok(r.clone())
}

fn widens(wide: &Dims, narrow: &Dims, wide_bits: i64, narrow_bits: i64) -> bool {
    narrow.len() == wide.len() + 1
        && super::same_shape(wide, &narrow[..wide.len()])
        && wide_bits % narrow_bits == 0
        && same_size(narrow[wide.len()], wide_bits / narrow_bits)
}

pub(super) fn reduce_precision(cx: &Cx<'_>, r: &ReducePrecision) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    cx.check(x.dtype.is_float() || quantized(x), "I1", || {
        format!("{x} is not of a float type")
    })?;
    cx.check((1..=11).contains(&r.exponent_bits), "C2", || {
        format!("exponent_bits {} is outside of 1 to 11", r.exponent_bits)
    })?;
    cx.check((0..=52).contains(&r.mantissa_bits), "C3", || {
        format!("mantissa_bits {} is outside of 0 to 52", r.mantissa_bits)
    })?;
    Ok(x.clone())
}

pub(super) fn complex(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(2)?;
    let (a, b) = (cx.tensor(0)?, cx.tensor(1)?);
    cx.same_dtype(a, b, "C1")?;
    cx.same_shape(a, b, "C1")?;
    match a.dtype {
        DType::F32 => Ok(a.with_dtype(DType::C64)),
        DType::F64 => Ok(a.with_dtype(DType::C128)),
        other => Err(cx.violation("I1", format!("parts must be f32 or f64, they are {other}"))),
    }
}

pub(super) fn uniform_quantize(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let (x, hint) = (cx.tensor(0)?, cx.hint_tensor(0)?);
    cx.check(quantized(hint), "results", || {
        format!("the result {hint} must be quantized")
    })?;
    cx.same_shape(x, hint, "C1")?;
    Ok(hint.clone())
}

pub(super) fn uniform_dequantize(cx: &Cx<'_>) -> Infer<TensorType> {
    cx.arity(1)?;
    let x = cx.tensor(0)?;
    match x.extra.as_ref().and_then(|e| e.quantization.as_ref()) {
        Some(q) => Ok(x.with_dtype(q.expressed)),
        None => Err(cx.violation("I1", format!("{x} is not quantized"))),
    }
}

pub(super) fn map(cx: &Cx<'_>, m: &MapOp) -> Infer<TensorType> {
    cx.at_least(1)?;
    let first = cx.tensor(0)?;
    for i in 1..cx.operands.len() {
        cx.same_shape(first, cx.tensor(i)?, "C1")?;
    }
    cx.check(m.dimensions.iter().copied().eq(0..first.rank() as i64), "C3", || {
        format!(
            "dimensions {:?} are not all of the {} dimensions in order",
            m.dimensions,
            first.rank()
        )
    })?;
    let yielded = cx.yields(0, 1)?;
    cx.check(yielded[0].rank() == 0, "C4", || {
        format!("the body yields {} instead of a scalar", yielded[0])
    })?;
    Ok(first.with_dtype(yielded[0].dtype))
}
