//! Types of the text to types of the level.

use super::super::types::{DYNAMIC, Dims, Quantization, TensorType, Type, TypeExtra};
use crate::dtype::DType;
use crate::text::{self, Attr};

/// Why a type is refused.
pub(super) type TypeError = String;

/// The dtype with this MLIR name; the common ones without a search.
pub(super) fn dtype(name: &str) -> Option<DType> {
    match name {
        "f32" => Some(DType::F32),
        "bf16" => Some(DType::BF16),
        "i32" => Some(DType::I32),
        "i1" => Some(DType::Bool),
        "i64" => Some(DType::I64),
        "f16" => Some(DType::F16),
        "f64" => Some(DType::F64),
        // Sizes and positions, as wide as an address.
        "index" => Some(DType::I64),
        _ => DType::from_mlir(name),
    }
}

/// Whether `written` says exactly `ty`, for the plain tensors that nearly all values are.
pub(super) fn is_plain(written: &text::Type, ty: &Type) -> bool {
    match (written, ty) {
        (text::Type::Tensor(written), Type::Tensor(tensor)) => {
            written.encoding.is_none()
                && tensor.extra.is_none()
                && written.sizes == tensor.shape
                && matches!(&written.element, text::Type::Scalar(name) if **name == *tensor.dtype.mlir())
        }
        _ => false,
    }
}

/// A type of a value.
pub(super) fn value_type(ty: &text::Type) -> Result<Type, TypeError> {
    match ty {
        text::Type::Tensor(_) => Ok(Type::Tensor(tensor_type(ty)?)),
        text::Type::Tuple(items) => Ok(Type::Tuple(items.iter().map(value_type).collect::<Result<_, _>>()?)),
        text::Type::Dialect { name, body } => match (&**name, body) {
            ("stablehlo.token" | "mhlo.token", None) => Ok(Type::Token),
            ("stablehlo.future" | "mhlo.future", Some(body)) => {
                // The body is a list of types, in brackets in the form that dialects defined in IRDL can have: read it as
                // the inputs of a function.
                let listed = body.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']'));
                let written = format!("({}) -> ()", listed.unwrap_or(body));
                match text::parse_type(&written) {
                    Ok(text::Type::Function { inputs, .. }) => {
                        Ok(Type::Future(inputs.iter().map(value_type).collect::<Result<_, _>>()?))
                    }
                    _ => Err(format!("expected types in `{}`", text::print_type(ty))),
                }
            }
            _ => Err(unsupported(ty)),
        },
        // What is left of `arith` computes with bare scalars: tensors of rank 0.
        text::Type::Scalar(name) => dtype(name)
            .map(|dtype| Type::Tensor(TensorType::scalar(dtype)))
            .ok_or_else(|| unsupported(ty)),
        _ => Err(unsupported(ty)),
    }
}

fn unsupported(ty: &text::Type) -> TypeError {
    format!("values of type `{}` are not supported", text::print_type(ty))
}

/// A tensor type.
pub(super) fn tensor_type(ty: &text::Type) -> Result<TensorType, TypeError> {
    let text::Type::Tensor(tensor) = ty else {
        return Err(format!("expected a tensor type, found `{}`", text::print_type(ty)));
    };
    let text::Tensor {
        sizes,
        element,
        encoding,
    } = &**tensor;
    let mut extra = TypeExtra::default();
    let dtype = match element {
        text::Type::Scalar(name) => dtype(name),
        text::Type::Complex(part) => match part.scalar_name() {
            Some("f32") => Some(DType::C64),
            Some("f64") => Some(DType::C128),
            _ => None,
        },
        text::Type::Dialect { name, body: Some(body) } if name.starts_with("quant.uniform") => {
            let (storage, quantization) = quantization(body)
                .ok_or_else(|| format!("cannot read the quantized type `{}`", text::print_type(element)))?;
            extra.quantization = Some(quantization);
            Some(storage)
        }
        _ => None,
    };
    let Some(dtype) = dtype else {
        return Err(format!("element type `{}` is not supported", text::print_type(element)));
    };
    if let Some(encoding) = encoding {
        extra.bounds = Some(
            bounds(encoding, sizes.len())
                .ok_or_else(|| format!("tensor encoding `{}` is not supported", text::print_attribute(encoding)))?,
        );
    }
    let extra = (extra != TypeExtra::default()).then(|| Box::new(extra));
    let shape = Dims::from_slice(sizes);
    Ok(TensorType { dtype, shape, extra })
}

