//! ScalarE's functions in fp32 (`neuroncore.md` section 3.4).
//!
//! The hardware uses piecewise polynomials whose error is not public: we answer with the mathematical function rounded to
//! fp32. Outside of the documented ranges of `sin` and `arctan` the result runs away as a cubic from the border, which for `sin`
//! is what the documents show; elsewhere the mathematical value stands (our assumption).

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI, FRAC_PI_2, PI, SQRT_2};

use ferrite_ir::isa::ActFunc;

/// Applies `func` to every element.
pub fn apply(func: ActFunc, row: &mut [f32]) {
    macro_rules! each {
        ($f:expr) => {
            row.iter_mut().for_each(|x| *x = $f(*x))
        };
    }
    match func {
        ActFunc::Copy => {}
        ActFunc::Abs => each!(f32::abs),
        ActFunc::Sign => each!(|x: f32| if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            x
        }),
        ActFunc::Square => each!(|x: f32| x * x),
        // NaN stays NaN, as in every other function (our assumption).
        ActFunc::Relu => each!(|x: f32| if x > 0.0 || x.is_nan() { x } else { 0.0 }),
        ActFunc::Exp => each!(f32::exp),
        ActFunc::Sigmoid => each!(sigmoid),
        ActFunc::Silu => each!(|x: f32| x * sigmoid(x)),
        ActFunc::SiluDx => each!(|x: f32| {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }),
        ActFunc::GeluApprxSigmoid => each!(|x: f32| x * sigmoid(SIGMOID_GELU * x)),
        ActFunc::GeluApprxSigmoidDx => each!(|x: f32| {
            let s = sigmoid(SIGMOID_GELU * x);
            s + SIGMOID_GELU * x * s * (1.0 - s)
        }),
        ActFunc::Tanh => each!(f32::tanh),
        ActFunc::GeluApprxTanh => each!(|x: f32| {
            let inner = (FRAC_2_PI.sqrt()) * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }),
        ActFunc::Gelu => each!(|x: f32| 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2))),
        ActFunc::GeluDx => each!(|x: f32| {
            let density = (-0.5 * x * x).exp() * (FRAC_2_SQRT_PI / (2.0 * SQRT_2));
            0.5 * (1.0 + libm::erff(x * FRAC_1_SQRT_2)) + x * density
        }),
        ActFunc::Erf => each!(libm::erff),
        ActFunc::ErfDx => each!(|x: f32| FRAC_2_SQRT_PI * (-x * x).exp()),
        ActFunc::Softplus => each!(softplus),
        ActFunc::Mish => each!(|x: f32| x * softplus(x).tanh()),
        ActFunc::Log => each!(f32::ln),
        ActFunc::Sqrt => each!(f32::sqrt),
        ActFunc::Rsqrt => each!(|x: f32| 1.0 / x.sqrt()),
        ActFunc::Reciprocal => each!(|x: f32| 1.0 / x),
        ActFunc::Sin => each!(sin),
        ActFunc::Arctan => each!(arctan),
    }
}

/// Factor of the sigmoid approximation of GELU.
const SIGMOID_GELU: f32 = 1.702;

fn sigmoid(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sin(x: f32) -> f32 {
    if x.abs() <= PI || !x.is_finite() {
        return x.sin();
    }
    let d = x - PI.copysign(x);
    -d + d * d * d / 6.0
}

fn arctan(x: f32) -> f32 {
    if x.abs() <= FRAC_PI_2 || !x.is_finite() {
        return x.atan();
    }
    // Taylor polynomial of degree 3 at the border.
    let a = FRAC_PI_2;
    let d = x.abs() - a;
    let q = 1.0 / (1.0 + a * a);
    let value = a.atan() + q * d - a * q * q * d * d + (3.0 * a * a - 1.0) * q * q * q / 3.0 * d * d * d;
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(func: ActFunc, x: f32) -> f32 {
        let mut row = [x];
        apply(func, &mut row);
        row[0]
    }

    #[test]
    fn sin_runs_away_as_documented() {
        assert!((f(ActFunc::Sin, 9.0) - 27.65).abs() < 0.02);
        assert!((f(ActFunc::Sin, 1.0) - 1f32.sin()).abs() < 1e-7);
    }

    #[test]
    fn relu_keeps_nan() {
        assert!(f(ActFunc::Relu, f32::NAN).is_nan());
        assert_eq!((f(ActFunc::Relu, -3.0), f(ActFunc::Relu, 3.0)), (0.0, 3.0));
    }

    #[test]
    fn derivatives_match_differences() {
        for (func, dx) in [
            (ActFunc::Gelu, ActFunc::GeluDx),
            (ActFunc::Silu, ActFunc::SiluDx),
            (ActFunc::Erf, ActFunc::ErfDx),
            (ActFunc::GeluApprxSigmoid, ActFunc::GeluApprxSigmoidDx),
        ] {
            for x in [-2.0f32, -0.3, 0.0, 0.7, 3.0] {
                let h = 1e-2;
                let slope = (f(func, x + h) - f(func, x - h)) / (2.0 * h);
                assert!((slope - f(dx, x)).abs() < 1e-3, "{func:?} at {x}: {slope} {}", f(dx, x));
            }
        }
    }

    #[test]
    fn gelu_approximations_are_close() {
        for x in [-3.0f32, -1.0, 0.5, 2.0] {
            assert!((f(ActFunc::Gelu, x) - f(ActFunc::GeluApprxTanh, x)).abs() < 2e-3);
            assert!((f(ActFunc::Gelu, x) - f(ActFunc::GeluApprxSigmoid, x)).abs() < 3e-2);
        }
    }
}
