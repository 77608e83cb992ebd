//! Every element-wise operation, at every dtype that has it, over special values and all magnitudes: the simulated
//! device against the reference interpreter.

use std::fmt::Write as _;

use ferrite_driver::options::CompileOptions;
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{
    BinaryOp, Builder, Built, Compare, ComparisonDirection, ComparisonType, Func, Module, OpKind, TensorType, UnaryOp,
    ValueId,
};
use ferrite_ir::literal::{int_range, write_f64, write_i64};

use super::device::on_device;

/// Special values and numbers of many magnitudes, each representable or rounded to the dtype.
fn values(dtype: DType) -> Vec<f64> {
    if dtype == DType::Bool {
        return vec![0.0, 1.0];
    }
    if dtype.is_int() {
        let (low, high) = int_range(dtype);
        let mut out: Vec<i128> = vec![
            0,
            1,
            2,
            3,
            5,
            7,
            10,
            100,
            127,
            128,
            255,
            1000,
            65535,
            1 << 24,
            (1 << 24) + 1,
        ];
        out.extend([
            123_456_789,
            987_654_321,
            0x5555_5555,
            low,
            low + 1,
            high,
            high - 1,
            high / 2,
            high / 3,
        ]);
        let negative: Vec<i128> = out.iter().map(|x| -x).collect();
        out.extend(negative);
        out.retain(|x| (low..=high).contains(x));
        out.sort_unstable();
        out.dedup();
        return out.into_iter().map(|x| x as f64).collect();
    }
    let mut out = vec![
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e-45,
        -1e-45,
        1e-40,
        -1e-40,
    ];
    out.extend([
        0.5, 1.5, 2.5, 3.0, -0.5, -1.5, -2.5, 7.0, 49.0, 100.0, -100.0, 0.1, 88.0, -88.0, 104.0, -104.0,
    ]);
    for e in [
        -149, -130, -127, -126, -125, -120, -90, -60, -24, -14, -10, -4, -2, -1, 0, 1, 2, 3, 4, 8, 15, 16, 22, 23,
    ] {
        out.push(f64::from(e).exp2() * 1.37);
        out.push(f64::from(e).exp2() * -1.71);
    }
    for e in [24, 30, 31, 32, 60, 63, 90, 100, 119, 126, 127] {
        out.push(f64::from(e).exp2() * 1.37);
        out.push(f64::from(e).exp2() * -1.71);
        out.push(f64::from(e).exp2());
    }
    out.extend([
        f64::from(f32::MAX),
        f64::from(f32::MIN),
        65504.0,
        -65504.0,
        240.0,
        448.0,
        57344.0,
    ]);
    out
}

/// A tensor of these numbers.
fn tensor(dtype: DType, shape: &[i64], values: &[f64]) -> Tensor {
    let ty = TensorType::new(dtype, shape);
    let size = dtype.bytes();
    let mut bytes = vec![0; size * values.len()];
    for (out, &x) in bytes.chunks_exact_mut(size).zip(values) {
        if dtype.is_int() {
            write_i64(dtype, x as i64, out);
        } else {
            write_f64(dtype, x, out);
        }
    }
    Tensor::new(ty, &bytes).expect("as many bytes as the type has")
}

fn module(types: &[TensorType], f: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Built) -> Option<Module> {
    let mut func = Func::new("main");
    let args: Vec<ValueId> = types
        .iter()
        .map(|t| func.add_arg(func.body(), t.clone().into()))
        .collect();
    let mut b = Builder::body(&mut func);
    let result = f(&mut b, &args).ok()?;
    b.finish(&[result]);
    Some(Module {
        funcs: vec![func],
        ..Module::default()
    })
}

/// Units in the last place of `dtype` between two numbers.
fn ulps(dtype: DType, got: f64, want: f64) -> f64 {
    if got == want || (got.is_nan() && want.is_nan()) {
        return 0.0;
    }
    if !got.is_finite() || !want.is_finite() || !dtype.is_float() {
        return f64::INFINITY;
    }
    let (digits, lowest) = match dtype {
        DType::F32 => (23, -149),
        DType::F16 => (10, -24),
        DType::BF16 => (7, -133),
        DType::F8E5M2 => (2, -16),
        _ => (3, -9),
    };
    let exponent = want.abs().log2().floor().max(f64::from(lowest + digits));
    (got - want).abs() / (exponent - f64::from(digits)).exp2()
}

