//! The forms of one program lead to one module.
//!
//! StableHLO text, its generic form, HLO text, `HloModuleProto` and the portable artifact of a case are read, brought
//! into one shape and compared as text. What differs between them and means nothing is taken away first:
//!
//! * names, locations, attributes that are not part of an operation, aliases (HLO has no arguments' attributes);
//! * functions (inlined) and what `canonicalize`, `fold-constants`, `merge-equal-ops` and `remove-dead-ops` remove;
//! * what HLO says in other words: every form takes the way through our own `HloModuleProto`, so that loops carry what
//!   they use, scalars are broadcast, and an expanding broadcast is a reshape and a broadcast;
//! * the order of independent operations, and where a constant stands; the types that comparisons name; precisions that
//!   are the default; numbers and kinds of channels, which each exporter counts for itself;
//! * values that a loop carries and does not change, which HLO needs and StableHLO does not;
//! * an iota of several dimensions or a broadcast one, a conversion to predicates or a comparison with zero,
//!   `custom_call @mhlo.erf` or `erf`.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use ferrite_driver::case::Case;
use ferrite_frontend::{Frontend, write_hlo_proto};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BroadcastInDim, Compare, ComparisonDirection, ComparisonType, Func, Iota, Module, OpId, OpKind, Precision,
    RegionId, TensorType, Type, UnaryOp, ValueId,
};
use ferrite_ir::literal::Literal;
use ferrite_passes::options::CompileOptions;
use ferrite_tests::run_passes;

use crate::corpus_interp::{full_corpus, repository};

const FORMS: [&str; 5] = [
    "model.generic.mlir",
    "model.hlo.txt",
    "model.hlo.pb",
    "model.mlirbc",
    "model.long.hlo.txt",
];

const PASSES: [&str; 6] = [
    "inline",
    "canonicalize",
    "fold-constants",
    "merge-equal-ops",
    "canonicalize",
    "remove-dead-ops",
];

/// Sets that are compared.
const SETS: [&str; 5] = ["ops", "special", "collectives", "models", "torch_xla"];

/// Pairs that cannot be equal: start of the case, part of the form, why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("ops/ew_activations", "hlo", CHLO),
    ("ops/ew_binary_float", "hlo", CHLO),
    ("ops/ew_erf_gamma", "hlo", CHLO),
    ("ops/ew_igamma_zeta", "hlo", CHLO),
    ("ops/ew_trig_hyperbolic", "hlo", CHLO),
    ("ops/rng_threefry", "hlo", CHLO),
    ("ops/sort_topk_float", "mlirbc", CHLO),
    ("models/bert_tiny_forward", "hlo", CHLO),
    ("models/vit_", "", CHLO),
    ("ops/ew_exp_log", "hlo", FOLDED),
    ("ops/passthrough_unused", "hlo", FOLDED),
    ("ops/unused_dropped", "hlo", FOLDED),
    ("ops/reduce_custom_multi", "hlo", FOLDED),
    ("ops/zero_sized", "hlo", FOLDED),
    ("ops/mv_pad", "hlo", FOLDED),
    ("models/bert_tiny_train_dropout", "hlo", FOLDED),
    ("models/lstm_train_clip_sgd", "hlo", FOLDED),
    ("models/mamba_", "hlo", FOLDED),
    ("models/mlp_train_adam", "hlo", FOLDED),
    ("models/t5_tiny_forward", "hlo", FOLDED),
    ("torch_xla/timm_vit_tiny_train_dropout", "hlo", FOLDED),
    (
        "ops/complex_ops",
        "hlo",
        "XLA writes functions of complex numbers as those of their parts",
    ),
    (
        "ops/mv_gather",
        "hlo",
        "XLA adds dimensions of size 1 after a broadcast, not in it",
    ),
    ("models/moe_topk_", "hlo", "XLA writes an iota in one dimension more"),
    ("torch_xla/torch_aten_misc", "hlo", "XLA sorts what nothing reads along"),
    (
        "collectives/auto_sharding_constraints",
        "hlo",
        "HLO does not say for how many partitions it is, and for one a sharding means nothing",
    ),
    (
        "collectives/axis_index",
        "hlo",
        "HLO does not say for how many partitions it is, and for one the index is known",
    ),
    ("ops/sort_topk", "hlo", "XLA writes `ApproxTopK` out as a sort"),
];

