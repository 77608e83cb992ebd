//! The commands of `ferrite`: options to calls of the driver, results to answers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrite_driver::run::{self, RunOptions};
use ferrite_driver::validate::{self, ValidateOptions};
use ferrite_driver::{Extensions, ablate, arrays, files, inspect, interpret, model};
use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo;
use ferrite_ir::isa;
use ferrite_ir::machine::MachineModel;
use ferrite_neff::{Compression, Neff, WriteOptions};
use ferrite_report::{Profile, Written};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::args::{
    Command, CompileArgs, ConvertArgs, Form, InspectArgs, InterpretArgs, ProfileArgs, RunArgs, TargetsArgs,
    ValidateArgs,
};
use super::{Answer, Outcome, diagnostic, text, workbench};

/// Runs a command.
pub fn run(command: &Command, extensions: &Arc<Extensions>) -> Outcome {
    match command {
        Command::Compile(args) => compile(args, extensions),
        Command::Run(args) => execute(args, extensions),
        Command::Profile(args) => profile(args, extensions),
        Command::Validate(args) => validate(args, extensions),
        Command::Interpret(args) => interpret(args),
        Command::Inspect(args) => inspect(args).map_err(one),
        Command::Opt(args) => workbench::opt(args, args.flags.options(extensions)),
        Command::Convert(args) => convert(args),
        Command::Passes(args) => workbench::passes(args, extensions).map_err(one),
        Command::Reduce(args) => workbench::reduce(args, &args.flags.options(extensions)),
        Command::Sweep(args) => workbench::sweep(args, args.flags.options(extensions)),
        Command::Targets(args) => targets(args, extensions).map_err(one),
        Command::Cache(args) => super::cache::run(args),
        Command::CompileMany(args) => super::many::compile_many(args),
        Command::ParallelCompile(args) => super::many::parallel_compile(args),
        // It has no answer of its own: the script prints.
        Command::Export(_) => Err(one(Diagnostic::bug("`ferrite export` is run before"))),
    }
}

pub(super) fn one(error: Diagnostic) -> Vec<Diagnostic> {
    vec![error]
}

