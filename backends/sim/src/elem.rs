//! Elements of every dtype to fp32 and back (`neuroncore.md` section 4).
//!
//! Engines compute in fp32: operands are cast on read, results on write. Rounding is to nearest even, float to integer saturates,
//! e4m3 and e4m3fn saturate and e5m2 overflows to infinity (our assumption where the documents are silent).

use std::sync::OnceLock;

use ferrite_ir::dtype::DType;
use half::f16;

/// Whether engines compute with this dtype.
pub fn is_engine_dtype(dtype: DType) -> bool {
    use DType::*;
    matches!(
        dtype,
        Bool | I8 | I16 | I32 | U8 | U16 | U32 | F8E3M4 | F8E4M3 | F8E4M3FN | F8E5M2 | BF16 | F16 | TF32 | F32
    )
}

/// Values of the 256 patterns of an 8-bit float.
fn fp8_table(dtype: DType) -> Option<&'static [f32; 256]> {
    static TABLES: [OnceLock<[f32; 256]>; 4] = [const { OnceLock::new() }; 4];
    let slot = match dtype {
        DType::F8E3M4 => 0,
        DType::F8E4M3 => 1,
        DType::F8E4M3FN => 2,
        DType::F8E5M2 => 3,
        _ => return None,
    };
    let format = dtype.minifloat()?;
    Some(TABLES[slot].get_or_init(|| std::array::from_fn(|bits| format.to_f64(bits as u16) as f32)))
}

/// Rounds to tf32: 10 mantissa bits, nearest even.
pub fn round_tf32(x: f32) -> f32 {
    if !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0xfff + ((bits >> 13) & 1)) & !0x1fff;
    f32::from_bits(rounded)
}

/// Random bits for stochastic rounding: the same seed and the same stores, the same results.
#[derive(Clone, Debug)]
pub struct Dither(u64);

impl Dither {
    /// A sequence.
    pub fn new(seed: u64) -> Dither {
        Dither(seed)
    }

    /// Uniform in 0..1 (SplitMix64).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Moves values to a neighbour in `dtype`, up with the probability that their distance from the lower one gives. Types that are not smaller
    /// floats, and what is not finite, stay as they are.
    pub fn round(&mut self, dtype: DType, values: &mut [f32]) {
        let (mantissa, least) = match (dtype, dtype.minifloat()) {
            (DType::TF32, _) => (10, -126),
            (_, Some(format)) => (format.mantissa_bits as i32, 1 - format.bias),
            _ => return,
        };
        for x in values {
            if !x.is_finite() || *x == 0.0 {
                continue;
            }
            let exponent = ((x.to_bits() >> 23) & 0xff) as i32 - 127;
            let step = f64::from(exponent.max(least) - mantissa).exp2();
            *x = ((f64::from(*x) / step + self.next()).floor() * step) as f32;
        }
    }
}

/// Reads `out.len()` elements of `dtype` starting at byte `start`, `step` bytes apart. The caller has checked the range;
/// elements outside of `bytes` read as 0.
pub fn load(dtype: DType, bytes: &[u8], start: usize, step: isize, out: &mut [f32]) {
    let size = dtype.bytes();
    if step == size as isize
        && let Some(run) = bytes.get(start..start + size * out.len())
    {
        return load_run(dtype, run, out);
    }
    if step == 0 {
        let mut one = [0.0];
        if let Some(run) = bytes.get(start..start + size) {
            load_run(dtype, run, &mut one);
        }
        out.fill(one[0]);
        return;
    }
    let mut at = start as isize;
    for x in out {
        let from = at as usize;
        if let Some(run) = bytes.get(from..from.wrapping_add(size)) {
            load_run(dtype, run, std::slice::from_mut(x));
        }
        at += step;
    }
}

/// Writes elements; the twin of [`load`].
pub fn store(dtype: DType, bytes: &mut [u8], start: usize, step: isize, from: &[f32]) {
    let size = dtype.bytes();
    if step == size as isize
        && let Some(run) = bytes.get_mut(start..start + size * from.len())
    {
        return store_run(dtype, run, from);
    }
    let mut at = start as isize;
    for x in from {
        let to = at as usize;
        if let Some(run) = bytes.get_mut(to..to.wrapping_add(size)) {
            store_run(dtype, run, std::slice::from_ref(x));
        }
        at += step;
    }
}

