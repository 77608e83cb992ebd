//! Equal layers become one loop, and layers that are equal but for something do not: random stacks of layers on whole
//! numbers, on the simulated device and in the interpreter.

use std::fmt::Write;

use ferrite_driver::compile;
use ferrite_driver::options::CompileOptions;
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::isa::{DmaSpace, Engine, Op, VarKind};
use proptest::prelude::*;

use super::device::on_device;

/// What sets one layer apart from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Odd {
    Nothing,
    /// All layers have one weight.
    OneWeight,
    /// A layer reads the weight of the layer before.
    EarlierWeight,
    /// A value inside of a layer is a result of the program.
    Result,
    /// A value inside of a layer is read after the last layer.
    ReadLater,
    /// A weight is read after the last layer.
    WeightLater,
    /// What goes into the first layer is a result as well.
    First,
    /// Caches are not donated.
    Kept,
}

#[derive(Clone, Debug)]
struct Stack {
    size: usize,
    layers: usize,
    /// Operation and operands, as numbers of earlier values of the layer.
    steps: Vec<(u8, usize, usize)>,
    odd: Odd,
    at: usize,
}

fn stack() -> impl Strategy<Value = Stack> {
    let odd = prop_oneof![
        6 => Just(Odd::Nothing),
        1 => Just(Odd::OneWeight),
        1 => Just(Odd::EarlierWeight),
        1 => Just(Odd::Result),
        1 => Just(Odd::ReadLater),
        1 => Just(Odd::WeightLater),
        1 => Just(Odd::First),
        1 => Just(Odd::Kept),
    ];
    let size = prop_oneof![Just(8usize), Just(40), Just(130)];
    let steps = prop::collection::vec((0..12u8, 0..64usize, 0..64usize), 1..7);
    (size, 2..5usize, steps, odd, 0..8usize).prop_map(|(size, layers, steps, odd, at)| Stack {
        size,
        layers,
        steps,
        odd,
        at: at % layers,
    })
}

struct Text {
    body: String,
    next: usize,
    n: usize,
}

impl Text {
    fn line(&mut self, what: &str, ty: &str) -> String {
        let name = format!("%{}", self.next);
        self.next += 1;
        writeln!(self.body, "  {name} = stablehlo.{what} : {ty}").expect("strings take everything");
        name
    }

    fn matrix(&self) -> String {
        format!("tensor<{0}x{0}xf32>", self.n)
    }

    fn binary(&mut self, op: &str, a: &str, b: &str) -> String {
        let ty = self.matrix();
        self.line(&format!("{op} {a}, {b}"), &ty)
    }

    /// Keeps numbers whole and small.
    fn clamped(&mut self, x: &str) -> String {
        let low = self.binary("maximum", x, "%low");
        self.binary("minimum", &low, "%high")
    }

    fn along_rows(&mut self, op: &str, init: &str, a: &str) -> String {
        let (n, m) = (self.n, self.matrix());
        let reduce = format!("reduce({a} init: {init}) applies stablehlo.{op} across dimensions = [1]");
        let row = self.line(&reduce, &format!("({m}, tensor<f32>) -> tensor<{n}xf32>"));
        let ty = format!("(tensor<{n}xf32>) -> {m}");
        self.line(&format!("broadcast_in_dim {row}, dims = [0]"), &ty)
    }

    fn step(&mut self, kind: u8, a: &str, b: &str) -> String {
        let (n, m) = (self.n, self.matrix());
        match kind {
            0 | 1 => {
                let contraction = if kind == 0 { "[1] x [0]" } else { "[1] x [1]" };
                let dot = format!("dot_general {a}, {b}, contracting_dims = {contraction}");
                let dot = self.line(&dot, &format!("({m}, {m}) -> {m}"));
                self.clamped(&dot)
            }
            2 => {
                let sum = self.binary("add", a, b);
                self.clamped(&sum)
            }
            3 => {
                let product = self.binary("multiply", a, b);
                self.clamped(&product)
            }
            4 => self.binary("maximum", a, b),
            5 => self.line(&format!("transpose {a}, dims = [1, 0]"), &format!("({m}) -> {m}")),
            6 => self.line(&format!("reverse {a}, dims = [1]"), &m),
            7 => {
                // Rows go round.
                let top = self.line(
                    &format!("slice {a} [0:3, 0:{n}]"),
                    &format!("({m}) -> tensor<3x{n}xf32>"),
                );
                let rest = self.line(
                    &format!("slice {b} [3:{n}, 0:{n}]"),
                    &format!("({m}) -> tensor<{}x{n}xf32>", n - 3),
                );
                let ty = format!("(tensor<{}x{n}xf32>, tensor<3x{n}xf32>) -> {m}", n - 3);
                self.line(&format!("concatenate {rest}, {top}, dim = 0"), &ty)
            }
            8 => self.along_rows("maximum", "%least", a),
            9 => {
                let sum = self.along_rows("add", "%zero", a);
                self.clamped(&sum)
            }
            10 => {
                let bits = format!("tensor<{n}x{n}xi1>");
                let test = self.line(
                    &format!("compare GT, {a}, {b}, FLOAT"),
                    &format!("({m}, {m}) -> {bits}"),
                );
                self.line(&format!("select {test}, {b}, {a}"), &format!("{bits}, {m}"))
            }
            _ => self.row_update(b, a),
        }
    }

