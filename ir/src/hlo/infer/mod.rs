//! Result types of every operation, in the words and with the constraint numbers of the StableHLO specification.
//!
//! In: an operation's kind, the types of its operands, what its regions yield, and the types its author wrote, if any.
//! Out: its result types, or the constraint it breaks. Where the specification lets the author choose (`reshape`,
//! `convert`, `iota`, ...) the written type is required and checked; elsewhere it must be compatible with the inferred
//! one, and it is what is returned (it may know a dimension that the operands leave open, or the reverse).
//!
//! Nothing here panics or overflows on any attribute values. Block arguments are not here: see [`super::verify`].

mod collective;
mod contraction;
mod control;
mod elementwise;
mod indexing;
mod movement;
mod reduction;
mod special;
#[cfg(test)]
mod tests;

use std::fmt;

pub use elementwise::chlo_binary;
pub use movement::is_permutation;

use super::ops::OpKind;
use super::types::{DYNAMIC, Dims, TensorType, Type};
use crate::diag::{Code, Diagnostic};

/// A broken rule of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule: operation and constraint number as in the StableHLO specification (`transpose C2`), or the operation
    /// alone for its input signature.
    pub constraint: String,
    /// What is wrong, with the numbers.
    pub message: String,
}

impl Violation {
    /// A violation of `constraint`.
    pub fn new(constraint: impl Into<String>, message: impl Into<String>) -> Violation {
        Violation {
            constraint: constraint.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.constraint)
    }
}

impl From<Violation> for Diagnostic {
    fn from(v: Violation) -> Diagnostic {
        Diagnostic::error(Code::Verify, v.to_string())
    }
}

pub(crate) type Infer<T> = Result<T, Violation>;

/// Types of an operation's results.
///
/// `regions` holds, per region, the types its terminator yields. `hint` holds the types its author wrote.
///
/// # Errors
/// The constraint that does not hold, or the result type that is missing.
pub fn infer(kind: &OpKind, operands: &[&Type], regions: &[Vec<Type>], hint: Option<&[Type]>) -> Infer<Vec<Type>> {
    let inferred = checked(kind, operands, regions, hint)?;
    Ok(hint.map_or(inferred, <[Type]>::to_vec))
}

/// Checks the types that are written of an operation's results.
///
/// # Errors
/// As [`infer`].
pub(crate) fn check(kind: &OpKind, operands: &[&Type], regions: &[Vec<Type>], written: &[Type]) -> Infer<()> {
    checked(kind, operands, regions, Some(written)).map(drop)
}

/// Types that follow from the operands; those that are written are compatible with them.
fn checked(kind: &OpKind, operands: &[&Type], regions: &[Vec<Type>], hint: Option<&[Type]>) -> Infer<Vec<Type>> {
    let cx = Cx {
        name: short_name(kind),
        operands,
        regions,
        hint,
    };
    if let Some(count) = kind.region_count()
        && count != regions.len()
    {
        return Err(cx.violation(
            "regions",
            format!("`{}` has {} regions instead of {count}", cx.name, regions.len()),
        ));
    }
    let inferred = infer_kind(kind, &cx)?;
    let Some(hint) = hint else { return Ok(inferred) };
    if hint.len() != inferred.len() {
        return Err(cx.violation(
            "results",
            format!(
                "{} result types are written where there are {}",
                hint.len(),
                inferred.len()
            ),
        ));
    }
    for (i, (written, inferred)) in hint.iter().zip(&inferred).enumerate() {
        if !compatible(written, inferred) {
            return Err(cx.violation(
                "results",
                format!("result {i} is {inferred} by its operands, but {written} is written"),
            ));
        }
    }
    Ok(inferred)
}

