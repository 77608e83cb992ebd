//! 64-bit integers as pairs of 32-bit words, where they keep their width (`--native-int64 enabled`).
//!
//! Before                                              After
//!   %z = add %x, %y : i64                               %l, %h = words of %x and %y added, with the carry
//!                                                       %z = bitcast_convert (concatenate %l, %h) : i64
//!
//! As [`super::complex`]: every operation becomes operations on words, followed by the value that the two make. Those that
//! nobody needs as such disappear as dead operations. Sorts, gathers, scatters and windows are legalized first, as for
//! any element type; the rule runs before and after them. Dots, combining scatters and powers are computed in 32 bits, as
//! the documents say. Indices are narrowed with saturation, so that what is out of bounds stays so.
//!
//! Needs: verified static `hlo` after `legalize-64bit`. Leaves: verified `hlo`.

mod arithmetic;
mod conversion;

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, Module, OpId, OpKind, RegionId, TensorType, Type, ValueId, Violation};
use ferrite_ir::literal::Literal;

use self::arithmetic::{binary, compare, unary, violation};
use self::conversion::{from_narrow, index, narrow, to_narrow, widen};
use super::body::{reducer_region, returns_args, single_reducer};
use super::rewrite::{Rewrite, Step, operands, refuse, rewrite_module};
use crate::pass::{Changed, HloPass, PassContext};

/// See the module's own text.
pub struct LegalizeInt64;

impl HloPass for LegalizeInt64 {
    const NAME: &'static str = "legalize-int64";
    const DOC: &'static str = "Computes 64-bit integers that keep their width as pairs of 32-bit words.";

    fn run(&self, module: &mut Module, cx: &mut PassContext<'_>) -> Result<Changed> {
        if !cx.options.native_int64 {
            return Ok(Changed::No);
        }
        rewrite_module(module, Self::NAME, rewrite).map(Changed::from_bool)
    }
}

/// Low and high word, both `ui32`.
type Pair = (ValueId, ValueId);

fn is_wide(b: &Builder<'_>, v: ValueId) -> bool {
    let dtype = b.func.ty(v).tensor().map(|t| t.dtype);
    matches!(dtype, Some(DType::I64 | DType::U64))
}

fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    use OpKind::*;
    let node = b.func.op(op);
    let (kind, results, regions) = (node.kind.clone(), node.results.to_vec(), node.regions.to_vec());
    let o = operands(b, op);
    let wide_result = results.first().is_some_and(|&r| is_wide(b, r));
    if !o.iter().chain(&results).any(|&v| is_wide(b, v)) || results.len() != 1 {
        return Ok(None);
    }
    let ty = b.func.tensor(results[0]).clone();
    let pair = match &kind {
        Unary(op) => unary(b, *op, o[0])?,
        Binary(BinaryOp::Power) => {
            let (x, y) = (narrow(b, o[0])?, narrow(b, o[1])?);
            let z = b.binary(BinaryOp::Power, x, y)?;
            widen(b, z)?
        }
        Binary(op) => {
            let (x, y) = (words(b, o[0])?, words(b, o[1])?);
            binary(b, *op, x, y, ty.dtype == DType::I64)?
        }
        Compare(c) => {
            let signed = b.func.tensor(o[0]).dtype == DType::I64;
            let (x, y) = (words(b, o[0])?, words(b, o[1])?);
            return Ok(Some(vec![compare(b, c.direction, x, y, signed)?]));
        }
        Convert if wide_result => from_narrow(b, o[0], ty.dtype == DType::I64)?,
        Convert => return Ok(Some(vec![to_narrow(b, o[0], ty.dtype)?])),
        Clamp => {
            let signed = ty.dtype == DType::I64;
            let shape = ty.shape.to_vec();
            let mut all = [words(b, o[0])?, words(b, o[1])?, words(b, o[2])?];
            for bound in [0, 2] {
                let (low, high) = all[bound];
                if b.func.tensor(low).rank() == 0 {
                    all[bound] = (
                        b.broadcast_in_dim(low, &shape, &[])?,
                        b.broadcast_in_dim(high, &shape, &[])?,
                    );
                }
            }
            let x = binary(b, BinaryOp::Maximum, all[0], all[1], signed)?;
            binary(b, BinaryOp::Minimum, x, all[2], signed)?
        }
        Iota(i) => {
            let low = b.iota(ty.with_dtype(DType::U32), i.iota_dimension)?;
            (low, b.like_i(low, 0)?)
        }
        DotGeneral(_) | Dot(_) | Convolution(_) => {
            let (x, y) = (narrow(b, o[0])?, narrow(b, o[1])?);
            let half = if ty.dtype == DType::I64 { DType::I32 } else { DType::U32 };
            let z = b.op1_as(kind.clone(), &[x, y], ty.with_dtype(half))?;
            widen(b, z)?
        }
        Scatter(_) => return scatter(b, &kind, &o, regions[0], &ty),
        Reduce(_) | ReduceWindow(_) => match single_reducer(b.func, regions[0]) {
            Some(reducer) if o.len() == 2 => reduction(b, &kind, &o, reducer, &ty)?,
            // Another body becomes element-wise steps, which come back here.
            _ => return Ok(None),
        },
        Select | Reshape | BroadcastInDim(_) | Transpose(_) | Slice(_) | Pad(_) | Reverse(_) | Concatenate(_)
        | DynamicSlice(_) | DynamicUpdateSlice | Gather(_) | OptimizationBarrier => {
            let data = match &kind {
                DynamicSlice(_) | Gather(_) => 1,
                DynamicUpdateSlice => 2,
                _ => o.len(),
            };
            let (mut low, mut high) = (Vec::with_capacity(o.len()), Vec::with_capacity(o.len()));
            for (i, &v) in o.iter().enumerate() {
                let (l, h) = match is_wide(b, v) {
                    true if i < data => words(b, v)?,
                    true => {
                        let index = index(b, v)?;
                        (index, index)
                    }
                    false => (v, v),
                };
                low.push(l);
                high.push(h);
            }
            if !wide_result {
                return Ok(Some(vec![b.op1_as(kind, &low, ty)?]));
            }
            let half = ty.with_dtype(DType::U32);
            (
                b.op1_as(kind.clone(), &low, half.clone())?,
                b.op1_as(kind, &high, half)?,
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![join(b, pair, ty.dtype)?]))
}

