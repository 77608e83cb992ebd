//! Passes of the hlo level that move arithmetic, against the reference interpreter on random modules:
//! `scale-contractions`, `simplify-gathers`, `split-reductions`.
//!
//! Draws are made into a text; the pass must leave a verified module that computes the same, to the bit where the rewrite
//! is exact. Each test counts the modules that the pass changed, as one that changes nothing is always right.

use std::cell::Cell;
use std::fmt::Write as _;

use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::print::print;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::CompileOptions;
use ferrite_passes::pass::{Changed, PassContext, Run};
use ferrite_passes::registry;
use ferrite_tests::numbers::{Tolerance, difference, evaluate, random_inputs};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 192;

/// A random module: its text, what the results may differ by, and whether the pass must change it.
struct Example {
    text: String,
    tolerance: Tolerance,
    must_change: bool,
}

/// Runs a pass on a module; the text of what it left, if that is something else.
fn changed(name: &str, module: &mut Module) -> Option<String> {
    let machine = MachineModel::target("trn2").expect("it is built in");
    let options = CompileOptions::default();
    let pass = registry::find(name).unwrap_or_else(|| panic!("there is no pass {name}"));
    let Run::Hlo(run) = &pass.run else {
        panic!("{name} is no pass of the hlo level")
    };
    let changed = run(module, &mut PassContext::new(&machine, &options)).unwrap_or_else(|e| panic!("{name}: {e}"));
    (changed == Changed::Yes).then(|| print(module))
}

