//! What an [`OpKind`] says of its operation, as properties in the order of their names.

use smallvec::SmallVec;

use super::super::attrs::Attr as HloAttr;
use super::super::ops::*;
use super::super::types::Dims;
use super::attributes::{self, scalar_type};
use super::literal;
use crate::text::{Attr, Dense, DenseData, NamedAttr, Scalar, Sizes, Text, Type};

/// The properties of an operation.
pub(super) fn properties(kind: &OpKind) -> Vec<NamedAttr<'_>> {
    let mut out = Properties(Vec::new());
    put(kind, &mut out);
    out.0.sort_by(|a, b| a.name.cmp(&b.name));
    out.0
}

struct Properties<'m>(Vec<NamedAttr<'m>>);

impl<'m> Properties<'m> {
    fn set(&mut self, name: &'static str, value: Attr<'m>) {
        self.0.push(NamedAttr {
            name: name.into(),
            value,
        });
    }

    fn dims(&mut self, name: &'static str, dims: &Dims) {
        self.set(name, i64_array(dims));
    }

    fn int(&mut self, name: &'static str, value: i64, ty: &'static str) {
        self.set(
            name,
            Attr::Integer {
                value: i128::from(value),
                ty: scalar_type(ty),
            },
        );
    }

    fn bool(&mut self, name: &'static str, value: bool) {
        self.set(name, Attr::Bool(value));
    }

    fn string(&mut self, name: &'static str, value: &'m str) {
        self.set(name, Attr::String(value.into()));
    }

    fn symbol(&mut self, name: &'static str, value: &'m str) {
        self.set(name, Attr::Symbol(vec![value.into()]));
    }

    /// `#stablehlo<kind WORD>`.
    fn word(&mut self, name: &'static str, kind: &str, word: &str) {
        self.set(name, dialect("stablehlo", format!("{kind} {word}")));
    }

    /// `#name<key = value, ...>`; lists that are empty are left out.
    fn parameters(&mut self, name: &'static str, of: &'static str, dims: &[(&str, &Dims)], rest: &[(&str, i64)]) {
        let dims = dims
            .iter()
            .filter(|(_, dims)| !dims.is_empty())
            .map(|(key, dims)| format!("{key} = {}", list(dims)));
        let rest = rest.iter().map(|(key, value)| format!("{key} = {value}"));
        let body: Vec<String> = dims.chain(rest).collect();
        self.set(name, dialect(of, body.join(", ")));
    }

    fn precision(&mut self, precision: &[Precision], of: &'static str) {
        if precision.is_empty() {
            return;
        }
        let one = |precision: &Precision| {
            dialect(
                of,
                match precision {
                    Precision::Default => "precision DEFAULT",
                    Precision::High => "precision HIGH",
                    Precision::Highest => "precision HIGHEST",
                },
            )
        };
        self.set("precision_config", Attr::Array(precision.iter().map(one).collect()));
    }

    fn pairs(&mut self, name: &'static str, pairs: &[(i64, i64)]) {
        let values = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
        self.set(name, matrix(pairs.len(), 2, values, true));
    }

    fn channel(&mut self, id: i64, ty: i64) {
        if id != 0 || ty != 0 {
            self.parameters(
                "channel_handle",
                "stablehlo.channel_handle",
                &[],
                &[("handle", id), ("type", ty)],
            );
        }
    }

    fn collective(&mut self, collective: &Collective) {
        self.channel(collective.channel_id, collective.channel_type);
        let groups = &collective.replica_groups;
        let width = groups.iter().map(|group| group.len()).max().unwrap_or(0);
        let row = |group: &Dims| {
            group
                .iter()
                .copied()
                .chain(std::iter::repeat(-1))
                .take(width)
                .collect::<Vec<_>>()
        };
        self.set(
            "replica_groups",
            matrix(groups.len(), width, groups.iter().flat_map(row).collect(), true),
        );
        if collective.use_global_device_ids {
            self.set("use_global_device_ids", Attr::Unit);
        }
    }
}

