//! Instructions to [`OpKind`]s.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::*;

use super::attributes;
use super::message::*;

/// The frontend attribute in which XLA keeps the pairs of a transfer.
pub(super) const PAIRS: &str = "_xla_send_recv_source_target_pairs";

/// The regions an operation takes from the computations that its instruction calls.
pub(super) enum Regions {
    /// None.
    None,
    /// Condition and body.
    Loop,
    /// The first so many, in order.
    Bodies(usize),
    /// One per operand after the first, which it takes from around.
    Branches,
}

fn dims(values: &[i64]) -> Dims {
    Dims::from_slice(values)
}

/// The kind of an instruction; `None` if it is not supported. `called` are the functions a custom call names.
pub(super) fn kind(
    p: &HloInstructionProto,
    operands: &[Type],
    results: &[Type],
    called: Vec<String>,
) -> Result<Option<(OpKind, Regions)>, String> {
    let rank = |n: usize| operands.get(n).and_then(Type::tensor).map_or(0, TensorType::rank);
    let one = |name: &str| match p.dimensions[..] {
        [dimension] => Ok(dimension),
        _ => Err(format!("`{name}` needs one dimension, found {:?}", p.dimensions)),
    };
    if let Some(op) = unary(&p.opcode) {
        return Ok(Some((OpKind::Unary(op), Regions::None)));
    }
    if let Some(op) = binary(&p.opcode) {
        return Ok(Some((OpKind::Binary(op), Regions::None)));
    }
    let plain = match &*p.opcode {
        "convert" => OpKind::Convert,
        "bitcast-convert" => OpKind::BitcastConvert,
        "bitcast" => match (operands, results) {
            ([Type::Tensor(from)], [Type::Tensor(to)]) if from.dtype == to.dtype => OpKind::Reshape,
            _ => OpKind::BitcastConvert,
        },
        "reshape" => OpKind::Reshape,
        "select" => OpKind::Select,
        "clamp" => OpKind::Clamp,
        "complex" => OpKind::Complex,
        "compare" => OpKind::Compare(compare(p)?),
        "broadcast" => OpKind::BroadcastInDim(BroadcastInDim {
            broadcast_dimensions: dims(&p.dimensions),
        }),
        "transpose" => OpKind::Transpose(Transpose {
            permutation: dims(&p.dimensions),
        }),
        "reverse" => OpKind::Reverse(Reverse {
            dimensions: dims(&p.dimensions),
        }),
        "concatenate" => OpKind::Concatenate(Concatenate {
            dimension: one("concatenate")?,
        }),
        "iota" => OpKind::Iota(Iota {
            iota_dimension: one("iota")?,
        }),
        "slice" => OpKind::Slice(Slice {
            start: p.slice_dimensions.iter().map(|d| d.start).collect(),
            limit: p.slice_dimensions.iter().map(|d| d.limit).collect(),
            strides: p.slice_dimensions.iter().map(|d| d.stride).collect(),
        }),
        "dynamic-slice" => OpKind::DynamicSlice(DynamicSlice {
            sizes: dims(&p.dynamic_slice_sizes),
        }),
        "dynamic-update-slice" => OpKind::DynamicUpdateSlice,
        "pad" => {
            let config = p.padding_config.as_ref().ok_or("it needs `padding`")?;
            OpKind::Pad(Pad {
                low: config.dimensions.iter().map(|d| d.edge_padding_low).collect(),
                high: config.dimensions.iter().map(|d| d.edge_padding_high).collect(),
                interior: config.dimensions.iter().map(|d| d.interior_padding).collect(),
            })
        }
        "dot" => {
            let numbers = p.dot_dimension_numbers.clone().unwrap_or_default();
            OpKind::DotGeneral(DotGeneral {
                dims: dot_dims(&numbers),
                precision: precision(p),
                algorithm: p
                    .precision_config
                    .as_ref()
                    .and_then(|config| algorithm(config.algorithm)),
            })
        }
        "ragged-dot" => {
            let ragged = p.ragged_dot_dimension_numbers.clone().unwrap_or_default();
            let numbers = ragged
                .dot_dimension_numbers
                .or(p.dot_dimension_numbers.clone())
                .unwrap_or_default();
            OpKind::RaggedDot(RaggedDot {
                dims: dot_dims(&numbers),
                lhs_ragged: dims(&ragged.lhs_ragged_dimensions),
                rhs_group: dims(&ragged.rhs_group_dimensions),
                precision: precision(p),
            })
        }
        "convolution" => OpKind::Convolution(convolution(p)?),
        "gather" => {
            let n = p
                .gather_dimension_numbers
                .as_ref()
                .ok_or("it needs dimension numbers")?;
            OpKind::Gather(Gather {
                offset_dims: dims(&n.offset_dims),
                collapsed_slice_dims: dims(&n.collapsed_slice_dims),
                operand_batching_dims: dims(&n.operand_batching_dims),
                start_indices_batching_dims: dims(&n.start_indices_batching_dims),
                start_index_map: dims(&n.start_index_map),
                index_vector_dim: n.index_vector_dim,
                slice_sizes: dims(&p.gather_slice_sizes),
                indices_are_sorted: p.indices_are_sorted,
            })
        }
        "topk" => OpKind::TopK(TopK {
            k: p.k,
            largest: p.largest,
        }),
        "batch-norm-training" => OpKind::BatchNormTraining(batch_norm(p)),
        "batch-norm-inference" => OpKind::BatchNormInference(batch_norm(p)),
        "batch-norm-grad" => OpKind::BatchNormGrad(batch_norm(p)),
        "cholesky" => OpKind::Cholesky(Cholesky {
            lower: p.cholesky_options.as_ref().is_some_and(|o| o.lower),
        }),
        "triangular-solve" => {
            let o = p.triangular_solve_options.clone().unwrap_or_default();
            OpKind::TriangularSolve(TriangularSolve {
                left_side: o.left_side,
                lower: o.lower,
                unit_diagonal: o.unit_diagonal,
                transpose_a: match o.transpose_a {
                    2 => TransposeA::Transpose,
                    3 => TransposeA::Adjoint,
                    _ => TransposeA::NoTranspose,
                },
            })
        }
        "fft" => OpKind::Fft(Fft {
            fft_type: match p.fft_type {
                0 => FftType::Fft,
                1 => FftType::Ifft,
                2 => FftType::Rfft,
                3 => FftType::Irfft,
                other => return Err(format!("unknown kind of transform {other}")),
            },
            fft_length: dims(&p.fft_length),
        }),
        "rng-bit-generator" => OpKind::RngBitGenerator(RngBitGenerator {
            algorithm: match p.rng_algorithm {
                0 => RngAlgorithm::Default,
                1 => RngAlgorithm::ThreeFry,
                2 => RngAlgorithm::Philox,
                other => return Err(format!("unknown algorithm {other}")),
            },
        }),
        "reduce-precision" => OpKind::ReducePrecision(ReducePrecision {
            exponent_bits: i64::from(p.exponent_bits),
            mantissa_bits: i64::from(p.mantissa_bits),
        }),
        "get-dimension-size" => OpKind::GetDimensionSize(Dimension {
            dimension: one("get-dimension-size")?,
        }),
        "set-dimension-size" => OpKind::SetDimensionSize(Dimension {
            dimension: one("set-dimension-size")?,
        }),
        "opt-barrier" | "optimization-barrier" => OpKind::OptimizationBarrier,
        "after-all" if operands.is_empty() => OpKind::CreateToken,
        "after-all" => OpKind::AfterAll,
        "infeed" => OpKind::Infeed(Feed {
            config: String::from_utf8_lossy(&p.infeed_config).into_owned(),
        }),
        "outfeed" => OpKind::Outfeed(Feed {
            config: String::from_utf8_lossy(&p.outfeed_config).into_owned(),
        }),
        "partition-id" => OpKind::PartitionId,
        "replica-id" => OpKind::ReplicaId,
        "all-gather" => OpKind::AllGather(AllGather {
            collective: collective(p)?,
            all_gather_dim: one("all-gather")?,
        }),
        "all-to-all" => {
            let collective = collective(p)?;
            let count = collective.replica_groups.first().map_or(1, |group| group.len() as i64);
            let dimension = one("all-to-all").map_err(|_| "all-to-all over tuples is not supported".to_string())?;
            OpKind::AllToAll(AllToAll {
                collective,
                split_dimension: dimension,
                concat_dimension: dimension,
                split_count: count,
            })
        }
        "collective-permute" => OpKind::CollectivePermute(CollectivePermute {
            source_target_pairs: p
                .source_target_pairs
                .iter()
                .map(|pair| (pair.source, pair.target))
                .collect(),
            channel_id: p.channel_id.max(0),
            channel_type: i64::from(p.channel_id > 0),
        }),
        "collective-broadcast" => OpKind::CollectiveBroadcast(collective(p)?),
        "custom-call" => {
            chlo(&p.custom_call_target).unwrap_or_else(|| OpKind::CustomCall(Box::new(custom_call(p, called))))
        }
        // Two branches of a predicate come with the true one first.
        "conditional" => {
            let predicate = operands
                .first()
                .and_then(Type::tensor)
                .is_some_and(|t| t.dtype == DType::Bool);
            return Ok(Some((
                if predicate { OpKind::If } else { OpKind::Case },
                Regions::Branches,
            )));
        }
        _ => return with_regions(p, rank(0)),
    };
    Ok(Some((plain, Regions::None)))
}

