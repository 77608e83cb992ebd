//! Operations of the text to [`OpKind`]s.

use super::super::attrs::{Attr as HloAttr, Attrs};
use super::super::ops::*;
use super::super::types::Dims;
use super::attributes;
use super::fields::{self, Fields, Read, parameters, parameters_of};
use super::literal;
use crate::text::{Attr, Type};

/// The kind of an operation with its attributes.
///
/// # Errors
/// An unknown operation gives `None`; a wrong attribute its message.
pub(super) fn kind(fields: &mut Fields) -> Read<Option<OpKind>> {
    let name = fields.name.clone();
    let name: &str = &name;
    if let Some(unary) = UnaryOp::from_mnemonic(name) {
        return Ok(Some(OpKind::Unary(unary)));
    }
    if let Some(binary) = BinaryOp::from_mnemonic(name) {
        return Ok(Some(OpKind::Binary(binary)));
    }
    if let Some(short) = name.strip_prefix("stablehlo.") {
        return stablehlo(fields, short);
    }
    Ok(Some(match name {
        "func.call" => OpKind::Call(Call {
            callee: fields.symbol("callee")?,
        }),
        "chlo.constant" => OpKind::Constant(constant(fields)?),
        "chlo.top_k" => OpKind::TopK(TopK {
            k: fields.int("k")?,
            largest: fields.bool_or("largest", true)?,
        }),
        "chlo.ragged_dot" => OpKind::RaggedDot(ragged_dot(fields)?),
        "sdy.manual_computation" => OpKind::ManualComputation(ManualComputation {
            in_shardings: sdy_body(fields, "in_shardings")?,
            out_shardings: sdy_body(fields, "out_shardings")?,
            manual_axes: sdy_body(fields, "manual_axes")?
                .trim_start_matches("manual_axes")
                .to_string(),
        }),
        // A resharding says how its result is sharded, as a constraint does.
        "sdy.sharding_constraint" | "sdy.reshard" => OpKind::ShardingConstraint(ShardingConstraint {
            sharding: format!("<{}>", sdy_body(fields, "sharding")?),
        }),
        // So do Shardy's collectives, seen from all devices together: values stay, places change.
        "sdy.all_gather"
        | "sdy.all_slice"
        | "sdy.all_to_all"
        | "sdy.all_reduce"
        | "sdy.collective_permute"
        | "sdy.reduce_scatter"
        | "sdy.replicated_to_unreduced"
        | "sdy.sharded_to_unreduced" => OpKind::ShardingConstraint(ShardingConstraint {
            sharding: format!("<{}>", sdy_body(fields, "out_sharding")?),
        }),
        _ => match name.strip_prefix("chlo.broadcast_") {
            Some(short) => OpKind::ChloBroadcastBinary(chlo_broadcast(fields, short)?),
            None => return Ok(None),
        },
    }))
}