fn dialect<'m>(name: &'static str, body: impl Into<Text<'m>>) -> Attr<'m> {
    Attr::Dialect {
        name: name.into(),
        body: Some(body.into()),
    }
}

fn list(dims: &[i64]) -> String {
    let items: Vec<String> = dims.iter().map(i64::to_string).collect();
    format!("[{}]", items.join(", "))
}

fn i64_array(dims: &[i64]) -> Attr<'static> {
    let values = dims.iter().map(|&v| Scalar::Int(i128::from(v))).collect();
    Attr::DenseArray {
        element: "i64".into(),
        values,
    }
}

/// `dense<[[...]]> : tensor<RxCxi64>`, as a splat where all are equal and that is allowed.
fn matrix(rows: usize, columns: usize, values: Vec<i64>, splat: bool) -> Attr<'static> {
    let all_equal = splat && values.windows(2).all(|pair| pair[0] == pair[1]);
    let values: Vec<Scalar> = values.into_iter().map(|v| Scalar::Int(i128::from(v))).collect();
    let (shape, values): (SmallVec<[usize; 6]>, Vec<Scalar>) = match values.first() {
        None => (SmallVec::from_slice(&[0]), values),
        Some(&first) if all_equal => (SmallVec::new(), vec![first]),
        Some(_) => (SmallVec::from_slice(&[rows, columns]), values),
    };
    let sizes = Sizes::from_slice(&[rows as i64, columns as i64]);
    let ty = Type::tensor(sizes, Type::Scalar("i64".into()));
    Attr::Dense(Box::new(Dense {
        data: DenseData::Elements {
            shape,
            values,
            complex: false,
        },
        ty,
    }))
}

/// A layout, minor to major: `dense<[1, 0]> : tensor<2xindex>`.
fn layout(dims: &Dims) -> Attr<'static> {
    let values: Vec<Scalar> = dims.iter().map(|&v| Scalar::Int(i128::from(v))).collect();
    let shape = if dims.is_empty() {
        SmallVec::from_slice(&[0])
    } else {
        SmallVec::from_slice(&[dims.len()])
    };
    let sizes = Sizes::from_slice(&[dims.len() as i64]);
    let ty = Type::tensor(sizes, Type::Scalar("index".into()));
    Attr::Dense(Box::new(Dense {
        data: DenseData::Elements {
            shape,
            values,
            complex: false,
        },
        ty,
    }))
}