fn with_regions(p: &HloInstructionProto, rank: usize) -> Result<Option<(OpKind, Regions)>, String> {
    // XLA leaves the window of a scalar out.
    let window = || match &p.window {
        None if rank > 0 => Err("it needs a window".to_string()),
        window => Ok(window.clone().unwrap_or_default()),
    };
    Ok(Some(match &*p.opcode {
        "while" => (OpKind::While, Regions::Loop),
        "reduce" => (
            OpKind::Reduce(Reduce {
                dimensions: dims(&p.dimensions),
            }),
            Regions::Bodies(1),
        ),
        "map" => {
            let all = (0..rank as i64).collect();
            (OpKind::Map(MapOp { dimensions: all }), Regions::Bodies(1))
        }
        "reduce-window" => {
            let d = &window()?.dimensions;
            let kind = ReduceWindow {
                window_dimensions: d.iter().map(|d| d.size).collect(),
                window_strides: d.iter().map(|d| d.stride).collect(),
                base_dilations: d.iter().map(|d| d.base_dilation).collect(),
                window_dilations: d.iter().map(|d| d.window_dilation).collect(),
                padding: d.iter().map(|d| (d.padding_low, d.padding_high)).collect(),
            };
            (OpKind::ReduceWindow(kind), Regions::Bodies(1))
        }
        "select-and-scatter" => {
            let d = &window()?.dimensions;
            let kind = SelectAndScatter {
                window_dimensions: d.iter().map(|d| d.size).collect(),
                window_strides: d.iter().map(|d| d.stride).collect(),
                padding: d.iter().map(|d| (d.padding_low, d.padding_high)).collect(),
            };
            (OpKind::SelectAndScatter(kind), Regions::Bodies(2))
        }
        "sort" => {
            let dimension = *p.dimensions.first().ok_or("it needs a dimension")?;
            (
                OpKind::Sort(Sort {
                    dimension,
                    is_stable: p.is_stable,
                }),
                Regions::Bodies(1),
            )
        }
        "scatter" => {
            let n = p
                .scatter_dimension_numbers
                .as_ref()
                .ok_or("it needs dimension numbers")?;
            let kind = Scatter {
                update_window_dims: dims(&n.update_window_dims),
                inserted_window_dims: dims(&n.inserted_window_dims),
                input_batching_dims: dims(&n.input_batching_dims),
                scatter_indices_batching_dims: dims(&n.scatter_indices_batching_dims),
                scatter_dims_to_operand_dims: dims(&n.scatter_dims_to_operand_dims),
                index_vector_dim: n.index_vector_dim,
                indices_are_sorted: p.indices_are_sorted,
                unique_indices: p.unique_indices,
            };
            (OpKind::Scatter(kind), Regions::Bodies(1))
        }
        "all-reduce" => (OpKind::AllReduce(collective(p)?), Regions::Bodies(1)),
        "reduce-scatter" => {
            let scatter_dimension = *p.dimensions.first().ok_or("it needs a dimension")?;
            (
                OpKind::ReduceScatter(ReduceScatter {
                    collective: collective(p)?,
                    scatter_dimension,
                }),
                Regions::Bodies(1),
            )
        }
        _ => return Ok(None),
    }))
}

