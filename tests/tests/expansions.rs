//! `expand-ops` against the interpreter's own functions, over wide ranges and all special values.

use ferrite_interp::Tensor;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Builder, Func, Module, OpKind, TensorType, UnaryOp, ValueId};
use ferrite_passes::options::CompileOptions;
use ferrite_tests::numbers::{Tolerance, evaluate};
use ferrite_tests::run_passes;

const SPECIAL: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    3.0,
    -7.0,
];

/// Numbers of all magnitudes between `2^-low` and `2^high`, both signs, denser around 1.
fn spread(low: i32, high: i32) -> Vec<f32> {
    let mut out = SPECIAL.to_vec();
    for e in -low..high {
        for i in 0..16 {
            let v = (1.0 + (i as f32 + 0.37) / 16.0) * (e as f32).exp2();
            out.extend([v, -v]);
        }
    }
    out
}

fn module(args: &[&TensorType], kind: OpKind) -> Module {
    let mut func = Func::new("main");
    let args: Vec<ValueId> = args
        .iter()
        .map(|&t| func.add_arg(func.body(), t.clone().into()))
        .collect();
    let mut b = Builder::body(&mut func);
    let y = b.op1(kind, &args).expect("the operation takes these types");
    b.finish(&[y]);
    Module {
        funcs: vec![func],
        ..Module::default()
    }
}

/// Evaluates an operation as it is and expanded; says where they differ.
fn compare(kind: OpKind, inputs: &[Tensor], tolerance: Tolerance) -> Vec<String> {
    let types: Vec<&TensorType> = inputs.iter().map(Tensor::ty).collect();
    let before = module(&types, kind);
    let mut after = before.clone();
    run_passes(&mut after, &["expand-ops"], &CompileOptions::default()).expect("it expands");
    let want = evaluate(&before, inputs).expect("the operation is interpreted");
    let got = evaluate(&after, inputs).expect("its expansion is interpreted");
    let mut out = Vec::new();
    for i in 0..want[0].count() {
        let (g, w) = (got[0].get_f64(i), want[0].get_f64(i));
        if !tolerance.holds(g, w) || (w == 0.0 && g == 0.0 && g.is_sign_negative() != w.is_sign_negative()) {
            let x: Vec<f64> = inputs.iter().map(|t| t.get_f64(i)).collect();
            out.push(format!("{x:?}: {g} instead of {w}"));
        }
    }
    out
}

fn check(name: &str, differences: Vec<String>, failures: &mut Vec<String>) {
    if !differences.is_empty() {
        let first = differences[..differences.len().min(6)].join("\n    ");
        failures.push(format!("{name}: {} differ\n    {first}", differences.len()));
    }
}

fn vector(values: &[f32]) -> Tensor {
    Tensor::from_f32(&[values.len() as i64], values).expect("as many values as elements")
}

