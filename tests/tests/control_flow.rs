//! Loops and branches on the device: the simulator, with all its checks, computes what the interpreter does.

use ferrite_driver::compile;
use ferrite_driver::options::{CompileOptions, OptLevel};
use ferrite_driver::run::{self, RunOptions};
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::TensorType;
use ferrite_ir::hlo::parse::parse;

/// A tensor of small whole numbers, exact in every dtype.
fn numbers(ty: TensorType, first: i64) -> Tensor {
    let mut bytes = vec![0; ty.byte_size()];
    for (i, element) in bytes.chunks_exact_mut(ty.dtype.bytes()).enumerate() {
        let value = (first + i as i64 * 7) % 23 - 5;
        if ty.dtype.is_float() {
            ferrite_ir::literal::write_f64(ty.dtype, value as f64, element);
        } else if ty.dtype == DType::Bool {
            element[0] = u8::from(value > 0);
        } else {
            ferrite_ir::literal::write_i64(ty.dtype, value, element);
        }
    }
    Tensor::new(ty, &bytes).expect("as many bytes as the type has")
}

/// Compiles, runs and compares a module; `seeds` are the first numbers of the inputs.
fn agrees(text: &str, seeds: &[i64]) {
    let module = parse(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    for level in [OptLevel::O1, OptLevel::O2] {
        let options = CompileOptions {
            opt_level: level,
            ..CompileOptions::default()
        };
        let compiled = compile::compile(module.clone(), &options).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
        for &seed in seeds {
            let func = module.entry().map(|id| module.func(id)).expect("there is an entry");
            let args = func.args().iter().enumerate();
            let inputs: Vec<Tensor> = args
                .map(|(i, &v)| numbers(func.tensor(v).clone(), seed + 3 * i as i64))
                .collect();
            let want = interpret(&module, &inputs).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let done = run::run(&compiled.neff, &inputs, &RunOptions::default())
                .unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
            for (i, (want, got)) in want.iter().zip(&done.outputs).enumerate() {
                for k in 0..want.count() {
                    let (w, g) = (want.get_f64(k), got.get_f64(k));
                    assert!(
                        (w - g).abs() <= 1e-5 * w.abs(),
                        "output {i}, element {k}: {g} for {w}, seed {seed}\n{text}"
                    );
                }
            }
        }
    }
}

/// A loop over `i < limit` from 0, whose body has the carried values `%a0, ...` after the counter `%i`.
fn counted(limit: &str, types: &[&str], inits: &[&str], body: &str, results: &[&str]) -> String {
    let args: Vec<String> = (0..types.len()).map(|k| format!("%a{k} = {}", inits[k])).collect();
    let all: Vec<&str> = std::iter::once("tensor<i32>").chain(types.iter().copied()).collect();
    format!(
        "%r:{} = stablehlo.while(%i = %zero, {}) : {}\n cond {{\n  %limit = stablehlo.constant dense<{limit}> : tensor<i32>\n  \
         %more = stablehlo.compare LT, %i, %limit, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n  \
         stablehlo.return %more : tensor<i1>\n }} do {{\n  {body}\n  %next = stablehlo.add %i, %one : tensor<i32>\n  \
         stablehlo.return %next, {} : {}\n }}",
        all.len(),
        args.join(", "),
        all.join(", "),
        results.join(", "),
        all.join(", "),
    )
}

fn main_of(args: &str, results: &str, body: &str) -> String {
    format!(
        "func.func @main({args}) -> ({results}) {{\n%zero = stablehlo.constant dense<0> : tensor<i32>\n\
         %one = stablehlo.constant dense<1> : tensor<i32>\n{body}\n}}\n"
    )
}

#[test]
fn carried_values_may_change_places() {
    let f = "tensor<5x3xf32>";
    for limit in ["0", "1", "2", "7"] {
        let text = counted(
            limit,
            &[f, f, f],
            &["%x", "%y", "%x"],
            "%s = stablehlo.subtract %a0, %a2 : tensor<5x3xf32>",
            &["%a1", "%a0", "%s"],
        );
        let body = format!("{text}\nreturn %r#1, %r#2, %r#3, %x : {f}, {f}, {f}, {f}");
        agrees(
            &main_of(&format!("%x: {f}, %y: {f}"), &[f; 4].join(", "), &body),
            &[1, 12],
        );
    }
}

#[test]
fn a_row_is_updated_where_it_lies() {
    let (cache, row) = ("tensor<9x4xf32>", "tensor<1x4xf32>");
    let body = format!(
        "%old = stablehlo.dynamic_slice %a0, %i, %zero, sizes = [1, 4] : ({cache}, tensor<i32>, tensor<i32>) -> {row}\n\
         %new = stablehlo.add %old, %a1 : {row}\n\
         %up = stablehlo.dynamic_update_slice %a0, %new, %i, %zero : ({cache}, {row}, tensor<i32>, tensor<i32>) -> {cache}"
    );
    let text = counted("6", &[cache, row], &["%x", "%b"], &body, &["%up", "%new"]);
    let text = format!("{text}\n%after = stablehlo.add %r#1, %x : {cache}\nreturn %after, %r#2 : {cache}, {row}");
    agrees(
        &main_of(&format!("%x: {cache}, %b: {row}"), &format!("{cache}, {row}"), &text),
        &[1, 4],
    );
}

#[test]
fn loops_nest_and_capture() {
    let f = "tensor<3x2xf32>";
    let inner = format!(
        "%k:2 = stablehlo.while(%j = %zero, %v = %a0) : tensor<i32>, {f}\n cond {{\n  \
         %c = stablehlo.compare LT, %j, %i, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n  stablehlo.return %c : tensor<i1>\n }} do {{\n  \
         %t = stablehlo.transpose %y, dims = [1, 0] : (tensor<2x3xf32>) -> {f}\n  %w = stablehlo.add %v, %t : {f}\n  \
         %n = stablehlo.add %j, %one : tensor<i32>\n  stablehlo.return %n, %w : tensor<i32>, {f}\n }}\n  \
         %m = stablehlo.maximum %k#1, %a1 : {f}"
    );
    let text = counted("4", &[f, f], &["%x", "%x"], &inner, &["%m", "%a0"]);
    let text = format!("{text}\nreturn %r#1, %r#2 : {f}, {f}");
    agrees(
        &main_of(&format!("%x: {f}, %y: tensor<2x3xf32>"), &format!("{f}, {f}"), &text),
        &[1, 9],
    );
}

#[test]
fn a_condition_on_data_ends_a_loop() {
    let text = "func.func @main(%x: tensor<4xf32>, %n: tensor<i32>) -> (tensor<4xf32>, tensor<i32>) {
        %one = stablehlo.constant dense<1> : tensor<i32>
        %half = stablehlo.constant dense<0.5> : tensor<4xf32>
        %zero = stablehlo.constant dense<0.0> : tensor<f32>
        %small = stablehlo.constant dense<1.0> : tensor<f32>
        %r:2 = stablehlo.while(%v = %x, %i = %n) : tensor<4xf32>, tensor<i32>
        cond {
          %a = stablehlo.abs %v : tensor<4xf32>
          %s = stablehlo.reduce(%a init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<4xf32>, tensor<f32>) -> tensor<f32>
          %c = stablehlo.compare GT, %s, %small, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
          stablehlo.return %c : tensor<i1>
        } do {
          %w = stablehlo.multiply %v, %half : tensor<4xf32>
          %j = stablehlo.add %i, %one : tensor<i32>
          stablehlo.return %w, %j : tensor<4xf32>, tensor<i32>
        }
        return %r#0, %r#1 : tensor<4xf32>, tensor<i32>
      }";
    agrees(text, &[0, 5, 11]);
}

