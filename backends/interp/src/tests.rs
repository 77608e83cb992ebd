//! Programs built by hand: control flow, bodies, lifetimes, refusals.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::*;
use ferrite_ir::literal::Literal;
use ferrite_ir::loc::LocId;

use crate::{Interpreter, Tensor, interpret};

const AT: LocId = LocId::UNKNOWN;

fn f32s(shape: &[i64]) -> Type {
    TensorType::new(DType::F32, shape).into()
}

fn module(funcs: Vec<Func>) -> Module {
    Module {
        funcs,
        ..Module::default()
    }
}

fn constant(func: &mut Func, region: RegionId, value: f64) -> ValueId {
    let literal = Literal::splat_f64(TensorType::scalar(DType::F32), value);
    let op = func.append(region, OpKind::Constant(literal), &[], vec![f32s(&[])], &[], AT);
    func.op(op).results[0]
}

fn op(
    func: &mut Func,
    region: RegionId,
    kind: OpKind,
    operands: &[ValueId],
    ty: Type,
    regions: &[RegionId],
) -> ValueId {
    let op = func.append(region, kind, operands, vec![ty], regions, AT);
    func.op(op).results[0]
}

fn vector(values: &[f32]) -> Tensor {
    match Tensor::from_f32(&[values.len() as i64], values) {
        Some(t) => t,
        None => panic!("one dimension"),
    }
}

/// `while x < limit { x = x + x }` with the limit captured from outside.
fn doubling(limit: f64) -> Module {
    let mut f = Func::new("main");
    let body = f.body();
    let x = f.add_arg(body, f32s(&[]));
    let limit = constant(&mut f, body, limit);
    let (condition, step) = (f.add_region(), f.add_region());
    let c = f.add_arg(condition, f32s(&[]));
    let less = Compare {
        direction: ComparisonDirection::Lt,
        compare_type: ComparisonType::Float,
    };
    let go = op(
        &mut f,
        condition,
        OpKind::Compare(less),
        &[c, limit],
        TensorType::scalar(DType::Bool).into(),
        &[],
    );
    f.region_mut(condition).results = vec![go];
    let s = f.add_arg(step, f32s(&[]));
    let double = op(&mut f, step, OpKind::Binary(BinaryOp::Add), &[s, s], f32s(&[]), &[]);
    f.region_mut(step).results = vec![double];
    let out = op(&mut f, body, OpKind::While, &[x], f32s(&[]), &[condition, step]);
    f.region_mut(body).results = vec![out];
    module(vec![f])
}

#[test]
fn loops_run_until_their_condition_fails_and_no_longer_than_allowed() {
    let three = Tensor::from_f32(&[], &[3.0]);
    let out = three
        .clone()
        .map(|t| interpret(&doubling(40.0), &[t]).map(|r| r[0].get_f64(0)));
    assert_eq!(out, Some(Ok(48.0)));
    let endless = doubling(f64::INFINITY);
    let zero =
        Tensor::from_f32(&[], &[0.0]).map(|t| Interpreter::new(&endless).max_loop_iterations(9).run(&[t]).is_err());
    assert_eq!(zero, Some(true));
}