fn stablehlo(fields: &mut Fields, short: &str) -> Read<Option<OpKind>> {
    Ok(Some(match short {
        "constant" => OpKind::Constant(constant(fields)?),
        "broadcast_in_dim" => OpKind::BroadcastInDim(BroadcastInDim {
            broadcast_dimensions: fields.dims("broadcast_dimensions")?,
        }),
        "reshape" => OpKind::Reshape,
        "convert" => OpKind::Convert,
        "compare" => OpKind::Compare(compare(fields)?),
        "select" => OpKind::Select,
        "clamp" => OpKind::Clamp,
        "dot_general" => OpKind::DotGeneral(dot_general(fields)?),
        "transpose" => OpKind::Transpose(Transpose {
            permutation: fields.dims("permutation")?,
        }),
        "slice" => OpKind::Slice(Slice {
            start: fields.dims("start_indices")?,
            limit: fields.dims("limit_indices")?,
            strides: fields.dims("strides")?,
        }),
        "reduce" => OpKind::Reduce(Reduce {
            dimensions: fields.dims("dimensions")?,
        }),
        "iota" => OpKind::Iota(Iota {
            iota_dimension: fields.int("iota_dimension")?,
        }),
        "dynamic_iota" => OpKind::DynamicIota(Iota {
            iota_dimension: fields.int("iota_dimension")?,
        }),
        "bitcast_convert" => OpKind::BitcastConvert,
        "reduce_precision" => OpKind::ReducePrecision(ReducePrecision {
            exponent_bits: fields.int("exponent_bits")?,
            mantissa_bits: fields.int("mantissa_bits")?,
        }),
        "complex" => OpKind::Complex,
        "uniform_quantize" => OpKind::UniformQuantize,
        "uniform_dequantize" => OpKind::UniformDequantize,
        "map" => OpKind::Map(MapOp {
            dimensions: fields.dims("dimensions")?,
        }),
        "dot" => OpKind::Dot(Dot {
            precision: precision(fields)?,
        }),
        "convolution" => OpKind::Convolution(convolution(fields)?),
        "dynamic_conv" => OpKind::DynamicConv(convolution(fields)?),
        "einsum" => OpKind::Einsum(Einsum {
            config: fields.string("einsum_config")?,
        }),
        "unary_einsum" => OpKind::UnaryEinsum(Einsum {
            config: fields.string("einsum_config")?,
        }),
        "broadcast" => OpKind::Broadcast(Broadcast {
            broadcast_sizes: fields.dims("broadcast_sizes")?,
        }),
        "dynamic_broadcast_in_dim" => OpKind::DynamicBroadcastInDim(DynamicBroadcastInDim {
            broadcast_dimensions: fields.dims("broadcast_dimensions")?,
            known_expanding: fields.optional_dims("known_expanding_dimensions")?,
            known_nonexpanding: fields.optional_dims("known_nonexpanding_dimensions")?,
        }),
        "dynamic_reshape" => OpKind::DynamicReshape,
        "real_dynamic_slice" => OpKind::RealDynamicSlice,
        "dynamic_slice" => OpKind::DynamicSlice(DynamicSlice {
            sizes: fields.dims("slice_sizes")?,
        }),
        "dynamic_update_slice" => OpKind::DynamicUpdateSlice,
        "pad" => OpKind::Pad(Pad {
            low: fields.dims("edge_padding_low")?,
            high: fields.dims("edge_padding_high")?,
            interior: fields.dims("interior_padding")?,
        }),
        "dynamic_pad" => OpKind::DynamicPad,
        "reverse" => OpKind::Reverse(Reverse {
            dimensions: fields.dims("dimensions")?,
        }),
        "concatenate" => OpKind::Concatenate(Concatenate {
            dimension: fields.int("dimension")?,
        }),
        "get_dimension_size" => OpKind::GetDimensionSize(Dimension {
            dimension: fields.int("dimension")?,
        }),
        "set_dimension_size" => OpKind::SetDimensionSize(Dimension {
            dimension: fields.int("dimension")?,
        }),
        "gather" => {
            let sizes = fields.dims("slice_sizes")?;
            OpKind::Gather(gather(fields, sizes)?)
        }
        "dynamic_gather" => OpKind::DynamicGather(gather(fields, Dims::new())?),
        "scatter" => OpKind::Scatter(scatter(fields)?),
        "torch_index_select" => OpKind::TorchIndexSelect(TorchIndexSelect {
            dim: fields.int("dim")?,
            batch_dims: fields.int("batch_dims")?,
        }),
        "reduce_window" => {
            let window_dimensions = fields.dims("window_dimensions")?;
            let rank = window_dimensions.len();
            OpKind::ReduceWindow(ReduceWindow {
                window_strides: fields.dims_or("window_strides", rank, 1)?,
                base_dilations: fields.dims_or("base_dilations", rank, 1)?,
                window_dilations: fields.dims_or("window_dilations", rank, 1)?,
                padding: fields.pairs("padding")?.unwrap_or_else(|| vec![(0, 0); rank]),
                window_dimensions,
            })
        }
        "select_and_scatter" => {
            let rank = tensor_rank(fields, 0);
            let window_dimensions = fields.dims_or("window_dimensions", rank, 1)?;
            OpKind::SelectAndScatter(SelectAndScatter {
                window_strides: fields.dims_or("window_strides", rank, 1)?,
                padding: fields.pairs("padding")?.unwrap_or_else(|| vec![(0, 0); rank]),
                window_dimensions,
            })
        }
        "sort" => OpKind::Sort(Sort {
            dimension: fields.int_or("dimension", -1)?,
            is_stable: fields.bool_or("is_stable", false)?,
        }),
        "batch_norm_training" => OpKind::BatchNormTraining(batch_norm(fields)?),
        "batch_norm_inference" => OpKind::BatchNormInference(batch_norm(fields)?),
        "batch_norm_grad" => OpKind::BatchNormGrad(batch_norm(fields)?),
        "cholesky" => OpKind::Cholesky(Cholesky {
            lower: fields.bool_or("lower", false)?,
        }),
        "triangular_solve" => OpKind::TriangularSolve(TriangularSolve {
            left_side: fields.bool_or("left_side", false)?,
            lower: fields.bool_or("lower", false)?,
            unit_diagonal: fields.bool_or("unit_diagonal", false)?,
            transpose_a: match fields.word("transpose_a", "transpose")? {
                "NO_TRANSPOSE" => TransposeA::NoTranspose,
                "TRANSPOSE" => TransposeA::Transpose,
                "ADJOINT" => TransposeA::Adjoint,
                other => return Err(format!("unknown `transpose_a`: `{other}`")),
            },
        }),
        "fft" => OpKind::Fft(Fft {
            fft_type: match fields.word("fft_type", "fft_type")? {
                "FFT" => FftType::Fft,
                "IFFT" => FftType::Ifft,
                "RFFT" => FftType::Rfft,
                "IRFFT" => FftType::Irfft,
                other => return Err(format!("unknown `fft_type`: `{other}`")),
            },
            fft_length: fields.dims("fft_length")?,
        }),
        "rng" => OpKind::Rng(Rng {
            distribution: match fields.word("rng_distribution", "rng_distribution")? {
                "UNIFORM" => RngDistribution::Uniform,
                "NORMAL" => RngDistribution::Normal,
                other => return Err(format!("unknown `rng_distribution`: `{other}`")),
            },
        }),
        "rng_bit_generator" => OpKind::RngBitGenerator(RngBitGenerator {
            algorithm: match fields.word("rng_algorithm", "rng_algorithm")? {
                "DEFAULT" => RngAlgorithm::Default,
                "THREE_FRY" => RngAlgorithm::ThreeFry,
                "PHILOX" => RngAlgorithm::Philox,
                other => return Err(format!("unknown `rng_algorithm`: `{other}`")),
            },
        }),
        "while" => OpKind::While,
        "if" => OpKind::If,
        "case" => OpKind::Case,
        "composite" => OpKind::Composite(Composite {
            name: fields.string("name")?,
            decomposition: fields.symbol("decomposition")?,
            attributes: match fields.take("composite_attributes") {
                None => Attrs::new(),
                Some(Attr::Dict(items)) => attributes::dictionary(items),
                Some(_) => return Err(fields.wrong("composite_attributes", "a dictionary")),
            },
            version: fields.int_or("version", 0)?,
        }),
        "custom_call" => OpKind::CustomCall(Box::new(custom_call(fields)?)),
        "tuple" => OpKind::Tuple,
        "get_tuple_element" => OpKind::GetTupleElement(GetTupleElement {
            index: fields.int("index")?,
        }),
        "optimization_barrier" => OpKind::OptimizationBarrier,
        "after_all" => OpKind::AfterAll,
        "create_token" => OpKind::CreateToken,
        "infeed" => OpKind::Infeed(Feed {
            config: fields.string_or_empty("infeed_config")?,
        }),
        "outfeed" => OpKind::Outfeed(Feed {
            config: fields.string_or_empty("outfeed_config")?,
        }),
        "async_start" => OpKind::AsyncStart,
        "async_done" => OpKind::AsyncDone,
        "all_gather" => OpKind::AllGather(AllGather {
            collective: collective(fields)?,
            all_gather_dim: fields.int("all_gather_dim")?,
        }),
        "all_reduce" => OpKind::AllReduce(collective(fields)?),
        "reduce_scatter" => OpKind::ReduceScatter(ReduceScatter {
            collective: collective(fields)?,
            scatter_dimension: fields.int("scatter_dimension")?,
        }),
        "all_to_all" => OpKind::AllToAll(AllToAll {
            collective: collective(fields)?,
            split_dimension: fields.int("split_dimension")?,
            concat_dimension: fields.int("concat_dimension")?,
            split_count: fields.int("split_count")?,
        }),
        "collective_permute" => {
            let (channel_id, channel_type) = channel(fields)?;
            OpKind::CollectivePermute(CollectivePermute {
                source_target_pairs: fields.pairs("source_target_pairs")?.unwrap_or_default(),
                channel_id,
                channel_type,
            })
        }
        "collective_broadcast" => OpKind::CollectiveBroadcast(collective(fields)?),
        "collective_reduce" => OpKind::CollectiveReduce(collective(fields)?),
        "cross-replica-sum" | "cross_replica_sum" => OpKind::CrossReplicaSum(collective(fields)?),
        "partition_id" => OpKind::PartitionId,
        "replica_id" => OpKind::ReplicaId,
        "send" => OpKind::Send(transfer(fields)?),
        "recv" => OpKind::Recv(transfer(fields)?),
        _ => return Ok(None),
    }))
}

