//! Words as inputs and operations of a random program; see `random_programs`.

use ferrite_interp::Tensor;
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, Built, Compare, ComparisonDirection, ComparisonType, DotDims, DynamicSlice, Func, Gather,
    OpKind, ReducePrecision, ReduceWindow, Scatter, Sort, TensorType, Type, UnaryOp, ValueId,
};
use ferrite_ir::literal::{Literal, int_range, write_f64, write_i64};

/// A value and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub value: ValueId,
    /// Whether device and interpreter must agree on every bit.
    pub exact: bool,
    /// Whether infinities, NaN or huge numbers may be inside.
    pub wild: bool,
    /// Whether the signs of its zeros and NaNs may be other ones on the device: results of arithmetic on floats.
    pub signless: bool,
    /// Largest magnitude of the terms that were summed.
    pub scale: f64,
}

/// Random choices; all are the first one when the words have run out.
pub struct Words<'w> {
    words: &'w [u32],
    at: usize,
}

impl<'w> Words<'w> {
    pub fn new(words: &'w [u32]) -> Words<'w> {
        Words { words, at: 0 }
    }

    fn next(&mut self) -> u32 {
        let word = self.words.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        word
    }

    pub fn below(&mut self, n: usize) -> usize {
        // The upper half: small words stay small choices, and all bits of the word matter.
        ((u64::from(self.next()) * n as u64) >> 32) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == one_in - 1
    }
}

const DTYPES: [DType; 20] = [
    DType::F32,
    DType::F32,
    DType::F32,
    DType::I32,
    DType::I32,
    DType::BF16,
    DType::BF16,
    DType::F16,
    DType::U32,
    DType::I8,
    DType::U8,
    DType::I16,
    DType::U16,
    DType::Bool,
    DType::I4,
    DType::U4,
    DType::F8E5M2,
    DType::F8E4M3,
    DType::I64,
    DType::C64,
];

const DIMS: [i64; 16] = [1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 33, 64, 127, 129, 130, 300];

fn shape(words: &mut Words<'_>) -> Vec<i64> {
    let rank = words.pick(&[2usize, 1, 2, 3, 0, 4, 2, 3, 5]);
    let mut shape = Vec::new();
    let mut count = 1;
    for _ in 0..rank {
        let mut d = words.pick(&DIMS);
        if words.chance(40) {
            d = 0;
        }
        if count * d > 6000 {
            d = words.pick(&[1, 2, 3]);
        }
        count *= d.max(1);
        shape.push(d);
    }
    shape
}

/// A generator of element values.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// How the elements of an input are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Drawn {
    Small,
    Ordinary,
    Wild,
}

fn element(dtype: DType, drawn: Drawn, bits: &mut Bits, out: &mut [u8]) {
    match dtype.class() {
        DTypeClass::Bool => out[0] = (bits.next() & 1) as u8,
        DTypeClass::Signed | DTypeClass::Unsigned => {
            let (low, high) = match dtype {
                // Values that 32 bits hold: 64-bit integers are computed in them.
                DType::I64 => int_range(DType::I32),
                DType::U64 => int_range(DType::U32),
                other => int_range(other),
            };
            // Products of 64-bit integers must stay within the 32 bits in which they are computed.
            let drawn = if dtype.bits() == 64 { Drawn::Small } else { drawn };
            let value = match drawn {
                Drawn::Small => (bits.next() % 9) as i128 - 4,
                _ if bits.next().is_multiple_of(8) => match bits.next() % 6 {
                    0 => low,
                    1 => high,
                    2 => low + 1,
                    3 => high - 1,
                    4 => 0,
                    _ => 1,
                },
                Drawn::Ordinary => (bits.next() % 2001) as i128 - 1000,
                Drawn::Wild => low + (bits.next() as i128).rem_euclid(high - low + 1),
            };
            write_i64(dtype, value.clamp(low, high) as i64, out);
        }
        DTypeClass::Float => {
            let special = [
                0.0,
                -0.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
                1.0,
                -1.0,
                0.5,
                2.5,
                1e30,
                -1e-30,
                65504.0,
            ];
            // Products of 64-bit integers must stay within the 32 bits in which they are computed.
            let drawn = if dtype.bits() == 64 { Drawn::Small } else { drawn };
            let value = match drawn {
                Drawn::Small => (bits.next() % 9) as f64 - 4.0,
                Drawn::Ordinary => (bits.unit() - 0.5) * 8.0,
                Drawn::Wild if bits.next().is_multiple_of(3) => special[(bits.next() % special.len() as u64) as usize],
                Drawn::Wild => (bits.unit() - 0.5) * (bits.unit() * 80.0 - 40.0).exp2(),
            };
            write_f64(dtype, value, out);
        }
        DTypeClass::Complex => {
            let (re, im) = out.split_at_mut(dtype.bytes() / 2);
            let drawn = if drawn == Drawn::Wild { Drawn::Ordinary } else { drawn };
            element(dtype.real(), drawn, bits, re);
            element(dtype.real(), drawn, bits, im);
        }
    }
}

