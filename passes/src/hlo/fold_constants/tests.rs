use super::*;
use crate::hlo::RemoveDeadOps;
use crate::hlo::testing::{module, ops, run};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, ComparisonDirection, UnaryOp};

/// The only constant left after folding, as numbers.
fn folded(m: &mut Module) -> Result<Vec<f64>> {
    run(FoldConstants, m)?;
    run(RemoveDeadOps, m)?;
    assert_eq!(ops(m), ["constant"]);
    let func = &m.funcs[0];
    match &func.op(func.region(func.body()).ops[0]).kind {
        OpKind::Constant(l) => Ok((0..l.ty().element_count().min(64)).map(|i| l.get_f64(i)).collect()),
        _ => Ok(vec![]),
    }
}

#[test]
fn large_splats_fold_to_splats() -> Result<()> {
    let ty = TensorType::new(DType::F32, &[4096, 4096]);
    let mut m = module(&[], |b, _| {
        let x = b.constant_f(ty.clone(), 2.0);
        let y = b.constant_f(ty.clone(), 0.1);
        let z = b.mul(x, y)?;
        Ok(vec![b.unary(UnaryOp::Sqrt, z)?])
    });
    assert_eq!(folded(&mut m)?[0], f64::from((2.0f32 * 0.1).sqrt()));
    Ok(())
}

#[test]
fn small_index_arithmetic_folds() -> Result<()> {
    let mut m = module(&[], |b, _| {
        let rows = b.iota(TensorType::new(DType::I32, &[2, 3]), 0)?;
        let columns = b.iota(TensorType::new(DType::I32, &[2, 3]), 1)?;
        let three = b.like_i(rows, 3)?;
        let x = b.mul(rows, three)?;
        let x = b.add(x, columns)?;
        let x = b.transpose(x, &[1, 0])?;
        Ok(vec![b.slice(x, &[0, 0], &[3, 2], &[2, 1])?])
    });
    assert_eq!(folded(&mut m)?, [0.0, 3.0, 2.0, 5.0]);
    Ok(())
}

#[test]
fn padding_concatenation_and_reduction_fold() -> Result<()> {
    let mut m = module(&[], |b, _| {
        let x = b.iota(TensorType::new(DType::I32, &[3]), 0)?;
        let nine = b.constant_i(TensorType::scalar(DType::I32), 9);
        let x = b.pad(x, nine, &[1], &[-1], &[1])?; // 9 0 9 1 9
        let y = b.concatenate(&[x, x], 0)?;
        let y = b.reshape(y, &[2, 5])?;
        Ok(vec![b.reduce(BinaryOp::Maximum, y, &[0])?])
    });
    assert_eq!(folded(&mut m)?, [9.0, 0.0, 9.0, 1.0, 9.0]);
    Ok(())
}

#[test]
fn unsigned_numbers_compare_without_sign() -> Result<()> {
    let mut m = module(&[], |b, _| {
        let x = b.constant_i(TensorType::scalar(DType::U64), -1);
        let y = b.constant_i(TensorType::scalar(DType::U64), 1);
        Ok(vec![b.compare(ComparisonDirection::Gt, x, y)?])
    });
    assert_eq!(folded(&mut m)?, [1.0]);
    Ok(())
}

#[test]
fn shifts_of_negative_numbers_keep_to_their_width() -> Result<()> {
    let mut m = module(&[], |b, _| {
        let x = b.constant_i(TensorType::scalar(DType::I8), -2);
        let y = b.constant_i(TensorType::scalar(DType::I8), 1);
        Ok(vec![b.binary(BinaryOp::ShiftRightLogical, x, y)?])
    });
    assert_eq!(folded(&mut m)?, [127.0]);
    Ok(())
}

#[test]
fn approximated_functions_and_divisions_by_zero_stay() -> Result<()> {
    let mut m = module(&[], |b, _| {
        let x = b.constant_f(TensorType::scalar(DType::F32), 2.0);
        let i = b.constant_i(TensorType::scalar(DType::I32), 0);
        Ok(vec![b.unary(UnaryOp::Exponential, x)?, b.div(i, i)?])
    });
    assert_eq!(run(FoldConstants, &mut m)?, Changed::No);
    Ok(())
}

#[test]
fn large_constants_fold_only_while_they_do_not_grow() -> Result<()> {
    let shape = &[64, 64];
    let weights: Vec<f32> = (0..4096).map(|i| i as f32).collect();
    let weights = Literal::from_f32(shape, &weights).expect("as many values as elements");
    let mut narrow = module(&[], |b, _| {
        let w = b.constant(weights.clone());
        let w = b.convert(w, DType::BF16)?;
        Ok(vec![b.transpose(w, &[1, 0])?])
    });
    assert_eq!(folded(&mut narrow)?[1], 64.0);
    let mut wide = module(&[], |b, _| {
        let w = b.constant(weights.clone());
        Ok(vec![b.add(w, w)?])
    });
    assert_eq!(run(FoldConstants, &mut wide)?, Changed::No);
    Ok(())
}