/// The words of a 64-bit value.
fn words(b: &mut Builder<'_>, v: ValueId) -> Step<Pair> {
    if let Some(made) = made_of(b, v) {
        return Ok(made);
    }
    if let Some(OpKind::Constant(literal)) = b.func.def_kind(v) {
        let literal = literal.clone();
        return Ok((literal_word(b, &literal, 0)?, literal_word(b, &literal, 1)?));
    }
    let shape = b.func.tensor(v).shape.to_vec();
    let mut both = shape.clone();
    both.push(2);
    let pairs = b.op1_as(OpKind::BitcastConvert, &[v], TensorType::new(DType::U32, &both))?;
    let mut word = |which| {
        let word = b.slice_dim(pairs, shape.len(), which, 1)?;
        b.reshape(word, &shape)
    };
    Ok((word(0)?, word(1)?))
}

/// The words that [`join`] made a value of.
fn made_of(b: &Builder<'_>, v: ValueId) -> Option<Pair> {
    let of = |v: ValueId| b.func.def(v).map(|op| b.func.op(op));
    let cast = of(v).filter(|op| matches!(op.kind, OpKind::BitcastConvert))?;
    let both = of(cast.operands[0]).filter(|op| matches!(op.kind, OpKind::Concatenate(_)))?;
    let [low, high] = both.operands[..] else { return None };
    let shape = &b.func.tensor(v).shape;
    let word = |v: ValueId| {
        let x = of(v).filter(|op| matches!(op.kind, OpKind::Reshape))?.operands[0];
        (b.func.tensor(x).shape == *shape).then_some(x)
    };
    Some((word(low)?, word(high)?))
}

fn join(b: &mut Builder<'_>, (low, high): Pair, dtype: DType) -> Step {
    let ty = b.func.tensor(low).with_dtype(dtype);
    let mut one = ty.shape.to_vec();
    one.push(1);
    let (low, high) = (b.reshape(low, &one)?, b.reshape(high, &one)?);
    let both = b.concatenate(&[low, high], ty.rank() as i64)?;
    Ok(b.op1_as(OpKind::BitcastConvert, &[both], ty)?)
}

fn literal_word(b: &mut Builder<'_>, literal: &Literal, which: usize) -> Step {
    let ty = literal.ty().with_dtype(DType::U32);
    let count = if literal.is_splat() { 1 } else { ty.element_count() };
    let bytes: Vec<u8> = (0..count)
        .flat_map(|i| ((literal.get_i64(i) >> (32 * which)) as u32).to_le_bytes())
        .collect();
    match Literal::new(ty, bytes) {
        Some(literal) => Ok(b.constant(literal)),
        None => Err(Violation::new("constant", "wrong number of bytes").into()),
    }
}

