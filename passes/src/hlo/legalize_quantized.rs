//! Computes with quantized tensors as the specification defines it: dequantize, compute, quantize.
//!
//! ```text
//! Before                                               After
//!   %2 = add %0, %1                                      %3 = multiply(convert(subtract(convert(%0), zero)), scale)
//!     : tensor<4x!quant.uniform<i8:f32, 0.5:-3>>         %4 = (the same of %1)
//!                                                        %5 = add %3, %4 : tensor<4xf32>
//!                                                        %2 = convert(round(clamp(%5 / scale + zero)))   tensor<4xi8>
//! ```
//!
//! Operations that only move elements take storage values as they are ([`OpKind::passes_storage`]), and so do those with
//! regions, whose bodies are rewritten. The reference interpreter computes the same, rounding in the same places.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo` without quantized types; parameters and results are storage values.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, Built, Dims, Func, Module, OpId, OpKind, Quantization, RegionId, TensorType, Type, UnaryOp,
    ValueId, Violation,
};
use ferrite_ir::literal::{Literal, write_f64, write_i64};

use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct LegalizeQuantized;

impl HloPass for LegalizeQuantized {
    const NAME: &'static str = "legalize-quantized";
    const DOC: &'static str = "Computes with quantized tensors in the type that their elements stand for, and keeps storage values as integers.";

