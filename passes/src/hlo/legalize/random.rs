//! Random numbers as 32-bit integer arithmetic over whole tensors.
//!
//! Before                                              After
//!   rng_bit_generator %state, THREE_FRY                 20 rounds of add, rotate, xor over iota counters
//!   rng_bit_generator %state, PHILOX or DEFAULT         10 rounds of 32 x 32-bit products in 16-bit halves
//!   rng UNIFORM or NORMAL                               Philox with key and counter 0, scaled
//!   bitcast_convert of a bitcast_convert back           the value itself
//!
//! Bits are XLA's (`xla/hlo/builder/lib/prng.cc`); `DEFAULT` is Philox as on XLA:CPU. `rng` may draw as it likes: we draw
//! the same numbers in every run (our choice), the 24 high bits of every second word for floats. A state of 64-bit words
//! is taken apart into 32-bit words, least significant first.
//!
//! Needs: verified static `hlo`, before 64-bit integers are legalized. Leaves: verified `hlo` without `rng` and
//! `rng_bit_generator`; `erf_inv` where normal numbers are drawn.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, OpId, OpKind, RngAlgorithm, RngDistribution, TensorType, UnaryOp, ValueId,
};
use ferrite_ir::literal::Literal;

use super::rewrite::{Rewrite, Step, operands, refuse, result_type};

/// The rule of `legalize-random`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    match b.func.op(op).kind.clone() {
        OpKind::RngBitGenerator(g) => bit_generator(b, op, g.algorithm),
        OpKind::Rng(r) => rng(b, op, r.distribution).map(|v| Some(vec![v])),
        OpKind::BitcastConvert => {
            let x = operands(b, op)[0];
            Ok(bitcast_source(b, x)
                .filter(|&s| b.func.ty(s) == b.func.ty(b.func.op(op).results[0]))
                .map(|s| vec![s]))
        }
        _ => Ok(None),
    }
}

/// The operand of the `bitcast_convert` that makes `v`.
fn bitcast_source(b: &Builder<'_>, v: ValueId) -> Option<ValueId> {
    let op = b.func.op(b.func.def(v)?);
    matches!(op.kind, OpKind::BitcastConvert).then(|| op.operands[0])
}

/// Arithmetic on `u32` tensors of one shape.
struct Words<'a, 'f> {
    b: &'a mut Builder<'f>,
    ty: TensorType,
}

impl Words<'_, '_> {
    fn constant(&mut self, value: u32) -> ValueId {
        self.b.constant_i(self.ty.clone(), i64::from(value))
    }

    fn binary(&mut self, op: BinaryOp, x: ValueId, y: ValueId) -> Step {
        Ok(self.b.binary(op, x, y)?)
    }

    fn add(&mut self, x: ValueId, y: ValueId) -> Step {
        self.binary(BinaryOp::Add, x, y)
    }

    fn xor(&mut self, x: ValueId, y: ValueId) -> Step {
        self.binary(BinaryOp::Xor, x, y)
    }

    fn shift_right(&mut self, x: ValueId, bits: u32) -> Step {
        let bits = self.constant(bits);
        self.binary(BinaryOp::ShiftRightLogical, x, bits)
    }

    fn low_half(&mut self, x: ValueId) -> Step {
        let mask = self.constant(0xFFFF);
        self.binary(BinaryOp::And, x, mask)
    }

    fn rotate_left(&mut self, x: ValueId, bits: u32) -> Step {
        let amount = self.constant(bits);
        let left = self.binary(BinaryOp::ShiftLeft, x, amount)?;
        let right = self.shift_right(x, 32 - bits)?;
        self.binary(BinaryOp::Or, left, right)
    }

    fn scalar(&mut self, x: ValueId) -> Step {
        Ok(self.b.broadcast_in_dim(x, &self.ty.shape, &[])?)
    }

    /// The sum of two words and whether it wrapped, as a word.
    fn add_with_carry(&mut self, x: ValueId, y: ValueId) -> Step<(ValueId, ValueId)> {
        let sum = self.add(x, y)?;
        let wrapped = self.b.compare(ComparisonDirection::Lt, sum, x)?;
        Ok((sum, self.b.convert(wrapped, DType::U32)?))
    }