/// A reduction with the body `(a, x) -> a + x * x`, which no fast path knows.
#[test]
fn a_body_of_its_own_reduces_in_order() {
    let mut f = Func::new("main");
    let body = f.body();
    let x = f.add_arg(body, f32s(&[4]));
    let zero = constant(&mut f, body, 1.0);
    let inner = f.add_region();
    let (a, b) = (f.add_arg(inner, f32s(&[])), f.add_arg(inner, f32s(&[])));
    let square = op(
        &mut f,
        inner,
        OpKind::Binary(BinaryOp::Multiply),
        &[b, b],
        f32s(&[]),
        &[],
    );
    let sum = op(
        &mut f,
        inner,
        OpKind::Binary(BinaryOp::Add),
        &[a, square],
        f32s(&[]),
        &[],
    );
    f.region_mut(inner).results = vec![sum];
    let reduce = OpKind::Reduce(Reduce {
        dimensions: [0].as_slice().into(),
    });
    let out = op(&mut f, body, reduce, &[x, zero], f32s(&[]), &[inner]);
    f.region_mut(body).results = vec![out];
    let out = interpret(&module(vec![f]), &[vector(&[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(out.map(|r| r[0].get_f64(0)), Ok(31.0));
}

#[test]
fn an_operand_that_is_used_again_is_not_written_in_place() {
    let mut f = Func::new("main");
    let body = f.body();
    let (x, u) = (f.add_arg(body, f32s(&[3])), f.add_arg(body, f32s(&[1])));
    let index: Type = TensorType::scalar(DType::I32).into();
    let at = Literal::splat_i64(TensorType::scalar(DType::I32), 1);
    let at = op(&mut f, body, OpKind::Constant(at), &[], index, &[]);
    let y = op(&mut f, body, OpKind::DynamicUpdateSlice, &[x, u, at], f32s(&[3]), &[]);
    let z = op(&mut f, body, OpKind::DynamicUpdateSlice, &[y, u, at], f32s(&[3]), &[]);
    f.region_mut(body).results = vec![x, y, z];
    let out = interpret(&module(vec![f]), &[vector(&[1.0, 2.0, 3.0]), vector(&[9.0])]);
    let changed = vector(&[1.0, 9.0, 3.0]);
    assert_eq!(out, Ok(vec![vector(&[1.0, 2.0, 3.0]), changed.clone(), changed]));
}

#[test]
fn a_function_that_calls_itself_is_refused() {
    let mut f = Func::new("main");
    let body = f.body();
    let x = f.add_arg(body, f32s(&[1]));
    let y = op(
        &mut f,
        body,
        OpKind::Call(Call { callee: "main".into() }),
        &[x],
        f32s(&[1]),
        &[],
    );
    f.region_mut(body).results = vec![y];
    assert!(interpret(&module(vec![f]), &[vector(&[1.0])]).is_err());
}

#[test]
fn wrong_inputs_and_unknown_calls_are_refused() {
    let mut f = Func::new("main");
    let body = f.body();
    let x = f.add_arg(body, f32s(&[1]));
    f.region_mut(body).results = vec![x];
    let module = module(vec![f]);
    assert!(interpret(&module, &[]).is_err());
    assert!(interpret(&module, &[vector(&[1.0, 2.0])]).is_err());
    assert!(interpret(&module, &[vector(&[1.0])]).is_ok());
}

/// What bodies compute with, number by number, and what whole tensors are computed with are one arithmetic.
#[test]
fn scalar_and_tensor_arithmetic_agree() {
    use crate::body::{from_numbers, numbers};
    use crate::{elementwise, number};
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.3,
        -2.5,
        7.0,
        40.0,
        1e-3,
        f64::INFINITY,
        f64::NAN,
    ];
    let pairs: Vec<(f64, f64)> = values
        .iter()
        .flat_map(|&a| values.iter().map(move |&b| (a, b)))
        .collect();
    let shape = [pairs.len() as i64];
    let mut wrong = Vec::new();
    for dtype in DType::ALL {
        let ty = TensorType::new(dtype, &shape);
        let column = |f: fn(&(f64, f64)) -> f64| Tensor::from_f64s(ty.clone(), pairs.iter().map(f).collect());
        let (a, b) = (column(|p| p.0), column(|p| p.1));
        let mut same = |name: &str, whole: Tensor, parts: Option<Vec<number::Num>>| {
            let Some(parts) = parts else {
                return wrong.push(format!("{name} of {dtype} only for tensors"));
            };
            let parts = from_numbers(whole.ty().clone(), &parts).to_parts();
            let equal = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan());
            for ((x, y), pair) in whole.to_parts().into_iter().zip(parts).zip(&pairs) {
                if !(equal(x.0, y.0) && equal(x.1, y.1)) {
                    wrong.push(format!("{name} of {dtype} {pair:?}: {x:?} and {y:?}"));
                }
            }
        };
        for &op in UnaryOp::ALL {
            if let Ok(whole) = elementwise::unary(op, &a) {
                same(
                    op.mnemonic(),
                    whole,
                    numbers(&a).iter().map(|&x| number::unary(op, dtype, x)).collect(),
                );
            }
        }
        for &op in BinaryOp::ALL {
            if let Ok(whole) = elementwise::binary(op, &a, &b) {
                let parts = numbers(&a)
                    .into_iter()
                    .zip(numbers(&b))
                    .map(|(x, y)| number::binary(op, dtype, x, y));
                same(op.mnemonic(), whole, parts.collect());
            }
        }
        for to in DType::ALL {
            let whole = elementwise::convert(&a, to);
            let name = format!("convert to {to}");
            same(
                &name,
                whole,
                numbers(&a).iter().map(|&x| Some(x.convert(dtype, to))).collect(),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences, among them {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(40)]
    );
}

/// Programs with sizes nobody can hold are refused, also where a dimension is empty.
#[test]
fn sizes_beyond_memory_are_refused() {
    for shape in [&[1 << 30, 1 << 30][..], &[0, 1 << 40, 1 << 40]] {
        let mut f = Func::new("main");
        let body = f.body();
        let iota = OpKind::Iota(Iota { iota_dimension: 0 });
        let x = op(&mut f, body, iota, &[], f32s(shape), &[]);
        f.region_mut(body).results = vec![x];
        assert!(interpret(&module(vec![f]), &[]).is_err());
    }
}