/// Converts a dense run of elements to fp32.
pub fn load_run(dtype: DType, run: &[u8], out: &mut [f32]) {
    macro_rules! each {
        ($n:literal, $f:expr) => {
            for (x, b) in out.iter_mut().zip(run.as_chunks::<$n>().0) {
                *x = $f(*b);
            }
        };
    }
    match dtype {
        DType::F32 => each!(4, f32::from_le_bytes),
        DType::TF32 => each!(4, |b| round_tf32(f32::from_le_bytes(b))),
        DType::BF16 => each!(2, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
        DType::F16 => each!(2, |b| f16::from_le_bytes(b).to_f32()),
        DType::I8 => each!(1, |[b]: [u8; 1]| f32::from(b as i8)),
        DType::U8 | DType::Bool => each!(1, |[b]: [u8; 1]| f32::from(b)),
        DType::I16 => each!(2, |b| f32::from(i16::from_le_bytes(b))),
        DType::U16 => each!(2, |b| f32::from(u16::from_le_bytes(b))),
        DType::I32 => each!(4, |b| i32::from_le_bytes(b) as f32),
        DType::U32 => each!(4, |b| u32::from_le_bytes(b) as f32),
        other => match fp8_table(other) {
            Some(table) => each!(1, |[b]: [u8; 1]| table[b as usize]),
            None => out.fill(0.0), // no engine dtype: refused by the legality check
        },
    }
}

/// Rounds fp32 values to a dense run of elements.
pub fn store_run(dtype: DType, run: &mut [u8], from: &[f32]) {
    macro_rules! each {
        ($n:literal, $f:expr) => {
            for (x, b) in from.iter().zip(run.as_chunks_mut::<$n>().0) {
                *b = $f(*x);
            }
        };
    }
    match dtype {
        DType::F32 => each!(4, f32::to_le_bytes),
        DType::TF32 => each!(4, |x| round_tf32(x).to_le_bytes()),
        DType::BF16 => each!(2, |x| round_bf16(x).to_le_bytes()),
        DType::F16 => each!(2, |x| f16::from_f32(x).to_le_bytes()),
        // `as` saturates and sends NaN to 0; rounding to nearest even comes first.
        DType::I8 => each!(1, |x: f32| (x.round_ties_even() as i8).to_le_bytes()),
        DType::U8 => each!(1, |x: f32| [x.round_ties_even() as u8]),
        DType::Bool => each!(1, |x: f32| [u8::from(x != 0.0)]),
        DType::I16 => each!(2, |x: f32| (x.round_ties_even() as i16).to_le_bytes()),
        DType::U16 => each!(2, |x: f32| (x.round_ties_even() as u16).to_le_bytes()),
        DType::I32 => each!(4, |x: f32| (x.round_ties_even() as i32).to_le_bytes()),
        DType::U32 => each!(4, |x: f32| (x.round_ties_even() as u32).to_le_bytes()),
        other => {
            let Some(format) = other.minifloat() else { return }; // refused by the legality check
            let saturates = !matches!(other, DType::F8E5M2);
            each!(1, |x: f32| {
                let x = f64::from(x);
                [if saturates {
                    format.from_f64_saturating(x)
                } else {
                    format.from_f64(x)
                } as u8]
            });
        }
    }
}

/// bf16 bits of an fp32 value, nearest even; branch-free so that rows vectorise.
fn round_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16;
    let quiet = ((bits >> 16) | 0x40) as u16;
    if x.is_nan() { quiet } else { rounded }
}

/// One element as a raw integer, zero-extended.
pub fn load_raw(size: usize, bytes: &[u8], at: usize) -> u32 {
    let mut word = [0u8; 4];
    if let Some(from) = bytes.get(at..at.wrapping_add(size)) {
        word[..size].copy_from_slice(from);
    }
    u32::from_le_bytes(word)
}

/// Appends a dense run of raw integers.
pub fn load_raw_run(size: usize, run: &[u8], out: &mut Vec<u32>) {
    match size {
        1 => out.extend(run.iter().map(|&b| u32::from(b))),
        2 => out.extend(run.as_chunks::<2>().0.iter().map(|&b| u32::from(u16::from_le_bytes(b)))),
        4 => out.extend(run.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b))),
        _ => out.extend(run.chunks_exact(size.max(1)).map(|c| load_raw(size, c, 0))),
    }
}

/// Writes a dense run from the low bytes of raw integers.
pub fn store_raw_run<'a>(size: usize, run: &mut [u8], from: &mut impl Iterator<Item = &'a u32>) {
    match size {
        1 => run.iter_mut().zip(from).for_each(|(b, &x)| *b = x as u8),
        2 => run
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .zip(from)
            .for_each(|(b, &x)| *b = (x as u16).to_le_bytes()),
        4 => run
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(from)
            .for_each(|(b, &x)| *b = x.to_le_bytes()),
        _ => run
            .chunks_exact_mut(size.max(1))
            .zip(from)
            .for_each(|(c, &x)| store_raw(size, c, 0, x)),
    }
}