#[test]
fn large_branches_are_taken() {
    let f = "tensor<512x512xf32>";
    let branch = |op: &str| format!("%v = stablehlo.{op} %x, %y : {f}\n stablehlo.return %v, %y : {f}, {f}");
    for (index, ty) in [("%n", "tensor<i32>"), ("%p", "tensor<i1>")] {
        let branches: Vec<String> = ["add", "multiply", "subtract"]
            .iter()
            .map(|op| format!("{{\n{}\n}}", branch(op)))
            .collect();
        let (name, branches) = match ty {
            "tensor<i1>" => ("if", branches[..2].join(", ")),
            _ => ("case", branches.join(", ")),
        };
        let text = format!(
            "%r:2 = \"stablehlo.{name}\"({index}) ({branches}) : ({ty}) -> ({f}, {f})\nreturn %r#0, %r#1, %x : {f}, {f}, {f}"
        );
        let args = format!("%x: {f}, %y: {f}, %n: tensor<i32>, %p: tensor<i1>");
        // Numbers on both sides of the branches that exist.
        agrees(&main_of(&args, &[f; 3].join(", "), &text), &[0, 1, 2, 3, 14]);
    }
}

#[test]
fn branches_hold_loops_and_loops_hold_branches() {
    let f = "tensor<6xf32>";
    let inner = counted(
        "3",
        &[f],
        &["%x"],
        "%s = stablehlo.add %a0, %x : tensor<6xf32>",
        &["%s"],
    );
    let text = format!(
        "%r = \"stablehlo.if\"(%p) ({{\n{}\nstablehlo.return %r#1 : {f}\n}}, {{\n%n = stablehlo.negate %x : {f}\nstablehlo.return %n : {f}\n}}) : (tensor<i1>) -> {f}\nreturn %r : {f}",
        inner
    );
    agrees(&main_of(&format!("%x: {f}, %p: tensor<i1>"), f, &text), &[0, 1, 2, 3]);
    let body = format!(
        "%two = stablehlo.constant dense<2> : tensor<i32>\n%c = stablehlo.compare EQ, %i, %two, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n\
         %s = \"stablehlo.if\"(%c) ({{\n%q:1 = stablehlo.while(%w = %a0) : {f}\ncond {{\n%no = stablehlo.constant dense<false> : tensor<i1>\nstablehlo.return %no : tensor<i1>\n}} do {{\nstablehlo.return %w : {f}\n}}\n\
         %n = stablehlo.negate %q#0 : {f}\nstablehlo.return %n : {f}\n}}, {{\n%d = stablehlo.add %a0, %a0 : {f}\nstablehlo.return %d : {f}\n}}) : (tensor<i1>) -> {f}"
    );
    let text = format!("{}\nreturn %r#1 : {f}", counted("5", &[f], &["%x"], &body, &["%s"]));
    agrees(&main_of(&format!("%x: {f}"), f, &text), &[0, 8]);
}
