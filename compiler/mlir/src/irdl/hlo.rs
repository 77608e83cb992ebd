//! The table of StableHLO and CHLO operations, in the form that dialects defined at run time can have.
//!
//! StableHLO's attributes have a syntax of their own, which IRDL cannot define: words (`#stablehlo<transpose ADJOINT>`) are
//! strings here, structures (`#stablehlo.dot<...>`) dictionaries. [`crate::portable`] makes this form of a module, and the
//! front end reads it.

use std::fmt::Write as _;

use ferrite_ir::hlo::{BinaryOp, UnaryOp};

use super::Constraints;

/// `name operands -> results {regions} attributes`. `x*` is any number of values, `x~` a value of any type (a tensor
/// otherwise); `a?` an attribute that may be left out. Behind the name `!` says that any number of values have different
/// types, which IRDL cannot define: such an operation stands in the dialect [`UNDEFINED`].
const TABLE: &str = "
stablehlo.constant -> output value:elements
stablehlo.iota -> output iota_dimension:int
stablehlo.dynamic_iota shape -> output iota_dimension:int
stablehlo.compare lhs rhs -> result comparison_direction:EQ|NE|GE|GT|LE|LT compare_type?:FLOAT|TOTALORDER|SIGNED|UNSIGNED|NOTYPE
stablehlo.select pred on_true on_false -> result
stablehlo.clamp min operand max -> result
stablehlo.convert operand -> result
stablehlo.bitcast_convert operand -> result
stablehlo.reduce_precision operand -> output exponent_bits:int mantissa_bits:int
stablehlo.complex lhs rhs -> result
stablehlo.uniform_quantize operand -> result
stablehlo.uniform_dequantize operand -> result
stablehlo.map! inputs* -> result {1} dimensions:dims
stablehlo.dot_general lhs rhs -> result dot_dimension_numbers:dict precision_config?:list algorithm?:dict
stablehlo.dot lhs rhs -> result precision_config?:list
stablehlo.convolution lhs rhs -> result dimension_numbers:string batch_group_count:int feature_group_count:int window_strides?:dims padding?:elements lhs_dilation?:dims rhs_dilation?:dims window_reversal?:dims precision_config?:list
stablehlo.dynamic_conv lhs rhs padding -> result dimension_numbers:string batch_group_count:int feature_group_count:int window_strides?:dims lhs_dilation?:dims rhs_dilation?:dims window_reversal?:dims precision_config?:list
stablehlo.einsum lhs rhs -> result einsum_config:string
stablehlo.unary_einsum operand -> result einsum_config:string
stablehlo.broadcast_in_dim operand -> result broadcast_dimensions:dims
stablehlo.broadcast operand -> result broadcast_sizes:dims
stablehlo.dynamic_broadcast_in_dim operand output_dimensions -> result broadcast_dimensions:dims known_expanding_dimensions?:dims known_nonexpanding_dimensions?:dims
stablehlo.reshape operand -> result
stablehlo.dynamic_reshape operand output_shape -> result
stablehlo.transpose operand -> result permutation:dims
stablehlo.slice operand -> result start_indices:dims limit_indices:dims strides:dims
stablehlo.real_dynamic_slice operand start_indices limit_indices strides -> result
stablehlo.dynamic_slice operand start_indices* -> result slice_sizes:dims
stablehlo.dynamic_update_slice operand update start_indices* -> result
stablehlo.pad operand padding_value -> result edge_padding_low:dims edge_padding_high:dims interior_padding:dims
stablehlo.dynamic_pad operand padding_value edge_padding_low edge_padding_high interior_padding -> result
stablehlo.reverse operand -> result dimensions:dims
stablehlo.concatenate! inputs* -> result dimension:int
stablehlo.get_dimension_size operand -> result dimension:int
stablehlo.set_dimension_size operand size -> result dimension:int
stablehlo.gather operand start_indices -> result dimension_numbers:dict slice_sizes:dims indices_are_sorted?:int
stablehlo.dynamic_gather operand start_indices slice_sizes -> result dimension_numbers:dict indices_are_sorted?:int
stablehlo.scatter! operands* -> results* {1} scatter_dimension_numbers:dict indices_are_sorted?:int unique_indices?:int
stablehlo.torch_index_select operand index -> result dim:int batch_dims:int
stablehlo.reduce! operands* -> results* {1} dimensions:dims
stablehlo.reduce_window! operands* -> results* {1} window_dimensions:dims window_strides?:dims base_dilations?:dims window_dilations?:dims padding?:elements
stablehlo.select_and_scatter operand source init_value -> result {2} window_dimensions?:dims window_strides?:dims padding?:elements
stablehlo.sort! inputs* -> results* {1} dimension?:int is_stable?:int
stablehlo.batch_norm_training operand scale offset -> output batch_mean batch_var epsilon:float feature_index:int
stablehlo.batch_norm_inference operand scale offset mean variance -> result epsilon:float feature_index:int
stablehlo.batch_norm_grad operand scale mean variance grad_output -> grad_operand grad_scale grad_offset epsilon:float feature_index:int
stablehlo.cholesky a -> result lower?:int
stablehlo.triangular_solve a b -> result left_side:int lower:int unit_diagonal:int transpose_a:NO_TRANSPOSE|TRANSPOSE|ADJOINT
stablehlo.fft operand -> result fft_type:FFT|IFFT|RFFT|IRFFT fft_length:dims
stablehlo.rng a b shape -> result rng_distribution:UNIFORM|NORMAL
stablehlo.rng_bit_generator initial_state -> output_state output rng_algorithm:DEFAULT|THREE_FRY|PHILOX
stablehlo.while! operands*~ -> results*~ {2}
stablehlo.if! pred -> results*~ {2}
stablehlo.case! index -> results*~ {*}
stablehlo.composite! inputs*~ -> results*~ name:string decomposition:symbol composite_attributes?:dict version?:int
stablehlo.custom_call! inputs*~ -> results*~ {*} call_target_name:string
stablehlo.tuple! values*~ -> result~
stablehlo.get_tuple_element operand~ -> result~ index:int
stablehlo.optimization_barrier! operands*~ -> results*~
stablehlo.after_all inputs*~ -> result~
stablehlo.create_token -> result~
stablehlo.infeed! token~ -> results*~ infeed_config?:string layout?:list
stablehlo.outfeed! operands*~ -> result~ outfeed_config?:string
stablehlo.async_start! operands*~ -> results*~ {*}
stablehlo.async_done! operands*~ -> results*~
stablehlo.all_gather! operands* -> results* all_gather_dim:int replica_groups:elements channel_handle?:dict use_global_device_ids?:unit
stablehlo.all_reduce! operands* -> results* {1} replica_groups:elements channel_handle?:dict use_global_device_ids?:unit
stablehlo.collective_reduce! operands* -> results* {1} replica_groups:elements channel_handle?:dict use_global_device_ids?:unit
stablehlo.reduce_scatter operand -> result {1} scatter_dimension:int replica_groups:elements channel_handle?:dict use_global_device_ids?:unit
stablehlo.all_to_all! operands* -> results* split_dimension:int concat_dimension:int split_count:int replica_groups:elements channel_handle?:dict
stablehlo.collective_permute operand -> result source_target_pairs:elements channel_handle?:dict
stablehlo.collective_broadcast operand -> result replica_groups:elements channel_handle?:dict
stablehlo.cross_replica_sum operand -> result replica_groups:elements
stablehlo.partition_id -> result
stablehlo.replica_id -> result
stablehlo.send! operands*~ -> result~ channel_handle:dict is_host_transfer?:int source_target_pairs?:elements
stablehlo.recv! token~ -> results*~ channel_handle:dict is_host_transfer?:int source_target_pairs?:elements
chlo.top_k operand -> values indices k:int largest?:int
chlo.ragged_dot lhs rhs group_sizes -> result ragged_dot_dimension_numbers:dict precision_config?:list
chlo.broadcast_compare lhs rhs -> result comparison_direction:EQ|NE|GE|GT|LE|LT compare_type?:string broadcast_dimensions?:dims
chlo.broadcast_select pred on_true on_false -> result
";

