//! Compiles and profiles cases and writes the table to `benches/results/`.
//!
//! `record [--target T] [--repeat N] [CASE..]`: a case is a folder below the corpus (`full/bert_base_b1_s128`). The
//! executable `ferrite` is the one beside this one: build both with `--release`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use ferrite_benches::{Bound, Case, commit, corpus, median, processor, write_result};
use ferrite_ir::dtype::DType;
use ferrite_ir::machine::MachineModel;
use serde::Serialize;
use serde_json::Value;

/// Cases of a run without arguments.
const DEFAULT: [&str; 18] = [
    "models/vit_tiny_forward",
    "mid/bert_base_1layer_s128",
    "mid/vit_b16_full_b1",
    "full/bert_base_b1_s128",
    "full/bert_base_b1_s384",
    "full/gpt2_small_decode",
    "full/gpt2_small_prefill512",
    "full/resnet50_b1",
    "full/resnet50_b16",
    "full/vit_b16_forward_b8",
    "full/vit_b16_train_adam_b8_bf16",
    "full/gptj_6b_decode_bf16",
    "full/gptj_6b_prefill128_bf16",
    "full/llama2_7b_decode_bf16",
    "full/llama2_7b_prefill2048_bf16",
    "full/sd21_clip_text",
    "full/sd21_unet_64_cfg_b2_bf16",
    "full/sd21_vae_decoder_64",
];

#[derive(Serialize)]
struct Row {
    case: String,
    auto_cast: &'static str,
    compile_s: f64,
    compile_spread_s: f64,
    compile_cpu_s: f64,
    peak_memory_mib: f64,
    neff_bytes: u64,
    instructions: u64,
    latency_us: f64,
    bound_flops_us: f64,
    bound_bytes_us: f64,
    ratio: f64,
    profile_s: f64,
    utilization: Value,
}

#[derive(Serialize)]
struct Table {
    target: String,
    commit: String,
    machine: String,
    repeat: usize,
    rows: Vec<Row>,
    failed: Vec<String>,
}

