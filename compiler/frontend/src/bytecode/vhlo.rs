//! Encodings of VHLO, the versioned form of StableHLO in portable artifacts, and its way back to StableHLO.
//!
//! The numbers and versions are those of `VhloBytecode.cpp`, `VhloEnums.td` and `VhloDialect.td` of StableHLO. Attributes
//! and types become those of StableHLO at once; [`upgrade`] does the same for operations.

use std::fmt::Write;
use std::rc::Rc;

use ferrite_ir::text::{
    Attr, Dense, DenseData, NamedAttr, Operation, Scalar, Tensor, Text, Type, format_float, print_type,
};

use super::builtin;
use super::cursor::{Cursor, Read};
use super::decode::{Decoder, sizes};

const PRECISION: &[&str] = &["DEFAULT", "HIGH", "HIGHEST"];
const FFT_TYPE: &[&str] = &["FFT", "IFFT", "RFFT", "IRFFT"];
const DIRECTION: &[&str] = &["EQ", "NE", "GE", "GT", "LE", "LT"];
const COMPARISON: &[&str] = &["NOTYPE", "FLOAT", "TOTALORDER", "SIGNED", "UNSIGNED", "WEAKORDER"];
const TRANSPOSE: &[&str] = &["TRANSPOSE_INVALID", "NO_TRANSPOSE", "TRANSPOSE", "ADJOINT"];
const DISTRIBUTION: &[&str] = &["", "UNIFORM", "NORMAL"];
const ALGORITHM: &[&str] = &["DEFAULT", "THREE_FRY", "PHILOX"];
const ACCURACY: &[&str] = &["DEFAULT", "HIGHEST", "TOLERANCE"];

/// The enumerations of StableHLO, by the name they have in text.
pub(super) fn words(kind: &str) -> &'static [&'static str] {
    match kind {
        "precision" => PRECISION,
        "fft_type" => FFT_TYPE,
        "comparison_direction" => DIRECTION,
        "comparison_type" => COMPARISON,
        "transpose" => TRANSPOSE,
        "rng_distribution" => DISTRIBUTION,
        "rng_algorithm" => ALGORITHM,
        _ => ACCURACY,
    }
}

/// `#stablehlo<kind WORD>` from the number of the word.
pub(super) fn word<'a>(cursor: &mut Cursor<'a>, kind: &str) -> Read<Attr<'a>> {
    let start = *cursor;
    let number = cursor.index()?;
    match words(kind).get(number).filter(|word| !word.is_empty()) {
        Some(word) => Ok(dialect("stablehlo", format!("{kind} {word}"))),
        None => start.wrong(format!("{number} is no {}", kind.replace('_', " "))),
    }
}

/// `#name<body>`.
pub(super) fn dialect<'a>(name: &'static str, body: String) -> Attr<'a> {
    Attr::Dialect {
        name: name.into(),
        body: Some(body.into()),
    }
}

/// `#stablehlo.output_operand_alias<...>`.
pub(super) fn operand_alias<'a>(cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let output = cursor.svarints()?;
    let operand = cursor.svarint()?;
    let indices = cursor.svarints()?;
    let body =
        format!("output_tuple_indices = {output:?}, operand_index = {operand}, operand_tuple_indices = {indices:?}");
    Ok(dialect("stablehlo.output_operand_alias", body))
}

/// `#stablehlo.bounds<...>`.
pub(super) fn bounds<'a>(cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let mut body = String::new();
    for (n, bound) in cursor.svarints()?.into_iter().enumerate() {
        body.push_str(if n == 0 { "" } else { ", " });
        if bound < 0 {
            body.push('?');
        } else {
            body.push_str(&bound.to_string());
        }
    }
    Ok(dialect("stablehlo.bounds", body))
}

fn real(cursor: &mut Cursor) -> Read<f64> {
    Ok(f64::from_bits(cursor.integer(64)? as u64))
}