/// A spinner on a terminal, nothing elsewhere.
pub(super) fn busy(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

pub(super) fn answer(text: String, json: Value) -> Answer {
    Answer {
        text,
        json,
        ok: true,
        warnings: Vec::new(),
    }
}

fn compile(args: &CompileArgs, extensions: &Arc<Extensions>) -> Outcome {
    let start = Instant::now();
    let output = args.output.clone().unwrap_or_else(|| {
        let stem = args.model.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.strip_suffix(".stablehlo").unwrap_or(&stem);
        Path::new(stem).with_extension("neff")
    });
    let bar = busy("compiling");
    let mut options = args.flags.options(extensions);
    options.name = Neff::network_name(&output.to_string_lossy()).to_string();
    options.uncompressed = args.uncompressed;
    let (mut module, names) = model::open(&args.model)?;
    (options.input_names, options.output_names) = (names.inputs, names.outputs);
    if let Some(path) = &args.weights {
        if args.model.is_dir() {
            let text = "the model's folder names weights already: `--weights` cannot be given besides";
            return Err(one(Diagnostic::error(Code::Usage, text)));
        }
        options.input_names = freeze(&mut module, path).map_err(one)?;
    }
    let worth = match args.cycles_won {
        true => ablate::ablate(&module, &options)?,
        false => Vec::new(),
    };
    let compiled = ferrite_driver::compile(module, &options)?;
    let compression = if options.uncompressed {
        Compression::None
    } else {
        Compression::Gzip
    };
    compiled
        .neff
        .write_file(&WriteOptions { compression }, &output)
        .map_err(one)?;
    bar.finish_and_clear();
    let bytes = std::fs::metadata(&output)
        .map_err(|e| one(files::failure(&output, &e)))?
        .len();
    let seconds = start.elapsed().as_secs_f64();
    let program = inspect::describe(&compiled.neff.programs[0]);
    let json = json!({
        "ok": true,
        "output": output.to_string_lossy(),
        "target": program.target,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds(),
        "peak_memory_bytes": peak_memory(),
        "neff_bytes": bytes,
        "instructions": program.instructions,
        "instructions_per_engine": program.instructions_per_engine,
        "dma_transfers": program.dma_transfers,
        "constant_bytes": program.constant_bytes,
        "scratch_bytes": program.scratch_bytes,
        "model_flops": program.model_flops,
        "passes": compiled.timings,
        "cycles_won": worth,
        "printed": compiled.prints,
        "warnings": compiled.warnings.iter().map(diagnostic).collect::<Vec<_>>(),
    });
    let mut text = workbench::text::prints(&compiled.prints, args.flags.pass.color);
    if args.flags.pass.time_passes || args.cycles_won {
        text.push_str(&workbench::text::timings(&compiled.timings, &worth));
    }
    text.push_str(&text::compiled(&output, bytes, seconds, &program));
    Ok(Answer {
        warnings: compiled.warnings,
        ..answer(text, json)
    })
}

/// The most memory that this process held so far, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Processor time of this process so far, where the system tells (Linux): what a busy machine does not distort.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks; user and system time are fields 14 and 15, in ticks of 10 ms.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// Turns the parameters that an `.npz` file holds into constants; returns the names of the others.
fn freeze(module: &mut hlo::Module, path: &Path) -> Result<Vec<String>> {
    let types = run::module_inputs(module)?;
    let mut values = Vec::new();
    for (name, array) in arrays::read_npz(path)? {
        let number = name.strip_prefix("arg").and_then(|n| n.parse::<usize>().ok());
        let Some((number, ty)) = number.and_then(|n| types.get(n).map(|ty| (n, ty))) else {
            let text = format!("`{}`: array `{name}` is no parameter of the model", path.display());
            return Err(Diagnostic::error(Code::Usage, text).help("name the arrays arg0, arg1, ..."));
        };
        values.push((number, array.into_tensor(&name, ty.dtype)?.to_literal()));
    }
    model::freeze(module, values)
}

fn execute(args: &RunArgs, extensions: &Arc<Extensions>) -> Outcome {
    if args.cores != 1 {
        let text = format!("`--cores {}` is not supported yet", args.cores);
        return Err(one(
            Diagnostic::error(Code::Unsupported, text).help("leave it out: one core is simulated")
        ));
    }
    let bar = busy("simulating");
    let neff = Neff::read_file(&args.neff).map_err(one)?;
    let options = RunOptions {
        machine: args.machine.clone(),
        extensions: extensions.clone(),
        timeline: args.profile.is_some(),
    };
    let inputs = arrays::read_inputs(&args.inputs, &run::input_types(&neff).map_err(one)?).map_err(one)?;
    let done = run::run(&neff, &inputs, &options)?;
    if let Some(path) = &args.outputs {
        arrays::write_numbered(path, "out", &done.outputs).map_err(one)?;
    }
    bar.finish_and_clear();
    let written = write_profile(&done.profile, args.profile.as_deref())?;
    let summary = ferrite_report::Summary::new(&done.profile);
    let text = text::summary(&summary) + &text::written(written.as_ref());
    Ok(answer(text, to_json(&summary)))
}

/// Writes the files of a profile, if asked for.
fn write_profile(profile: &Profile, folder: Option<&Path>) -> Result<Option<Written>, Vec<Diagnostic>> {
    folder
        .map(|folder| ferrite_report::write_all(profile, folder))
        .transpose()
        .map_err(one)
}

fn profile(args: &ProfileArgs, extensions: &Arc<Extensions>) -> Outcome {
    let bar = busy("simulating");
    let options = RunOptions {
        machine: args.machine.clone(),
        extensions: extensions.clone(),
        timeline: args.out.is_some(),
    };
    let profile = run::profile_file(&args.neff, &options)?;
    bar.finish_and_clear();
    let written = write_profile(&profile, args.out.as_deref())?;
    let summary = ferrite_report::Summary::new(&profile);
    let text = text::summary(&summary) + &text::written(written.as_ref());
    Ok(answer(text, to_json(&summary)))
}

fn validate(args: &ValidateArgs, extensions: &Arc<Extensions>) -> Outcome {
    let bar = busy("validating");
    let options = ValidateOptions {
        compile: args.flags.options(extensions),
        rtol: args.rtol,
        atol: args.atol,
        timeline: args.profile.is_some(),
        seed: args.seed,
    };
    let validation = match (&args.case, &args.model, &args.inputs) {
        (Some(folder), ..) => validate::case(folder, &options)?,
        (None, Some(model), inputs) => validate::files(model, inputs.as_deref(), args.expected.as_deref(), &options)?,
        _ => {
            return Err(vec![Diagnostic::error(Code::Usage, "give a model, or `--case`")]);
        }
    };
    bar.finish_and_clear();
    let written = write_profile(&validation.profile, args.profile.as_deref())?;
    let mut text = workbench::text::prints(&validation.compiled.prints, args.flags.pass.color);
    if args.flags.pass.time_passes {
        text.push_str(&workbench::text::timings(&validation.report.passes, &[]));
    }
    text.push_str(&text::validation(&validation.report));
    text.push_str(&text::written(written.as_ref()));
    Ok(Answer {
        ok: validation.report.ok,
        warnings: validation.compiled.warnings,
        ..answer(text, to_json(&validation.report))
    })
}

fn interpret(args: &InterpretArgs) -> Outcome {
    let bar = busy("interpreting");
    let module = model::read(&args.model)?;
    let inputs = interpret::read_inputs(&module, args.inputs.as_deref()).map_err(one)?;
    let start = Instant::now();
    let outputs = interpret::interpret(&module, &inputs).map_err(one)?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    if let Some(path) = &args.outputs {
        arrays::write_numbered(path, "out", &outputs).map_err(one)?;
    }
    let types: Vec<String> = outputs.iter().map(|t| t.ty().to_string()).collect();
    let text: String = types
        .iter()
        .enumerate()
        .map(|(i, ty)| format!("out{i}: {ty}\n"))
        .collect();
    Ok(answer(
        text,
        json!({ "ok": true, "seconds": seconds, "outputs": types }),
    ))
}

fn inspect(args: &InspectArgs) -> Result<Answer> {
    let (neff, inspection) = inspect::inspect(&args.neff)?;
    let text = if args.disassemble {
        neff.programs
            .iter()
            .map(|p| {
                isa::text::print(
                    p,
                    isa::text::PrintOptions {
                        locations: true,
                        constants: false,
                    },
                )
            })
            .collect()
    } else {
        text::inspection(&inspection)
    };
    Ok(answer(text, to_json(&inspection)))
}

/// Reads a model in any form and writes it in another.
fn convert(args: &ConvertArgs) -> Outcome {
    let module = model::read(&args.model)?;
    let options = hlo::print::PrintOptions {
        generic: args.to == Form::Generic,
        locations: args.locations,
    };
    let bytes = match args.to {
        Form::Stablehlo | Form::Generic => hlo::print::print_with(&module, options).into_bytes(),
        Form::HloText => ferrite_frontend::write_hlo_text(&module)?.into_bytes(),
        Form::HloProto => ferrite_frontend::write_hlo_proto(&module)?,
        Form::Mlirbc => {
            let text = "portable artifacts (MLIR bytecode) are read, but not written";
            let help = "write StableHLO text, and have jaxlib serialize it";
            return Err(one(Diagnostic::error(Code::Unsupported, text).help(help)));
        }
    };
    let Some(path) = &args.output else {
        return match String::from_utf8(bytes) {
            Ok(text) if args.to != Form::HloProto => Ok(answer(text, Value::Null)),
            _ => {
                let text = "this form is binary and needs a file to go to";
                Err(one(Diagnostic::error(Code::Usage, text).help("name it with `-o FILE`")))
            }
        };
    };
    files::write(path, &bytes).map_err(one)?;
    let json = json!({ "ok": true, "output": path.to_string_lossy(), "bytes": bytes.len() });
    Ok(answer(format!("{}: {} bytes\n", path.display(), bytes.len()), json))
}

fn targets(args: &TargetsArgs, extensions: &Extensions) -> Result<Answer> {
    if let Some(name) = &args.print {
        let added = extensions.find_machine(name).map(|(_, text)| text.as_str());
        if added.is_none() {
            MachineModel::target(name)?;
        }
        let text = added.or_else(|| MachineModel::target_text(name)).unwrap_or_default();
        return Ok(answer(text.to_string(), Value::Null));
    }
    let built_in = MachineModel::targets().map(MachineModel::target);
    let added = extensions.machines.iter().map(|(machine, _)| Ok(machine.clone()));
    let machines: Vec<_> = built_in.chain(added).collect::<Result<_>>()?;
    let json = machines.iter().map(|m| {
        json!({
            "name": m.name,
            "core": m.core,
            "chip": m.chip.name,
            "cores_per_chip": m.chip.cores,
            "sbuf_bytes_per_partition": m.sbuf.usable_bytes_per_partition,
            "hbm_bytes_per_core": m.hbm.bytes_per_core,
            "dma_bytes_per_s": m.dma_bytes_per_s(),
            "bf16_flops": m.peak_flops(ferrite_ir::dtype::DType::BF16),
        })
    });
    let json = json!({ "targets": json.collect::<Vec<_>>() });
    Ok(answer(text::targets(&machines), json))
}

/// Results are plain data: they always have a JSON form.
pub(super) fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