fn put<'m>(kind: &'m OpKind, out: &mut Properties<'m>) {
    match kind {
        OpKind::Constant(literal) => out.set("value", literal::dense(literal)),
        OpKind::Iota(op) | OpKind::DynamicIota(op) => out.int("iota_dimension", op.iota_dimension, "i64"),
        OpKind::ChloBroadcastBinary(op) => {
            if let Some(dims) = &op.broadcast_dimensions {
                out.dims("broadcast_dimensions", dims);
            }
            if let Some(compare) = &op.compare {
                out.set(
                    "comparison_direction",
                    dialect("chlo", format!("comparison_direction {}", compare.direction.mnemonic())),
                );
                if compare.compare_type != ComparisonType::NoType {
                    out.set(
                        "compare_type",
                        dialect("chlo", format!("comparison_type {}", compare.compare_type.mnemonic())),
                    );
                }
            }
        }
        OpKind::Compare(op) => {
            out.word("comparison_direction", "comparison_direction", op.direction.mnemonic());
            if op.compare_type != ComparisonType::NoType {
                out.word("compare_type", "comparison_type", op.compare_type.mnemonic());
            }
        }
        OpKind::ReducePrecision(op) => {
            out.int("exponent_bits", op.exponent_bits, "i32");
            out.int("mantissa_bits", op.mantissa_bits, "i32");
        }
        OpKind::Map(op) => out.dims("dimensions", &op.dimensions),
        OpKind::DotGeneral(op) => dot_general(op, out),
        OpKind::Dot(op) => out.precision(&op.precision, "stablehlo"),
        OpKind::RaggedDot(op) => {
            let dims = [
                ("lhs_batching_dimensions", &op.dims.lhs_batching),
                ("rhs_batching_dimensions", &op.dims.rhs_batching),
                ("lhs_contracting_dimensions", &op.dims.lhs_contracting),
                ("rhs_contracting_dimensions", &op.dims.rhs_contracting),
                ("lhs_ragged_dimensions", &op.lhs_ragged),
                ("rhs_group_dimensions", &op.rhs_group),
            ];
            out.parameters("ragged_dot_dimension_numbers", "chlo.ragged_dot", &dims, &[]);
            out.precision(&op.precision, "chlo");
        }
        OpKind::Convolution(op) => convolution(op, true, out),
        OpKind::DynamicConv(op) => convolution(op, false, out),
        OpKind::Einsum(op) | OpKind::UnaryEinsum(op) => out.string("einsum_config", &op.config),
        OpKind::BroadcastInDim(op) => out.dims("broadcast_dimensions", &op.broadcast_dimensions),
        OpKind::Broadcast(op) => out.dims("broadcast_sizes", &op.broadcast_sizes),
        OpKind::DynamicBroadcastInDim(op) => {
            out.dims("broadcast_dimensions", &op.broadcast_dimensions);
            if let Some(dims) = &op.known_expanding {
                out.dims("known_expanding_dimensions", dims);
            }
            if let Some(dims) = &op.known_nonexpanding {
                out.dims("known_nonexpanding_dimensions", dims);
            }
        }
        OpKind::Transpose(op) => out.dims("permutation", &op.permutation),
        OpKind::Slice(op) => {
            out.dims("start_indices", &op.start);
            out.dims("limit_indices", &op.limit);
            out.dims("strides", &op.strides);
        }
        OpKind::DynamicSlice(op) => out.dims("slice_sizes", &op.sizes),
        OpKind::Pad(op) => {
            out.dims("edge_padding_low", &op.low);
            out.dims("edge_padding_high", &op.high);
            out.dims("interior_padding", &op.interior);
        }
        OpKind::Reverse(op) => out.dims("dimensions", &op.dimensions),
        OpKind::Concatenate(op) => out.int("dimension", op.dimension, "i64"),
        OpKind::GetDimensionSize(op) | OpKind::SetDimensionSize(op) => out.int("dimension", op.dimension, "i64"),
        OpKind::Gather(op) => {
            gather(op, out);
            out.dims("slice_sizes", &op.slice_sizes);
        }
        OpKind::DynamicGather(op) => gather(op, out),
        OpKind::Scatter(op) => {
            let dims = [
                ("update_window_dims", &op.update_window_dims),
                ("inserted_window_dims", &op.inserted_window_dims),
                ("input_batching_dims", &op.input_batching_dims),
                ("scatter_indices_batching_dims", &op.scatter_indices_batching_dims),
                ("scatter_dims_to_operand_dims", &op.scatter_dims_to_operand_dims),
            ];
            let rest = [("index_vector_dim", op.index_vector_dim)];
            let rest = if op.index_vector_dim == 0 {
                &rest[..0]
            } else {
                &rest[..]
            };
            out.parameters("scatter_dimension_numbers", "stablehlo.scatter", &dims, rest);
            out.bool("indices_are_sorted", op.indices_are_sorted);
            out.bool("unique_indices", op.unique_indices);
        }
        OpKind::TorchIndexSelect(op) => {
            out.int("dim", op.dim, "i64");
            out.int("batch_dims", op.batch_dims, "i64");
        }
        OpKind::Reduce(op) => out.dims("dimensions", &op.dimensions),
        OpKind::ReduceWindow(op) => {
            out.dims("window_dimensions", &op.window_dimensions);
            out.dims("window_strides", &op.window_strides);
            out.dims("base_dilations", &op.base_dilations);
            out.dims("window_dilations", &op.window_dilations);
            out.pairs("padding", &op.padding);
        }
        OpKind::SelectAndScatter(op) => {
            out.dims("window_dimensions", &op.window_dimensions);
            out.dims("window_strides", &op.window_strides);
            out.pairs("padding", &op.padding);
        }
        OpKind::Sort(op) => {
            out.int("dimension", op.dimension, "i64");
            out.bool("is_stable", op.is_stable);
        }
        OpKind::TopK(op) => {
            out.int("k", op.k, "i64");
            if !op.largest {
                out.bool("largest", false);
            }
        }
        OpKind::BatchNormTraining(op) | OpKind::BatchNormInference(op) | OpKind::BatchNormGrad(op) => {
            let epsilon = f64::from(op.epsilon);
            let value = if epsilon.is_finite() {
                Scalar::Float(epsilon)
            } else {
                Scalar::Bits(u64::from(op.epsilon.to_bits()))
            };
            out.set(
                "epsilon",
                Attr::Float {
                    value,
                    ty: scalar_type("f32"),
                },
            );
            out.int("feature_index", op.feature_index, "i64");
        }
        OpKind::Cholesky(op) => out.bool("lower", op.lower),
        OpKind::TriangularSolve(op) => {
            out.bool("left_side", op.left_side);
            out.bool("lower", op.lower);
            out.bool("unit_diagonal", op.unit_diagonal);
            let word = match op.transpose_a {
                TransposeA::NoTranspose => "NO_TRANSPOSE",
                TransposeA::Transpose => "TRANSPOSE",
                TransposeA::Adjoint => "ADJOINT",
            };
            out.word("transpose_a", "transpose", word);
        }
        OpKind::Fft(op) => {
            let word = match op.fft_type {
                FftType::Fft => "FFT",
                FftType::Ifft => "IFFT",
                FftType::Rfft => "RFFT",
                FftType::Irfft => "IRFFT",
            };
            out.word("fft_type", "fft_type", word);
            out.dims("fft_length", &op.fft_length);
        }
        OpKind::Rng(op) => {
            let word = match op.distribution {
                RngDistribution::Uniform => "UNIFORM",
                RngDistribution::Normal => "NORMAL",
            };
            out.word("rng_distribution", "rng_distribution", word);
        }
        OpKind::RngBitGenerator(op) => {
            let word = match op.algorithm {
                RngAlgorithm::Default => "DEFAULT",
                RngAlgorithm::ThreeFry => "THREE_FRY",
                RngAlgorithm::Philox => "PHILOX",
            };
            out.word("rng_algorithm", "rng_algorithm", word);
        }
        OpKind::Call(op) => out.symbol("callee", &op.callee),
        OpKind::Composite(op) => {
            out.string("name", &op.name);
            out.symbol("decomposition", &op.decomposition);
            if !op.attributes.is_empty() {
                out.set(
                    "composite_attributes",
                    Attr::Dict(attributes::dictionary(&op.attributes)),
                );
            }
            if op.version != 0 {
                out.int("version", op.version, "i32");
            }
        }
        OpKind::CustomCall(op) => custom_call(op, out),
        OpKind::GetTupleElement(op) => out.int("index", op.index, "i32"),
        OpKind::Infeed(op) => out.string("infeed_config", &op.config),
        OpKind::Outfeed(op) => out.string("outfeed_config", &op.config),
        OpKind::AllGather(op) => {
            out.collective(&op.collective);
            out.int("all_gather_dim", op.all_gather_dim, "i64");
        }
        OpKind::AllReduce(op)
        | OpKind::CollectiveBroadcast(op)
        | OpKind::CollectiveReduce(op)
        | OpKind::CrossReplicaSum(op) => out.collective(op),
        OpKind::ReduceScatter(op) => {
            out.collective(&op.collective);
            out.int("scatter_dimension", op.scatter_dimension, "i64");
        }
        OpKind::AllToAll(op) => {
            out.collective(&op.collective);
            out.int("split_dimension", op.split_dimension, "i64");
            out.int("concat_dimension", op.concat_dimension, "i64");
            out.int("split_count", op.split_count, "i64");
        }
        OpKind::CollectivePermute(op) => {
            out.channel(op.channel_id, op.channel_type);
            out.pairs("source_target_pairs", &op.source_target_pairs);
        }
        OpKind::Send(op) | OpKind::Recv(op) => {
            let channel = [("handle", op.channel_id), ("type", op.channel_type)];
            out.parameters("channel_handle", "stablehlo.channel_handle", &[], &channel);
            out.bool("is_host_transfer", op.is_host_transfer);
            if !op.source_target_pairs.is_empty() {
                out.pairs("source_target_pairs", &op.source_target_pairs);
            }
        }
        OpKind::ManualComputation(op) => {
            out.set(
                "in_shardings",
                dialect("sdy.sharding_per_value", op.in_shardings.as_str()),
            );
            out.set(
                "out_shardings",
                dialect("sdy.sharding_per_value", op.out_shardings.as_str()),
            );
            out.set("manual_axes", dialect("sdy", format!("manual_axes{}", op.manual_axes)));
        }
        OpKind::ShardingConstraint(op) => {
            let body = op
                .sharding
                .strip_prefix('<')
                .and_then(|text| text.strip_suffix('>'))
                .unwrap_or(&op.sharding);
            out.set("sharding", dialect("sdy.sharding", body));
        }
        OpKind::Unary(_)
        | OpKind::Binary(_)
        | OpKind::Select
        | OpKind::Clamp
        | OpKind::Convert
        | OpKind::BitcastConvert
        | OpKind::Complex
        | OpKind::UniformQuantize
        | OpKind::UniformDequantize
        | OpKind::Reshape
        | OpKind::DynamicReshape
        | OpKind::RealDynamicSlice
        | OpKind::DynamicUpdateSlice
        | OpKind::DynamicPad
        | OpKind::While
        | OpKind::If
        | OpKind::Case
        | OpKind::Tuple
        | OpKind::OptimizationBarrier
        | OpKind::AfterAll
        | OpKind::CreateToken
        | OpKind::AsyncStart
        | OpKind::AsyncDone
        | OpKind::PartitionId
        | OpKind::ReplicaId => {}
    }
}

