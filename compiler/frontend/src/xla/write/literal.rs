//! Constants and shardings to their messages.

use ferrite_ir::dtype::DType;
use ferrite_ir::literal::Literal;

use super::super::message::{LiteralProto, OpSharding};
use super::super::shape::shape_of;

/// The message of a constant.
///
/// # Errors
/// An element type that XLA has no field for.
pub(super) fn literal(literal: &Literal) -> Result<LiteralProto, String> {
    let ty = literal.ty();
    let bytes = literal.to_bytes();
    let mut proto = LiteralProto {
        shape: Some(shape_of(&ty.clone().into())?),
        ..LiteralProto::default()
    };
    let p = &mut proto;
    match ty.dtype {
        DType::Bool => p.preds = bytes.iter().map(|&b| b != 0).collect(),
        DType::I2 => p.s2s = pack(&bytes, 2),
        DType::I4 => p.s4s = pack(&bytes, 4),
        DType::U2 => p.u2s = pack(&bytes, 2),
        DType::U4 => p.u4s = pack(&bytes, 4),
        DType::F4E2M1FN => p.f4e2m1fns = pack(&bytes, 4),
        DType::I8 => p.s8s = bytes.to_vec(),
        DType::U8 => p.u8s = bytes.to_vec(),
        DType::I16 => p.s16s = bytes.to_vec(),
        DType::U16 => p.u16s = bytes.to_vec(),
        DType::F16 => p.f16s = bytes.to_vec(),
        DType::BF16 => p.bf16s = bytes.to_vec(),
        DType::I32 => p.s32s = words(&bytes, i32::from_le_bytes),
        DType::U32 => p.u32s = words(&bytes, u32::from_le_bytes),
        DType::I64 => p.s64s = words(&bytes, i64::from_le_bytes),
        DType::U64 => p.u64s = words(&bytes, u64::from_le_bytes),
        DType::F32 => p.f32s = words(&bytes, f32::from_le_bytes),
        DType::F64 => p.f64s = words(&bytes, f64::from_le_bytes),
        DType::C64 => p.c64s = words(&bytes, f32::from_le_bytes),
        DType::C128 => p.c128s = words(&bytes, f64::from_le_bytes),
        DType::F8E5M2 => p.f8e5m2s = bytes.to_vec(),
        DType::F8E4M3FN => p.f8e4m3fns = bytes.to_vec(),
        DType::F8E4M3B11FNUZ => p.f8e4m3b11fnuzs = bytes.to_vec(),
        DType::F8E5M2FNUZ => p.f8e5m2fnuzs = bytes.to_vec(),
        DType::F8E4M3FNUZ => p.f8e4m3fnuzs = bytes.to_vec(),
        DType::F8E4M3 => p.f8e4m3s = bytes.to_vec(),
        DType::F8E3M4 => p.f8e3m4s = bytes.to_vec(),
        DType::F8E8M0FNU => p.f8e8m0fnus = bytes.to_vec(),
        DType::TF32 | DType::F6E2M3FN | DType::F6E3M2FN => {
            return Err(format!("HLO has no form for constants of type `{ty}`"));
        }
    }
    Ok(proto)
}

fn words<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|word| read(*word)).collect()
}

/// Elements of fewer than eight bits, several to a byte, lowest bits first.
fn pack(bytes: &[u8], bits: usize) -> Vec<u8> {
    let mask = (1u8 << bits) - 1;
    bytes
        .chunks(8 / bits)
        .map(|chunk| {
            chunk
                .iter()
                .enumerate()
                .fold(0, |byte, (n, &value)| byte | (value & mask) << (n * bits))
        })
        .collect()
}

/// The message of a sharding that is written as HLO text writes it: `{devices=[2,1]<=[2]}`. `None` for another form.
pub(super) fn sharding(text: &str) -> Option<OpSharding> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut out = OpSharding::default();
    if inner.starts_with('{') {
        out.r#type = 2;
        for part in inner.split_inclusive('}') {
            let part = part.trim_start_matches([',', ' ']);
            if !part.is_empty() {
                out.tuple_shardings.push(sharding(part)?);
            }
        }
        return Some(out);
    }
    let numbers = |text: &str| -> Option<Vec<i64>> { text.split(',').map(|n| n.trim().parse().ok()).collect() };
    let mut words = inner.split(' ').filter(|word| !word.is_empty());
    let first = words.next()?;
    match first {
        "replicated" => out.r#type = 0,
        "manual" => out.r#type = 4,
        "unknown" => out.r#type = 5,
        "unreduced" => out.r#type = 6,
        "maximal" => {
            out.r#type = 1;
            out.tile_assignment_devices = vec![words.next()?.strip_prefix("device=")?.parse().ok()?];
        }
        _ => {
            let (dims, devices) = first.strip_prefix("devices=[")?.split_once(']')?;
            out.r#type = 3;
            out.tile_assignment_dimensions = numbers(dims)?;
            match devices.strip_prefix("<=[") {
                Some(iota) => {
                    let (dims, perm) = iota.split_once(']')?;
                    out.iota_reshape_dims = numbers(dims)?;
                    out.iota_transpose_perm = match perm.strip_prefix("T(") {
                        Some(perm) => numbers(perm.strip_suffix(')')?)?.iter().map(|&d| d as i32).collect(),
                        None => (0..out.iota_reshape_dims.len() as i32).collect(),
                    };
                }
                None => out.tile_assignment_devices = numbers(devices)?,
            }
        }
    }
    let rest: Vec<&str> = words.collect();
    let rest = rest.join(" ");
    if rest == "last_tile_dim_replicate" {
        out.replicate_on_last_tile_dim = true;
    } else if let Some(kinds) = rest.strip_prefix("last_tile_dims={") {
        for kind in kinds.strip_suffix('}')?.split(',') {
            out.last_tile_dims.push(match kind.trim() {
                "replicated" => 0,
                "manual" => 4,
                "unreduced" => 6,
                _ => return None,
            });
        }
    } else if !rest.is_empty() {
        return None;
    }
    Some(out)
}
