//! Custom calls with a known meaning.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    Attr, Builder, Built, CustomCall, OpId, OpKind, TensorType, TopK, TorchIndexSelect, Type, UnaryOp, ValueId,
    Violation,
};
use ferrite_ir::literal::Literal;

use super::elementary::log1p;
use super::expr::E;
use super::{in_f32, norm};
use crate::hlo::rewrite::Rewrite;

pub(super) fn custom_call(b: &mut Builder<'_>, op: OpId, call: &CustomCall) -> Result<Rewrite> {
    let operands: Vec<ValueId> = b.func.op(op).operands.to_vec();
    match expand(b, op, call, &operands)? {
        Some(rewrite) => Ok(rewrite),
        None => {
            let message = format!("the custom call `{}` is not known to the compiler", call.target);
            Err(Diagnostic::error(Code::Ncc("EVRF015"), message)
                .help("replace it with StableHLO operations, or with one of the documented AwsNeuron targets"))
        }
    }
}

fn expand(b: &mut Builder<'_>, op: OpId, call: &CustomCall, operands: &[ValueId]) -> Built<Option<Rewrite>> {
    let result = b.func.op(op).results.first().map(|&r| b.ty(r).clone());
    let result_dtype = result.as_ref().and_then(Type::tensor).map_or(DType::F32, |t| t.dtype);
    let one = |i: usize| {
        operands
            .get(i)
            .copied()
            .ok_or_else(|| wrong(call, "has too few operands"))
    };
    // An operation of the mhlo or chlo dialect that the producer wraps: its attributes are beside the call.
    if let Some(name) = call
        .target
        .strip_prefix("mhlo.")
        .or_else(|| call.target.strip_prefix("chlo."))
    {
        if name == "topk" || name == "top_k" {
            let attributes = b.func.op(op).attrs.clone().unwrap_or_default();
            let Some(Attr::Dict(inner)) = attributes.get("mhlo.attributes") else {
                return Err(wrong(call, "has no `mhlo.attributes`"));
            };
            let k = inner
                .get("k")
                .and_then(Attr::as_int)
                .ok_or_else(|| wrong(call, "has no `k`"))?;
            let largest = !matches!(inner.get("largest"), Some(Attr::Bool(false)));
            return top_k(b, op, one(0)?, k, largest).map(Some);
        }
        let unary = UnaryOp::from_mnemonic(&format!("chlo.{name}"))
            .or_else(|| UnaryOp::from_mnemonic(&format!("stablehlo.{name}")));
        return match (unary, operands) {
            (Some(unary), &[x]) => Ok(Some(b.unary(unary, x)?.into())),
            _ => Ok(None),
        };
    }
    let dimension = |b: &Builder<'_>| -> Built<i64> {
        let rank = b.tensor(one(0)?)?.rank() as i64;
        let d = config_int(call)?;
        let d = if d < 0 { d + rank } else { d };
        if (0..rank).contains(&d) {
            Ok(d)
        } else {
            Err(wrong(call, format!("names dimension {d} of {rank}")))
        }
    };
    if crate::hlo::activation_call(&call.target)
        && matches!(b.tensor(one(0)?)?.dtype, DType::F32 | DType::BF16 | DType::F16)
    {
        return Ok(Some(Rewrite::Keep)); // the device has it whole
    }
    let elementwise: Option<for<'g> fn(E<'g>) -> E<'g>> = match call.target.as_str() {
        "AwsNeuronErf" => Some(|x| x.unary(UnaryOp::Erf)),
        "AwsNeuronGelu" => Some(gelu),
        "AwsNeuronGeluApprxTanh" => Some(gelu_tanh),
        crate::hlo::GELU_DERIVATIVE => Some(gelu_derivative),
        "AwsNeuronSilu" => Some(|x| x * x.unary(UnaryOp::Logistic)),
        "AwsNeuronSoftplus" => Some(|x| x.max(0.0) + log1p((-x.abs()).exp())),
        _ => None,
    };
    if let Some(f) = elementwise {
        return Ok(Some(in_f32(b, [one(0)?], |[x]| f(x))?.into()));
    }
    // Operand order of the backward calls (gradient, then forward value) is our assumption: torch's own.
    Ok(Some(match call.target.as_str() {
        "AwsNeuronGeluBackward" => in_f32(b, [one(0)?, one(1)?], |[dy, x]| dy * gelu_derivative(x))?.into(),
        "AwsNeuronSiluBackward" => in_f32(b, [one(0)?, one(1)?], |[dy, x]| {
            let s = x.unary(UnaryOp::Logistic);
            dy * (s * (x * (1.0 - s) + 1.0))
        })?
        .into(),
        "AwsNeuronSoftmax" => {
            let d = dimension(b)?;
            norm::softmax(b, one(0)?, d)?.into()
        }
        "AwsNeuronSoftmaxBackward" => {
            let d = dimension(b)?;
            norm::softmax_backward(b, one(0)?, one(1)?, d)?.into()
        }
        "AwsNeuronRmsNorm" => {
            let d = dimension(b)?;
            norm::rms_norm(b, [one(0)?, one(1)?, one(2)?], d, result_dtype)?.into()
        }
        "AwsNeuronArgMax" | "AwsNeuronArgMin" => {
            let d = dimension(b)?;
            norm::arg_extreme(b, one(0)?, d, call.target == "AwsNeuronArgMax", result_dtype)?.into()
        }
        "ResizeNearest" => match result.as_ref().and_then(Type::tensor) {
            Some(to) => resize_nearest(b, call, one(0)?, &to.shape.clone())?.into(),
            None => return Ok(None),
        },
        "AwsNeuronTopK" => {
            let k = config_int(call)?;
            top_k(b, op, one(0)?, k, true)?
        }
        _ => return Ok(None),
    }))
}

