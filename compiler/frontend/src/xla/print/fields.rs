//! Fields of instructions as attributes of HLO text.

use super::super::message::*;
use super::{Names, list, quoted};

/// What an attribute is called, and its value.
type Attribute = (&'static str, String);

/// The attributes of an instruction besides sharding, frontend attributes and metadata.
pub(super) fn of(p: &HloInstructionProto, names: &Names<'_>) -> Result<Vec<Attribute>, String> {
    let mut out = own(p)?;
    let called: Vec<&String> = p
        .called_computation_ids
        .iter()
        .map(|id| names.computations.get(id).ok_or("a computation is not there"))
        .collect::<Result<_, _>>()?;
    let mut call = |key: &'static str, n: usize| {
        if let Some(name) = called.get(n) {
            out.push((key, format!("%{name}")));
        }
    };
    match &*p.opcode {
        // XLA's order has the body first.
        "while" => {
            call("condition", 1);
            call("body", 0);
        }
        "conditional" => {
            let index = p.operand_ids.first().and_then(|id| names.shapes.get(id));
            if index.is_some_and(|shape| shape.element_type == PRED) {
                call("true_computation", 0);
                call("false_computation", 1);
            } else {
                out.push(("branch_computations", group(&called)));
            }
        }
        "select-and-scatter" => {
            call("select", 0);
            call("scatter", 1);
        }
        "async-start" | "fusion" => call("calls", 0),
        "custom-call" => {
            if !called.is_empty() {
                out.push(("called_computations", group(&called)));
            }
        }
        _ => call("to_apply", 0),
    }
    Ok(out)
}

fn group(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("%{name}")).collect();
    format!("{{{}}}", names.join(", "))
}

fn braces(items: &[i64]) -> String {
    format!("{{{}}}", list(items))
}

