//! Special functions on `f32`.
//!
//! Coefficients: `erfc` is our own fit (below); `erf_inv` is Giles' single-precision approximation, `lgamma` and `digamma`
//! Lanczos' with g = 7, `bessel_i1e` Cephes' Chebyshev series, `zeta` the Euler-Maclaurin formula: those that XLA uses.

use std::f64::consts::PI;

use super::elementary::log1p;
use super::expr::{E, polynomial};

/// `erfc(|x|) = t exp(-x^2 + P(t))` with `t = 1 / (1 + 0.4 |x|)`. `P` interpolates `log(erfc(z) exp(z^2) / t)` at the
/// Chebyshev nodes of `0 <= z <= 10.2`; beyond, the result is zero. Relative error below 1.2e-7 before rounding.
const ERFC: [f64; 10] = [
    0.068_334_724_208_8,
    -0.580_763_270_27,
    1.806_434_231_47,
    -2.665_469_635_01,
    1.980_935_439_41,
    -0.969_362_513_87,
    0.481_169_666_795,
    0.361_413_474_447,
    1.006_248_591_33,
    -1.488_940_741_06,
];

/// One polynomial for both signs: relative accuracy in the upper tail is what the exact GELU needs. There the rounding of
/// `x^2` dominates: half a unit in the last place for each unit of `x^2`.
pub(super) fn erfc(x: E<'_>) -> E<'_> {
    let a = x.abs();
    let t = 1.0 / (a * 0.4 + 1.0);
    let upper = t * (polynomial(t, &ERFC) - x.square()).exp();
    x.lt(0.0).select(2.0 - upper, upper)
}

pub(super) fn erf_inv(x: E<'_>) -> E<'_> {
    const CENTRE: [f64; 9] = [
        2.810_226_36e-08,
        3.432_739_39e-07,
        -3.523_387_7e-06,
        -4.391_506_54e-06,
        0.000_218_580_87,
        -0.001_253_725_03,
        -0.004_177_681_64,
        0.246_640_727,
        1.501_409_41,
    ];
    const TAIL: [f64; 9] = [
        -0.000_200_214_257,
        0.000_100_950_558,
        0.001_349_343_22,
        -0.003_673_428_44,
        0.005_739_507_73,
        -0.007_622_461_3,
        0.009_438_870_47,
        1.001_674_06,
        2.832_976_82,
    ];
    let w = -log1p(-(x * x));
    let centre = w.lt(5.0);
    let v = centre.select(w - 2.5, w.sqrt() - 3.0);
    let mut p = centre.select(x.c(CENTRE[0]), TAIL[0]);
    for (&c, &t) in CENTRE[1..].iter().zip(&TAIL[1..]) {
        p = p * v + centre.select(x.c(c), t);
    }
    x.abs().equals(1.0).select(x * f64::INFINITY, p * x)
}

const LANCZOS_G: f64 = 7.0;
const LANCZOS_BASE: f64 = 0.999_999_999_999_809_9;
const LANCZOS: [f64; 8] = [
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// `z`, where the series is taken, and whether that is a reflection: `x < 1/2`.
fn reflected(x: E<'_>) -> (E<'_>, E<'_>) {
    let reflect = x.lt(0.5);
    (reflect.select(-x, x - 1.0), reflect)
}

/// `g + 1/2 + z` and its logarithm.
fn lanczos_t(z: E<'_>) -> (E<'_>, E<'_>) {
    let half = LANCZOS_G + 0.5;
    (z + half, log1p(z / half) + half.ln())
}

pub(super) fn lgamma(x: E<'_>) -> E<'_> {
    let (z, reflect) = reflected(x);
    let mut sum = z.c(LANCZOS_BASE);
    for (i, &c) in LANCZOS.iter().enumerate() {
        sum = sum + c / (z + (i as f64 + 1.0));
    }
    let (t, log_t) = lanczos_t(z);
    let y = (z + 0.5 - t / log_t) * log_t + (0.5 * (2.0 * PI).ln()) + sum.log();
    let a = x.abs();
    let fraction = a - a.floor();
    let reduced = fraction.gt(0.5).select(1.0 - fraction, fraction);
    let denominator = (reduced * PI).sin().log();
    let reflection = denominator
        .is_finite()
        .select((PI.ln() - denominator) - y, -denominator);
    let r = reflect.select(reflection, y);
    x.is_inf().select(x.c(f64::INFINITY), r)
}

pub(super) fn digamma(x: E<'_>) -> E<'_> {
    let (z, reflect) = reflected(x);
    let (mut up, mut down) = (z.c(0.0), z.c(LANCZOS_BASE));
    for (i, &c) in LANCZOS.iter().enumerate() {
        let d = z + (i as f64 + 1.0);
        let q = c / d;
        up = up - q / d;
        down = down + q;
    }
    let (t, log_t) = lanczos_t(z);
    let y = log_t + up / down - LANCZOS_G / t;
    let reduced = x + (x + 0.5).floor().abs();
    let angle = reduced * PI;
    let r = reflect.select(y - PI * angle.cos() / angle.sin(), y);
    // Not a number at every pole, zero included, as the chlo decomposition has it.
    let pole = x.le(0.0) & x.equals(x.floor());
    pole.select(x.c(f64::NAN), r)
}

/// Chebyshev series, coefficients from the highest down, half of the last.
fn chebyshev<'g>(x: E<'g>, coefficients: &[f64]) -> E<'g> {
    let (mut b0, mut b1, mut b2) = (x.c(0.0), x.c(0.0), x.c(0.0));
    for &c in coefficients {
        (b2, b1) = (b1, b0);
        b0 = x * b1 - b2 + c;
    }
    (b0 - b2) * 0.5
}

/// `exp(-|x|) I1(x)`.
pub(super) fn bessel_i1e(x: E<'_>) -> E<'_> {
    const NEAR: [f64; 17] = [
        9.381_537_386_495_772e-9,
        -4.445_059_128_796_328e-8,
        2.003_294_753_552_135_3e-7,
        -8.568_720_264_695_455e-7,
        3.470_251_308_137_678_5e-6,
        -1.327_316_365_603_943_6e-5,
        4.781_565_107_550_054e-5,
        -1.617_608_158_258_967_5e-4,
        5.122_859_561_685_758e-4,
        -1.513_572_450_631_253_2e-3,
        4.156_422_944_312_888e-3,
        -1.056_408_489_462_619_7e-2,
        2.472_644_903_062_651_6e-2,
        -5.294_598_120_809_499e-2,
        1.026_436_586_898_471e-1,
        -1.764_165_183_578_340_6e-1,
        2.525_871_864_436_336_5e-1,
    ];
    const FAR: [f64; 7] = [
        -3.835_380_385_964_237e-9,
        -2.631_468_846_889_519_6e-8,
        -2.512_236_237_870_209e-7,
        -3.882_564_808_877_691e-6,
        -1.105_889_387_626_237_2e-4,
        -9.761_097_491_361_469e-3,
        7.785_762_350_182_801e-1,
    ];
    let z = x.abs();
    let near = chebyshev(z * 0.5 - 2.0, &NEAR) * z;
    let far = chebyshev(32.0 / z - 2.0, &FAR) / z.sqrt();
    z.le(8.0).select(near, far).with_sign_of(x)
}

/// Terms of the sum before the Euler-Maclaurin correction takes over.
const ZETA_TERMS: usize = 9;
/// `B(2j) / (2j)!` for j from 1.
const BERNOULLI: [f64; 6] = [
    1.0 / 12.0,
    -1.0 / 720.0,
    1.0 / 30_240.0,
    -1.0 / 1_209_600.0,
    1.0 / 47_900_160.0,
    -1.0 / 1_307_674_368_000.0 * 691.0,
];

/// Hurwitz zeta `sum (q + k)^-x`, k from 0.
pub(super) fn zeta<'g>(x: E<'g>, q: E<'g>) -> E<'g> {
    let power = |base: E<'g>| super::power::power(base, -x, None);
    let mut a = q;
    let mut sum = power(q);
    for _ in 0..ZETA_TERMS {
        a = a + 1.0;
        sum = sum + power(a);
    }
    let w = a + 1.0;
    let p = power(w);
    let inverse_square = 1.0 / w.square();
    // B2/2! + (x+1)(x+2)/w^2 (B4/4! + (x+3)(x+4)/w^2 (...))
    let mut series = x.c(BERNOULLI[BERNOULLI.len() - 1]);
    for j in (0..BERNOULLI.len() - 1).rev() {
        let k = 2.0 * j as f64;
        series = (x + (k + 1.0)) * (x + (k + 2.0)) * inverse_square * series + BERNOULLI[j];
    }
    let tail = w / (x - 1.0) + 0.5 + x / w * series;
    let s = sum + p * tail;
    let s = x.equals(1.0).select(x.c(f64::INFINITY), s);
    let pole = q.le(0.0) & q.equals(q.floor());
    let s = pole.select(x.c(f64::INFINITY), s);
    let nan = x.lt(1.0) | (q.lt(0.0) & !pole & x.differs(x.floor()));
    nan.select(x.c(f64::NAN), s)
}

/// `psi^(n)(x)`: `digamma` for n = 0, else `(-1)^(n+1) n! zeta(n + 1, x)`.
pub(super) fn polygamma<'g>(n: E<'g>, x: E<'g>) -> E<'g> {
    let m = n + 1.0;
    let magnitude = lgamma(m).exp() * zeta(m, x);
    let even = (m * 0.5).floor().equals(m * 0.5);
    let r = even.select(magnitude, -magnitude);
    let r = n.equals(0.0).select(digamma(x), r);
    let valid = n.ge(0.0) & n.equals(n.floor());
    valid.select(r, f64::NAN)
}