fn bytes(ty: &TensorType, drawn: Drawn, seed: u32) -> Vec<u8> {
    let mut bits = Bits(u64::from(seed));
    let size = ty.dtype.bytes();
    let mut out = vec![0u8; size * ty.element_count()];
    for e in out.chunks_exact_mut(size) {
        element(ty.dtype, drawn, &mut bits, e);
    }
    out
}

fn known(value: ValueId, drawn: Drawn, dtype: DType) -> Known {
    Known {
        value,
        exact: true,
        wild: drawn == Drawn::Wild && (dtype.is_float() || dtype.is_complex()),
        signless: false,
        scale: 0.0,
    }
}

fn draw(words: &mut Words<'_>) -> Drawn {
    words.pick(&[Drawn::Ordinary, Drawn::Small, Drawn::Wild])
}

/// A parameter and the tensor for it; often of the type of one that exists.
pub fn add_input(func: &mut Func, words: &mut Words<'_>, pool: &[Known]) -> (Known, Tensor) {
    let ty = if !pool.is_empty() && !words.chance(3) {
        func.tensor(pool[words.below(pool.len())].value).clone()
    } else {
        let dtype = words.pick(&DTYPES);
        TensorType::new(dtype, &shape(words))
    };
    let drawn = draw(words);
    let value = func.add_arg(func.body(), ty.clone().into());
    let data = bytes(&ty, drawn, words.next());
    let tensor = Tensor::new(ty.clone(), &data).expect("as many bytes as the type has");
    (known(value, drawn, ty.dtype), tensor)
}

fn ty(b: &Builder<'_>, k: Known) -> TensorType {
    b.func.tensor(k.value).clone()
}

/// A value of exactly this type: one that exists, else a constant.
fn partner(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], want: &TensorType) -> Known {
    let fitting: Vec<Known> = pool.iter().copied().filter(|&k| ty(b, k) == *want).collect();
    if !fitting.is_empty() && !words.chance(4) {
        return words.pick(&fitting);
    }
    let drawn = draw(words);
    let data = if words.chance(2) {
        let one = bytes(&TensorType::scalar(want.dtype), drawn, words.next());
        one.repeat(want.element_count())
    } else {
        bytes(want, drawn, words.next())
    };
    let literal = Literal::new(want.clone(), data).expect("as many bytes as the type has");
    known(b.constant(literal), drawn, want.dtype)
}

/// What is known of a value computed from others.
fn from(value: ValueId, inputs: &[Known]) -> Known {
    Known {
        value,
        exact: inputs.iter().all(|k| k.exact),
        wild: inputs.iter().any(|k| k.wild),
        signless: inputs.iter().any(|k| k.signless),
        scale: inputs.iter().map(|k| k.scale).fold(0.0, f64::max),
    }
}

