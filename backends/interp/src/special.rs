//! Special functions in `f64`: what `chlo` names and neither `std` nor `libm` has.

/// Inverse of the error function. Infinite at -1 and 1, NaN outside.
pub(crate) fn erf_inv(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    if x.abs() == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    if x == 0.0 {
        return x;
    }
    // Winitzki's approximation, then Newton steps on erfc, which keeps its digits in the tail.
    let a = 0.147;
    let ln = (-x * x).ln_1p();
    let t = 2.0 / (std::f64::consts::PI * a) + ln / 2.0;
    let mut y = ((t * t - ln / a).sqrt() - t).sqrt();
    let target = x.abs();
    let slope = 2.0 / std::f64::consts::PI.sqrt();
    for _ in 0..4 {
        let error = if target < 0.5 {
            libm::erf(y) - target
        } else {
            (1.0 - target) - libm::erfc(y)
        };
        let derivative = slope * (-y * y).exp();
        if derivative == 0.0 {
            break;
        }
        let step = error / derivative;
        // Halley's correction: erf'' / erf' = -2y.
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// Logarithm of the absolute value of the gamma function.
pub(crate) fn lgamma(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    libm::lgamma(x)
}

/// Logarithmic derivative of the gamma function; NaN at the poles, -infinity and infinity at the zeros' signs.
pub(crate) fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        let pi = std::f64::consts::PI;
        let fraction = x - x.floor();
        return digamma(1.0 - x) - pi / (pi * fraction).tan();
    }
    let mut x = x;
    let mut shift = 0.0;
    while x < 10.0 {
        shift += 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    // Bernoulli numbers B_2k / 2k.
    let series = z
        * (1.0 / 12.0
            - z * (1.0 / 120.0
                - z * (1.0 / 252.0
                    - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32760.0 - z * (1.0 / 12.0)))))));
    x.ln() - 0.5 / x - series - shift
}

/// Hurwitz zeta: sum over k of `(k + q)^-x`, for x > 1.
pub(crate) fn zeta(x: f64, q: f64) -> f64 {
    if x.is_nan() || q.is_nan() || x < 1.0 {
        return f64::NAN;
    }
    if x == 1.0 {
        return f64::INFINITY;
    }
    if q <= 0.0 {
        if q == q.floor() {
            return f64::INFINITY;
        }
        if x != x.floor() {
            return f64::NAN; // (q + k) is negative and the power is no real number
        }
    }
    // Euler-Maclaurin, as in Cephes.
    const COEFFICIENTS: [f64; 12] = [
        12.0,
        -720.0,
        30240.0,
        -1209600.0,
        47900160.0,
        -1.892_437_580_318_379e9,
        7.47242496e10,
        -2.950_130_727_918_164e12,
        1.164_678_281_435_006_7e14,
        -4.597_978_722_407_473e15,
        1.815_210_540_194_354_7e17,
        -7.166_165_256_175_667e18,
    ];
    let mut sum = q.powf(-x);
    let mut a = q;
    let mut b;
    let mut i = 0;
    loop {
        i += 1;
        a += 1.0;
        b = a.powf(-x);
        sum += b;
        if (b / sum).abs() < f64::EPSILON {
            return sum;
        }
        if i >= 9 && a > 9.0 {
            break;
        }
        if i > 100_000 {
            return sum; // q far below zero: the remaining terms are beyond double precision anyway
        }
    }
    let w = a;
    sum += b * w / (x - 1.0);
    sum -= 0.5 * b;
    let mut factor = 1.0;
    let mut k = 0.0;
    for coefficient in COEFFICIENTS {
        factor *= x + k;
        b /= w;
        let term = factor * b / coefficient;
        sum += term;
        if (term / sum).abs() < f64::EPSILON {
            break;
        }
        k += 1.0;
        factor *= x + k;
        b /= w;
        k += 1.0;
    }
    sum
}

/// The n-th derivative of digamma; `n` a non-negative whole number, else NaN.
pub(crate) fn polygamma(n: f64, x: f64) -> f64 {
    if !(n >= 0.0 && n == n.floor()) {
        return f64::NAN;
    }
    if n == 0.0 {
        return digamma(x);
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    sign * libm::tgamma(n + 1.0) * zeta(n + 1.0, x)
}

/// Modified Bessel function of the first kind and order one, times `exp(-|x|)`.
pub(crate) fn bessel_i1e(x: f64) -> f64 {
    let z = x.abs();
    if z.is_nan() {
        return z;
    }
    let value = if z < 30.0 {
        // Power series: all terms positive.
        let quarter = z * z / 4.0;
        let mut term = z / 2.0;
        let mut sum = term;
        let mut k = 1.0;
        while term > sum * 1e-18 && k < 500.0 {
            term *= quarter / (k * (k + 1.0));
            sum += term;
            k += 1.0;
        }
        sum * (-z).exp()
    } else if z.is_infinite() {
        0.0
    } else {
        // Asymptotic expansion with mu = 4.
        let mut term = 1.0f64;
        let mut sum = 1.0;
        for k in 1..40 {
            let k = k as f64;
            let odd = 2.0 * k - 1.0;
            let next = -term * (4.0 - odd * odd) / (k * 8.0 * z);
            if next.abs() >= term.abs() || next == 0.0 {
                break;
            }
            term = next;
            sum += term;
        }
        sum / (2.0 * std::f64::consts::PI * z).sqrt()
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} against {b}");
    }

    #[test]
    fn known_values() {
        close(erf_inv(0.5), 0.476_936_276_204_469_9);
        // The double nearest to -0.999999.
        close(erf_inv(-0.999_999), -3.458_910_737_275_499);
        close(digamma(1.0), -0.577_215_664_901_532_9);
        close(digamma(-0.5), 0.036_489_973_978_576_52);
        close(zeta(2.0, 1.0), std::f64::consts::PI.powi(2) / 6.0);
        close(polygamma(1.0, 1.0), std::f64::consts::PI.powi(2) / 6.0);
        close(bessel_i1e(1.0), 0.207_910_415_349_708_45);
        close(bessel_i1e(50.0), 0.055_993_123_892_895_5);
    }

    #[test]
    fn the_inverse_error_function_inverts() {
        for i in -99..100 {
            let x = i as f64 / 100.0;
            close(libm::erf(erf_inv(x)), x);
        }
    }
}
