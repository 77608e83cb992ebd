//! Properties of operations: which attributes stand in them, in which order.
//!
//! MLIR writes the properties of an operation one after the other, sorted by name and without their names, so that only
//! a table can tell what they are. A `?` marks what may be absent. An operation whose properties grew over time has
//! several rows: the one that fits the bytes exactly is taken.

use ferrite_ir::text::{Attr, NamedAttr};

use super::cursor::{Cursor, Read};
use super::decode::Decoder;
use super::file::SEGMENT_SIZES;

/// The properties of an operation from their bytes. `name` is its full name.
pub(super) fn read<'a>(decoder: &mut Decoder<'a>, name: &str, content: Cursor<'a>) -> Read<Vec<NamedAttr<'a>>> {
    let mut failure = None;
    for row in rows(name) {
        match fixed(decoder, row, content) {
            Ok(items) => return Ok(items),
            Err(wrong) => failure = failure.or(Some(wrong)),
        }
    }
    if let Some(wrong) = failure {
        return Err(wrong);
    }
    if content.is_empty() {
        return Ok(Vec::new());
    }
    // An operation that does not encode its properties has them as a dictionary.
    let mut cursor = content;
    if let Ok(Attr::Dict(items)) = decoder.attribute(&mut cursor)
        && cursor.is_empty()
    {
        return Ok(items);
    }
    content.wrong(format!("how properties of `{name}` are encoded is not known"))
}

fn fixed<'a>(
    decoder: &mut Decoder<'a>,
    row: &'static [&'static str],
    mut cursor: Cursor<'a>,
) -> Read<Vec<NamedAttr<'a>>> {
    let mut items = Vec::with_capacity(row.len());
    for name in row {
        let (name, index) = match name.strip_suffix('?') {
            Some(name) => match cursor.flagged()? {
                (_, false) => continue,
                (index, true) => (name, index),
            },
            None => (*name, cursor.varint()?),
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let value = decoder.attribute_at(index, &cursor)?;
        items.push(NamedAttr {
            name: name.into(),
            value,
        });
    }
    // Sizes of operand groups, which nothing here needs, may follow.
    if !cursor.is_empty() && decoder.file.version < SEGMENT_SIZES {
        return cursor.wrong("properties are longer than what is known of them");
    }
    Ok(items)
}

/// What is known of an operation's properties. Versions that have the same share the row without a version.
fn rows(name: &str) -> impl Iterator<Item = &'static [&'static str]> {
    let find = |name: &str| {
        let start = TABLE.partition_point(|(row, _)| *row < name);
        let count = TABLE[start..].partition_point(|(row, _)| *row == name);
        &TABLE[start..start + count]
    };
    let mut found = find(name);
    if found.is_empty()
        && let Some((base, _)) = name.starts_with("vhlo.").then(|| name.rsplit_once("_v")).flatten()
    {
        found = find(base);
    }
    found.iter().map(|(_, row)| *row)
}