    fn run(&self, module: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
        let mut changed = false;
        for func in &mut module.funcs {
            let any = (0..func.value_count()).any(|i| quantization(func, ValueId(i as u32)).is_some());
            if any {
                legalize(func)?;
                changed = true;
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

fn quantization(func: &Func, v: ValueId) -> Option<&Quantization> {
    func.ty(v).tensor()?.quantization()
}

fn legalize(func: &mut Func) -> Result<()> {
    let original = func.value_count();
    let mut pass = Pass {
        quantized: (0..original)
            .map(|i| quantization(func, ValueId(i as u32)).cloned())
            .collect(),
        replaced: vec![None; original],
    };
    let body = func.body();
    pass.region(func, body)?;
    let replaced = pass.replaced;
    func.map_uses(|v| replaced.get(v.index()).copied().flatten().unwrap_or(v));
    for i in 0..func.value_count() {
        let v = ValueId(i as u32);
        let ty = storage(func.ty(v));
        func.set_type(v, ty);
    }
    let mut constants = Vec::new();
    func.walk(body, &mut |func, op| {
        if matches!(&func.op(op).kind, OpKind::Constant(literal) if literal.ty().extra.is_some()) {
            constants.push(op);
        }
    });
    for op in constants {
        if let OpKind::Constant(literal) = &func.op(op).kind
            && let Some(plain) = Literal::new(literal.ty().storage(), literal.to_bytes())
        {
            func.op_mut(op).kind = OpKind::Constant(plain);
        }
    }
    Ok(())
}

/// A type with its tensors as storage values.
fn storage(ty: &Type) -> Type {
    match ty {
        Type::Tensor(t) => Type::Tensor(t.storage()),
        Type::Token => Type::Token,
        Type::Tuple(types) => Type::Tuple(types.iter().map(storage).collect()),
        Type::Future(types) => Type::Future(types.iter().map(storage).collect()),
    }
}

struct Pass {
    /// What the values of the program before are quantized with.
    quantized: Vec<Option<Quantization>>,
    /// The value that stands for one of the program before.
    replaced: Vec<Option<ValueId>>,
}

impl Pass {
    fn of(&self, v: ValueId) -> Option<&Quantization> {
        self.quantized.get(v.index())?.as_ref()
    }

    fn region(&mut self, func: &mut Func, region: RegionId) -> Result<()> {
        for op in std::mem::take(&mut func.region_mut(region).ops) {
            for inner in func.op(op).regions.clone() {
                self.region(func, inner)?;
            }
            let o = func.op(op);
            let touches = o.operands.iter().chain(&o.results).any(|&v| self.of(v).is_some());
            if !touches || o.kind.passes_storage() {
                func.region_mut(region).ops.push(op);
                continue;
            }
            self.operation(func, region, op)?;
        }
        Ok(())
    }

    /// An operation on what its operands stand for.
    fn operation(&mut self, func: &mut Func, region: RegionId, op: OpId) -> Built<()> {
        let loc = func.op(op).loc;
        let mut meant = func.op(op).operands.to_vec();
        for v in &mut meant {
            if let Some(q) = self.of(*v).cloned() {
                *v = dequantize(&mut Builder::new(func, region, loc), *v, &q)?;
            }
        }
        let results = func.op(op).results.clone();
        let computed: Vec<ValueId> = match func.op(op).kind {
            OpKind::UniformQuantize | OpKind::UniformDequantize => meant,
            _ => {
                let types: Vec<Type> = results.iter().map(|&r| self.expressed(func, r)).collect();
                let (kind, regions) = (func.op(op).kind.clone(), func.op(op).regions.to_vec());
                let attrs = func.op(op).attrs.clone();
                let new = func.append(region, kind, &meant, types, &regions, loc);
                func.op_mut(new).attrs = attrs;
                func.op(new).results.to_vec()
            }
        };
        for (&result, value) in results.iter().zip(computed) {
            let value = match self.of(result).cloned() {
                Some(q) => {
                    let dtype = func.tensor(result).dtype;
                    quantize(&mut Builder::new(func, region, loc), value, dtype, &q)?
                }
                None => value,
            };
            self.replaced[result.index()] = Some(value);
        }
        Ok(())
    }

    /// The type of what a result stands for.
    fn expressed(&self, func: &Func, v: ValueId) -> Type {
        match (func.ty(v), self.of(v)) {
            (Type::Tensor(ty), Some(q)) => Type::Tensor(TensorType {
                dtype: q.expressed,
                ..ty.storage()
            }),
            (ty, _) => ty.clone(),
        }
    }
}

/// `(x - zero) * scale`.
fn dequantize(b: &mut Builder<'_>, x: ValueId, q: &Quantization) -> Built {
    let mut x = storage_view(b, x)?;
    if q.zero_points.iter().any(|&z| z != 0) {
        x = b.convert(x, DType::I32)?;
        let zeros: Vec<f64> = q.zero_points.iter().map(|&z| z as f64).collect();
        let zeros = parameters(b, x, DType::I32, &zeros, q)?;
        x = b.sub(x, zeros)?;
    }
    let x = b.convert(x, q.expressed)?;
    let scales = scales(b, x, q)?;
    b.mul(x, scales)
}

/// `x / scale + zero`, clamped to the storage range, rounded to even.
fn quantize(b: &mut Builder<'_>, x: ValueId, storage: DType, q: &Quantization) -> Built {
    let x = b.convert(x, q.expressed)?;
    let scales = scales(b, x, q)?;
    let mut scaled = b.div(x, scales)?;
    if q.zero_points.iter().any(|&z| z != 0) {
        let zeros: Vec<f64> = q.zero_points.iter().map(|&z| z as f64).collect();
        let zeros = parameters(b, x, q.expressed, &zeros, q)?;
        scaled = b.add(scaled, zeros)?;
    }
    if q.expressed.bits() >= 32 && storage.bits() < 32 {
        let low = b.like_f(scaled, q.storage_min as f64)?;
        let high = b.like_f(scaled, q.storage_max as f64)?;
        let clamped = b.binary(BinaryOp::Maximum, scaled, low)?;
        let clamped = b.binary(BinaryOp::Minimum, clamped, high)?;
        let rounded = b.unary(UnaryOp::RoundNearestEven, clamped)?;
        let whole = b.convert(rounded, DType::I32)?;
        return b.convert(whole, storage);
    }
    // The ends of the range may have no place in the type: integers are clamped, after a conversion that saturates.
    let wide = b.convert(scaled, DType::F32)?;
    let rounded = b.unary(UnaryOp::RoundNearestEven, wide)?;
    let whole = if storage == DType::U32 { DType::U32 } else { DType::I32 };
    let whole = b.convert(rounded, whole)?;
    let low = b.like_i(whole, q.storage_min)?;
    let high = b.like_i(whole, q.storage_max)?;
    let whole = b.binary(BinaryOp::Maximum, whole, low)?;
    let whole = b.binary(BinaryOp::Minimum, whole, high)?;
    b.convert(whole, storage)
}

/// The operand as plain integers, whose type says nothing of a quantization.
fn storage_view(b: &mut Builder<'_>, x: ValueId) -> Built {
    let ty = b.tensor(x)?.storage();
    b.func.set_type(x, Type::Tensor(ty));
    Ok(x)
}

fn scales(b: &mut Builder<'_>, x: ValueId, q: &Quantization) -> Built {
    let scales: Vec<f64> = q.scales.iter().map(|&bits| f64::from_bits(bits)).collect();
    parameters(b, x, q.expressed, &scales, q)
}

/// One number for each element of `x`: the same for all, one for each index of a dimension, or one for each block.
fn parameters(b: &mut Builder<'_>, x: ValueId, dtype: DType, values: &[f64], q: &Quantization) -> Built {
    let shape = b.tensor(x)?.shape.clone();
    if let [value] = values {
        let ty = TensorType::new(dtype, &shape);
        return Ok(b.constant(splat(ty, *value)));
    }
    let blocks = match q.axis {
        Some(axis) => Quantization {
            blocks: vec![(axis, 1)],
            ..q.clone()
        },
        None => q.clone(),
    };
    let wrong = || Violation::new("quantized", "scales do not fit the shape");
    let counts = blocks.block_counts(&shape).ok_or_else(wrong)?;
    let counts: Dims = counts.into_iter().map(|n| n as i64).collect();
    let mut bytes = vec![0; values.len() * dtype.bytes()];
    for (out, &value) in bytes.chunks_exact_mut(dtype.bytes()).zip(values) {
        write(dtype, value, out);
    }
    let literal = Literal::new(TensorType::new(dtype, &counts), bytes).ok_or_else(wrong)?;
    let all = b.constant(literal);
    // [c0, c1] becomes [c0, s0, c1, s1], then [c0 * s0, c1 * s1].
    let mut spread = Dims::new();
    let mut dims = Vec::new();
    for (&size, &count) in shape.iter().zip(&counts) {
        dims.push(spread.len() as i64);
        spread.extend([count, size / count.max(1)]);
    }
    let all = b.broadcast_in_dim(all, &spread, &dims)?;
    b.reshape(all, &shape)
}

fn splat(ty: TensorType, value: f64) -> Literal {
    if ty.dtype.is_float() {
        Literal::splat_f64(ty, value)
    } else {
        Literal::splat_i64(ty, value as i64)
    }
}

fn write(dtype: DType, value: f64, out: &mut [u8]) {
    if dtype.is_float() {
        write_f64(dtype, value, out);
    } else {
        write_i64(dtype, value as i64, out);
    }
}
