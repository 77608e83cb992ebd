//! Custom calls with a documented meaning.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Attr, BinaryOp, CustomCall, Dims, Op, TensorType, UnaryOp};

use crate::eval::{Frame, Value};
use crate::number::logistic;
use crate::tensor::Tensor;
use crate::{check, collective, elementwise, invalid, movement, parallel, reduce, sort};

/// Calls that return their operands.
const IDENTITIES: [&str; 13] = [
    "Sharding",
    "SPMDFullToShardShape",
    "SPMDShardToFullShape",
    "annotate_device_placement",
    "LayoutConstraint",
    "xla.sdy.FuncResultSharding",
    "AwsNeuronTransferWithStaticRing",
    "AwsNeuronLNCShardingConstraint",
    "AwsNeuronDevicePrint",
    "NeuronBoundaryMarker-Start",
    "NeuronBoundaryMarker-End",
    "MoveToHost",
    "MoveToDevice",
];

/// Evaluates a custom call.
pub(crate) fn custom_call(frame: &mut Frame, call: &CustomCall, op: &Op, operands: Vec<Value>) -> Result<Vec<Value>> {
    let func = frame.func;
    let types: Vec<Option<&TensorType>> = op.results.iter().map(|&r| func.ty(r).tensor()).collect();
    let target = &call.target[..];
    if IDENTITIES.contains(&target) || target.starts_with("AwsNeuronModuleMarker") {
        // Several operands come back as one tuple where the result is one.
        if operands.len() > 1 && op.results.len() == 1 {
            return Ok(vec![Value::Tuple(operands)]);
        }
        return Ok(operands);
    }
    if target == "interpreter.run_parallel" {
        return parallel::run_parallel(frame, call, operands);
    }
    let tensors: Vec<Tensor> = operands
        .into_iter()
        .map(|v| match v {
            Value::Tensor(t) => Ok(t),
            _ => Err(invalid(format!("operands of `{target}` must be tensors"))),
        })
        .collect::<Result<_>>()?;
    if target == "interpreter.probe" {
        if let (Some(Attr::String(id)), [value]) = (config(call, op, "probe_id"), &tensors[..]) {
            frame.interp.probe(id, value.clone());
        }
        return Ok(tensors.into_iter().map(Value::Tensor).collect());
    }
    let mut tensors = tensors;
    if target == "check.expect_serialized_eq" {
        let time = config_int(call, op, "iter").and_then(|n| usize::try_from(n).ok());
        let id = config(call, op, "probe_id").and_then(Attr::as_str).unwrap_or_default();
        let seen = frame.interp.probed(id, time.unwrap_or(0));
        tensors.push(seen.ok_or_else(|| invalid(format!("no probe `{id}` saw so many values")))?);
    }
    if let Some(kind) = target.strip_prefix("check.") {
        return check::check(kind, call, &tensors, op.results.len());
    }
    let x = |i: usize| {
        tensors
            .get(i)
            .ok_or_else(|| invalid(format!("`{target}` lacks operand {i}")))
    };
    let out = |i: usize| {
        let ty = types.get(i).copied().flatten().cloned();
        ty.ok_or_else(|| invalid(format!("result {i} of `{target}` must be a tensor")))
    };
    let float = |f: fn(f64) -> f64| -> Result<Vec<Value>> {
        let values = elementwise::map(&x(0)?.to_f64s(), f);
        Ok(vec![
            Tensor::from_f64s(out(0)?.with_shape(x(0)?.shape().iter().copied()), values).into(),
        ])
    };
    let mhlo_unary = match target {
        "mhlo.erf" | "AwsNeuronErf" => Some(UnaryOp::Erf),
        "mhlo.erf_inv" => Some(UnaryOp::ErfInv),
        "mhlo.erfc" => Some(UnaryOp::Erfc),
        "mhlo.tan" => Some(UnaryOp::Tan),
        "mhlo.sinh" => Some(UnaryOp::Sinh),
        "mhlo.cosh" => Some(UnaryOp::Cosh),
        "mhlo.asin" => Some(UnaryOp::Asin),
        "mhlo.acos" => Some(UnaryOp::Acos),
        "mhlo.atan" => Some(UnaryOp::Atan),
        "mhlo.asinh" => Some(UnaryOp::Asinh),
        "mhlo.acosh" => Some(UnaryOp::Acosh),
        "mhlo.atanh" => Some(UnaryOp::Atanh),
        _ => None,
    };
    if let Some(unary) = mhlo_unary {
        return Ok(vec![elementwise::unary(unary, x(0)?)?.into()]);
    }
    match target {
        "AwsNeuronGelu" => float(|v| 0.5 * v * libm::erfc(-v / std::f64::consts::SQRT_2)),
        "AwsNeuronGeluApprxTanh" => float(|v| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v * v * v);
            0.5 * v * (1.0 + inner.tanh())
        }),
        // What `recognize-activations` makes of GELU's gradient.
        "ferrite.gelu_derivative" => float(|v| {
            let density = (-0.5 * v * v).exp() / (2.0 * std::f64::consts::PI).sqrt();
            0.5 * libm::erfc(-v / std::f64::consts::SQRT_2) + v * density
        }),
        "AwsNeuronSilu" => float(|v| v * logistic(v)),
        // Gradient first, as the compiler assumes too.
        "AwsNeuronGeluBackward" => gradient(x(0)?, x(1)?, out(0)?, |v| {
            let density = (-0.5 * v * v).exp() / (2.0 * std::f64::consts::PI).sqrt();
            0.5 * libm::erfc(-v / std::f64::consts::SQRT_2) + v * density
        }),
        "AwsNeuronSiluBackward" => gradient(x(0)?, x(1)?, out(0)?, |v| {
            let s = logistic(v);
            s * (1.0 + v * (1.0 - s))
        }),
        "ResizeNearest" => resize_nearest(call, x(0)?, &out(0)?.shape),
        "AwsNeuronSoftplus" => float(|v| v.max(0.0) + (-v.abs()).exp().ln_1p()),
        "AwsNeuronSoftmax" => Ok(vec![softmax(x(0)?, dimension(call, op, x(0)?)?, out(0)?.dtype)?.into()]),
        "AwsNeuronRmsNorm" => {
            let t = x(0)?;
            Ok(vec![
                rms_norm(t, x(1)?, x(2)?, dimension(call, op, t)?, out(0)?.dtype)?.into(),
            ])
        }
        "AwsNeuronArgMax" | "AwsNeuronArgMin" => {
            let t = x(0)?;
            Ok(vec![
                arg_extreme(t, dimension(call, op, t)?, target == "AwsNeuronArgMax", out(0)?.dtype)?.into(),
            ])
        }
        "AwsNeuronTopK" | "mhlo.topk" => {
            let k = config_int(call, op, "k")
                .or_else(|| types.first().copied().flatten().and_then(|t| t.shape.last().copied()));
            let k = k.ok_or_else(|| invalid(format!("`{target}` does not say how many elements it takes")))?;
            let largest = !matches!(config(call, op, "largest"), Some(Attr::Bool(false)));
            let [values, indices] = sort::top_k(x(0)?, k, largest, index_type(frame, op))?;
            let both = vec![Value::Tensor(values), Value::Tensor(indices)];
            Ok(if op.results.len() == 1 {
                vec![Value::Tuple(both)]
            } else {
                both
            })
        }
        "ragged_all_to_all" => {
            let groups = match config(call, op, "replica_groups") {
                Some(Attr::Array(rows)) => rows.iter().map(ids).collect(),
                Some(Attr::Raw(text)) => dense_ids(text),
                _ => Some(Vec::new()),
            };
            let groups = groups.ok_or_else(|| invalid("`ragged_all_to_all` needs lists of ids as its groups"))?;
            let channel = config_int(call, op, "channel_id").unwrap_or(0);
            let device = frame.device.clone();
            Ok(vec![
                collective::ragged_all_to_all(&groups, channel, &device, tensors)?.into(),
            ])
        }
        "ApproxTopK" | "PartialReduce" => approx_top_k(frame, call, op, &tensors),
        "AwsNeuronCollectiveMatmul" => Err(crate::unsupported(format!("`{target}` needs several devices"))),
        "shape_assertion" | "stablehlo.shape_assertion" => {
            if x(0)?.get_i64(0) != 0 {
                return Ok(Vec::new());
            }
            let text = config(call, op, "error_message").and_then(|a| a.as_str().map(str::to_string));
            let sizes: Vec<String> = tensors[1..].iter().map(|t| t.get_i64(0).to_string()).collect();
            let mut text = text.unwrap_or_else(|| "the sizes of the inputs contradict what the program assumes".into());
            for (i, size) in sizes.iter().enumerate() {
                text = text.replace(&format!("{{{i}}}"), size);
            }
            Err(Diagnostic::error(Code::Usage, text))
        }
        "mhlo.ragged_dot" | "AwsNeuronCustomNativeKernel" | "AwsNeuronCustomOp" | "AwsNeuronNeff" => {
            Err(Diagnostic::error(
                Code::Ncc("EVRF015"),
                format!("what custom call `{target}` computes is not public"),
            ))
        }
        _ => Err(
            Diagnostic::error(Code::Ncc("EVRF015"), format!("custom call `{target}` is not known"))
                .help("express it in StableHLO operations, or give it a decomposition with `stablehlo.composite`"),
        ),
    }
}

