use super::*;
use crate::dtype::DType;
use crate::hlo::ops::*;

fn t(dtype: DType, shape: &[i64]) -> Type {
    TensorType::new(dtype, shape).into()
}

fn one(kind: OpKind, operands: &[Type], hint: Option<Type>) -> Result<String, String> {
    let operands: Vec<&Type> = operands.iter().collect();
    let hint = hint.map(|h| vec![h]);
    infer(&kind, &operands, &[], hint.as_deref())
        .map(|types| types[0].to_string())
        .map_err(|v| v.constraint)
}

fn d(dims: &[i64]) -> Dims {
    dims.into()
}

#[test]
fn transposes_permute() {
    let x = t(DType::F32, &[2, 3, 4]);
    let transpose = |p: &[i64]| OpKind::Transpose(Transpose { permutation: d(p) });
    assert_eq!(
        one(transpose(&[2, 0, 1]), std::slice::from_ref(&x), None).as_deref(),
        Ok("tensor<4x2x3xf32>")
    );
    for bad in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, -1]] {
        assert_eq!(
            one(transpose(bad), std::slice::from_ref(&x), None),
            Err("transpose C2".into())
        );
    }
}

#[test]
fn a_reshape_needs_its_type_and_keeps_the_count() {
    let x = t(DType::F32, &[2, 3]);
    assert_eq!(
        one(OpKind::Reshape, std::slice::from_ref(&x), None),
        Err("reshape results".into())
    );
    assert_eq!(
        one(OpKind::Reshape, std::slice::from_ref(&x), Some(t(DType::F32, &[7]))),
        Err("reshape C2".into())
    );
    assert_eq!(
        one(OpKind::Reshape, &[x], Some(t(DType::F32, &[6]))).as_deref(),
        Ok("tensor<6xf32>")
    );
}

#[test]
fn attribute_extremes_do_not_overflow() {
    let x = t(DType::F32, &[2]);
    let slice = OpKind::Slice(Slice {
        start: d(&[i64::MIN]),
        limit: d(&[i64::MAX]),
        strides: d(&[0]),
    });
    assert_eq!(one(slice, std::slice::from_ref(&x), None), Err("slice C3".into()));
    let pad = OpKind::Pad(Pad {
        low: d(&[i64::MAX]),
        high: d(&[i64::MAX]),
        interior: d(&[i64::MAX]),
    });
    assert_eq!(one(pad, &[x, t(DType::F32, &[])], None), Err("pad C4".into()));
}

#[test]
fn negative_padding_removes() {
    let pad = OpKind::Pad(Pad {
        low: d(&[-1]),
        high: d(&[2]),
        interior: d(&[1]),
    });
    let operands = [t(DType::F32, &[3]), t(DType::F32, &[])];
    assert_eq!(one(pad, &operands, None).as_deref(), Ok("tensor<6xf32>"));
}

#[test]
fn convolutions_count_their_windows() {
    let conv = |stride: i64, lhs_dilation: i64, groups: i64| {
        OpKind::Convolution(Convolution {
            dims: ConvDims {
                input_batch: 0,
                input_feature: 1,
                input_spatial: d(&[2, 3]),
                kernel_input_feature: 1,
                kernel_output_feature: 0,
                kernel_spatial: d(&[2, 3]),
                output_batch: 0,
                output_feature: 1,
                output_spatial: d(&[2, 3]),
            },
            window_strides: d(&[stride, stride]),
            padding: vec![(1, 1), (1, 1)],
            lhs_dilation: d(&[lhs_dilation, lhs_dilation]),
            rhs_dilation: d(&[1, 1]),
            window_reversal: vec![false, false],
            feature_group_count: groups,
            batch_group_count: 1,
            precision: vec![],
        })
    };
    let operands = [t(DType::F32, &[1, 8, 14, 14]), t(DType::F32, &[16, 8, 3, 3])];
    assert_eq!(
        one(conv(1, 1, 1), &operands, None).as_deref(),
        Ok("tensor<1x16x14x14xf32>")
    );
    assert_eq!(
        one(conv(2, 1, 1), &operands, None).as_deref(),
        Ok("tensor<1x16x7x7xf32>")
    );
    assert_eq!(
        one(conv(1, 2, 1), &operands, None).as_deref(),
        Ok("tensor<1x16x27x27xf32>")
    );
    assert_eq!(one(conv(1, 1, 2), &operands, None), Err("convolution C14".into()));
    assert_eq!(one(conv(0, 1, 1), &operands, None), Err("convolution C2".into()));
}