/// Opcodes of unary operations. Of several names the first is XLA's own.
const UNARY: [(&str, UnaryOp); 35] = [
    ("abs", UnaryOp::Abs),
    ("cbrt", UnaryOp::Cbrt),
    ("ceil", UnaryOp::Ceil),
    ("count-leading-zeros", UnaryOp::CountLeadingZeros),
    ("clz", UnaryOp::CountLeadingZeros),
    ("cosine", UnaryOp::Cosine),
    ("exponential", UnaryOp::Exponential),
    ("exponential-minus-one", UnaryOp::ExponentialMinusOne),
    ("floor", UnaryOp::Floor),
    ("imag", UnaryOp::Imag),
    ("is-finite", UnaryOp::IsFinite),
    ("log", UnaryOp::Log),
    ("log-plus-one", UnaryOp::LogPlusOne),
    ("logistic", UnaryOp::Logistic),
    ("negate", UnaryOp::Negate),
    ("not", UnaryOp::Not),
    ("popcnt", UnaryOp::PopulationCount),
    ("population-count", UnaryOp::PopulationCount),
    ("real", UnaryOp::Real),
    ("round-nearest-afz", UnaryOp::RoundNearestAfz),
    ("round-nearest-even", UnaryOp::RoundNearestEven),
    ("rsqrt", UnaryOp::Rsqrt),
    ("sign", UnaryOp::Sign),
    ("sine", UnaryOp::Sine),
    ("sqrt", UnaryOp::Sqrt),
    ("tan", UnaryOp::Tan),
    ("tanh", UnaryOp::Tanh),
    ("erf", UnaryOp::Erf),
    ("acos", UnaryOp::Acos),
    ("acosh", UnaryOp::Acosh),
    ("asin", UnaryOp::Asin),
    ("asinh", UnaryOp::Asinh),
    ("atanh", UnaryOp::Atanh),
    ("cosh", UnaryOp::Cosh),
    ("sinh", UnaryOp::Sinh),
];