    /// High and low word of a product, through products of 16-bit halves.
    fn multiply_wide(&mut self, x: ValueId, y: ValueId) -> Step<(ValueId, ValueId)> {
        let low = self.binary(BinaryOp::Multiply, x, y)?;
        let (xl, xh) = (self.low_half(x)?, self.shift_right(x, 16)?);
        let (yl, yh) = (self.low_half(y)?, self.shift_right(y, 16)?);
        let product = |s: &mut Self, a, b| s.binary(BinaryOp::Multiply, a, b);
        let (ll, lh) = (product(self, xl, yl)?, product(self, xl, yh)?);
        let (hl, hh) = (product(self, xh, yl)?, product(self, xh, yh)?);
        let mut middle = self.shift_right(ll, 16)?;
        let mut high = hh;
        for part in [lh, hl] {
            let low = self.low_half(part)?;
            middle = self.add(middle, low)?;
            let up = self.shift_right(part, 16)?;
            high = self.add(high, up)?;
        }
        let carry = self.shift_right(middle, 16)?;
        Ok((self.add(high, carry)?, low))
    }
}

/// High and low word of the products of `ui32` tensors of one shape.
pub(super) fn multiply_wide(b: &mut Builder<'_>, x: ValueId, y: ValueId) -> Step<(ValueId, ValueId)> {
    let ty = b.func.tensor(x).clone();
    Words { b, ty }.multiply_wide(x, y)
}

/// The 20 rounds of Threefry-2x32.
fn threefry(w: &mut Words<'_, '_>, key: [ValueId; 2], counter: [ValueId; 2]) -> Step<[ValueId; 2]> {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let parity = w.constant(0x1BD1_1BDA);
    let mixed = w.xor(key[0], key[1])?;
    let keys = [key[0], key[1], w.xor(mixed, parity)?];
    let mut x = [w.add(counter[0], keys[0])?, w.add(counter[1], keys[1])?];
    for group in 0..5usize {
        for rotation in ROTATIONS[group % 2] {
            x[0] = w.add(x[0], x[1])?;
            let rotated = w.rotate_left(x[1], rotation)?;
            x[1] = w.xor(rotated, x[0])?;
        }
        x[0] = w.add(x[0], keys[(group + 1) % 3])?;
        let injected = w.constant(group as u32 + 1);
        let second = w.add(keys[(group + 2) % 3], injected)?;
        x[1] = w.add(x[1], second)?;
    }
    Ok(x)
}

/// The 10 rounds of Philox-4x32.
fn philox(w: &mut Words<'_, '_>, mut key: [ValueId; 2], mut c: [ValueId; 4]) -> Step<[ValueId; 4]> {
    let factors = [w.constant(0xD251_1F53), w.constant(0xCD9E_8D57)];
    let steps = [w.constant(0x9E37_79B9), w.constant(0xBB67_AE85)];
    for round in 0..10 {
        if round > 0 {
            key = [w.add(key[0], steps[0])?, w.add(key[1], steps[1])?];
        }
        let (a_high, a_low) = w.multiply_wide(c[0], factors[0])?;
        let (b_high, b_low) = w.multiply_wide(c[2], factors[1])?;
        let first = w.xor(b_high, c[1])?;
        let third = w.xor(a_high, c[3])?;
        c = [w.xor(first, key[0])?, b_low, w.xor(third, key[1])?, a_low];
    }
    Ok(c)
}

/// `words` (least significant first, scalars) plus the index of each block.
fn count_up(w: &mut Words<'_, '_>, words: &[ValueId]) -> Step<Vec<ValueId>> {
    let index = w.b.iota(w.ty.clone(), 0)?;
    let mut carry = index;
    let mut out = Vec::with_capacity(words.len());
    for &word in words {
        let word = w.scalar(word)?;
        let (sum, next) = w.add_with_carry(word, carry)?;
        out.push(sum);
        carry = next;
    }
    Ok(out)
}