fn tensor_rank(fields: &Fields, operand: usize) -> usize {
    match fields.op.operand_types.get(operand) {
        Some(Type::Tensor(tensor)) => tensor.sizes.len(),
        _ => 0,
    }
}

fn constant(fields: &mut Fields) -> Read<crate::literal::Literal> {
    let value = fields.need("value")?;
    literal::literal(value, fields.document)
}

fn compare(fields: &mut Fields) -> Read<Compare> {
    let direction = fields.word("comparison_direction", "comparison_direction")?;
    let compare_type = fields
        .optional_word("compare_type", "comparison_type")?
        .unwrap_or("NOTYPE");
    Ok(Compare {
        direction: ComparisonDirection::from_mnemonic(direction)
            .ok_or_else(|| format!("unknown comparison direction `{direction}`"))?,
        compare_type: ComparisonType::from_mnemonic(compare_type)
            .ok_or_else(|| format!("unknown comparison type `{compare_type}`"))?,
    })
}

fn chlo_broadcast(fields: &mut Fields, short: &str) -> Read<ChloBroadcast> {
    let compare = if short == "compare" {
        Some(self::compare(fields)?)
    } else {
        None
    };
    let broadcast_dimensions = fields.optional_dims("broadcast_dimensions")?;
    Ok(ChloBroadcast {
        op: short.to_string(),
        broadcast_dimensions,
        compare,
    })
}

