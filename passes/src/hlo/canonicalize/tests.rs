use super::*;
use crate::hlo::RemoveDeadOps;
use crate::hlo::testing::{module, ops, run};
use ferrite_ir::dtype::DType::*;
use ferrite_ir::hlo::*;

fn simplified(m: &mut Module) -> Result<Vec<&'static str>> {
    run(Canonicalize, m)?;
    run(RemoveDeadOps, m)?;
    Ok(ops(m))
}

fn result_type(m: &Module) -> String {
    m.output_types()[0].to_string()
}

#[test]
fn transposes_and_reshapes_collapse() -> Result<()> {
    let mut m = module(&[(F32, &[2, 3, 4])], |b, args| {
        let x = b.transpose(args[0], &[1, 0, 2])?;
        let x = b.transpose(x, &[1, 2, 0])?;
        let x = b.reshape(x, &[8, 3])?;
        Ok(vec![b.reshape(x, &[24])?])
    });
    assert_eq!(simplified(&mut m)?, ["transpose", "reshape"]);
    let mut back = module(&[(F32, &[2, 3])], |b, args| {
        let x = b.transpose(args[0], &[1, 0])?;
        Ok(vec![b.transpose(x, &[1, 0])?])
    });
    assert_eq!(simplified(&mut back)?, Vec::<&str>::new());
    Ok(())
}

#[test]
fn a_transpose_of_unit_dimensions_is_a_reshape() -> Result<()> {
    let mut m = module(&[(F32, &[1, 3, 1, 4])], |b, args| {
        Ok(vec![b.transpose(args[0], &[1, 2, 0, 3])?])
    });
    assert_eq!(simplified(&mut m)?, ["reshape"]);
    Ok(())
}

#[test]
fn dots_read_through_transposes_that_keep_free_order() -> Result<()> {
    let mut m = module(&[(F32, &[5, 3]), (F32, &[4, 5])], |b, args| {
        let x = b.transpose(args[0], &[1, 0])?;
        let y = b.transpose(args[1], &[1, 0])?;
        Ok(vec![b.matmul(x, y)?])
    });
    assert_eq!(simplified(&mut m)?, ["dot_general"]);
    assert_eq!(result_type(&m), "tensor<3x4xf32>");
    // Free dimensions 0 and 1 of the left operand would change places.
    let mut kept = module(&[(F32, &[2, 3, 5]), (F32, &[5, 4])], |b, args| {
        let x = b.transpose(args[0], &[1, 0, 2])?;
        let dims = DotDims {
            lhs_contracting: [2].into_iter().collect(),
            rhs_contracting: [0].into_iter().collect(),
            ..DotDims::default()
        };
        Ok(vec![b.dot_general(x, args[1], dims, F32)?])
    });
    assert_eq!(simplified(&mut kept)?, ["transpose", "dot_general"]);
    Ok(())
}

#[test]
fn adding_positive_zero_stays_and_negative_zero_goes() -> Result<()> {
    let add = |c: f64| {
        module(&[(F32, &[4])], |b, args| {
            let zero = b.like_f(args[0], c)?;
            Ok(vec![b.add(zero, args[0])?])
        })
    };
    assert_eq!(simplified(&mut add(0.0))?, ["constant", "add"]);
    assert_eq!(simplified(&mut add(-0.0))?, Vec::<&str>::new());
    Ok(())
}

#[test]
fn converts_through_a_wider_type_disappear() -> Result<()> {
    let through = |from, via| {
        module(&[(from, &[4])], |b, args| {
            let x = b.convert(args[0], via)?;
            Ok(vec![b.convert(x, from)?])
        })
    };
    assert_eq!(simplified(&mut through(BF16, F32))?, Vec::<&str>::new());
    assert_eq!(simplified(&mut through(F32, BF16))?, ["convert", "convert"]);
    assert_eq!(simplified(&mut through(I32, F32))?, ["convert", "convert"]);
    Ok(())
}

#[test]
fn slices_of_slices_add_up() -> Result<()> {
    let mut m = module(&[(F32, &[20])], |b, args| {
        let x = b.slice(args[0], &[2], &[18], &[3])?; // 2 5 8 11 14 17
        Ok(vec![b.slice(x, &[1], &[6], &[2])?]) // 5 11 17
    });
    assert_eq!(simplified(&mut m)?, ["slice"]);
    let func = &m.funcs[0];
    let kind = &func.op(func.region(func.body()).ops[0]).kind;
    let expected = Slice {
        start: [5].into_iter().collect(),
        limit: [18].into_iter().collect(),
        strides: [6].into_iter().collect(),
    };
    assert_eq!(*kind, OpKind::Slice(expected));
    Ok(())
}

#[test]
fn einsum_becomes_sums_a_dot_and_a_transpose() -> Result<()> {
    let mut m = module(&[(F32, &[2, 3, 5, 7]), (F32, &[2, 5, 4])], |b, args| {
        let einsum = Einsum {
            config: "bijx,bjk->kbi".into(),
        };
        b.op(OpKind::Einsum(einsum), args, None)
    });
    assert_eq!(simplified(&mut m)?, ["constant", "reduce", "dot_general", "transpose"]);
    assert_eq!(result_type(&m), "tensor<4x2x3xf32>");
    Ok(())
}