fn main() -> ExitCode {
    match record() {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            failed.iter().for_each(|text| eprintln!("{text}"));
            ExitCode::FAILURE
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn record() -> Result<Vec<String>, String> {
    let (mut target, mut repeat, mut cases) = ("inf2".to_string(), 3, Vec::new());
    let mut argv = std::env::args().skip(1);
    while let Some(word) = argv.next() {
        match word.as_str() {
            "--target" => target = argv.next().ok_or("--target needs a value")?,
            "--repeat" => {
                let number = argv.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                repeat = number.ok_or("--repeat needs a positive number")?;
            }
            option if option.starts_with('-') => return Err(format!("no option `{option}`")),
            case => cases.push(case.to_string()),
        }
    }
    if cases.is_empty() {
        cases = DEFAULT.map(str::to_string).to_vec();
    }
    let machine = MachineModel::target(&target).map_err(|e| e.to_string())?;
    let ferrite = std::env::current_exe()
        .map_err(|e| e.to_string())?
        .with_file_name("ferrite");
    if !ferrite.exists() {
        return Err(format!(
            "{} is not there: cargo build --release -p ferrite-cli",
            ferrite.display()
        ));
    }
    let mut table = Table {
        target,
        commit: commit(),
        machine: processor(),
        repeat,
        rows: Vec::new(),
        failed: Vec::new(),
    };
    for case in &cases {
        for (auto_cast, dtype) in [("none", DType::F32), ("matmult", DType::BF16)] {
            eprintln!("{case}, --auto-cast {auto_cast}");
            match measure(&ferrite, case, auto_cast, dtype, &machine, repeat) {
                Ok(row) => table.rows.push(row),
                Err(text) => table.failed.push(format!("{case}, --auto-cast {auto_cast}: {text}")),
            }
        }
    }
    let text = markdown(&table);
    print!("{text}");
    write_result(&table.target, &text, &table).map_err(|e| e.to_string())?;
    Ok(table.failed)
}

fn measure(
    ferrite: &Path,
    name: &str,
    auto_cast: &'static str,
    dtype: DType,
    machine: &MachineModel,
    repeat: usize,
) -> Result<Row, String> {
    let folder = corpus().join(name);
    let text = std::fs::read_to_string(folder.join("case.json")).map_err(|e| format!("case.json: {e}"))?;
    let case: Case = serde_json::from_str(&text).map_err(|e| format!("case.json: {e}"))?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let neff: PathBuf = scratch.path().join("model.neff");
    let (model, neff) = (
        folder.join("model.stablehlo.mlir").display().to_string(),
        neff.display().to_string(),
    );
    let compile = [
        "compile",
        &model,
        "-o",
        &neff,
        "--target",
        &machine.name,
        "--auto-cast",
        auto_cast,
        "--json",
    ];
    let (mut seconds, mut cpu) = (Vec::new(), Vec::new());
    let mut compiled = Value::Null;
    for _ in 0..repeat {
        compiled = json(ferrite, &compile)?;
        seconds.push(number(&compiled, "seconds")?);
        cpu.push(compiled["cpu_seconds"].as_f64().unwrap_or(0.0));
    }
    let start = std::time::Instant::now();
    let profile = json(ferrite, &["profile", &neff, "--json"])?;
    let profile_s = start.elapsed().as_secs_f64();
    let (compile_s, compile_spread_s) = median(seconds);
    let source = std::fs::read(&model).map_err(|e| format!("{model}: {e}"))?;
    let module = ferrite_frontend::Frontend::read(&source, &model).map_err(|_| format!("{model} cannot be read"))?;
    let bound = Bound::of(&case, &module, machine, dtype);
    let latency_us = number(&profile, "latency_us")?;
    Ok(Row {
        case: name.to_string(),
        auto_cast,
        compile_s,
        compile_spread_s,
        compile_cpu_s: median(cpu).0,
        peak_memory_mib: compiled["peak_memory_bytes"].as_f64().unwrap_or(0.0) / f64::from(1 << 20),
        neff_bytes: compiled["neff_bytes"].as_u64().unwrap_or(0),
        instructions: compiled["instructions"].as_u64().unwrap_or(0),
        latency_us,
        bound_flops_us: bound.flops_us,
        bound_bytes_us: bound.bytes_us,
        ratio: latency_us / bound.us(),
        profile_s,
        utilization: profile["utilization"].clone(),
    })
}

fn number(object: &Value, key: &str) -> Result<f64, String> {
    object[key].as_f64().ok_or_else(|| format!("no `{key}` in the answer"))
}

/// The JSON object that a command prints; its errors as text.
fn json(ferrite: &Path, args: &[&str]) -> Result<Value, String> {
    let done = Command::new(ferrite).args(args).output().map_err(|e| e.to_string())?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(errors.lines().take(3).collect::<Vec<_>>().join(" / "));
    }
    serde_json::from_slice(&done.stdout).map_err(|e| e.to_string())
}

fn markdown(table: &Table) -> String {
    let mut text = format!(
        "# {}\n\nCommit `{}`, compiled and simulated on {}, one core simulated; compile time is the median of {} runs,\n\
         CPU time is what a busy machine does not distort.\n\
         Bound: the larger of the contractions at TensorE's peak (fp32 operands at fp32 for `none`, at bf16 for `matmult`; narrower ones at bf16) and of what must be read of every\n\
         parameter (rows of tables that are only looked up in) and every result, moved once at the sustained DMA rate.\n\n\
         | case | auto-cast | compile s | CPU s | peak MiB | NEFF MiB | instructions | latency us | bound us | ratio | \
         TensorE | VectorE | ScalarE | GpSimdE | DMA |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        table.target, table.commit, table.machine, table.repeat
    );
    for r in &table.rows {
        let share = |key: &str| format!("{:.0} %", 100.0 * r.utilization[key].as_f64().unwrap_or(0.0));
        text.push_str(&format!(
            "| {} | {} | {:.2} ± {:.2} | {:.2} | {:.0} | {:.2} | {} | {:.1} | {:.1} | {:.2} | {} | {} | {} | {} | {} |\n",
            r.case,
            r.auto_cast,
            r.compile_s,
            r.compile_spread_s,
            r.compile_cpu_s,
            r.peak_memory_mib,
            r.neff_bytes as f64 / f64::from(1 << 20),
            r.instructions,
            r.latency_us,
            r.bound_flops_us.max(r.bound_bytes_us),
            r.ratio,
            share("tensor"),
            share("vector"),
            share("scalar"),
            share("gpsimd"),
            share("dma"),
        ));
    }
    for failed in &table.failed {
        text.push_str(&format!("\nFailed: {failed}\n"));
    }
    text
}
