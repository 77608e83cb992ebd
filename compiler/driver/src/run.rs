//! Runs in the simulator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrite_interp::Tensor;
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{Module, TensorType};
use ferrite_ir::isa::{IoTensor, Program, VarKind};
use ferrite_ir::machine::MachineModel;
use ferrite_neff::{Neff, Streamed};
use ferrite_report::Profile;
use ferrite_sim::{Options, RunResult, Simulator};

use crate::compile;
use crate::extensions::Extensions;

/// What a run depends on besides program and inputs.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// A machine model file that replaces the built-in one of the program's target.
    pub machine: Option<PathBuf>,
    /// Machines of somebody else.
    pub extensions: Arc<Extensions>,
    /// Whether the profile says what ran when.
    pub timeline: bool,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Outputs in the program's order.
    pub outputs: Vec<Tensor>,
    /// Time and counts.
    pub profile: Profile,
}

/// Runs a NEFF on inputs, functionally and cycle by cycle.
///
/// # Errors
/// Findings of the legality checker, inputs that do not fit, races, uninitialised reads, deadlock.
pub fn run(neff: &Neff, inputs: &[Tensor], options: &RunOptions) -> Result<Execution, Vec<Diagnostic>> {
    let (program, machine) = start(neff, &instruction_counts(neff), options)?;
    let simulator = Simulator::new(program, machine.clone())?;
    let bytes: Vec<&[u8]> = inputs.iter().map(Tensor::bytes).collect();
    let result = simulator.run(&bytes, &simulation(options)).map_err(|e| vec![e])?;
    let outputs = program.outputs.iter().zip(&result.outputs);
    let outputs = outputs
        .map(|(io, bytes)| tensor(io, bytes))
        .collect::<Result<_, _>>()
        .map_err(|e| vec![e])?;
    Ok(Execution {
        outputs,
        profile: profile_of(neff, program, &machine, result),
    })
}

/// Simulates a NEFF's time alone.
///
/// # Errors
/// As [`run`], and a branch that depends on data.
pub fn profile(neff: &Neff, options: &RunOptions) -> Result<Profile, Vec<Diagnostic>> {
    let (program, machine) = start(neff, &instruction_counts(neff), options)?;
    let simulator = Simulator::new(program, machine.clone())?;
    let result = simulator.profile(&simulation(options)).map_err(|e| vec![e])?;
    Ok(profile_of(neff, program, &machine, result))
}

/// The same of a NEFF on disk. Its instructions are read one by one: a program of any size takes a small part of the memory that it takes
/// as a whole.
///
/// # Errors
/// As [`profile`]; a file that is no NEFF or cannot be read.
pub fn profile_file(path: &Path, options: &RunOptions) -> Result<Profile, Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let Streamed { neff, code } = Neff::stream_file(path).map_err(one)?;
    let mut counts = Vec::with_capacity(code.len());
    for engines in &code {
        let mut count = 0;
        for engine in engines {
            count += engine.instructions().map_err(one)?.announced();
        }
        counts.push(count);
    }
    let (program, machine) = start(&neff, &counts, options)?;
    let first = code
        .first()
        .ok_or_else(|| one(Diagnostic::bug("a program without code")))?;
    let simulator = Simulator::streamed(program, first, machine.clone())?;
    drop(code);
    let result = simulator.profile(&simulation(options)).map_err(one)?;
    Ok(profile_of(&neff, program, &machine, result))
}

/// Types of a program's inputs.
pub fn input_types(neff: &Neff) -> Result<Vec<TensorType>, Diagnostic> {
    let program = one_core(neff, &instruction_counts(neff))?;
    Ok(program
        .inputs
        .iter()
        .map(|io| TensorType::new(io.dtype, &io.shape))
        .collect())
}

/// Types of the parameters of a module's entry function.
pub fn module_inputs(module: &Module) -> Result<Vec<TensorType>, Diagnostic> {
    let entry = module.entry().map(|id| module.func(id));
    let func = entry.ok_or_else(|| {
        Diagnostic::error(Code::Verify, "the module has no entry function")
            .help("name one function `main` or make exactly one public")
    })?;
    let types = func
        .args()
        .iter()
        .enumerate()
        .map(|(index, &arg)| match func.ty(arg).tensor() {
            Some(ty) if ty.is_static() => Ok(ty.clone()),
            Some(ty) => Err(Diagnostic::error(
                Code::Ncc("EMOD025"),
                format!("parameter {index} has a dynamic shape: {ty}"),
            )),
            None => Err(Diagnostic::error(
                Code::Unsupported,
                format!("parameter {index} is no tensor: {}", func.ty(arg)),
            )),
        });
    types.collect()
}

/// Instructions of each program.
fn instruction_counts(neff: &Neff) -> Vec<u64> {
    neff.programs.iter().map(|p| p.instruction_count() as u64).collect()
}

/// The program to simulate: the only one, or that of the first core if the others of its logical core have nothing to do.
fn one_core<'a>(neff: &'a Neff, instructions: &[u64]) -> Result<&'a Program, Diagnostic> {
    match neff.programs.as_slice() {
        [first, ..] if instructions.iter().skip(1).all(|&count| count == 0) => Ok(first),
        several => Err(Diagnostic::error(
            Code::Unsupported,
            format!("the NEFF is for {} cores; one core is simulated so far", several.len()),
        )),
    }
}

fn start<'a>(
    neff: &'a Neff,
    instructions: &[u64],
    options: &RunOptions,
) -> Result<(&'a Program, Arc<MachineModel>), Vec<Diagnostic>> {
    let program = one_core(neff, instructions).map_err(|e| vec![e])?;
    let has_results = program
        .vars
        .iter()
        .any(|v| matches!(v.kind, VarKind::Output { .. }) && v.bytes > 0);
    if instructions.first() == Some(&0) && has_results {
        let text = "the NEFF has no instructions: it was written while graphs were collected";
        return Err(vec![Diagnostic::error(Code::Unsupported, text).help(
            "compile what was collected, and run the program again with the compile cache",
        )]);
    }
    let machine =
        compile::machine(&program.target, options.machine.as_deref(), &options.extensions).map_err(|e| vec![e])?;
    Ok((program, machine))
}

fn simulation(options: &RunOptions) -> Options {
    Options {
        timeline: options.timeline,
        ..Options::default()
    }
}

fn tensor(io: &IoTensor, bytes: &[u8]) -> Result<Tensor, Diagnostic> {
    let ty = TensorType::new(io.dtype, &io.shape);
    Tensor::new(ty, bytes).ok_or_else(|| {
        Diagnostic::bug(format!(
            "output `{}` has {} bytes, which do not fit its type",
            io.name,
            bytes.len()
        ))
    })
}

fn profile_of(neff: &Neff, program: &Program, machine: &MachineModel, result: RunResult) -> Profile {
    Profile::new(&neff.name, program, machine, result.stats)
}