#[test]
fn dots_order_batching_then_free_dimensions() {
    let dot = |dims: DotDims| {
        OpKind::DotGeneral(DotGeneral {
            dims,
            precision: vec![],
            algorithm: None,
        })
    };
    let dims = DotDims {
        lhs_batching: d(&[1]),
        rhs_batching: d(&[0]),
        lhs_contracting: d(&[2]),
        rhs_contracting: d(&[1]),
    };
    let operands = [t(DType::F32, &[5, 3, 4]), t(DType::F32, &[3, 4, 7])];
    assert_eq!(
        one(dot(dims.clone()), &operands, None).as_deref(),
        Ok("tensor<3x5x7xf32>")
    );
    let twice = DotDims {
        lhs_contracting: d(&[1]),
        ..dims
    };
    assert_eq!(one(dot(twice), &operands, None), Err("dot_general C3".into()));
}

#[test]
fn gathers_place_offsets_among_batch_dimensions() {
    let gather = OpKind::Gather(Gather {
        offset_dims: d(&[1]),
        collapsed_slice_dims: d(&[0]),
        operand_batching_dims: d(&[]),
        start_indices_batching_dims: d(&[]),
        start_index_map: d(&[0]),
        index_vector_dim: 1,
        slice_sizes: d(&[1, 64]),
        indices_are_sorted: false,
    });
    let operands = [t(DType::F32, &[1000, 64]), t(DType::I32, &[8, 1])];
    assert_eq!(one(gather.clone(), &operands, None).as_deref(), Ok("tensor<8x64xf32>"));
    let floats = [operands[0].clone(), t(DType::F32, &[8, 1])];
    assert_eq!(one(gather, &floats, None), Err("gather I2".into()));
}

#[test]
fn bitcasts_keep_the_bits() {
    let cast = |from: Type, to: Type| one(OpKind::BitcastConvert, &[from], Some(to));
    assert!(cast(t(DType::F32, &[2]), t(DType::U8, &[2, 4])).is_ok());
    assert!(cast(t(DType::U8, &[2, 4]), t(DType::F32, &[2])).is_ok());
    assert_eq!(
        cast(t(DType::F32, &[2]), t(DType::U8, &[8])),
        Err("bitcast_convert C1".into())
    );
}

#[test]
fn a_written_type_may_know_more_or_less_but_not_otherwise() {
    let add = || OpKind::Binary(BinaryOp::Add);
    let dynamic = t(DType::F32, &[DYNAMIC, 3]);
    let known = t(DType::F32, &[2, 3]);
    assert_eq!(
        one(add(), &[dynamic.clone(), known.clone()], None).as_deref(),
        Ok("tensor<2x3xf32>")
    );
    assert!(one(add(), &[dynamic.clone(), dynamic], Some(known.clone())).is_ok());
    assert_eq!(
        one(add(), &[known.clone(), known], Some(t(DType::F32, &[2, 4]))),
        Err("add results".into())
    );
}

#[test]
fn einsum_labels_give_sizes() {
    let einsum = |config: &str| OpKind::Einsum(Einsum { config: config.into() });
    let operands = [t(DType::F32, &[5, 2, 3]), t(DType::F32, &[5, 3, 4])];
    assert_eq!(
        one(einsum("bij,bjk->bik"), &operands, None).as_deref(),
        Ok("tensor<5x2x4xf32>")
    );
    assert_eq!(
        one(einsum("...ij,...jk->...ki"), &operands, None).as_deref(),
        Ok("tensor<5x4x2xf32>")
    );
    assert_eq!(
        one(einsum("bij,bjk"), &operands, None),
        Err("einsum einsum_config".into())
    );
    assert_eq!(
        one(einsum("bij,bkj->bik"), &operands, None),
        Err("einsum einsum_config".into())
    );
}
