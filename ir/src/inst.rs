//! The documented instruction set of the Vector, Scalar and GpSimd engines, once for both lower levels.
//!
//! An [`Inst`] is generic over its operands: at `tile` they are views of tiles, at `isa` access patterns with
//! addresses. Names are NKI's. The source of every row is section 3 of the machine reference; costs and limits are the
//! machine model's. TensorE, DMA and control instructions differ between the levels and live there.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Arithmetic, comparison or bit operation of an engine's ALU. Arithmetic and comparisons happen in fp32 on Vector and
/// Scalar (32-bit integers are exact on GpSimd only); bit operations on the raw integers. A comparison yields 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // NKI's names
pub enum AluOp {
    Add,
    Subtract,
    Multiply,
    Max,
    Min,
    IsEqual,
    NotEqual,
    IsGe,
    IsGt,
    IsLe,
    IsLt,
    LogicalAnd,
    LogicalOr,
    LogicalXor,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    ShiftLeft,
    /// Logical; an arithmetic right shift is not offered.
    ShiftRight,
    /// GpSimd only.
    Power,
    /// v4 only.
    AbsMax,
    /// v4 only.
    AbsMin,
}

impl AluOp {
    /// Every operation, in declaration order.
    pub const ALL: [AluOp; 22] = {
        use AluOp::*;
        [
            Add, Subtract, Multiply, Max, Min, IsEqual, NotEqual, IsGe, IsGt, IsLe, IsLt, LogicalAnd, LogicalOr,
            LogicalXor, BitwiseAnd, BitwiseOr, BitwiseXor, ShiftLeft, ShiftRight, Power, AbsMax, AbsMin,
        ]
    };

    /// Whether raw bits are combined rather than numbers.
    pub const fn is_bitwise(self) -> bool {
        use AluOp::*;
        matches!(self, BitwiseAnd | BitwiseOr | BitwiseXor | ShiftLeft | ShiftRight)
    }

    /// Name in text.
    pub const fn name(self) -> &'static str {
        use AluOp::*;
        match self {
            Add => "add",
            Subtract => "subtract",
            Multiply => "multiply",
            Max => "max",
            Min => "min",
            IsEqual => "is_equal",
            NotEqual => "not_equal",
            IsGe => "is_ge",
            IsGt => "is_gt",
            IsLe => "is_le",
            IsLt => "is_lt",
            LogicalAnd => "logical_and",
            LogicalOr => "logical_or",
            LogicalXor => "logical_xor",
            BitwiseAnd => "bitwise_and",
            BitwiseOr => "bitwise_or",
            BitwiseXor => "bitwise_xor",
            ShiftLeft => "logical_shift_left",
            ShiftRight => "logical_shift_right",
            Power => "power",
            AbsMax => "abs_max",
            AbsMin => "abs_min",
        }
    }
}

/// Function of ScalarE's `activation`, applied to `src * scale + bias` in fp32. Valid ranges: section 3.4 of the machine
/// reference (`sin` takes [-pi, pi], `log` [2^-64, 2^64], ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // NKI's names
pub enum ActFunc {
    Copy,
    Abs,
    Sign,
    Square,
    Relu,
    Exp,
    Sigmoid,
    Silu,
    SiluDx,
    GeluApprxSigmoid,
    GeluApprxSigmoidDx,
    Tanh,
    GeluApprxTanh,
    Gelu,
    GeluDx,
    Erf,
    ErfDx,
    Softplus,
    Mish,
    Log,
    Sqrt,
    Rsqrt,
    Reciprocal,
    Sin,
    Arctan,
}

impl ActFunc {
    /// Every function, in declaration order.
    pub const ALL: [ActFunc; 25] = {
        use ActFunc::*;
        [
            Copy,
            Abs,
            Sign,
            Square,
            Relu,
            Exp,
            Sigmoid,
            Silu,
            SiluDx,
            GeluApprxSigmoid,
            GeluApprxSigmoidDx,
            Tanh,
            GeluApprxTanh,
            Gelu,
            GeluDx,
            Erf,
            ErfDx,
            Softplus,
            Mish,
            Log,
            Sqrt,
            Rsqrt,
            Reciprocal,
            Sin,
            Arctan,
        ]
    };