fn dot_general<'m>(op: &'m DotGeneral, out: &mut Properties<'m>) {
    let dims = [
        ("lhs_batching_dimensions", &op.dims.lhs_batching),
        ("rhs_batching_dimensions", &op.dims.rhs_batching),
        ("lhs_contracting_dimensions", &op.dims.lhs_contracting),
        ("rhs_contracting_dimensions", &op.dims.rhs_contracting),
    ];
    out.parameters("dot_dimension_numbers", "stablehlo.dot", &dims, &[]);
    out.precision(&op.precision, "stablehlo");
    if let Some(a) = &op.algorithm {
        let body = format!(
            "lhs_precision_type = {}, rhs_precision_type = {}, accumulation_type = {}, lhs_component_count = {}, \
             rhs_component_count = {}, num_primitive_operations = {}, allow_imprecise_accumulation = {}",
            a.lhs_precision_type,
            a.rhs_precision_type,
            a.accumulation_type,
            a.lhs_component_count,
            a.rhs_component_count,
            a.num_primitive_operations,
            a.allow_imprecise_accumulation
        );
        out.set("algorithm", dialect("stablehlo.dot_algorithm", body));
    }
}

fn convolution<'m>(op: &'m Convolution, padded: bool, out: &mut Properties<'m>) {
    let labels = |spatial: &Dims, first: (i64, &str), second: (i64, &str)| {
        let mut labels = vec![String::new(); spatial.len() + 2];
        let places = spatial.iter().enumerate().map(|(n, &d)| (d, n.to_string()));
        let places = places.chain([(first.0, first.1.to_string()), (second.0, second.1.to_string())]);
        for (d, label) in places {
            if let Some(slot) = usize::try_from(d).ok().and_then(|d| labels.get_mut(d)) {
                *slot = label;
            }
        }
        format!("[{}]", labels.join(", "))
    };
    let d = &op.dims;
    let input = labels(&d.input_spatial, (d.input_batch, "b"), (d.input_feature, "f"));
    let kernel = labels(
        &d.kernel_spatial,
        (d.kernel_input_feature, "i"),
        (d.kernel_output_feature, "o"),
    );
    let output = labels(&d.output_spatial, (d.output_batch, "b"), (d.output_feature, "f"));
    out.set(
        "dimension_numbers",
        dialect("stablehlo.conv", format!("{input}x{kernel}->{output}")),
    );
    out.int("batch_group_count", op.batch_group_count, "i64");
    out.int("feature_group_count", op.feature_group_count, "i64");
    out.dims("window_strides", &op.window_strides);
    out.dims("lhs_dilation", &op.lhs_dilation);
    out.dims("rhs_dilation", &op.rhs_dilation);
    if padded {
        out.pairs("padding", &op.padding);
    }
    let values = op.window_reversal.iter().map(|&v| Scalar::Bool(v)).collect();
    out.set(
        "window_reversal",
        Attr::DenseArray {
            element: "i1".into(),
            values,
        },
    );
    out.precision(&op.precision, "stablehlo");
}

