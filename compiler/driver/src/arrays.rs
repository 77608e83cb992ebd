//! Arrays in `.npz` files.
//!
//! Names are `arg0, arg1, ...` and `out0, out1, ...`, in the flattened order of the entry function. Types that numpy
//! lacks are stored as raw bits: bf16 as `uint16`, the 8-bit floats as `uint8`, sub-byte integers as `int8` or `uint8`
//! with one element a byte; the program knows the real type.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use ferrite_interp::Tensor;
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::TensorType;
use npyz::npz::{NpzArchive, NpzWriter, array_name_from_file_name};
use npyz::{Endianness, Order, TypeChar, WriterBuilder};

use crate::files;

/// An array as a file holds it: the type is what numpy calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<i64>,
    /// Letter of the numpy type: `b`, `i`, `u`, `f`, `c` or `V`.
    pub kind: char,
    /// Bytes of one element.
    pub width: usize,
    /// Elements, row-major and little-endian.
    pub bytes: Vec<u8>,
}

/// How numpy stores a dtype: letter and bytes of one element.
fn storage(dtype: DType) -> (char, usize) {
    let width = dtype.bytes();
    match (dtype, dtype.class()) {
        (DType::F16 | DType::F32 | DType::TF32 | DType::F64, _) => ('f', width),
        (_, DTypeClass::Bool) => ('b', width),
        (_, DTypeClass::Signed) => ('i', width),
        (_, DTypeClass::Complex) => ('c', width),
        _ => ('u', width),
    }
}

impl Array {
    /// The array as a tensor of this dtype.
    ///
    /// # Errors
    /// If numpy does not store this dtype so.
    pub fn into_tensor(self, name: &str, dtype: DType) -> Result<Tensor> {
        let (kind, width) = storage(dtype);
        // ml_dtypes writes its types as void; 8-bit floats may come as int8.
        let raw = kind == 'u' && dtype.is_float() && matches!(self.kind, 'V' | 'i' | 'u');
        let bools = kind == 'b' && matches!(self.kind, 'u' | 'i');
        if self.width != width || !(self.kind == kind || raw || bools) {
            let message = format!(
                "`{name}` holds `{}{}`; the program wants `{dtype}`",
                self.kind, self.width
            );
            let help = format!("store it as `{kind}{width}`, for example with numpy's `astype` or `view`");
            return Err(Diagnostic::error(Code::Usage, message).help(help));
        }
        let ty = TensorType::new(dtype, &self.shape);
        Tensor::new(ty, &self.bytes).ok_or_else(|| Diagnostic::error(Code::Io, format!("`{name}` has too few bytes")))
    }
}

/// Reads all arrays of a `.npz` file.
///
/// # Errors
/// If the file cannot be read or holds anything but plain arrays.
pub fn read_npz(path: &Path) -> Result<BTreeMap<String, Array>> {
    let fail = |e: std::io::Error| files::failure(path, &e);
    let file = File::open(path).map_err(fail)?;
    read_archive(BufReader::new(file)).map_err(|e| Diagnostic::error(Code::Io, format!("`{}`: {e}", path.display())))
}

/// Reads all arrays of an archive; the error says in words what is wrong.
fn read_archive<R: Read + Seek>(reader: R) -> Result<BTreeMap<String, Array>, String> {
    let mut archive = NpzArchive::new(reader).map_err(|e| e.to_string())?;
    let zip = archive.zip_archive();
    let mut out = BTreeMap::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| e.to_string())?;
        let Some(name) = array_name_from_file_name(entry.name()).map(str::to_string) else {
            continue;
        };
        let array = read_npy(&mut entry).map_err(|e| format!("array `{name}`: {e}"))?;
        out.insert(name, array);
    }
    Ok(out)
}

/// Reads the array of a `.npy` file.
///
/// # Errors
/// If the file cannot be read or holds anything but a plain array.
pub fn read_npy_file(path: &Path) -> Result<Array> {
    let file = File::open(path).map_err(|e| files::failure(path, &e))?;
    read_npy(&mut BufReader::new(file)).map_err(|e| Diagnostic::error(Code::Io, format!("`{}`: {e}", path.display())))
}