    /// Number of the table set that holds the function; 0 is always resident. The grouping is our assumption (section
    /// 3.4 of the machine reference): the documents only say that a table must be loaded.
    pub const fn table_set(self) -> u8 {
        use ActFunc::*;
        match self {
            Copy | Abs | Sign | Square | Relu => 0,
            Exp => 1,
            Sigmoid | Silu | SiluDx | GeluApprxSigmoid | GeluApprxSigmoidDx => 2,
            Tanh | GeluApprxTanh => 3,
            Gelu | GeluDx | Erf | ErfDx => 4,
            Softplus | Mish => 5,
            Log => 6,
            Sqrt | Rsqrt | Reciprocal => 7,
            Sin => 8,
            Arctan => 9,
        }
    }

    /// Name in text.
    pub const fn name(self) -> &'static str {
        use ActFunc::*;
        match self {
            Copy => "copy",
            Abs => "abs",
            Sign => "sign",
            Square => "square",
            Relu => "relu",
            Exp => "exp",
            Sigmoid => "sigmoid",
            Silu => "silu",
            SiluDx => "silu_dx",
            GeluApprxSigmoid => "gelu_apprx_sigmoid",
            GeluApprxSigmoidDx => "gelu_apprx_sigmoid_dx",
            Tanh => "tanh",
            GeluApprxTanh => "gelu_apprx_tanh",
            Gelu => "gelu",
            GeluDx => "gelu_dx",
            Erf => "erf",
            ErfDx => "erf_dx",
            Softplus => "softplus",
            Mish => "mish",
            Log => "log",
            Sqrt => "sqrt",
            Rsqrt => "rsqrt",
            Reciprocal => "reciprocal",
            Sin => "sin",
            Arctan => "arctan",
        }
    }
}

/// A scalar operand: an fp32 immediate (bits, so that operations compare and hash), or one value per partition
/// (`[P, 1]`). For bitwise operations the immediate's bits are the integer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scalar<A> {
    /// Bits of an fp32 constant (of an integer for bitwise operations).
    Imm(u32),
    /// One value per partition; fp32 for arithmetic.
    PerPartition(A),
}

impl<A> Scalar<A> {
    /// An fp32 immediate.
    pub fn f32(value: f32) -> Self {
        Scalar::Imm(value.to_bits())
    }
}

/// One step of a `tensor_scalar`: `x op scalar`, or `scalar op x` if reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScalarStep<A> {
    /// Operation.
    pub op: AluOp,
    /// Scalar operand.
    pub scalar: Scalar<A>,
    /// Whether the scalar is the left operand.
    pub reverse: bool,
}

/// Steps of an affine sequence over the free dimensions of a destination, outermost first.
pub type Steps = SmallVec<[i32; 4]>;