/// Checks a pass on modules that `example` makes of words; at least one in `one_in` must be changed.
fn check(name: &str, one_in: u32, example: impl Fn(&mut Draw<'_>) -> Example) {
    let fired = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let words = (proptest::collection::vec(any::<u32>(), 24), any::<u64>());
    let checked = runner.run(&words, |(words, seed)| {
        let Example {
            text,
            tolerance,
            must_change,
        } = example(&mut Draw { words: &words, at: 0 });
        let before = parse(&text).unwrap_or_else(|e| panic!("the generator is wrong: {}\n{text}", e[0]));
        verify(&before).unwrap_or_else(|e| panic!("the generator is wrong: {}\n{text}", e[0]));
        let mut after = before.clone();
        let written = changed(name, &mut after);
        fired.set(fired.get() + u32::from(written.is_some()));
        prop_assert!(!must_change || written.is_some(), "nothing changes in\n{}", text);
        let written = written.unwrap_or_default();
        if let Err(errors) = verify(&after) {
            return Err(TestCaseError::fail(format!("{}\n{text}\n{written}", errors[0])));
        }
        let inputs = random_inputs(&before, seed).expect("static inputs");
        let want = evaluate(&before, &inputs).expect("the example runs");
        let got = evaluate(&after, &inputs).expect("what the pass makes runs");
        let found = difference(&got, &want, tolerance);
        prop_assert!(found.is_none(), "{}\n{}\n{}", found.unwrap_or_default(), text, written);
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
    assert!(
        fired.get() * one_in >= CASES,
        "{} of {CASES} modules changed",
        fired.get()
    );
}

/// Choices; all are the first one where the words end, so that shrinking makes modules small.
struct Draw<'w> {
    words: &'w [u32],
    at: usize,
}

impl Draw<'_> {
    fn below(&mut self, n: usize) -> usize {
        let word = self.words.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        ((u64::from(word) * n as u64) >> 32) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == one_in - 1
    }
}

fn tensor(shape: &[i64], dtype: &str) -> String {
    let mut text = String::from("tensor<");
    for extent in shape {
        let _ = write!(text, "{extent}x");
    }
    text + dtype + ">"
}

fn list(numbers: &[i64]) -> String {
    let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
    words.join(", ")
}

/// Rows of one dimension at known places: regular ones, such that reach over the ends, and any.
fn gather(draw: &mut Draw<'_>) -> Example {
    let rank = 1 + draw.below(4);
    let shape: Vec<i64> = (0..rank).map(|_| draw.one(&[3, 1, 2, 4, 5])).collect();
    let d = draw.below(rank);
    let extent = shape[d];
    let (step, times) = (draw.one(&[1, 1, 2, 3]), draw.one(&[1, 2, 3]));
    let start = draw.below(extent as usize) as i64;
    let fitting = (extent - 1 - start) / step + 1;
    let count = 1 + draw.below(fitting as usize) as i64;
    let mut places: Vec<i64> = (0..count * times).map(|i| start + step * (i / times)).collect();
    let must_change = match draw.below(4) {
        0 => {
            // One is anywhere, maybe outside.
            let at = draw.below(places.len());
            places[at] = draw.below(extent as usize + 6) as i64 - 3;
            false
        }
        1 => {
            places.reverse();
            count == 1
        }
        _ => true,
    };
    let dtype = draw.one(&["f32", "i32", "bf16", "i1", "ui8"]);
    let index = draw.one(&["i32", "i64", "i8"]);
    // Where the places are in the result; the other dimensions keep their order.
    let batch = draw.below(rank);
    let mut result: Vec<i64> = shape
        .iter()
        .enumerate()
        .filter(|&(i, _)| i != d)
        .map(|(_, &n)| n)
        .collect();
    result.insert(batch, places.len() as i64);
    let offset: Vec<i64> = (0..rank as i64).filter(|&i| i != batch as i64).collect();
    let sizes: Vec<i64> = (0..rank).map(|i| if i == d { 1 } else { shape[i] }).collect();
    // Indices are vectors of one number, written with that dimension or without.
    let column = draw.chance(2);
    let (indices, written) = if column {
        let rows: Vec<String> = places.iter().map(|p| format!("[{p}]")).collect();
        (tensor(&[places.len() as i64, 1], index), rows.join(", "))
    } else {
        (tensor(&[places.len() as i64], index), list(&places))
    };
    let (x, r) = (tensor(&shape, dtype), tensor(&result, dtype));
    let text = format!(
        "func.func @main(%x: {x}) -> {r} {{
  %i = stablehlo.constant dense<[{written}]> : {indices}
  %r = \"stablehlo.gather\"(%x, %i) <{{dimension_numbers = #stablehlo.gather<offset_dims = [{}], collapsed_slice_dims = [{d}], start_index_map = [{d}], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: {}>}}> : ({x}, {indices}) -> {r}
  return %r : {r}
}}",
        list(&offset),
        list(&sizes)
    );
    Example {
        text,
        tolerance: Tolerance::EXACT,
        must_change,
    }
}

#[test]
fn simplified_gathers_read_the_same() {
    check("simplify-gathers", 2, gather);
}