fn precision(fields: &mut Fields) -> Read<Vec<Precision>> {
    let one = |attr: &Attr| match fields::word(attr, "precision") {
        Some("DEFAULT") => Some(Precision::Default),
        Some("HIGH") => Some(Precision::High),
        Some("HIGHEST") => Some(Precision::Highest),
        _ => None,
    };
    match fields.take("precision_config") {
        None => Ok(Vec::new()),
        Some(Attr::Array(items)) => items
            .iter()
            .map(one)
            .collect::<Option<_>>()
            .ok_or_else(|| fields.wrong("precision_config", "a list of `#stablehlo<precision ...>`")),
        Some(_) => Err(fields.wrong("precision_config", "a list of `#stablehlo<precision ...>`")),
    }
}

fn dot_general(fields: &mut Fields) -> Read<DotGeneral> {
    let numbers = fields.parameters("dot_dimension_numbers")?;
    let dims = DotDims {
        lhs_batching: numbers.dims("lhs_batching_dimensions")?,
        rhs_batching: numbers.dims("rhs_batching_dimensions")?,
        lhs_contracting: numbers.dims("lhs_contracting_dimensions")?,
        rhs_contracting: numbers.dims("rhs_contracting_dimensions")?,
    };
    let algorithm = match fields.take("algorithm") {
        None => None,
        Some(attr) => {
            let Some(of) = parameters_of(attr, "algorithm")? else {
                return Err(fields.wrong("algorithm", "`#stablehlo.dot_algorithm<...>`"));
            };
            Some(DotAlgorithm {
                lhs_precision_type: of.type_name("lhs_precision_type")?,
                rhs_precision_type: of.type_name("rhs_precision_type")?,
                accumulation_type: of.type_name("accumulation_type")?,
                lhs_component_count: of.int_or("lhs_component_count", 1)?,
                rhs_component_count: of.int_or("rhs_component_count", 1)?,
                num_primitive_operations: of.int_or("num_primitive_operations", 1)?,
                allow_imprecise_accumulation: of.bool_or("allow_imprecise_accumulation", false)?,
            })
        }
    };
    Ok(DotGeneral {
        dims,
        precision: precision(fields)?,
        algorithm,
    })
}