/// Reads a list without reserving room for the length it announces, which a damaged file may have made huge.
pub(crate) fn short_list<'de, D, A>(deserializer: D) -> Result<SmallVec<A>, D::Error>
where
    D: serde::Deserializer<'de>,
    A: smallvec::Array,
    A::Item: Deserialize<'de>,
{
    struct List<A>(std::marker::PhantomData<A>);

    impl<'de, A: smallvec::Array> serde::de::Visitor<'de> for List<A>
    where
        A::Item: Deserialize<'de>,
    {
        type Value = SmallVec<A>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<S: serde::de::SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
            let mut list = SmallVec::new();
            while let Some(item) = seq.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(List(std::marker::PhantomData))
}

/// An instruction of the Vector, Scalar or GpSimd engine. Every operand of one instruction covers as many elements per
/// partition as the destination, unless said otherwise; free dimensions may be factored differently.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Inst<A> {
    /// ScalarE: `dst = func(src * scale + bias)`; with `accumulate`, its `[P, 1]` operand receives the fp32 sum of the
    /// results over the free dimensions.
    Activation {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// Function.
        func: ActFunc,
        /// Factor: fp32 immediate or per partition.
        scale: Scalar<A>,
        /// Summand per partition; an immediate other than 0 from v3 on only.
        bias: Scalar<A>,
        /// Sum of the results, one per partition.
        accumulate: Option<A>,
    },
    /// `dst = a op b`. VectorE in fp32, GpSimdE for 32-bit integers (exact, wrapping) and `power`.
    TensorTensor {
        /// Result.
        dst: A,
        /// Left operand.
        a: A,
        /// Right operand; not in PSUM if `a` is.
        b: A,
        /// Operation.
        op: AluOp,
    },
    /// VectorE: `dst = (src first) second`.
    TensorScalar {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// First step.
        first: ScalarStep<A>,
        /// Second step; bitwise if and only if the first is.
        second: Option<ScalarStep<A>>,
    },
    /// VectorE: `dst = (src op0 scalar) op1 b`, arithmetic only.
    ScalarTensorTensor {
        /// Result.
        dst: A,
        /// Operand of the first step.
        src: A,
        /// First step.
        first: ScalarStep<A>,
        /// Operand of the second step.
        b: A,
        /// Second operation: `first op1 b`, or `b op1 first` if reversed.
        op1: AluOp,
        /// Whether `b` is the left operand of `op1`.
        reverse1: bool,
    },
    /// VectorE: `r[i] = (a[i] op0 r[i-1]) op1 b[i]` along the free dimension.
    TensorTensorScan {
        /// Results.
        dst: A,
        /// Left operand.
        a: A,
        /// Right operand.
        b: A,
        /// `r[-1]`.
        initial: Scalar<A>,
        /// First operation.
        op0: AluOp,
        /// Second operation.
        op1: AluOp,
    },
    /// VectorE: reduces the last `dims` free dimensions of `src`; `dst` has the others.
    TensorReduce {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// Operation (add, multiply, max, min, bitwise and/or/xor).
        op: AluOp,
        /// How many trailing free dimensions of `src` disappear, at least 1.
        dims: u8,
        /// Whether the result is negated.
        negate: bool,
    },
    /// VectorE: count, mean and variance times count of the even and the odd elements: 6 fp32 values per partition.
    BnStats {
        /// `[P, 6]` fp32.
        dst: A,
        /// At most 512 elements per partition.
        src: A,
    },
    /// VectorE: combines triples of [`Inst::BnStats`] into mean and variance: 2 fp32 values per partition.
    BnAggr {
        /// `[P, 2]` fp32.
        dst: A,
        /// `[P, 3 n]` fp32.
        src: A,
    },
    /// Copies with a cast through fp32; exact when the dtypes agree. VectorE, GpSimdE (SBUF only), ScalarE from v3 on.
    TensorCopy {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
    },
    /// VectorE, GpSimdE: fills with one element given by its raw bits in `dst`'s dtype.
    Memset {
        /// Result.
        dst: A,
        /// Raw bits of the element.
        bits: u32,
    },
    /// VectorE: where `pred` is not zero copies `src`, elsewhere keeps `dst` (which is therefore read as well).
    CopyPredicated {
        /// Result and other operand; same dtype as `src`.
        dst: A,
        /// Operand.
        src: A,
        /// `u8`, `u16` or `u32` (signed ones too).
        pred: A,
    },
    /// VectorE: `1 / src` in fp32.
    Reciprocal {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
    },
    /// VectorE: transposes every 32 x 32 block on its own (rows are partitions); any dtype, exact.
    Transpose32 {
        /// Result, same dtype.
        dst: A,
        /// Operand.
        src: A,
    },
    /// VectorE: lane permutation inside each quadrant of 32 partitions; 255 keeps the destination lane.
    StreamShuffle {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// 32 source lanes.
        mask: Vec<u8>,
    },
    /// VectorE: the 8 largest values per partition, descending.
    Max8 {
        /// `[P, 8]`.
        dst: A,
        /// 8 to 16,384 elements per partition.
        src: A,
    },
    /// VectorE: first position of each of 8 values; all ones where absent.
    FindIndex8 {
        /// `[P, 8]` `u16` or `u32`.
        dst: A,
        /// Where to look.
        src: A,
        /// `[P, 8]` values.
        values: A,
    },
    /// VectorE: copies `src` with the first match of each of 8 values replaced (duplicates from slot 7 down).
    MatchReplace8 {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// `[P, 8]` values.
        values: A,
        /// fp32 bits of the replacement.
        replacement: u32,
    },
    /// GpSimdE: `dst[p, i...] = base + channel_multiplier * p + sum(steps * i)` as int32, cast to any dtype; `p` counts
    /// from the first partition of `dst`.
    Iota {
        /// Result.
        dst: A,
        /// Value at the origin.
        base: i32,
        /// Step per partition.
        channel_multiplier: i32,
        /// Step per free dimension of `dst`, outermost first.
        #[serde(deserialize_with = "short_list")]
        steps: Steps,
    },
    /// GpSimdE, SBUF only: `dst = (base + channel_multiplier * p + sum(steps * i)) compare 0 ? src : fill`.
    AffineSelect {
        /// Result.
        dst: A,
        /// Operand.
        src: A,
        /// Value at the origin.
        base: i32,
        /// Step per partition.
        channel_multiplier: i32,
        /// Step per free dimension of `dst`, outermost first.
        #[serde(deserialize_with = "short_list")]
        steps: Steps,
        /// Comparison with 0 (one of the six).
        compare: AluOp,
        /// fp32 bits of the other value.
        fill: u32,
    },
    /// GpSimdE: per-lane gather, `dst[p, i] = src[p, index[p, i]]`; indices `u32` in range.
    NGather {
        /// Result.
        dst: A,
        /// Data.
        src: A,
        /// `u32` (or non-negative `i32`) indices.
        index: A,
    },
    /// GpSimdE: reduces over the partitions into partition 0 of `dst` (add, max, bitwise or, bitwise and).
    PartitionReduce {
        /// `[1, N]`.
        dst: A,
        /// `[P, N]`.
        src: A,
        /// Operation.
        op: AluOp,
    },
}

