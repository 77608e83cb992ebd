//! Element by element.

use super::super::types::Dims;

macro_rules! mnemonics {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // the names are the specification's
        pub enum $name { $($variant,)* }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Full mnemonic, dialect included.
            pub const fn mnemonic(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The variant with this mnemonic.
            pub fn from_mnemonic(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

mnemonics! {
    /// Operations of one operand, of the same shape as the result.
    UnaryOp {
        Abs = "stablehlo.abs",
        Cbrt = "stablehlo.cbrt",
        Ceil = "stablehlo.ceil",
        CountLeadingZeros = "stablehlo.count_leading_zeros",
        Cosine = "stablehlo.cosine",
        Exponential = "stablehlo.exponential",
        ExponentialMinusOne = "stablehlo.exponential_minus_one",
        Floor = "stablehlo.floor",
        Imag = "stablehlo.imag",
        IsFinite = "stablehlo.is_finite",
        Log = "stablehlo.log",
        LogPlusOne = "stablehlo.log_plus_one",
        Logistic = "stablehlo.logistic",
        Negate = "stablehlo.negate",
        Not = "stablehlo.not",
        PopulationCount = "stablehlo.popcnt",
        Real = "stablehlo.real",
        RoundNearestAfz = "stablehlo.round_nearest_afz",
        RoundNearestEven = "stablehlo.round_nearest_even",
        Rsqrt = "stablehlo.rsqrt",
        Sign = "stablehlo.sign",
        Sine = "stablehlo.sine",
        Sqrt = "stablehlo.sqrt",
        Tan = "stablehlo.tan",
        Tanh = "stablehlo.tanh",
        Acos = "chlo.acos",
        Acosh = "chlo.acosh",
        Asin = "chlo.asin",
        Asinh = "chlo.asinh",
        Atan = "chlo.atan",
        Atanh = "chlo.atanh",
        BesselI1e = "chlo.bessel_i1e",
        Conj = "chlo.conj",
        Cosh = "chlo.cosh",
        Digamma = "chlo.digamma",
        Erf = "chlo.erf",
        ErfInv = "chlo.erf_inv",
        Erfc = "chlo.erfc",
        IsInf = "chlo.is_inf",
        IsNegInf = "chlo.is_neg_inf",
        IsPosInf = "chlo.is_pos_inf",
        Lgamma = "chlo.lgamma",
        Sinh = "chlo.sinh",
        Square = "chlo.square",
        ChloTan = "chlo.tan",
    }
}

mnemonics! {
    /// Operations of two operands of the same shape.
    BinaryOp {
        Add = "stablehlo.add",
        And = "stablehlo.and",
        Atan2 = "stablehlo.atan2",
        Divide = "stablehlo.divide",
        Maximum = "stablehlo.maximum",
        Minimum = "stablehlo.minimum",
        Multiply = "stablehlo.multiply",
        Or = "stablehlo.or",
        Power = "stablehlo.power",
        Remainder = "stablehlo.remainder",
        ShiftLeft = "stablehlo.shift_left",
        ShiftRightArithmetic = "stablehlo.shift_right_arithmetic",
        ShiftRightLogical = "stablehlo.shift_right_logical",
        Subtract = "stablehlo.subtract",
        Xor = "stablehlo.xor",
        NextAfter = "chlo.next_after",
        Polygamma = "chlo.polygamma",
        Zeta = "chlo.zeta",
    }
}

impl BinaryOp {
    /// Whether `f(a, b) = f(b, a)`.
    pub const fn is_commutative(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | And | Maximum | Minimum | Multiply | Or | Xor)
    }
}

/// `chlo.broadcast_*`: a binary operation or comparison with implicit broadcasting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChloBroadcast {
    /// Mnemonic without `chlo.broadcast_` (`add`, `compare`, `select`, ...).
    pub op: String,
    /// Result dimensions that the lower-rank operand maps to; right-aligned if absent.
    pub broadcast_dimensions: Option<Dims>,
    /// For `broadcast_compare`.
    pub compare: Option<Compare>,
}

mnemonics! {
    /// Direction of a comparison.
    ComparisonDirection { Eq = "EQ", Ne = "NE", Ge = "GE", Gt = "GT", Le = "LE", Lt = "LT", }
}

mnemonics! {
    /// How operands are compared.
    ComparisonType {
        Float = "FLOAT",
        TotalOrder = "TOTALORDER",
        WeakOrder = "WEAKORDER",
        Signed = "SIGNED",
        Unsigned = "UNSIGNED",
        NoType = "NOTYPE",
    }
}

/// Attributes of `stablehlo.compare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    /// The relation.
    pub direction: ComparisonDirection,
    /// The order it is taken in; `NoType` means the one natural to the operand type.
    pub compare_type: ComparisonType,
}

/// Attributes of `stablehlo.reduce_precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReducePrecision {
    /// Exponent bits kept.
    pub exponent_bits: i64,
    /// Mantissa bits kept.
    pub mantissa_bits: i64,
}

/// Attributes of `stablehlo.map` (one region).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MapOp {
    /// Always all dimensions in order.
    pub dimensions: Dims,
}

/// Attributes of `stablehlo.iota` and `dynamic_iota`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Iota {
    /// The dimension along which values count up.
    pub iota_dimension: i64,
}