fn ragged_dot(fields: &mut Fields) -> Read<RaggedDot> {
    let numbers = fields.parameters("ragged_dot_dimension_numbers")?;
    Ok(RaggedDot {
        dims: DotDims {
            lhs_batching: numbers.dims("lhs_batching_dimensions")?,
            rhs_batching: numbers.dims("rhs_batching_dimensions")?,
            lhs_contracting: numbers.dims("lhs_contracting_dimensions")?,
            rhs_contracting: numbers.dims("rhs_contracting_dimensions")?,
        },
        lhs_ragged: numbers.dims("lhs_ragged_dimensions")?,
        rhs_group: numbers.dims("rhs_group_dimensions")?,
        precision: precision(fields)?,
    })
}

fn convolution(fields: &mut Fields) -> Read<Convolution> {
    let dims = match fields.need("dimension_numbers")? {
        Attr::Dialect { body: Some(body), .. } | Attr::String(body) => convolution_dims(body)
            .ok_or_else(|| fields.wrong("dimension_numbers", "`#stablehlo.conv<[b, 0, f]x[0, i, o]->[b, 0, f]>`"))?,
        _ => return Err(fields.wrong("dimension_numbers", "`#stablehlo.conv<...>`")),
    };
    let rank = dims.input_spatial.len();
    let window_reversal = match fields.optional_dims("window_reversal")? {
        None => vec![false; rank],
        Some(values) => values.iter().map(|&v| v != 0).collect(),
    };
    Ok(Convolution {
        window_strides: fields.dims_or("window_strides", rank, 1)?,
        padding: fields.pairs("padding")?.unwrap_or_else(|| vec![(0, 0); rank]),
        lhs_dilation: fields.dims_or("lhs_dilation", rank, 1)?,
        rhs_dilation: fields.dims_or("rhs_dilation", rank, 1)?,
        window_reversal,
        feature_group_count: fields.int_or("feature_group_count", 1)?,
        batch_group_count: fields.int_or("batch_group_count", 1)?,
        precision: precision(fields)?,
        dims,
    })
}

