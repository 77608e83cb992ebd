//! Random programs: the simulated device against the reference interpreter.
//!
//! A list of random words is read as a program: inputs of odd shapes and all dtypes, with ordinary, extreme or special
//! values, then a few operations, each on values that exist. The words are a proptest strategy, so that what fails is made
//! smaller before it is shown. `FERRITE_RANDOM_PROGRAMS` sets how many programs run (a long run wants `--release`),
//! `FERRITE_RANDOM_SEED` where to start, `FERRITE_RANDOM_TARGET` the target.
//!
//! Results that depend on roundings (sums, functions, quotients) are compared with a tolerance and only moved afterwards,
//! so that no leap of a later operation turns a rounding into another result. All else must agree bit by bit, except for
//! the sign of zero.

use std::collections::BTreeMap;

use ferrite_driver::options::{CompileOptions, OptLevel};
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::print::print;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::hlo::{Builder, Func, Module, ValueId};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::device::on_device;
use super::random_ops::{Known, Words, add_input, add_operation};

/// A program with its inputs and what is known of its results.
struct Program {
    module: Module,
    inputs: Vec<Tensor>,
    results: Vec<Known>,
    level: OptLevel,
}

fn program(words: &[u32]) -> Program {
    let mut words = Words::new(words);
    let level = if words.below(4) == 0 {
        OptLevel::O1
    } else {
        OptLevel::O2
    };
    let mut func = Func::new("main");
    let mut pool: Vec<Known> = Vec::new();
    let mut inputs = Vec::new();
    for _ in 0..1 + words.below(3) {
        let (known, tensor) = add_input(&mut func, &mut words, &pool);
        pool.push(known);
        inputs.push(tensor);
    }
    let count = 1 + words.below(5);
    let first = pool.len();
    let mut attempts = 0;
    while pool.len() < first + count && attempts < 40 {
        attempts += 1;
        let mut b = Builder::body(&mut func);
        let made = add_operation(&mut b, &mut words, &pool);
        pool.extend(made);
    }
    let mut results: Vec<Known> = pool[first.min(pool.len() - 1)..].to_vec();
    if results.len() > 1 && words.below(2) == 0 {
        results = results.split_off(results.len() - 1);
    }
    let values: Vec<ValueId> = results.iter().map(|k| k.value).collect();
    Builder::body(&mut func).finish(&values);
    func.compact();
    let module = Module {
        funcs: vec![func],
        ..Module::default()
    };
    Program {
        module,
        inputs,
        results,
        level,
    }
}

/// What is wrong with what the device makes of a program; programs that the interpreter does not take are passed over.
fn problem(program: &Program, target: &str) -> Option<String> {
    let text = || print(&program.module);
    if let Err(errors) = verify(&program.module) {
        return Some(format!("the generator is wrong: {}\n{}", errors[0], text()));
    }
    let want = interpret(&program.module, &program.inputs).ok()?;
    let options = CompileOptions {
        opt_level: program.level,
        target: target.to_string(),
        ..CompileOptions::default()
    };
    let got = match on_device(&program.module, &options, &program.inputs) {
        Ok(got) => got,
        Err(errors) => return Some(format!("refused: {}\n{}", errors[0], text())),
    };
    for (index, ((want, got), known)) in want.iter().zip(&got).zip(&program.results).enumerate() {
        if want.ty() != got.ty() {
            return Some(format!(
                "output {index}: {} instead of {}\n{}",
                got.ty(),
                want.ty(),
                text()
            ));
        }
        if let Some(found) = difference(want, got, known) {
            return Some(format!(
                "differs in output {index}, {found}\n{}\n{}",
                text(),
                shown(program)
            ));
        }
    }
    None
}