/// How an instruction uses an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Read in full.
    Read,
    /// Written in full, not read.
    Write,
    /// Read and written (predicated copies).
    ReadWrite,
    /// A `[P, 1]` scalar that is read.
    ReadScalar,
    /// A `[P, 1]` sum that is written.
    WriteScalar,
}

impl Role {
    /// Whether memory is read.
    pub const fn reads(self) -> bool {
        matches!(self, Role::Read | Role::ReadWrite | Role::ReadScalar)
    }

    /// Whether memory is written.
    pub const fn writes(self) -> bool {
        matches!(self, Role::Write | Role::ReadWrite | Role::WriteScalar)
    }
}

impl<A> Scalar<A> {
    fn map<'a, B, E>(&'a self, f: &mut impl FnMut(Role, &'a A) -> Result<B, E>) -> Result<Scalar<B>, E> {
        Ok(match self {
            Scalar::Imm(bits) => Scalar::Imm(*bits),
            Scalar::PerPartition(a) => Scalar::PerPartition(f(Role::ReadScalar, a)?),
        })
    }
}

impl<A> ScalarStep<A> {
    /// `x op constant`.
    pub fn imm(op: AluOp, value: f32) -> Self {
        ScalarStep {
            op,
            scalar: Scalar::f32(value),
            reverse: false,
        }
    }

    /// `x op scalar[p]`.
    pub fn per_partition(op: AluOp, scalar: A) -> Self {
        ScalarStep {
            op,
            scalar: Scalar::PerPartition(scalar),
            reverse: false,
        }
    }

    /// The same with the scalar on the left.
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    fn map<'a, B, E>(&'a self, f: &mut impl FnMut(Role, &'a A) -> Result<B, E>) -> Result<ScalarStep<B>, E> {
        Ok(ScalarStep {
            op: self.op,
            scalar: self.scalar.map(f)?,
            reverse: self.reverse,
        })
    }
}

