//! `rng_bit_generator` and `rng`.
//!
//! ThreeFry and Philox give the bits XLA gives for the same state (`xla/hlo/builder/lib/prng.cc`, `rng_bit_generator_expander.cc`). `DEFAULT` is
//! Philox, as on XLA:CPU. `rng`, whose numbers are the implementation's business, draws from Philox with a fixed key,
//! so that a program gives the same results every time.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{RngAlgorithm, RngDistribution, TensorType};

use crate::special::erf_inv;
use crate::tensor::Tensor;
use crate::{check_size, invalid, unsupported};

/// The 20 rounds of Threefry-2x32.
fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD1_1BDA];
    let mut x = [counter[0].wrapping_add(keys[0]), counter[1].wrapping_add(keys[1])];
    for group in 0..5usize {
        for rotation in ROTATIONS[group % 2] {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(rotation) ^ x[0];
        }
        x[0] = x[0].wrapping_add(keys[(group + 1) % 3]);
        x[1] = x[1].wrapping_add(keys[(group + 2) % 3]).wrapping_add(group as u32 + 1);
    }
    x
}

/// The 10 rounds of Philox-4x32.
fn philox(mut key: [u32; 2], counter: u128) -> [u32; 4] {
    let mut c = [
        counter as u32,
        (counter >> 32) as u32,
        (counter >> 64) as u32,
        (counter >> 96) as u32,
    ];
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xD251_1F53;
        let b = u64::from(c[2]) * 0xCD9E_8D57;
        c = [
            (b >> 32) as u32 ^ c[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ c[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// Bits of 32 for a shape by ThreeFry: both words of a block go next to each other along the first even dimension,
/// else along the largest.
fn threefry_words(key: u64, counter: u64, shape: &[i64]) -> (Vec<u32>, u64) {
    let count: i64 = shape.iter().product();
    let even = shape.iter().position(|n| n % 2 == 0);
    let largest = (0..shape.len()).rev().max_by_key(|&d| shape[d]);
    let (outer, split, inner) = match even.or(largest) {
        Some(d) => (shape[..d].iter().product(), shape[d], shape[d + 1..].iter().product()),
        None => (1, 1, 1),
    };
    let half = (split + 1) / 2;
    let mut out = vec![0; count as usize];
    for o in 0..outer {
        for h in 0..half {
            for i in 0..inner {
                let block = ((o * half + h) * inner + i) as u64;
                let words = threefry(halves(key), halves(counter.wrapping_add(block)));
                for (w, word) in words.into_iter().enumerate() {
                    let s = 2 * h + w as i64;
                    if s < split {
                        out[((o * split + s) * inner + i) as usize] = word;
                    }
                }
            }
        }
    }
    (out, counter.wrapping_add((outer * half * inner) as u64))
}

/// `count` words by Philox, four to a counter.
fn philox_words(key: u64, counter: u128, count: usize) -> (Vec<u32>, u128) {
    let blocks = count.div_ceil(4);
    let mut out = Vec::with_capacity(blocks * 4);
    for block in 0..blocks {
        out.extend(philox(halves(key), counter.wrapping_add(block as u128)));
    }
    out.truncate(count);
    (out, counter.wrapping_add(blocks as u128))
}

fn join(words: &[u32]) -> Vec<i64> {
    words
        .chunks_exact(2)
        .map(|w| (u64::from(w[0]) | u64::from(w[1]) << 32) as i64)
        .collect()
}

/// `rng_bit_generator`: the new state and the bits.
pub(crate) fn rng_bit_generator(algorithm: RngAlgorithm, state: &Tensor, bits: &TensorType) -> Result<[Tensor; 2]> {
    let words = match state.dtype() {
        DType::U64 => state.to_i64s().iter().map(|&w| w as u64).collect::<Vec<_>>(),
        DType::U32 => state
            .to_i64s()
            .chunks_exact(2)
            .map(|w| w[0] as u64 | (w[1] as u64) << 32)
            .collect(),
        other => {
            return Err(invalid(format!(
                "the state of `stablehlo.rng_bit_generator` is of `{other}`"
            )));
        }
    };
    if !bits.is_static() || bits.dtype.is_complex() || bits.dtype == DType::Bool {
        return Err(unsupported(format!("`stablehlo.rng_bit_generator` of {bits}")));
    }
    let &[key, counter, ..] = &words[..] else {
        return Err(invalid(
            "the state of `stablehlo.rng_bit_generator` has fewer than two 64-bit words",
        ));
    };
    let wide = bits.dtype.bytes() == 8;
    let count = bits.element_count();
    let (values, new_words) = if algorithm == RngAlgorithm::ThreeFry {
        if wide {
            let blocks = |i: usize| threefry(halves(key), halves(counter.wrapping_add(i as u64)));
            let words: Vec<u32> = (0..count).flat_map(blocks).collect();
            (join(&words), vec![key, counter.wrapping_add(count as u64)])
        } else {
            let (words, next) = threefry_words(key, counter, &bits.shape);
            (words.into_iter().map(i64::from).collect(), vec![key, next])
        }
    } else {
        // With a state of two words XLA takes the key as the upper half of the counter.
        let high = words.get(2).copied().unwrap_or(key);
        let start = u128::from(counter) | u128::from(high) << 64;
        let (out, next) = philox_words(key, start, if wide { count * 2 } else { count });
        let mut state = vec![key, next as u64];
        if words.len() > 2 {
            state.push((next >> 64) as u64);
        }
        (
            if wide {
                join(&out)
            } else {
                out.into_iter().map(i64::from).collect()
            },
            state,
        )
    };
    let mut state_words: Vec<u64> = words.clone();
    state_words[..new_words.len()].copy_from_slice(&new_words);
    let new_state = if state.dtype() == DType::U64 {
        state_words.iter().map(|&w| w as i64).collect()
    } else {
        state_words
            .iter()
            .flat_map(|&w| halves(w))
            .map(i64::from)
            .collect::<Vec<_>>()
    };
    if new_state.len() != state.count() {
        return Err(invalid(
            "the state of `stablehlo.rng_bit_generator` has an odd number of words",
        ));
    }
    let out = if bits.dtype.is_float() {
        let as_bits = match bits.dtype.bytes() {
            1 => DType::U8,
            2 => DType::U16,
            4 => DType::U32,
            _ => DType::U64,
        };
        let raw = Tensor::from_i64s(bits.with_dtype(as_bits), values);
        Tensor::new(bits.with_dtype(bits.dtype), raw.bytes())
            .ok_or_else(|| invalid(format!("`stablehlo.rng_bit_generator` of {bits}")))?
    } else {
        Tensor::from_i64s(bits.with_dtype(bits.dtype), values)
    };
    Ok([Tensor::from_i64s(state.ty().clone(), new_state), out])
}

/// `rng`: uniform in `[a, b)`, or normal with mean `a` and deviation `b`.
pub(crate) fn rng(distribution: RngDistribution, a: &Tensor, b: &Tensor, shape: &[i64]) -> Result<Tensor> {
    let dtype = a.dtype();
    let ty = TensorType::new(dtype, shape);
    check_size(&ty)?;
    if a.count() != 1 || b.count() != 1 || dtype != b.dtype() || dtype.is_complex() {
        return Err(invalid(format!(
            "`stablehlo.rng` with bounds {} and {}",
            a.ty(),
            b.ty()
        )));
    }
    let count = ty.element_count();
    let (words, _) = philox_words(0, 0, 2 * count);
    // 53 bits: at least 0, below 1.
    let unit = words.chunks_exact(2).map(|w| {
        let bits = u64::from(w[0]) | u64::from(w[1]) << 32;
        (bits >> 11) as f64 / (1u64 << 53) as f64
    });
    if !dtype.is_float() {
        let (low, high) = (a.get_i64(0), b.get_i64(0));
        let span = (high as i128 - low as i128).max(1) as u128;
        let values = join(&words)
            .into_iter()
            .map(|w| low.wrapping_add((u128::from(w as u64) % span) as i64))
            .collect();
        return Ok(Tensor::from_i64s(ty, values));
    }
    let (a, b) = (a.get_f64(0), b.get_f64(0));
    let values: Vec<f64> = match distribution {
        RngDistribution::Uniform => unit.map(|u| a + u * (b - a)).collect(),
        RngDistribution::Normal => {
            let tiny = 0.5 / (1u64 << 53) as f64;
            unit.map(|u| a + b * std::f64::consts::SQRT_2 * erf_inv(2.0 * (u + tiny) - 1.0))
                .collect()
        }
    };
    let out = Tensor::from_f64s(ty.clone(), values);
    if distribution == RngDistribution::Uniform && b > a {
        // Rounding to a narrow type may reach the upper bound: step back below it.
        let below = crate::number::next_after(dtype, b, a);
        let kept = out.to_f64s().iter().map(|&v| if v >= b { below } else { v }).collect();
        return Ok(Tensor::from_f64s(ty, kept));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_random123_library() {
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(philox([0, 0], 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 2], u128::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn the_state_moves_on() {
        let state = Tensor::from_i64s(TensorType::new(DType::U64, &[2]), vec![7, 5]);
        let out = rng_bit_generator(RngAlgorithm::ThreeFry, &state, &TensorType::new(DType::U32, &[3, 5]));
        let Ok([state, bits]) = out else { panic!("evaluates") };
        assert_eq!((state.get_i64(0), state.get_i64(1), bits.count()), (7, 14, 15));
    }

    #[test]
    fn uniform_numbers_stay_below_the_bound() {
        let bound = |v: f64| Tensor::from_f64s(TensorType::scalar(DType::BF16), vec![v]);
        let out = rng(RngDistribution::Uniform, &bound(1.0), &bound(2.0), &[1000]);
        let Ok(out) = out else { panic!("evaluates") };
        assert!(out.to_f64s().iter().all(|&v| (1.0..2.0).contains(&v)));
    }
}