/// The ids of a group.
fn ids(row: &Attr) -> Option<Dims> {
    match row {
        Attr::Array(items) => items.iter().map(Attr::as_int).collect(),
        _ => None,
    }
}

/// The groups in `dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>`, or `dense<0> : ...` for one of one.
fn dense_ids(text: &str) -> Option<Vec<Dims>> {
    let (inner, _) = text.trim().strip_prefix("dense<")?.split_once('>')?;
    let numbers = |row: &str| -> Option<Dims> {
        let row = row.rsplit('[').next()?;
        row.split(',').map(|id| id.trim().parse().ok()).collect()
    };
    let rows = inner
        .split(']')
        .filter(|row| row.contains(|c: char| c.is_ascii_digit()));
    rows.map(|row| numbers(row.trim_start_matches(','))).collect()
}

/// A gradient times the derivative of a function.
fn gradient(dy: &Tensor, x: &Tensor, ty: TensorType, derivative: fn(f64) -> f64) -> Result<Vec<Value>> {
    if dy.shape() != x.shape() || dy.shape() != &ty.shape {
        return Err(invalid(format!("a gradient of {} meets values of {}", dy.ty(), x.ty())));
    }
    let (dy, x) = (dy.to_f64s(), x.to_f64s());
    let values = dy.iter().zip(x.iter()).map(|(dy, &x)| dy * derivative(x)).collect();
    Ok(vec![Tensor::from_f64s(ty, values).into()])
}