/// Names of properties by operation, sorted.
#[rustfmt::skip]
static TABLE: &[(&str, &[&str])] = &[
    ("arith.addf", &["fastmath?"]),
    ("arith.addf", &["fastmath?", "roundingmode?"]),
    ("arith.addi", &["overflowFlags?"]),
    ("arith.cmpf", &["fastmath?", "predicate"]),
    ("arith.cmpi", &["predicate"]),
    ("arith.constant", &["value"]),
    ("arith.divf", &["fastmath?"]),
    ("arith.divf", &["fastmath?", "roundingmode?"]),
    ("arith.extf", &["fastmath?"]),
    ("arith.extf", &["fastmath?", "roundingmode?"]),
    ("arith.maximumf", &["fastmath?"]),
    ("arith.maximumf", &["fastmath?", "roundingmode?"]),
    ("arith.maxnumf", &["fastmath?"]),
    ("arith.maxnumf", &["fastmath?", "roundingmode?"]),
    ("arith.minimumf", &["fastmath?"]),
    ("arith.minimumf", &["fastmath?", "roundingmode?"]),
    ("arith.minnumf", &["fastmath?"]),
    ("arith.minnumf", &["fastmath?", "roundingmode?"]),
    ("arith.mulf", &["fastmath?"]),
    ("arith.mulf", &["fastmath?", "roundingmode?"]),
    ("arith.muli", &["overflowFlags?"]),
    ("arith.negf", &["fastmath?"]),
    ("arith.negf", &["fastmath?", "roundingmode?"]),
    ("arith.remf", &["fastmath?"]),
    ("arith.remf", &["fastmath?", "roundingmode?"]),
    ("arith.shli", &["overflowFlags?"]),
    ("arith.subf", &["fastmath?"]),
    ("arith.subf", &["fastmath?", "roundingmode?"]),
    ("arith.subi", &["overflowFlags?"]),
    ("arith.truncf", &["fastmath?"]),
    ("arith.truncf", &["fastmath?", "roundingmode?"]),
    ("arith.trunci", &["overflowFlags?"]),
    ("builtin.module", &["sym_name?", "sym_visibility?"]),
    ("chlo.broadcast_add", &["broadcast_dimensions?"]),
    ("chlo.broadcast_and", &["broadcast_dimensions?"]),
    ("chlo.broadcast_atan2", &["broadcast_dimensions?"]),
    ("chlo.broadcast_compare", &["broadcast_dimensions?", "compare_type?", "comparison_direction"]),
    ("chlo.broadcast_complex", &["broadcast_dimensions?"]),
    ("chlo.broadcast_divide", &["broadcast_dimensions?"]),
    ("chlo.broadcast_maximum", &["broadcast_dimensions?"]),
    ("chlo.broadcast_minimum", &["broadcast_dimensions?"]),
    ("chlo.broadcast_multiply", &["broadcast_dimensions?"]),
    ("chlo.broadcast_next_after", &["broadcast_dimensions?"]),
    ("chlo.broadcast_or", &["broadcast_dimensions?"]),
    ("chlo.broadcast_polygamma", &["broadcast_dimensions?"]),
    ("chlo.broadcast_power", &["broadcast_dimensions?"]),
    ("chlo.broadcast_remainder", &["broadcast_dimensions?"]),
    ("chlo.broadcast_shift_left", &["broadcast_dimensions?"]),
    ("chlo.broadcast_shift_right_arithmetic", &["broadcast_dimensions?"]),
    ("chlo.broadcast_shift_right_logical", &["broadcast_dimensions?"]),
    ("chlo.broadcast_subtract", &["broadcast_dimensions?"]),
    ("chlo.broadcast_xor", &["broadcast_dimensions?"]),
    ("chlo.broadcast_zeta", &["broadcast_dimensions?"]),
    ("chlo.constant", &["value"]),
    ("chlo.constant_like", &["value"]),
    ("chlo.ragged_dot", &["precision_config?", "ragged_dot_dimension_numbers"]),
    ("chlo.scan", &["dimension", "is_associative?", "is_reverse?", "scan_dim_size?"]),
    ("chlo.top_k", &["k"]),
    ("func.call", &["arg_attrs?", "callee", "no_inline?", "res_attrs?"]),
    ("func.call", &["callee", "no_inline?"]),
    ("func.call", &["arg_attrs?", "callee", "res_attrs?"]),
    ("func.call", &["callee"]),
    ("func.constant", &["value"]),
    ("func.func", &["arg_attrs?", "function_type", "no_inline?", "res_attrs?", "sym_name", "sym_visibility?"]),
    ("func.func", &["arg_attrs?", "function_type", "res_attrs?", "sym_name", "sym_visibility?"]),
    ("sdy.all_gather", &["gathering_axes", "out_sharding"]),
    ("sdy.all_reduce", &["out_sharding", "reduction_axes"]),
    ("sdy.all_slice", &["out_sharding", "slicing_axes"]),
    ("sdy.all_to_all", &["out_sharding", "params"]),
    ("sdy.collective_permute", &["out_sharding"]),
    ("sdy.constant", &["value"]),
    ("sdy.data_flow_edge", &["sharding?"]),
    ("sdy.manual_computation", &["in_shardings", "manual_axes", "out_shardings"]),
    ("sdy.mesh", &["mesh", "sym_name"]),
    ("sdy.named_computation", &["in_shardings?", "name", "out_shardings?"]),
    ("sdy.propagation_barrier", &["allowed_direction"]),
    ("sdy.reduce_scatter", &["out_sharding", "reduce_scatter_axes"]),
    ("sdy.replicated_to_unreduced", &["axes", "out_sharding"]),
    ("sdy.reshard", &["sharding"]),
    ("sdy.sharded_to_unreduced", &["axes", "out_sharding"]),
    ("sdy.sharding_constraint", &["sharding"]),
    ("sdy.sharding_group", &["group_id"]),
    ("shape.const_shape", &["shape"]),
    ("shape.constant", &["value"]),
    ("stablehlo.all_gather", &["all_gather_dim", "channel_handle?", "replica_groups", "use_global_device_ids?"]),
    ("stablehlo.all_reduce", &["channel_handle?", "replica_groups", "use_global_device_ids?"]),
    ("stablehlo.all_to_all", &["channel_handle?", "concat_dimension", "replica_groups", "split_count", "split_dimension"]),
    ("stablehlo.batch_norm_grad", &["epsilon", "feature_index"]),
    ("stablehlo.batch_norm_inference", &["epsilon", "feature_index"]),
    ("stablehlo.batch_norm_training", &["epsilon", "feature_index"]),
    ("stablehlo.broadcast", &["broadcast_sizes"]),
    ("stablehlo.broadcast_in_dim", &["broadcast_dimensions"]),
    ("stablehlo.cbrt", &["result_accuracy?"]),
    ("stablehlo.cholesky", &["lower?"]),
    ("stablehlo.collective_broadcast", &["channel_handle?", "replica_groups"]),
    ("stablehlo.collective_permute", &["channel_handle?", "source_target_pairs"]),
    ("stablehlo.compare", &["compare_type?", "comparison_direction"]),
    ("stablehlo.composite", &["composite_attributes?", "decomposition", "name", "version?"]),
    ("stablehlo.concatenate", &["dimension"]),
    ("stablehlo.constant", &["value"]),
    ("stablehlo.convolution", &["batch_group_count", "dimension_numbers", "feature_group_count", "lhs_dilation?", "padding?", "precision_config?", "rhs_dilation?", "window_reversal?", "window_strides?"]),
    ("stablehlo.cosine", &["result_accuracy?"]),
    ("stablehlo.cross-replica-sum", &["replica_groups"]),
    ("stablehlo.custom_call", &["api_version?", "backend_config?", "call_target_name", "called_computations?", "has_side_effect?", "operand_layouts?", "output_operand_aliases?", "result_layouts?"]),
    ("stablehlo.dot", &["precision_config?"]),
    ("stablehlo.dot_general", &["algorithm?", "dot_dimension_numbers", "precision_config?"]),
    ("stablehlo.dynamic_broadcast_in_dim", &["broadcast_dimensions", "known_expanding_dimensions?", "known_nonexpanding_dimensions?"]),
    ("stablehlo.dynamic_conv", &["batch_group_count", "dimension_numbers", "feature_group_count", "lhs_dilation?", "precision_config?", "rhs_dilation?", "window_reversal?", "window_strides?"]),
    ("stablehlo.dynamic_gather", &["dimension_numbers", "indices_are_sorted?"]),
    ("stablehlo.dynamic_iota", &["iota_dimension"]),
    ("stablehlo.dynamic_slice", &["slice_sizes"]),
    ("stablehlo.einsum", &["einsum_config"]),
    ("stablehlo.exponential", &["result_accuracy?"]),
    ("stablehlo.exponential_minus_one", &["result_accuracy?"]),
    ("stablehlo.fft", &["fft_length", "fft_type"]),
    ("stablehlo.gather", &["dimension_numbers", "indices_are_sorted?", "slice_sizes"]),
    ("stablehlo.get_dimension_size", &["dimension"]),
    ("stablehlo.get_tuple_element", &["index"]),
    ("stablehlo.infeed", &["infeed_config?", "layout?"]),
    ("stablehlo.iota", &["iota_dimension"]),
    ("stablehlo.log", &["result_accuracy?"]),
    ("stablehlo.log_plus_one", &["result_accuracy?"]),
    ("stablehlo.logistic", &["result_accuracy?"]),
    ("stablehlo.map", &["dimensions"]),
    ("stablehlo.outfeed", &["outfeed_config?"]),
    ("stablehlo.pad", &["edge_padding_high", "edge_padding_low", "interior_padding"]),
    ("stablehlo.recv", &["channel_handle", "is_host_transfer?", "source_target_pairs?"]),
    ("stablehlo.reduce", &["dimensions"]),
    ("stablehlo.reduce_precision", &["exponent_bits", "mantissa_bits"]),
    ("stablehlo.reduce_scatter", &["channel_handle?", "replica_groups", "scatter_dimension", "use_global_device_ids?"]),
    ("stablehlo.reduce_window", &["base_dilations?", "padding?", "window_dilations?", "window_dimensions", "window_strides?"]),
    ("stablehlo.reverse", &["dimensions"]),
    ("stablehlo.rng", &["rng_distribution"]),
    ("stablehlo.rng_bit_generator", &["rng_algorithm"]),
    ("stablehlo.rsqrt", &["result_accuracy?"]),
    ("stablehlo.scatter", &["indices_are_sorted?", "scatter_dimension_numbers", "unique_indices?"]),
    ("stablehlo.select_and_scatter", &["padding?", "window_dimensions?", "window_strides?"]),
    ("stablehlo.send", &["channel_handle", "is_host_transfer?", "source_target_pairs?"]),
    ("stablehlo.set_dimension_size", &["dimension"]),
    ("stablehlo.sine", &["result_accuracy?"]),
    ("stablehlo.slice", &["limit_indices", "start_indices", "strides"]),
    ("stablehlo.sort", &["dimension?", "is_stable?"]),
    ("stablehlo.sqrt", &["result_accuracy?"]),
    ("stablehlo.tan", &["result_accuracy?"]),
    ("stablehlo.tanh", &["result_accuracy?"]),
    ("stablehlo.torch_index_select", &["batch_dims", "dim"]),
    ("stablehlo.transpose", &["permutation"]),
    ("stablehlo.triangular_solve", &["left_side", "lower", "transpose_a", "unit_diagonal"]),
    ("stablehlo.unary_einsum", &["einsum_config"]),
    ("vhlo.all_gather", &["all_gather_dim", "channel_id", "replica_groups", "use_global_device_ids"]),
    ("vhlo.all_reduce", &["channel_id", "replica_groups", "use_global_device_ids"]),
    ("vhlo.all_to_all", &["channel_id", "concat_dimension", "replica_groups", "split_count", "split_dimension"]),
    ("vhlo.batch_norm_grad", &["epsilon", "feature_index"]),
    ("vhlo.batch_norm_inference", &["epsilon", "feature_index"]),
    ("vhlo.batch_norm_training", &["epsilon", "feature_index"]),
    ("vhlo.broadcast", &["broadcast_sizes"]),
    ("vhlo.broadcast_in_dim", &["broadcast_dimensions"]),
    ("vhlo.call", &["callee"]),
    ("vhlo.cbrt_v2", &["result_accuracy"]),
    ("vhlo.cholesky", &["lower"]),
    ("vhlo.collective_broadcast", &["channel_id", "replica_groups"]),
    ("vhlo.collective_permute", &["channel_id", "source_target_pairs"]),
    ("vhlo.compare", &["compare_type", "comparison_direction"]),
    ("vhlo.composite", &["composite_attributes", "decomposition", "name", "version"]),
    ("vhlo.concatenate", &["dimension"]),
    ("vhlo.constant", &["value"]),
    ("vhlo.convolution", &["batch_group_count", "feature_group_count", "input_batch_dimension", "input_feature_dimension", "input_spatial_dimensions", "kernel_input_feature_dimension", "kernel_output_feature_dimension", "kernel_spatial_dimensions", "lhs_dilation", "output_batch_dimension", "output_feature_dimension", "output_spatial_dimensions", "padding", "precision_config", "rhs_dilation", "window_reversal", "window_strides"]),
    ("vhlo.cosine_v2", &["result_accuracy"]),
    ("vhlo.cross-replica-sum", &["replica_groups"]),
    ("vhlo.custom_call", &["api_version", "backend_config", "call_target_name", "called_computations", "has_side_effect", "operand_layouts", "output_operand_aliases", "result_layouts"]),
    ("vhlo.dot", &["precision_config"]),
    ("vhlo.dot_general_v1", &["lhs_batching_dimensions", "lhs_contracting_dimensions", "precision_config", "rhs_batching_dimensions", "rhs_contracting_dimensions"]),
    ("vhlo.dot_general_v2", &["accumulation_type", "allow_imprecise_accumulation", "lhs_batching_dimensions", "lhs_component_count", "lhs_contracting_dimensions", "lhs_precision_type", "num_primitive_operations", "precision_config", "rhs_batching_dimensions", "rhs_component_count", "rhs_contracting_dimensions", "rhs_precision_type"]),
    ("vhlo.dynamic_broadcast_in_dim", &["broadcast_dimensions", "known_expanding_dimensions", "known_nonexpanding_dimensions"]),
    ("vhlo.dynamic_conv_v1", &["batch_group_count", "feature_group_count", "input_batch_dimension", "input_feature_dimension", "input_spatial_dimensions", "kernel_input_feature_dimension", "kernel_output_feature_dimension", "kernel_spatial_dimensions", "lhs_dilation", "output_batch_dimension", "output_feature_dimension", "output_spatial_dimensions", "padding", "precision_config", "rhs_dilation", "window_reversal", "window_strides"]),
    ("vhlo.dynamic_conv_v2", &["batch_group_count", "feature_group_count", "input_batch_dimension", "input_feature_dimension", "input_spatial_dimensions", "kernel_input_feature_dimension", "kernel_output_feature_dimension", "kernel_spatial_dimensions", "lhs_dilation", "output_batch_dimension", "output_feature_dimension", "output_spatial_dimensions", "precision_config", "rhs_dilation", "window_reversal", "window_strides"]),
    ("vhlo.dynamic_gather_v1", &["collapsed_slice_dims", "index_vector_dim", "indices_are_sorted", "offset_dims", "start_index_map"]),
    ("vhlo.dynamic_gather_v2", &["collapsed_slice_dims", "index_vector_dim", "indices_are_sorted", "offset_dims", "operand_batching_dims", "start_index_map", "start_indices_batching_dims"]),
    ("vhlo.dynamic_iota", &["iota_dimension"]),
    ("vhlo.dynamic_slice", &["slice_sizes"]),
    ("vhlo.einsum", &["einsum_config"]),
    ("vhlo.exponential_minus_one_v2", &["result_accuracy"]),
    ("vhlo.exponential_v2", &["result_accuracy"]),
    ("vhlo.fft", &["fft_length", "fft_type"]),
    ("vhlo.func", &["arg_attrs", "function_type", "res_attrs", "sym_name", "sym_visibility"]),
    ("vhlo.gather_v1", &["collapsed_slice_dims", "index_vector_dim", "indices_are_sorted", "offset_dims", "slice_sizes", "start_index_map"]),
    ("vhlo.gather_v2", &["collapsed_slice_dims", "index_vector_dim", "indices_are_sorted", "offset_dims", "operand_batching_dims", "slice_sizes", "start_index_map", "start_indices_batching_dims"]),
    ("vhlo.get_dimension_size", &["dimension"]),
    ("vhlo.get_tuple_element", &["index"]),
    ("vhlo.infeed", &["infeed_config", "layout"]),
    ("vhlo.iota", &["iota_dimension"]),
    ("vhlo.log_plus_one_v2", &["result_accuracy"]),
    ("vhlo.log_v2", &["result_accuracy"]),
    ("vhlo.logistic_v2", &["result_accuracy"]),
    ("vhlo.map", &["dimensions"]),
    ("vhlo.outfeed", &["outfeed_config"]),
    ("vhlo.pad", &["edge_padding_high", "edge_padding_low", "interior_padding"]),
    ("vhlo.recv_v1", &["channel_id", "channel_type", "is_host_transfer"]),
    ("vhlo.recv_v2", &["channel_id", "channel_type", "is_host_transfer", "source_target_pairs"]),
    ("vhlo.reduce", &["dimensions"]),
    ("vhlo.reduce_precision", &["exponent_bits", "mantissa_bits"]),
    ("vhlo.reduce_scatter", &["channel_id", "replica_groups", "scatter_dimension", "use_global_device_ids"]),
    ("vhlo.reduce_window", &["base_dilations", "padding", "window_dilations", "window_dimensions", "window_strides"]),
    ("vhlo.reverse", &["dimensions"]),
    ("vhlo.rng", &["rng_distribution"]),
    ("vhlo.rng_bit_generator", &["rng_algorithm"]),
    ("vhlo.rsqrt_v2", &["result_accuracy"]),
    ("vhlo.scatter_v1", &["index_vector_dim", "indices_are_sorted", "inserted_window_dims", "scatter_dims_to_operand_dims", "unique_indices", "update_window_dims"]),
    ("vhlo.scatter_v2", &["index_vector_dim", "indices_are_sorted", "input_batching_dims", "inserted_window_dims", "scatter_dims_to_operand_dims", "scatter_indices_batching_dims", "unique_indices", "update_window_dims"]),
    ("vhlo.select_and_scatter", &["padding", "window_dimensions", "window_strides"]),
    ("vhlo.send_v1", &["channel_id", "channel_type", "is_host_transfer"]),
    ("vhlo.send_v2", &["channel_id", "channel_type", "is_host_transfer", "source_target_pairs"]),
    ("vhlo.set_dimension_size", &["dimension"]),
    ("vhlo.sine_v2", &["result_accuracy"]),
    ("vhlo.slice", &["limit_indices", "start_indices", "strides"]),
    ("vhlo.sort", &["dimension", "is_stable"]),
    ("vhlo.sqrt_v2", &["result_accuracy"]),
    ("vhlo.tan_v2", &["result_accuracy"]),
    ("vhlo.tanh_v2", &["result_accuracy"]),
    ("vhlo.torch_index_select", &["batch_dims", "dim"]),
    ("vhlo.transpose", &["permutation"]),
    ("vhlo.triangular_solve", &["left_side", "lower", "transpose_a", "unit_diagonal"]),
    ("vhlo.unary_einsum", &["einsum_config"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_so_are_its_rows() {
        assert!(TABLE.is_sorted_by_key(|(name, _)| *name));
        for (name, row) in TABLE {
            assert!(row.is_sorted_by_key(|item| item.trim_end_matches('?')), "{name}");
        }
    }

    #[test]
    fn versions_share_a_row_unless_they_have_their_own() {
        assert_eq!(rows("vhlo.slice_v1").count(), 1);
        assert_ne!(rows("vhlo.gather_v1").next(), rows("vhlo.gather_v2").next());
        assert_eq!(rows("vhlo.add_v1").count(), 0);
        assert_eq!(rows("func.call").count(), 4);
    }
}