fn word_type(blocks: i64) -> Step<TensorType> {
    if blocks > i64::from(u32::MAX) {
        return Err(refuse(
            format!("{blocks} blocks of random bits are drawn at once; up to 4294967295 are"),
            "draw smaller tensors",
        ));
    }
    Ok(TensorType::new(DType::U32, &[blocks]))
}

fn bit_generator(b: &mut Builder<'_>, op: OpId, algorithm: RngAlgorithm) -> Rewrite {
    let state = operands(b, op)[0];
    let state_type = b.tensor(state)?.clone();
    let results: Vec<TensorType> = b
        .func
        .op(op)
        .results
        .iter()
        .map(|&r| b.func.tensor(r).clone())
        .collect();
    let bits = results[1].clone();
    let words = state_words(b, state)?;
    let width = bits.dtype.bits();
    if words.len() < 4 || !matches!(width, 8 | 16 | 32 | 64) || bits.dtype.is_complex() {
        return Err(refuse(
            format!("`stablehlo.rng_bit_generator` with state {state_type} and bits {bits}"),
            "use a state of two or three 64-bit words, and bits of 8 to 64 bits",
        ));
    }
    let count = bits.element_count() as i64;
    let mut next = words.clone();
    let (drawn, blocks) = if count == 0 {
        (None, 0)
    } else if algorithm == RngAlgorithm::ThreeFry {
        let (drawn, blocks) = threefry_words(b, &words, &bits)?;
        (Some(drawn), blocks)
    } else {
        let wanted = if width == 64 { 2 * count } else { count };
        let mut counter: Vec<ValueId> = words[2..words.len().min(6)].to_vec();
        if counter.len() == 2 {
            // With a state of two 64-bit words XLA takes the key as the upper half of the counter.
            counter.extend([words[0], words[1]]);
        }
        let drawn = philox_words(b, [words[0], words[1]], &counter, wanted)?;
        (Some(drawn), (wanted + 3) / 4)
    };
    advance(b, &mut next[2..], blocks)?;
    let drawn = match drawn {
        Some(drawn) => as_bits(b, drawn, &bits)?,
        None => b.constant_i(bits, 0),
    };
    let next = join_state(b, &next, &state_type)?;
    Ok(Some(vec![next, drawn]))
}

/// The 32-bit words of a state, least significant first, as scalars.
fn state_words(b: &mut Builder<'_>, state: ValueId) -> Step<Vec<ValueId>> {
    let ty = b.tensor(state)?.clone();
    let flat = match ty.dtype {
        DType::U32 => state,
        DType::U64 => {
            let shape = [ty.element_count() as i64, 2];
            if let Some([low, high]) = pair(b, state, &mut { CHAIN })? {
                let flat = [ty.element_count() as i64];
                let (low, high) = (b.reshape(low, &flat)?, b.reshape(high, &flat)?);
                let mut words = Vec::new();
                for i in 0..flat[0].min(8) {
                    for part in [low, high] {
                        let word = b.slice_dim(part, 0, i, 1)?;
                        words.push(b.reshape(word, &[])?);
                    }
                }
                words.truncate(8);
                return Ok(words);
            }
            match bitcast_source(b, state) {
                Some(source) if b.tensor(source)?.dtype == DType::U32 => source,
                _ => b.op1_as(OpKind::BitcastConvert, &[state], TensorType::new(DType::U32, &shape))?,
            }
        }
        _ => return Ok(Vec::new()),
    };
    let count = b.tensor(flat)?.element_count() as i64;
    let flat = b.reshape(flat, &[count])?;
    let mut words = Vec::with_capacity(count as usize);
    // States have four to six words; more are left alone by the caller's checks.
    for i in 0..count.min(8) {
        let word = b.slice_dim(flat, 0, i, 1)?;
        words.push(b.reshape(word, &[])?);
    }
    Ok(words)
}

/// How many operations of 64-bit arithmetic are followed from a state (our choice, bounds code size).
const CHAIN: u32 = 256;