/// Reductions over the innermost dimension and others.
fn reduction(draw: &mut Draw<'_>) -> Example {
    let rank = 2 + draw.below(4);
    let mut shape = vec![1; rank];
    let mut count = 1;
    for d in (0..rank).rev() {
        let sizes: &[i64] = if d + 1 == rank {
            &[64, 3, 8, 70, 100, 130]
        } else {
            &[2, 1, 3, 5, 8, 16, 30]
        };
        let extent = draw.one(sizes);
        shape[d] = if count * extent > 20_000 { 1 } else { extent };
        count *= shape[d];
    }
    let mut dims: Vec<i64> = (0..rank as i64 - 1).filter(|_| draw.chance(2)).collect();
    if !draw.chance(5) {
        dims.push(rank as i64 - 1);
    }
    if dims.is_empty() {
        dims.push(0);
    }
    if draw.chance(3) {
        dims.reverse();
    }
    let (dtype, op, init) = draw.one(&[
        ("f32", "add", "1.5"),
        ("f32", "maximum", "0.25"),
        ("bf16", "minimum", "-0.5"),
        ("i32", "add", "7"),
        ("i32", "multiply", "3"),
        ("ui8", "maximum", "2"),
        ("i16", "xor", "5"),
        ("i32", "and", "-2"),
        ("i1", "or", "false"),
    ]);
    let kept = (0..rank as i64).filter(|d| !dims.contains(d));
    let result: Vec<i64> = kept.map(|d| shape[d as usize]).collect();
    let (x, s, r) = (tensor(&shape, dtype), tensor(&[], dtype), tensor(&result, dtype));
    let text = format!(
        "func.func @main(%x: {x}) -> {r} {{
  %c = stablehlo.constant dense<{init}> : {s}
  %r = stablehlo.reduce(%x init: %c) applies stablehlo.{op} across dimensions = [{}] : ({x}, {s}) -> {r}
  return %r : {r}
}}",
        list(&dims)
    );
    // A sum of n numbers of magnitude m, in any order, is within n * n * m * 2^-24 of the exact one; drawn numbers are near
    // 1, and roundings do not all have the same sign.
    let terms = count as f64 / result.iter().product::<i64>() as f64;
    let tolerance = if (dtype, op) == ("f32", "add") {
        Tolerance {
            atol: terms * 4.0 * f64::from(f32::EPSILON),
            rtol: 2e-6,
        }
    } else {
        Tolerance::EXACT
    };
    let (outer, inner): (Vec<i64>, Vec<i64>) = dims.iter().partition(|&&d| d + 1 < rank as i64);
    let extent = |dims: &[i64]| dims.iter().map(|&d| shape[d as usize]).product::<i64>();
    // The innermost row alone is long enough, and the result has fewer rows than partitions.
    let rows = result.iter().product::<i64>();
    let must_change = inner.len() == 1 && extent(&inner) >= 64 && extent(&outer) > 1 && rows < 128;
    Example {
        text,
        tolerance,
        must_change,
    }
}

#[test]
fn split_reductions_compute_the_same() {
    check("split-reductions", 4, reduction);
}