fn own(p: &HloInstructionProto) -> Result<Vec<Attribute>, String> {
    let mut out: Vec<Attribute> = Vec::new();
    match &*p.opcode {
        "broadcast" | "transpose" | "reverse" | "concatenate" | "reduce" | "map" | "sort" | "all-gather"
        | "reduce-scatter" | "get-dimension-size" | "set-dimension-size" => {
            out.push(("dimensions", braces(&p.dimensions)))
        }
        "all-to-all" if !p.dimensions.is_empty() => out.push(("dimensions", braces(&p.dimensions))),
        "iota" => out.push(("iota_dimension", list(&p.dimensions))),
        "get-tuple-element" => out.push(("index", p.tuple_index.to_string())),
        "slice" => {
            let ranges = p.slice_dimensions.iter();
            let ranges: Vec<String> = ranges
                .map(|d| match d.stride {
                    1 => format!("[{}:{}]", d.start, d.limit),
                    stride => format!("[{}:{}:{stride}]", d.start, d.limit),
                })
                .collect();
            out.push(("slice", format!("{{{}}}", ranges.join(", "))));
        }
        "dynamic-slice" => out.push(("dynamic_slice_sizes", braces(&p.dynamic_slice_sizes))),
        "compare" => {
            out.push(("direction", p.comparison_direction.clone()));
            if !p.comparison_type.is_empty() {
                out.push(("type", p.comparison_type.clone()));
            }
        }
        "pad" => {
            let config = p.padding_config.clone().unwrap_or_default();
            let parts: Vec<String> = config
                .dimensions
                .iter()
                .map(|d| format!("{}_{}_{}", d.edge_padding_low, d.edge_padding_high, d.interior_padding))
                .collect();
            out.push(("padding", parts.join("x")));
        }
        "reduce-precision" => {
            out.push(("exponent_bits", p.exponent_bits.to_string()));
            out.push(("mantissa_bits", p.mantissa_bits.to_string()));
        }
        "dot" => dot(&mut out, p.dot_dimension_numbers.as_deref()),
        "ragged-dot" => {
            let numbers = p.ragged_dot_dimension_numbers.clone().unwrap_or_default();
            dot(&mut out, numbers.dot_dimension_numbers.as_deref());
            out.push(("lhs_ragged_dims", braces(&numbers.lhs_ragged_dimensions)));
            out.push(("rhs_group_dims", braces(&numbers.rhs_group_dimensions)));
        }
        "convolution" => convolution(&mut out, p)?,
        "reduce-window" | "select-and-scatter" => out.extend(window(p)),
        "gather" => {
            let n = p.gather_dimension_numbers.clone().unwrap_or_default();
            out.push(("offset_dims", braces(&n.offset_dims)));
            out.push(("collapsed_slice_dims", braces(&n.collapsed_slice_dims)));
            out.push(("start_index_map", braces(&n.start_index_map)));
            batching(&mut out, "operand_batching_dims", &n.operand_batching_dims);
            batching(&mut out, "start_indices_batching_dims", &n.start_indices_batching_dims);
            out.push(("index_vector_dim", n.index_vector_dim.to_string()));
            out.push(("slice_sizes", braces(&p.gather_slice_sizes)));
        }
        "scatter" => {
            let n = p.scatter_dimension_numbers.clone().unwrap_or_default();
            out.push(("update_window_dims", braces(&n.update_window_dims)));
            out.push(("inserted_window_dims", braces(&n.inserted_window_dims)));
            out.push(("scatter_dims_to_operand_dims", braces(&n.scatter_dims_to_operand_dims)));
            batching(&mut out, "input_batching_dims", &n.input_batching_dims);
            batching(
                &mut out,
                "scatter_indices_batching_dims",
                &n.scatter_indices_batching_dims,
            );
            out.push(("index_vector_dim", n.index_vector_dim.to_string()));
        }
        "topk" => {
            out.push(("k", p.k.to_string()));
            out.push(("largest", p.largest.to_string()));
        }
        "batch-norm-training" | "batch-norm-inference" | "batch-norm-grad" => {
            out.push(("epsilon", format!("{:?}", p.epsilon)));
            out.push(("feature_index", p.feature_index.to_string()));
        }
        "cholesky" => {
            let lower = p.cholesky_options.as_ref().is_some_and(|o| o.lower);
            out.push(("lower", lower.to_string()));
        }
        "triangular-solve" => {
            let o = p.triangular_solve_options.clone().unwrap_or_default();
            out.push(("left_side", o.left_side.to_string()));
            out.push(("lower", o.lower.to_string()));
            out.push(("unit_diagonal", o.unit_diagonal.to_string()));
            let transpose = match o.transpose_a {
                2 => "TRANSPOSE",
                3 => "ADJOINT",
                _ => "NO_TRANSPOSE",
            };
            out.push(("transpose_a", transpose.to_string()));
        }
        "fft" => {
            let kind = match p.fft_type {
                1 => "IFFT",
                2 => "RFFT",
                3 => "IRFFT",
                _ => "FFT",
            };
            out.push(("fft_type", kind.to_string()));
            out.push(("fft_length", braces(&p.fft_length)));
        }
        "rng" => {
            let distribution = if p.distribution == 2 {
                "rng_normal"
            } else {
                "rng_uniform"
            };
            out.push(("distribution", distribution.to_string()));
        }
        "rng-bit-generator" => {
            let algorithm = match p.rng_algorithm {
                1 => "rng_three_fry",
                2 => "rng_philox",
                _ => "rng_default",
            };
            out.push(("algorithm", algorithm.to_string()));
        }
        "infeed" => config(&mut out, "infeed_config", &p.infeed_config),
        "outfeed" => config(&mut out, "outfeed_config", &p.outfeed_config),
        "custom-call" => custom_call(&mut out, p),
        _ => {}
    }
    if p.indices_are_sorted {
        out.push(("indices_are_sorted", "true".to_string()));
    }
    if p.unique_indices {
        out.push(("unique_indices", "true".to_string()));
    }
    if p.is_stable {
        out.push(("is_stable", "true".to_string()));
    }
    if let Some(config) = &p.precision_config {
        if !config.operand_precision.is_empty() {
            let words = config.operand_precision.iter().map(|precision| match precision {
                1 => "high",
                2 => "highest",
                _ => "default",
            });
            let words: Vec<&str> = words.collect();
            out.push(("operand_precision", format!("{{{}}}", words.join(","))));
        }
        if let (1.., Some(name)) = (config.algorithm, DOT_ALGORITHMS.get(config.algorithm as usize)) {
            out.push(("algorithm", (*name).to_string()));
        }
    }
    collective(&mut out, p);
    Ok(out)
}

fn batching(out: &mut Vec<Attribute>, key: &'static str, dims: &[i64]) {
    if !dims.is_empty() {
        out.push((key, braces(dims)));
    }
}

fn config(out: &mut Vec<Attribute>, key: &'static str, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push((key, quoted(bytes)));
    }
}

fn dot(out: &mut Vec<Attribute>, numbers: Option<&DotDimensionNumbers>) {
    let n = numbers.cloned().unwrap_or_default();
    batching(out, "lhs_batch_dims", &n.lhs_batch_dimensions);
    out.push(("lhs_contracting_dims", braces(&n.lhs_contracting_dimensions)));
    batching(out, "rhs_batch_dims", &n.rhs_batch_dimensions);
    out.push(("rhs_contracting_dims", braces(&n.rhs_contracting_dimensions)));
}