/// Low and high word of a 64-bit integer that is computed from others: seeds step by multiplications modulo 2^64, of which
/// 32-bit arithmetic, which all else has, would lose the upper half. `None` where a value is not computed that way.
fn pair(b: &mut Builder<'_>, v: ValueId, budget: &mut u32) -> Step<Option<[ValueId; 2]>> {
    let ty = b.tensor(v)?.clone();
    if !matches!(ty.dtype, DType::I64 | DType::U64) {
        return Ok(None);
    }
    let word = ty.with_dtype(DType::U32);
    let Some(rest) = budget.checked_sub(1) else {
        return Ok(None);
    };
    *budget = rest;
    let Some(def) = b.func.def(v) else {
        // A parameter: its words as they lie in memory.
        return memory_words(b, v).map(Some);
    };
    let op = b.func.op(def).clone();
    let operand = |i: usize| op.operands[i];
    Ok(match &op.kind {
        OpKind::Constant(literal) => {
            let mut parts = [Vec::new(), Vec::new()];
            let count = if literal.is_splat() { 1 } else { ty.element_count() };
            for i in 0..count {
                let value = literal.get_i64(i);
                parts[0].extend((value as u32).to_le_bytes());
                parts[1].extend(((value >> 32) as u32).to_le_bytes());
            }
            let mut out = Vec::with_capacity(2);
            for part in parts {
                match Literal::new(word.clone(), part) {
                    Some(literal) => out.push(b.constant(literal)),
                    None => return Ok(None),
                }
            }
            Some([out[0], out[1]])
        }
        OpKind::Convert if b.tensor(operand(0))?.dtype.bits() == 64 => pair(b, operand(0), budget)?,
        OpKind::Reshape => match pair(b, operand(0), budget)? {
            Some([low, high]) => Some([b.reshape(low, &ty.shape)?, b.reshape(high, &ty.shape)?]),
            None => None,
        },
        OpKind::BroadcastInDim(dims) => match pair(b, operand(0), budget)? {
            Some([low, high]) => {
                let dims = &dims.broadcast_dimensions;
                let (low, high) = (
                    b.broadcast_in_dim(low, &ty.shape, dims)?,
                    b.broadcast_in_dim(high, &ty.shape, dims)?,
                );
                Some([low, high])
            }
            None => None,
        },
        OpKind::Concatenate(c) => {
            let (mut low, mut high) = (Vec::new(), Vec::new());
            for &v in &op.operands {
                let Some([l, h]) = pair(b, v, budget)? else {
                    return Ok(None);
                };
                low.push(l);
                high.push(h);
            }
            Some([b.concatenate(&low, c.dimension)?, b.concatenate(&high, c.dimension)?])
        }
        OpKind::Binary(kind @ (BinaryOp::Add | BinaryOp::Multiply)) => {
            let (Some(x), Some(y)) = (pair(b, operand(0), budget)?, pair(b, operand(1), budget)?) else {
                return Ok(None);
            };
            let mut w = Words { b, ty: word };
            if *kind == BinaryOp::Add {
                let (low, carry) = w.add_with_carry(x[0], y[0])?;
                let high = w.add(x[1], y[1])?;
                Some([low, w.add(high, carry)?])
            } else {
                let (high, low) = w.multiply_wide(x[0], y[0])?;
                let cross = w.binary(BinaryOp::Multiply, x[0], y[1])?;
                let high = w.add(high, cross)?;
                let cross = w.binary(BinaryOp::Multiply, x[1], y[0])?;
                Some([low, w.add(high, cross)?])
            }
        }
        _ => None,
    })
}

/// The words of 64-bit integers, as views of memory.
fn memory_words(b: &mut Builder<'_>, v: ValueId) -> Step<[ValueId; 2]> {
    let ty = b.tensor(v)?.clone();
    let mut shape = ty.shape.to_vec();
    shape.push(2);
    let both = b.op1_as(OpKind::BitcastConvert, &[v], TensorType::new(DType::U32, &shape))?;
    let last = shape.len() - 1;
    let mut out = [both; 2];
    for (i, word) in (0i64..).zip(&mut out) {
        let part = b.slice_dim(both, last, i, 1)?;
        *word = b.reshape(part, &ty.shape)?;
    }
    Ok(out)
}

