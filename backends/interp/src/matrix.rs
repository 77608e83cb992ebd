//! Matrix products over any element type the interpreter contracts.

use num_complex::Complex64;

/// A matrix inside a slice: element `(i, j)` is `data[offset + i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a, T> {
    pub data: &'a [T],
    pub offset: isize,
    pub row: isize,
    pub column: isize,
}

impl<T> Mat<'_, T> {
    /// Whether all elements of an `m` by `n` matrix lie inside the slice.
    fn holds(&self, m: usize, n: usize) -> bool {
        if m == 0 || n == 0 {
            return true;
        }
        let rows = (m as isize - 1) * self.row;
        let columns = (n as isize - 1) * self.column;
        let low = self.offset + rows.min(0) + columns.min(0);
        let high = self.offset + rows.max(0) + columns.max(0);
        low >= 0 && (high as usize) < self.data.len()
    }
}

/// An element type with a matrix product.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    /// `out[i * out_row + j] = sum over l of a[i, l] * b[l, j]` for an `m` by `k` and a `k` by `n` matrix.
    fn product(size: [usize; 3], a: Mat<Self>, b: Mat<Self>, out: &mut [Self], out_row: usize, threads: bool);
}

macro_rules! fast_element {
    ($t:ty) => {
        impl Element for $t {
            #[allow(unsafe_code)]
            fn product([m, k, n]: [usize; 3], a: Mat<$t>, b: Mat<$t>, out: &mut [$t], out_row: usize, threads: bool) {
                if m == 0 || n == 0 {
                    return;
                }
                assert!(
                    a.holds(m, k) && b.holds(k, n),
                    "callers derive both matrices from shapes of their slices"
                );
                assert!(
                    (m - 1) * out_row + n <= out.len(),
                    "callers make room for the product"
                );
                if k == 0 {
                    for row in out.chunks_mut(out_row.max(n)).take(m) {
                        row[..n].fill(0.0);
                    }
                    return;
                }
                let parallelism = if threads {
                    gemm::Parallelism::Rayon(0)
                } else {
                    gemm::Parallelism::None
                };
                // SAFETY: all elements that the strides reach lie inside the slices, as asserted above; `out` is
                // borrowed mutably and so overlaps neither operand.
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        out.as_mut_ptr(),
                        1,
                        out_row as isize,
                        false,
                        a.data.as_ptr().offset(a.offset),
                        a.column,
                        a.row,
                        b.data.as_ptr().offset(b.offset),
                        b.column,
                        b.row,
                        0.0,
                        1.0,
                        false,
                        false,
                        false,
                        parallelism,
                    );
                }
            }
        }
    };
}

fast_element!(f32);
fast_element!(f64);

macro_rules! plain_element {
    ($t:ty, $zero:expr, |$acc:ident, $x:ident, $y:ident| $step:expr) => {
        impl Element for $t {
            fn product([m, k, n]: [usize; 3], a: Mat<$t>, b: Mat<$t>, out: &mut [$t], out_row: usize, _threads: bool) {
                for i in 0..m {
                    let row = &mut out[i * out_row..i * out_row + n];
                    row.fill($zero);
                    for l in 0..k {
                        let $x = a.data[(a.offset + i as isize * a.row + l as isize * a.column) as usize];
                        for (j, $acc) in row.iter_mut().enumerate() {
                            let $y = b.data[(b.offset + l as isize * b.row + j as isize * b.column) as usize];
                            *$acc = $step;
                        }
                    }
                }
            }
        }
    };
}

plain_element!(i64, 0, |acc, x, y| acc.wrapping_add(x.wrapping_mul(y)));
plain_element!(Complex64, Complex64::new(0.0, 0.0), |acc, x, y| *acc + x * y);
