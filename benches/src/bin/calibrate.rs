//! Simulates every published measurement and compares.
//!
//! `calibrate [ID...]` prints the table (of some points); `calibrate --write` also writes `docs/src/calibration-table.md`; `calibrate --print ID` prints
//! a point's program.

use std::fmt::Write as _;
use std::process::ExitCode;

use ferrite_benches::calibration::{Class, Point, points};
use ferrite_ir::isa::Engine;
use ferrite_ir::machine::MachineModel;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let flag = |args: &mut Vec<String>, name: &str| {
        let before = args.len();
        args.retain(|a| a != name);
        args.len() != before
    };
    let (write, print) = (flag(&mut args, "--write"), flag(&mut args, "--print"));
    let wanted = |p: &Point| args.is_empty() || args.iter().any(|a| p.id.starts_with(a.as_str()));
    let chosen: Vec<Point> = points().into_iter().filter(wanted).collect();
    if chosen.is_empty() {
        eprintln!("no point has one of these names");
        return ExitCode::from(2);
    }
    if print {
        chosen.iter().for_each(|p| print!("{}", p.text()));
        return ExitCode::SUCCESS;
    }
    let (mut table, mut class, mut misses) = (String::new(), None::<Class>, 0);
    for point in &chosen {
        let outcome = match point.run() {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("{}: {error}", point.id);
                return ExitCode::FAILURE;
            }
        };
        if class != Some(point.class) {
            class = Some(point.class);
            let _ = write!(
                table,
                "\n## {} (within {} %)\n\n| point | target | what | published | simulated | error | busy PE/DVE/ACT/POOL | note |\n| --- | --- | --- | ---: | ---: | ---: | --- | --- |\n",
                point.class.title(),
                point.class.tolerance()
            );
        }
        let error = 100.0 * (outcome.simulated_ns / point.published_ns - 1.0);
        let miss = error.abs() > point.tolerance();
        misses += usize::from(miss);
        let busy =
            [Engine::Tensor, Engine::Vector, Engine::Scalar, Engine::GpSimd].map(|e| outcome.busy[e.index()] * 100.0);
        let line = format!(
            "| {} | {} | {} | {} | {} | {}{error:+.1} %{} | {:.0}/{:.0}/{:.0}/{:.0} % | {} |",
            point.id,
            point.target,
            point.what,
            time(point.published_ns),
            time(outcome.simulated_ns),
            if miss { "**" } else { "" },
            if miss { "**" } else { "" },
            busy[0],
            busy[1],
            busy[2],
            busy[3],
            point.because
        );
        println!("{line}");
        table.push_str(&line);
        table.push('\n');
    }
    println!("{} points, {misses} outside their tolerance", chosen.len());
    if write {
        let mut page = String::from("<!-- Written by `cargo run -p ferrite-benches --bin calibrate -- --write`. -->\n");
        let _ = writeln!(
            page,
            "\n{} points, {misses} outside their tolerance (in bold).",
            chosen.len()
        );
        page.push_str(&table);
        page.push_str("\nThe machine model they were simulated with (FNV-1a of the target file):\n\n");
        for target in ["trn1", "trn2"] {
            let text = MachineModel::target_text(target).unwrap_or_default();
            let _ = writeln!(page, "- `{target}.toml`: `{:016x}`", hash(text.as_bytes()));
        }
        let path = ferrite_benches::book_page("calibration-table.md");
        if let Err(error) = std::fs::write(&path, page) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