fn join_state(b: &mut Builder<'_>, words: &[ValueId], ty: &TensorType) -> Step {
    let mut parts = Vec::with_capacity(words.len());
    for &word in words {
        parts.push(b.reshape(word, &[1])?);
    }
    let flat = b.concatenate(&parts, 0)?;
    if ty.dtype == DType::U32 {
        return Ok(b.reshape(flat, &ty.shape)?);
    }
    let pairs = b.reshape(flat, &[words.len() as i64 / 2, 2])?;
    Ok(b.op1_as(OpKind::BitcastConvert, &[pairs], ty.clone())?)
}

/// Adds a number of blocks to a counter of scalars, least significant first.
fn advance(b: &mut Builder<'_>, counter: &mut [ValueId], blocks: i64) -> Step<()> {
    let ty = TensorType::scalar(DType::U32);
    let mut w = Words { b, ty };
    let mut carry = w.constant(blocks as u32);
    for word in counter {
        (*word, carry) = w.add_with_carry(*word, carry)?;
    }
    Ok(())
}

/// Words for `bits` by ThreeFry, flat, and the number of blocks: both words of a block stand next to each other along
/// the first even dimension, else along the largest.
fn threefry_words(b: &mut Builder<'_>, state: &[ValueId], bits: &TensorType) -> Step<(ValueId, i64)> {
    let shape = &bits.shape;
    let (outer, split, inner) = if bits.dtype.bits() == 64 {
        (1, 2 * bits.element_count() as i64, 1)
    } else {
        let even = shape.iter().position(|n| n % 2 == 0);
        let largest = (0..shape.len()).rev().max_by_key(|&d| shape[d]);
        match even.or(largest) {
            Some(d) => (shape[..d].iter().product(), shape[d], shape[d + 1..].iter().product()),
            None => (1, 1, 1),
        }
    };
    let half = (split + 1) / 2;
    let blocks: i64 = outer * half * inner;
    let ty = word_type(blocks)?;
    let mut w = Words { b, ty };
    let counter = count_up(&mut w, &state[2..4])?;
    let key = [w.scalar(state[0])?, w.scalar(state[1])?];
    let words = threefry(&mut w, key, [counter[0], counter[1]])?;
    let mut sides = Vec::with_capacity(2);
    for word in words {
        sides.push(b.reshape(word, &[outer, half, 1, inner])?);
    }
    let both = b.concatenate(&sides, 2)?;
    let both = b.reshape(both, &[outer, 2 * half, inner])?;
    let kept = if split == 2 * half {
        both
    } else {
        b.slice_dim(both, 1, 0, split)?
    };
    Ok((b.reshape(kept, &[outer * split * inner])?, blocks))
}

/// `count` words by Philox, four to a counter, flat.
fn philox_words(b: &mut Builder<'_>, key: [ValueId; 2], counter: &[ValueId], count: i64) -> Step {
    let blocks = (count + 3) / 4;
    let ty = word_type(blocks)?;
    let mut w = Words { b, ty };
    let mut c = count_up(&mut w, counter)?;
    while c.len() < 4 {
        // A 64-bit counter does not carry into the words above.
        c.push(w.constant(0));
    }
    let key = [w.scalar(key[0])?, w.scalar(key[1])?];
    let words = philox(&mut w, key, [c[0], c[1], c[2], c[3]])?;
    let mut columns = Vec::with_capacity(4);
    for word in words {
        columns.push(b.reshape(word, &[blocks, 1])?);
    }
    let all = b.concatenate(&columns, 1)?;
    let all = b.reshape(all, &[blocks * 4])?;
    if blocks * 4 == count {
        return Ok(all);
    }
    Ok(b.slice_dim(all, 0, 0, count)?)
}

/// Flat words as elements of `ty`.
fn as_bits(b: &mut Builder<'_>, words: ValueId, ty: &TensorType) -> Step {
    let storage = match ty.dtype.bits() {
        8 => DType::U8,
        16 => DType::U16,
        32 => DType::U32,
        _ => DType::U64,
    };
    let x = if storage == DType::U64 {
        let pairs = b.reshape(words, &[ty.element_count() as i64, 2])?;
        let ty = TensorType::new(DType::U64, &[ty.element_count() as i64]);
        b.op1_as(OpKind::BitcastConvert, &[pairs], ty)?
    } else {
        b.convert(words, storage)?
    };
    let x = b.reshape(x, &ty.shape)?;
    if storage == ty.dtype {
        return Ok(x);
    }
    Ok(b.bitcast(x, ty.dtype)?)
}