/// Reads one `.npy` file.
fn read_npy(reader: &mut impl Read) -> Result<Array, String> {
    let header = npyz::NpyHeader::from_reader(&mut *reader).map_err(|e| e.to_string())?;
    let npyz::DType::Plain(ty) = header.dtype() else {
        return Err("records are not supported".into());
    };
    let kind = match ty.type_char() {
        TypeChar::Bool => 'b',
        TypeChar::Int => 'i',
        TypeChar::Uint => 'u',
        TypeChar::Float => 'f',
        TypeChar::Complex => 'c',
        TypeChar::RawData => 'V',
        other => return Err(format!("elements of type `{}` are not supported", other.to_str())),
    };
    let width = ty
        .num_bytes()
        .filter(|n| (1..=16).contains(n))
        .ok_or("elements have an unknown size")?;
    let shape: Vec<i64> = header
        .shape()
        .iter()
        .map(|&n| i64::try_from(n).unwrap_or(i64::MAX))
        .collect();
    let size = shape
        .iter()
        .try_fold(width as u64, |n, &d| n.checked_mul(d as u64))
        .ok_or("it is too large")?;
    let mut bytes = Vec::new();
    // Grows with what is there, whatever the header announces.
    reader.take(size).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 != size {
        return Err(format!("{size} bytes are announced and {} are there", bytes.len()));
    }
    if ty.endianness() == Endianness::Big {
        let part = if kind == 'c' { width / 2 } else { width };
        bytes.chunks_exact_mut(part.max(1)).for_each(<[u8]>::reverse);
    }
    if header.order() == Order::Fortran {
        bytes = to_row_major(&bytes, &shape, width);
    }
    Ok(Array {
        shape,
        kind,
        width,
        bytes,
    })
}