/// One random operation on values of the pool; nothing where it does not fit.
pub fn add_operation(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known]) -> Vec<Known> {
    let x = pool[pool.len() - 1 - words.below(pool.len())];
    let made = match words.below(16) {
        0 => unary(b, words, x),
        1..=3 => binary(b, words, pool, x),
        4 => compare(b, words, pool, x),
        5 => select(b, words, pool, x),
        6 => convert(b, words, x),
        7 => reduce(b, words, x),
        8..=10 => movement(b, words, pool, x),
        11 => indexing(b, words, pool, x),
        12 => dot(b, words, pool, x),
        13 => window(b, words, x),
        14 => sort(b, words, pool, x),
        _ => other(b, words, pool, x),
    };
    made.unwrap_or_default()
}

fn unary(b: &mut Builder<'_>, words: &mut Words<'_>, x: Known) -> Built<Vec<Known>> {
    use UnaryOp::*;
    let t = ty(b, x);
    let exact = [
        Abs,
        Negate,
        Sign,
        Not,
        Floor,
        Ceil,
        RoundNearestEven,
        RoundNearestAfz,
        IsFinite,
        PopulationCount,
    ];
    let functions = [
        Exponential,
        Tanh,
        Logistic,
        Sqrt,
        Rsqrt,
        Log,
        Cbrt,
        LogPlusOne,
        ExponentialMinusOne,
        Erf,
        Atan,
    ];
    if words.below(2) == 0 {
        let leaps = [Floor, Ceil, RoundNearestEven, RoundNearestAfz, Sign];
        let op = words.pick(&exact);
        if !x.exact && (leaps.contains(&op) || op == IsFinite) {
            return Ok(Vec::new());
        }
        if op == PopulationCount && t.dtype.bits() > 32 {
            return Ok(Vec::new());
        }
        let value = b.unary(op, x.value)?;
        let mut made = from(value, &[x]);
        made.exact &= !t.dtype.is_complex() || op == Negate;
        made.signless = t.dtype.is_float();
        return Ok(vec![made]);
    }
    let op = words.pick(&functions);
    let complex = [Cbrt, Erf, Atan].contains(&op) && t.dtype.is_complex();
    if !x.exact || complex || (t.dtype.is_complex() && x.wild) || t.dtype.bits() < 16 {
        return Ok(Vec::new());
    }
    let mut made = from(b.unary(op, x.value)?, &[x]);
    made.exact = false;
    made.wild = true;
    if t.dtype.is_complex() {
        made.scale = 64.0;
    }
    Ok(vec![made])
}

fn binary(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    use BinaryOp::*;
    let t = ty(b, x);
    let y = partner(b, words, pool, &t);
    let (x, y) = if words.chance(3) { (y, x) } else { (x, y) };
    let class = t.dtype.class();
    let op = match class {
        DTypeClass::Float => words.pick(&[Add, Multiply, Subtract, Maximum, Minimum, Divide]),
        DTypeClass::Complex => words.pick(&[Add, Multiply, Subtract, Divide]),
        DTypeClass::Bool => words.pick(&[And, Or, Xor, Add, Multiply, Maximum, Minimum]),
        _ => words.pick(&[
            Add,
            Multiply,
            Subtract,
            Maximum,
            Minimum,
            Divide,
            Remainder,
            And,
            Or,
            Xor,
            ShiftLeft,
            ShiftRightArithmetic,
            ShiftRightLogical,
            Power,
        ]),
    };
    // In 64 bits these leave the 32 in which they are computed.
    if t.dtype.bits() == 64 && matches!(op, ShiftLeft | ShiftRightLogical | Power) {
        return Ok(Vec::new());
    }
    let mut made = from(b.binary(op, x.value, y.value)?, &[x, y]);
    made.signless |= class == DTypeClass::Float;
    let rounded =
        op == Divide && class == DTypeClass::Float || class == DTypeClass::Complex && matches!(op, Multiply | Divide);
    if rounded || !made.exact {
        if (!made.exact && class != DTypeClass::Float) || (!x.exact && op == Divide) {
            return Ok(Vec::new());
        }
        // Roundings may grow, and infinities come and go.
        if (!x.exact || !y.exact) && (x.wild || y.wild || matches!(op, Multiply | Divide)) {
            return Ok(Vec::new());
        }
        made.exact = false;
        made.scale = made.scale.max(64.0);
        made.wild |= op == Divide;
        if class == DTypeClass::Complex && op == Divide {
            return Ok(Vec::new());
        }
    }
    Ok(vec![made])
}

