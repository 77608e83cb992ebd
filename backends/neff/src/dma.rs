//! DMA transfers as `desc` objects and back, without loss.
//!
//! The documented form counts the innermost dimension in bytes: `from_sizes[0]` is a contiguous run. Ours counts
//! elements, so the first entry is the run that the innermost dimensions make: one element, or all elements of an
//! innermost dimension without gaps.

use std::borrow::Cow;
use std::collections::HashMap;

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{DmaAccess, DmaDim, DmaElement, DmaOp, DmaSpace, VarId};

use crate::error::malformed;
use crate::schema::{Desc, Source};

/// Name of the state buffer among the variables.
pub(crate) const STATE_BUFFER: &str = "SB";

/// Marks a name of an element type that is not in the published list.
const OWN_DTYPE: &str = "ferrite_";

/// Name of an element type in a descriptor; the default, `uint8`, is left out.
fn dtype_name(dtype: DType) -> Cow<'static, str> {
    Cow::Borrowed(match dtype {
        DType::U8 => "",
        DType::I8 => "int8",
        DType::U16 => "uint16",
        DType::I16 => "int16",
        DType::U32 => "uint32",
        DType::I32 => "int32",
        DType::U64 => "uint64",
        DType::I64 => "int64",
        DType::F8E3M4 => "float8e3",
        DType::F8E4M3 => "float8e4",
        DType::F8E5M2 => "float8e5",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::F32 => "float32",
        DType::TF32 => "float32r",
        other => return Cow::Owned(format!("{OWN_DTYPE}{other}")),
    })
}

fn dtype_from_name(name: &str) -> Option<DType> {
    Some(match name {
        "" | "uint8" => DType::U8,
        "int8" => DType::I8,
        "uint16" => DType::U16,
        "int16" => DType::I16,
        "uint32" => DType::U32,
        "int32" => DType::I32,
        "uint64" => DType::U64,
        "int64" => DType::I64,
        "float8e3" => DType::F8E3M4,
        "float8e4" => DType::F8E4M3,
        "float8e5" => DType::F8E5M2,
        "float16" => DType::F16,
        "bfloat16" => DType::BF16,
        "float32" => DType::F32,
        "float32r" => DType::TF32,
        other => return DType::from_mlir(other.strip_prefix(OWN_DTYPE)?),
    })
}

/// Variables by number, for writing.
pub(crate) type Names<'a> = [&'a str];

/// Variables by name, for reading.
pub(crate) type Numbers<'a> = HashMap<&'a str, VarId>;

/// One side of a transfer with its name.
fn side<'a>(access: &DmaAccess, names: &Names<'a>) -> Result<Source<'a>, Diagnostic> {
    let from = match access.space {
        DmaSpace::Sbuf => STATE_BUFFER,
        DmaSpace::Hbm(var) => names
            .get(var.0 as usize)
            .copied()
            .ok_or_else(|| Diagnostic::bug(format!("a transfer names variable {} of {}", var.0, names.len())))?,
    };
    let element = access.dtype.bytes() as u64;
    let (outer, run) = match access.dims.split_last() {
        Some((last, outer)) if last.step == element as i64 && last.count > 1 => {
            (outer, element.checked_mul(last.count))
        }
        _ => (access.dims.as_slice(), Some(element)),
    };
    let run = run.ok_or_else(|| Diagnostic::bug("a transfer is longer than the address space"))?;
    Ok(Source {
        from: Cow::Borrowed(from),
        from_off: access.offset,
        from_steps: std::iter::once(1).chain(outer.iter().rev().map(|d| d.step)).collect(),
        from_sizes: std::iter::once(run)
            .chain(outer.iter().rev().map(|d| d.count))
            .collect(),
        from_dtype: dtype_name(access.dtype),
    })
}