/// `#stablehlo.result_accuracy<...>`.
pub(super) fn accuracy<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let atol = real(cursor)?;
    let rtol = real(cursor)?;
    let ulps = cursor.svarint()?;
    let mode = match decoder.attribute(cursor)? {
        Attr::Dialect { body: Some(body), .. } => body.trim_start_matches("result_accuracy_mode ").to_string(),
        _ => "DEFAULT".to_string(),
    };
    let mut body = String::new();
    for (name, value) in [("atol", atol), ("rtol", rtol)] {
        if value != 0.0 {
            let _ = write!(body, "{name} = {}, ", format_float(value, "f64"));
        }
    }
    if ulps != 0 {
        let _ = write!(body, "ulps = {ulps}, ");
    }
    let _ = write!(body, "mode = #stablehlo.result_accuracy_mode<{mode}>");
    Ok(dialect("stablehlo.result_accuracy", body))
}

/// An attribute of VHLO.
pub(super) fn attribute<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    Ok(match cursor.varint()? {
        1 => Attr::Array(decoder.attributes(cursor)?),
        2 => Attr::Bool(cursor.varint()? != 0),
        3 => word(cursor, "comparison_direction")?,
        4 => word(cursor, "comparison_type")?,
        // An integer in StableHLO's generic form.
        5 => Attr::Integer {
            value: i128::from(cursor.varint()?),
            ty: Some(Box::new(Type::Scalar("i32".into()))),
        },
        6 => Attr::Dict(decoder.dictionary(cursor)?),
        7 => word(cursor, "fft_type")?,
        8 => {
            let ty = decoder.ty(cursor)?;
            builtin::float(ty, cursor)?
        }
        9 => {
            let ty = decoder.ty(cursor)?;
            builtin::integer(ty, cursor)?
        }
        10 => operand_alias(cursor)?,
        11 => word(cursor, "precision")?,
        12 => word(cursor, "rng_algorithm")?,
        13 => word(cursor, "rng_distribution")?,
        14 => decoder.string(cursor)?,
        15 => {
            let ty = decoder.ty(cursor)?;
            let blob = cursor.blob()?;
            builtin::elements(ty, blob, &start)?
        }
        16 => word(cursor, "transpose")?,
        17 => Attr::Type(decoder.ty(cursor)?),
        18 => bounds(cursor)?,
        19 => word(cursor, "result_accuracy_mode")?,
        20 => accuracy(decoder, cursor)?,
        code => {
            return start.wrong(format!(
                "attribute {code} of VHLO is not known: the artifact may be too new"
            ));
        }
    })
}

/// A type of VHLO.
pub(super) fn ty<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let start = *cursor;
    let code = cursor.varint()?;
    let scalar = match code {
        0 => "i1",
        2 => "bf16",
        3 => "f16",
        4 => "f32",
        5 => "f64",
        6 => "f8E4M3FN",
        7 => "f8E5M2",
        9 => "index",
        10 => "i4",
        11 => "i8",
        12 => "i16",
        13 => "i32",
        14 => "i64",
        15 => "ui4",
        16 => "ui8",
        17 => "ui16",
        18 => "ui32",
        19 => "ui64",
        27 => "f8E4M3FNUZ",
        28 => "f8E5M2FNUZ",
        29 => "f8E4M3B11FNUZ",
        31 => "i2",
        32 => "ui2",
        33 => "none",
        34 => "tf32",
        35 => "f8E4M3",
        36 => "f8E3M4",
        37 => "f4E2M1FN",
        38 => "f6E2M3FN",
        39 => "f6E3M2FN",
        40 => "f8E8M0FNU",
        _ => "",
    };
    if !scalar.is_empty() {
        return Ok(Type::Scalar(scalar.into()));
    }
    Ok(match code {
        1 => Type::Complex(Box::new(decoder.ty(cursor)?)),
        8 => Type::Function {
            inputs: decoder.types(cursor)?,
            results: decoder.types(cursor)?,
        },
        20 | 21 => {
            let encoding = if code == 21 {
                Some(decoder.attribute(cursor)?)
            } else {
                None
            };
            Type::Tensor(Rc::new(Tensor {
                sizes: sizes(cursor)?,
                element: decoder.ty(cursor)?,
                encoding,
            }))
        }
        22 => token(),
        23 => Type::Tuple(decoder.types(cursor)?),
        24 => quantized_per_tensor(decoder, cursor)?,
        30 => quantized_per_axis(decoder, cursor)?,
        25 => Type::UnrankedTensor(Box::new(decoder.ty(cursor)?)),
        26 => Type::Dialect {
            name: "shape.witness".into(),
            body: None,
        },
        41 => return start.wrong("buffers (`memref`) are not supported"),
        42 => future(&decoder.types(cursor)?),
        code => return start.wrong(format!("type {code} of VHLO is not known: the artifact may be too new")),
    })
}