    /// Two rows of `x` in place of those of `cache` at `%at`.
    fn row_update(&mut self, cache: &str, x: &str) -> String {
        let (n, m) = (self.n, self.matrix());
        let rows = format!("tensor<2x{n}xf32>");
        let two = self.line(&format!("slice {x} [1:3, 0:{n}]"), &format!("({m}) -> {rows}"));
        let ty = format!("({m}, {rows}, tensor<i32>, tensor<i32>) -> {m}");
        self.line(&format!("dynamic_update_slice {cache}, {two}, %at, %c0"), &ty)
    }
}

impl Stack {
    fn module(&self) -> String {
        let mut text = Text {
            body: String::new(),
            next: 0,
            n: self.size,
        };
        let m = text.matrix();
        let mut x = "%x".to_string();
        let (mut caches, mut others) = (Vec::new(), Vec::new());
        let mut later = None;
        for layer in 0..self.layers {
            let odd = |what: Odd| self.odd == what && layer == self.at;
            let weight = match self.odd {
                Odd::OneWeight => 0,
                Odd::EarlierWeight if layer == self.at => layer.saturating_sub(1),
                _ => layer,
            };
            let mut pool = vec![x.clone(), format!("%w{weight}"), format!("%c{layer}_")];
            for &(kind, a, b) in &self.steps {
                let made = text.step(kind, &pool[a % pool.len()], &pool[b % pool.len()]);
                pool.push(made);
            }
            let inner = pool[pool.len() - 1].clone();
            let updated = text.row_update(&format!("%c{layer}_"), &inner);
            let sum = text.binary("add", &inner, &updated);
            let sum = text.binary("add", &sum, &x);
            x = text.clamped(&sum);
            caches.push(updated);
            if odd(Odd::Result) {
                others.push(inner.clone());
            }
            if odd(Odd::ReadLater) {
                later = Some(inner);
            }
        }
        if self.odd == Odd::WeightLater {
            later = Some(format!("%w{}", self.at));
        }
        if let Some(later) = later {
            x = text.binary("add", &x, &later);
        }
        if self.odd == Odd::First {
            others.push("%x".to_string());
        }
        let donated = |layer: usize| match self.odd {
            Odd::Kept => String::new(),
            _ => format!(" {{tf.aliasing_output = {} : i32}}", layer + 1),
        };
        let weights = (0..self.layers).map(|k| format!(", %w{k}: {m}")).collect::<String>();
        let cached = (0..self.layers)
            .map(|k| format!(", %c{k}_: {m}{}", donated(k)))
            .collect::<String>();
        let results: Vec<String> = std::iter::once(x).chain(caches).chain(others).collect();
        let types = vec![m.as_str(); results.len()].join(", ");
        format!(
            "func.func public @main(%x: {m}, %at: tensor<i32>{weights}{cached}) -> ({types}) {{
  %low = stablehlo.constant dense<-3.0> : {m}
  %high = stablehlo.constant dense<3.0> : {m}
  %least = stablehlo.constant dense<0xFF800000> : tensor<f32>
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %c0 = stablehlo.constant dense<0> : tensor<i32>
{}  return {} : {types}
}}
",
            text.body,
            results.join(", ")
        )
    }
}

fn small(shape: &[i64], seed: u64) -> Tensor {
    let count: i64 = shape.iter().product();
    let values = (0..count as u64).map(|i| {
        let mixed = (i + 1).wrapping_mul(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        ((mixed >> 40) % 5) as f32 - 2.0
    });
    Tensor::from_f32(shape, &values.collect::<Vec<_>>()).expect("as many values")
}

fn options() -> CompileOptions {
    CompileOptions {
        target: "inf2".to_string(),
        passes: Some("hlo(-O2),lower{layer-us=0},generate-code".to_string()),
        ..CompileOptions::default()
    }
}

/// Whether a loop picks transfers by its counter.
fn has_loop(module: &Module) -> bool {
    let compiled = compile::compile(module.clone(), &options()).expect("compiles");
    let program = &compiled.neff.programs[0];
    Engine::ALL.into_iter().any(|engine| {
        let mut stream = program.stream(engine).iter();
        stream.any(|i| matches!(i.op, Op::DmaTrigger { counter: Some(_), .. }))
    })
}

fn module(text: &str) -> Module {
    parse(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]))
}