#[test]
fn implicit_broadcasts_become_explicit() -> Result<()> {
    let mut m = module(&[(F32, &[4, 1]), (F32, &[3])], |b, args| {
        let add = ChloBroadcast {
            op: "add".into(),
            broadcast_dimensions: None,
            compare: None,
        };
        b.op(OpKind::ChloBroadcastBinary(add), args, None)
    });
    assert_eq!(simplified(&mut m)?, ["broadcast_in_dim", "broadcast_in_dim", "add"]);
    Ok(())
}

#[test]
fn index_select_is_a_gather() -> Result<()> {
    let mut m = module(&[(F32, &[2, 5, 7]), (I32, &[2, 3])], |b, args| {
        b.op(
            OpKind::TorchIndexSelect(TorchIndexSelect { dim: 1, batch_dims: 1 }),
            args,
            None,
        )
    });
    assert_eq!(simplified(&mut m)?, ["gather"]);
    assert_eq!(result_type(&m), "tensor<2x3x7xf32>");
    Ok(())
}

#[test]
fn maps_become_tensor_operations() -> Result<()> {
    let mut m = module(&[(F32, &[2, 5])], |b, args| {
        let scalar: Type = TensorType::scalar(F32).into();
        let body = b.add_region(&[scalar], |b, args| {
            let two = b.like_f(args[0], 2.0)?;
            Ok(vec![b.mul(args[0], two)?])
        })?;
        let map = OpKind::Map(MapOp {
            dimensions: [0, 1].into_iter().collect(),
        });
        b.op_with_regions(map, args, &[body], None)
    });
    assert_eq!(simplified(&mut m)?, ["constant", "multiply"]);
    Ok(())
}

#[test]
fn known_branches_are_taken() -> Result<()> {
    let mut m = module(&[(F32, &[4])], |b, args| {
        let x = args[0];
        let index = b.constant_i(TensorType::scalar(I32), 9);
        let first = b.add_region(&[], |b, _| Ok(vec![b.add(x, x)?]))?;
        let last = b.add_region(&[], |b, _| Ok(vec![b.mul(x, x)?]))?;
        b.op_with_regions(OpKind::Case, &[index], &[first, last], None)
    });
    assert_eq!(simplified(&mut m)?, ["multiply"]);
    Ok(())
}

#[test]
fn a_sharding_call_is_an_identity_for_one_partition_only() -> Result<()> {
    let sharded = || {
        module(&[(F32, &[4])], |b, args| {
            let call = CustomCall {
                target: "Sharding".into(),
                has_side_effect: false,
                backend_config: Attr::String(String::new()),
                api_version: 1,
                called_computations: vec![],
                operand_layouts: None,
                result_layouts: None,
                output_operand_aliases: vec![],
            };
            let ty = b.ty(args[0]).clone();
            b.op(OpKind::CustomCall(Box::new(call)), args, Some(&[ty]))
        })
    };
    assert_eq!(simplified(&mut sharded())?, Vec::<&str>::new());
    let mut two = sharded();
    two.attrs.insert("mhlo.num_partitions".into(), Attr::Int(2, 32));
    assert_eq!(simplified(&mut two)?, ["custom_call"]);
    Ok(())
}

#[test]
fn a_message_to_another_device_stays() -> Result<()> {
    let permute = |pairs: &[(i64, i64)]| {
        let kind = OpKind::CollectivePermute(CollectivePermute {
            source_target_pairs: pairs.to_vec(),
            channel_id: 1,
            channel_type: 1,
        });
        module(&[(F32, &[4])], move |b, args| Ok(vec![b.op1(kind, args)?]))
    };
    assert_eq!(simplified(&mut permute(&[(0, 0)]))?, Vec::<&str>::new());
    assert_eq!(simplified(&mut permute(&[(0, 1), (1, 0)]))?, ["collective_permute"]);
    Ok(())
}

#[test]
fn the_magnitude_of_a_negation_is_that_of_the_number_unless_it_is_unsigned() -> Result<()> {
    let program = |dtype| {
        module(&[(dtype, &[4])], |b, args| {
            let x = b.unary(UnaryOp::Negate, args[0])?;
            Ok(vec![b.unary(UnaryOp::Abs, x)?])
        })
    };
    assert_eq!(simplified(&mut program(F32))?, ["abs"]);
    assert_eq!(simplified(&mut program(I32))?, ["abs"]);
    assert_eq!(simplified(&mut program(U32))?, ["negate", "abs"]);
    Ok(())
}

#[test]
fn a_second_run_changes_nothing() -> Result<()> {
    let mut m = module(&[(F32, &[4, 4])], |b, args| {
        let x = b.transpose(args[0], &[1, 0])?;
        let one = b.like_f(x, 1.0)?;
        let x = b.mul(one, x)?;
        let y = b.reduce(BinaryOp::Add, x, &[0])?;
        Ok(vec![b.broadcast_in_dim(y, &[4, 4], &[1])?])
    });
    run(Canonicalize, &mut m)?;
    assert_eq!(run(Canonicalize, &mut m)?, Changed::No);
    Ok(())
}
