//! Shapes and element types.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{DYNAMIC, Dims, TensorType, Type, TypeExtra};

use super::message::{LayoutProto, OPAQUE, ShapeProto, TOKEN, TUPLE};

/// Element types: number in the protocol buffer, name in HLO text, dtype.
const ELEMENT_TYPES: [(i32, &str, DType); 30] = [
    (1, "pred", DType::Bool),
    (26, "s2", DType::I2),
    (21, "s4", DType::I4),
    (2, "s8", DType::I8),
    (3, "s16", DType::I16),
    (4, "s32", DType::I32),
    (5, "s64", DType::I64),
    (27, "u2", DType::U2),
    (22, "u4", DType::U4),
    (6, "u8", DType::U8),
    (7, "u16", DType::U16),
    (8, "u32", DType::U32),
    (9, "u64", DType::U64),
    (10, "f16", DType::F16),
    (11, "f32", DType::F32),
    (12, "f64", DType::F64),
    (16, "bf16", DType::BF16),
    (15, "c64", DType::C64),
    (18, "c128", DType::C128),
    (19, "f8e5m2", DType::F8E5M2),
    (20, "f8e4m3fn", DType::F8E4M3FN),
    (23, "f8e4m3b11fnuz", DType::F8E4M3B11FNUZ),
    (24, "f8e5m2fnuz", DType::F8E5M2FNUZ),
    (25, "f8e4m3fnuz", DType::F8E4M3FNUZ),
    (28, "f8e4m3", DType::F8E4M3),
    (29, "f8e3m4", DType::F8E3M4),
    (32, "f4e2m1fn", DType::F4E2M1FN),
    (33, "f8e8m0fnu", DType::F8E8M0FNU),
    (TOKEN, "token", DType::Bool),
    (OPAQUE, "opaque", DType::Bool),
];

/// Size of a dimension that has no bound: XLA's number for `?`.
pub(crate) const UNBOUNDED: i64 = i64::MIN;

/// Number of the element type with this name in HLO text.
pub(crate) fn element_type(name: &str) -> Option<i32> {
    ELEMENT_TYPES
        .iter()
        .find(|(_, text, _)| *text == name)
        .map(|(number, ..)| *number)
}

/// Name in HLO text of the element type with this number.
pub(crate) fn element_name(number: i32) -> Option<&'static str> {
    ELEMENT_TYPES
        .iter()
        .find(|(n, ..)| *n == number)
        .map(|(_, name, _)| *name)
}

/// The dtype of an element type.
pub(crate) fn dtype(number: i32) -> Option<DType> {
    if matches!(number, TOKEN | OPAQUE) {
        return None;
    }
    ELEMENT_TYPES
        .iter()
        .find(|(n, ..)| *n == number)
        .map(|(.., dtype)| *dtype)
}

/// The shape of a type, with the layout XLA takes for granted.
///
/// # Errors
/// A type that HLO has no form for.
pub(crate) fn shape_of(ty: &Type) -> Result<ShapeProto, String> {
    match ty {
        Type::Tensor(tensor) => {
            let no_form = || format!("HLO has no form for `{tensor}`");
            let element = ELEMENT_TYPES
                .iter()
                .find(|(number, _, dtype)| *dtype == tensor.dtype && !matches!(*number, TOKEN | OPAQUE))
                .ok_or_else(no_form)?;
            let extra = tensor.extra.as_deref();
            if extra.is_some_and(|extra| extra.quantization.is_some()) {
                return Err(no_form());
            }
            let bounds = extra.and_then(|extra| extra.bounds.as_ref());
            let mut shape = ShapeProto {
                element_type: element.0,
                layout: Some(LayoutProto {
                    minor_to_major: (0..tensor.rank() as i64).rev().collect(),
                }),
                ..ShapeProto::default()
            };
            for (n, &size) in tensor.shape.iter().enumerate() {
                let dynamic = size == DYNAMIC;
                let size = if dynamic {
                    let bound = bounds.and_then(|bounds| bounds.get(n)).copied();
                    bound.filter(|&bound| bound != DYNAMIC).unwrap_or(UNBOUNDED)
                } else {
                    size
                };
                shape.dimensions.push(size);
                shape.is_dynamic_dimension.push(dynamic);
            }
            Ok(shape)
        }
        Type::Token => Ok(ShapeProto {
            element_type: TOKEN,
            ..ShapeProto::default()
        }),
        Type::Tuple(items) => Ok(tuple_of(items.iter().map(shape_of).collect::<Result<_, _>>()?)),
        Type::Future(_) => Err(format!("HLO has no form for `{ty}`")),
    }
}