/// A contraction and a factor behind it.
fn factor(draw: &mut Draw<'_>) -> Example {
    let dtype = draw.one(&["f32", "bf16"]);
    let batch: Vec<i64> = if draw.chance(2) {
        vec![draw.one(&[2, 3])]
    } else {
        vec![]
    };
    let depth = draw.one(&[2, 1, 3, 4]);
    let (rows, columns) = (draw.one(&[32, 4, 16, 24]), draw.one(&[32, 5, 12, 40]));
    let of = |free: i64| -> Vec<i64> { batch.iter().chain(&[free, depth]).copied().collect() };
    let result: Vec<i64> = batch.iter().chain(&[rows, columns]).copied().collect();
    // Operands may have been narrowed for the contraction alone.
    let narrow = dtype == "bf16" && draw.chance(2);
    let source = if narrow { "f32" } else { dtype };
    let (x, y) = (tensor(&of(rows), source), tensor(&of(columns), source));
    let (l, r) = (tensor(&of(rows), dtype), tensor(&of(columns), dtype));
    let out = tensor(&result, dtype);
    let number = draw.one(&["5.000000e-01", "-4.0", "3.0", "1.250000e-01", "0.0", "0.3", "65536.0"]);
    let op = draw.one(&["multiply %s, %c", "multiply %c, %s", "divide %s, %c"]);
    let mut body = String::new();
    let computed = draw.one(&["negate", "sine", "abs"]);
    let _ = writeln!(body, "  %a = stablehlo.{computed} %x : {x}");
    let b = if draw.chance(4) {
        "%y"
    } else {
        let _ = writeln!(body, "  %b = stablehlo.cosine %y : {y}");
        "%b"
    };
    let (mut lhs, mut rhs) = ("%a", b);
    if narrow {
        let _ = writeln!(body, "  %an = stablehlo.convert %a : ({x}) -> {l}");
        let _ = writeln!(body, "  %bn = stablehlo.convert {b} : ({y}) -> {r}");
        (lhs, rhs) = ("%an", "%bn");
    }
    let (batching, contracted) = if batch.is_empty() {
        (String::new(), 1)
    } else {
        ("batching_dims = [0] x [0], ".to_string(), 2)
    };
    let _ = writeln!(
        body,
        "  %s = stablehlo.dot_general {lhs}, {rhs}, {batching}contracting_dims = [{contracted}] x [{contracted}] : ({l}, {r}) -> {out}"
    );
    if draw.chance(2) {
        let _ = writeln!(body, "  %n = stablehlo.constant dense<{number}> : tensor<{dtype}>");
        let _ = writeln!(
            body,
            "  %c = stablehlo.broadcast_in_dim %n, dims = [] : (tensor<{dtype}>) -> {out}"
        );
    } else {
        let _ = writeln!(body, "  %c = stablehlo.constant dense<{number}> : {out}");
    }
    let _ = writeln!(body, "  %r = stablehlo.{op} : {out}");
    // Another reader of the unscaled scores, or of what is scaled, keeps its value.
    let (more, types) = draw.one(&[("", ""), ("", ""), ("", ""), (", %s", "s"), (", %a", "a")]);
    let second = match types {
        "s" => format!(", {out}"),
        "a" => format!(", {x}"),
        _ => String::new(),
    };
    let value: f64 = number.parse().expect("a number");
    // 0 and what is no power of two round at another place; that happens in f32 alone, and never for a quotient.
    let exact = value != 0.0 && value.abs().log2().fract() == 0.0;
    let tolerance = if exact || dtype == "bf16" && !narrow {
        Tolerance::EXACT
    } else {
        Tolerance {
            atol: depth as f64 * 8.0 * value.abs() * f64::from(f32::EPSILON),
            rtol: 2e-6,
        }
    };
    // Where the scaled operand is f32 but the product bf16, the factor rounds before the operand is narrowed.
    let tolerance = if narrow && !exact {
        let ulp = (-8.0f64).exp2();
        Tolerance {
            atol: depth as f64 * 8.0 * value.abs() * ulp,
            rtol: ulp,
        }
    } else {
        tolerance
    };
    Example {
        text: format!(
            "func.func @main(%x: {x}, %y: {y}) -> ({out}{second}) {{\n{body}  return %r{more} : {out}{second}\n}}"
        ),
        tolerance,
        must_change: false,
    }
}

#[test]
fn factors_before_contractions_compute_the_same() {
    check("scale-contractions", 5, factor);
}

