//! What the simulator needs: instructions per second, bytes per instruction, and its products beside plain calls of the GEMM crate.
//!
//! `speed [--write] [NEFF..] [--data NEFF..]` measures growing programs for their time alone, NEFFs as `ferrite profile` does, a list of products and the NEFFs
//! behind `--data` with their data, and prints the tables; `--write` puts them into `benches/results/simulator.md` and `.json`. `speed --gemms M,N,K...` simulates products on trn2 for their time and prints, as CSV, TensorE's cycles, those of the whole
//! program, instructions and seconds.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ferrite_benches::calibration::gemm;
use ferrite_benches::speed::{Plain, cpu_seconds, products};
use ferrite_benches::{commit, processor, write_result};
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::isa::{Engine, Program};
use ferrite_ir::machine::MachineModel;
use ferrite_neff::{Neff, Streamed};
use ferrite_sim::{Options, Simulator};
use serde::Serialize;

/// Products whose speed with data is measured: M, N, K of the linear layers of ViT-Base for eight images of 192 tokens.
const PRODUCTS: [(usize, usize, usize); 4] = [
    (768, 1536, 768),
    (2304, 1536, 768),
    (3072, 1536, 768),
    (768, 1536, 3072),
];

/// A program simulated for its time alone.
#[derive(Serialize)]
struct Growth {
    instructions: u64,
    checked: bool,
    /// To check operands and prepare costs, processor time.
    prepare_s: f64,
    /// Of the run.
    run_s: f64,
    /// The same by the clock on the wall.
    run_wall_s: f64,
    million_per_s: f64,
    bytes_per_instruction: f64,
}

/// A NEFF simulated for its time, with checks, from the file on.
#[derive(Serialize)]
struct Timed {
    what: String,
    instructions: u64,
    file_bytes: u64,
    /// Most memory that all of it took, the file included.
    peak_bytes: u64,
    read_wall_s: f64,
    prepare_wall_s: f64,
    run_wall_s: f64,
    /// All of it.
    wall_s: f64,
}