/// Reorders elements from column-major to row-major.
fn to_row_major(bytes: &[u8], shape: &[i64], width: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0i64; shape.len()];
    for _ in 0..bytes.len() / width {
        let flat = (0..shape.len()).rev().fold(0, |flat, d| flat * shape[d] + index[d]) as usize;
        out.extend_from_slice(&bytes[flat * width..(flat + 1) * width]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    out
}

/// Takes `{prefix}0`, `{prefix}1`, ... out of a file, as tensors of these dtypes; shapes are the file's.
///
/// # Errors
/// If an array is missing or does not fit.
pub fn take_numbered(arrays: &mut BTreeMap<String, Array>, prefix: &str, dtypes: &[DType]) -> Result<Vec<Tensor>> {
    let mut out = Vec::new();
    for (i, &dtype) in dtypes.iter().enumerate() {
        let name = format!("{prefix}{i}");
        let Some(array) = arrays.remove(&name) else {
            let message = format!("there is no array `{name}`; the program takes {}", dtypes.len());
            return Err(Diagnostic::error(Code::Usage, message));
        };
        out.push(array.into_tensor(&name, dtype)?);
    }
    Ok(out)
}

/// Reads `arg0, arg1, ...` for parameters of these types.
///
/// # Errors
/// If the file cannot be read, an array is missing, or its type or shape is not the parameter's.
pub fn read_inputs(path: &Path, types: &[TensorType]) -> Result<Vec<Tensor>> {
    let dtypes: Vec<DType> = types.iter().map(|t| t.dtype).collect();
    let tensors = take_numbered(&mut read_npz(path)?, "arg", &dtypes).map_err(|e| Diagnostic {
        message: format!("`{}`: {}", path.display(), e.message),
        ..e
    })?;
    for (i, (tensor, ty)) in tensors.iter().zip(types).enumerate() {
        let fits = tensor.shape().len() == ty.shape.len()
            && tensor
                .shape()
                .iter()
                .zip(&ty.shape)
                .all(|(&n, &d)| n == d || d == ferrite_ir::hlo::DYNAMIC);
        if !fits {
            let message = format!(
                "`arg{i}` in `{}` is {}; the program takes {ty}",
                path.display(),
                tensor.ty()
            );
            return Err(Diagnostic::error(Code::Usage, message));
        }
    }
    Ok(tensors)
}

/// Writes `{prefix}0`, `{prefix}1`, ...; the same tensors give the same bytes.
///
/// # Errors
/// If the file cannot be written.
pub fn write_numbered(path: &Path, prefix: &str, tensors: &[Tensor]) -> Result<()> {
    let mut content = std::io::Cursor::new(Vec::new());
    let mut write = || -> std::io::Result<()> {
        let mut npz = NpzWriter::new(&mut content);
        for (i, tensor) in tensors.iter().enumerate() {
            write_array(&mut npz, &format!("{prefix}{i}"), tensor)?;
        }
        npz.zip_writer().finish()?;
        Ok(())
    };
    write().map_err(|e| files::failure(path, &e))?;
    files::write(path, content.get_ref())
}

fn write_array<W: Write + Seek>(npz: &mut NpzWriter<W>, name: &str, tensor: &Tensor) -> std::io::Result<()> {
    let shape: Vec<u64> = tensor.shape().iter().map(|&n| n as u64).collect();
    let options = npyz::zip::write::FileOptions::default()
        .compression_method(npyz::zip::CompressionMethod::Stored)
        .last_modified_time(npyz::zip::DateTime::default())
        .large_file(tensor.bytes().len() >= 1 << 31);
    let bytes = tensor.bytes();
    macro_rules! write_as {
        ($t:ty, $n:expr, |$b:ident| $value:expr) => {{
            let mut writer = npz
                .array::<$t>(name, options)?
                .default_dtype()
                .shape(&shape)
                .begin_nd()?;
            writer.extend(bytes.chunks_exact($n).map(|$b| $value))?;
            writer.finish()
        }};
    }
    macro_rules! write_number {
        ($t:ty) => {
            write_as!($t, size_of::<$t>(), |b| {
                let mut raw = [0u8; size_of::<$t>()];
                raw.copy_from_slice(b);
                <$t>::from_le_bytes(raw)
            })
        };
    }
    match storage(tensor.dtype()) {
        ('b', _) => write_as!(bool, 1, |b| b[0] != 0),
        ('i', 1) => write_number!(i8),
        ('i', 2) => write_number!(i16),
        ('i', 4) => write_number!(i32),
        ('i', _) => write_number!(i64),
        ('u', 1) => write_number!(u8),
        ('u', 2) => write_number!(u16),
        ('u', 4) => write_number!(u32),
        ('u', _) => write_number!(u64),
        ('f', 2) => write_number!(half::f16),
        ('f', 4) => write_number!(f32),
        ('f', _) => write_number!(f64),
        (_, 8) => {
            let mut writer = npz
                .array::<npyz::num_complex::Complex32>(name, options)?
                .default_dtype()
                .shape(&shape)
                .begin_nd()?;
            let number = |(re, im): (f64, f64)| npyz::num_complex::Complex32::new(re as f32, im as f32);
            writer.extend(tensor.to_parts().into_iter().map(number))?;
            writer.finish()
        }
        _ => {
            let mut writer = npz
                .array::<npyz::num_complex::Complex64>(name, options)?
                .default_dtype()
                .shape(&shape)
                .begin_nd()?;
            let number = |(re, im): (f64, f64)| npyz::num_complex::Complex64::new(re, im);
            writer.extend(tensor.to_parts().into_iter().map(number))?;
            writer.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_survives_a_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.npz");
        let tensors: Vec<Tensor> = DType::ALL
            .into_iter()
            .filter(|&d| d != DType::TF32)
            .filter_map(|d| Tensor::from_f64_vec(TensorType::new(d, &[2, 1]), vec![1.0, 1.0]))
            .collect();
        write_numbered(&path, "arg", &tensors).expect("writes");
        let types: Vec<TensorType> = tensors.iter().map(|t| t.ty().clone()).collect();
        assert_eq!(read_inputs(&path, &types), Ok(tensors));
    }

    #[test]
    fn missing_and_wrong_arrays_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.npz");
        let x = Tensor::from_f32(&[2], &[1.0, 2.0]).expect("two elements");
        write_numbered(&path, "arg", &[x]).expect("writes");
        let message = |dtype: DType, shape: &[i64], n: usize| {
            let types = vec![TensorType::new(dtype, shape); n];
            read_inputs(&path, &types)
                .map_err(|e| e.message)
                .expect_err("does not fit")
        };
        assert!(message(DType::I32, &[2], 1).contains("holds `f4`"));
        assert!(message(DType::F32, &[3], 1).contains("arg0"));
        assert!(message(DType::F32, &[2], 2).contains("arg1"));
    }

    #[test]
    fn column_major_arrays_are_turned() {
        assert_eq!(to_row_major(&[1, 2, 3, 4, 5, 6], &[2, 3], 1), [1, 3, 5, 2, 4, 6]);
    }
}