/// What one program gave: the largest error and the elements beyond `allowed`.
fn sweep(name: &str, module: &Module, inputs: &[Tensor], allowed: f64, report: &mut String) -> f64 {
    let want = match interpret(module, inputs) {
        Ok(want) => want,
        Err(_) => return 0.0,
    };
    let got = match on_device(module, &CompileOptions::default(), inputs) {
        Ok(got) => got,
        Err(errors) => {
            let _ = writeln!(report, "{name}: {}", errors[0]);
            return f64::INFINITY;
        }
    };
    let (mut worst, mut count, mut examples) = (0.0f64, 0, String::new());
    for i in 0..want[0].count() {
        let (w, g) = (want[0].get_f64(i), got[0].get_f64(i));
        let at: Vec<f64> = inputs.iter().map(|t| t.get_f64(i)).collect();
        let error = if excepted(name, &at, w) {
            0.0
        } else {
            ulps(want[0].dtype(), g, w)
        };
        worst = worst.max(error);
        if error > allowed {
            count += 1;
            if count <= 5 {
                let _ = write!(examples, "\n    {at:?}: {g:?} instead of {w:?}");
            }
        }
    }
    if count > 0 {
        let _ = writeln!(
            report,
            "{name}: {count} of {} beyond {allowed} ulp, worst {worst:.3}{examples}",
            want[0].count()
        );
    }
    worst
}

const FLOATS: [DType; 3] = [DType::F32, DType::BF16, DType::F16];
const INTS: [DType; 6] = [DType::I32, DType::U32, DType::I16, DType::U16, DType::I8, DType::U8];

fn wanted(name: &str) -> bool {
    std::env::var("FERRITE_SWEEP").map_or(true, |text| name.contains(&text))
}

/// Largest error in units in the last place that a unary function may have.
fn allowed(op: UnaryOp) -> f64 {
    use UnaryOp::*;
    match op {
        Abs | Ceil | Floor | IsFinite | Negate | Not | RoundNearestAfz | RoundNearestEven | Sign | IsInf | IsNegInf
        | IsPosInf | CountLeadingZeros | PopulationCount | Square => 0.0,
        Exponential | Tanh | Logistic | Erf | Sqrt | Rsqrt => 1.0,
        Log => 2.0,
        _ => 16.0,
    }
}

/// What the page on operations excepts: trigonometric functions of large numbers, poles and zeros of the gamma functions,
/// denormal divisors, remainders of large quotients, and powers, whose error grows with the logarithm of the result.
fn excepted(name: &str, x: &[f64], want: f64) -> bool {
    let denormal = |v: f64| v != 0.0 && v.abs() < f64::from(f32::MIN_POSITIVE);
    let large = x[0].abs() > 32_768.0;
    match name.split([' ', '.']).nth(1).unwrap_or_default() {
        "sine" | "cosine" | "tan" => large || want.abs() < 0.01 || want.abs() > 10.0,
        "digamma" | "lgamma" => {
            (x[0] <= 0.0 && (x[0] == x[0].floor() || x[0] > -1e-3)) || denormal(x[0]) || want.abs() < 1.0
        }
        "divide" | "atan2" => x.iter().any(|&v| denormal(v)),
        "remainder" => x.iter().any(|&v| denormal(v) || v.abs() > 1e18) || (x[0] / x[1]).abs() > 4e6,
        "power" => (x[1] * x[0].abs().ln()).abs() > 8.0 || denormal(x[0]),
        "zeta" | "polygamma" => !(x[0] > 0.0 && x[0] < 30.0 && x[1] > 0.0 && x[1] < 100.0),
        _ => false,
    }
}

