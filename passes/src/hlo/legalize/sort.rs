//! Sorts and selects the largest by networks of element-wise steps.
//!
//! Before                                              After
//!   sort(%x, %y) ({ comparator }), any dimension        bitonic network over whole tensors: slices of stride 2^t,
//!   top_k %x, k                                         comparator on whole tensors, select, concatenate
//!                                                       few largest: k times maximum, first index, cross out
//!
//! The dimension sorted becomes the last one. Its length is padded to a power of two. A column of positions makes
//! every order total: equal elements keep their order (a stable sort), and padding goes to the end.
//! `top_k` orders floats as XLA does: NaN is the largest; zeros of either sign, and NaN of either, are equal where few of
//! many are wanted.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo` without `sort` and `top_k`.

use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{BinaryOp, Builder, ComparisonDirection, Dims, OpId, OpKind, TensorType, TopK, ValueId, neutral};
use ferrite_ir::literal::Literal;

use super::body::apply_body;
use super::data::total_order_key;
use super::reduce::equals_or_nan;
use super::rewrite::{Rewrite, Step, operands, refuse, result_type};

/// Longest dimension that is sorted (our choice: a network of 153 stages, some thousands of operations).
const MAX_LENGTH: i64 = 1 << 17;

/// Rows up to this length are sorted to find more than a few (our choice).
const SHORT: i64 = 16;

/// The rule of `legalize-sort`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    match b.func.op(op).kind.clone() {
        OpKind::Sort(s) => {
            let o = operands(b, op);
            let rank = b.tensor(o[0])?.rank() as i64;
            let dimension = if s.dimension < 0 {
                s.dimension + rank
            } else {
                s.dimension
            };
            let body = b.func.op(op).regions[0];
            let mut precedes = |b: &mut Builder<'_>, x: &[ValueId], y: &[ValueId]| -> Step {
                // The comparator's arguments alternate: first of the left, first of the right, ...
                let args: Vec<ValueId> = x.iter().zip(y).flat_map(|(&x, &y)| [x, y]).collect();
                let shape = b.tensor(x[0])?.shape.clone();
                Ok(apply_body(b, body, &args, &shape)?[0])
            };
            sort(b, &o, dimension as usize, s.is_stable, &mut precedes).map(Some)
        }
        OpKind::TopK(t) => top_k(b, op, t),
        _ => Ok(None),
    }
}

/// Whether the elements of the first list come before those of the second.
type Precedes<'a> = dyn FnMut(&mut Builder<'_>, &[ValueId], &[ValueId]) -> Step + 'a;

/// Sorts all `inputs` along `d`.
fn sort(
    b: &mut Builder<'_>,
    inputs: &[ValueId],
    d: usize,
    stable: bool,
    precedes: &mut Precedes<'_>,
) -> Step<Vec<ValueId>> {
    let shape = b.tensor(inputs[0])?.shape.clone();
    let n = shape.get(d).copied().unwrap_or(1);
    if n <= 1 || shape.contains(&0) {
        return Ok(inputs.to_vec());
    }
    if n > MAX_LENGTH {
        return Err(refuse(
            format!("`stablehlo.sort` of {n} elements; up to {MAX_LENGTH} are sorted"),
            "sort shorter rows, or select the largest with top_k first",
        ));
    }
    let last = shape.len() - 1;
    let order: Vec<i64> = (0..shape.len())
        .filter(|&x| x != d)
        .chain([d])
        .map(|x| x as i64)
        .collect();
    let mut back = vec![0; shape.len()];
    for (i, &x) in order.iter().enumerate() {
        back[x as usize] = i as i64;
    }
    let rows: i64 = shape.iter().product::<i64>() / n;
    let padded = (n as u64).next_power_of_two() as i64;
    let mut columns = Vec::with_capacity(inputs.len() + 1);
    for &x in inputs {
        let x = b.transpose(x, &order)?;
        let x = b.reshape(x, &[rows, n])?;
        columns.push(pad_to(b, x, padded)?);
    }
    let positions = stable || padded != n;
    if positions {
        columns.push(b.iota(TensorType::new(DType::I32, &[rows, padded]), 1)?);
    }
    let network = Network {
        rows,
        length: padded,
        valid: (padded != n).then_some(n),
        positions,
    };
    let sorted = network.run(b, columns, precedes)?;
    let mut turned: Dims = order.iter().map(|&x| shape[x as usize]).collect();
    turned[last] = n;
    let mut out = Vec::with_capacity(inputs.len());
    for &x in &sorted[..inputs.len()] {
        let x = if padded == n { x } else { b.slice_dim(x, 1, 0, n)? };
        let x = b.reshape(x, &turned)?;
        out.push(b.transpose(x, &back)?);
    }
    Ok(out)
}