fn check(stack: &Stack) -> Result<(), TestCaseError> {
    let text = stack.module();
    let module = module(&text);
    let n = stack.size as i64;
    let at = Tensor::from_i32(&[], &[(n - 2) as i32]).expect("one number");
    let mut inputs = vec![small(&[n, n], 1), at];
    inputs.extend((0..2 * stack.layers).map(|k| small(&[n, n], k as u64 + 2)));
    let want = interpret(&module, &inputs).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
    let got = on_device(&module, &options(), &inputs).map_err(|e| TestCaseError::fail(format!("{}\n{text}", e[0])))?;
    for (index, (want, got)) in want.iter().zip(&got).enumerate() {
        let same = want.to_parts() == got.to_parts();
        prop_assert!(same, "output {index} differs\n{text}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn stacks_of_layers_compute_the_same(stack in stack()) {
        check(&stack)?;
    }
}

/// A stack whose layers do all that the generator knows.
fn full(odd: Odd) -> Stack {
    Stack {
        size: 40,
        layers: 4,
        steps: vec![(0, 0, 1), (8, 3, 0), (10, 3, 4), (5, 5, 0), (2, 6, 0)],
        odd,
        at: 2,
    }
}

#[test]
fn equal_layers_are_one_loop_over_weights_and_caches() {
    for odd in [Odd::Nothing, Odd::OneWeight, Odd::First, Odd::Kept] {
        let stack = full(odd);
        check(&stack).unwrap_or_else(|e| panic!("{e}"));
        assert!(has_loop(&module(&stack.module())), "{odd:?}");
    }
}

#[test]
fn caches_of_a_loop_are_updated_in_place() {
    let compiled = compile::compile(module(&full(Odd::Nothing).module()), &options()).expect("compiles");
    let program = &compiled.neff.programs[0];
    let written = program
        .transfers
        .iter()
        .flat_map(|t| &t.elements)
        .filter_map(|e| match e.dst.space {
            DmaSpace::Hbm(var) => Some((var, e.dst.elements() * e.dst.dtype.bytes() as u64)),
            DmaSpace::Sbuf => None,
        });
    for (var, bytes) in written {
        let var = &program.vars[var.0 as usize];
        let whole = matches!(var.kind, VarKind::Output { index } if index > 0) && bytes >= var.bytes;
        assert!(!whole, "all of the cache `{}` is copied", var.name);
    }
}

/// Bytes read from the memory of input number `input`.
fn read_of(text: &str, input: u32) -> (u64, u64) {
    let compiled = compile::compile(
        module(text),
        &CompileOptions {
            passes: None,
            ..options()
        },
    )
    .unwrap_or_else(|e| panic!("{}", e[0]));
    let program = &compiled.neff.programs[0];
    let is_input = |space: DmaSpace| match space {
        DmaSpace::Hbm(var) => matches!(program.vars[var.0 as usize].kind, VarKind::Input { index } if index == input),
        DmaSpace::Sbuf => false,
    };
    let elements = program.transfers.iter().flat_map(|t| &t.elements);
    let bytes = elements
        .filter(|e| is_input(e.src.space))
        .map(|e| e.src.elements() * e.src.dtype.bytes() as u64)
        .sum();
    let var = program
        .vars
        .iter()
        .find(|v| matches!(v.kind, VarKind::Input { index } if index == input));
    (bytes, var.map_or(0, |v| v.bytes))
}

#[test]
fn weights_that_do_not_stay_on_chip_are_not_read_for_every_tile_of_rows() {
    // Four tiles of rows, whose sums need whole rows of the product.
    let (x, w, y) = (
        "tensor<512x3072xbf16>",
        "tensor<3072x2048xbf16>",
        "tensor<512x2048xf32>",
    );
    let text = format!(
        "func.func public @main(%x: {x}, %w: {w}) -> {y} {{
  %zero = stablehlo.constant dense<0.0> : tensor<f32>
  %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : ({x}, {w}) -> {y}
  %1 = stablehlo.multiply %0, %0 : {y}
  %2 = stablehlo.reduce(%1 init: %zero) applies stablehlo.add across dimensions = [1] : ({y}, tensor<f32>) -> tensor<512xf32>
  %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<512xf32>) -> {y}
  %4 = stablehlo.subtract %0, %3 : {y}
  return %4 : {y}
}}
"
    );
    let (read, weights) = read_of(&text, 1);
    assert!(read < 2 * weights, "{read} bytes of {weights}");
}