/// `chlo.broadcast_*` of two operands, without the prefix.
const BROADCASTS: &str = "add and atan2 complex divide maximum minimum multiply next_after or polygamma power remainder \
    shift_left shift_right_arithmetic shift_right_logical subtract xor zeta";

/// The dialect of operations that have no definition. Nobody registers it: MLIR's tools need `--allow-unregistered-dialect`.
pub(crate) const UNDEFINED: &str = "stablehlo_variadic";

/// The types of StableHLO, and its attribute that stands in types. What a future has are a list of types; bounds are a list of
/// numbers, -1 for none.
const OWN: &str = "  irdl.type @token
  irdl.type @future {
    %0 = irdl.base \"#builtin.array\"
    irdl.parameters(types: %0)
  }
  irdl.attribute @bounds {
    %0 = irdl.base \"#builtin.array\"
    irdl.parameters(bounds: %0)
  }
";

struct Op<'t> {
    name: &'t str,
    /// Whether IRDL can define it.
    defined: bool,
    operands: Vec<&'t str>,
    results: Vec<&'t str>,
    /// Number of regions; `None` for any.
    regions: Option<usize>,
    attributes: Vec<(&'t str, bool, &'t str)>,
}

fn read(line: &str) -> Op<'_> {
    let (head, tail) = line.split_once("->").unwrap_or((line, ""));
    let mut head = head.split_whitespace();
    let name = head.next().unwrap_or_default();
    let mut op = Op {
        name: name.trim_end_matches('!'),
        defined: !name.ends_with('!'),
        operands: head.collect(),
        results: Vec::new(),
        regions: Some(0),
        attributes: Vec::new(),
    };
    for word in tail.split_whitespace() {
        if let Some(count) = word.strip_prefix('{') {
            op.regions = count.trim_end_matches('}').parse().ok();
        } else if let Some((name, kind)) = word.split_once(':') {
            let required = name.trim_end_matches('?');
            op.attributes.push((required, name != required, kind));
        } else {
            op.results.push(word);
        }
    }
    op
}