fn shown(program: &Program) -> String {
    let one = |t: &Tensor| {
        let parts: Vec<String> = t.to_parts().iter().take(12).map(|(re, _)| format!("{re:?}")).collect();
        format!("{} = [{}]", t.ty(), parts.join(", "))
    };
    program.inputs.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn difference(want: &Tensor, got: &Tensor, known: &Known) -> Option<String> {
    let (w, g) = (want.to_parts(), got.to_parts());
    let size = |x: &(f64, f64)| x.0.abs().max(x.1.abs());
    let largest = w.iter().map(size).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let digits = match want.dtype() {
        DType::BF16 => 7,
        DType::F16 => 10,
        DType::F8E5M2 => 2,
        DType::F8E4M3 => 3,
        _ => 19,
    };
    let rtol = if known.exact {
        0.0
    } else {
        2.5 * f64::from(-digits).exp2()
    };
    let atol = if known.exact {
        0.0
    } else {
        0.5 * rtol * largest.max(known.scale)
    };
    let close = |w: f64, g: f64| {
        let same = w == g || (w.is_nan() && g.is_nan());
        // Near the end of the range a rounding decides about infinity.
        let edge = !known.exact && w.abs().max(g.abs()) > 3e38 && w.signum() == g.signum();
        same || edge || (w - g).abs() <= atol + rtol * w.abs()
    };
    let wrong = (0..w.len()).filter(|&i| !(close(w[i].0, g[i].0) && close(w[i].1, g[i].1)));
    let wrong: Vec<usize> = wrong.collect();
    let &first = wrong.first()?;
    Some(format!(
        "{} of {} elements of {}, first {first}: {:?} instead of {:?}{}",
        wrong.len(),
        w.len(),
        want.ty(),
        g[first],
        w[first],
        if known.exact { "" } else { " (rounded)" }
    ))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(otherwise)
}

/// The mnemonics of a program, for a list of what fails.
fn mnemonics(module: &Module) -> String {
    let func = &module.funcs[0];
    let names = func.region(func.body()).ops.iter().map(|&op| {
        let ty = func
            .op(op)
            .results
            .first()
            .and_then(|&v| func.ty(v).tensor())
            .map(|t| t.dtype.to_string());
        format!(
            "{}:{}",
            func.op(op).kind.mnemonic().replace("stablehlo.", ""),
            ty.unwrap_or_default()
        )
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn device_agrees_with_the_interpreter_on_random_programs() {
    let count = number("FERRITE_RANDOM_PROGRAMS", 120);
    let start = number("FERRITE_RANDOM_SEED", 1);
    let most = number("FERRITE_RANDOM_FAILURES", 40);
    let target = std::env::var("FERRITE_RANDOM_TARGET").unwrap_or_else(|_| "inf2".to_string());
    let shrink = number("FERRITE_RANDOM_SHRINK", 60);
    let strategy = proptest::collection::vec(proptest::num::u32::ANY, 96);
    let mut failures = Vec::new();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for seed in start..start + count {
        let mut bytes = [0u8; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut tree = strategy.new_tree(&mut runner).expect("words can always be drawn");
        let current = program(&tree.current());
        for word in mnemonics(&current.module).split(' ') {
            *kinds.entry(word.to_string()).or_default() += 1;
        }
        let begin = std::time::Instant::now();
        let first = problem(&current, &target);
        if begin.elapsed().as_secs_f64() > 2.0 {
            println!(
                "seed {seed} takes {:.1?}: {}",
                begin.elapsed(),
                mnemonics(&current.module)
            );
        }
        let Some(mut found) = first else {
            continue;
        };
        // Smaller words make a simpler program; the same words again, where the failure went away.
        let mut steps = 0;
        let mut smallest = program(&tree.current());
        while steps < shrink {
            steps += 1;
            let moved = if problem(&program(&tree.current()), &target).is_some() {
                tree.simplify()
            } else {
                tree.complicate()
            };
            if !moved {
                break;
            }
            let candidate = program(&tree.current());
            if let Some(text) = problem(&candidate, &target) {
                found = text;
                smallest = candidate;
            }
        }
        if std::env::var("FERRITE_RANDOM_COUNTS").is_ok() {
            println!("seed {seed}: {}\n{found}\n", mnemonics(&smallest.module));
        }
        failures.push(format!("seed {seed}: {}\n{found}", mnemonics(&smallest.module)));
        if failures.len() as u64 >= most {
            break;
        }
    }
    if std::env::var("FERRITE_RANDOM_COUNTS").is_ok() {
        println!("{kinds:?}");
    }
    println!("{count} random programs on {target}, {} wrong", failures.len());
    assert!(
        failures.is_empty(),
        "{} programs:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