fn infer_kind(kind: &OpKind, cx: &Cx<'_>) -> Infer<Vec<Type>> {
    use OpKind::*;
    let one = |t: Infer<TensorType>| t.map(|t| vec![Type::Tensor(t)]);
    match kind {
        Constant(literal) => {
            cx.arity(0)?;
            Ok(vec![literal.ty().clone().into()])
        }
        Iota(iota) => one(movement::iota(cx, iota)),
        DynamicIota(iota) => one(movement::dynamic_iota(cx, iota)),
        Unary(op) => one(elementwise::unary(cx, *op)),
        Binary(op) => one(elementwise::binary(cx, *op)),
        ChloBroadcastBinary(b) => one(elementwise::chlo_broadcast(cx, b)),
        Compare(c) => one(elementwise::compare(cx, c)),
        Select => one(elementwise::select(cx)),
        Clamp => one(elementwise::clamp(cx)),
        Convert => one(elementwise::convert(cx)),
        BitcastConvert => one(elementwise::bitcast_convert(cx)),
        ReducePrecision(r) => one(elementwise::reduce_precision(cx, r)),
        Complex => one(elementwise::complex(cx)),
        UniformQuantize => one(elementwise::uniform_quantize(cx)),
        UniformDequantize => one(elementwise::uniform_dequantize(cx)),
        Map(m) => one(elementwise::map(cx, m)),
        DotGeneral(d) => one(contraction::dot_general(cx, d)),
        Dot(_) => one(contraction::dot(cx)),
        RaggedDot(d) => one(contraction::ragged_dot(cx, d)),
        Convolution(c) => one(contraction::convolution(cx, c)),
        DynamicConv(c) => one(contraction::dynamic_conv(cx, c)),
        Einsum(e) => one(contraction::einsum(cx, &e.config, 2)),
        UnaryEinsum(e) => one(contraction::einsum(cx, &e.config, 1)),
        BroadcastInDim(b) => one(movement::broadcast_in_dim(cx, b)),
        Broadcast(b) => one(movement::broadcast(cx, b)),
        DynamicBroadcastInDim(b) => one(movement::dynamic_broadcast_in_dim(cx, b)),
        Reshape => one(movement::reshape(cx)),
        DynamicReshape => one(movement::dynamic_reshape(cx)),
        Transpose(t) => one(movement::transpose(cx, t)),
        Slice(s) => one(movement::slice(cx, s)),
        RealDynamicSlice => one(movement::real_dynamic_slice(cx)),
        DynamicSlice(s) => one(movement::dynamic_slice(cx, s)),
        DynamicUpdateSlice => one(movement::dynamic_update_slice(cx)),
        Pad(p) => one(movement::pad(cx, p)),
        DynamicPad => one(movement::dynamic_pad(cx)),
        Reverse(r) => one(movement::reverse(cx, r)),
        Concatenate(c) => one(movement::concatenate(cx, c)),
        GetDimensionSize(d) => one(movement::get_dimension_size(cx, d)),
        SetDimensionSize(d) => one(movement::set_dimension_size(cx, d)),
        Gather(g) => one(indexing::gather(cx, g, true)),
        DynamicGather(g) => one(indexing::gather(cx, g, false)),
        Scatter(s) => indexing::scatter(cx, s),
        TorchIndexSelect(t) => one(indexing::torch_index_select(cx, t)),
        Reduce(r) => reduction::reduce(cx, r),
        ReduceWindow(r) => reduction::reduce_window(cx, r),
        SelectAndScatter(s) => one(reduction::select_and_scatter(cx, s)),
        Sort(s) => reduction::sort(cx, s),
        TopK(t) => reduction::top_k(cx, t),
        BatchNormTraining(b) => reduction::batch_norm_training(cx, b),
        BatchNormInference(b) => one(reduction::batch_norm_inference(cx, b)),
        BatchNormGrad(b) => reduction::batch_norm_grad(cx, b),
        Cholesky(_) => one(special::cholesky(cx)),
        TriangularSolve(t) => one(special::triangular_solve(cx, t)),
        Fft(f) => one(special::fft(cx, f)),
        Rng(r) => one(special::rng(cx, r)),
        RngBitGenerator(_) => special::rng_bit_generator(cx),
        While => control::while_loop(cx),
        If => control::branches(cx, true),
        Case => control::branches(cx, false),
        Call(_) | Composite(_) | CustomCall(_) | ManualComputation(_) => cx.all_hints(),
        Tuple => Ok(vec![Type::Tuple(cx.operands.iter().map(|&t| t.clone()).collect())]),
        GetTupleElement(g) => control::get_tuple_element(cx, g),
        OptimizationBarrier => Ok(cx.operands.iter().map(|&t| t.clone()).collect()),
        AfterAll | CreateToken => control::after_all(cx),
        Infeed(_) => control::infeed(cx),
        Outfeed(_) => control::outfeed(cx),
        AsyncStart => control::async_start(cx),
        AsyncDone => control::async_done(cx),
        AllGather(a) => collective::all_gather(cx, a),
        AllReduce(_) | CollectiveReduce(_) => collective::all_reduce(cx),
        CollectiveBroadcast(_) | CrossReplicaSum(_) => collective::same(cx),
        CollectivePermute(p) => collective::collective_permute(cx, p),
        ReduceScatter(r) => collective::reduce_scatter(cx, r),
        AllToAll(a) => collective::all_to_all(cx, a),
        PartitionId | ReplicaId => {
            cx.arity(0)?;
            Ok(vec![TensorType::scalar(crate::dtype::DType::U32).into()])
        }
        Send(_) => {
            cx.token(cx.operands.len().wrapping_sub(1))?;
            Ok(vec![Type::Token])
        }
        Recv(_) => {
            cx.arity(1)?;
            cx.token(0)?;
            control::ends_with_token(cx)
        }
        ShardingConstraint(_) => {
            cx.arity(1)?;
            collective::same(cx)
        }
    }
}