/// `#stablehlo.bounds<?, 4>` or `#stablehlo.type_extensions<bounds = [?, 4]>`; or `#stablehlo.bounds<[-1, 4]>`, the form that
/// dialects defined in IRDL can have.
fn bounds(encoding: &Attr, rank: usize) -> Option<Dims> {
    let Attr::Dialect { name, body: Some(body) } = encoding else {
        return None;
    };
    let list = match &**name {
        "stablehlo.bounds" | "mhlo.bounds" => {
            let list = body.trim();
            let listed = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
            listed.unwrap_or(list)
        }
        "stablehlo.type_extensions" | "mhlo.type_extensions" => body
            .trim()
            .strip_prefix("bounds")?
            .trim_start()
            .strip_prefix('=')?
            .trim()
            .strip_prefix('[')?
            .strip_suffix(']')?,
        _ => return None,
    };
    let bound = |text: &str| match text.trim() {
        "?" | "-1" => Some(DYNAMIC),
        number => number.parse().ok(),
    };
    let bounds: Dims = list.split(',').map(bound).collect::<Option<_>>()?;
    (bounds.len() == rank).then_some(bounds)
}

/// `i8<-128:127>:f32:1, {0.1:2, 0.2}`: storage type, expressed type, axis, scales and zero points. Instead of an axis there
/// may be sizes of blocks, `{0:1, 1:2}`, and then a list of lists.
fn quantization(body: &str) -> Option<(DType, Quantization)> {
    let (storage, rest) = body.split_once(':').map(|(a, b)| (a.trim(), b))?;
    // The range of the storage type holds a colon of its own.
    let (storage, range, rest) = match body.find('<') {
        Some(open) if open < storage.len() => {
            let close = body.find('>')?;
            let range = body.get(open + 1..close)?.split_once(':')?;
            let rest = body.get(close + 1..)?.trim_start().strip_prefix(':')?;
            (body.get(..open)?.trim(), Some(range), rest)
        }
        _ => (storage, None, rest),
    };
    // Storage types are written `i8`, `u8`.
    let dtype = match storage.strip_prefix('u').filter(|s| !s.starts_with('i')) {
        Some(width) => dtype(&format!("ui{width}"))?,
        None => dtype(storage)?,
    };
    let (low, high) = crate::literal::int_range(dtype);
    let (storage_min, storage_max) = match range {
        Some((low, high)) => (low.trim().parse().ok()?, high.trim().parse().ok()?),
        None => (i64::try_from(low).ok()?, i64::try_from(high).ok()?),
    };
    let mut blocks = Vec::new();
    let (expressed, axis, parameters) = match rest.split_once(":{").or_else(|| rest.split_once(": {")) {
        Some((expressed, rest)) if !expressed.contains(',') => {
            let (sizes, rest) = rest.split_once('}')?;
            for item in sizes.split(',') {
                let (dim, size) = item.split_once(':')?;
                blocks.push((dim.trim().parse().ok()?, size.trim().parse().ok()?));
            }
            (expressed, None, rest.trim_start().strip_prefix(',')?)
        }
        _ => {
            let (head, parameters) = rest.split_once(',')?;
            match head.split_once(':') {
                Some((expressed, axis)) => (expressed, Some(axis.trim().parse().ok()?), parameters),
                None => (head, None, parameters),
            }
        }
    };
    let parameters = parameters.trim();
    let list = if axis.is_some() || !blocks.is_empty() {
        parameters.strip_prefix('{')?.strip_suffix('}')?
    } else {
        parameters
    };
    let mut scales = Vec::new();
    let mut zero_points = Vec::new();
    for item in list.split(',') {
        // Which list an item is in follows from the blocks.
        let item = if blocks.is_empty() {
            item
        } else {
            item.trim().trim_matches(['{', '}'])
        };
        let (scale, zero) = item.split_once(':').unwrap_or((item, "0"));
        scales.push(scale.trim().parse::<f64>().ok()?.to_bits());
        zero_points.push(zero.trim().parse().ok()?);
    }
    let expressed = self::dtype(expressed.trim())?;
    Some((
        dtype,
        Quantization {
            expressed,
            storage_min,
            storage_max,
            axis,
            blocks,
            scales,
            zero_points,
        },
    ))
}
