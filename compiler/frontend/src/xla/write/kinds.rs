//! Attributes of operations to fields of instructions.

use ferrite_ir::hlo::*;

use super::super::kinds::{PAIRS, algorithm, binary_opcode, unary_opcode};
use super::super::message::*;

/// What is wrong with an operation.
type Wrong = String;

/// Fills in what an operation says besides operands and regions, its opcode included. Operations that need more than one
/// instruction are not among these: for them, and for those without a form in HLO, the result is `false`.
pub(super) fn fill(p: &mut HloInstructionProto, kind: &OpKind, operands: &[&Type]) -> Result<bool, Wrong> {
    let opcode = match kind {
        OpKind::Unary(op) => return Ok(named(p, unary_opcode(*op), op.mnemonic())),
        OpKind::Binary(op) => return Ok(named(p, binary_opcode(*op), op.mnemonic())),
        OpKind::Convert => "convert",
        OpKind::BitcastConvert => "bitcast-convert",
        OpKind::Reshape => "reshape",
        OpKind::Complex => "complex",
        OpKind::Select => "select",
        OpKind::Clamp => "clamp",
        OpKind::DynamicUpdateSlice => "dynamic-update-slice",
        OpKind::PartitionId => "partition-id",
        OpKind::ReplicaId => "replica-id",
        OpKind::AfterAll | OpKind::CreateToken => "after-all",
        OpKind::Tuple => "tuple",
        OpKind::GetTupleElement(op) => {
            p.tuple_index = op.index;
            "get-tuple-element"
        }
        OpKind::Compare(op) => {
            p.comparison_direction = op.direction.mnemonic().to_string();
            if op.compare_type != ComparisonType::NoType {
                p.comparison_type = op.compare_type.mnemonic().to_string();
            }
            "compare"
        }
        OpKind::Transpose(op) => {
            p.dimensions = op.permutation.to_vec();
            "transpose"
        }
        OpKind::Reverse(op) => {
            p.dimensions = op.dimensions.to_vec();
            "reverse"
        }
        OpKind::Concatenate(op) => {
            p.dimensions = vec![op.dimension];
            "concatenate"
        }
        OpKind::Iota(op) => {
            p.dimensions = vec![op.iota_dimension];
            "iota"
        }
        OpKind::Slice(op) => {
            let ranges = op.start.iter().zip(&op.limit).zip(&op.strides);
            p.slice_dimensions = ranges
                .map(|((&start, &limit), &stride)| SliceDimensions { start, limit, stride })
                .collect();
            "slice"
        }
        OpKind::DynamicSlice(op) => {
            p.dynamic_slice_sizes = op.sizes.to_vec();
            "dynamic-slice"
        }
        OpKind::Pad(op) => {
            let dimensions = op.low.iter().zip(&op.high).zip(&op.interior);
            let dimensions = dimensions
                .map(|((&low, &high), &interior)| PaddingDimension {
                    edge_padding_low: low,
                    edge_padding_high: high,
                    interior_padding: interior,
                })
                .collect();
            p.padding_config = Some(PaddingConfig { dimensions });
            "pad"
        }
        OpKind::ReducePrecision(op) => {
            p.exponent_bits = op.exponent_bits as i32;
            p.mantissa_bits = op.mantissa_bits as i32;
            "reduce-precision"
        }
        OpKind::GetDimensionSize(op) => {
            p.dimensions = vec![op.dimension];
            "get-dimension-size"
        }
        OpKind::SetDimensionSize(op) => {
            p.dimensions = vec![op.dimension];
            "set-dimension-size"
        }
        OpKind::Gather(op) => {
            p.gather_dimension_numbers = Some(Box::new(GatherDimensionNumbers {
                offset_dims: op.offset_dims.to_vec(),
                collapsed_slice_dims: op.collapsed_slice_dims.to_vec(),
                start_index_map: op.start_index_map.to_vec(),
                index_vector_dim: op.index_vector_dim,
                operand_batching_dims: op.operand_batching_dims.to_vec(),
                start_indices_batching_dims: op.start_indices_batching_dims.to_vec(),
            }));
            p.gather_slice_sizes = op.slice_sizes.to_vec();
            p.indices_are_sorted = op.indices_are_sorted;
            "gather"
        }
        OpKind::Scatter(op) => {
            p.scatter_dimension_numbers = Some(Box::new(ScatterDimensionNumbers {
                update_window_dims: op.update_window_dims.to_vec(),
                inserted_window_dims: op.inserted_window_dims.to_vec(),
                scatter_dims_to_operand_dims: op.scatter_dims_to_operand_dims.to_vec(),
                index_vector_dim: op.index_vector_dim,
                input_batching_dims: op.input_batching_dims.to_vec(),
                scatter_indices_batching_dims: op.scatter_indices_batching_dims.to_vec(),
            }));
            p.indices_are_sorted = op.indices_are_sorted;
            p.unique_indices = op.unique_indices;
            "scatter"
        }
        OpKind::DotGeneral(op) => {
            p.dot_dimension_numbers = Some(Box::new(dot(&op.dims)));
            precision(p, &op.precision);
            if let Some(wanted) = &op.algorithm {
                let number = (0..DOT_ALGORITHMS.len() as i32).find(|&n| algorithm(n).as_ref() == Some(wanted));
                let number = number.ok_or("HLO has no name for its algorithm")?;
                p.precision_config.get_or_insert_default().algorithm = number;
            }
            "dot"
        }
        OpKind::Dot(op) => {
            let rank = |n: usize| operands.get(n).and_then(|ty| ty.tensor()).map_or(0, TensorType::rank) as i64;
            p.dot_dimension_numbers = Some(Box::new(DotDimensionNumbers {
                lhs_contracting_dimensions: vec![rank(0) - 1],
                rhs_contracting_dimensions: vec![0],
                ..Default::default()
            }));
            precision(p, &op.precision);
            "dot"
        }
        OpKind::RaggedDot(op) => {
            p.ragged_dot_dimension_numbers = Some(Box::new(RaggedDotDimensionNumbers {
                dot_dimension_numbers: Some(Box::new(dot(&op.dims))),
                lhs_ragged_dimensions: op.lhs_ragged.to_vec(),
                rhs_group_dimensions: op.rhs_group.to_vec(),
            }));
            precision(p, &op.precision);
            "ragged-dot"
        }
        OpKind::Convolution(op) => {
            convolution(p, op, operands);
            "convolution"
        }
        OpKind::TopK(op) => {
            p.k = op.k;
            p.largest = op.largest;
            "topk"
        }
        OpKind::BatchNormTraining(op) => batch_norm(p, op, "batch-norm-training"),
        OpKind::BatchNormInference(op) => batch_norm(p, op, "batch-norm-inference"),
        OpKind::BatchNormGrad(op) => batch_norm(p, op, "batch-norm-grad"),
        OpKind::Cholesky(op) => {
            p.cholesky_options = Some(CholeskyOptions { lower: op.lower });
            "cholesky"
        }
        OpKind::TriangularSolve(op) => {
            p.triangular_solve_options = Some(TriangularSolveOptions {
                left_side: op.left_side,
                lower: op.lower,
                unit_diagonal: op.unit_diagonal,
                transpose_a: match op.transpose_a {
                    TransposeA::NoTranspose => 1,
                    TransposeA::Transpose => 2,
                    TransposeA::Adjoint => 3,
                },
            });
            "triangular-solve"
        }
        OpKind::Fft(op) => {
            p.fft_type = match op.fft_type {
                FftType::Fft => 0,
                FftType::Ifft => 1,
                FftType::Rfft => 2,
                FftType::Irfft => 3,
            };
            p.fft_length = op.fft_length.to_vec();
            "fft"
        }
        OpKind::Rng(op) => {
            p.distribution = match op.distribution {
                RngDistribution::Uniform => 1,
                RngDistribution::Normal => 2,
            };
            "rng"
        }
        OpKind::RngBitGenerator(op) => {
            p.rng_algorithm = match op.algorithm {
                RngAlgorithm::Default => 0,
                RngAlgorithm::ThreeFry => 1,
                RngAlgorithm::Philox => 2,
            };
            "rng-bit-generator"
        }
        OpKind::Infeed(op) => {
            p.infeed_config = op.config.clone().into_bytes();
            "infeed"
        }
        OpKind::Outfeed(op) => {
            p.outfeed_config = op.config.clone().into_bytes();
            "outfeed"
        }
        OpKind::Map(op) => {
            p.dimensions = op.dimensions.to_vec();
            "map"
        }
        OpKind::Reduce(op) => {
            p.dimensions = op.dimensions.to_vec();
            "reduce"
        }
        OpKind::ReduceWindow(op) => {
            let window = (0..op.window_dimensions.len()).map(|n| WindowDimension {
                size: op.window_dimensions[n],
                stride: op.window_strides[n],
                padding_low: op.padding[n].0,
                padding_high: op.padding[n].1,
                window_dilation: op.window_dilations[n],
                base_dilation: op.base_dilations[n],
                window_reversal: false,
            });
            p.window = Some(Window {
                dimensions: window.collect(),
            });
            "reduce-window"
        }
        OpKind::SelectAndScatter(op) => {
            let window = (0..op.window_dimensions.len()).map(|n| WindowDimension {
                size: op.window_dimensions[n],
                stride: op.window_strides[n],
                padding_low: op.padding[n].0,
                padding_high: op.padding[n].1,
                window_dilation: 1,
                base_dilation: 1,
                window_reversal: false,
            });
            p.window = Some(Window {
                dimensions: window.collect(),
            });
            "select-and-scatter"
        }
        OpKind::Sort(op) => {
            p.dimensions = vec![op.dimension];
            p.is_stable = op.is_stable;
            "sort"
        }
        OpKind::AllGather(op) => {
            collective(p, &op.collective);
            p.dimensions = vec![op.all_gather_dim];
            "all-gather"
        }
        OpKind::AllReduce(op) => {
            collective(p, op);
            "all-reduce"
        }
        OpKind::ReduceScatter(op) => {
            collective(p, &op.collective);
            p.dimensions = vec![op.scatter_dimension];
            "reduce-scatter"
        }
        OpKind::AllToAll(op) => {
            collective(p, &op.collective);
            p.dimensions = vec![op.split_dimension];
            "all-to-all"
        }
        OpKind::CollectiveBroadcast(op) => {
            collective(p, op);
            "collective-broadcast"
        }
        OpKind::CollectivePermute(op) => {
            p.channel_id = op.channel_id;
            let pairs = op.source_target_pairs.iter();
            p.source_target_pairs = pairs.map(|&(source, target)| SourceTarget { source, target }).collect();
            "collective-permute"
        }
        OpKind::CustomCall(op) => {
            p.custom_call_target = op.target.clone();
            p.custom_call_has_side_effect = op.has_side_effect;
            p.custom_call_api_version = op.api_version as i32;
            p.backend_config = match &op.backend_config {
                Attr::String(text) => text.clone().into_bytes(),
                other => ferrite_ir::hlo::print::attribute_text(other).into_bytes(),
            };
            let aliases = op.output_operand_aliases.iter();
            p.output_operand_aliasing = aliases
                .map(|alias| OutputOperandAliasing {
                    output_shape_index: alias.output_tuple_indices.to_vec(),
                    operand_index: alias.operand_index,
                    operand_shape_index: alias.operand_tuple_indices.to_vec(),
                })
                .collect();
            "custom-call"
        }
        _ => return Ok(false),
    };
    p.opcode = opcode.to_string();
    Ok(true)
}