/// The mnemonic without its dialect, as in the headings of the specification.
fn short_name(kind: &OpKind) -> &'static str {
    let full = kind.mnemonic();
    full.split_once('.').map_or(full, |(_, name)| name)
}

/// What is known about one operation while its types are inferred.
pub(crate) struct Cx<'a> {
    /// Mnemonic without dialect.
    pub name: &'static str,
    pub operands: &'a [&'a Type],
    pub regions: &'a [Vec<Type>],
    pub hint: Option<&'a [Type]>,
}

impl<'a> Cx<'a> {
    pub fn violation(&self, constraint: &str, message: impl Into<String>) -> Violation {
        Violation::new(format!("{} {constraint}", self.name), message)
    }

    /// Fails with `constraint` unless `holds`.
    pub fn check(&self, holds: bool, constraint: &str, message: impl FnOnce() -> String) -> Infer<()> {
        if holds {
            Ok(())
        } else {
            Err(self.violation(constraint, message()))
        }
    }

    pub fn arity(&self, count: usize) -> Infer<()> {
        self.check(self.operands.len() == count, "operands", || {
            format!(
                "`{}` takes {count} operands, {} are given",
                self.name,
                self.operands.len()
            )
        })
    }

    pub fn at_least(&self, count: usize) -> Infer<()> {
        self.check(self.operands.len() >= count, "operands", || {
            format!(
                "`{}` takes at least {count} operands, {} are given",
                self.name,
                self.operands.len()
            )
        })
    }

    /// Operand `i` as a tensor type.
    pub fn tensor(&self, i: usize) -> Infer<&'a TensorType> {
        match self.operands.get(i) {
            Some(Type::Tensor(t)) => Ok(t),
            Some(other) => Err(self.violation("operands", format!("operand {i} must be a tensor, it is {other}"))),
            None => Err(self.violation("operands", format!("operand {i} of `{}` is missing", self.name))),
        }
    }

    /// All operands from `range` as tensor types.
    pub fn tensors(&self, range: std::ops::Range<usize>) -> Infer<Vec<&'a TensorType>> {
        range.map(|i| self.tensor(i)).collect()
    }

    pub fn token(&self, i: usize) -> Infer<()> {
        match self.operands.get(i) {
            Some(Type::Token) => Ok(()),
            _ => Err(self.violation("operands", format!("operand {i} of `{}` must be a token", self.name))),
        }
    }

    /// The written type of result `i`, for operations whose result the operands do not determine.
    pub fn hint_tensor(&self, i: usize) -> Infer<&'a TensorType> {
        match self.hint.and_then(|h| h.get(i)) {
            Some(Type::Tensor(t)) => Ok(t),
            Some(other) => Err(self.violation("results", format!("result {i} must be a tensor, it is {other}"))),
            None => Err(self.violation(
                "results",
                format!("the type of result {i} of `{}` must be given", self.name),
            )),
        }
    }

    /// The written type of result `i`, if there is one and it is a tensor.
    pub fn maybe_hint(&self, i: usize) -> Option<&'a TensorType> {
        self.hint.and_then(|h| h.get(i)).and_then(Type::tensor)
    }

    /// All written types.
    pub fn all_hints(&self) -> Infer<Vec<Type>> {
        match self.hint {
            Some(hint) => Ok(hint.to_vec()),
            None => Err(self.violation("results", format!("the result types of `{}` must be given", self.name))),
        }
    }

    /// A scalar integer operand.
    pub fn scalar_int(&self, i: usize, constraint: &str) -> Infer<()> {
        let t = self.tensor(i)?;
        self.check(t.rank() == 0 && t.dtype.is_int(), constraint, || {
            format!("operand {i} must be an integer scalar, it is {t}")
        })
    }

    /// A dimension number within `rank`, as an index.
    pub fn dim(&self, d: i64, rank: usize, constraint: &str) -> Infer<usize> {
        usize::try_from(d)
            .ok()
            .filter(|&d| d < rank)
            .ok_or_else(|| self.violation(constraint, format!("dimension {d} is outside of rank {rank}")))
    }

    /// Distinct dimension numbers within `rank`.
    pub fn dims(&self, dims: &[i64], rank: usize, constraint: &str) -> Infer<()> {
        for (i, &d) in dims.iter().enumerate() {
            self.dim(d, rank, constraint)?;
            self.check(!dims[..i].contains(&d), constraint, || {
                format!("dimension {d} stands twice in {:?}", dims)
            })?;
        }
        Ok(())
    }

    /// A list with one entry per dimension.
    pub fn length(&self, length: usize, rank: usize, what: &str, constraint: &str) -> Infer<()> {
        self.check(length == rank, constraint, || {
            format!("{what} has {length} entries for {rank} dimensions")
        })
    }

    /// Operands `i` and `j` have the same element type.
    pub fn same_dtype(&self, a: &TensorType, b: &TensorType, constraint: &str) -> Infer<()> {
        self.check(a.dtype == b.dtype || quantized(a) || quantized(b), constraint, || {
            format!("element types {} and {} differ", a.dtype, b.dtype)
        })
    }

    /// Both have the same shape, as far as it is known.
    pub fn same_shape(&self, a: &TensorType, b: &TensorType, constraint: &str) -> Infer<()> {
        self.check(same_shape(&a.shape, &b.shape), constraint, || {
            format!("shapes of {a} and {b} differ")
        })
    }

    /// What region `r` yields, as scalars; checked for count.
    pub fn yields(&self, r: usize, count: usize) -> Infer<Vec<&'a TensorType>> {
        let yielded = self.regions.get(r).map_or(&[][..], |t| t.as_slice());
        self.check(yielded.len() == count, "body", || {
            format!("region {r} yields {} values instead of {count}", yielded.len())
        })?;
        yielded
            .iter()
            .map(|t| match t {
                Type::Tensor(t) => Ok(t),
                other => Err(self.violation("body", format!("region {r} yields {other} instead of a tensor"))),
            })
            .collect()
    }
}

