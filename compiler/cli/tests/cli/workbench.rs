//! The commands for people who work on the compiler, and an executable of somebody else.

use std::path::Path;

use super::{FERRITE, code, ferrite, json, run, scratch, stderr, stdout};

const MODEL: &str = "func.func public @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<8x16xf32>) -> tensor<16x8xf32>
  %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<16x8xf32>) -> tensor<8x16xf32>
  %2 = stablehlo.maximum %1, %1 : tensor<8x16xf32>
  %3 = stablehlo.tanh %2 : tensor<8x16xf32>
  return %3 : tensor<8x16xf32>
}
";

/// A square for a rule, and loads behind computations for a scheduler.
const SQUARE: &str = "func.func public @main(%x: tensor<200x300xf32>, %w: tensor<300x40xf32>) -> tensor<200x40xf32> {
  %0 = stablehlo.abs %x : tensor<200x300xf32>
  %1 = stablehlo.multiply %0, %0 : tensor<200x300xf32>
  %2 = stablehlo.dot_general %1, %w, contracting_dims = [1] x [0] : (tensor<200x300xf32>, tensor<300x40xf32>) -> tensor<200x40xf32>
  return %2 : tensor<200x40xf32>
}
";

fn with_model() -> tempfile::TempDir {
    let folder = scratch();
    std::fs::write(folder.path().join("m.mlir"), MODEL).expect("it is written");
    folder
}

/// Runs a command that has to succeed; what it printed.
fn ok(folder: &Path, args: &[&str]) -> String {
    let output = ferrite(folder, args);
    assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
    stdout(&output).to_string()
}

#[test]
fn opt_goes_on_with_its_own_output_at_every_level() {
    let folder = with_model();
    let path = folder.path();
    ok(path, &["opt", "m.mlir", "--passes", "hlo(-O2),lower", "-o", "t.mlir"]);
    let tile = ok(
        path,
        &[
            "opt",
            "t.mlir",
            "--passes",
            "tile(assign-engines,schedule)",
            "-o",
            "s.mlir",
        ],
    );
    assert_eq!(tile, "");
    ok(
        path,
        &["opt", "s.mlir", "--passes", "place,synchronise,encode", "-o", "i.mlir"],
    );
    let isa = ok(path, &["opt", "i.mlir", "--passes", "isa(check-sync)"]);
    assert!(isa.contains("\"isa.program\""), "{isa}");
    // Without a pipeline, what the level lacks.
    let whole = ok(path, &["opt", "m.mlir"]);
    assert_eq!(whole, ok(path, &["opt", "t.mlir"]));
    let back = ferrite(path, &["opt", "i.mlir", "--passes", "schedule"]);
    assert_eq!(code(&back), 2);
    assert!(stderr(&back).contains("works on the tile level"), "{}", stderr(&back));
    let generic = ok(path, &["opt", "m.mlir", "--passes", "", "--generic"]);
    assert!(generic.contains("\"stablehlo.transpose\"(%arg0)"), "{generic}");
}

#[test]
fn what_passes_change_is_shown_with_and_without_colors() {
    let folder = with_model();
    let shown = [
        "opt",
        "m.mlir",
        "--passes",
        "canonicalize,remove-dead-ops",
        "--print-changed",
        "-o",
        "out.mlir",
    ];
    let plain = ok(folder.path(), &shown);
    assert!(
        plain.contains("// changed by canonicalize\n@@") && plain.contains("\n-    %"),
        "{plain}"
    );
    let mut colored = shown.to_vec();
    colored.extend(["--color", "always"]);
    assert!(ok(folder.path(), &colored).contains("\x1b[31m-    %"));
    let before = [
        "opt",
        "m.mlir",
        "--passes",
        "inline,canonicalize",
        "--print-before-all",
        "--print-after-all",
    ];
    let before = ok(folder.path(), &before);
    assert_eq!(before.matches("// before ").count(), 2);
    assert_eq!(before.matches("// after ").count(), 2);
    let early = ok(folder.path(), &["opt", "m.mlir", "--stop-after", "lower"]);
    assert!(early.contains("\"tile.program\""), "{early}");
}

#[test]
fn times_are_a_tree_with_the_cycles_that_passes_win() {
    let folder = with_model();
    let text = ok(folder.path(), &["compile", "m.mlir", "--cycles-won"]);
    let row = |end: &str| text.lines().find(|l| l.ends_with(end)).unwrap_or_default().to_string();
    assert!(row("  canonicalize").split_whitespace().count() == 4, "{text}");
    assert!(
        !row("      schedule").is_empty() && !row("    generate-code").is_empty(),
        "{text}"
    );
    let answer = json(&ferrite(
        folder.path(),
        &["compile", "m.mlir", "--cycles-won", "--json"],
    ));
    assert!(answer["cycles_won"].as_array().is_some_and(|w| !w.is_empty()));
}

#[test]
fn a_pipeline_of_ones_own_compiles() {
    let folder = with_model();
    let text =
        "hlo(-O1),lower{cluster-ops=1},tile(spill,assign-engines,schedule{lookahead=8},place,synchronise,encode)";
    ok(folder.path(), &["compile", "m.mlir", "--passes", text, "-o", "m.neff"]);
    let short = ferrite(folder.path(), &["compile", "m.mlir", "--passes", "inline"]);
    assert_eq!(code(&short), 2);
    assert!(stderr(&short).contains("ends at the hlo level"), "{}", stderr(&short));
}

#[test]
fn a_bisection_of_a_right_pipeline_finds_nothing() {
    let folder = with_model();
    let text = ok(folder.path(), &["opt", "m.mlir", "--bisect"]);
    assert!(text.contains("keep what the program computes"), "{text}");
}