/// A program simulated with its data, and its products by plain calls.
#[derive(Serialize)]
struct Functional {
    what: String,
    gflop: f64,
    simulated_s: f64,
    plain_s: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Results {
    commit: String,
    machine: String,
    growth: Vec<Growth>,
    timed: Vec<Timed>,
    functional: Vec<Functional>,
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let write = args.first().is_some_and(|a| a == "--write");
    args.drain(..usize::from(write));
    let done = match args.split_first() {
        Some((first, shapes)) if first == "--gemms" && !shapes.is_empty() && !write => gemms(shapes),
        Some((first, _)) if first.starts_with('-') && first != "--data" => {
            eprintln!("usage: speed [--write] [NEFF..] [--data NEFF..], or speed --gemms M,N,K..");
            return ExitCode::from(2);
        }
        _ => measure(&args, write),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(neffs: &[String], write: bool) -> Result<(), Diagnostic> {
    let mut results = Results {
        commit: commit(),
        machine: processor(),
        growth: growth()?,
        timed: Vec::new(),
        functional: Vec::new(),
    };
    let (with_data, all) = (neffs.iter().skip_while(|n| *n != "--data").skip(1), neffs.iter());
    for path in all.filter(|n| *n != "--data") {
        results.timed.push(timed(Path::new(path))?);
    }
    let machine = MachineModel::target("trn2")?;
    for (m, n, k) in PRODUCTS {
        let program = gemm(m, n, k).assemble(&machine)?;
        let plain = Plain::whole(m, n, k);
        let what = format!("[{k}, {m}]^T . [{k}, {n}], bf16");
        results.functional.push(functional(what, &program, &plain)?);
    }
    for path in with_data {
        let neff = Neff::read_file(Path::new(path))?;
        for program in &neff.programs {
            let plain = Plain::of(program);
            results.functional.push(functional(base_name(&neff), program, &plain)?);
        }
    }
    let text = markdown(&results);
    print!("{text}");
    if write {
        write_result("simulator", &text, &results)?;
    }
    Ok(())
}

/// Resident memory of this process, bytes, where the system tells.
fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most that it was since [`forget_peak`].
fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Lets the count of the most memory begin anew. Where the system does not, it counts from the start.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(key))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

fn first(mut all: Vec<Diagnostic>) -> Diagnostic {
    all.remove(0)
}

fn growth() -> Result<Vec<Growth>, Diagnostic> {
    let mut rows = Vec::new();
    for tiles in [1_000usize, 10_000, 60_000] {
        let program = products(tiles);
        let before = resident().unwrap_or(0);
        let start = cpu_seconds();
        let simulator = Simulator::for_program(&program).map_err(first)?;
        let prepare_s = cpu_seconds() - start;
        for checked in [false, true] {
            let options = Options {
                check: checked,
                ..Options::default()
            };
            // Short runs several times: the system counts processor time in steps of some milliseconds.
            let times = 100_000usize.div_ceil(tiles);
            let (start, wall) = (cpu_seconds(), Instant::now());
            let mut instructions = 0;
            for _ in 0..times {
                instructions = simulator.profile(&options)?.stats.instructions();
            }
            let each = |all: f64| all / times as f64;
            let (run_s, run_wall_s) = (each(cpu_seconds() - start), each(wall.elapsed().as_secs_f64()));
            let grown = resident().unwrap_or(0).saturating_sub(before);
            rows.push(Growth {
                instructions,
                checked,
                prepare_s,
                run_s,
                run_wall_s,
                million_per_s: instructions as f64 / run_s / 1e6,
                bytes_per_instruction: grown as f64 / instructions as f64,
            });
        }
    }
    Ok(rows)
}

/// The network's name without folders.
fn base_name(neff: &Neff) -> String {
    neff.name.rsplit('/').next().unwrap_or_default().to_string()
}

fn timed(path: &Path) -> Result<Timed, Diagnostic> {
    let before = resident().unwrap_or(0);
    forget_peak();
    let start = Instant::now();
    let Streamed { neff, code } = Neff::stream_file(path)?;
    let read_wall_s = start.elapsed().as_secs_f64();
    let machine = MachineModel::target(&neff.programs[0].target)?;
    let simulator = Simulator::streamed(&neff.programs[0], &code[0], machine).map_err(first)?;
    drop(code);
    let ready = start.elapsed().as_secs_f64();
    let stats = simulator.profile(&Options::default())?.stats;
    let wall_s = start.elapsed().as_secs_f64();
    let grown = peak().unwrap_or(0).saturating_sub(before);
    Ok(Timed {
        what: format!("{} on {}", base_name(&neff), neff.programs[0].target),
        instructions: stats.instructions(),
        file_bytes: std::fs::metadata(path).map_or(0, |m| m.len()),
        peak_bytes: grown,
        read_wall_s,
        prepare_wall_s: ready - read_wall_s,
        run_wall_s: wall_s - ready,
        wall_s,
    })
}

/// One run of each to warm up, then one that counts.
fn functional(what: String, program: &Program, plain: &Plain) -> Result<Functional, Diagnostic> {
    let simulator = Simulator::for_program(program).map_err(first)?;
    let inputs: Vec<Vec<u8>> = program
        .inputs
        .iter()
        .map(|t| vec![0u8; t.shape.iter().product::<i64>() as usize * t.dtype.bytes()])
        .collect();
    let options = Options {
        check: false,
        ..Options::default()
    };
    let (mut simulated_s, mut plain_s) = (0.0, 0.0);
    for _ in 0..2 {
        let start = cpu_seconds();
        simulator.run(&inputs, &options)?;
        simulated_s = cpu_seconds() - start;
        let start = cpu_seconds();
        plain.run();
        plain_s = cpu_seconds() - start;
    }
    Ok(Functional {
        what,
        gflop: plain.flops() as f64 / 1e9,
        simulated_s,
        plain_s,
        ratio: simulated_s / plain_s,
    })
}

fn markdown(results: &Results) -> String {
    let mut text = format!(
        "# The simulator's speed\n\nWritten by `speed --write`. Commit `{}`, {}, one thread; processor time, which a busy machine does not distort.\n\n\
         Time alone, `products` of `benches/src/speed.rs`:\n\n\
         | instructions | checks | made ready s | run s | on the wall s | million per s | bytes per instruction beside the program |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
        results.commit, results.machine
    );
    for r in &results.growth {
        text.push_str(&format!(
            "| {} | {} | {:.3} | {:.3} | {:.3} | {:.2} | {:.0} |\n",
            r.instructions,
            if r.checked { "yes" } else { "no" },
            r.prepare_s,
            r.run_s,
            r.run_wall_s,
            r.million_per_s,
            r.bytes_per_instruction
        ));
    }
    if !results.timed.is_empty() {
        text.push_str(
            "\nNEFFs as `ferrite profile` takes them, checks on, by the clock on the wall:\n\n\
             | NEFF | MB | instructions | read s | made ready s | run s | all s | most memory MB | bytes per instruction |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        );
    }
    for r in &results.timed {
        // What fits into memory that an earlier one left shows nothing.
        let memory = match r.peak_bytes {
            0 => "- | -".to_string(),
            bytes => format!(
                "{:.1} | {:.0}",
                bytes as f64 / 1e6,
                bytes as f64 / r.instructions as f64
            ),
        };
        text.push_str(&format!(
            "| {} | {:.1} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {memory} |\n",
            r.what,
            r.file_bytes as f64 / 1e6,
            r.instructions,
            r.read_wall_s,
            r.prepare_wall_s,
            r.run_wall_s,
            r.wall_s
        ));
    }
    text.push_str(
        "\nWith data, checks off, beside the products alone by plain calls of the GEMM crate (whole for the first ones, those of TensorE's instructions for models):\n\n\
         | products | GFLOP | simulated s | plain s | ratio |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for r in &results.functional {
        text.push_str(&format!(
            "| {} | {:.2} | {:.3} | {:.3} | {:.2} |\n",
            r.what, r.gflop, r.simulated_s, r.plain_s, r.ratio
        ));
    }
    text
}

fn gemms(shapes: &[String]) -> Result<(), Diagnostic> {
    let usage = |shape: &str| Diagnostic::error(Code::Usage, format!("`{shape}` is not M,N,K"));
    let machine = MachineModel::target("trn2")?;
    println!("m,n,k,tensor_cycles,cycles,instructions,seconds");
    for shape in shapes {
        let sizes: Result<Vec<usize>, _> = shape.split(',').map(str::parse).collect();
        let Ok([m, n, k]) = sizes.as_deref() else {
            return Err(usage(shape));
        };
        let program = gemm(*m, *n, *k).assemble(&machine)?;
        let start = Instant::now();
        let simulator = Simulator::new(&program, machine.clone()).map_err(first)?;
        let stats = simulator.profile(&Options::default())?.stats;
        let seconds = start.elapsed().as_secs_f64();
        let cycles = |ps: u64| ps as f64 * machine.clocks.tensor_mhz as f64 / 1e6;
        println!(
            "{m},{n},{k},{:.0},{:.0},{},{seconds:.6}",
            cycles(stats.engine(Engine::Tensor).occupied_ps),
            cycles(stats.latency_ps),
            stats.instructions()
        );
    }
    Ok(())
}
