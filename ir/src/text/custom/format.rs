//! The custom forms of operations as data, read by parser and printer alike.

/// A piece of a custom form, after the name of the operation.
pub(in crate::text) enum Piece {
    /// Punctuation and words; the spacing is what the printer writes.
    Text(&'static str),
    /// One operand.
    Operand,
    /// Operands with commas between.
    Operands,
    /// Operands, each with a comma after it.
    OperandsThenComma,
    /// An attribute without its name.
    Attr(&'static str, Kind),
    /// Pieces that stand there only if the attribute among them has a value. The first piece is a text.
    Optional(&'static [Piece]),
    /// Several attributes in a form of their own.
    Special(Special),
    /// Text in brackets or braces that this level does not read, if it is there.
    Bracketed,
    /// `{...}` with the attributes that no other piece holds.
    Dict,
    /// `: ...` with the types.
    Types(Types),
}

/// How an attribute is written.
#[derive(Clone, Copy)]
pub(in crate::text) enum Kind {
    /// An integer whose type is left out.
    Integer(&'static str),
    /// A floating-point number whose type is left out.
    Float(&'static str),
    /// One of these words, for its position as an `i64`.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// `[0, 1]` for `array<i64: 0, 1>`.
    I64Array,
    /// `LT` for `#stablehlo<comparison_direction LT>`.
    Enum(&'static str),
    /// `[DEFAULT, DEFAULT]` for a list of `#stablehlo<precision ...>`.
    Precisions,
    /// `<...>` for `#name<...>`.
    Body(&'static str),
    /// `@name` for the string.
    SymbolString,
    /// `@name`.
    Symbol,
    /// `"..."`.
    String,
}

/// Attributes in a form of their own.
#[derive(Clone, Copy)]
pub(in crate::text) enum Special {
    /// `[0:4:2, 1:3]`: `start_indices`, `limit_indices`, `strides`.
    Slice,
    /// `, batching_dims = [0] x [0], contracting_dims = [1] x [0]`: `dot_dimension_numbers`.
    DotDimensions,
    /// `[b, 0, f]x[0, i, o]->[b, 0, f]`: `dimension_numbers`.
    ConvolutionDimensions,
    /// `stride = [1], pad = [[0, 0]], ...`: `window_strides`, `padding`, `lhs_dilation`, `rhs_dilation`, `window_reversal`.
    Window,
    /// `e5m10`: `exponent_bits`, `mantissa_bits`.
    ExponentMantissa,
}

/// How the types of an operation are written.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::text) enum Types {
    /// `(a, b) -> c`.
    Functional,
    /// One type for all operands and the result, or functional.
    Same,
    /// `a, b -> c`, or functional.
    Arrow,
    /// The predicate's and the result's, or functional.
    Select,
    /// The complex result's, or functional.
    Complex,
    /// The tuple's.
    Tuple,
    /// The operands', which are the results' too.
    Pairwise,
    /// The operands'; there is no result.
    OperandsOnly,
    /// One type for all operands, or one for each; there is no result.
    Compared,
    /// One type for both operands; the result has bits in its place.
    Predicate,
    /// `a to b`.
    To,
    /// The result's; operands are its elements.
    Elements,
    /// The first operand's; the other operands and the result are positions and an element of it.
    Extract,
    /// The first operand's; the other operand and the result are `index`.
    Dim,
    /// The result's; there is no operand.
    ResultOnly,
}

use Piece::{Attr, Bracketed, Dict, Operand, Operands, OperandsThenComma, Optional, Special as S, Text, Types as T};

const I64: Kind = Kind::Integer("i64");

const UNARY: &[Piece] = &[Text(" "), Operand, Dict, T(Types::Same)];
const BINARY: &[Piece] = &[Text(" "), Operand, Text(", "), Operand, Dict, T(Types::Same)];
const TERNARY: &[Piece] = &[
    Text(" "),
    Operand,
    Text(", "),
    Operand,
    Text(", "),
    Operand,
    Dict,
    T(Types::Same),
];
const FUNCTIONAL: &[Piece] = &[Text(" "), Operands, Dict, T(Types::Functional)];
const RESULT: &[Piece] = &[Dict, T(Types::ResultOnly)];
const RETURN: &[Piece] = &[Text(" "), Operands, Dict, T(Types::OperandsOnly)];
const CHLO: &[Piece] = &[Text(" "), Operands, Dict, T(Types::Arrow)];
const CALL: &[Piece] = &[
    Text(" "),
    Attr("callee", Kind::Symbol),
    Text("("),
    Operands,
    Text(")"),
    Dict,
    T(Types::Functional),
];
const SHARDED: &[Piece] = &[
    Text(" "),
    Operand,
    Text(" "),
    Attr("sharding", Kind::Body("sdy.sharding")),
    Dict,
    T(Types::Same),
];
const IDENTITY: &[Piece] = &[Text(" "), Operand, Dict, T(Types::Same)];
const COMPARED: &[Piece] = &[Text(" "), Operand, Text(", "), Operand, Dict, T(Types::Compared)];
/// `sdy.all_gather [{"x"}, {}] %a out_sharding=<@mesh, [{}, {}]> : tensor<...>`; the axes are in brackets or braces.
const RESHARDED: &[Piece] = &[
    Text(" "),
    Bracketed,
    Operand,
    Text(" out_sharding="),
    Attr("out_sharding", Kind::Body("sdy.sharding")),
    Dict,
    T(Types::Same),
];
const PRECISION: Piece = Optional(&[Text(", precision = "), Attr("precision_config", Kind::Precisions)]);

/// The custom form of an operation; `None` when it has none or one that is not a list of pieces.
pub(in crate::text) fn format(name: &str) -> Option<&'static [Piece]> {
    let (dialect, short) = name.split_once('.')?;
    match dialect {
        "stablehlo" => stablehlo(short),
        // StableHLO's predecessor prints alike.
        "mhlo" => match short {
            "acos" | "acosh" | "asin" | "asinh" | "atan" | "atanh" | "cosh" | "erf" | "sinh" | "copy" => Some(UNARY),
            _ => stablehlo(short),
        },
        "arith" => arith(short),
        "tensor" => match short {
            "from_elements" => Some(&[Text(" "), Operands, Dict, T(Types::Elements)]),
            "extract" => Some(&[
                Text(" "),
                Operand,
                Text("["),
                Operands,
                Text("]"),
                Dict,
                T(Types::Extract),
            ]),
            "dim" => Some(&[Text(" "), Operand, Text(", "), Operand, Dict, T(Types::Dim)]),
            "cast" => Some(&[Text(" "), Operand, Dict, T(Types::To)]),
            _ => None,
        },
        "shape" => match short {
            "shape_of" | "num_elements" | "broadcast" | "to_extent_tensor" => Some(CHLO),
            _ => None,
        },
        "check" => match short {
            "expect_eq" => Some(COMPARED),
            "expect_almost_eq" => Some(&[
                Text(" "),
                Operand,
                Text(", "),
                Operand,
                Optional(&[Text(", tolerance = "), Attr("tolerance", Kind::Float("f64"))]),
                Dict,
                T(Types::Compared),
            ]),
            "expect_close" => Some(&[
                Text(" "),
                Operand,
                Text(", "),
                Operand,
                Optional(&[
                    Text(", max_ulp_difference = "),
                    Attr("max_ulp_difference", Kind::Integer("ui64")),
                ]),
                Optional(&[
                    Text(", min_ulp_difference = "),
                    Attr("min_ulp_difference", Kind::Integer("ui64")),
                ]),
                Optional(&[
                    Text(", max_ulp_difference = "),
                    Attr("max_ulp_difference", Kind::Integer("ui64")),
                ]),
                Dict,
                T(Types::Compared),
            ]),
            "expect_serialized_eq" => Some(&[
                Text(" "),
                Operand,
                Text(", probe_id = "),
                Attr("probe_id", Kind::String),
                Optional(&[Text(", iter = "), Attr("iter", Kind::Integer("ui32"))]),
                Dict,
                T(Types::Compared),
            ]),
            _ => None,
        },
        "interpreter" => match short {
            "print" => Some(IDENTITY),
            "probe" => Some(&[
                Text(" "),
                Operand,
                Text(", probe_id = "),
                Attr("probe_id", Kind::String),
                Dict,
                T(Types::Same),
            ]),
            _ => None,
        },
        "func" => match short {
            "return" => Some(RETURN),
            "call" => Some(CALL),
            _ => None,
        },
        "chlo" => match short {
            "constant" | "constant_like" | "ragged_dot" | "scan" => None,
            _ if short.starts_with("broadcast_") => Some(FUNCTIONAL),
            "top_k" => Some(&[
                Text("("),
                Operand,
                Text(", k = "),
                Attr("k", I64),
                Optional(&[Text(", largest = "), Attr("largest", Kind::Bool)]),
                Text(")"),
                Dict,
                T(Types::Arrow),
            ]),
            _ => Some(CHLO),
        },
        "sdy" => match short {
            "return" => Some(RETURN),
            "sharding_constraint" | "reshard" => Some(SHARDED),
            "all_gather"
            | "all_slice"
            | "all_to_all"
            | "all_reduce"
            | "collective_permute"
            | "reduce_scatter"
            | "replicated_to_unreduced"
            | "sharded_to_unreduced" => Some(RESHARDED),
            "data_flow_edge" | "func_data_flow_edge" => Some(&[
                Text(" "),
                Operand,
                Optional(&[Text(" sharding="), Attr("sharding", Kind::Body("sdy.sharding"))]),
                Dict,
                T(Types::Same),
            ]),
            "propagation_barrier" => Some(&[
                Text(" "),
                Operand,
                Text(" allowed_direction="),
                Attr("allowed_direction", Kind::Enum("propagation_direction")),
                Dict,
                T(Types::Same),
            ]),
            "sharding_group" => Some(&[
                Text(" "),
                Operand,
                Text(" group_id="),
                Attr("group_id", I64),
                Dict,
                T(Types::OperandsOnly),
            ]),
            _ => None,
        },
        _ => None,
    }
}

fn arith(short: &str) -> Option<&'static [Piece]> {
    const FLAGS: Piece = Optional(&[Text(" overflow"), Attr("overflowFlags", Kind::Body("arith.overflow"))]);
    const FASTMATH: Piece = Optional(&[Text(" fastmath"), Attr("fastmath", Kind::Body("arith.fastmath"))]);
    Some(match short {
        "addi" | "subi" | "muli" | "divsi" | "divui" | "remsi" | "remui" | "andi" | "ori" | "xori" | "shli"
        | "shrsi" | "shrui" | "maxsi" | "maxui" | "minsi" | "minui" | "addf" | "subf" | "mulf" | "divf" | "remf"
        | "maximumf" | "minimumf" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            FLAGS,
            FASTMATH,
            Dict,
            T(Types::Same),
        ],
        "negf" => &[Text(" "), Operand, FASTMATH, Dict, T(Types::Same)],
        "cmpi" => &[
            Text(" "),
            Attr(
                "predicate",
                Kind::Choice(&["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]),
            ),
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            Dict,
            T(Types::Predicate),
        ],
        "cmpf" => &[
            Text(" "),
            Attr(
                "predicate",
                Kind::Choice(&[
                    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une",
                    "uno", "true",
                ]),
            ),
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            FASTMATH,
            Dict,
            T(Types::Predicate),
        ],
        "select" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            Dict,
            T(Types::Select),
        ],
        "index_cast" | "index_castui" | "extsi" | "extui" | "trunci" | "sitofp" | "uitofp" | "fptosi" | "fptoui"
        | "extf" | "truncf" | "bitcast" => &[Text(" "), Operand, Dict, T(Types::To)],
        _ => return None,
    })
}

fn stablehlo(short: &str) -> Option<&'static [Piece]> {
    Some(match short {
        "broadcast_in_dim" => &[
            Text(" "),
            Operand,
            Text(", dims = "),
            Attr("broadcast_dimensions", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "add"
        | "multiply"
        | "subtract"
        | "divide"
        | "maximum"
        | "minimum"
        | "and"
        | "or"
        | "xor"
        | "power"
        | "remainder"
        | "atan2"
        | "shift_left"
        | "shift_right_arithmetic"
        | "shift_right_logical" => BINARY,
        "reshape"
        | "bitcast_convert"
        | "is_finite"
        | "dynamic_update_slice"
        | "dynamic_reshape"
        | "real_dynamic_slice"
        | "dynamic_pad"
        | "uniform_quantize"
        | "uniform_dequantize"
        | "add_dependency" => FUNCTIONAL,
        "convert"
        | "abs"
        | "cbrt"
        | "ceil"
        | "cosine"
        | "count_leading_zeros"
        | "exponential"
        | "exponential_minus_one"
        | "floor"
        | "imag"
        | "log"
        | "log_plus_one"
        | "logistic"
        | "negate"
        | "not"
        | "popcnt"
        | "real"
        | "round_nearest_afz"
        | "round_nearest_even"
        | "rsqrt"
        | "sign"
        | "sine"
        | "sqrt"
        | "tan"
        | "tanh" => UNARY,
        "clamp" => TERNARY,
        "dot_general" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            S(Special::DotDimensions),
            PRECISION,
            Optional(&[
                Text(", algorithm = "),
                Attr("algorithm", Kind::Body("stablehlo.dot_algorithm")),
            ]),
            Dict,
            T(Types::Functional),
        ],
        "dot" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            PRECISION,
            Dict,
            T(Types::Functional),
        ],
        "select" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            Dict,
            T(Types::Select),
        ],
        "transpose" => &[
            Text(" "),
            Operand,
            Text(", dims = "),
            Attr("permutation", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "compare" => &[
            Text(" "),
            Attr("comparison_direction", Kind::Enum("comparison_direction")),
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            Optional(&[Text(", "), Attr("compare_type", Kind::Enum("comparison_type"))]),
            Dict,
            T(Types::Functional),
        ],
        "iota" => &[Text(" dim = "), Attr("iota_dimension", I64), Dict, T(Types::ResultOnly)],
        "slice" => &[
            Text(" "),
            Operand,
            Text(" "),
            S(Special::Slice),
            Dict,
            T(Types::Functional),
        ],
        "concatenate" => &[
            Text(" "),
            OperandsThenComma,
            Text(" dim = "),
            Attr("dimension", I64),
            Dict,
            T(Types::Functional),
        ],
        "dynamic_slice" => &[
            Text(" "),
            OperandsThenComma,
            Text(" sizes = "),
            Attr("slice_sizes", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "pad" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", low = "),
            Attr("edge_padding_low", Kind::I64Array),
            Text(", high = "),
            Attr("edge_padding_high", Kind::I64Array),
            Text(", interior = "),
            Attr("interior_padding", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "convolution" | "dynamic_conv" => &[
            Text("("),
            Operands,
            Text(") dim_numbers = "),
            S(Special::ConvolutionDimensions),
            Text(", window = {"),
            S(Special::Window),
            Text("}"),
            Dict,
            T(Types::Functional),
        ],
        "reverse" => &[
            Text(" "),
            Operand,
            Text(", dims = "),
            Attr("dimensions", Kind::I64Array),
            Dict,
            T(Types::Same),
        ],
        "broadcast" => &[
            Text(" "),
            Operand,
            Text(", sizes = "),
            Attr("broadcast_sizes", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "dynamic_broadcast_in_dim" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", dims = "),
            Attr("broadcast_dimensions", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "dynamic_iota" => &[
            Text(" "),
            Operand,
            Text(", dim = "),
            Attr("iota_dimension", I64),
            Dict,
            T(Types::Functional),
        ],
        "get_dimension_size" => &[
            Text(" "),
            Operand,
            Text(", dim = "),
            Attr("dimension", I64),
            Dict,
            T(Types::Functional),
        ],
        "set_dimension_size" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", dim = "),
            Attr("dimension", I64),
            Dict,
            T(Types::Functional),
        ],
        "complex" => &[Text(" "), Operand, Text(", "), Operand, Dict, T(Types::Complex)],
        "reduce_precision" => &[
            Text(" "),
            Operand,
            Text(", format = "),
            S(Special::ExponentMantissa),
            Dict,
            T(Types::Same),
        ],
        "cholesky" => &[
            Text(" "),
            Operand,
            Optional(&[Text(", lower = "), Attr("lower", Kind::Bool)]),
            Dict,
            T(Types::Same),
        ],
        "fft" => &[
            Text(" "),
            Operand,
            Text(", type = "),
            Attr("fft_type", Kind::Enum("fft_type")),
            Text(", length = "),
            Attr("fft_length", Kind::I64Array),
            Dict,
            T(Types::Functional),
        ],
        "rng" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", "),
            Operand,
            Text(", distribution = "),
            Attr("rng_distribution", Kind::Enum("rng_distribution")),
            Dict,
            T(Types::Functional),
        ],
        "rng_bit_generator" => &[
            Text(" "),
            Operand,
            Text(", algorithm = "),
            Attr("rng_algorithm", Kind::Enum("rng_algorithm")),
            Dict,
            T(Types::Functional),
        ],
        "tuple" => &[Text(" "), Operands, Dict, T(Types::Tuple)],
        "get_tuple_element" => &[
            Text(" "),
            Operand,
            Text("["),
            Attr("index", Kind::Integer("i32")),
            Text("]"),
            Dict,
            T(Types::Functional),
        ],
        "optimization_barrier" => &[Text(" "), Operands, Dict, T(Types::Pairwise)],
        "after_all" => &[Text(" "), Operands, Dict, T(Types::Same)],
        "create_token" | "partition_id" | "replica_id" => RESULT,
        "trace" => &[
            Text(" "),
            Operand,
            Text(", "),
            Attr("tag", Kind::String),
            Dict,
            T(Types::OperandsOnly),
        ],
        "einsum" => &[
            Text(" "),
            Operand,
            Text(", "),
            Operand,
            Text(", config = "),
            Attr("einsum_config", Kind::String),
            Dict,
            T(Types::Functional),
        ],
        "unary_einsum" => &[
            Text(" "),
            Operand,
            Text(", config = "),
            Attr("einsum_config", Kind::String),
            Dict,
            T(Types::Functional),
        ],
        "custom_call" => &[
            Text(" "),
            Attr("call_target_name", Kind::SymbolString),
            Text("("),
            Operands,
            Text(")"),
            Dict,
            T(Types::Functional),
        ],
        "composite" => &[
            Text(" "),
            Attr("name", Kind::String),
            Text(" "),
            Operands,
            Dict,
            T(Types::Functional),
        ],
        "return" => RETURN,
        _ => return None,
    })
}