/// The opcode of an operation, if XLA has one.
pub(super) fn unary_opcode(op: UnaryOp) -> Option<&'static str> {
    UNARY.iter().find(|(_, of)| *of == op).map(|(opcode, _)| *opcode)
}

fn unary(opcode: &str) -> Option<UnaryOp> {
    UNARY.iter().find(|(name, _)| *name == opcode).map(|(_, op)| *op)
}

/// Opcodes of binary operations. Of several names the first is XLA's own.
const BINARY: [(&str, BinaryOp); 15] = [
    ("add", BinaryOp::Add),
    ("and", BinaryOp::And),
    ("atan2", BinaryOp::Atan2),
    ("divide", BinaryOp::Divide),
    ("maximum", BinaryOp::Maximum),
    ("minimum", BinaryOp::Minimum),
    ("multiply", BinaryOp::Multiply),
    ("or", BinaryOp::Or),
    ("power", BinaryOp::Power),
    ("remainder", BinaryOp::Remainder),
    ("shift-left", BinaryOp::ShiftLeft),
    ("shift-right-arithmetic", BinaryOp::ShiftRightArithmetic),
    ("shift-right-logical", BinaryOp::ShiftRightLogical),
    ("subtract", BinaryOp::Subtract),
    ("xor", BinaryOp::Xor),
];

/// The opcode of an operation, if XLA has one.
pub(super) fn binary_opcode(op: BinaryOp) -> Option<&'static str> {
    BINARY.iter().find(|(_, of)| *of == op).map(|(opcode, _)| *opcode)
}

fn binary(opcode: &str) -> Option<BinaryOp> {
    BINARY.iter().find(|(name, _)| *name == opcode).map(|(_, op)| *op)
}

/// The operation of CHLO that a custom call names: the writer's form of those that have no opcode.
fn chlo(target: &str) -> Option<OpKind> {
    let target = target.strip_prefix("chlo.").map(|_| target)?;
    UnaryOp::from_mnemonic(target)
        .map(OpKind::Unary)
        .or_else(|| BinaryOp::from_mnemonic(target).map(OpKind::Binary))
}

fn compare(p: &HloInstructionProto) -> Result<Compare, String> {
    let direction = ComparisonDirection::from_mnemonic(&p.comparison_direction)
        .ok_or_else(|| format!("unknown comparison direction `{}`", p.comparison_direction))?;
    let compare_type = match &*p.comparison_type {
        "" => ComparisonType::NoType,
        word => ComparisonType::from_mnemonic(word).ok_or_else(|| format!("unknown comparison type `{word}`"))?,
    };
    Ok(Compare {
        direction,
        compare_type,
    })
}

