//! Quantized types: tensors hold storage values; what they mean is in the types of the program's values.
//!
//! As the StableHLO specification has it, an operation on quantized values is the operation on what they stand for,
//! quantized again: `quantize(op(dequantize(x), ...))`, in the expressed type. Movement and control flow pass storage
//! values on, their types being the same on both sides.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Func, Op, OpId, OpKind, Quantization, TensorType, Type, ValueId};

use crate::eval::{Frame, Value};
use crate::invalid;
use crate::number::round_to;
use crate::tensor::Tensor;

/// The quantization of a type.
pub(crate) fn quantization(ty: &Type) -> Option<&Quantization> {
    ty.tensor()?.extra.as_ref()?.quantization.as_ref()
}

/// Whether an operation takes or gives quantized tensors.
pub(crate) fn is_quantized(func: &Func, op: &Op) -> bool {
    let any = |values: &[ValueId]| values.iter().any(|&v| quantization(func.ty(v)).is_some());
    any(&op.operands) || any(&op.results)
}

impl Frame<'_> {
    /// Computes the results of an operation with quantized operands or results.
    pub(crate) fn evaluate_quantized(&mut self, id: OpId, operands: Vec<Value>) -> Result<Vec<Value>> {
        let func = self.func;
        let op = func.op(id);
        let types: Vec<&Type> = op.results.iter().map(|&r| func.ty(r)).collect();
        if op.kind.passes_storage() {
            let results: Vec<Option<&TensorType>> = types.iter().map(|t| t.tensor()).collect();
            return self.evaluate_as(id, operands, &results);
        }
        let mut meant = Vec::with_capacity(operands.len());
        for (&v, value) in op.operands.iter().zip(operands) {
            meant.push(match (quantization(func.ty(v)), value) {
                (Some(q), Value::Tensor(t)) => Value::Tensor(dequantize(&t, q)?),
                (_, value) => value,
            });
        }
        let expressed: Vec<Option<TensorType>> = types
            .iter()
            .map(|t| {
                let ty = t.tensor()?;
                Some(quantization(t).map_or_else(|| ty.clone(), |q| ty.with_dtype(q.expressed)))
            })
            .collect();
        let results = match op.kind {
            OpKind::UniformQuantize | OpKind::UniformDequantize => meant,
            _ => {
                let results: Vec<Option<&TensorType>> = expressed.iter().map(Option::as_ref).collect();
                self.evaluate_as(id, meant, &results)?
            }
        };
        let mut out = Vec::with_capacity(results.len());
        for (ty, value) in types.iter().zip(results) {
            out.push(match (ty, quantization(ty), value) {
                (Type::Tensor(ty), Some(q), Value::Tensor(t)) => Value::Tensor(quantize(&t, ty.dtype, q)?),
                (_, _, value) => value,
            });
        }
        Ok(out)
    }
}

/// Scale and zero point of each element of a tensor of this shape.
fn parameters(shape: &[i64], q: &Quantization) -> Result<impl Fn(usize) -> (f64, f64)> {
    let scales: Vec<f64> = q
        .scales
        .iter()
        .map(|&bits| round_to(q.expressed, f64::from_bits(bits)))
        .collect();
    let zeros: Vec<f64> = q.zero_points.iter().map(|&z| z as f64).collect();
    // Per axis is blocks of size 1 along it.
    let blocks = match q.axis {
        Some(axis) => Quantization {
            blocks: vec![(axis, 1)],
            ..q.clone()
        },
        None => q.clone(),
    };
    let counts = blocks
        .block_counts(shape)
        .ok_or_else(|| invalid(format!("the blocks {:?} do not fit shape {shape:?}", blocks.blocks)))?;
    let count: usize = counts.iter().product();
    if scales.len() != count || zeros.len() != count {
        return Err(invalid(format!(
            "{} scales and {} zero points for {count} slices or blocks",
            scales.len(),
            zeros.len()
        )));
    }
    let sizes: Vec<usize> = shape.iter().map(|&size| size.max(1) as usize).collect();
    Ok(move |i: usize| {
        let (mut rest, mut block, mut stride) = (i, 0, 1);
        if count > 1 {
            for (size, count) in sizes.iter().zip(&counts).rev() {
                block += rest % size / (size / count) * stride;
                rest /= size;
                stride *= count;
            }
        }
        (scales[block], zeros[block])
    })
}