/// `{size=3x3 stride=2x2 pad=1_1x1_1}`; nothing for a window without dimensions.
fn window(p: &HloInstructionProto) -> Option<Attribute> {
    let dims = &p.window.as_ref().filter(|w| !w.dimensions.is_empty())?.dimensions;
    let all = |each: &dyn Fn(&WindowDimension) -> String| dims.iter().map(each).collect::<Vec<_>>().join("x");
    let mut text = format!("size={}", all(&|d| d.size.to_string()));
    if dims.iter().any(|d| d.stride != 1) {
        text.push_str(&format!(" stride={}", all(&|d| d.stride.to_string())));
    }
    if dims.iter().any(|d| d.padding_low != 0 || d.padding_high != 0) {
        text.push_str(&format!(
            " pad={}",
            all(&|d| format!("{}_{}", d.padding_low, d.padding_high))
        ));
    }
    if dims.iter().any(|d| d.base_dilation != 1) {
        text.push_str(&format!(" lhs_dilate={}", all(&|d| d.base_dilation.to_string())));
    }
    if dims.iter().any(|d| d.window_dilation != 1) {
        text.push_str(&format!(" rhs_dilate={}", all(&|d| d.window_dilation.to_string())));
    }
    if dims.iter().any(|d| d.window_reversal) {
        text.push_str(&format!(
            " rhs_reversal={}",
            all(&|d| i32::from(d.window_reversal).to_string())
        ));
    }
    Some(("window", format!("{{{text}}}")))
}

fn convolution(out: &mut Vec<Attribute>, p: &HloInstructionProto) -> Result<(), String> {
    let n = p
        .convolution_dimension_numbers
        .as_ref()
        .ok_or("it needs dimension numbers")?;
    out.extend(window(p));
    // `b01f`: the letter of each dimension at its place.
    let labels = |spatial: &[i64], named: [(i64, char); 2]| -> Result<String, String> {
        let mut letters = vec!['?'; spatial.len() + 2];
        let numbered = spatial.iter().zip('0'..).map(|(&place, letter)| (place, letter));
        for (place, letter) in numbered.chain(named) {
            let place = usize::try_from(place).ok().and_then(|place| letters.get_mut(place));
            *place.ok_or("its dimension numbers do not fit")? = letter;
        }
        Ok(letters.into_iter().collect())
    };
    let input = labels(
        &n.input_spatial_dimensions,
        [(n.input_batch_dimension, 'b'), (n.input_feature_dimension, 'f')],
    )?;
    let kernel = labels(
        &n.kernel_spatial_dimensions,
        [
            (n.kernel_input_feature_dimension, 'i'),
            (n.kernel_output_feature_dimension, 'o'),
        ],
    )?;
    let output = labels(
        &n.output_spatial_dimensions,
        [(n.output_batch_dimension, 'b'), (n.output_feature_dimension, 'f')],
    )?;
    out.push(("dim_labels", format!("{input}_{kernel}->{output}")));
    if p.feature_group_count > 1 {
        out.push(("feature_group_count", p.feature_group_count.to_string()));
    }
    if p.batch_group_count > 1 {
        out.push(("batch_group_count", p.batch_group_count.to_string()));
    }
    Ok(())
}

fn custom_call(out: &mut Vec<Attribute>, p: &HloInstructionProto) {
    out.push(("custom_call_target", quoted(p.custom_call_target.as_bytes())));
    if p.custom_call_has_side_effect {
        out.push(("custom_call_has_side_effect", "true".to_string()));
    }
    if !p.output_operand_aliasing.is_empty() {
        let entries = p.output_operand_aliasing.iter().map(|alias| {
            format!(
                "{}: ({}, {})",
                braces(&alias.output_shape_index),
                alias.operand_index,
                braces(&alias.operand_shape_index)
            )
        });
        let entries: Vec<String> = entries.collect();
        out.push(("output_to_operand_aliasing", format!("{{{}}}", entries.join(", "))));
    }
    let version = match p.custom_call_api_version {
        2 => "API_VERSION_STATUS_RETURNING",
        3 => "API_VERSION_STATUS_RETURNING_UNIFIED",
        4 => "API_VERSION_TYPED_FFI",
        _ => "",
    };
    if !version.is_empty() {
        out.push(("api_version", version.to_string()));
    }
    config(out, "backend_config", &p.backend_config);
}

/// Groups, pairs and channel of operations over several devices.
fn collective(out: &mut Vec<Attribute>, p: &HloInstructionProto) {
    match &*p.opcode {
        "all-gather" | "all-reduce" | "reduce-scatter" | "all-to-all" | "collective-broadcast" => {
            let groups: Vec<String> = p
                .replica_groups
                .iter()
                .map(|group| braces(&group.replica_ids))
                .collect();
            out.push(("replica_groups", format!("{{{}}}", groups.join(","))));
        }
        "collective-permute" => {
            let pairs = p.source_target_pairs.iter();
            let pairs: Vec<String> = pairs
                .map(|pair| format!("{{{},{}}}", pair.source, pair.target))
                .collect();
            out.push(("source_target_pairs", format!("{{{}}}", pairs.join(","))));
        }
        _ => {}
    }
    if p.channel_id > 0 {
        out.push(("channel_id", p.channel_id.to_string()));
    }
    if p.use_global_device_ids {
        out.push(("use_global_device_ids", "true".to_string()));
    }
    if p.is_host_transfer {
        out.push(("is_host_transfer", "true".to_string()));
    }
}
