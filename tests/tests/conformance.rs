//! Programs of `tests/conformance` that check themselves: what the StableHLO specification and the interpreter of its
//! authors say of values, types and text.

use ferrite_frontend::Frontend;
use ferrite_interp::{Interpreter, Tensor, interpret};
use ferrite_ir::dtype::DType;
use ferrite_tests::conformance::{check, programs};

use crate::corpus_interp::repository;

#[test]
fn programs_check_themselves() {
    let folder = repository().join("tests/conformance");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "mlir"))
        .collect();
    files.sort();
    let (mut failures, mut count) = (Vec::new(), 0);
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for (i, program) in programs(&text).enumerate() {
            count += 1;
            if let Err(why) = check(program) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                failures.push(format!("{name}, program {i}: {why}"));
            }
        }
    }
    assert!(count > 0, "{} holds no programs", folder.display());
    assert!(failures.is_empty(), "{} of {count} fail: {failures:#?}", failures.len());
}

/// The results of HLO text that takes nothing, as numbers.
fn numbers(text: &str) -> Vec<Vec<f64>> {
    let module = Frontend::read(text.as_bytes(), "test").unwrap_or_else(|e| panic!("{}", e[0]));
    let results = interpret(&module, &[]).unwrap_or_else(|e| panic!("{e}"));
    results.iter().map(Tensor::to_f64_vec).collect()
}

#[test]
fn a_random_bit_decides_which_way_to_round() {
    let text = "HloModule m
ENTRY e {
  x = f32[6] constant({1.25, 1.25, -1.25, 126.5, 300, nan})
  r = u32[6] constant({1073741823, 1073741824, 1073741823, 0, 5, 5})
  ROOT c = s8[6] stochastic-convert(x, r)
}";
    assert_eq!(numbers(text), [[2.0, 1.0, -2.0, 127.0, 127.0, 0.0]]);
}

#[test]
fn states_of_the_generator_follow_one_another() {
    let text = "HloModule m
ENTRY e {
  a = u64[2] rng-get-and-update-state(), delta=4096
  b = u64[2] rng-get-and-update-state(), delta=1
  d = u64[2] subtract(b, a)
  ROOT c = s64[2] convert(d)
}";
    assert_eq!(numbers(text), [[4096.0, 0.0]]);
}

#[test]
fn scans_are_loops() {
    let text = "HloModule m
body {
  x = f32[2] parameter(0)
  c = f32[2] parameter(1)
  s = f32[2] add(x, c)
  ROOT t = (f32[2], f32[2]) tuple(s, s)
}
ENTRY e {
  x = f32[2,3] constant({{1, 2, 3}, {4, 5, 6}})
  z = f32[2] constant({0, 10})
  ROOT r = (f32[2,3], f32[2]) scan(x, z), dimensions={1}, num_carries=1, is_reverse=true, to_apply=body
}";
    assert_eq!(numbers(text), [vec![6.0, 5.0, 3.0, 25.0, 21.0, 16.0], vec![6.0, 25.0]]);
}

#[test]
fn arrays_take_sizes_that_are_computed() {
    let text = "HloModule m
ENTRY e {
  x = s32[6] iota(), iota_dimension=0
  two = s32[] constant(2)
  three = s32[] add(two, s32[] constant(1))
  r = s32[<=3,<=6] dynamic-reshape(x, two, three)
  ROOT n = s32[] get-dimension-size(r), dimensions={1}
}";
    assert_eq!(numbers(text), [[3.0]]);
}

/// What each of two devices gets, whose inputs are 0, 1, ... and 10, 11, ...
fn on_two(text: &str, dtype: DType, count: i64) -> Vec<Vec<f64>> {
    let module = Frontend::read(text.as_bytes(), "test").unwrap_or_else(|e| panic!("{}", e[0]));
    let inputs: Vec<Vec<Tensor>> = (0..2)
        .map(|device| {
            let values = (0..count).map(|i| (10 * device + i) as f64).collect();
            let ty = ferrite_ir::hlo::TensorType::new(dtype, &[count]);
            vec![Tensor::from_f64_vec(ty, values).expect("as many as there are")]
        })
        .collect();
    let results = Interpreter::new(&module).run_devices(2, 1, &inputs);
    let results = results.unwrap_or_else(|e| panic!("{e}"));
    results
        .iter()
        .map(|all| all.iter().flat_map(Tensor::to_f64_vec).collect())
        .collect()
}

#[test]
fn operands_of_an_exchange_go_to_one_device_each() {
    let text = "HloModule m, replica_count=2
ENTRY e {
  x = f32[2] parameter(0)
  y = f32[2] negate(x)
  ROOT r = (f32[2], f32[2]) all-to-all(x, y), replica_groups={{0,1}}
}";
    assert_eq!(
        on_two(text, DType::F32, 2),
        [[0.0, 1.0, 10.0, 11.0], [-0.0, -1.0, -10.0, -11.0]]
    );
}

#[test]
fn rows_of_uneven_numbers_are_exchanged() {
    let text = "HloModule m, replica_count=2
ENTRY e {
  x = f32[4] parameter(0)
  z = f32[] constant(-1)
  o = f32[4] broadcast(z), dimensions={}
  from = s32[2] constant({0, 1})
  size = s32[2] constant({1, 2})
  id = u32[] replica-id()
  two = u32[] constant(2)
  at = u32[] multiply(id, two)
  at2 = s32[] convert(at)
  to = s32[2] broadcast(at2), dimensions={}
  ROOT r = f32[4] ragged-all-to-all(x, o, from, size, to, size), replica_groups={{0,1}}
}";
    assert_eq!(
        on_two(text, DType::F32, 4),
        [[0.0, -1.0, 10.0, -1.0], [1.0, 2.0, 11.0, 12.0]]
    );
}