fn compare(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    let y = partner(b, words, pool, &t);
    if !x.exact || !y.exact {
        return Ok(Vec::new());
    }
    let mut directions = ComparisonDirection::ALL.to_vec();
    if t.dtype.is_complex() {
        directions.truncate(2);
    }
    let direction = words.pick(&directions);
    let value = if t.dtype == DType::F32 && words.chance(4) {
        if x.signless || y.signless {
            return Ok(Vec::new());
        }
        let kind = OpKind::Compare(Compare {
            direction,
            compare_type: ComparisonType::TotalOrder,
        });
        b.op1(kind, &[x.value, y.value])?
    } else {
        b.compare(direction, x.value, y.value)?
    };
    let mut made = from(value, &[x, y]);
    made.wild = false;
    Ok(vec![made])
}

fn select(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    let y = partner(b, words, pool, &t);
    if !t.dtype.is_complex() && words.chance(4) {
        let z = partner(b, words, pool, &t);
        let value = b.op1(OpKind::Clamp, &[y.value, x.value, z.value])?;
        let made = from(value, &[x, y, z]);
        return Ok(if made.exact && !t.dtype.is_complex() {
            vec![made]
        } else {
            Vec::new()
        });
    }
    let shape: &[i64] = if words.chance(4) { &[] } else { &t.shape };
    let pred = partner(b, words, pool, &TensorType::new(DType::Bool, shape));
    let value = b.select(pred.value, x.value, y.value)?;
    Ok(vec![from(value, &[x, y])])
}

fn convert(b: &mut Builder<'_>, words: &mut Words<'_>, x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    if words.chance(4) {
        let to = words.pick(&[
            DType::I32,
            DType::U32,
            DType::F32,
            DType::U8,
            DType::U16,
            DType::BF16,
            DType::I8,
        ]);
        if !x.exact || t.dtype.is_complex() || t.dtype == DType::Bool || t.dtype.bits() == 64 || x.wild {
            return Ok(Vec::new());
        }
        let (from_bits, to_bits) = (t.dtype.bits(), to.bits());
        if from_bits < 8 || t.dtype == to {
            return Ok(Vec::new());
        }
        let mut shape = t.shape.to_vec();
        if from_bits > to_bits {
            shape.push((from_bits / to_bits) as i64);
        } else if from_bits < to_bits {
            if shape.last() != Some(&((to_bits / from_bits) as i64)) {
                return Ok(Vec::new());
            }
            shape.pop();
        }
        let value = b.op1_as(OpKind::BitcastConvert, &[x.value], TensorType::new(to, &shape))?;
        let mut made = from(value, &[x]);
        // Any bits may be NaN, and patterns of NaN are not compared.
        made.wild = true;
        return Ok(vec![made]);
    }
    let to = words.pick(&DTYPES);
    if !x.exact || (t.dtype == DType::I64 && to == DType::C64) {
        return Ok(Vec::new());
    }
    let value = b.convert(x.value, to)?;
    if value == x.value {
        return Ok(Vec::new());
    }
    if to == DType::I64 && x.wild {
        return Ok(Vec::new());
    }
    // Integers beyond 2^31 do not fit the 32 bits in which 64-bit ones are computed.
    if to == DType::I64 && matches!(t.dtype, DType::U32 | DType::C64) {
        return Ok(Vec::new());
    }
    let mut made = from(value, &[x]);
    made.wild |= to.bits() == 8 || t.dtype == DType::U32 || t.dtype == DType::I32 || t.dtype == DType::I64;
    Ok(vec![made])
}

fn some_dims(words: &mut Words<'_>, rank: usize) -> Vec<i64> {
    (0..rank as i64).filter(|_| words.below(2) == 0).collect()
}

