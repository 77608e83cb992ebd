//! Floating-point numbers as MLIR prints them.

use crate::dtype::{DType, e8m0_from_f64, e8m0_to_f64};

/// The text of `value` as an element of the type named `ty`: six digits and an exponent where that is exact, as many
/// digits as the type needs otherwise, the bits in hexadecimal for what has no decimal form.
///
/// The rules are those of MLIR's printer and LLVM's `APFloat::toString`, so that what we print is what MLIR prints.
pub fn format_float(value: f64, ty: &str) -> String {
    let small = DType::from_mlir(ty).and_then(DType::minifloat);
    // Powers of two without sign: eight bits of exponent.
    let scale = ty == DType::F8E8M0FNU.mlir();
    let round = |x: f64| match (small, ty) {
        (Some(format), _) => format.to_f64(format.from_f64(x)),
        (None, "f64") => x,
        _ if scale => e8m0_to_f64(e8m0_from_f64(x)),
        _ => f64::from(x as f32),
    };
    let value = round(value);
    if value.is_finite() {
        let short = scientific(value);
        if short
            .parse()
            .is_ok_and(|back: f64| round(back).to_bits() == value.to_bits())
        {
            return short;
        }
        let precision = match (small, ty) {
            (Some(format), _) => format.mantissa_bits as usize + 1,
            (None, "f64") => 53,
            _ if scale => 1,
            _ => 24,
        };
        let long = shortest(value, 2 + precision * 59 / 196);
        if long.contains('.') {
            return long;
        }
    }
    match (small, ty) {
        (Some(format), _) => {
            let width = if format.exponent_bits + format.mantissa_bits > 7 {
                4
            } else {
                2
            };
            format!("0x{:0width$X}", format.from_f64(value))
        }
        (None, "f64") => format!("0x{:016X}", value.to_bits()),
        _ if scale => format!("0x{:02X}", e8m0_from_f64(value)),
        _ => format!("0x{:08X}", (value as f32).to_bits()),
    }
}

/// Decimal digits without trailing zeros, and the power of ten of the first one. The digits are cut off, not rounded,
/// where the exact value has many more than asked for: LLVM does so.
fn decimal(value: f64, digits: usize) -> (String, i32) {
    if value == 0.0 {
        return ("0".to_string(), 0);
    }
    // Enough for every digit of the smallest denormal.
    let text = format!("{:.780e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let leading: i32 = exponent.parse().unwrap_or(0);
    let mut all: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();

    // The value is significand x 2^power with an odd significand; as an integer times a power of ten it has `bits` bits.
    let bits = value.abs().to_bits();
    let (fraction, field) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let (significand, power) = if field == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, field - 1075)
    };
    let power = power + significand.trailing_zeros() as i32;
    let significand = significand >> significand.trailing_zeros();
    let (length, ten) = if power >= 0 {
        (64 - significand.leading_zeros() as i32 + power, 0)
    } else {
        let logarithm = (significand as f64).log2() + f64::from(-power) * 5f64.log2();
        (logarithm.floor() as i32 + 1, power)
    };
    let needed = (digits as i32 * 196 + 58) / 59;
    let removed = if length > needed {
        (length - needed) * 59 / 196
    } else {
        0
    };
    let kept = (leading - ten + 1 - removed).max(1) as usize;
    all.resize(kept.max(1), b'0');
    while all.len() > 1 && all.last() == Some(&b'0') {
        all.pop();
    }
    let mut leading = leading;
    if all.len() > digits {
        let up = all[digits] >= b'5';
        all.truncate(digits);
        if up {
            while all.last() == Some(&b'9') {
                all.pop();
            }
            match all.last_mut() {
                Some(last) => *last += 1,
                None => {
                    all.push(b'1');
                    leading += 1;
                }
            }
        }
        while all.len() > 1 && all.last() == Some(&b'0') {
            all.pop();
        }
    }
    (all.into_iter().map(char::from).collect(), leading)
}

/// `1.500000e+00`: six significant digits and a zero.
fn scientific(value: f64) -> String {
    let (digits, exponent) = decimal(value, 6);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}{}.{:0<6}e{exponent_sign}{:02}",
        &digits[..1],
        &digits[1..],
        exponent.abs()
    )
}

/// `digits` significant digits without trailing zeros; an exponent where more than three zeros would be needed.
fn shortest(value: f64, digits: usize) -> String {
    let (all, leading) = decimal(value, digits);
    let count = all.len() as i32;
    let last = leading - (count - 1);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let scientific = if last >= 0 {
        last > 3 || last + count > digits as i32
    } else {
        leading < -3
    };
    if scientific {
        let rest = if count == 1 { "0" } else { &all[1..] };
        let exponent_sign = if leading < 0 { '-' } else { '+' };
        return format!("{sign}{}.{rest}E{exponent_sign}{}", &all[..1], leading.abs());
    }
    if last >= 0 {
        return format!("{sign}{all}{}", "0".repeat(last as usize));
    }
    if leading >= 0 {
        let (whole, part) = all.split_at(leading as usize + 1);
        return format!("{sign}{whole}.{part}");
    }
    format!("{sign}0.{}{all}", "0".repeat((-leading - 1) as usize))
}

#[cfg(test)]
mod tests {
    use super::format_float;

    #[test]
    fn numbers_print_as_in_mlir() {
        // Pairs seen in files that JAX printed.
        let cases: [(f64, &str, &str); 14] = [
            (2f64.powi(-127), "f8E8M0FNU", "5.877470e-39"),
            (f64::NAN, "f8E8M0FNU", "0xFF"),
            (0.0, "f32", "0.000000e+00"),
            (-0.0, "f32", "-0.000000e+00"),
            (1.5, "bf16", "1.500000e+00"),
            (0.1, "f32", "1.000000e-01"),
            (f64::from(f32::from_bits(0x3F4C_422A)), "f32", "0.797884583"),
            (f64::from(1e-5f32), "f32", "9.99999974E-6"),
            (f64::from(0.9f32), "f32", "0.899999976"),
            (65504.0, "f16", "6.550400e+04"),
            (3.0e38, "f32", "3.000000e+38"),
            (f64::NEG_INFINITY, "f32", "0xFF800000"),
            (16777215.0, "f32", "0x4B7FFFFF"),
            (f64::INFINITY, "bf16", "0x7F80"),
        ];
        for (value, ty, text) in cases {
            assert_eq!(format_float(value, ty), text, "{value} as {ty}");
        }
    }
}
