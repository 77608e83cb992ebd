//! Attributes of HLO text to the fields of the messages.

use super::message::*;

/// What is wrong with a value.
type Read<T> = Result<T, String>;

/// Reads an attribute into its field. Attributes that do not change what is computed are left out.
pub(super) fn apply(p: &mut HloInstructionProto, key: &str, value: &str) -> Read<()> {
    match key {
        "dimensions" => p.dimensions = list(value)?,
        "index" => p.tuple_index = integer(value)?,
        "iota_dimension" => p.dimensions = vec![integer(value)?],
        "direction" => p.comparison_direction = value.to_string(),
        "type" => p.comparison_type = value.to_string(),
        "slice" => p.slice_dimensions = slices(value)?,
        "dynamic_slice_sizes" => p.dynamic_slice_sizes = list(value)?,
        "padding" => p.padding_config = Some(padding(value)?),
        "window" => p.window = Some(window(value)?),
        "dim_labels" => p.convolution_dimension_numbers = Some(Box::new(dim_labels(value)?)),
        "feature_group_count" => p.feature_group_count = integer(value)?,
        "batch_group_count" => p.batch_group_count = integer(value)?,
        "lhs_contracting_dims" => dot(p).lhs_contracting_dimensions = list(value)?,
        "rhs_contracting_dims" => dot(p).rhs_contracting_dimensions = list(value)?,
        "lhs_batch_dims" => dot(p).lhs_batch_dimensions = list(value)?,
        "rhs_batch_dims" => dot(p).rhs_batch_dimensions = list(value)?,
        "lhs_ragged_dims" => ragged(p).lhs_ragged_dimensions = list(value)?,
        "rhs_group_dims" => ragged(p).rhs_group_dimensions = list(value)?,
        "operand_precision" => {
            let words = value
                .trim_matches(['{', '}'])
                .split(',')
                .map(str::trim)
                .filter(|w| !w.is_empty());
            p.precision_config.get_or_insert_default().operand_precision = words
                .map(|word| match word {
                    "default" => Ok(0),
                    "high" => Ok(1),
                    "highest" => Ok(2),
                    _ => Err(format!("unknown precision `{word}`")),
                })
                .collect::<Read<_>>()?;
        }
        "algorithm" => match value {
            "rng_default" => p.rng_algorithm = 0,
            "rng_three_fry" => p.rng_algorithm = 1,
            "rng_philox" => p.rng_algorithm = 2,
            _ => {
                let number = DOT_ALGORITHMS
                    .iter()
                    .position(|name| *name == value.trim_start_matches("alg_"));
                let number = number.ok_or_else(|| format!("unknown algorithm `{value}`"))?;
                p.precision_config.get_or_insert_default().algorithm = number as i32;
            }
        },
        "offset_dims" => gather(p).offset_dims = list(value)?,
        "collapsed_slice_dims" => gather(p).collapsed_slice_dims = list(value)?,
        "start_index_map" => gather(p).start_index_map = list(value)?,
        "operand_batching_dims" => gather(p).operand_batching_dims = list(value)?,
        "start_indices_batching_dims" => gather(p).start_indices_batching_dims = list(value)?,
        "slice_sizes" => p.gather_slice_sizes = list(value)?,
        "index_vector_dim" => {
            let dimension = integer(value)?;
            if p.opcode == "scatter" {
                scatter(p).index_vector_dim = dimension;
            } else {
                gather(p).index_vector_dim = dimension;
            }
        }
        "update_window_dims" => scatter(p).update_window_dims = list(value)?,
        "inserted_window_dims" => scatter(p).inserted_window_dims = list(value)?,
        "scatter_dims_to_operand_dims" => scatter(p).scatter_dims_to_operand_dims = list(value)?,
        "input_batching_dims" => scatter(p).input_batching_dims = list(value)?,
        "scatter_indices_batching_dims" => scatter(p).scatter_indices_batching_dims = list(value)?,
        "indices_are_sorted" => p.indices_are_sorted = boolean(value)?,
        "unique_indices" => p.unique_indices = boolean(value)?,
        "is_stable" => p.is_stable = boolean(value)?,
        "epsilon" => p.epsilon = value.parse().map_err(|_| format!("`{value}` is no number"))?,
        "feature_index" => p.feature_index = integer(value)?,
        "exponent_bits" => p.exponent_bits = small(value)?,
        "mantissa_bits" => p.mantissa_bits = small(value)?,
        "lower" => {
            let lower = boolean(value)?;
            if p.opcode == "cholesky" {
                p.cholesky_options.get_or_insert_default().lower = lower;
            } else {
                p.triangular_solve_options.get_or_insert_default().lower = lower;
            }
        }
        "left_side" => p.triangular_solve_options.get_or_insert_default().left_side = boolean(value)?,
        "unit_diagonal" => p.triangular_solve_options.get_or_insert_default().unit_diagonal = boolean(value)?,
        "transpose_a" => {
            p.triangular_solve_options.get_or_insert_default().transpose_a = match value {
                "NO_TRANSPOSE" => 1,
                "TRANSPOSE" => 2,
                "ADJOINT" => 3,
                _ => return Err(format!("unknown `transpose_a`: `{value}`")),
            };
        }
        "fft_type" => {
            p.fft_type = match value {
                "FFT" => 0,
                "IFFT" => 1,
                "RFFT" => 2,
                "IRFFT" => 3,
                _ => return Err(format!("unknown `fft_type`: `{value}`")),
            };
        }
        "fft_length" => p.fft_length = list(value)?,
        "distribution" => {
            p.distribution = match value {
                "rng_uniform" => 1,
                "rng_normal" => 2,
                _ => return Err(format!("unknown distribution `{value}`")),
            };
        }
        "delta" => p.delta = integer(value)?,
        "num_carries" => p.scan_options.get_or_insert_default().num_carries = integer(value)?,
        "is_reverse" => p.scan_options.get_or_insert_default().is_reverse = boolean(value)?,
        "k" => p.k = integer(value)?,
        "largest" => p.largest = boolean(value)?,
        "channel_id" => p.channel_id = integer(value)?,
        "use_global_device_ids" => p.use_global_device_ids = boolean(value)?,
        "is_host_transfer" => p.is_host_transfer = boolean(value)?,
        "replica_groups" => p.collective_device_list = Some(replica_groups(value)?),
        "source_target_pairs" => {
            p.source_target_pairs = pairs(value)?;
        }
        "custom_call_target" => p.custom_call_target = string(value),
        "custom_call_has_side_effect" => p.custom_call_has_side_effect = boolean(value)?,
        "api_version" => {
            p.custom_call_api_version = match value {
                "API_VERSION_ORIGINAL" => 1,
                "API_VERSION_STATUS_RETURNING" => 2,
                "API_VERSION_STATUS_RETURNING_UNIFIED" => 3,
                "API_VERSION_TYPED_FFI" => 4,
                _ => return Err(format!("unknown `api_version`: `{value}`")),
            };
        }
        "backend_config" => {
            let text = if value.starts_with('"') {
                string(value)
            } else {
                value.to_string()
            };
            p.backend_config = text.into_bytes();
        }
        "output_to_operand_aliasing" => {
            let entries = aliases(value)?.entries.into_iter();
            p.output_operand_aliasing = entries
                .map(|entry| OutputOperandAliasing {
                    output_shape_index: entry.output_shape_index,
                    operand_index: entry.parameter_number,
                    operand_shape_index: entry.parameter_shape_index,
                })
                .collect();
        }
        "infeed_config" => p.infeed_config = string(value).into_bytes(),
        "outfeed_config" => p.outfeed_config = string(value).into_bytes(),
        "sharding" => p.sharding_text = value.to_string(),
        "frontend_attributes" => p.frontend_attributes = Some(frontend_attributes(value)?),
        "metadata" => p.metadata = Some(metadata(value)?),
        _ => {}
    }
    Ok(())
}