/// A piece of a transfer as it stands in the engine file.
pub(crate) fn to_desc<'a>(element: &DmaElement, names: &Names<'a>) -> Result<Desc<'a>, Diagnostic> {
    let (src, dst) = (side(&element.src, names)?, side(&element.dst, names)?);
    let mut desc = Desc {
        to: dst.from.clone(),
        to_off: dst.from_off,
        to_steps: dst.from_steps.clone(),
        to_sizes: dst.from_sizes.clone(),
        to_dtype: dst.from_dtype.clone(),
        ..Desc::default()
    };
    if element.op == DmaOp::Add {
        desc.op = Cow::Borrowed("add");
        desc.from_arr = vec![dst, src];
    } else {
        desc.op = Cow::Borrowed(if element.op == DmaOp::Copy { "copy" } else { "cast" });
        desc.from = src.from;
        desc.from_off = Some(src.from_off);
        desc.from_steps = src.from_steps;
        desc.from_sizes = src.from_sizes;
        desc.from_dtype = src.from_dtype;
    }
    Ok(desc)
}

/// The inverse of [`to_desc`]; `place` names the engine file and the transfer.
pub(crate) fn from_desc(desc: Desc, numbers: &Numbers, place: &str) -> Result<DmaElement, Diagnostic> {
    let dst = Source {
        from: desc.to,
        from_off: desc.to_off,
        from_steps: desc.to_steps,
        from_sizes: desc.to_sizes,
        from_dtype: desc.to_dtype,
    };
    let (op, src) = match &*desc.op {
        "add" => {
            let [into, src] = <[Source; 2]>::try_from(desc.from_arr)
                .map_err(|all| malformed(place, format!("adds {} operands, Ferrite reads 2", all.len())))?;
            if into != dst {
                return Err(malformed(place, "adds into something else than its first operand"));
            }
            (DmaOp::Add, src)
        }
        op @ ("copy" | "cast") => {
            let src = Source {
                from: desc.from,
                from_off: desc.from_off.ok_or_else(|| malformed(place, "no `from_off`"))?,
                from_steps: desc.from_steps,
                from_sizes: desc.from_sizes,
                from_dtype: desc.from_dtype,
            };
            (if op == "copy" { DmaOp::Copy } else { DmaOp::Cast }, src)
        }
        other => {
            return Err(malformed(
                place,
                format!("operation `{other}` is not one that Ferrite reads"),
            ));
        }
    };
    Ok(DmaElement {
        op,
        src: access(src, numbers, place)?,
        dst: access(dst, numbers, place)?,
    })
}