/// Nearest neighbours of NHWC images, without aligned corners or centers of pixels.
fn resize_nearest(call: &CustomCall, x: &Tensor, to: &[i64]) -> Result<Vec<Value>> {
    let from = x.shape().to_vec();
    let told = call.backend_config.as_str().is_some_and(|text| text.contains('1'));
    if told || from.len() != 4 || to.len() != 4 || from[0] != to[0] || from[3] != to[3] {
        let text =
            "`ResizeNearest` is known for the two dimensions in the middle of four, corners and centers as they are";
        return Err(crate::unsupported(text));
    }
    let mut x = x.clone();
    for d in [1, 2] {
        let rows: Vec<Tensor> = (0..to[d])
            .map(|i| {
                let place = i * from[d] / to[d];
                let (mut start, mut limit) = (vec![0; 4], x.shape().to_vec());
                (start[d], limit[d]) = (place, place + 1);
                movement::slice(&x, &start, &limit, &[1; 4])
            })
            .collect::<Result<_>>()?;
        x = movement::concatenate(&rows.iter().collect::<Vec<_>>(), d as i64)?;
    }
    Ok(vec![x.into()])
}

/// The element type of the index result, which may be inside a tuple.
fn index_type(frame: &Frame, op: &Op) -> DType {
    use ferrite_ir::hlo::Type;
    let types: Vec<&Type> = op.results.iter().map(|&r| frame.func.ty(r)).collect();
    match types[..] {
        [Type::Tuple(inner)] => inner.get(1).and_then(Type::tensor).map_or(DType::I32, |t| t.dtype),
        _ => types.get(1).and_then(|t| t.tensor()).map_or(DType::I32, |t| t.dtype),
    }
}