/// Whether the tensor is quantized: its storage type then says nothing about its meaning.
pub(crate) fn quantized(t: &TensorType) -> bool {
    t.extra.as_ref().is_some_and(|e| e.quantization.is_some())
}

/// Whether two sizes agree as far as they are known.
pub(crate) fn same_size(a: i64, b: i64) -> bool {
    a == b || a == DYNAMIC || b == DYNAMIC
}

/// Whether two shapes agree as far as they are known.
pub fn same_shape(a: &[i64], b: &[i64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same_size(a, b))
}

/// Whether two types agree as far as they are known: dynamic sizes match any size, quantized element types any.
pub fn compatible(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Tensor(a), Type::Tensor(b)) => {
            (a.dtype == b.dtype || quantized(a) || quantized(b)) && same_shape(&a.shape, &b.shape)
        }
        (Type::Tuple(a), Type::Tuple(b)) | (Type::Future(a), Type::Future(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| compatible(a, b))
        }
        (Type::Token, Type::Token) => true,
        _ => false,
    }
}

/// Checks that a type can exist: sizes are not negative and the bytes of the tensor can be counted.
pub(crate) fn check_type(ty: &Type) -> Infer<()> {
    match ty {
        Type::Tensor(t) => {
            let mut bytes = t.dtype.bytes() as i64;
            for &d in &t.shape {
                if d == DYNAMIC {
                    continue;
                }
                if d < 0 {
                    return Err(Violation::new("types", format!("{t} has a negative size")));
                }
                bytes = bytes
                    .checked_mul(d.max(1))
                    .ok_or_else(|| Violation::new("types", format!("{t} has more bytes than can be counted")))?;
            }
            Ok(())
        }
        Type::Token => Ok(()),
        Type::Tuple(types) | Type::Future(types) => types.iter().try_for_each(check_type),
    }
}

/// The more precise of two compatible sizes.
pub(crate) fn merge_size(a: i64, b: i64) -> i64 {
    if a == DYNAMIC { b } else { a }
}

/// The most precise shape of several compatible ones.
pub(crate) fn merge_shapes<'s>(shapes: impl IntoIterator<Item = &'s Dims>) -> Dims {
    let mut out: Option<Dims> = None;
    for shape in shapes {
        match &mut out {
            None => out = Some(shape.clone()),
            Some(out) => {
                for (a, &b) in out.iter_mut().zip(shape) {
                    *a = merge_size(*a, b);
                }
            }
        }
    }
    out.unwrap_or_default()
}

/// Size of a dilated, padded, strided window's positions along one dimension (spec: `num_windows`), `None` when it
/// cannot be counted.
pub(crate) struct Window {
    pub size: i64,
    pub stride: i64,
    pub low: i64,
    pub high: i64,
    pub base_dilation: i64,
    pub window_dilation: i64,
}

impl Window {
    /// Number of positions of the window over `input` elements.
    pub fn positions(&self, input: i64) -> i64 {
        if input == DYNAMIC {
            return DYNAMIC;
        }
        let dilated = |n: i64, by: i64| if n == 0 { 0 } else { (n as i128 - 1) * by as i128 + 1 };
        let padded = dilated(input, self.base_dilation) + self.low as i128 + self.high as i128;
        let window = dilated(self.size, self.window_dilation);
        if padded <= 0 || window > padded {
            0
        } else {
            i64::try_from((padded - window) / self.stride.max(1) as i128 + 1).unwrap_or(i64::MAX)
        }
    }
}