/// `!stablehlo.token`.
pub(super) fn token<'a>() -> Type<'a> {
    Type::Dialect {
        name: "stablehlo.token".into(),
        body: None,
    }
}

/// `!stablehlo.future<...>`.
pub(super) fn future<'a>(types: &[Type]) -> Type<'a> {
    let types: Vec<String> = types.iter().map(print_type).collect();
    Type::Dialect {
        name: "stablehlo.future".into(),
        body: Some(types.join(", ").into()),
    }
}

/// A quantized type with one scale, as VHLO and the `quant` dialect both write it.
pub(super) fn quantized_per_tensor<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let flags = cursor.varint()?;
    let storage = decoder.ty(cursor)?;
    let expressed = decoder.ty(cursor)?;
    let scale = real(cursor)?;
    let zero_point = cursor.svarint()?;
    let range = (cursor.svarint()?, cursor.svarint()?);
    Ok(quantized(
        flags,
        &storage,
        &expressed,
        range,
        None,
        &[(scale, zero_point)],
    ))
}

/// The same with a scale for each index of one axis.
pub(super) fn quantized_per_axis<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let flags = cursor.varint()?;
    let storage = decoder.ty(cursor)?;
    let expressed = decoder.ty(cursor)?;
    let axis = cursor.varint()?;
    let range = (cursor.svarint()?, cursor.svarint()?);
    let count = cursor.count()?;
    let scales: Vec<f64> = (0..count).map(|_| real(cursor)).collect::<Read<_>>()?;
    let zero_points = cursor.svarints()?;
    let pairs: Vec<(f64, i64)> = scales.into_iter().zip(zero_points).collect();
    Ok(quantized(flags, &storage, &expressed, range, Some(axis), &pairs))
}

/// `!quant.uniform<...>`. The lowest flag says that the storage type is signed.
fn quantized<'a>(
    flags: u64,
    storage: &Type,
    expressed: &Type,
    (low, high): (i64, i64),
    axis: Option<u64>,
    parameters: &[(f64, i64)],
) -> Type<'a> {
    let width = storage
        .scalar_name()
        .unwrap_or("i8")
        .trim_start_matches(['u', 's', 'i']);
    let sign = if flags & 1 != 0 { "i" } else { "u" };
    let mut body = format!("{sign}{width}<{low}:{high}>:{}", print_type(expressed));
    let list: Vec<String> = parameters
        .iter()
        .map(|(scale, zero_point)| match zero_point {
            0 => format!("{scale:?}"),
            _ => format!("{scale:?}:{zero_point}"),
        })
        .collect();
    let list = list.join(", ");
    // Writing to a `String` cannot go wrong.
    let _ = match axis {
        Some(axis) => write!(body, ":{axis}, {{{list}}}"),
        None => write!(body, ", {list}"),
    };
    Type::Dialect {
        name: "quant.uniform".into(),
        body: Some(body.into()),
    }
}

/// Name without its version: `add_v1` is `add`.
fn unversioned(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((base, version)) if !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => name,
    }
}

