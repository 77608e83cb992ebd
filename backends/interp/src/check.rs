//! Checks of test programs: custom calls `check.*`, as StableHLO's own interpreter defines them.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Attr, CustomCall, TensorType};

use crate::eval::Value;
use crate::invalid;
use crate::tensor::Tensor;

/// How far elements may be apart.
enum Rule {
    /// Equal; NaN is equal to NaN.
    Equal,
    /// `|a - b|` is at most this.
    Tolerance(f64),
    /// So many representable numbers apart, at least and at most.
    Ulps(u64, u64),
}

/// Default of `check.expect_almost_eq`, where the call gives none.
const TOLERANCE: f64 = 1e-3;

/// Default of `check.expect_close`, in units in the last place.
const ULPS: u64 = 3;

/// Evaluates `check.<kind>`. `check.eq` answers whether all elements are equal where it has a result; all others fail
/// where elements differ.
pub(crate) fn check(kind: &str, call: &CustomCall, operands: &[Tensor], results: usize) -> Result<Vec<Value>> {
    let [got, want] = operands else {
        return Err(invalid(format!(
            "`check.{kind}` compares two values, {} are given",
            operands.len()
        )));
    };
    let number = |key: &str| match &call.backend_config {
        Attr::Dict(entries) => match entries.get(key) {
            Some(Attr::Float(value)) => Some(*value),
            Some(Attr::Int(value, _)) => Some(*value as f64),
            _ => None,
        },
        _ => None,
    };
    let exact = !got.dtype().is_float() && !got.dtype().is_complex();
    let rule = match kind {
        "eq" | "expect_eq" | "expect_serialized_eq" => Rule::Equal,
        "expect_almost_eq" => Rule::Tolerance(number("tolerance").unwrap_or(TOLERANCE)),
        "expect_close" if exact => Rule::Equal,
        "expect_close" => Rule::Ulps(
            number("min_ulp_difference").map_or(0, |v| v as u64),
            number("max_ulp_difference").map_or(ULPS, |v| v as u64),
        ),
        _ => return Err(crate::unsupported(format!("`check.{kind}` is not known"))),
    };
    if got.dtype() != want.dtype() || got.shape() != want.shape() {
        return Err(failed(
            kind,
            format!("the value is {}, expected was {}", got.ty(), want.ty()),
        ));
    }
    let worst = differences(&rule, got, want);
    if kind == "eq" && results == 1 {
        let answer = Tensor::from_i64s(TensorType::scalar(DType::Bool), vec![i64::from(worst.is_none())]);
        return Ok(vec![answer.into()]);
    }
    match worst {
        None => Ok(Vec::new()),
        Some((index, count)) => {
            let shown = |t: &Tensor| match (t.dtype().is_complex(), exact) {
                (true, _) => format!("{:?}", t.to_parts()[index]),
                (_, true) => t.get_i64(index).to_string(),
                _ => format!("{:e}", t.get_f64(index)),
            };
            Err(failed(
                kind,
                format!(
                    "{count} of {} elements differ; element {index} is {}, expected was {}",
                    got.count(),
                    shown(got),
                    shown(want)
                ),
            ))
        }
    }
}

fn failed(kind: &str, why: String) -> Diagnostic {
    Diagnostic::error(Code::Usage, format!("`check.{kind}` failed: {why}"))
}

/// The first element that breaks the rule, and how many do.
fn differences(rule: &Rule, got: &Tensor, want: &Tensor) -> Option<(usize, usize)> {
    let dtype = got.dtype();
    let fits: Vec<bool> = if dtype.is_float() || dtype.is_complex() {
        let part = dtype.real();
        let pairs = got.to_parts().into_iter().zip(want.to_parts());
        pairs
            .map(|((gr, gi), (wr, wi))| {
                let real = apart(rule, part, gr, wr);
                real && (!dtype.is_complex() || apart(rule, part, gi, wi))
            })
            .collect()
    } else {
        got.to_i64s()
            .iter()
            .zip(want.to_i64s().iter())
            .map(|(a, b)| a == b)
            .collect()
    };
    let count = fits.iter().filter(|fits| !**fits).count();
    fits.iter().position(|fits| !fits).map(|first| (first, count))
}

/// Whether two numbers keep the rule.
fn apart(rule: &Rule, dtype: DType, a: f64, b: f64) -> bool {
    let same = a == b || (a.is_nan() && b.is_nan());
    match rule {
        Rule::Equal => same,
        Rule::Tolerance(tolerance) => same || (a - b).abs() <= *tolerance,
        Rule::Ulps(low, high) => {
            let distance = if same { 0 } else { ulps(dtype, a, b) };
            (*low..=*high).contains(&distance)
        }
    }
}

/// How many representable numbers two numbers of one type are apart; as many as can be for what is not finite.
fn ulps(dtype: DType, a: f64, b: f64) -> u64 {
    if !a.is_finite() || !b.is_finite() {
        return u64::MAX;
    }
    let magnitude = |x: f64| {
        let mut bytes = [0u8; 8];
        ferrite_ir::literal::write_f64(dtype, x.abs(), &mut bytes[..dtype.bytes()]);
        u64::from_le_bytes(bytes)
    };
    let (x, y) = (magnitude(a), magnitude(b));
    if a.is_sign_negative() == b.is_sign_negative() {
        x.abs_diff(y)
    } else {
        x.saturating_add(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_representable_numbers() {
        assert_eq!(ulps(DType::F32, 1.0, 1.0 + f64::from(f32::EPSILON)), 1);
        assert_eq!(ulps(DType::F16, -5.960464477539063e-8, 5.960464477539063e-8), 2);
        assert_eq!(ulps(DType::BF16, 2.0, 1.0), 128);
        assert_eq!(ulps(DType::F64, f64::INFINITY, f64::MAX), u64::MAX);
    }

    #[test]
    fn zeros_and_nans_are_equal_to_themselves() {
        assert!(apart(&Rule::Ulps(0, 0), DType::F32, 0.0, -0.0));
        assert!(apart(&Rule::Equal, DType::F32, f64::NAN, f64::NAN));
        assert!(!apart(&Rule::Tolerance(1e9), DType::F32, f64::INFINITY, 1.0));
    }
}