/// An operation with an opcode of its own, or a custom call that names one of CHLO.
fn named(p: &mut HloInstructionProto, opcode: Option<&str>, mnemonic: &str) -> bool {
    match opcode {
        Some(opcode) => p.opcode = opcode.to_string(),
        None => {
            p.opcode = "custom-call".to_string();
            p.custom_call_target = mnemonic.to_string();
            p.custom_call_api_version = 1;
        }
    }
    true
}

fn dot(dims: &DotDims) -> DotDimensionNumbers {
    DotDimensionNumbers {
        lhs_contracting_dimensions: dims.lhs_contracting.to_vec(),
        rhs_contracting_dimensions: dims.rhs_contracting.to_vec(),
        lhs_batch_dimensions: dims.lhs_batching.to_vec(),
        rhs_batch_dimensions: dims.rhs_batching.to_vec(),
    }
}

fn precision(p: &mut HloInstructionProto, precision: &[Precision]) {
    if !precision.is_empty() {
        p.precision_config.get_or_insert_default().operand_precision = precision
            .iter()
            .map(|precision| match precision {
                Precision::Default => 0,
                Precision::High => 1,
                Precision::Highest => 2,
            })
            .collect();
    }
}

fn convolution(p: &mut HloInstructionProto, op: &Convolution, operands: &[&Type]) {
    let d = &op.dims;
    p.convolution_dimension_numbers = Some(Box::new(ConvolutionDimensionNumbers {
        kernel_input_feature_dimension: d.kernel_input_feature,
        kernel_output_feature_dimension: d.kernel_output_feature,
        kernel_spatial_dimensions: d.kernel_spatial.to_vec(),
        input_batch_dimension: d.input_batch,
        input_feature_dimension: d.input_feature,
        output_batch_dimension: d.output_batch,
        output_feature_dimension: d.output_feature,
        input_spatial_dimensions: d.input_spatial.to_vec(),
        output_spatial_dimensions: d.output_spatial.to_vec(),
    }));
    let kernel = operands.get(1).and_then(|ty| ty.tensor());
    let size = |n: usize| {
        let dimension = usize::try_from(d.kernel_spatial[n]).ok()?;
        kernel?.shape.get(dimension).copied()
    };
    let window = (0..d.kernel_spatial.len()).map(|n| WindowDimension {
        size: size(n).unwrap_or(1),
        stride: op.window_strides[n],
        padding_low: op.padding[n].0,
        padding_high: op.padding[n].1,
        window_dilation: op.rhs_dilation[n],
        base_dilation: op.lhs_dilation[n],
        window_reversal: op.window_reversal[n],
    });
    p.window = Some(Window {
        dimensions: window.collect(),
    });
    p.feature_group_count = op.feature_group_count;
    p.batch_group_count = op.batch_group_count;
    precision(p, &op.precision);
}