fn dot(p: &mut HloInstructionProto) -> &mut DotDimensionNumbers {
    p.dot_dimension_numbers.get_or_insert_default()
}

fn ragged(p: &mut HloInstructionProto) -> &mut RaggedDotDimensionNumbers {
    p.ragged_dot_dimension_numbers.get_or_insert_default()
}

fn gather(p: &mut HloInstructionProto) -> &mut GatherDimensionNumbers {
    p.gather_dimension_numbers.get_or_insert_default()
}

fn scatter(p: &mut HloInstructionProto) -> &mut ScatterDimensionNumbers {
    p.scatter_dimension_numbers.get_or_insert_default()
}

/// An integer.
pub(super) fn integer(text: &str) -> Read<i64> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{}` is no integer", text.trim()))
}

fn small(text: &str) -> Read<i32> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{}` is no 32-bit integer", text.trim()))
}

fn boolean(text: &str) -> Read<bool> {
    match text.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("`{other}` is neither `true` nor `false`")),
    }
}

/// A string without its quotes and escapes; other text as it is.
pub(super) fn string(text: &str) -> String {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('"').map(|t| t.strip_suffix('"').unwrap_or(t)) else {
        return text.to_string();
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.bytes().peekable();
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(digit @ b'0'..=b'7') => {
                // `\303\251`: C's octal escapes are bytes, of which several may be one character.
                let mut code = u32::from(digit - b'0');
                for _ in 0..2 {
                    if let Some(next) = bytes.peek().and_then(|&b| char::from(b).to_digit(8)) {
                        code = code * 8 + next;
                        bytes.next();
                    }
                }
                out.push(code as u8);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `{0,1}`, with comments.
fn list(text: &str) -> Read<Vec<i64>> {
    let mut out = Vec::new();
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    for item in inner.split(',') {
        let item = match item.rsplit_once("*/") {
            Some((_, after)) => after,
            None => item,
        };
        if !item.trim().is_empty() {
            out.push(integer(item)?);
        }
    }
    Ok(out)
}

/// `{{0,1},{2,3}}`.
fn rows(text: &str) -> Read<Vec<Vec<i64>>> {
    let inner = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let inner = inner.ok_or_else(|| format!("expected `{{{{...}}}}`, found `{text}`"))?;
    let rows = inner.split('}').filter(|row| row.contains('{'));
    rows.map(|row| list(row.trim_start_matches([',', ' ']))).collect()
}

/// `{{0,1},{1,2}}`.
pub(super) fn pairs(text: &str) -> Read<Vec<SourceTarget>> {
    rows(text)?
        .iter()
        .map(|row| match row[..] {
            [source, target] => Ok(SourceTarget { source, target }),
            _ => Err(format!("expected pairs, found `{text}`")),
        })
        .collect()
}

/// `{{0,1},{2,3}}` or `[2,2]<=[4]T(1,0)`.
fn replica_groups(text: &str) -> Read<CollectiveDeviceList> {
    if !text.starts_with('[') {
        let replica_groups = rows(text)?
            .into_iter()
            .map(|replica_ids| ReplicaGroup { replica_ids })
            .collect();
        return Ok(CollectiveDeviceList {
            replica_groups,
            iota_replica_group_list: None,
        });
    }
    let bad = || format!("cannot read the replica groups `{text}`");
    let (shape, rest) = text.split_once("<=").ok_or_else(bad)?;
    let (dims, transpose) = match rest.split_once('T') {
        Some((dims, transpose)) => (dims, Some(transpose)),
        None => (rest, None),
    };
    let plain = |text: &str| list(text.trim().trim_matches(['[', ']', '(', ')']));
    let shape = plain(shape)?;
    let [num_replica_groups, num_devices_per_group] = shape[..] else {
        return Err(bad());
    };
    let iota_transpose_perm = match transpose {
        Some(text) => plain(text)?
            .into_iter()
            .map(|d| i32::try_from(d).map_err(|_| bad()))
            .collect::<Read<_>>()?,
        None => Vec::new(),
    };
    Ok(CollectiveDeviceList {
        replica_groups: Vec::new(),
        iota_replica_group_list: Some(IotaReplicaGroupList {
            num_replica_groups,
            num_devices_per_group,
            iota_reshape_dims: plain(dims)?,
            iota_transpose_perm,
        }),
    })
}

/// `{[0:4:2], [1:3]}`.
fn slices(text: &str) -> Read<Vec<SliceDimensions>> {
    let ranges = text
        .split('[')
        .skip(1)
        .map(|range| range.split(']').next().unwrap_or(""));
    ranges
        .map(|range| {
            let numbers: Vec<i64> = range.split(':').map(integer).collect::<Read<_>>()?;
            match numbers[..] {
                [start, limit] => Ok(SliceDimensions {
                    start,
                    limit,
                    stride: 1,
                }),
                [start, limit, stride] => Ok(SliceDimensions { start, limit, stride }),
                _ => Err(format!("`[{range}]` is no range")),
            }
        })
        .collect()
}

/// `0_1_0x2_2`: low, high and interior padding of each dimension.
fn padding(text: &str) -> Read<PaddingConfig> {
    let mut dimensions = Vec::new();
    for part in text.split('x').filter(|part| !part.is_empty()) {
        let numbers: Vec<i64> = part.split('_').map(integer).collect::<Read<_>>()?;
        let (edge_padding_low, edge_padding_high, interior_padding) = match numbers[..] {
            [low, high] => (low, high, 0),
            [low, high, interior] => (low, high, interior),
            _ => return Err(format!("`{part}` is no padding")),
        };
        dimensions.push(PaddingDimension {
            edge_padding_low,
            edge_padding_high,
            interior_padding,
        });
    }
    Ok(PaddingConfig { dimensions })
}

/// `{size=3x3 stride=2x2 pad=1_1x1_1 lhs_dilate=1x2 rhs_dilate=2x2 rhs_reversal=1x0}`.
fn window(text: &str) -> Read<Window> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let mut window = Window::default();
    for part in inner.split_whitespace() {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` is no part of a window"))?;
        let items: Vec<&str> = value.split('x').collect();
        if key == "size" {
            for item in &items {
                let size = integer(item)?;
                window.dimensions.push(WindowDimension {
                    size,
                    stride: 1,
                    window_dilation: 1,
                    base_dilation: 1,
                    ..Default::default()
                });
            }
            continue;
        }
        if items.len() != window.dimensions.len() {
            return Err(format!("`{part}` is not of {} dimensions", window.dimensions.len()));
        }
        for (item, dimension) in items.iter().zip(&mut window.dimensions) {
            match key {
                "stride" => dimension.stride = integer(item)?,
                "pad" => {
                    let (low, high) = item.split_once('_').ok_or_else(|| format!("`{item}` is no padding"))?;
                    (dimension.padding_low, dimension.padding_high) = (integer(low)?, integer(high)?);
                }
                "lhs_dilate" => dimension.base_dilation = integer(item)?,
                "rhs_dilate" => dimension.window_dilation = integer(item)?,
                "rhs_reversal" => dimension.window_reversal = integer(item)? != 0,
                _ => return Err(format!("unknown part of a window: `{key}`")),
            }
        }
    }
    Ok(window)
}

/// `b01f_01io->b01f`.
fn dim_labels(text: &str) -> Read<ConvolutionDimensionNumbers> {
    let bad = || format!("cannot read the dimension labels `{text}`");
    let (inputs, output) = text.split_once("->").ok_or_else(bad)?;
    let (input, kernel) = inputs.split_once('_').ok_or_else(bad)?;
    let find = |labels: &str, label: char| {
        labels
            .chars()
            .position(|c| c == label)
            .map(|n| n as i64)
            .ok_or_else(bad)
    };
    let spatial = |labels: &str| -> Read<Vec<i64>> {
        let count = labels.chars().filter(char::is_ascii_digit).count();
        (0..count)
            .map(|n| find(labels, char::from_digit(n as u32, 10).ok_or_else(bad)?))
            .collect()
    };
    Ok(ConvolutionDimensionNumbers {
        input_batch_dimension: find(input, 'b')?,
        input_feature_dimension: find(input, 'f')?,
        input_spatial_dimensions: spatial(input)?,
        kernel_input_feature_dimension: find(kernel, 'i')?,
        kernel_output_feature_dimension: find(kernel, 'o')?,
        kernel_spatial_dimensions: spatial(kernel)?,
        output_batch_dimension: find(output, 'b')?,
        output_feature_dimension: find(output, 'f')?,
        output_spatial_dimensions: spatial(output)?,
    })
}

/// `{key=value,key="value" key=value}`: keys and raw values.
pub(super) fn fields(text: &str) -> Read<Vec<(String, &str)>> {
    let inner = text.trim();
    let inner = inner
        .strip_prefix('{')
        .and_then(|t| t.strip_suffix('}'))
        .unwrap_or(inner);
    let bytes = inner.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b',' | b' ' | b'\n' | b'\t' | b'\r') {
            at += 1;
            continue;
        }
        let rest = inner.get(at..).unwrap_or("");
        let (key, _) = rest
            .split_once('=')
            .ok_or_else(|| format!("expected `key=value`, found `{rest}`"))?;
        at += key.len() + 1;
        let start = at;
        let mut depth = 0usize;
        while let Some(&b) = bytes.get(at) {
            match b {
                b'"' => {
                    at += 1;
                    while bytes.get(at).is_some_and(|&b| b != b'"') {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                }
                b'{' | b'[' | b'(' => depth += 1,
                b'}' | b']' | b')' => depth = depth.saturating_sub(1),
                b',' | b' ' if depth == 0 => break,
                _ => {}
            }
            at += 1;
        }
        at = at.min(bytes.len());
        out.push((string(key), inner.get(start..at).unwrap_or("")));
    }
    Ok(out)
}

/// `{key="value",key={...}}`.
pub(super) fn frontend_attributes(text: &str) -> Read<FrontendAttributes> {
    Ok(FrontendAttributes {
        map: fields(text)?
            .into_iter()
            .map(|(key, value)| (key, string(value)))
            .collect(),
    })
}

fn metadata(text: &str) -> Read<OpMetadata> {
    let mut metadata = OpMetadata::default();
    for (key, value) in fields(text)? {
        match &*key {
            "op_name" => metadata.op_name = string(value),
            "source_file" => metadata.source_file = string(value),
            "source_line" => metadata.source_line = small(value)?,
            "source_column" => metadata.source_column = small(value)?,
            "stack_frame_id" => metadata.stack_frame_id = small(value)?,
            _ => {}
        }
    }
    Ok(metadata)
}

/// `{ {0}: (0, {}, may-alias), {1}: (2, {0}, must-alias) }`.
pub(super) fn aliases(text: &str) -> Read<InputOutputAlias> {
    let mut entries = Vec::new();
    for part in text.split(')').filter(|part| part.contains('(')) {
        let bad = || format!("cannot read the alias `{part})`");
        let (output, input) = part.split_once('(').ok_or_else(bad)?;
        let output = output
            .split(':')
            .next()
            .and_then(|o| o.rsplit_once('{'))
            .ok_or_else(bad)?
            .1;
        let (parameter, rest) = input.split_once(',').ok_or_else(bad)?;
        let (index, kind) = rest.split_once('}').ok_or_else(bad)?;
        entries.push(AliasEntry {
            output_shape_index: list(output)?,
            parameter_number: integer(parameter)?,
            parameter_shape_index: list(index.trim())?,
            kind: if kind.contains("must-alias") { 2 } else { 1 },
        });
    }
    Ok(InputOutputAlias { entries })
}

/// `{ (0, {}), (1, {2}) }`.
pub(super) fn donors(text: &str) -> Read<BufferDonor> {
    let mut entries = Vec::new();
    for part in text.split(')').filter(|part| part.contains('(')) {
        let bad = || format!("cannot read the buffer donor `{part})`");
        let (_, input) = part.split_once('(').ok_or_else(bad)?;
        let (parameter, index) = input.split_once(',').ok_or_else(bad)?;
        entries.push(DonorEntry {
            parameter_number: integer(parameter)?,
            parameter_shape_index: list(index.trim())?,
        });
    }
    Ok(BufferDonor { entries })
}