fn reduce(b: &mut Builder<'_>, words: &mut Words<'_>, x: Known) -> Built<Vec<Known>> {
    use BinaryOp::*;
    let t = ty(b, x);
    let dims = some_dims(words, t.rank());
    let float = t.dtype.is_float();
    let op = match t.dtype.class() {
        DTypeClass::Float => words.pick(&[Add, Maximum, Minimum]),
        DTypeClass::Complex => Add,
        DTypeClass::Bool => words.pick(&[And, Or, Xor, Add, Multiply]),
        _ => words.pick(&[Add, Multiply, Maximum, Minimum, And, Or, Xor]),
    };
    if op == Add && (x.wild || t.dtype.bits() == 8 && float) || op == Multiply && t.dtype.bits() == 64 {
        return Ok(Vec::new());
    }
    let value = if words.chance(3) {
        let init = partner(b, words, &[], &TensorType::scalar(t.dtype));
        if init.wild {
            return Ok(Vec::new());
        }
        b.reduce_from(op, x.value, init.value, &dims)?
    } else {
        b.reduce(op, x.value, &dims)?
    };
    let mut made = from(value, &[x]);
    if (float || t.dtype.is_complex()) && op == Add {
        made.exact = false;
        made.scale = 8.0 * t.element_count() as f64;
    }
    made.wild |= float;
    made.signless |= float;
    Ok(vec![made])
}

fn movement(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    let rank = t.rank();
    let value = match words.below(9) {
        0 => {
            let mut permutation: Vec<i64> = (0..rank as i64).collect();
            for i in (1..rank).rev() {
                let j = words.below(i + 1);
                permutation.swap(i, j);
            }
            b.transpose(x.value, &permutation)?
        }
        1 => {
            let n = t.element_count() as i64;
            let divisors: Vec<i64> = (1..=n.min(200)).filter(|d| n % d == 0).collect();
            if divisors.is_empty() {
                return Ok(Vec::new());
            }
            let first = words.pick(&divisors);
            let inner: Vec<i64> = (1..=(n / first).min(64)).filter(|d| (n / first) % d == 0).collect();
            let second = words.pick(&inner);
            b.reshape(x.value, &[first, second, n / first / second])?
        }
        2 => {
            let extra = words.pick(&[1, 2, 3, 5]);
            let mut shape = t.shape.to_vec();
            let at = words.below(rank + 1);
            shape.insert(at, extra);
            let dims: Vec<i64> = (0..=rank as i64).filter(|&d| d != at as i64).collect();
            b.broadcast_in_dim(x.value, &shape, &dims)?
        }
        3 => {
            let (mut start, mut limit, mut strides) = (Vec::new(), Vec::new(), Vec::new());
            for &d in &t.shape {
                let from = words.below(d.max(1) as usize) as i64;
                let to = from + words.below((d - from).max(0) as usize + 1) as i64;
                start.push(from.min(d));
                limit.push(to.min(d));
                strides.push(words.pick(&[1, 1, 1, 2, 3]));
            }
            b.slice(x.value, &start, &limit, &strides)?
        }
        4 => {
            let reverse = ferrite_ir::hlo::Reverse {
                dimensions: some_dims(words, rank).into_iter().collect(),
            };
            b.op1(OpKind::Reverse(reverse), &[x.value])?
        }
        5 => {
            let pad = partner(b, words, &[], &TensorType::scalar(t.dtype));
            let mut edge = |least: i64| (0..rank).map(|_| words.below(4) as i64 + least).collect::<Vec<i64>>();
            let (low, high, interior) = (edge(-1), edge(-1), edge(0));
            let value = b.pad(x.value, pad.value, &low, &high, &interior)?;
            return Ok(vec![from(value, &[x, pad])]);
        }
        6 if rank > 0 => {
            let y = partner(b, words, pool, &t);
            let value = b.concatenate(&[x.value, y.value], words.below(rank) as i64)?;
            return Ok(vec![from(value, &[x, y])]);
        }
        7 if rank > 0 && !t.dtype.is_complex() && t.dtype != DType::Bool => {
            let y = b.iota(t.clone(), words.below(rank) as i64)?;
            let mut made = known(y, Drawn::Ordinary, t.dtype);
            made.wild = t.dtype.is_float() && t.dtype.bits() < 32;
            return Ok(vec![made]);
        }
        _ if rank > 0 => {
            let update: Vec<i64> = t.shape.iter().map(|&d| words.below(d as usize + 1) as i64).collect();
            let index = TensorType::scalar(words.pick(&[DType::I32, DType::I64, DType::U32]));
            let starts: Vec<ValueId> = (0..rank).map(|_| partner(b, words, pool, &index).value).collect();
            if words.chance(2) {
                let y = partner(b, words, pool, &TensorType::new(t.dtype, &update));
                let operands: Vec<ValueId> = [x.value, y.value].into_iter().chain(starts).collect();
                let value = b.op1(OpKind::DynamicUpdateSlice, &operands)?;
                return Ok(vec![from(value, &[x, y])]);
            }
            let sizes = DynamicSlice {
                sizes: update.into_iter().collect(),
            };
            let operands: Vec<ValueId> = std::iter::once(x.value).chain(starts).collect();
            b.op1(OpKind::DynamicSlice(sizes), &operands)?
        }
        _ => return Ok(Vec::new()),
    };
    if value == x.value || b.func.tensor(value).element_count() > 60_000 {
        return Ok(Vec::new());
    }
    Ok(vec![from(value, &[x])])
}