/// What storage values stand for: `(x - zero_point) * scale`.
fn dequantize(x: &Tensor, q: &Quantization) -> Result<Tensor> {
    let of = parameters(x.shape(), q)?;
    let values = x
        .to_i64s()
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let (scale, zero) = of(i);
            round_to(q.expressed, round_to(q.expressed, v as f64 - zero) * scale)
        })
        .collect();
    Ok(Tensor::from_f64s(x.ty().with_dtype(q.expressed), values))
}

/// Storage values for numbers: `x / scale + zero_point`, clamped to the storage range and rounded to even.
fn quantize(x: &Tensor, storage: DType, q: &Quantization) -> Result<Tensor> {
    let of = parameters(x.shape(), q)?;
    let round = |v: f64| round_to(q.expressed, v);
    let (low, high) = (q.storage_min as f64, q.storage_max as f64);
    let values = x
        .to_f64s()
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            let (scale, zero) = of(i);
            let scaled = round(round(v / scale) + zero);
            if scaled.is_nan() {
                return 0; // as conversions to integers have it
            }
            scaled.clamp(low, high).round_ties_even() as i64
        })
        .collect();
    Ok(Tensor::from_i64s(x.ty().with_dtype(storage), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn per_tensor(scale: f64, zero: i64) -> Quantization {
        Quantization {
            expressed: DType::F32,
            storage_min: -128,
            storage_max: 127,
            axis: None,
            blocks: Vec::new(),
            scales: vec![scale.to_bits()],
            zero_points: vec![zero],
        }
    }

    #[test]
    fn values_are_rounded_to_even_and_clamped() {
        let x = Tensor::from_f32(&[4], &[0.25, 0.75, 1000.0, -1000.0]);
        let stored = x.map(|x| quantize(&x, DType::I8, &per_tensor(0.5, 2)));
        let Some(Ok(stored)) = stored else { panic!("quantizes") };
        // 0.5 + 2 and 1.5 + 2 are halfway.
        assert_eq!(stored.to_i64s().to_vec(), [2, 4, 127, -128]);
        let back = dequantize(&stored, &per_tensor(0.5, 2)).map(|t| t.to_f64_vec());
        assert_eq!(back, Ok(vec![0.0, 1.0, 62.5, -65.0]));
    }

    #[test]
    fn slices_of_the_quantized_dimension_have_their_own_scales() {
        let q = Quantization {
            axis: Some(0),
            scales: vec![0.5f64.to_bits(), 2f64.to_bits()],
            zero_points: vec![0, 1],
            ..per_tensor(1.0, 0)
        };
        let x = Tensor::from_i64_vec(TensorType::new(DType::I8, &[2, 2]), vec![1, 2, 3, 4]);
        let meant = x.map(|x| dequantize(&x, &q).map(|t| t.to_f64_vec()));
        assert_eq!(meant, Some(Ok(vec![0.5, 1.0, 4.0, 6.0])));
        let blocks = Quantization {
            blocks: vec![(0, 1), (1, 2)],
            scales: [0.5, 1.0, 2.0, 4.0].map(f64::to_bits).to_vec(),
            zero_points: vec![0, 0, 1, 0],
            ..per_tensor(1.0, 0)
        };
        let x = Tensor::from_i64_vec(TensorType::new(DType::I8, &[2, 4]), vec![1, 2, 3, 4, 5, 6, 7, 8]);
        let meant = x.map(|x| dequantize(&x, &blocks).map(|t| t.to_f64_vec()));
        assert_eq!(meant, Some(Ok(vec![0.5, 1.0, 3.0, 4.0, 8.0, 10.0, 28.0, 32.0])));
        let wrong = Tensor::from_i64_vec(TensorType::new(DType::I8, &[3]), vec![1, 2, 3]);
        assert_eq!(wrong.map(|x| dequantize(&x, &q).is_err()), Some(true));
    }
}