fn pad_to(b: &mut Builder<'_>, x: ValueId, length: i64) -> Step {
    let ty = b.tensor(x)?.clone();
    let missing = length - ty.shape[1];
    if missing == 0 {
        return Ok(x);
    }
    let zero = b.constant_i(TensorType::scalar(ty.dtype), 0);
    Ok(b.pad(x, zero, &[0, 0], &[0, missing], &[0, 0])?)
}

/// A bitonic network over columns `[rows, length]`, the last of which may be positions.
struct Network {
    rows: i64,
    length: i64,
    /// Positions from here on are padding.
    valid: Option<i64>,
    positions: bool,
}

impl Network {
    fn run(&self, b: &mut Builder<'_>, mut columns: Vec<ValueId>, precedes: &mut Precedes<'_>) -> Step<Vec<ValueId>> {
        let stages = self.length.ilog2();
        for stage in 1..=stages {
            for step in (0..stage).rev() {
                columns = self.exchange(b, &columns, stage, step, precedes)?;
            }
        }
        Ok(columns)
    }

    /// Compares elements `2^step` apart and puts them in order: ascending or, in every second block of `2^stage`,
    /// descending.
    fn exchange(
        &self,
        b: &mut Builder<'_>,
        columns: &[ValueId],
        stage: u32,
        step: u32,
        precedes: &mut Precedes<'_>,
    ) -> Step<Vec<ValueId>> {
        let distance = 1i64 << step;
        let blocks = self.length / (2 * distance);
        let half = [self.rows, blocks, distance];
        let mut low = Vec::with_capacity(columns.len());
        let mut high = Vec::with_capacity(columns.len());
        for &c in columns {
            let split = b.reshape(c, &[self.rows, blocks, 2, distance])?;
            for (side, list) in [(0, &mut low), (1, &mut high)] {
                let part = b.slice_dim(split, 2, side, 1)?;
                list.push(b.reshape(part, &half)?);
            }
        }
        let mut swap = self.before(b, &high, &low, precedes)?;
        if (1 << stage) < self.length {
            let descending: Vec<u8> = (0..blocks)
                .map(|block| u8::from((block * 2 * distance) >> stage & 1 == 1))
                .collect();
            let ty = TensorType::new(DType::Bool, &[blocks]);
            let descending = Literal::new(ty, descending)
                .ok_or_else(|| ferrite_ir::hlo::Violation::new("constant", "wrong number of values"))?;
            let descending = b.constant(descending);
            let descending = b.broadcast_in_dim(descending, &half, &[1])?;
            swap = b.binary(BinaryOp::Xor, swap, descending)?;
        }
        let mut out = Vec::with_capacity(columns.len());
        for (&l, &h) in low.iter().zip(&high) {
            let first = b.select(swap, h, l)?;
            let second = b.select(swap, l, h)?;
            let side = [self.rows, blocks, 1, distance];
            let first = b.reshape(first, &side)?;
            let second = b.reshape(second, &side)?;
            let joined = b.concatenate(&[first, second], 2)?;
            out.push(b.reshape(joined, &[self.rows, self.length])?);
        }
        Ok(out)
    }

    /// Whether `x` comes before `y` in the order of the comparator, positions deciding between equals.
    fn before(&self, b: &mut Builder<'_>, x: &[ValueId], y: &[ValueId], precedes: &mut Precedes<'_>) -> Step {
        if !self.positions {
            return precedes(b, x, y);
        }
        let keys = x.len() - 1;
        let less = precedes(b, &x[..keys], &y[..keys])?;
        let greater = precedes(b, &y[..keys], &x[..keys])?;
        let earlier = b.compare(ComparisonDirection::Lt, x[keys], y[keys])?;
        let not_greater = b.unary(ferrite_ir::hlo::UnaryOp::Not, greater)?;
        let tie = b.binary(BinaryOp::And, not_greater, earlier)?;
        let order = b.binary(BinaryOp::Or, less, tie)?;
        let Some(valid) = self.valid else { return Ok(order) };
        // Padding comes after everything else, in the order of positions.
        let end = b.like_i(x[keys], valid)?;
        let x_real = b.compare(ComparisonDirection::Lt, x[keys], end)?;
        let y_real = b.compare(ComparisonDirection::Lt, y[keys], end)?;
        let both = b.binary(BinaryOp::And, x_real, order)?;
        b.select(y_real, both, earlier).map_err(Into::into)
    }
}