#[test]
fn unary_functions_are_accurate_everywhere() {
    use UnaryOp::*;
    // Largest magnitude as a power of two, tolerance in units of the last place, absolute tolerance.
    let cases: &[(UnaryOp, i32, i32, f64, f64)] = &[
        (Cbrt, 60, 60, 4.0, 0.0),
        (ExponentialMinusOne, 60, 7, 6.0, 1e-44),
        (LogPlusOne, 60, 60, 6.0, 1e-44),
        (Tan, 20, 1, 6.0, 1e-44),
        (Sinh, 20, 7, 8.0, 1e-44),
        (Cosh, 20, 7, 8.0, 0.0),
        (Asin, 20, 0, 8.0, 1e-44),
        (Acos, 20, 0, 8.0, 2e-7),
        (Atan, 20, 60, 4.0, 1e-44),
        (Asinh, 20, 60, 8.0, 1e-44),
        (Acosh, 20, 60, 16.0, 2e-7),
        (Atanh, 20, 0, 8.0, 1e-44),
        (RoundNearestAfz, 10, 30, 0.0, 0.0),
        (Square, 10, 30, 0.0, 0.0),
        (Erfc, 20, 4, 48.0, 1e-30),
        (ErfInv, 20, 0, 16.0, 0.0),
        (Lgamma, 10, 20, 16.0, 4e-6),
        (Digamma, 6, 20, 16.0, 4e-6),
        (BesselI1e, 10, 10, 8.0, 1e-44),
        (IsInf, 10, 10, 0.0, 0.0),
        (IsPosInf, 10, 10, 0.0, 0.0),
        (IsNegInf, 10, 10, 0.0, 0.0),
    ];
    let mut failures = Vec::new();
    for &(op, low, high, ulps, atol) in cases {
        let tolerance = Tolerance {
            atol,
            rtol: ulps * f64::from(f32::EPSILON),
        };
        let mut found = compare(OpKind::Unary(op), &[vector(&spread(low, high))], tolerance);
        // The pole at zero: infinite by its limits in the interpreter, not a number in the chlo decomposition.
        found.retain(|text| op != Digamma || !(text.starts_with("[0.0]") || text.starts_with("[-0.0]")));
        check(op.mnemonic(), found, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Every pair of some values.
fn pairs(xs: &[f32], ys: &[f32]) -> [Tensor; 2] {
    let left: Vec<f32> = xs.iter().flat_map(|&x| ys.iter().map(move |_| x)).collect();
    let right: Vec<f32> = xs.iter().flat_map(|_| ys.iter().copied()).collect();
    [vector(&left), vector(&right)]
}

/// A difference that is known: a remainder whose quotient is beyond 2^22 (here only with the largest and smallest
/// numbers), and a power that overflows early because its logarithm is rounded.
fn beyond(op: BinaryOp, difference: &str) -> bool {
    match op {
        BinaryOp::Remainder => ["e38", "e-38", "000000000"].iter().any(|s| difference.contains(s)),
        BinaryOp::Power => difference.contains("e38, 1.0]: "),
        _ => false,
    }
}

#[test]
fn binary_functions_are_accurate_everywhere() {
    use BinaryOp::*;
    let some = spread(4, 5);
    let mut failures = Vec::new();
    let ulps = |n: f64, atol: f64| Tolerance {
        atol,
        rtol: n * f64::from(f32::EPSILON),
    };
    for (op, tolerance) in [
        (Atan2, ulps(6.0, 1e-44)),
        (Remainder, Tolerance::EXACT),
        (Power, ulps(200.0, 1e-40)),
        (NextAfter, Tolerance::EXACT),
    ] {
        let found = compare(OpKind::Binary(op), &pairs(&some, &some), tolerance);
        let found = found.into_iter().filter(|text| !beyond(op, text)).collect();
        check(op.mnemonic(), found, &mut failures);
    }
    let orders: Vec<f32> = vec![1.5, 2.0, 3.0, 4.5, 7.0];
    let points: Vec<f32> = vec![0.25, 0.5, 1.0, 1.75, 3.0, 10.0];
    let found = compare(OpKind::Binary(Zeta), &pairs(&orders, &points), ulps(64.0, 0.0));
    check("zeta", found, &mut failures);
    let found = compare(
        OpKind::Binary(Polygamma),
        &pairs(&[0.0, 1.0, 2.0, 3.0], &points),
        ulps(64.0, 2e-6),
    );
    check("polygamma", found, &mut failures);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn constant_exponents_and_bases_are_accurate() {
    let mut failures = Vec::new();
    let values = spread(6, 6);
    let known = |constant: f32, base: bool| {
        let mut func = Func::new("main");
        let ty = TensorType::new(DType::F32, &[values.len() as i64]);
        let x = func.add_arg(func.body(), ty.clone().into());
        let mut b = Builder::body(&mut func);
        let c = b.constant_f(ty, f64::from(constant));
        let (p, q) = if base { (c, x) } else { (x, c) };
        let y = b.binary(BinaryOp::Power, p, q).expect("both are floats");
        b.finish(&[y]);
        Module {
            funcs: vec![func],
            ..Module::default()
        }
    };
    for (constant, base) in [
        (2.0, false),
        (-3.0, false),
        (0.5, false),
        (-0.5, false),
        (7.0, false),
        (0.0, false),
    ]
    .into_iter()
    .chain([(0.9, true), (10_000.0, true), (2.0, true), (0.999, true)])
    {
        let before = known(constant, base);
        let mut after = before.clone();
        run_passes(&mut after, &["expand-ops"], &CompileOptions::default()).expect("it expands");
        let input = [vector(&values)];
        let want = evaluate(&before, &input).expect("powers are interpreted");
        let got = evaluate(&after, &input).expect("products are interpreted");
        let tolerance = Tolerance {
            atol: 1e-44,
            rtol: 6.0 * f64::from(f32::EPSILON),
        };
        let found = (0..values.len())
            .filter(|&i| !tolerance.holds(got[0].get_f64(i), want[0].get_f64(i)))
            .map(|i| format!("{}: {} instead of {}", values[i], got[0].get_f64(i), want[0].get_f64(i)))
            .collect();
        check(&format!("{constant} base {base}"), found, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn integers_and_bits_are_exact() {
    let mut failures = Vec::new();
    let numbers: Vec<i32> = (-70..70)
        .chain([
            i32::MIN,
            i32::MAX,
            i32::MIN + 1,
            1 << 24,
            (1 << 24) + 1,
            65_535,
            65_536,
            -65_536,
        ])
        .collect();
    for dtype in [DType::I32, DType::U32, DType::I8, DType::U16] {
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|v| v.to_le_bytes()[..dtype.bytes()].to_vec())
            .collect();
        let ty = TensorType::new(dtype, &[numbers.len() as i64]);
        let x = Tensor::new(ty.clone(), &bytes).expect("as many bytes as the type has");
        for op in [UnaryOp::PopulationCount, UnaryOp::CountLeadingZeros] {
            let found = compare(OpKind::Unary(op), std::slice::from_ref(&x), Tolerance::EXACT);
            check(&format!("{} {dtype}", op.mnemonic()), found, &mut failures);
        }
        let shifted: Vec<u8> = (0..numbers.len() * dtype.bytes())
            .map(|i| bytes[(i + 7 * dtype.bytes()) % bytes.len()])
            .collect();
        let y = Tensor::new(ty, &shifted).expect("as many bytes as the type has");
        for op in [BinaryOp::Remainder, BinaryOp::Power] {
            let found = compare(OpKind::Binary(op), &[x.clone(), y.clone()], Tolerance::EXACT);
            check(&format!("{} {dtype}", op.mnemonic()), found, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