/// Gather or scatter of windows along one dimension, or of points.
fn indexing(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    let rank = t.rank() as i64;
    if rank == 0 || t.shape.contains(&0) {
        return Ok(Vec::new());
    }
    let along = words.below(rank as usize) as i64;
    let count = words.pick(&[1i64, 3, 5, 130]);
    let points = words.chance(2);
    let index_rank = if points { rank } else { 1 };
    let indices = partner(b, words, pool, &TensorType::new(DType::I32, &[count, index_rank]));
    let window: Vec<i64> = (0..rank)
        .filter(|&d| !points && d != along)
        .map(|d| t.shape[d as usize])
        .collect();
    let map: Vec<i64> = if points { (0..rank).collect() } else { vec![along] };
    let removed = map.clone();
    let offset: Vec<i64> = (1..=window.len() as i64).collect();
    if words.chance(2) {
        let gather = Gather {
            offset_dims: offset.into_iter().collect(),
            collapsed_slice_dims: removed.into_iter().collect(),
            operand_batching_dims: [].into_iter().collect(),
            start_indices_batching_dims: [].into_iter().collect(),
            start_index_map: map.iter().copied().collect(),
            index_vector_dim: 1,
            slice_sizes: (0..rank)
                .map(|d| if map.contains(&d) { 1 } else { t.shape[d as usize] })
                .collect(),
            indices_are_sorted: false,
        };
        let value = b.op1(OpKind::Gather(gather), &[x.value, indices.value])?;
        return Ok(vec![from(value, &[x])]);
    }
    let shape: Vec<i64> = std::iter::once(count).chain(window).collect();
    let updates = partner(b, words, pool, &TensorType::new(t.dtype, &shape));
    let scatter = Scatter {
        update_window_dims: offset.into_iter().collect(),
        inserted_window_dims: removed.into_iter().collect(),
        input_batching_dims: [].into_iter().collect(),
        scatter_indices_batching_dims: [].into_iter().collect(),
        scatter_dims_to_operand_dims: map.into_iter().collect(),
        index_vector_dim: 1,
        indices_are_sorted: false,
        unique_indices: false,
    };
    use BinaryOp::*;
    let combine = match t.dtype.class() {
        DTypeClass::Float => words.pick(&[None, Some(Add), Some(Maximum)]),
        DTypeClass::Bool => words.pick(&[None, Some(Or)]),
        DTypeClass::Complex => None,
        _ => words.pick(&[None, Some(Add), Some(Minimum), Some(Multiply)]),
    };
    let adds = combine == Some(Add) && t.dtype.is_float();
    if adds && (x.wild || updates.wild || t.dtype.bits() == 8) {
        return Ok(Vec::new());
    }
    let scalar = Type::from(TensorType::scalar(t.dtype));
    let body = b.add_region(&[scalar.clone(), scalar], |b, args| match combine {
        None => Ok(vec![args[1]]),
        Some(op) => Ok(vec![b.binary(op, args[0], args[1])?]),
    })?;
    let operands = [x.value, indices.value, updates.value];
    let value = b.op_with_regions(OpKind::Scatter(scatter), &operands, &[body], None)?[0];
    let mut made = from(value, &[x, updates]);
    if adds {
        made.exact = false;
        made.scale = 64.0;
    }
    Ok(vec![made])
}