/// Rows and columns of NHWC images, each as often as the result has it: that at `floor(i * from / to)`, as PyTorch's
/// nearest neighbours are (align_corners and half_pixel_centers off, which PyTorch/XLA writes as `"00"`).
fn resize_nearest(b: &mut Builder<'_>, call: &CustomCall, x: ValueId, to: &[i64]) -> Built {
    if call.backend_config.as_str().is_some_and(|text| text.contains('1')) {
        return Err(wrong(call, "is known with corners and centers as they are only"));
    }
    let from = b.tensor(x)?.shape.clone();
    if from.len() != 4 || to.len() != 4 || from[0] != to[0] || from[3] != to[3] {
        return Err(wrong(call, "resizes the two dimensions in the middle of four"));
    }
    let mut x = x;
    for d in [1, 2] {
        if from[d] == to[d] {
            continue;
        }
        let places: Vec<u8> = (0..to[d])
            .flat_map(|i| ((i * from[d] / to[d]) as i32).to_le_bytes())
            .collect();
        let places = Literal::new(TensorType::new(DType::I32, &[to[d]]), places)
            .ok_or_else(|| wrong(call, "has a result of no size"))?;
        let places = b.constant(places);
        let select = TorchIndexSelect {
            dim: d as i64,
            batch_dims: 0,
        };
        x = b.op1(OpKind::TorchIndexSelect(select), &[x, places])?;
    }
    Ok(x)
}

fn wrong(call: &CustomCall, what: impl Into<String>) -> Violation {
    Violation::new("custom_call", format!("`{}` {}", call.target, what.into()))
}

/// The decimal number in the backend configuration.
fn config_int(call: &CustomCall) -> Built<i64> {
    let number = match &call.backend_config {
        Attr::Int(value, _) => Some(*value),
        Attr::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong(call, "needs a decimal number in its backend_config"))
}

/// `chlo.top_k`, with results of the call's own types.
fn top_k(b: &mut Builder<'_>, op: OpId, x: ValueId, k: i64, largest: bool) -> Built<Rewrite> {
    let results = b.op(OpKind::TopK(TopK { k, largest }), &[x], None)?;
    let (wanted, tuple): (Vec<Type>, bool) = match b.func.op(op).results[..] {
        [r] => match b.ty(r) {
            Type::Tuple(types) => (types.clone(), true),
            other => (vec![other.clone()], false),
        },
        ref all => (all.iter().map(|&r| b.ty(r).clone()).collect(), false),
    };
    let mut values = Vec::with_capacity(results.len());
    for (&v, ty) in results.iter().zip(&wanted) {
        values.push(match ty.tensor() {
            Some(t) => {
                let dtype = t.dtype;
                b.convert(v, dtype)?
            }
            None => v,
        });
    }
    if tuple {
        return Ok(b.op1(OpKind::Tuple, &values)?.into());
    }
    Ok(Rewrite::Replace(values))
}

fn gelu(x: E<'_>) -> E<'_> {
    let e = (x * std::f64::consts::FRAC_1_SQRT_2).unary(UnaryOp::Erf);
    (x * 0.5) * (e + 1.0)
}

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
fn gelu_tanh(x: E<'_>) -> E<'_> {
    let inner = (x + x * x.square() * 0.044_715) * (2.0 / std::f64::consts::PI).sqrt();
    (x * 0.5) * (inner.tanh() + 1.0)
}

/// `Phi(x) + x phi(x)`.
fn gelu_derivative(x: E<'_>) -> E<'_> {
    let e = (x * std::f64::consts::FRAC_1_SQRT_2).unary(UnaryOp::Erf);
    let density = (x.square() * -0.5).exp() * (1.0 / (2.0 * std::f64::consts::PI).sqrt());
    (e + 1.0) * 0.5 + x * density
}
