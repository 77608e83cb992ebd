//! What the simulator needs: instructions per second and bytes per instruction, and a list of products for comparisons.
//!
//! `speed` prints the first for growing programs; `speed --gemms M,N,K...` simulates products on trn2 and prints, as CSV, TensorE's cycles, those of the
//! whole program, instructions and seconds.

use std::process::ExitCode;
use std::time::Instant;

use ferrite_benches::calibration::gemm;
use ferrite_benches::speed::products;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::Engine;
use ferrite_ir::machine::MachineModel;
use ferrite_sim::{Options, Simulator};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        None => growth(),
        Some((first, shapes)) if first == "--gemms" && !shapes.is_empty() => gemms(shapes),
        _ => {
            eprintln!("usage: speed [--gemms M,N,K...]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Resident memory of this process, bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

fn first(mut all: Vec<Diagnostic>) -> Diagnostic {
    all.remove(0)
}

fn growth() -> Result<(), Diagnostic> {
    for tiles in [1_000usize, 10_000, 60_000] {
        let program = products(tiles);
        let before = resident();
        let start = Instant::now();
        let simulator = Simulator::for_program(&program).map_err(first)?;
        let prepared = start.elapsed().as_secs_f64();
        for check in [false, true] {
            let options = Options {
                check,
                ..Options::default()
            };
            let start = Instant::now();
            let stats = simulator.profile(&options)?.stats;
            let seconds = start.elapsed().as_secs_f64();
            let n = stats.instructions();
            println!(
                "{n} instructions{}: {seconds:.3} s, {:.2} M/s (made ready in {prepared:.3} s)",
                if check { ", checked" } else { "" },
                n as f64 / seconds / 1e6
            );
            if let (Some(before), Some(after)) = (before, resident()) {
                let each = after.saturating_sub(before) as f64 / n as f64;
                println!("  {each:.0} bytes of memory per instruction beside the program itself");
            }
        }
    }
    Ok(())
}

fn gemms(shapes: &[String]) -> Result<(), Diagnostic> {
    let usage = |shape: &str| Diagnostic::error(ferrite_ir::diag::Code::Usage, format!("`{shape}` is not M,N,K"));
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
            "{m},{n},{k},{:.0},{:.0},{},{seconds:.4}",
            cycles(stats.engine(Engine::Tensor).occupied_ps),
            cycles(stats.latency_ps),
            stats.instructions()
        );
    }
    Ok(())
}