fn gather<'m>(op: &'m Gather, out: &mut Properties<'m>) {
    let dims = [
        ("offset_dims", &op.offset_dims),
        ("collapsed_slice_dims", &op.collapsed_slice_dims),
        ("operand_batching_dims", &op.operand_batching_dims),
        ("start_indices_batching_dims", &op.start_indices_batching_dims),
        ("start_index_map", &op.start_index_map),
    ];
    let rest = [("index_vector_dim", op.index_vector_dim)];
    let rest = if op.index_vector_dim == 0 {
        &rest[..0]
    } else {
        &rest[..]
    };
    out.parameters("dimension_numbers", "stablehlo.gather", &dims, rest);
    out.bool("indices_are_sorted", op.indices_are_sorted);
}

fn custom_call<'m>(op: &'m CustomCall, out: &mut Properties<'m>) {
    out.string("call_target_name", &op.target);
    if op.has_side_effect {
        out.bool("has_side_effect", true);
    }
    if op.backend_config != HloAttr::String(String::new()) {
        out.set("backend_config", attributes::convert(&op.backend_config));
    }
    if op.api_version != 1 {
        out.int("api_version", op.api_version, "i32");
    }
    if !op.called_computations.is_empty() {
        let symbol = |name: &'m String| Attr::Symbol(vec![name.as_str().into()]);
        out.set(
            "called_computations",
            Attr::Array(op.called_computations.iter().map(symbol).collect()),
        );
    }
    if let Some(layouts) = &op.operand_layouts {
        out.set("operand_layouts", Attr::Array(layouts.iter().map(layout).collect()));
    }
    if let Some(layouts) = &op.result_layouts {
        out.set("result_layouts", Attr::Array(layouts.iter().map(layout).collect()));
    }
    if !op.output_operand_aliases.is_empty() {
        let alias = |alias: &OutputOperandAlias| {
            let body = format!(
                "output_tuple_indices = {}, operand_index = {}, operand_tuple_indices = {}",
                list(&alias.output_tuple_indices),
                alias.operand_index,
                list(&alias.operand_tuple_indices)
            );
            dialect("stablehlo.output_operand_alias", body)
        };
        out.set(
            "output_operand_aliases",
            Attr::Array(op.output_operand_aliases.iter().map(alias).collect()),
        );
    }
}