const CHLO: &str = "exporters write operations of CHLO out, each in its own way";
const FOLDED: &str = "XLA folds what we keep: a sum with zero, a function of a constant, nested concatenations";

fn all(errors: &[ferrite_ir::diag::Diagnostic]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}

/// A module as text without what may differ.
fn normal(bytes: &[u8], name: &str) -> Result<String, String> {
    let mut module = Frontend::read(bytes, name).map_err(|errors| format!("read: {}", all(&errors)))?;
    let options = CompileOptions::default();
    let passes = |module: &mut Module| run_passes(module, &PASSES, &options).map_err(|e| format!("passes: {e}"));
    module.funcs.iter_mut().for_each(one_word);
    passes(&mut module)?;
    let written = write_hlo_proto(&module).map_err(|errors| format!("write: {}", all(&errors)))?;
    module = Frontend::read(&written, "written").map_err(|errors| format!("read again: {}", all(&errors)))?;
    passes(&mut module)?;
    let mut out = String::new();
    for func in &mut module.funcs {
        strip(func);
        while hoist(func) {}
        let body = func.body();
        order(func, body);
        let _ = writeln!(out, "func {}", func.name);
        text(func, body, &mut HashMap::new(), &mut out, 1);
    }
    Ok(out)
}

/// Says in one word what exporters say in several.
fn one_word(func: &mut Func) {
    let mut regions = vec![func.body()];
    func.walk_regions(func.body(), &mut |_, region| regions.push(region));
    for region in regions {
        let mut n = 0;
        while n < func.region(region).ops.len() {
            let op = func.region(region).ops[n];
            let loc = func.op(op).loc;
            let ty = func.op(op).results.first().and_then(|&v| func.ty(v).tensor()).cloned();
            let insert = |func: &mut Func, kind: OpKind, ty: TensorType| {
                let id = func.create(kind, &[], vec![Type::Tensor(ty)], &[], loc);
                func.region_mut(region).ops.insert(n, id);
                func.result(id)
            };
            match (func.op(op).kind.clone(), ty) {
                (OpKind::Iota(iota), Some(ty)) if ty.rank() > 1 && ty.is_static() => {
                    let line = ty.with_shape([ty.shape[iota.iota_dimension as usize]]);
                    let line = insert(func, OpKind::Iota(Iota { iota_dimension: 0 }), line);
                    let dims = [iota.iota_dimension].into_iter().collect();
                    func.op_mut(op).kind = OpKind::BroadcastInDim(BroadcastInDim {
                        broadcast_dimensions: dims,
                    });
                    func.op_mut(op).operands.push(line);
                    n += 1;
                }
                (OpKind::CustomCall(call), Some(_)) if call.target == "mhlo.erf" => {
                    func.op_mut(op).kind = OpKind::Unary(UnaryOp::Erf);
                    func.op_mut(op).attrs = None;
                }
                (OpKind::Convert, Some(ty)) if ty.dtype == DType::Bool => {
                    let from = func.tensor(func.op(op).operands[0]).clone();
                    if from.dtype != DType::Bool && from.is_static() {
                        let zero = Literal::splat(from.clone(), &vec![0; from.dtype.bytes()]);
                        let zero = zero.unwrap_or_else(|| panic!("a zero of type {from}"));
                        let zero = insert(func, OpKind::Constant(zero), from);
                        func.op_mut(op).kind = OpKind::Compare(Compare {
                            direction: ComparisonDirection::Ne,
                            compare_type: ComparisonType::NoType,
                        });
                        func.op_mut(op).operands.push(zero);
                        n += 1;
                    }
                }
                _ => {}
            }
            n += 1;
        }
    }
}

