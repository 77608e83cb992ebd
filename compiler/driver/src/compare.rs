//! Comparison of results with what was expected.

use ferrite_interp::Tensor;
use serde::Serialize;

/// How far a result may be off: `|got - want| <= atol + rtol * |want|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tolerance {
    /// Absolute part.
    pub atol: f64,
    /// Relative part.
    pub rtol: f64,
    /// Share of elements that may be off all the same (integers that depend on rounded values).
    pub mismatch_fraction: f64,
}

impl Tolerance {
    /// An absolute and a relative part; every element has to keep it.
    pub fn new(atol: f64, rtol: f64) -> Tolerance {
        Tolerance {
            atol,
            rtol,
            mismatch_fraction: 0.0,
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether the result is accepted.
    pub ok: bool,
    /// Elements compared.
    pub count: usize,
    /// Elements beyond the tolerance.
    pub mismatches: usize,
    /// Largest absolute difference of finite elements.
    pub max_abs_err: f64,
    /// Largest difference relative to the expected element, of finite elements that are not zero.
    pub max_rel_err: f64,
    /// The worst element beyond the tolerance: position, result, expectation.
    pub worst: Option<(usize, f64, f64)>,
    /// Why nothing could be compared (another type or shape).
    pub refused: Option<String>,
}

impl Comparison {
    /// A result that cannot be compared at all.
    pub fn refused(why: impl Into<String>) -> Comparison {
        Comparison {
            ok: false,
            count: 0,
            mismatches: 0,
            max_abs_err: 0.0,
            max_rel_err: 0.0,
            worst: None,
            refused: Some(why.into()),
        }
    }
}

/// Compares element by element: NaN matches NaN and an infinity itself; integers and booleans match exactly.
pub fn compare(got: &Tensor, want: &Tensor, tolerance: Tolerance) -> Comparison {
    if got.ty() != want.ty() {
        return Comparison::refused(format!("the result is {}, expected was {}", got.ty(), want.ty()));
    }
    let exact = !got.dtype().is_float() && !got.dtype().is_complex();
    let mut found = Comparison {
        ok: true,
        count: got.count(),
        refused: None,
        ..Comparison::refused("")
    };
    let mut worst_excess = 0.0;
    let width = got.dtype().bytes();
    let bytes = got.bytes().chunks_exact(width).zip(want.bytes().chunks_exact(width));
    let numbers = got.to_parts().into_iter().zip(want.to_parts());
    for (i, (((gr, gi), (wr, wi)), (gb, wb))) in numbers.zip(bytes).enumerate() {
        let distance = part(gr, wr).hypot(part(gi, wi));
        let size = wr.hypot(wi);
        if distance.is_finite() {
            found.max_abs_err = found.max_abs_err.max(distance);
            if size.is_finite() && size > 0.0 {
                found.max_rel_err = found.max_rel_err.max(distance / size);
            }
        }
        let allowed = tolerance.atol + if size.is_finite() { tolerance.rtol * size } else { 0.0 };
        let fits = if exact { gb == wb } else { distance <= allowed };
        if !fits {
            found.mismatches += 1;
            let excess = if allowed > 0.0 {
                distance / allowed
            } else {
                f64::INFINITY
            };
            if excess > worst_excess || found.worst.is_none() {
                worst_excess = excess;
                found.worst = Some((i, gr, wr));
            }
        }
    }
    found.ok = found.mismatches as f64 <= tolerance.mismatch_fraction * found.count as f64;
    found
}

/// Distance of two numbers: 0 for equal specials, infinite where only one is special.
fn part(got: f64, want: f64) -> f64 {
    if got == want || (got.is_nan() && want.is_nan()) {
        0.0
    } else if got.is_finite() && want.is_finite() {
        (got - want).abs()
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(values: &[f32]) -> Tensor {
        match Tensor::from_f32(&[values.len() as i64], values) {
            Some(t) => t,
            None => panic!("one dimension"),
        }
    }

    #[test]
    fn specials_match_themselves_only() {
        let want = f(&[f32::NAN, f32::INFINITY, 1.0]);
        assert!(compare(&want, &want, Tolerance::default()).ok);
        let got = f(&[f32::NAN, f32::MAX, 1.0]);
        assert_eq!(compare(&got, &want, Tolerance::new(1e30, 1e30)).mismatches, 1);
        let negative = f(&[f32::NAN, f32::NEG_INFINITY, 1.0]);
        assert!(!compare(&negative, &want, Tolerance::new(1e30, 1e30)).ok);
    }

    #[test]
    fn the_worst_element_is_named() {
        let found = compare(&f(&[1.0, 2.5, 3.1]), &f(&[1.0, 2.0, 3.0]), Tolerance::new(0.05, 0.0));
        assert_eq!((found.mismatches, found.worst), (2, Some((1, 2.5, 2.0))));
    }

    #[test]
    fn another_shape_is_no_match() {
        assert!(
            compare(&f(&[1.0]), &f(&[1.0, 1.0]), Tolerance::new(9.0, 9.0))
                .refused
                .is_some()
        );
    }
}