fn dot(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    if t.rank() == 0 || x.wild || t.dtype == DType::F8E4M3 || t.dtype == DType::F8E5M2 {
        return Ok(Vec::new());
    }
    let along = words.below(t.rank());
    let batch: Vec<i64> = (0..t.rank() as i64).filter(|&d| d != along as i64).collect();
    let batch: Vec<i64> = if words.chance(3) {
        batch.into_iter().take(1).collect()
    } else {
        Vec::new()
    };
    let mut shape: Vec<i64> = batch.iter().map(|&d| t.shape[d as usize]).collect();
    let free = words.pick(&[1i64, 2, 5, 17]);
    let contracting_last = words.chance(2);
    if contracting_last {
        shape.extend([free, t.shape[along]]);
    } else {
        shape.extend([t.shape[along], free]);
    }
    let y = partner(b, words, pool, &TensorType::new(t.dtype, &shape));
    if y.wild {
        return Ok(Vec::new());
    }
    let n = batch.len() as i64;
    let dims = DotDims {
        lhs_batching: batch.iter().copied().collect(),
        rhs_batching: (0..n).collect(),
        lhs_contracting: [along as i64].into_iter().collect(),
        rhs_contracting: [if contracting_last { n + 1 } else { n }].into_iter().collect(),
    };
    let value = b.dot_general(x.value, y.value, dims, t.dtype)?;
    if b.func.tensor(value).element_count() > 20_000 {
        return Ok(Vec::new());
    }
    let mut made = from(value, &[x, y]);
    if t.dtype.is_float() || t.dtype.is_complex() {
        if !made.exact {
            return Ok(Vec::new());
        }
        made.exact = false;
        made.scale = 16.0 * t.shape[along] as f64;
    }
    Ok(vec![made])
}

fn window(b: &mut Builder<'_>, words: &mut Words<'_>, x: Known) -> Built<Vec<Known>> {
    use BinaryOp::*;
    let t = ty(b, x);
    let rank = t.rank();
    let float = t.dtype.is_float();
    // The ends of the 64-bit range, neutral elements, become those of the 32-bit one.
    if rank == 0 || t.dtype.is_complex() || t.shape.contains(&0) || t.dtype.bits() == 64 {
        return Ok(Vec::new());
    }
    let op = match t.dtype.class() {
        DTypeClass::Float => words.pick(&[Maximum, Add, Minimum]),
        DTypeClass::Bool => words.pick(&[And, Or]),
        _ => words.pick(&[Add, Maximum, Minimum, Multiply]),
    };
    if op == Add && float && (x.wild || t.dtype.bits() == 8) {
        return Ok(Vec::new());
    }
    let along = words.below(rank);
    let window = if words.chance(2) {
        // A running reduction.
        let n = t.shape[along];
        let mut padding = vec![(0, 0); rank];
        padding[along] = if words.chance(2) { (0, n - 1) } else { (n - 1, 0) };
        let ones: Vec<i64> = vec![1; rank];
        let mut sizes = ones.clone();
        sizes[along] = n;
        ReduceWindow {
            window_dimensions: sizes.into_iter().collect(),
            window_strides: ones.iter().copied().collect(),
            base_dilations: ones.iter().copied().collect(),
            window_dilations: ones.into_iter().collect(),
            padding,
        }
    } else {
        let mut some = |n: usize| (0..rank).map(|_| 1 + words.below(n) as i64).collect::<Vec<i64>>();
        let (sizes, strides, base, dilations) = (some(3), some(2), some(2), some(2));
        ReduceWindow {
            window_dimensions: sizes.into_iter().collect(),
            window_strides: strides.into_iter().collect(),
            base_dilations: base.into_iter().collect(),
            window_dilations: dilations.into_iter().collect(),
            padding: (0..rank)
                .map(|_| (words.below(3) as i64, words.below(3) as i64))
                .collect(),
        }
    };
    let scalar = TensorType::scalar(t.dtype);
    let init = if words.chance(4) {
        let init = partner(b, words, &[], &scalar);
        if init.wild {
            return Ok(Vec::new());
        }
        init.value
    } else {
        match ferrite_ir::hlo::neutral(op, &scalar) {
            Some(literal) => b.constant(literal),
            None => return Ok(Vec::new()),
        }
    };
    let element = Type::from(scalar);
    let body = b.add_region(&[element.clone(), element], |b, args| {
        Ok(vec![b.binary(op, args[0], args[1])?])
    })?;
    let value = b.op_with_regions(OpKind::ReduceWindow(window), &[x.value, init], &[body], None)?[0];
    let mut made = from(value, &[x]);
    if float && op == Add {
        made.exact = false;
        made.scale = 8.0 * t.element_count() as f64;
    }
    made.wild |= float;
    made.signless |= float;
    Ok(vec![made])
}