#[test]
fn unary_operations() {
    let mut report = String::new();
    for &op in UnaryOp::ALL {
        for dtype in FLOATS.iter().chain(&INTS).chain(&[DType::Bool]) {
            let name = format!("{} {dtype}", op.mnemonic());
            if !wanted(&name) {
                continue;
            }
            let values = values(*dtype);
            let ty = TensorType::new(*dtype, &[values.len() as i64]);
            let Some(m) = module(std::slice::from_ref(&ty), |b, a| b.op1(OpKind::Unary(op), a)) else {
                continue;
            };
            sweep(
                &name,
                &m,
                &[tensor(*dtype, &ty.shape, &values)],
                allowed(op),
                &mut report,
            );
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// Every pair of values, as two tensors.
fn pairs(dtype: DType) -> [Tensor; 2] {
    let values = values(dtype);
    let n = values.len();
    let left: Vec<f64> = (0..n * n).map(|i| values[i / n]).collect();
    let right: Vec<f64> = (0..n * n).map(|i| values[i % n]).collect();
    let shape = [n as i64, n as i64];
    [tensor(dtype, &shape, &left), tensor(dtype, &shape, &right)]
}

#[test]
fn binary_operations() {
    let mut report = String::new();
    for &op in BinaryOp::ALL {
        for dtype in FLOATS.iter().chain(&INTS).chain(&[DType::Bool]) {
            let name = format!("{} {dtype}", op.mnemonic());
            // The neighbour of a smaller float has no lowering.
            let refused = op == BinaryOp::NextAfter && *dtype != DType::F32;
            if refused || !wanted(&name) {
                continue;
            }
            let inputs = pairs(*dtype);
            let types = [inputs[0].ty().clone(), inputs[1].ty().clone()];
            let Some(m) = module(&types, |b, a| b.op1(OpKind::Binary(op), a)) else {
                continue;
            };
            let allowed = match op {
                _ if !dtype.is_float() => 0.0,
                BinaryOp::Divide => 4.0,
                BinaryOp::Power | BinaryOp::Atan2 => 16.0,
                BinaryOp::Zeta | BinaryOp::Polygamma => 64.0,
                _ => 0.0,
            };
            sweep(&name, &m, &inputs, allowed, &mut report);
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn a_known_nan_stays() {
    let mut report = String::new();
    let x = tensor(
        DType::F32,
        &[5],
        &[0.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN],
    );
    for op in [BinaryOp::Maximum, BinaryOp::Minimum] {
        let ty = x.ty().clone();
        let m = module(std::slice::from_ref(&ty), |b, a| {
            let nan = b.constant_f(ty.clone(), f64::NAN);
            b.op1(OpKind::Binary(op), &[nan, a[0]])
        });
        let m = m.expect("a valid program");
        sweep(op.mnemonic(), &m, std::slice::from_ref(&x), 0.0, &mut report);
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn a_root_beside_a_number() {
    let mut report = String::new();
    for dtype in FLOATS {
        for added in [1e-8, 1.0, 1e-20] {
            let values = values(dtype);
            let ty = TensorType::new(dtype, &[values.len() as i64]);
            let m = module(std::slice::from_ref(&ty), |b, a| {
                let root = b.unary(UnaryOp::Sqrt, a[0])?;
                let number = b.like_f(root, added)?;
                b.add(root, number)
            });
            let m = m.expect("a valid program");
            let x = tensor(dtype, &ty.shape, &values);
            sweep(&format!("sqrt+{added} {dtype}"), &m, &[x], 1.5, &mut report);
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn comparisons() {
    let mut report = String::new();
    for &direction in ComparisonDirection::ALL {
        for dtype in FLOATS.iter().chain(&INTS).chain(&[DType::Bool]) {
            for total in [false, true] {
                let name = format!("compare {} {dtype} {total}", direction.mnemonic());
                if !wanted(&name) || (total && !dtype.is_float()) {
                    continue;
                }
                let compare_type = match dtype.class() {
                    _ if total => ComparisonType::TotalOrder,
                    DTypeClass::Float => ComparisonType::Float,
                    DTypeClass::Signed => ComparisonType::Signed,
                    _ => ComparisonType::Unsigned,
                };
                let kind = OpKind::Compare(Compare {
                    direction,
                    compare_type,
                });
                let inputs = pairs(*dtype);
                let types = [inputs[0].ty().clone(), inputs[1].ty().clone()];
                let Some(m) = module(&types, |b, a| b.op1(kind, a)) else {
                    continue;
                };
                sweep(&name, &m, &inputs, 0.0, &mut report);
            }
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn conversions() {
    let all = [
        FLOATS.as_slice(),
        &INTS,
        &[
            DType::Bool,
            DType::F8E5M2,
            DType::F8E4M3,
            DType::I4,
            DType::U4,
            DType::I64,
            DType::F64,
        ],
    ]
    .concat();
    let mut report = String::new();
    for &from in &all {
        for &to in &all {
            let name = format!("convert {from} {to}");
            if from == to || !wanted(&name) {
                continue;
            }
            let mut values = values(from);
            if from.bits() == 64 || to.bits() == 64 {
                // Computed in 32 bits: in integers beyond them, or in the digits of f64, there is a difference.
                let small = from.is_float() && from.bits() <= 16;
                let limit = if small { 100.0 } else { 2f64.powi(31) };
                let whole = from == DType::I64 || to == DType::I64;
                values.retain(|&x| !whole || (x.abs() < limit && x as f32 as f64 == x));
                values.retain(|&x| !from.is_int() || to != DType::F64 || x as f32 as f64 == x);
                values.retain(|&x| from != DType::F64 || to == DType::F32 || x.is_nan() || x as f32 as f64 == x);
            }
            let ty = TensorType::new(from, &[values.len() as i64]);
            let Some(m) = module(std::slice::from_ref(&ty), |b, a| b.convert(a[0], to)) else {
                continue;
            };
            // Denormal results are rounded twice.
            let allowed = if (from, to) == (DType::F64, DType::F32) {
                1.0
            } else {
                0.0
            };
            sweep(&name, &m, &[tensor(from, &ty.shape, &values)], allowed, &mut report);
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_operation_has_a_row_in_the_documentation() {
    let page = super::corpus_interp::repository().join("docs/src/operations.md");
    let page = std::fs::read_to_string(page).expect("the page exists");
    let unary = UnaryOp::ALL.iter().map(|op| op.mnemonic());
    let binary = BinaryOp::ALL.iter().map(|op| op.mnemonic());
    let missing: Vec<&str> = unary
        .chain(binary)
        .map(|name| name.split_once('.').map_or(name, |(_, short)| short))
        .filter(|short| !page.contains(&format!("`{short}`")))
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