fn top_k(b: &mut Builder<'_>, op: OpId, t: TopK) -> Rewrite {
    let x = operands(b, op)[0];
    let ty = b.tensor(x)?.clone();
    let result = result_type(b, op);
    let indices = result.with_dtype(DType::I32);
    if result.element_count() == 0 {
        return Ok(Some(vec![b.constant_i(result, 0), b.constant_i(indices, 0)]));
    }
    let last = ty.rank() - 1;
    let n = ty.shape[last];
    let rows = ty.element_count() as i64 / n;
    let flat = b.reshape(x, &[rows, n])?;
    let stages = i64::from((n.max(2) as u64).next_power_of_two().ilog2());
    // A round reads the row a few times, like a stage of the network. Short rows of which much is wanted are sorted, by
    // the total order: a network of few steps.
    let short = n <= SHORT && t.k > n / 4;
    let (values, places) = if t.k <= stages * (stages + 1) / 2 && !short {
        by_rounds(b, flat, t)?
    } else {
        by_sorting(b, flat, t)?
    };
    let values = b.reshape(values, &result.shape)?;
    let places = b.reshape(places, &indices.shape)?;
    Ok(Some(vec![values, places]))
}

/// `k` times: the extremum, the first place it stands at, which is then crossed out.
fn by_rounds(b: &mut Builder<'_>, x: ValueId, t: TopK) -> Step<(ValueId, ValueId)> {
    let ty = b.tensor(x)?.clone();
    let (rows, n) = (ty.shape[0], ty.shape[1]);
    let op = if t.largest {
        BinaryOp::Maximum
    } else {
        BinaryOp::Minimum
    };
    let worst = neutral(op, &ty).ok_or_else(|| {
        refuse(
            format!("`chlo.top_k` of `{}`", ty.dtype),
            "select the largest of real numbers",
        )
    })?;
    let worst = b.constant(worst);
    let place_type = TensorType::new(DType::I32, &[rows, n]);
    let places = b.iota(place_type.clone(), 1)?;
    let nowhere = b.constant_i(place_type, n);
    let mut left: Option<ValueId> = None;
    let mut current = x;
    let (mut values, mut found) = (Vec::new(), Vec::new());
    for round in 0..t.k {
        let best = b.reduce(op, current, &[1])?;
        let mut hit = equals_or_nan(b, current, best, &[1])?;
        if let Some(left) = left {
            hit = b.binary(BinaryOp::And, hit, left)?;
        }
        let candidates = b.select(hit, places, nowhere)?;
        let first = b.reduce(BinaryOp::Minimum, candidates, &[1])?;
        values.push(b.reshape(best, &[rows, 1])?);
        found.push(b.reshape(first, &[rows, 1])?);
        if round + 1 == t.k {
            break;
        }
        let first = b.broadcast_in_dim(first, &[rows, n], &[0])?;
        let other = b.compare(ComparisonDirection::Ne, places, first)?;
        current = b.select(other, current, worst)?;
        left = Some(match left {
            None => other,
            Some(left) => b.binary(BinaryOp::And, left, other)?,
        });
    }
    Ok((join(b, &values)?, join(b, &found)?))
}

fn join(b: &mut Builder<'_>, columns: &[ValueId]) -> Step {
    match columns {
        [one] => Ok(*one),
        _ => Ok(b.concatenate(columns, 1)?),
    }
}

fn by_sorting(b: &mut Builder<'_>, x: ValueId, t: TopK) -> Step<(ValueId, ValueId)> {
    let ty = b.tensor(x)?.clone();
    let key = if ty.dtype.class() == DTypeClass::Float {
        total_order_key(b, x)?
    } else {
        x
    };
    let places = b.iota(TensorType::new(DType::I32, &ty.shape), 1)?;
    let direction = if t.largest {
        ComparisonDirection::Gt
    } else {
        ComparisonDirection::Lt
    };
    let mut precedes =
        |b: &mut Builder<'_>, x: &[ValueId], y: &[ValueId]| -> Step { Ok(b.compare(direction, x[0], y[0])?) };
    let sorted = sort(b, &[key, x, places], 1, true, &mut precedes)?;
    let values = b.slice_dim(sorted[1], 1, 0, t.k)?;
    let places = b.slice_dim(sorted[2], 1, 0, t.k)?;
    Ok((values, places))
}