fn sort(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    if t.rank() == 0 || !x.exact || t.dtype.is_complex() {
        return Ok(Vec::new());
    }
    let dimension = words.below(t.rank()) as i64;
    let direction = words.pick(&[ComparisonDirection::Lt, ComparisonDirection::Gt]);
    let mut operands = vec![x];
    if words.chance(2) {
        let dtype = words.pick(&[DType::I32, DType::F32, DType::BF16, DType::U8]);
        operands.push(partner(b, words, pool, &TensorType::new(dtype, &t.shape)));
    }
    if operands.iter().any(|k| !k.exact) {
        return Ok(Vec::new());
    }
    let total = t.dtype.is_float();
    if total && x.signless {
        return Ok(Vec::new());
    }
    let args: Vec<Type> = operands
        .iter()
        .flat_map(|&k| {
            let scalar = Type::from(TensorType::scalar(ty(b, k).dtype));
            [scalar.clone(), scalar]
        })
        .collect();
    let body = b.add_region(&args, |b, args| {
        let less = if total {
            let kind = OpKind::Compare(Compare {
                direction,
                compare_type: ComparisonType::TotalOrder,
            });
            b.op1(kind, &args[..2])?
        } else {
            b.compare(direction, args[0], args[1])?
        };
        Ok(vec![less])
    })?;
    let sort = Sort {
        dimension,
        is_stable: true,
    };
    let values: Vec<ValueId> = operands.iter().map(|k| k.value).collect();
    let results = b.op_with_regions(OpKind::Sort(sort), &values, &[body], None)?;
    Ok(results.into_iter().zip(operands).map(|(v, k)| from(v, &[k])).collect())
}

fn other(b: &mut Builder<'_>, words: &mut Words<'_>, pool: &[Known], x: Known) -> Built<Vec<Known>> {
    let t = ty(b, x);
    match words.below(4) {
        0 if t.dtype == DType::F32 && x.exact => {
            let kind = OpKind::ReducePrecision(ReducePrecision {
                exponent_bits: words.pick(&[8, 5, 4, 3]),
                mantissa_bits: words.pick(&[7, 10, 3, 2, 23]),
            });
            Ok(vec![from(b.op1(kind, &[x.value])?, &[x])])
        }
        1 if t.dtype.is_int() && t.dtype != DType::Bool && t.dtype.bits() <= 32 => {
            Ok(vec![from(b.unary(UnaryOp::CountLeadingZeros, x.value)?, &[x])])
        }
        2 if t.dtype.is_complex() => {
            let op = words.pick(&[UnaryOp::Real, UnaryOp::Imag]);
            Ok(vec![from(b.unary(op, x.value)?, &[x])])
        }
        3 if t.dtype == DType::F32 => {
            let y = partner(b, words, pool, &t);
            let value = b.op1(OpKind::Complex, &[x.value, y.value])?;
            let made = from(value, &[x, y]);
            Ok(if made.wild { Vec::new() } else { vec![made] })
        }
        _ => Ok(Vec::new()),
    }
}