/// Takes values that a loop does not change out of what it carries; whether there were any.
fn hoist(func: &mut Func) -> bool {
    let mut loops = Vec::new();
    func.walk(func.body(), &mut |func, op| {
        if func.op(op).kind == OpKind::While {
            loops.push(op);
        }
    });
    for op in loops {
        let [condition, step] = func.op(op).regions[..] else {
            continue;
        };
        let same = (0..func.region(step).args.len())
            .find(|&n| func.region(step).results.get(n) == Some(&func.region(step).args[n]));
        let Some(n) = same else { continue };
        let given = func.op(op).operands[n];
        for value in [
            func.region(condition).args[n],
            func.region(step).args[n],
            func.op(op).results[n],
        ] {
            func.replace_uses(value, given);
        }
        func.op_mut(op).operands.remove(n);
        func.op_mut(op).results.remove(n);
        func.region_mut(condition).args.remove(n);
        func.region_mut(step).args.remove(n);
        func.region_mut(step).results.remove(n);
        return true;
    }
    false
}

/// The operations of a region, a line each; constants stand where they are used.
fn text(func: &Func, region: RegionId, numbers: &mut HashMap<ValueId, usize>, out: &mut String, depth: usize) {
    let indent = "  ".repeat(depth);
    let define = |numbers: &mut HashMap<ValueId, usize>, value: ValueId| {
        let number = numbers.len();
        numbers.insert(value, number);
        format!("%{number}: {}", func.ty(value))
    };
    let used = |numbers: &HashMap<ValueId, usize>, value: ValueId| match func.def_kind(value) {
        Some(OpKind::Constant(literal)) => format!("{}{:x?}", literal.ty(), literal.to_bytes()),
        _ => numbers
            .get(&value)
            .map_or("?".to_string(), |number| format!("%{number}")),
    };
    let args: Vec<String> = func.region(region).args.iter().map(|&v| define(numbers, v)).collect();
    let _ = writeln!(out, "{indent}({})", args.join(", "));
    for &id in &func.region(region).ops {
        let op = func.op(id);
        if matches!(op.kind, OpKind::Constant(_)) {
            continue;
        }
        let operands: Vec<String> = op.operands.iter().map(|&v| used(numbers, v)).collect();
        let results: Vec<String> = op.results.iter().map(|&v| define(numbers, v)).collect();
        let _ = writeln!(
            out,
            "{indent}{} = {:?}({})",
            results.join(", "),
            op.kind,
            operands.join(", ")
        );
        for &inner in &op.regions {
            text(func, inner, numbers, out, depth + 1);
        }
    }
    let results: Vec<String> = func.region(region).results.iter().map(|&v| used(numbers, v)).collect();
    let _ = writeln!(out, "{indent}return {}", results.join(", "));
}

fn strip(func: &mut Func) {
    let precision = |precision: &mut Vec<Precision>| {
        if precision.iter().all(|p| *p == Precision::Default) {
            precision.clear();
        }
    };
    for n in 0..func.op_count() {
        let op = func.op_mut(OpId(n as u32));
        op.attrs = None;
        match &mut op.kind {
            OpKind::Compare(compare) => compare.compare_type = ComparisonType::NoType,
            OpKind::DotGeneral(dot) => precision(&mut dot.precision),
            OpKind::Convolution(convolution) => precision(&mut convolution.precision),
            OpKind::AllReduce(c) | OpKind::CollectiveBroadcast(c) | OpKind::CollectiveReduce(c) => {
                (c.channel_id, c.channel_type) = (1, 1)
            }
            OpKind::AllGather(g) => (g.collective.channel_id, g.collective.channel_type) = (1, 1),
            OpKind::ReduceScatter(r) => (r.collective.channel_id, r.collective.channel_type) = (1, 1),
            OpKind::AllToAll(a) => (a.collective.channel_id, a.collective.channel_type) = (1, 1),
            OpKind::CollectivePermute(p) => (p.channel_id, p.channel_type) = (1, 1),
            _ => {}
        }
    }
}