fn dot_dims(numbers: &DotDimensionNumbers) -> DotDims {
    DotDims {
        lhs_batching: dims(&numbers.lhs_batch_dimensions),
        rhs_batching: dims(&numbers.rhs_batch_dimensions),
        lhs_contracting: dims(&numbers.lhs_contracting_dimensions),
        rhs_contracting: dims(&numbers.rhs_contracting_dimensions),
    }
}

fn precision(p: &HloInstructionProto) -> Vec<Precision> {
    let one = |value: &i32| match value {
        1 => Precision::High,
        2 => Precision::Highest,
        _ => Precision::Default,
    };
    p.precision_config
        .as_ref()
        .map(|config| config.operand_precision.iter().map(one).collect())
        .unwrap_or_default()
}

/// The algorithm with this number. Names have the types of operands and accumulation and the number of operations;
/// how many components an operand is split into is our assumption: 2 for three products, 3 for six and nine.
pub(super) fn algorithm(number: i32) -> Option<DotAlgorithm> {
    let name = DOT_ALGORITHMS.get(usize::try_from(number).ok()?)?;
    let mut words = name.strip_prefix("dot_")?.split('_');
    let word = |word: Option<&str>| match word {
        // Any 8-bit float: the widest stands for all.
        Some("any") => Some("f8E5M2".to_string()),
        other => other.map(str::to_string),
    };
    let any = name.contains("any_f8");
    let lhs = word(words.next())?;
    if any {
        words.next();
    }
    let rhs = word(words.next())?;
    if any {
        words.next();
    }
    let accumulation = word(words.next())?;
    let (components, operations) = match words.next() {
        Some("x3") => (2, 3),
        Some("x6") => (3, 6),
        Some("x9") => (3, 9),
        _ => (1, 1),
    };
    Some(DotAlgorithm {
        lhs_precision_type: lhs,
        rhs_precision_type: rhs,
        accumulation_type: accumulation,
        lhs_component_count: components,
        rhs_component_count: components,
        num_primitive_operations: operations,
        allow_imprecise_accumulation: name.ends_with("fast_accum"),
    })
}

fn convolution(p: &HloInstructionProto) -> Result<Convolution, String> {
    let n = p
        .convolution_dimension_numbers
        .as_ref()
        .ok_or("it needs dimension numbers")?;
    let window = p.window.clone().unwrap_or_default().dimensions;
    Ok(Convolution {
        dims: ConvDims {
            input_batch: n.input_batch_dimension,
            input_feature: n.input_feature_dimension,
            input_spatial: dims(&n.input_spatial_dimensions),
            kernel_input_feature: n.kernel_input_feature_dimension,
            kernel_output_feature: n.kernel_output_feature_dimension,
            kernel_spatial: dims(&n.kernel_spatial_dimensions),
            output_batch: n.output_batch_dimension,
            output_feature: n.output_feature_dimension,
            output_spatial: dims(&n.output_spatial_dimensions),
        },
        window_strides: window.iter().map(|d| d.stride).collect(),
        padding: window.iter().map(|d| (d.padding_low, d.padding_high)).collect(),
        lhs_dilation: window.iter().map(|d| d.base_dilation).collect(),
        rhs_dilation: window.iter().map(|d| d.window_dilation).collect(),
        window_reversal: window.iter().map(|d| d.window_reversal).collect(),
        // 0 is a field that was not set.
        feature_group_count: p.feature_group_count.max(1),
        batch_group_count: p.batch_group_count.max(1),
        precision: precision(p),
    })
}

fn batch_norm(p: &HloInstructionProto) -> BatchNorm {
    BatchNorm {
        epsilon: p.epsilon,
        feature_index: p.feature_index,
    }
}

pub(super) fn collective(p: &HloInstructionProto) -> Result<Collective, String> {
    let groups = match &p.collective_device_list {
        Some(list) if list.iota_replica_group_list.is_some() || !list.replica_groups.is_empty() => {
            match &list.iota_replica_group_list {
                Some(iota) => iota_groups(iota)?,
                None => list
                    .replica_groups
                    .iter()
                    .map(|group| dims(&group.replica_ids))
                    .collect(),
            }
        }
        _ => p.replica_groups.iter().map(|group| dims(&group.replica_ids)).collect(),
    };
    Ok(Collective {
        replica_groups: groups,
        channel_id: p.channel_id.max(0),
        channel_type: i64::from(p.channel_id > 0),
        use_global_device_ids: p.use_global_device_ids,
    })
}