/// An entry of the call's configuration, wherever the front end put it.
fn config<'a>(call: &'a CustomCall, op: &'a Op, key: &str) -> Option<&'a Attr> {
    let inside = |attr: Option<&'a Attr>| match attr {
        Some(Attr::Dict(entries)) => entries.get(key),
        _ => None,
    };
    let other = |name: &str| inside(op.attrs.as_deref().and_then(|a| a.get(name)));
    inside(Some(&call.backend_config))
        .or_else(|| other("mhlo.backend_config"))
        .or_else(|| other("mhlo.attributes"))
        .or_else(|| op.attrs.as_deref().and_then(|a| a.get(key)))
}

/// An integer of the configuration: the whole text, an entry of the dictionary, or `key = 1` inside a text.
fn config_int(call: &CustomCall, op: &Op, key: &str) -> Option<i64> {
    if let Some(value) = config(call, op, key).and_then(Attr::as_int) {
        return Some(value);
    }
    match &call.backend_config {
        Attr::Int(v, _) => Some(*v),
        Attr::String(text) | Attr::Raw(text) => text.trim().parse().ok().or_else(|| {
            let (_, after) = text.split_once(key)?;
            let number = after.trim_start_matches(['"', ' ', ':', '=']);
            let end = number
                .char_indices()
                .find(|&(i, c)| !(c.is_ascii_digit() || (i == 0 && c == '-')));
            number[..end.map_or(number.len(), |e| e.0)].parse().ok()
        }),
        _ => None,
    }
}

/// The dimension a Neuron call works along; the last one if it does not say.
fn dimension(call: &CustomCall, op: &Op, x: &Tensor) -> Result<i64> {
    let rank = x.shape().len() as i64;
    let d = config_int(call, op, "dimension").unwrap_or(rank - 1);
    let d = if d < 0 { d + rank } else { d };
    if (0..rank).contains(&d) {
        Ok(d)
    } else {
        Err(invalid(format!("`{}` names dimension {d} of {}", call.target, x.ty())))
    }
}

/// A reduced tensor repeated along the dimension it lost.
fn along(x: &Tensor, like: &Tensor, d: i64) -> Result<Tensor> {
    let kept: Vec<i64> = (0..like.shape().len() as i64).filter(|&i| i != d).collect();
    movement::broadcast_in_dim(x, &kept, like.shape())
}

fn softmax(x: &Tensor, d: i64, out: DType) -> Result<Tensor> {
    let x = elementwise::convert(x, DType::F64);
    let max = reduce::reduce_simple(BinaryOp::Maximum, &x, None, &[d], DType::F64)?;
    let shifted = elementwise::binary(BinaryOp::Subtract, &x, &along(&max, &x, d)?)?;
    let e = elementwise::unary(UnaryOp::Exponential, &shifted)?;
    let sum = reduce::reduce_simple(BinaryOp::Add, &e, None, &[d], DType::F64)?;
    let y = elementwise::binary(BinaryOp::Divide, &e, &along(&sum, &e, d)?)?;
    Ok(elementwise::convert(&y, out))
}