/// Makes an operation of VHLO one of StableHLO or `func`. `name` is its name without `vhlo.`.
pub(super) fn upgrade<'a>(op: &mut Operation<'a>, name: &str, in_function: bool) -> Result<(), String> {
    let base = unversioned(name);
    op.name = match base {
        "func" | "call" => format!("func.{base}").into(),
        "return" if in_function => "func.return".into(),
        _ => format!("stablehlo.{base}").into(),
    };
    // Before properties existed all attributes stood together.
    if op.properties.is_empty() {
        op.properties = std::mem::take(&mut op.attributes);
    }
    let mut items = Items(&mut op.properties);
    match base {
        "func" => {
            if matches!(items.get("sym_visibility"), Some(Attr::String(text)) if text.is_empty()) {
                items.take("sym_visibility");
            }
            for name in ["arg_attrs", "res_attrs"] {
                if matches!(items.get(name), Some(Attr::Array(list)) if list.is_empty()) {
                    items.take(name);
                }
            }
        }
        "call" => items.symbol("callee"),
        "composite" => items.symbol("decomposition"),
        "custom_call" => {
            if let Some(Attr::Array(list)) = items.get_mut("called_computations") {
                list.iter_mut().for_each(symbol);
            }
            for name in ["operand_layouts", "result_layouts", "output_operand_aliases"] {
                if matches!(items.get(name), Some(Attr::Array(list)) if list.is_empty()) {
                    items.take(name);
                }
            }
        }
        "compare" => {
            if matches!(items.get("compare_type"), Some(Attr::Dialect { body: Some(body), .. }) if body.ends_with("NOTYPE"))
            {
                items.take("compare_type");
            }
        }
        "infeed" => {
            if matches!(items.get("layout"), Some(Attr::Array(list)) if list.is_empty()) {
                items.take("layout");
            }
        }
        "dynamic_broadcast_in_dim" => {
            for name in ["known_expanding_dimensions", "known_nonexpanding_dimensions"] {
                if matches!(items.get(name), Some(Attr::Dense(dense)) if is_empty(dense)) {
                    items.take(name);
                }
            }
        }
        "dot_general" => {
            items.gather(
                "dot_dimension_numbers",
                "stablehlo.dot",
                &[
                    "lhs_batching_dimensions",
                    "rhs_batching_dimensions",
                    "lhs_contracting_dimensions",
                    "rhs_contracting_dimensions",
                ],
            )?;
            algorithm(&mut items)?;
        }
        "convolution" | "dynamic_conv" => convolution(&mut items)?,
        "gather" | "dynamic_gather" => items.gather(
            "dimension_numbers",
            "stablehlo.gather",
            &[
                "offset_dims",
                "collapsed_slice_dims",
                "operand_batching_dims",
                "start_indices_batching_dims",
                "start_index_map",
                "index_vector_dim",
            ],
        )?,
        "scatter" => items.gather(
            "scatter_dimension_numbers",
            "stablehlo.scatter",
            &[
                "update_window_dims",
                "inserted_window_dims",
                "input_batching_dims",
                "scatter_indices_batching_dims",
                "scatter_dims_to_operand_dims",
                "index_vector_dim",
            ],
        )?,
        "all_gather"
        | "all_reduce"
        | "all_to_all"
        | "collective_broadcast"
        | "collective_permute"
        | "reduce_scatter"
        | "send"
        | "recv" => channel(&mut items, matches!(base, "send" | "recv"))?,
        _ => {}
    }
    // Precision that asks for nothing says nothing.
    let default = |attr: &Attr| matches!(attr, Attr::Dialect { body: Some(body), .. } if body == "precision DEFAULT");
    if matches!(items.get("precision_config"), Some(Attr::Array(list)) if list.iter().all(default)) {
        items.take("precision_config");
    }
    if let Some(Attr::Dialect { body: Some(body), .. }) = items.get("result_accuracy")
        && body.ends_with("<DEFAULT>")
    {
        items.take("result_accuracy");
    }
    Ok(())
}

fn is_empty(dense: &Dense) -> bool {
    matches!(&dense.ty, Type::Tensor(tensor) if tensor.sizes.contains(&0))
}

fn symbol(attr: &mut Attr) {
    if let Attr::String(name) = attr {
        *attr = Attr::Symbol(vec![std::mem::take(name)]);
    }
}

/// The properties of an operation.
struct Items<'v, 'a>(&'v mut Vec<NamedAttr<'a>>);

impl<'a> Items<'_, 'a> {
    fn get(&self, name: &str) -> Option<&Attr<'a>> {
        self.0.iter().find(|item| item.name == name).map(|item| &item.value)
    }

    fn get_mut(&mut self, name: &str) -> Option<&mut Attr<'a>> {
        self.0
            .iter_mut()
            .find(|item| item.name == name)
            .map(|item| &mut item.value)
    }

    fn take(&mut self, name: &str) -> Option<Attr<'a>> {
        let place = self.0.iter().position(|item| item.name == name)?;
        Some(self.0.remove(place).value)
    }

    fn put(&mut self, name: &'static str, value: Attr<'a>) {
        self.0.push(NamedAttr {
            name: name.into(),
            value,
        });
    }

    fn symbol(&mut self, name: &str) {
        if let Some(attr) = self.get_mut(name) {
            symbol(attr);
        }
    }

    fn int(&mut self, name: &str) -> Result<Option<i64>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Attr::Integer { value, .. }) => Ok(i64::try_from(value).ok()),
            Some(_) => Err(format!("`{name}` must be an integer")),
        }
    }

    /// Moves the attributes `parts` into one of a dialect.
    fn gather(&mut self, name: &'static str, of: &'static str, parts: &[&str]) -> Result<(), String> {
        let mut body = String::new();
        for part in parts {
            let Some(value) = self.take(part) else { continue };
            let comma = if body.is_empty() { "" } else { ", " };
            let _ = write!(body, "{comma}{part} = {}", value_text(part, &value)?);
        }
        self.put(name, dialect(of, body));
        Ok(())
    }
}