/// The shape of a tuple.
pub(crate) fn tuple_of(items: Vec<ShapeProto>) -> ShapeProto {
    ShapeProto {
        element_type: TUPLE,
        tuple_shapes: items,
        ..ShapeProto::default()
    }
}

/// The type of a shape that is no tuple.
pub(crate) fn leaf_type(shape: &ShapeProto) -> Result<Type, String> {
    match shape.element_type {
        TOKEN => Ok(Type::Token),
        TUPLE => Err("a tuple where an array is expected".to_string()),
        _ => Ok(Type::Tensor(tensor_type(shape)?)),
    }
}

/// The type of an array shape.
pub(crate) fn tensor_type(shape: &ShapeProto) -> Result<TensorType, String> {
    let dtype = dtype(shape.element_type)
        .ok_or_else(|| format!("values of XLA's element type {} are not supported", shape.element_type))?;
    let dynamic = |n: usize| shape.is_dynamic_dimension.get(n).copied().unwrap_or(false);
    let unbounded = |n: usize| shape.dimensions[n] == UNBOUNDED && dynamic(n);
    let mut sizes = shape.dimensions.iter().enumerate();
    if let Some((_, size)) = sizes.find(|&(n, &size)| size < 0 && !unbounded(n)) {
        return Err(format!("a dimension has size {size}"));
    }
    let mut ty = TensorType::new(dtype, &shape.dimensions);
    if shape.is_dynamic_dimension.iter().any(|&dynamic| dynamic) {
        let bounds: Dims = shape
            .dimensions
            .iter()
            .enumerate()
            .map(|(n, &size)| if dynamic(n) && !unbounded(n) { size } else { DYNAMIC })
            .collect();
        for (n, size) in ty.shape.iter_mut().enumerate() {
            if dynamic(n) {
                *size = DYNAMIC;
            }
        }
        if bounds.iter().any(|&bound| bound != DYNAMIC) {
            ty.extra = Some(Box::new(TypeExtra {
                bounds: Some(bounds),
                ..TypeExtra::default()
            }));
        }
    }
    Ok(ty)
}

/// The arrays and tokens a shape is made of, in order.
pub(crate) fn leaves<'s>(shape: &'s ShapeProto, out: &mut Vec<&'s ShapeProto>) {
    // Depth is bounded: by prost's limit on nesting in binary files, by the reader in text.
    if shape.element_type == TUPLE {
        for item in &shape.tuple_shapes {
            leaves(item, out);
        }
    } else {
        out.push(shape);
    }
}

/// Number of arrays and tokens a shape is made of.
pub(crate) fn leaf_count(shape: &ShapeProto) -> usize {
    if shape.element_type == TUPLE {
        shape.tuple_shapes.iter().map(leaf_count).sum()
    } else {
        1
    }
}

/// Position among the leaves of the part with this index.
pub(crate) fn leaf_position(shape: &ShapeProto, index: &[i64]) -> Option<usize> {
    let mut position = 0;
    let mut shape = shape;
    for &i in index {
        let i = usize::try_from(i).ok()?;
        let next = shape.tuple_shapes.get(i)?;
        position += shape.tuple_shapes[..i].iter().map(leaf_count).sum::<usize>();
        shape = next;
    }
    Some(position)
}