fn batch_norm(p: &mut HloInstructionProto, op: &BatchNorm, opcode: &'static str) -> &'static str {
    p.epsilon = op.epsilon;
    p.feature_index = op.feature_index;
    opcode
}

/// Channel and partners of a transfer between devices or with the host.
pub(super) fn transfer(p: &mut HloInstructionProto, op: &Transfer) {
    p.channel_id = op.channel_id;
    p.is_host_transfer = op.is_host_transfer;
    if !op.source_target_pairs.is_empty() {
        // Where XLA keeps them for transfers.
        let pairs = op.source_target_pairs.iter();
        let pairs: Vec<String> = pairs.map(|(source, target)| format!("{{{source},{target}}}")).collect();
        let attributes = p.frontend_attributes.get_or_insert_default();
        attributes
            .map
            .insert(PAIRS.to_string(), format!("{{{}}}", pairs.join(",")));
    }
}

/// Groups and channel. Rows are padded with -1 in StableHLO, and of different lengths in HLO.
pub(super) fn collective(p: &mut HloInstructionProto, op: &Collective) {
    p.replica_groups = op
        .replica_groups
        .iter()
        .map(|row| ReplicaGroup {
            replica_ids: row.iter().copied().filter(|&id| id >= 0).collect(),
        })
        .collect();
    p.channel_id = op.channel_id;
    p.use_global_device_ids = op.use_global_device_ids;
}