/// All lines of the table: those of the groups too.
fn lines() -> Vec<String> {
    let unary = UnaryOp::ALL
        .iter()
        .map(|op| format!("{} operand -> result", op.mnemonic()));
    let binary = BinaryOp::ALL
        .iter()
        .map(|op| format!("{} lhs rhs -> result", op.mnemonic()));
    let broadcasts = BROADCASTS
        .split_whitespace()
        .map(|name| format!("chlo.broadcast_{name} lhs rhs -> result broadcast_dimensions?:dims"));
    let rest = TABLE.lines().filter(|line| !line.is_empty()).map(str::to_string);
    unary.chain(binary).chain(broadcasts).chain(rest).collect()
}

pub(super) fn operations() -> Vec<(String, Vec<String>)> {
    let lines = lines();
    let ops = lines.iter().map(|line| read(line));
    ops.map(|op| {
        let attributes = op.attributes.iter().map(|(name, ..)| name.to_string()).collect();
        (op.name.to_string(), attributes)
    })
    .collect()
}

/// Names of the operations that IRDL cannot define.
pub(crate) fn undefined() -> Vec<String> {
    let lines = lines();
    let ops = lines.iter().map(|line| read(line)).filter(|op| !op.defined);
    ops.map(|op| op.name.to_string()).collect()
}

pub(super) fn text() -> String {
    let lines = lines();
    let ops: Vec<Op> = lines.iter().map(|line| read(line)).collect();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "// In IRDL any number of values have one type. Operations whose values have several are in the dialect\n\
         // `{UNDEFINED}`, which has no definition and needs `--allow-unregistered-dialect`:\n// {}.\n",
        undefined().join(", ").replace("stablehlo.", "")
    );
    for dialect in ["stablehlo", "chlo"] {
        let _ = writeln!(out, "irdl.dialect @{dialect} {{");
        if dialect == "stablehlo" {
            out.push_str(OWN);
        }
        for op in ops.iter().filter(|op| op.defined) {
            if let Some(name) = op.name.strip_prefix(dialect).and_then(|rest| rest.strip_prefix('.')) {
                op_text(name, op, &mut out);
            }
        }
        out.push_str("}\n");
    }
    out
}

/// `name: variadic %0` for every value.
fn values(constraints: &mut Constraints, values: &[&str]) -> String {
    let list: Vec<String> = values
        .iter()
        .map(|value| {
            let constraint = if value.ends_with('~') {
                constraints.add("any")
            } else {
                constraints.base("\"!builtin.tensor\"")
            };
            let variadic = if value.contains('*') { "variadic " } else { "" };
            format!("{}: {variadic}{constraint}", value.trim_end_matches(['*', '~']))
        })
        .collect();
    list.join(", ")
}

fn attribute(constraints: &mut Constraints, kind: &str) -> String {
    match kind {
        "int" => constraints.base("\"#builtin.integer\""),
        "float" => constraints.base("\"#builtin.float\""),
        "string" => constraints.base("\"#builtin.string\""),
        "symbol" => constraints.base("\"#builtin.symbol_ref\""),
        "dict" => constraints.base("\"#builtin.dictionary\""),
        "dims" => constraints.base("\"#builtin.dense_array\""),
        "elements" => {
            let names = ["dense_int_or_fp_elements", "dense_resource_elements"];
            let names = names.map(|name| constraints.base(&format!("\"#builtin.{name}\"")));
            constraints.any_of(&names)
        }
        words => constraints.words(&words.split('|').collect::<Vec<_>>()),
    }
}

fn op_text(name: &str, op: &Op, out: &mut String) {
    let optional: Vec<&str> = op.attributes.iter().filter(|a| a.1).map(|a| a.0).collect();
    if !optional.is_empty() {
        let _ = writeln!(out, "  // Optional: {}.", optional.join(", "));
    }
    let _ = writeln!(out, "  irdl.operation @{name} {{");
    let mut constraints = Constraints::new(out);
    let attributes: Vec<String> = op
        .attributes
        .iter()
        .filter(|(_, optional, _)| !optional)
        .map(|(name, _, kind)| format!("\"{name}\" = {}", attribute(&mut constraints, kind)))
        .collect();
    let operands = values(&mut constraints, &op.operands);
    let results = values(&mut constraints, &op.results);
    let regions: Vec<String> = (0..op.regions.unwrap_or(0))
        .map(|number| format!("region{number}: {}", constraints.add("region")))
        .collect();
    if !attributes.is_empty() {
        let _ = writeln!(out, "    irdl.attributes {{{}}}", attributes.join(", "));
    }
    if !operands.is_empty() {
        let _ = writeln!(out, "    irdl.operands({operands})");
    }
    if !results.is_empty() {
        let _ = writeln!(out, "    irdl.results({results})");
    }
    if !regions.is_empty() {
        let _ = writeln!(out, "    irdl.regions({})", regions.join(", "));
    }
    out.push_str("  }\n");
}