/// `x * rsqrt(mean(x^2) + eps) * weight`.
fn rms_norm(x: &Tensor, weight: &Tensor, eps: &Tensor, d: i64, out: DType) -> Result<Tensor> {
    let n = x.shape()[d as usize];
    if weight.count() != n as usize || eps.count() != 1 {
        return Err(invalid(format!(
            "`AwsNeuronRmsNorm` of {} with weight {}",
            x.ty(),
            weight.ty()
        )));
    }
    let wide = elementwise::convert(x, DType::F64);
    let squares = elementwise::unary(UnaryOp::Square, &wide)?;
    let sum = reduce::reduce_simple(BinaryOp::Add, &squares, None, &[d], DType::F64)?;
    let eps = eps.get_f64(0);
    let factor: Vec<f64> = sum
        .to_f64s()
        .iter()
        .map(|s| 1.0 / (s / n as f64 + eps).sqrt())
        .collect();
    let factor = along(&Tensor::from_f64s(sum.ty().clone(), factor), &wide, d)?;
    let weight = movement::reshape(&elementwise::convert(weight, DType::F64), &[n])?;
    let weight = movement::broadcast_in_dim(&weight, &[d], x.shape())?;
    let y = elementwise::binary(
        BinaryOp::Multiply,
        &elementwise::binary(BinaryOp::Multiply, &wide, &factor)?,
        &weight,
    )?;
    Ok(elementwise::convert(&y, out))
}

/// Index of the first largest or smallest element along a dimension.
fn arg_extreme(x: &Tensor, d: i64, largest: bool, out: DType) -> Result<Tensor> {
    let rank = x.shape().len() as i64;
    let mut order: Vec<i64> = (0..rank).filter(|&i| i != d).collect();
    order.push(d);
    let rows = movement::transpose(x, &order)?;
    let [_, indices] = sort::top_k(&rows, 1, largest, out)?;
    let mut shape = rows.shape().to_vec();
    shape.pop();
    movement::reshape(&indices, &shape)
}

/// `ApproxTopK` with full recall: operands, then as many initial values; the comparator is a called function.
fn approx_top_k(frame: &mut Frame, call: &CustomCall, op: &Op, tensors: &[Tensor]) -> Result<Vec<Value>> {
    let none = || {
        invalid(format!(
            "`{}` needs values and indices with their initial values",
            call.target
        ))
    };
    let (values, indices) = match tensors {
        [values, indices, _, _] => (values, indices),
        _ => return Err(none()),
    };
    let rank = values.shape().len() as i64;
    let d = config_int(call, op, "reduction_dim").unwrap_or(rank - 1);
    let d = if d < 0 { d + rank } else { d };
    let k = config_int(call, op, "top_k").ok_or_else(none)?;
    if !(0..rank).contains(&d) || values.shape() != indices.shape() {
        return Err(none());
    }
    // The comparator tells which way to sort: greater-than keeps the largest.
    let name = call.called_computations.first().ok_or_else(none)?;
    let id = frame.interp.find(name)?;
    let scalar = |t: &Tensor, v: f64| Value::Tensor(Tensor::from_f64s(TensorType::scalar(t.dtype()), vec![v]));
    let args = vec![
        scalar(values, 1.0),
        scalar(values, 0.0),
        scalar(indices, 0.0),
        scalar(indices, 0.0),
    ];
    let answer = frame.interp.call(id, args, frame.depth, frame.device.clone())?;
    let largest = matches!(answer.first(), Some(Value::Tensor(t)) if t.get_i64(0) != 0);
    let mut order: Vec<i64> = (0..rank).filter(|&i| i != d).collect();
    order.push(d);
    let back: Vec<i64> = (0..rank)
        .map(|i| order.iter().position(|&o| o == i).map_or(i, |p| p as i64))
        .collect();
    let [top, positions] = sort::top_k(&movement::transpose(values, &order)?, k, largest, DType::I64)?;
    // The index operand holds what is returned; usually an iota.
    let rows = movement::transpose(indices, &order)?;
    let n = rows.shape().last().copied().unwrap_or(1) as usize;
    let picked: Vec<i64> = {
        let all = rows.to_i64s();
        let k = (k as usize).max(1);
        positions
            .to_i64s()
            .iter()
            .enumerate()
            .map(|(i, &p)| all[i / k * n + p as usize])
            .collect()
    };
    let picked = Tensor::from_i64s(positions.ty().with_dtype(indices.dtype()), picked);
    let both = vec![
        Value::Tensor(movement::transpose(&top, &back)?),
        Value::Tensor(movement::transpose(&picked, &back)?),
    ];
    Ok(if op.results.len() == 1 {
        vec![Value::Tuple(both)]
    } else {
        both
    })
}