fn access(side: Source, numbers: &Numbers, place: &str) -> Result<DmaAccess, Diagnostic> {
    let space = match &*side.from {
        STATE_BUFFER => DmaSpace::Sbuf,
        name => DmaSpace::Hbm(
            *numbers
                .get(name)
                .ok_or_else(|| malformed(place, format!("variable `{name}` does not exist")))?,
        ),
    };
    let dtype = dtype_from_name(&side.from_dtype)
        .ok_or_else(|| malformed(place, format!("`{}` is no element type", side.from_dtype)))?;
    if side.from_steps.len() != side.from_sizes.len() {
        let (steps, sizes) = (side.from_steps.len(), side.from_sizes.len());
        return Err(malformed(place, format!("{steps} steps and {sizes} sizes")));
    }
    let element = dtype.bytes() as u64;
    let (&[1, ref steps @ ..], &[run, ref sizes @ ..]) = (side.from_steps.as_slice(), side.from_sizes.as_slice())
    else {
        return Err(malformed(place, "the first step is not 1 byte"));
    };
    if run == 0 || run % element != 0 {
        return Err(malformed(
            place,
            format!("{run} bytes are no whole number of `{dtype}`"),
        ));
    }
    let outer = steps
        .iter()
        .zip(sizes)
        .rev()
        .map(|(&step, &count)| DmaDim { step, count });
    let inner = (run > element).then_some(DmaDim {
        step: element as i64,
        count: run / element,
    });
    Ok(DmaAccess {
        space,
        offset: side.from_off,
        dtype,
        dims: outer.chain(inner).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access_of(space: DmaSpace, dtype: DType, dims: &[(i64, u64)]) -> DmaAccess {
        let dims = dims.iter().map(|&(step, count)| DmaDim { step, count }).collect();
        DmaAccess {
            space,
            offset: 64,
            dtype,
            dims,
        }
    }

    fn round_trip(element: &DmaElement) -> DmaElement {
        let desc = to_desc(element, &["x", "y"]).unwrap();
        let json = serde_json::to_string(&desc).unwrap();
        let numbers = Numbers::from([("x", VarId(0)), ("y", VarId(1))]);
        from_desc(serde_json::from_str(&json).unwrap(), &numbers, "test").unwrap()
    }

    #[test]
    fn a_contiguous_run_is_counted_in_bytes_innermost_first() {
        let element = DmaElement {
            op: DmaOp::Copy,
            src: access_of(DmaSpace::Hbm(VarId(1)), DType::F32, &[(4096, 128), (4, 512)]),
            dst: access_of(DmaSpace::Sbuf, DType::F32, &[(196608, 128), (4, 512)]),
        };
        let desc = to_desc(&element, &["x", "y"]).unwrap();
        assert_eq!(
            (&*desc.from, desc.from_steps, desc.from_sizes),
            ("y", vec![1, 4096], vec![2048, 128])
        );
        assert_eq!(
            (&*desc.to, desc.to_steps, desc.to_sizes),
            ("SB", vec![1, 196608], vec![2048, 128])
        );
        assert_eq!((&*desc.op, &*desc.from_dtype), ("copy", "float32"));
    }

    #[test]
    fn every_shape_of_dimensions_survives() {
        let dims: &[&[(i64, u64)]] = &[
            &[],
            &[(4, 1)],
            &[(4, 2)],
            &[(-4, 7)],
            &[(0, 3), (4, 1)],
            &[(8, 2), (4, 2)],
            &[(9, 1), (4, 1), (12, 5)],
        ];
        for dims in dims {
            for op in [DmaOp::Copy, DmaOp::Cast, DmaOp::Add] {
                let element = DmaElement {
                    op,
                    src: access_of(DmaSpace::Hbm(VarId(0)), DType::F32, dims),
                    dst: access_of(DmaSpace::Sbuf, DType::I32, dims),
                };
                assert_eq!(round_trip(&element), element);
            }
        }
    }

    #[test]
    fn every_dtype_survives() {
        for dtype in DType::ALL {
            let side = access_of(DmaSpace::Sbuf, dtype, &[(dtype.bytes() as i64, 3)]);
            let element = DmaElement {
                op: DmaOp::Copy,
                src: side.clone(),
                dst: side,
            };
            assert_eq!(round_trip(&element), element, "{dtype}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let good = r#"{"from":"x","from_off":0,"from_steps":[1],"from_sizes":[4],"to":"SB","to_off":0,"to_steps":[1],"to_sizes":[4]}"#;
        let read = |json: &str| {
            from_desc(
                serde_json::from_str(json).unwrap(),
                &Numbers::from([("x", VarId(0))]),
                "test",
            )
        };
        assert!(read(good).is_ok());
        for (old, new, message) in [
            (r#""x""#, r#""z""#, "variable `z` does not exist"),
            (r#""from_steps":[1]"#, r#""from_steps":[1,2]"#, "2 steps and 1 sizes"),
            (r#""from_steps":[1]"#, r#""from_steps":[2]"#, "first step"),
            (r#""to_sizes":[4]"#, r#""to_sizes":[6],"to_dtype":"int32""#, "6 bytes"),
            (r#""to_sizes":[4]"#, r#""to_sizes":[4],"to_dtype":"int3""#, "`int3`"),
            (r#""from_off":0,"#, "", "no `from_off`"),
            (r#"{"from""#, r#"{"op":"fma","from""#, "`fma`"),
        ] {
            let error = read(&good.replace(old, new)).unwrap_err();
            assert!(error.message.contains(message), "{error}");
        }
    }
}