/// `[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]`, or `raw input_batch_dimension = 0, ...`.
fn convolution_dims(body: &str) -> Option<ConvDims> {
    if let Some(raw) = body.trim().strip_prefix("raw") {
        let of = parameters("stablehlo.conv", raw).ok()?;
        let int = |name: &str| of.int_or(name, -1).ok().filter(|&v| v >= 0);
        return Some(ConvDims {
            input_batch: int("input_batch_dimension")?,
            input_feature: int("input_feature_dimension")?,
            input_spatial: of.dims("input_spatial_dimensions").ok()?,
            kernel_input_feature: int("kernel_input_feature_dimension")?,
            kernel_output_feature: int("kernel_output_feature_dimension")?,
            kernel_spatial: of.dims("kernel_spatial_dimensions").ok()?,
            output_batch: int("output_batch_dimension")?,
            output_feature: int("output_feature_dimension")?,
            output_spatial: of.dims("output_spatial_dimensions").ok()?,
        });
    }
    let (inputs, output) = body.split_once("->")?;
    let (input, kernel) = inputs
        .split_once(']')
        .and_then(|(a, b)| Some((a, b.trim().strip_prefix('x')?)))?;
    let labels = |text: &str| -> Option<Vec<String>> {
        let text = text.trim().strip_prefix('[')?;
        let text = text.strip_suffix(']').unwrap_or(text);
        Some(text.split(',').map(|label| label.trim().to_string()).collect())
    };
    let (input, kernel, output) = (labels(input)?, labels(kernel)?, labels(output)?);
    let find = |labels: &[String], label: &str| labels.iter().position(|l| l == label).map(|n| n as i64);
    let spatial = |labels: &[String]| -> Option<Dims> {
        (0..labels.len().checked_sub(2)?)
            .map(|n| find(labels, &n.to_string()))
            .collect()
    };
    Some(ConvDims {
        input_batch: find(&input, "b")?,
        input_feature: find(&input, "f")?,
        input_spatial: spatial(&input)?,
        kernel_input_feature: find(&kernel, "i")?,
        kernel_output_feature: find(&kernel, "o")?,
        kernel_spatial: spatial(&kernel)?,
        output_batch: find(&output, "b")?,
        output_feature: find(&output, "f")?,
        output_spatial: spatial(&output)?,
    })
}

fn gather(fields: &mut Fields, slice_sizes: Dims) -> Read<Gather> {
    let numbers = fields.parameters("dimension_numbers")?;
    Ok(Gather {
        offset_dims: numbers.dims("offset_dims")?,
        collapsed_slice_dims: numbers.dims("collapsed_slice_dims")?,
        operand_batching_dims: numbers.dims("operand_batching_dims")?,
        start_indices_batching_dims: numbers.dims("start_indices_batching_dims")?,
        start_index_map: numbers.dims("start_index_map")?,
        index_vector_dim: numbers.int_or("index_vector_dim", 0)?,
        slice_sizes,
        indices_are_sorted: fields.bool_or("indices_are_sorted", false)?,
    })
}

fn scatter(fields: &mut Fields) -> Read<Scatter> {
    let numbers = fields.parameters("scatter_dimension_numbers")?;
    Ok(Scatter {
        update_window_dims: numbers.dims("update_window_dims")?,
        inserted_window_dims: numbers.dims("inserted_window_dims")?,
        input_batching_dims: numbers.dims("input_batching_dims")?,
        scatter_indices_batching_dims: numbers.dims("scatter_indices_batching_dims")?,
        scatter_dims_to_operand_dims: numbers.dims("scatter_dims_to_operand_dims")?,
        index_vector_dim: numbers.int_or("index_vector_dim", 0)?,
        indices_are_sorted: fields.bool_or("indices_are_sorted", false)?,
        unique_indices: fields.bool_or("unique_indices", false)?,
    })
}

fn batch_norm(fields: &mut Fields) -> Read<BatchNorm> {
    Ok(BatchNorm {
        epsilon: fields.float("epsilon")? as f32,
        feature_index: fields.int("feature_index")?,
    })
}