/// A number, or a list of numbers.
fn value_text(name: &str, value: &Attr) -> Result<String, String> {
    match value {
        Attr::Integer { value, .. } => Ok(value.to_string()),
        Attr::Bool(value) => Ok(value.to_string()),
        Attr::Type(ty) => Ok(print_type(ty)),
        Attr::Dense(dense) => numbers(dense)
            .map(|list| format!("{list:?}"))
            .ok_or_else(|| format!("`{name}` must be a list of integers")),
        _ => Err(format!("`{name}` must be a number or a list of numbers")),
    }
}

/// The elements of a dense list of 64-bit integers.
fn numbers(dense: &Dense) -> Option<Vec<i64>> {
    let Type::Tensor(tensor) = &dense.ty else {
        return None;
    };
    let Tensor { sizes, element, .. } = &**tensor;
    if element.scalar_name() != Some("i64") || sizes.len() != 1 {
        return None;
    }
    let values: Vec<i64> = match &dense.data {
        // No elements.
        DenseData::Raw(bytes) if bytes.is_empty() => Vec::new(),
        DenseData::Elements { values, .. } => values
            .iter()
            .map(|value| match value {
                Scalar::Int(value) => i64::try_from(*value).ok(),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    let count = usize::try_from(sizes[0]).ok()?;
    match values[..] {
        _ if values.len() == count => Some(values),
        // More dimensions than this no tensor has.
        [value] if count <= 1 << 10 => Some(vec![value; count]),
        _ => None,
    }
}

/// The algorithm of a `dot_general` of version 2; one without types names none.
fn algorithm(items: &mut Items) -> Result<(), String> {
    const PARTS: [&str; 7] = [
        "lhs_precision_type",
        "rhs_precision_type",
        "accumulation_type",
        "lhs_component_count",
        "rhs_component_count",
        "num_primitive_operations",
        "allow_imprecise_accumulation",
    ];
    let named = matches!(items.get(PARTS[0]), Some(Attr::Type(ty)) if ty.scalar_name() != Some("none"));
    if named {
        return items.gather("algorithm", "stablehlo.dot_algorithm", &PARTS);
    }
    for part in PARTS {
        items.take(part);
    }
    Ok(())
}

fn convolution(items: &mut Items) -> Result<(), String> {
    const PARTS: [&str; 9] = [
        "input_batch_dimension",
        "input_feature_dimension",
        "input_spatial_dimensions",
        "kernel_input_feature_dimension",
        "kernel_output_feature_dimension",
        "kernel_spatial_dimensions",
        "output_batch_dimension",
        "output_feature_dimension",
        "output_spatial_dimensions",
    ];
    items.gather("dimension_numbers", "stablehlo.conv", &PARTS)?;
    if let Some(Attr::Dialect { body: Some(body), .. }) = items.get_mut("dimension_numbers") {
        *body = Text::Owned(format!("raw {body}"));
    }
    Ok(())
}

/// The channel of a collective: its number, and its type, which only transfers say. Number 0 is
/// none, but for transfers.
fn channel(items: &mut Items, transfer: bool) -> Result<(), String> {
    let Some(handle) = items.int("channel_id")? else {
        return Ok(());
    };
    let kind = items.int("channel_type")?.unwrap_or(0);
    if handle != 0 || transfer {
        let body = format!("handle = {handle}, type = {kind}");
        items.put("channel_handle", dialect("stablehlo.channel_handle", body));
    }
    // No pairs are none.
    if transfer && matches!(items.get("source_target_pairs"), Some(Attr::Dense(dense)) if is_empty(dense)) {
        items.take("source_target_pairs");
    }
    Ok(())
}
