//! The one product TensorE is made of, on top of the `gemm` crate.

// The crate's entry point takes raw pointers; lengths are checked here before the call.
#![allow(unsafe_code)]

use gemm::{Parallelism, gemm};

/// `out[m, n] = sum over ascending k of a[k, m] * b[k, n]`, all row-major, in fp32 starting from zero.
///
/// Slices that are too short for the sizes leave `out` as it is: the caller's shapes come from checked operands.
pub fn column_sums(a: &[f32], b: &[f32], k: usize, m: usize, n: usize, out: &mut [f32]) {
    if a.len() < k * m || b.len() < k * n || out.len() < m * n || m == 0 || n == 0 || k == 0 {
        return;
    }
    // SAFETY: all three slices hold at least as many elements as the strides reach (checked above), and `out` is borrowed mutably.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            m as isize,
            1,
            b.as_ptr(),
            1,
            n as isize,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, mut seed: u32) -> Vec<f32> {
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn sums_are_fused_and_ascend_in_k() {
        let (k, m, n) = (128, 96, 130);
        let (a, b) = (values(k * m, 1), values(k * n, 2));
        let mut out = vec![0.0; m * n];
        column_sums(&a, &b, k, m, n, &mut out);
        let mut worst = 0f32;
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(0f32, |s, l| a[l * m + i].mul_add(b[l * n + j], s));
                worst = worst.max((sum - out[i * n + j]).abs());
            }
        }
        // Exact with fused multiply-add; without it every product is rounded once more.
        assert!(worst <= 1e-4, "{worst}");
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("fma") {
            assert_eq!(worst, 0.0);
        }
    }
}