/// Puts the operations of a region, and of those inside, in the order in which its results need them.
fn order(func: &mut Func, region: RegionId) {
    let ops = func.region(region).ops.clone();
    for &op in &ops {
        for inner in func.op(op).regions.clone() {
            order(func, inner);
        }
    }
    let mut placed = vec![false; func.op_count()];
    let mut sorted = Vec::with_capacity(ops.len());
    let here: HashSet<OpId> = ops.iter().copied().collect();
    // What an operation needs of this region: operands, and what its regions use.
    let needs = |func: &Func, op: OpId| -> Vec<OpId> {
        let mut values = func.op(op).operands.to_vec();
        for &inner in &func.op(op).regions {
            func.walk(inner, &mut |func, id| {
                values.extend(func.op(id).operands.iter().copied())
            });
            func.walk_regions(inner, &mut |func, id| {
                values.extend(func.region(id).results.iter().copied())
            });
        }
        values
            .iter()
            .filter_map(|&v| func.def(v))
            .filter(|op| here.contains(op))
            .collect()
    };
    let roots: Vec<OpId> = func
        .region(region)
        .results
        .iter()
        .filter_map(|&v| func.def(v))
        .collect();
    for root in roots
        .into_iter()
        .chain(ops.iter().copied())
        .filter(|op| here.contains(op))
    {
        let mut stack = vec![(root, false)];
        while let Some((op, ready)) = stack.pop() {
            if placed[op.index()] {
                continue;
            }
            if ready {
                placed[op.index()] = true;
                sorted.push(op);
                continue;
            }
            stack.push((op, true));
            stack.extend(needs(func, op).into_iter().rev().map(|op| (op, false)));
        }
    }
    func.region_mut(region).ops = sorted;
}

fn compare(root: &Path) {
    let only = std::env::var("FERRITE_CASE").unwrap_or_default();
    let dump = std::env::var_os("FERRITE_FORMS_DUMP").map(std::path::PathBuf::from);
    let mut cases = Vec::new();
    for set in SETS.iter().map(|s| root.join(s)).filter(|p| p.is_dir()) {
        cases.extend(Case::find(&set).unwrap_or_else(|e| panic!("{e}")));
    }
    cases.retain(|c| c.folder.to_string_lossy().contains(&only));
    let (mut pairs, mut equal, mut excepted, mut wrong) = (0, 0, 0, Vec::new());
    for case in &cases {
        let name = case
            .folder
            .strip_prefix(root)
            .unwrap_or(&case.folder)
            .display()
            .to_string();
        let read = |form: &str| {
            let bytes = std::fs::read(case.folder.join(form)).ok()?;
            Some(normal(&bytes, form))
        };
        let Some(stablehlo) = read("model.stablehlo.mlir") else {
            continue;
        };
        for form in FORMS {
            let Some(other) = read(form) else { continue };
            pairs += 1;
            let exception = EXCEPTIONS
                .iter()
                .find(|(case, part, _)| name.starts_with(case) && form.contains(part));
            let outcome = match (&stablehlo, &other) {
                (Ok(a), Ok(b)) if a == b => Ok(()),
                (Ok(a), Ok(b)) => {
                    if let Some(folder) = &dump {
                        let stem = name.replace('/', "-");
                        let _ = std::fs::write(folder.join(format!("{stem}.a")), a);
                        let _ = std::fs::write(folder.join(format!("{stem}-{form}.b")), b);
                    }
                    let line = a.lines().zip(b.lines()).find(|(a, b)| a != b);
                    Err(line.map_or("one is longer".to_string(), |(a, b)| {
                        format!("`{}` or `{}`", a.trim(), b.trim())
                    }))
                }
                (Err(why), Err(_)) if why.starts_with("write") => {
                    println!("  none {name}/{form}: {why}");
                    pairs -= 1;
                    continue;
                }
                (Err(why), _) | (_, Err(why)) => Err(why.clone()),
            };
            match (outcome, exception) {
                (Ok(()), None) => equal += 1,
                // An exception for several cases need not hold for each of their forms.
                (Ok(()), Some((case, part, _))) if *case != name || part.is_empty() => equal += 1,
                (Ok(()), Some(_)) => wrong.push(format!("{name}/{form} is equal and need be no exception")),
                (Err(_), Some(_)) => excepted += 1,
                (Err(why), None) => wrong.push(format!("{name}/{form}: {}", why.chars().take(300).collect::<String>())),
            }
        }
    }
    println!(
        "{equal} of {pairs} pairs of forms are equal in {}, {excepted} are known to differ",
        root.display()
    );
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
}

#[test]
fn forms_of_the_repository_are_equal() {
    compare(&repository().join("tests/corpus"));
}

#[test]
fn forms_of_the_corpus_are_equal() {
    match full_corpus() {
        Some(root) => compare(&root),
        None => println!("no corpus: set FERRITE_CORPUS to compare all of it"),
    }
}