/// Writes the low bytes of a raw integer.
pub fn store_raw(size: usize, bytes: &mut [u8], at: usize, value: u32) {
    if let Some(to) = bytes.get_mut(at..at.wrapping_add(size)) {
        to.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

/// The value of one element given by raw bits.
pub fn from_raw(dtype: DType, raw: u32) -> f32 {
    let mut out = [0.0];
    load_run(dtype, &raw.to_le_bytes()[..dtype.bytes().min(4)], &mut out);
    out[0]
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn stochastic_rounding_keeps_the_mean_and_the_seed() {
        // A quarter of the way between two neighbours of each type.
        let cases = [
            (DType::BF16, 1.0 + 2f32.powi(-9)),
            (DType::F16, 1.0 + 2f32.powi(-12)),
            (DType::F8E4M3, 1.0 + 2f32.powi(-5)),
        ];
        for (dtype, x) in cases {
            let values = |seed| {
                let mut all = vec![x; 4000];
                Dither::new(seed).round(dtype, &mut all);
                all
            };
            let all = values(7);
            assert_eq!(all, values(7));
            assert_ne!(all, values(8));
            let up = all.iter().filter(|&&y| y > 1.0).count();
            assert!(all.iter().all(|&y| y == 1.0 || y == 1.0 + 4.0 * (x - 1.0)), "{dtype}");
            assert!((850..1150).contains(&up), "{dtype}: {up} of 4000 up");
        }
        let mut exact = [1.5, -2.0, 0.0, f32::INFINITY];
        Dither::new(1).round(DType::BF16, &mut exact);
        assert_eq!(exact, [1.5, -2.0, 0.0, f32::INFINITY]);
        let mut wide = [1.0 + f32::EPSILON];
        Dither::new(1).round(DType::F32, &mut wide);
        assert_eq!(wide, [1.0 + f32::EPSILON]);
    }

    #[test]
    fn stochastic_rounding_reaches_denormals() {
        let mut tiny = vec![2f32.powi(-26); 1000]; // a quarter of f16's least
        Dither::new(3).round(DType::F16, &mut tiny);
        let up = tiny.iter().filter(|&&y| y == 2f32.powi(-24)).count();
        assert!(
            (200..300).contains(&up) && tiny.iter().all(|&y| y == 0.0 || y == 2f32.powi(-24)),
            "{up}"
        );
    }

    #[test]
    fn bf16_rounds_like_the_half_crate() {
        let mut state = 7u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(state);
            if !x.is_nan() {
                assert_eq!(round_bf16(x), bf16::from_f32(x).to_bits(), "{x}");
            }
        }
        assert!(bf16::from_bits(round_bf16(f32::NAN)).is_nan());
    }

    fn stored(dtype: DType, x: f32) -> f32 {
        let mut bytes = [0u8; 4];
        store_run(dtype, &mut bytes[..dtype.bytes()], &[x]);
        from_raw(dtype, u32::from_le_bytes(bytes))
    }

    #[test]
    fn integers_round_to_even_and_saturate() {
        assert_eq!(stored(DType::I8, 2.5), 2.0);
        assert_eq!(stored(DType::I8, 3.5), 4.0);
        assert_eq!(stored(DType::I8, 300.0), 127.0);
        assert_eq!(stored(DType::U8, -3.0), 0.0);
        assert_eq!(stored(DType::I32, f32::NAN), 0.0);
    }

    #[test]
    fn fp8_overflow() {
        assert_eq!(stored(DType::F8E4M3, 1e6), 240.0);
        assert_eq!(stored(DType::F8E4M3FN, -1e6), -448.0);
        assert_eq!(stored(DType::F8E5M2, 1e6), f32::INFINITY);
    }

    #[test]
    fn tf32_drops_thirteen_bits_to_even() {
        assert_eq!(round_tf32(1.0 + 2f32.powi(-11)), 1.0);
        assert_eq!(round_tf32(1.0 + 3.0 * 2f32.powi(-11)), 1.0 + 2f32.powi(-9));
        assert_eq!(round_tf32(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn strided_and_broadcast_reads() {
        let bytes: Vec<u8> = [1f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut out = [0.0; 2];
        load(DType::F32, &bytes, 4, 8, &mut out);
        assert_eq!(out, [2.0, 4.0]);
        load(DType::F32, &bytes, 8, 0, &mut out);
        assert_eq!(out, [3.0, 3.0]);
    }
}