/// A softmax, or nearly one, and a contraction over its rows or along them.
fn softmax(draw: &mut Draw<'_>) -> Example {
    let shape: Vec<i64> = (0..2 + draw.below(2)).map(|_| draw.one(&[12, 8, 16, 3])).collect();
    let rank = shape.len();
    let summed = draw.below(rank);
    let contracted = if draw.chance(4) { draw.below(rank) } else { summed };
    let batching = rank == 3 && draw.chance(2);
    let batch = (0..rank).find(|&d| d != contracted).filter(|_| batching);
    let features = draw.one(&[1, 2, 1]);
    let row: Vec<i64> = (0..rank).filter(|&d| d != summed).map(|d| shape[d]).collect();
    let kept: Vec<i64> = (0..rank as i64).filter(|&d| d != summed as i64).collect();
    let dtype = draw.one(&["f32", "bf16"]);
    let (x, rows, scalar) = (tensor(&shape, "f32"), tensor(&row, "f32"), "tensor<f32>");
    let p = tensor(&shape, dtype);
    let mut v_shape: Vec<i64> = batch.iter().map(|&d| shape[d]).collect();
    v_shape.extend([shape[contracted], features]);
    let v = tensor(&v_shape, dtype);
    let free: Vec<i64> = (0..rank)
        .filter(|&d| d != contracted && Some(d) != batch)
        .map(|d| shape[d])
        .collect();
    let swapped = draw.chance(2);
    let first: Vec<i64> = batch.iter().map(|&d| shape[d]).collect();
    let result: Vec<i64> = if swapped {
        first.iter().chain(&[features]).chain(&free).copied().collect()
    } else {
        first.iter().chain(&free).chain(&[features]).copied().collect()
    };
    let r = tensor(&result, dtype);
    let of_v = v_shape.len() - 2;
    let (operands, types, dims, batches) = if swapped {
        (
            "%v, %p",
            format!("{v}, {p}"),
            format!("[{of_v}] x [{contracted}]"),
            batch.map(|d| format!("[0] x [{d}]")),
        )
    } else {
        (
            "%p, %v",
            format!("{p}, {v}"),
            format!("[{contracted}] x [{of_v}]"),
            batch.map(|d| format!("[{d}] x [0]")),
        )
    };
    let batches = batches.map_or_else(String::new, |b| format!("batching_dims = {b}, "));
    // Rows keep a dimension of one element, or do not.
    let mut one = shape.clone();
    one[summed] = 1;
    let (one, all) = (tensor(&one, "f32"), list(&(0..rank as i64).collect::<Vec<_>>()));
    let dims_of_rows = list(&kept);
    let spread = |from: &str, to: &str, keeps: bool| {
        if keeps {
            format!(
                "  {to}1 = stablehlo.reshape {from} : ({rows}) -> {one}
  {to} = stablehlo.broadcast_in_dim {to}1, dims = [{all}] : ({one}) -> {x}\n"
            )
        } else {
            format!("  {to} = stablehlo.broadcast_in_dim {from}, dims = [{dims_of_rows}] : ({rows}) -> {x}\n")
        }
    };
    let mut body = format!(
        "  %inf = stablehlo.constant dense<0xFF800000> : {scalar}
  %zero = stablehlo.constant dense<0.0> : {scalar}
  %m = stablehlo.reduce(%x init: %inf) applies stablehlo.maximum across dimensions = [{summed}] : ({x}, {scalar}) -> {rows}\n"
    );
    body += &spread("%m", "%mb", draw.chance(2));
    // Without the maximum it is no softmax, and the division stays.
    let minus = if draw.chance(5) { "%x" } else { "%mb" };
    let _ = write!(
        body,
        "  %d = stablehlo.subtract %x, {minus} : {x}
  %e = stablehlo.exponential %d : {x}
  %s = stablehlo.reduce(%e init: %zero) applies stablehlo.add across dimensions = [{summed}] : ({x}, {scalar}) -> {rows}\n"
    );
    body += &spread("%s", "%sb", draw.chance(2));
    if dtype == "f32" {
        let _ = writeln!(body, "  %p = stablehlo.divide %e, %sb : {x}");
    } else {
        let _ = writeln!(
            body,
            "  %q = stablehlo.divide %e, %sb : {x}\n  %p = stablehlo.convert %q : ({x}) -> {p}"
        );
    }
    let _ = writeln!(
        body,
        "  %r = stablehlo.dot_general {operands}, {batches}contracting_dims = {dims} : ({types}) -> {r}"
    );
    // Each p is at most 1, so that a result is a sum of at most so many numbers of `v`.
    let ulp = if dtype == "f32" {
        f64::from(f32::EPSILON)
    } else {
        (-8.0f64).exp2()
    };
    let moved = contracted == summed && minus == "%mb";
    let operand: i64 = shape.iter().product();
    Example {
        text: format!("func.func @main(%x: {x}, %v: {v}) -> {r} {{\n{body}  return %r : {r}\n}}"),
        tolerance: Tolerance {
            atol: 16.0 * ulp,
            rtol: 2.0 * ulp,
        },
        must_change: moved && result.iter().product::<i64>() * 8 <= operand,
    }
}

#[test]
fn divisions_behind_contractions_compute_the_same() {
    check("scale-contractions", 4, softmax);
}