/// Replacing scatters word by word, combining ones in 32 bits.
fn scatter(b: &mut Builder<'_>, kind: &OpKind, o: &[ValueId], region: RegionId, ty: &TensorType) -> Rewrite {
    let [x, indices, updates] = o[..] else { return Ok(None) };
    let indices = if is_wide(b, indices) {
        index(b, indices)?
    } else {
        indices
    };
    let reducer = single_reducer(b.func, region);
    let wide = is_wide(b, x);
    if !wide {
        // Only the indices were wide: the body stays.
        let out = b.op_with_regions(
            kind.clone(),
            &[x, indices, updates],
            &[region],
            Some(&[ty.clone().into()]),
        )?;
        return Ok(Some(out));
    }
    if let Some(reducer) = reducer {
        let (x, updates) = (narrow(b, x)?, narrow(b, updates)?);
        let half = b.func.tensor(x).clone();
        let body = reducer_region(b, reducer, TensorType::scalar(half.dtype))?;
        let out = b.op_with_regions(kind.clone(), &[x, indices, updates], &[body], Some(&[half.into()]))?;
        let pair = widen(b, out[0])?;
        return Ok(Some(vec![join(b, pair, ty.dtype)?]));
    }
    if !returns_args(b.func, region, &[1]) {
        return Err(refuse(
            "a scatter of 64-bit integers with a body of several operations",
            "use one of add, multiply, minimum and maximum, or 32-bit integers",
        ));
    }
    let (x, updates) = (words(b, x)?, words(b, updates)?);
    let half = ty.with_dtype(DType::U32);
    let mut out = Vec::with_capacity(2);
    for (x, updates) in [(x.0, updates.0), (x.1, updates.1)] {
        let scalar = Type::from(TensorType::scalar(DType::U32));
        let body = b.add_region(&[scalar.clone(), scalar], |_, args| Ok(vec![args[1]]))?;
        out.extend(b.op_with_regions(
            kind.clone(),
            &[x, indices, updates],
            &[body],
            Some(&[half.clone().into()]),
        )?);
    }
    Ok(Some(vec![join(b, (out[0], out[1]), ty.dtype)?]))
}

/// A reduction by one operation: one of both words.
fn reduction(b: &mut Builder<'_>, kind: &OpKind, o: &[ValueId], reducer: BinaryOp, ty: &TensorType) -> Step<Pair> {
    let (x, init) = (words(b, o[0])?, words(b, o[1])?);
    let scalar = Type::from(TensorType::scalar(DType::U32));
    let is_signed = ty.dtype == DType::I64;
    let four = [scalar.clone(), scalar.clone(), scalar.clone(), scalar];
    let body = b.add_region(&four, |b, args| {
        let all = binary(b, reducer, (args[0], args[1]), (args[2], args[3]), is_signed).map_err(violation)?;
        Ok(vec![all.0, all.1])
    })?;
    let half: Type = ty.with_dtype(DType::U32).into();
    let out = b.op_with_regions(
        kind.clone(),
        &[x.0, x.1, init.0, init.1],
        &[body],
        Some(&[half.clone(), half]),
    )?;
    Ok((out[0], out[1]))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{module, ops, run, run_with};
    use super::*;
    use crate::options::CompileOptions;

    fn native() -> CompileOptions {
        CompileOptions {
            native_int64: true,
            ..CompileOptions::default()
        }
    }

    fn sum() -> Module {
        module(&[(DType::I64, &[4]), (DType::I64, &[4])], |b, args| {
            Ok(vec![b.add(args[0], args[1])?])
        })
    }

    #[test]
    fn nothing_happens_unless_asked_for() -> Result<()> {
        assert_eq!(run(LegalizeInt64, &mut sum())?, Changed::No);
        Ok(())
    }

    #[test]
    fn no_operation_computes_with_wide_integers() -> Result<()> {
        let mut m = sum();
        assert_eq!(run_with(LegalizeInt64, &mut m, &native())?, Changed::Yes);
        let func = &m.funcs[0];
        let mut wide = Vec::new();
        func.walk(func.body(), &mut |func, op| {
            let op = func.op(op);
            if op.operands.iter().any(|&v| func.tensor(v).dtype == DType::I64) {
                wide.push(op.kind.mnemonic());
            }
        });
        assert!(wide.iter().all(|name| *name == "stablehlo.bitcast_convert"), "{wide:?}");
        assert!(ops(&m).contains(&"concatenate"));
        Ok(())
    }

    #[test]
    fn what_was_joined_is_not_taken_apart_again() -> Result<()> {
        let mut m = module(&[(DType::I64, &[4])], |b, args| {
            let x = b.add(args[0], args[0])?;
            Ok(vec![b.add(x, x)?])
        });
        run_with(LegalizeInt64, &mut m, &native())?;
        // One for each use of the parameter, one for the result, and one that is dead.
        let casts = ops(&m).iter().filter(|name| **name == "bitcast_convert").count();
        assert_eq!(casts, 4);
        Ok(())
    }
}