impl<A> Inst<A> {
    /// Rewrites every operand, keeping everything else. Results come first, then operands in declaration order.
    pub fn try_map<'a, B, E>(&'a self, f: &mut impl FnMut(Role, &'a A) -> Result<B, E>) -> Result<Inst<B>, E> {
        use Role::*;
        Ok(match self {
            Inst::Activation {
                dst,
                src,
                func,
                scale,
                bias,
                accumulate,
            } => Inst::Activation {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                func: *func,
                scale: scale.map(f)?,
                bias: bias.map(f)?,
                accumulate: accumulate.as_ref().map(|a| f(WriteScalar, a)).transpose()?,
            },
            Inst::TensorTensor { dst, a, b, op } => Inst::TensorTensor {
                dst: f(Write, dst)?,
                a: f(Read, a)?,
                b: f(Read, b)?,
                op: *op,
            },
            Inst::TensorScalar {
                dst,
                src,
                first,
                second,
            } => Inst::TensorScalar {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                first: first.map(f)?,
                second: second.as_ref().map(|s| s.map(f)).transpose()?,
            },
            Inst::ScalarTensorTensor {
                dst,
                src,
                first,
                b,
                op1,
                reverse1,
            } => Inst::ScalarTensorTensor {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                first: first.map(f)?,
                b: f(Read, b)?,
                op1: *op1,
                reverse1: *reverse1,
            },
            Inst::TensorTensorScan {
                dst,
                a,
                b,
                initial,
                op0,
                op1,
            } => Inst::TensorTensorScan {
                dst: f(Write, dst)?,
                a: f(Read, a)?,
                b: f(Read, b)?,
                initial: initial.map(f)?,
                op0: *op0,
                op1: *op1,
            },
            Inst::TensorReduce {
                dst,
                src,
                op,
                dims,
                negate,
            } => Inst::TensorReduce {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                op: *op,
                dims: *dims,
                negate: *negate,
            },
            Inst::BnStats { dst, src } => Inst::BnStats {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::BnAggr { dst, src } => Inst::BnAggr {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::TensorCopy { dst, src } => Inst::TensorCopy {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::Memset { dst, bits } => Inst::Memset {
                dst: f(Write, dst)?,
                bits: *bits,
            },
            Inst::CopyPredicated { dst, src, pred } => Inst::CopyPredicated {
                dst: f(ReadWrite, dst)?,
                src: f(Read, src)?,
                pred: f(Read, pred)?,
            },
            Inst::Reciprocal { dst, src } => Inst::Reciprocal {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::Transpose32 { dst, src } => Inst::Transpose32 {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::StreamShuffle { dst, src, mask } => {
                // Lanes marked 255 keep what they hold, so the destination counts as read when there are any.
                let role = if mask.contains(&u8::MAX) { ReadWrite } else { Write };
                Inst::StreamShuffle {
                    dst: f(role, dst)?,
                    src: f(Read, src)?,
                    mask: mask.clone(),
                }
            }
            Inst::Max8 { dst, src } => Inst::Max8 {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
            },
            Inst::FindIndex8 { dst, src, values } => Inst::FindIndex8 {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                values: f(Read, values)?,
            },
            Inst::MatchReplace8 {
                dst,
                src,
                values,
                replacement,
            } => Inst::MatchReplace8 {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                values: f(Read, values)?,
                replacement: *replacement,
            },
            Inst::Iota {
                dst,
                base,
                channel_multiplier,
                steps,
            } => Inst::Iota {
                dst: f(Write, dst)?,
                base: *base,
                channel_multiplier: *channel_multiplier,
                steps: steps.clone(),
            },
            Inst::AffineSelect {
                dst,
                src,
                base,
                channel_multiplier,
                steps,
                compare,
                fill,
            } => Inst::AffineSelect {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                base: *base,
                channel_multiplier: *channel_multiplier,
                steps: steps.clone(),
                compare: *compare,
                fill: *fill,
            },
            Inst::NGather { dst, src, index } => Inst::NGather {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                index: f(Read, index)?,
            },
            Inst::PartitionReduce { dst, src, op } => Inst::PartitionReduce {
                dst: f(Write, dst)?,
                src: f(Read, src)?,
                op: *op,
            },
        })
    }

    /// Calls `f` with every operand and its role.
    pub fn for_each<'a>(&'a self, mut f: impl FnMut(Role, &'a A)) {
        let done: Result<Inst<()>, std::convert::Infallible> = self.try_map(&mut |role, a| {
            f(role, a);
            Ok(())
        });
        let Ok(_) = done;
    }

    /// NKI's name of the instruction.
    pub const fn name(&self) -> &'static str {
        match self {
            Inst::Activation { .. } => "activation",
            Inst::TensorTensor { .. } => "tensor_tensor",
            Inst::TensorScalar { .. } => "tensor_scalar",
            Inst::ScalarTensorTensor { .. } => "scalar_tensor_tensor",
            Inst::TensorTensorScan { .. } => "tensor_tensor_scan",
            Inst::TensorReduce { .. } => "tensor_reduce",
            Inst::BnStats { .. } => "bn_stats",
            Inst::BnAggr { .. } => "bn_aggr",
            Inst::TensorCopy { .. } => "tensor_copy",
            Inst::Memset { .. } => "memset",
            Inst::CopyPredicated { .. } => "tensor_copy_predicated",
            Inst::Reciprocal { .. } => "reciprocal",
            Inst::Transpose32 { .. } => "transpose",
            Inst::StreamShuffle { .. } => "nc_stream_shuffle",
            Inst::Max8 { .. } => "max8",
            Inst::FindIndex8 { .. } => "nc_find_index8",
            Inst::MatchReplace8 { .. } => "nc_match_replace8",
            Inst::Iota { .. } => "iota",
            Inst::AffineSelect { .. } => "affine_select",
            Inst::NGather { .. } => "nc_n_gather",
            Inst::PartitionReduce { .. } => "partition_reduce",
        }
    }

    /// The destination.
    pub fn dst(&self) -> &A {
        match self {
            Inst::Activation { dst, .. }
            | Inst::TensorTensor { dst, .. }
            | Inst::TensorScalar { dst, .. }
            | Inst::ScalarTensorTensor { dst, .. }
            | Inst::TensorTensorScan { dst, .. }
            | Inst::TensorReduce { dst, .. }
            | Inst::BnStats { dst, .. }
            | Inst::BnAggr { dst, .. }
            | Inst::TensorCopy { dst, .. }
            | Inst::Memset { dst, .. }
            | Inst::CopyPredicated { dst, .. }
            | Inst::Reciprocal { dst, .. }
            | Inst::Transpose32 { dst, .. }
            | Inst::StreamShuffle { dst, .. }
            | Inst::Max8 { dst, .. }
            | Inst::FindIndex8 { dst, .. }
            | Inst::MatchReplace8 { dst, .. }
            | Inst::Iota { dst, .. }
            | Inst::AffineSelect { dst, .. }
            | Inst::NGather { dst, .. }
            | Inst::PartitionReduce { dst, .. } => dst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicated_copies_read_their_destination() {
        let inst = Inst::CopyPredicated {
            dst: 1,
            src: 2,
            pred: 3,
        };
        let mut seen = Vec::new();
        inst.for_each(|role, &a| seen.push((role, a)));
        assert_eq!(seen, [(Role::ReadWrite, 1), (Role::Read, 2), (Role::Read, 3)]);
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        struct Announced(std::ops::Range<i32>);
        impl Iterator for Announced {
            type Item = i32;
            fn next(&mut self) -> Option<i32> {
                self.0.next()
            }
            fn size_hint(&self) -> (usize, Option<usize>) {
                (usize::MAX, Some(usize::MAX))
            }
        }
        let list = serde::de::value::SeqDeserializer::<_, serde::de::value::Error>::new(Announced(0..3));
        assert_eq!(short_list::<_, [i32; 4]>(list).unwrap().as_slice(), [0, 1, 2]);
    }
}