/// `[groups,devices]<=[dims]T(perm)`: the numbers from 0, reshaped, transposed and cut into rows.
fn iota_groups(iota: &IotaReplicaGroupList) -> Result<Vec<Dims>, String> {
    let bad = || "its replica groups are not well formed".to_string();
    let sizes: Vec<usize> = iota
        .iota_reshape_dims
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<_, _>>()
        .map_err(|_| bad())?;
    let count = sizes
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= 1 << 20)
        .ok_or_else(bad)?;
    let perm: Vec<usize> = if iota.iota_transpose_perm.is_empty() {
        (0..sizes.len()).collect()
    } else {
        iota.iota_transpose_perm
            .iter()
            .map(|&d| usize::try_from(d))
            .collect::<Result<_, _>>()
            .map_err(|_| bad())?
    };
    if perm.len() != sizes.len() || !(0..sizes.len()).all(|d| perm.contains(&d)) {
        return Err(bad());
    }
    let mut strides = vec![1usize; sizes.len()];
    for d in (1..sizes.len()).rev() {
        strides[d - 1] = strides[d] * sizes[d];
    }
    let id = |mut n: usize| {
        let mut value = 0;
        for &d in perm.iter().rev() {
            value += n % sizes[d] * strides[d];
            n /= sizes[d];
        }
        value as i64
    };
    let width = usize::try_from(iota.num_devices_per_group)
        .ok()
        .filter(|&w| w > 0)
        .ok_or_else(bad)?;
    if iota.num_replica_groups.checked_mul(iota.num_devices_per_group) != Some(count as i64) {
        return Err(bad());
    }
    let ids: Vec<i64> = (0..count).map(id).collect();
    Ok(ids.chunks(width).map(dims).collect())
}

/// Channel and partners of `send` and `recv`.
pub(super) fn transfer(p: &HloInstructionProto) -> Result<Transfer, String> {
    const HOST_TO_DEVICE: i64 = 3;
    const DEVICE_TO_HOST: i64 = 2;
    const DEVICE_TO_DEVICE: i64 = 1;
    let written = p.frontend_attributes.as_ref().and_then(|a| a.map.get(PAIRS));
    let pairs = match written {
        Some(text) => attributes::pairs(text)?,
        None => p.source_target_pairs.clone(),
    };
    Ok(Transfer {
        channel_id: p.channel_id.max(0),
        channel_type: match (p.is_host_transfer, &*p.opcode) {
            (false, _) => DEVICE_TO_DEVICE,
            (true, "send") => DEVICE_TO_HOST,
            (true, _) => HOST_TO_DEVICE,
        },
        is_host_transfer: p.is_host_transfer,
        source_target_pairs: pairs.iter().map(|pair| (pair.source, pair.target)).collect(),
    })
}

/// A string; for the typed interface a dictionary as MLIR writes it.
fn backend_config(p: &HloInstructionProto) -> Attr {
    const TYPED: i32 = 4;
    let text = String::from_utf8_lossy(&p.backend_config).into_owned();
    match parse::attribute(&text) {
        Some(dictionary @ Attr::Dict(_)) if p.custom_call_api_version == TYPED => dictionary,
        _ => Attr::String(text),
    }
}

fn custom_call(p: &HloInstructionProto, called: Vec<String>) -> CustomCall {
    CustomCall {
        target: p.custom_call_target.clone(),
        has_side_effect: p.custom_call_has_side_effect,
        backend_config: backend_config(p),
        api_version: i64::from(p.custom_call_api_version.max(1)),
        called_computations: called,
        operand_layouts: None,
        result_layouts: None,
        output_operand_aliases: p
            .output_operand_aliasing
            .iter()
            .map(|alias| OutputOperandAlias {
                output_tuple_indices: dims(&alias.output_shape_index),
                operand_index: alias.operand_index,
                operand_tuple_indices: dims(&alias.operand_shape_index),
            })
            .collect(),
    }
}