fn custom_call(fields: &mut Fields) -> Read<CustomCall> {
    let layouts = |fields: &mut Fields, name: &'static str| match fields.take(name) {
        None => Ok(None),
        Some(Attr::Array(items)) => items
            .iter()
            .map(fields::list)
            .collect::<Option<Vec<Dims>>>()
            .map(Some)
            .ok_or_else(|| fields.wrong(name, "a list of layouts")),
        Some(_) => Err(fields.wrong(name, "a list of layouts")),
    };
    let called_computations = match fields.take("called_computations") {
        None => Vec::new(),
        Some(Attr::Array(items)) => items
            .iter()
            .map(fields::symbol)
            .collect::<Option<_>>()
            .ok_or_else(|| fields.wrong("called_computations", "a list of functions"))?,
        Some(_) => return Err(fields.wrong("called_computations", "a list of functions")),
    };
    let output_operand_aliases = match fields.take("output_operand_aliases") {
        None => Vec::new(),
        Some(Attr::Array(items)) => items.iter().map(operand_alias).collect::<Read<_>>()?,
        Some(_) => return Err(fields.wrong("output_operand_aliases", "a list of aliases")),
    };
    let mut backend_config = match fields.take("backend_config") {
        None => HloAttr::String(String::new()),
        Some(attr) => attributes::convert(attr),
    };
    let mut api_version = fields.int_or("api_version", 1)?;
    // What MHLO wrote before StableHLO had dictionaries; to XLA it is the typed interface.
    let of_mhlo = fields.take("mhlo.backend_config").map(attributes::convert);
    let is_empty = matches!(&backend_config, HloAttr::String(text) if text.is_empty());
    if let (Some(config @ HloAttr::Dict(_)), true) = (of_mhlo, is_empty) {
        const TYPED: i64 = 4;
        (backend_config, api_version) = (config, TYPED);
    }
    Ok(CustomCall {
        target: fields.string("call_target_name")?,
        has_side_effect: fields.bool_or("has_side_effect", false)?,
        backend_config,
        api_version,
        called_computations,
        operand_layouts: layouts(fields, "operand_layouts")?,
        result_layouts: layouts(fields, "result_layouts")?,
        output_operand_aliases,
    })
}

fn operand_alias(attr: &Attr) -> Read<OutputOperandAlias> {
    let Some(of) = parameters_of(attr, "output_operand_aliases")? else {
        return Err("an alias must be `#stablehlo.output_operand_alias<...>`".to_string());
    };
    Ok(OutputOperandAlias {
        output_tuple_indices: of.dims("output_tuple_indices")?,
        operand_index: of.int_or("operand_index", 0)?,
        operand_tuple_indices: of.dims("operand_tuple_indices")?,
    })
}

/// Channel id and type; zeros where there is none.
fn channel(fields: &mut Fields) -> Read<(i64, i64)> {
    match fields.take("channel_handle") {
        None => match fields.take("channel_id") {
            None => Ok((0, 0)),
            Some(attr) => fields::int(attr)
                .map(|id| (id, 0))
                .ok_or_else(|| fields.wrong("channel_id", "an integer")),
        },
        Some(attr) => match parameters_of(attr, "channel_handle")? {
            Some(of) => Ok((of.int_or("handle", 0)?, of.int_or("type", 0)?)),
            None => Err(fields.wrong("channel_handle", "`#stablehlo.channel_handle<...>`")),
        },
    }
}

fn collective(fields: &mut Fields) -> Read<Collective> {
    let (channel_id, channel_type) = channel(fields)?;
    let replica_groups = match fields.take("replica_groups") {
        None => Vec::new(),
        Some(Attr::Dialect { name, body: Some(body) }) if name == "stablehlo.replica_group_mesh_axes" => {
            super::mesh::groups(body).ok_or_else(|| fields.wrong("replica_groups", "axes of a mesh"))?
        }
        Some(attr) => fields::rows(attr).ok_or_else(|| fields.wrong("replica_groups", "rows of device ids"))?,
    };
    let use_global_device_ids = fields.bool_or("use_global_device_ids", false)?;
    Ok(Collective {
        replica_groups,
        channel_id,
        channel_type,
        use_global_device_ids,
    })
}

fn transfer(fields: &mut Fields) -> Read<Transfer> {
    let (channel_id, channel_type) = channel(fields)?;
    Ok(Transfer {
        channel_id,
        channel_type,
        is_host_transfer: fields.bool_or("is_host_transfer", false)?,
        source_target_pairs: fields.pairs("source_target_pairs")?.unwrap_or_default(),
    })
}

/// The body of a Shardy attribute.
fn sdy_body(fields: &mut Fields, name: &'static str) -> Read<String> {
    match fields.need(name)? {
        Attr::Dialect {
            name: of,
            body: Some(body),
        } if of.starts_with("sdy") => Ok(body.to_string()),
        _ => Err(fields.wrong(name, "a Shardy attribute, `#sdy...<...>`")),
    }
}