fn rng(b: &mut Builder<'_>, op: OpId, distribution: RngDistribution) -> Step {
    let o = operands(b, op);
    let ty = result_type(b, op);
    let (low, high) = (o[0], o[1]);
    let count = ty.element_count() as i64;
    if count == 0 {
        return Ok(b.constant_i(ty, 0));
    }
    if ty.dtype.is_complex() || ty.dtype.bits() > 32 {
        return Err(refuse(
            format!("`stablehlo.rng` of `{}`", ty.dtype),
            "draw 32-bit numbers and convert them",
        ));
    }
    let zero = b.constant_i(TensorType::scalar(DType::U32), 0);
    let words = philox_words(b, [zero, zero], &[zero, zero], 2 * count)?;
    let pairs = b.reshape(words, &[count, 2])?;
    let word = b.slice_dim(pairs, 1, 1, 1)?;
    let word = b.reshape(word, &ty.shape)?;
    if !ty.dtype.is_float() {
        return integers(b, word, low, high, &ty);
    }
    let wide = ty.with_dtype(DType::F32);
    let eight = b.like_i(word, 8)?;
    let top = b.binary(BinaryOp::ShiftRightLogical, word, eight)?;
    // 24 bits are exact in f32, and so is the scale.
    let top = b.bitcast(top, DType::I32)?;
    let unit = b.convert(top, DType::F32)?;
    let scale = b.constant_f(wide.clone(), 1.0 / f64::from(1 << 24));
    let unit = b.mul(unit, scale)?;
    let mut bound = Vec::with_capacity(2);
    for v in [low, high] {
        let v = b.convert(v, DType::F32)?;
        bound.push(b.broadcast_in_dim(v, &ty.shape, &[])?);
    }
    match distribution {
        RngDistribution::Uniform => {
            let span = b.sub(bound[1], bound[0])?;
            let scaled = b.mul(unit, span)?;
            let value = b.add(bound[0], scaled)?;
            let value = b.convert(value, ty.dtype)?;
            // Rounding may reach the upper bound, which is excluded.
            let back = b.convert(value, DType::F32)?;
            let below = b.compare(ComparisonDirection::Lt, back, bound[1])?;
            let low = b.convert(bound[0], ty.dtype)?;
            Ok(b.select(below, value, low)?)
        }
        RngDistribution::Normal => {
            // The middle of each of the 2^24 intervals, mapped to (-1, 1).
            let two = b.constant_f(wide.clone(), 2.0);
            let shift = b.constant_f(wide.clone(), 1.0 / f64::from(1 << 24) - 1.0);
            let centred = b.mul(unit, two)?;
            let centred = b.add(centred, shift)?;
            let quantile = b.unary(UnaryOp::ErfInv, centred)?;
            let root = b.constant_f(wide, std::f64::consts::SQRT_2);
            let normal = b.mul(quantile, root)?;
            let scaled = b.mul(normal, bound[1])?;
            let value = b.add(bound[0], scaled)?;
            Ok(b.convert(value, ty.dtype)?)
        }
    }
}

/// `low + floor(word / 2^32 * (high - low))`.
fn integers(b: &mut Builder<'_>, word: ValueId, low: ValueId, high: ValueId, ty: &TensorType) -> Step {
    let mut bound = Vec::with_capacity(2);
    for v in [low, high] {
        let v = b.convert(v, DType::U32)?;
        bound.push(b.broadcast_in_dim(v, &ty.shape, &[])?);
    }
    let span = b.sub(bound[1], bound[0])?;
    let words = TensorType::new(DType::U32, &ty.shape);
    let (index, _) = Words { b, ty: words }.multiply_wide(word, span)?;
    let value = b.add(bound[0], index)?;
    Ok(b.convert(value, ty.dtype)?)
}
