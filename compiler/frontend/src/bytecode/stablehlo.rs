//! Encodings of plain StableHLO, CHLO and quantized types, as MLIR writes modules that were not made portable.
//!
//! The numbers are those of `StablehloBytecode.cpp`, `ChloBytecode.cpp` and `QuantDialectBytecode.td`. They carry no
//! promise of stability, so that what does not fit is refused.

use ferrite_ir::text::{Attr, Type};

use super::cursor::{Cursor, Read};
use super::decode::Decoder;
use super::vhlo::{self, bounds, dialect, operand_alias, word};

/// Names of the lists of an attribute of dimension numbers, followed by one number.
const GATHER: &[&str] = &[
    "offset_dims",
    "collapsed_slice_dims",
    "operand_batching_dims",
    "start_indices_batching_dims",
    "start_index_map",
];
const OLD_GATHER: &[&str] = &["offset_dims", "collapsed_slice_dims", "start_index_map"];
const SCATTER: &[&str] = &[
    "update_window_dims",
    "inserted_window_dims",
    "input_batching_dims",
    "scatter_indices_batching_dims",
    "scatter_dims_to_operand_dims",
];
const OLD_SCATTER: &[&str] = &[
    "update_window_dims",
    "inserted_window_dims",
    "scatter_dims_to_operand_dims",
];
const DOT: &[&str] = &[
    "lhs_batching_dimensions",
    "rhs_batching_dimensions",
    "lhs_contracting_dimensions",
    "rhs_contracting_dimensions",
];

/// Lists of numbers by name, then the index vector's dimension.
fn lists(cursor: &mut Cursor, names: &[&str], vector: bool) -> Read<String> {
    let mut parts = Vec::with_capacity(names.len() + 1);
    for name in names {
        parts.push(format!("{name} = {:?}", cursor.svarints()?));
    }
    if vector {
        parts.push(format!("index_vector_dim = {}", cursor.svarint()?));
    }
    if !cursor.is_empty() {
        return cursor.wrong("the attribute is longer than its content");
    }
    Ok(parts.join(", "))
}

/// Dimension numbers with batching dimensions, or without as they were before StableHLO 1.1.
fn either(cursor: &mut Cursor, new: &[&str], old: &[&str]) -> Read<String> {
    let start = *cursor;
    lists(cursor, new, true).or_else(|_| {
        *cursor = start;
        lists(cursor, old, true)
    })
}

/// An attribute of StableHLO.
pub(super) fn attribute<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    Ok(match cursor.varint()? {
        1 => {
            let (handle, kind) = (cursor.svarint()?, cursor.svarint()?);
            dialect("stablehlo.channel_handle", format!("handle = {handle}, type = {kind}"))
        }
        2 => word(cursor, "comparison_direction")?,
        3 => word(cursor, "comparison_type")?,
        4 => {
            let mut parts = Vec::new();
            for (side, first, second) in [
                ("input", "batch", "feature"),
                ("kernel", "input_feature", "output_feature"),
                ("output", "batch", "feature"),
            ] {
                parts.push(format!("{side}_{first}_dimension = {}", cursor.svarint()?));
                parts.push(format!("{side}_{second}_dimension = {}", cursor.svarint()?));
                parts.push(format!("{side}_spatial_dimensions = {:?}", cursor.svarints()?));
            }
            dialect("stablehlo.conv", format!("raw {}", parts.join(", ")))
        }
        5 => dialect("stablehlo.dot", lists(cursor, DOT, false)?),
        6 => word(cursor, "fft_type")?,
        7 => dialect("stablehlo.gather", either(cursor, GATHER, OLD_GATHER)?),
        8 => word(cursor, "precision")?,
        9 => word(cursor, "rng_algorithm")?,
        10 => word(cursor, "rng_distribution")?,
        11 => dialect("stablehlo.scatter", either(cursor, SCATTER, OLD_SCATTER)?),
        12 => word(cursor, "transpose")?,
        13 => bounds(cursor)?,
        14 => operand_alias(cursor)?,
        15 => dot_algorithm(decoder, cursor)?,
        16 => word(cursor, "result_accuracy_mode")?,
        17 => vhlo::accuracy(decoder, cursor)?,
        code => return start.wrong(format!("attribute {code} of StableHLO is not known")),
    })
}

fn dot_algorithm<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let mut parts = Vec::new();
    for name in ["lhs_precision_type", "rhs_precision_type", "accumulation_type"] {
        let ty = decoder.ty(cursor)?;
        parts.push(format!("{name} = {}", ferrite_ir::text::print_type(&ty)));
    }
    for name in ["lhs_component_count", "rhs_component_count", "num_primitive_operations"] {
        parts.push(format!("{name} = {}", cursor.svarint()?));
    }
    let imprecise = cursor.byte()? & 1 != 0;
    parts.push(format!("allow_imprecise_accumulation = {imprecise}"));
    Ok(dialect("stablehlo.dot_algorithm", parts.join(", ")))
}

/// An attribute of CHLO.
pub(super) fn chlo_attribute<'a>(cursor: &mut Cursor<'a>) -> Read<Attr<'a>> {
    let start = *cursor;
    match cursor.varint()? {
        0 => word(cursor, "comparison_direction"),
        1 => word(cursor, "comparison_type"),
        code => start.wrong(format!("attribute {code} of CHLO is not known")),
    }
}

/// A type of StableHLO.
pub(super) fn ty<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let start = *cursor;
    match cursor.varint()? {
        0 => Ok(vhlo::token()),
        1 => Ok(vhlo::future(&decoder.types(cursor)?)),
        code => start.wrong(format!("type {code} of StableHLO is not known")),
    }
}

/// A type of the `quant` dialect.
pub(super) fn quantized<'a>(decoder: &mut Decoder<'a>, cursor: &mut Cursor<'a>) -> Read<Type<'a>> {
    let start = *cursor;
    match cursor.varint()? {
        3 => vhlo::quantized_per_tensor(decoder, cursor),
        4 => vhlo::quantized_per_axis(decoder, cursor),
        code => start.wrong(format!("type {code} of the `quant` dialect is not supported")),
    }
}
