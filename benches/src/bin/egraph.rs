//! Measures what the pass `egraph` wins and writes the table of the book, `docs/src/egraph-results.md`.
//!
//! `egraph [--target T] [CASE..]`: a case is a folder below the corpus; without one the tool takes all of `models` and
//! `mid` that compile, and a list of `full`. `--auto-cast matmult`. The executable `ferrite` is the one beside this one: build both with `--release`.

use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use ferrite_benches::{book_page, corpus};
use ferrite_driver::options::{AutoCast, CompileOptions};
use ferrite_driver::pipeline::{CODE, PIPELINES, resolve};
use ferrite_ir::machine::MachineModel;
use ferrite_passes::hlo::egraph::Egraph;
use ferrite_passes::pass::PassContext;
use ferrite_passes::program::Program;
use serde_json::Value;

/// Of the full models, those that compile in less than a minute.
const FULL: [&str; 12] = [
    "bert_base_b1_s128",
    "vit_b16_forward_b8",
    "vit_b16_train_adam_b8_bf16",
    "gpt2_small_decode",
    "gpt2_small_prefill512",
    "resnet50_b1",
    "resnet50_b16",
    "sd21_clip_text",
    "sd21_unet_64_cfg_b2_bf16",
    "llama2_7b_decode_bf16",
    "torch_hf_bert_base_b1_s128",
    "torch_timm_vit_b16_forward_b8",
];

const PASS: &str = "egraph";

fn main() -> ExitCode {
    match measure_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn measure_all() -> Result<(), String> {
    let (mut target, mut cases) = ("inf2".to_string(), Vec::new());
    let mut argv = std::env::args().skip(1);
    while let Some(word) = argv.next() {
        match word.as_str() {
            "--target" => target = argv.next().ok_or("--target needs a value")?,
            option if option.starts_with('-') => return Err(format!("no option `{option}`")),
            case => cases.push(case.to_string()),
        }
    }
    if cases.is_empty() {
        for set in ["models", "mid"] {
            let folder = corpus().join(set);
            let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.map(|n| format!("{set}/{n}")).collect();
            names.sort();
            cases.extend(names);
        }
        cases.extend(FULL.map(|c| format!("full/{c}")));
    }
    let machine = MachineModel::target(&target).map_err(|e| e.to_string())?;
    let names = PIPELINES[1].passes;
    let before: Vec<&str> = names.iter().copied().take_while(|&p| p != PASS).collect();
    let without: Vec<&str> = names.iter().copied().filter(|&p| p != PASS).collect();
    let mut text = format!(
        "# What the e-graph wins\n\n<!-- Written by `cargo run --release -p ferrite-benches --bin egraph`. -->\n\n\
         Simulated on `{target}`, one core, `--auto-cast matmult`, `-O2` with and without the pass [`egraph`](egraph.md). Time is processor time of the pass \
         alone and of the whole compilation. A rule counts once for each equation that was new; regions that are equal count once.\n\n\
         | model | without us | with us | change | pass ms | compile ms | equations by rule |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n"
    );
    let mut skipped = Vec::new();
    for case in &cases {
        eprintln!("{case}");
        match row(case, &target, &machine, &before, &without) {
            Ok(row) => text.push_str(&row),
            Err(why) => skipped.push(format!("`{case}`: {why}")),
        }
    }
    if !skipped.is_empty() {
        let _ = write!(text, "\nNot measured:\n\n- {}\n", skipped.join("\n- "));
    }
    print!("{text}");
    let path = book_page("egraph-results.md");
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn row(case: &str, target: &str, machine: &MachineModel, before: &[&str], without: &[&str]) -> Result<String, String> {
    let model = corpus().join(case).join("model.stablehlo.mlir").display().to_string();
    let code = |passes: &str| format!("hlo({passes}),{CODE}");
    let (old, _) = simulated(&model, target, &code(&without.join(",")))?;
    let (new, compile_s) = simulated(&model, target, &code("-O2"))?;
    let (pass_ms, fired) = equations(&model, machine, before)?;
    Ok(format!(
        "| {case} | {old:.1} | {new:.1} | {:+.1} % | {pass_ms:.1} | {:.0} | {fired} |\n",
        100.0 * (new / old - 1.0),
        compile_s * 1e3
    ))
}

/// Latency in microseconds, and processor time of the compilation in seconds.
fn simulated(model: &str, target: &str, passes: &str) -> Result<(f64, f64), String> {
    let ferrite = std::env::current_exe()
        .map_err(|e| e.to_string())?
        .with_file_name("ferrite");
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let neff = scratch.path().join("model.neff").display().to_string();
    let json = |args: &[&str]| -> Result<Value, String> {
        let done = Command::new(&ferrite).args(args).output().map_err(|e| e.to_string())?;
        if !done.status.success() {
            let errors = String::from_utf8_lossy(&done.stderr);
            return Err(errors.lines().next().unwrap_or_default().to_string());
        }
        serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())
    };
    let options = [
        "--target",
        target,
        "--auto-cast",
        "matmult",
        "--json",
        "--passes",
        passes,
    ];
    let compiled = json(&[&["compile", model, "-o", &neff][..], &options].concat())?;
    let profile = json(&["profile", &neff, "--json"])?;
    let latency = profile["latency_us"].as_f64().ok_or("its time depends on data")?;
    Ok((latency, compiled["cpu_seconds"].as_f64().unwrap_or(0.0)))
}

/// Milliseconds of the pass, and how many equations each rule found.
fn equations(model: &str, machine: &MachineModel, before: &[&str]) -> Result<(f64, String), String> {
    let source = std::fs::read(model).map_err(|e| format!("{model}: {e}"))?;
    let module = ferrite_frontend::Frontend::read(&source, model).map_err(|_| format!("{model} cannot be read"))?;
    let options = CompileOptions {
        auto_cast: AutoCast::Matmult,
        ..CompileOptions::default()
    };
    let asked = options.for_passes();
    let passes = resolve(&before.join(","), &options.extensions).map_err(|e| e.to_string())?;
    let mut program = Program::Hlo(module);
    let mut cx = PassContext::new(machine, &asked);
    for pass in &passes {
        pass.apply(&mut program, &mut cx).map_err(|e| e.to_string())?;
    }
    let Program::Hlo(module) = &mut program else {
        return Err("it left the hlo level".to_string());
    };
    let start = std::time::Instant::now();
    let report = Egraph::default().optimize(module, machine).map_err(|e| e.to_string())?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let mut fired: Vec<_> = report.fired.into_iter().filter(|&(_, n)| n > 0).collect();
    fired.sort_by_key(|&(name, n)| (std::cmp::Reverse(n), name));
    let shown: Vec<String> = fired.iter().map(|(name, n)| format!("{name} {n}")).collect();
    Ok((
        ms,
        if shown.is_empty() {
            "none".to_string()
        } else {
            shown.join(", ")
        },
    ))
}