#[test]
fn a_model_is_reduced_to_what_a_command_asks_for() {
    let folder = with_model();
    let args = [
        "reduce",
        "m.mlir",
        "--command",
        "grep -q stablehlo.tanh",
        "-o",
        "small.mlir",
        "--json",
    ];
    let answer = json(&ferrite(folder.path(), &args));
    assert_eq!(
        (&answer["ops_before"], &answer["ops_after"]),
        (&4.into(), &1.into()),
        "{answer}"
    );
    let small = std::fs::read_to_string(folder.path().join("small.mlir")).expect("it was written");
    assert!(
        small.contains("stablehlo.tanh") && !small.contains("transpose"),
        "{small}"
    );
    let right = ferrite(folder.path(), &["reduce", "m.mlir", "--check", "compile-fails"]);
    assert!(stderr(&right).contains("the model compiles"), "{}", stderr(&right));
}

#[test]
fn a_sweep_writes_numbers_and_pictures() {
    let folder = with_model();
    let args = ["sweep", "m.mlir", "--vary", "dma.start_ns=x0.5,x1,x2", "--out", "swept"];
    let text = ok(folder.path(), &args);
    assert!(text.starts_with("dma.start_ns  latency us  cycles"), "{text}");
    let file = |name: &str| std::fs::read(folder.path().join("swept").join(name)).expect("it was written");
    assert!(file("sweep.csv").starts_with(b"dma.start_ns,latency_us,cycles,"));
    assert_eq!(file("sweep.csv").iter().filter(|&&b| b == b'\n').count(), 4);
    assert!(file("sweep.svg").starts_with(b"<svg") && file("sweep.png").starts_with(b"\x89PNG"));
    let wrong = ferrite(folder.path(), &["sweep", "m.mlir", "--vary", "dma.speed=1"]);
    assert_eq!(code(&wrong), 2);
    assert!(stderr(&wrong).contains("`dma` has:"), "{}", stderr(&wrong));
}

#[test]
fn passes_are_listed_with_options_and_properties() {
    let folder = scratch();
    let one = ok(folder.path(), &["passes", "schedule"]);
    assert!(
        one.contains("needs: engines-assigned") && one.contains("{lookahead}"),
        "{one}"
    );
    let answer = json(&ferrite(folder.path(), &["passes", "--json"]));
    let passes = answer["passes"].as_array().expect("a list");
    let lower = passes.iter().find(|p| p["name"] == "lower").expect("it is there");
    assert_eq!((&lower["level"], &lower["result"]), (&"hlo".into(), &"tile".into()));
}

#[test]
fn somebody_elses_executable_has_its_pass_rules_scheduler_pipeline_and_machine() {
    let folder = with_model();
    let path = folder.path();
    let binary = Path::new(FERRITE).with_file_name("examples").join("out-of-tree");
    assert!(
        binary.is_file(),
        "build it first: cargo build -p ferrite-cli --example out-of-tree"
    );
    let theirs = |args: &[&str]| {
        let output = run(&binary.display().to_string(), path, args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        stdout(&output).to_string()
    };
    assert!(theirs(&["passes", "fold-idempotent"]).contains("maximum or minimum"));
    let opt = theirs(&["opt", "m.mlir", "--passes", "fold-idempotent,remove-dead-ops"]);
    assert!(
        !opt.contains("stablehlo.maximum") && opt.contains("stablehlo.tanh"),
        "{opt}"
    );
    let level = theirs(&[
        "opt",
        "m.mlir",
        "--passes",
        "hlo(-O2)",
        "--print-after",
        "fold-idempotent",
    ]);
    assert!(level.contains("// after fold-idempotent"), "{level}");
    std::fs::write(path.join("square.mlir"), SQUARE).expect("it is written");
    let square = theirs(&["opt", "square.mlir", "--passes", "egraph{rules=mine},remove-dead-ops"]);
    assert!(
        square.contains("stablehlo.multiply") && !square.contains("stablehlo.abs"),
        "{square}"
    );
    let tiles = |passes: &str| theirs(&["opt", "square.mlir", "--passes", passes]);
    let given = tiles("lower,spill,assign-engines");
    let scheduled = tiles("lower,spill,assign-engines,advance-loads");
    assert!(scheduled != given && scheduled.lines().count() == given.lines().count());
    assert_eq!(given, tiles("lower,spill,assign-engines,advance-loads{ahead=0}"));
    let whole = "hlo(-O2),lower,tile(spill,assign-engines,advance-loads{ahead=4},place,synchronise,encode)";
    let validated = theirs(&["validate", "square.mlir", "--seed", "1", "--passes", whole]);
    assert!(validated.contains("validate: ok"), "{validated}");
    theirs(&["compile", "m.mlir", "--target", "mine", "-o", "m.neff"]);
    assert!(theirs(&["profile", "m.neff"]).contains(" on mine"));
    assert!(theirs(&["targets"]).contains("\nmine "));
    let source = include_str!("../../../../examples/out-of-tree/src/main.rs");
    assert!(source.lines().filter(|l| !l.trim().is_empty()).count() < 40);
    // Ours knows none of it.
    assert_eq!(code(&ferrite(path, &["profile", "m.neff"])), 2);
    let ours = ferrite(path, &["opt", "m.mlir", "--passes", "fold-idempotent"]);
    assert!(stderr(&ours).contains("no pass `fold-idempotent`"), "{}", stderr(&ours));
    let ours = ferrite(path, &["opt", "m.mlir", "--passes", "egraph{rules=mine}"]);
    assert_eq!(code(&ours), 2, "{}", stderr(&ours));
}
