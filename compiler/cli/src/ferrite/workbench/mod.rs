//! Commands for people who work on the compiler: `opt`, `passes`, `reduce`, `sweep`.

pub mod args;
pub mod text;

use std::path::Path;

use ferrite_driver::record::Recorder;
use ferrite_driver::reduce::{self, Check};
use ferrite_driver::{CompileOptions, bisect, files, judge, manager, model, pipeline, random, sweep};
use ferrite_driver::{Extensions, arrays};
use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::print::{PrintOptions, print_with};
use ferrite_passes::pass::Level;
use ferrite_passes::program::Program;
use serde_json::{Value, json};

use super::commands::{answer, busy, one, to_json};
use super::{Answer, Outcome};
use args::{CheckKind, OptArgs, PassesArgs, ReduceArgs, SweepArgs};

/// What the compilation options of a command say, besides its pipeline: that of the program's level where none is given.
fn pipeline_of(program: &Program, options: &CompileOptions, in_steps: bool) -> String {
    let code = if in_steps { pipeline::CODE_STEPS } else { pipeline::CODE };
    match (&options.passes, program.level()) {
        (Some(passes), _) => passes.clone(),
        (None, Level::Hlo) => format!("-O{},{code}", options.opt_level.number()),
        (None, Level::Tile) => code.trim_start_matches("lower,").to_string(),
        (None, Level::Isa) => String::new(),
    }
}

/// `ferrite opt`.
pub fn opt(args: &OptArgs, options: CompileOptions) -> Outcome {
    let options = CompileOptions {
        stop_after: args.stop_after.clone(),
        ..options
    };
    let mut program = model::program(&args.input)?;
    if args.bisect {
        return bisect(args, program, &options);
    }
    let machine = options.machine_model().map_err(one)?;
    let text = pipeline_of(&program, &options, false);
    let passes = pipeline::resolve(&text, &options.extensions).map_err(one)?;
    let mut recorder = Recorder::new(&options).map_err(one)?;
    let warnings = manager::run(&mut program, &passes, &options, &machine, &mut recorder)?;
    recorder.finish().map_err(one)?;
    let mut text = text::prints(&recorder.prints, args.flags.pass.color);
    if args.flags.pass.time_passes {
        text.push_str(&text::timings(&recorder.timings, &[]));
    }
    let program = match &program {
        Program::Hlo(module) if args.generic => print_with(
            module,
            PrintOptions {
                generic: true,
                ..PrintOptions::default()
            },
        ),
        other => other.text_with(!args.no_locations),
    };
    match &args.output {
        Some(path) => files::write(path, program.as_bytes()).map_err(one)?,
        None => text.push_str(&program),
    }
    Ok(Answer {
        warnings,
        ..answer(text, Value::Null)
    })
}

fn bisect(args: &OptArgs, program: Program, options: &CompileOptions) -> Outcome {
    let bar = busy("bisecting");
    let text = pipeline_of(&program, options, true);
    let passes = pipeline::resolve(&text, &options.extensions).map_err(one)?;
    let types = judge::input_types(&program)?;
    let inputs = match &args.inputs {
        Some(path) => arrays::read_inputs(path, &types),
        None => random::random_tensors(&types, args.seed),
    };
    let inputs = inputs.map_err(one)?;
    let found = bisect::bisect(program, &passes, &inputs, options, &judge::tolerance(options))?;
    bar.finish_and_clear();
    Ok(Answer {
        ok: found.broken.is_none(),
        ..answer(text::bisection(&found, args.flags.pass.color), to_json(&found))
    })
}

/// `ferrite passes`.
pub fn passes(args: &PassesArgs, extensions: &Extensions) -> Result<Answer> {
    let all: Vec<_> = match &args.name {
        Some(name) => vec![extensions.passes.get(name)?.about],
        None => extensions.passes.entries().map(|e| e.about).collect(),
    };
    let names = |list: &[ferrite_passes::pass::Property]| list.iter().map(|p| p.name()).collect::<Vec<_>>();
    let passes = all.iter().map(|p| {
        json!({
            "name": p.name,
            "level": p.level.name(),
            "result": p.result.name(),
            "doc": p.doc,
            "requires": names(p.requires),
            "establishes": names(p.establishes),
            "preserves": names(p.preserves),
            "options": p.options.iter()
                .map(|o| json!({ "name": o.name, "doc": o.doc, "default": o.default }))
                .collect::<Vec<_>>(),
        })
    });
    let pipelines = pipeline::PIPELINES
        .iter()
        .map(|p| json!({ "name": p.name, "doc": p.doc, "passes": p.passes }));
    let json = json!({ "passes": passes.collect::<Vec<_>>(), "pipelines": pipelines.collect::<Vec<_>>() });
    Ok(answer(text::passes(&all, args.name.is_none(), extensions), json))
}

/// `ferrite reduce`.
pub fn reduce(args: &ReduceArgs, options: &CompileOptions) -> Outcome {
    let bar = busy("reducing");
    let module = model::read(&args.model)?;
    let check = match (&args.command, args.check) {
        (Some(command), _) => Check::Command(command.clone()),
        (None, Some(CheckKind::ValidateFails)) => Check::ValidateFails,
        (None, _) => Check::CompileFails,
    };
    let reduced = reduce::reduce(module, &check, args.max_checks, options)?;
    bar.finish_and_clear();
    let mut text = text::reduced(&reduced);
    match &args.output {
        Some(path) => files::write(path, reduced.text.as_bytes()).map_err(one)?,
        None => text.push_str(&reduced.text),
    }
    Ok(answer(text, to_json(&reduced)))
}

/// `ferrite sweep`.
pub fn sweep(args: &SweepArgs, options: CompileOptions) -> Outcome {
    let bar = busy("sweeping");
    let stem = args
        .model
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let options = CompileOptions { name: stem, ..options };
    let module = model::read(&args.model)?;
    let found = sweep::sweep(&module, &args.vary, &options, args.keep_program)?;
    bar.finish_and_clear();
    let mut text = found.table();
    if let Some(folder) = &args.out {
        text.push_str(&write_sweep(&found, folder).map_err(one)?);
    }
    Ok(answer(text, to_json(&found)))
}

fn write_sweep(found: &sweep::Sweep, folder: &Path) -> Result<String, Diagnostic> {
    std::fs::create_dir_all(folder).map_err(|e| files::failure(folder, &e))?;
    let place = |name: &str| folder.join(name);
    let figure = found.chart().figure();
    files::write(&place("sweep.csv"), found.csv().as_bytes())?;
    files::write(&place("sweep.svg"), figure.svg().as_bytes())?;
    files::write_with(&place("sweep.png"), |out| figure.png(out))?;
    let names = ["sweep.csv", "sweep.svg", "sweep.png"].map(|n| place(n).display().to_string());
    Ok(format!("\nwrote {}\n", names.join(", ")))
}
