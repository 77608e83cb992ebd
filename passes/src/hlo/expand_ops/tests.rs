use super::*;
use crate::hlo::testing::{module, ops, run};
use ferrite_ir::diag::Code;
use ferrite_ir::hlo::{BatchNorm, CustomCall, TensorType};

/// What the lowering to tiles takes element by element.
fn is_leaf(kind: &OpKind) -> bool {
    use BinaryOp as B;
    use UnaryOp as U;
    match kind {
        OpKind::Unary(u) => matches!(
            u,
            U::Abs
                | U::Ceil
                | U::Cosine
                | U::Erf
                | U::Exponential
                | U::Floor
                | U::IsFinite
                | U::Log
                | U::Logistic
                | U::Negate
                | U::Not
                | U::RoundNearestEven
                | U::Rsqrt
                | U::Sign
                | U::Sine
                | U::Sqrt
                | U::Tanh
        ),
        OpKind::Binary(k) => !matches!(
            k,
            B::Power | B::Remainder | B::Atan2 | B::NextAfter | B::Polygamma | B::Zeta
        ),
        OpKind::Clamp | OpKind::ReducePrecision(_) | OpKind::CustomCall(_) => false,
        OpKind::BatchNormInference(_) | OpKind::BatchNormTraining(_) | OpKind::BatchNormGrad(_) => false,
        _ => true,
    }
}

fn only_leaves(m: &Module) {
    let func = &m.funcs[0];
    func.walk(func.body(), &mut |func, op| {
        let kind = &func.op(op).kind;
        assert!(is_leaf(kind), "{}", kind.mnemonic());
    });
}

#[test]
fn every_unary_operation_ends_in_leaves() -> Result<()> {
    for &u in UnaryOp::ALL {
        for dtype in [DType::F32, DType::BF16, DType::I32, DType::I8, DType::Bool] {
            let mut built = false;
            let mut m = module(&[(dtype, &[3])], |b, args| {
                let v = b.unary(u, args[0]);
                built = v.is_ok();
                Ok(vec![v.unwrap_or(args[0])])
            });
            if built && !matches!(u, UnaryOp::Real | UnaryOp::Imag) {
                run(ExpandOps, &mut m)?;
                only_leaves(&m);
            }
        }
    }
    Ok(())
}

#[test]
fn every_binary_operation_ends_in_leaves() -> Result<()> {
    for &k in BinaryOp::ALL {
        for dtype in [DType::F32, DType::BF16, DType::I32, DType::U8, DType::Bool] {
            if k == BinaryOp::NextAfter && dtype == DType::BF16 {
                continue; // bf16 neighbours are not supported
            }
            let mut built = false;
            let mut m = module(&[(dtype, &[3]), (dtype, &[3])], |b, args| {
                let v = b.binary(k, args[0], args[1]);
                built = v.is_ok();
                Ok(vec![v.unwrap_or(args[0])])
            });
            if built {
                run(ExpandOps, &mut m)?;
                only_leaves(&m);
            }
        }
    }
    Ok(())
}

#[test]
fn constant_powers_are_products() -> Result<()> {
    let mut m = module(&[(DType::F32, &[3])], |b, args| {
        let three = b.constant_f(TensorType::scalar(DType::F32), 3.0);
        let three = b.broadcast_in_dim(three, &[3], &[])?;
        Ok(vec![b.binary(BinaryOp::Power, args[0], three)?])
    });
    run(ExpandOps, &mut m)?;
    assert_eq!(ops(&m), ["constant", "broadcast_in_dim", "multiply", "multiply"]);
    Ok(())
}

#[test]
fn batch_normalisations_expand_with_their_types() -> Result<()> {
    let k = BatchNorm {
        epsilon: 1e-5,
        feature_index: 1,
    };
    let f: &[i64] = &[5];
    let x: &[i64] = &[2, 5, 3];
    let bf16 = DType::BF16;
    let mut m = module(
        &[(bf16, x), (bf16, f), (bf16, f), (bf16, f), (bf16, f), (bf16, x)],
        |b, a| {
            let mut out = b.op(OpKind::BatchNormTraining(k), &a[..3], None)?;
            out.extend(b.op(OpKind::BatchNormInference(k), &a[..5], None)?);
            out.extend(b.op(OpKind::BatchNormGrad(k), &[a[0], a[1], a[3], a[4], a[5]], None)?);
            Ok(out)
        },
    );
    run(ExpandOps, &mut m)?;
    only_leaves(&m);
    Ok(())
}

fn call(target: &str, config: &str) -> OpKind {
    OpKind::CustomCall(Box::new(CustomCall {
        target: target.into(),
        has_side_effect: false,
        backend_config: ferrite_ir::hlo::Attr::String(config.into()),
        api_version: 1,
        called_computations: vec![],
        operand_layouts: None,
        result_layouts: None,
        output_operand_aliases: vec![],
    }))
}

#[test]
fn known_custom_calls_expand_and_others_are_refused() -> Result<()> {
    let one = |target: &'static str, config: &'static str, shape: &'static [i64], dtype| {
        module(&[(DType::F32, &[4, 8])], move |b, args| {
            let hint = TensorType::new(dtype, shape).into();
            b.op(call(target, config), args, Some(&[hint]))
        })
    };
    for target in ["AwsNeuronErf", "AwsNeuronSoftplus", "mhlo.erf"] {
        let mut m = one(target, "", &[4, 8], DType::F32);
        run(ExpandOps, &mut m)?;
        only_leaves(&m);
    }
    let mut gelu = one("AwsNeuronGelu", "", &[4, 8], DType::F32);
    run(ExpandOps, &mut gelu)?;
    assert_eq!(ops(&gelu), ["custom_call"], "the device has it whole");
    let mut softmax = one("AwsNeuronSoftmax", "1", &[4, 8], DType::F32);
    run(ExpandOps, &mut softmax)?;
    assert!(ops(&softmax).contains(&"exponential"));
    let mut argmax = one("AwsNeuronArgMax", "1", &[4], DType::U32);
    run(ExpandOps, &mut argmax)?;
    only_leaves(&argmax);
    let error = run(ExpandOps, &mut one("my_op", "", &[4, 8], DType::F32)).err();
    assert_eq!(error.map(|d| d.code), Some(Code::Ncc("EVRF015")));
    let bad = run(ExpandOps, &mut one("AwsNeuronSoftmax", "two", &[4, 8], DType::F32)).err();
    assert_eq!(bad.map(|d| d.code), Some(Code::Verify));
    Ok(())
}
