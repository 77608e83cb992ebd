//! From a model to a NEFF.

use std::path::Path;
use std::sync::Arc;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Module, TensorType};
use ferrite_ir::isa;
use ferrite_ir::machine::MachineModel;
use ferrite_neff::Neff;
use ferrite_passes::hlo::bind_dimensions;
use ferrite_passes::program::Program;

use crate::extensions::Extensions;
use crate::names::Names;
use crate::options::CompileOptions;
use crate::record::{Print, Recorder, Timing};
use crate::{catalogue, checks, files, flops, manager, pipeline, run};

/// The outcome of a compilation.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program.
    pub neff: Neff,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
    /// Steps with their times.
    pub timings: Vec<Timing>,
    /// Programs that `--print-after` and its like asked for.
    pub prints: Vec<Print>,
}

/// The machine model of a file, if one is given, else of a target that was added or is built in.
///
/// # Errors
/// A target that is not known, a file that cannot be read.
pub fn machine(target: &str, file: Option<&Path>, extensions: &Extensions) -> Result<Arc<MachineModel>> {
    let Some(path) = file else {
        let added = extensions.find_machine(target).map(|(machine, _)| machine.clone());
        return added.map_or_else(|| MachineModel::target(target), Ok);
    };
    let text = String::from_utf8(files::read(path)?)
        .map_err(|_| Diagnostic::error(Code::Parse, format!("`{}` is not UTF-8 text", path.display())))?;
    MachineModel::from_toml(&text).map(Arc::new)
}

/// Compiles a module. The same module and options always give the same NEFF.
///
/// # Errors
/// All errors that the first failing stage found.
pub fn compile(mut module: Module, options: &CompileOptions) -> Result<Compiled, Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let machine = options.machine_model().map_err(one)?;
    if !options.dim_bindings.is_empty() {
        bind_dimensions::bind(&mut module, &options.dim_bindings, &machine).map_err(one)?;
    }
    if options.fp8_e4m3fn_as_e4m3 {
        checks::reinterpret_e4m3fn(&mut module);
    }
    let mut errors = checks::check(&module, options, &machine).err().unwrap_or_default();
    errors.extend(catalogue::check(&module));
    if !errors.is_empty() {
        return Err(errors);
    }
    // A stage stops at the first thing that it refuses; the user wants to hear of the others.
    let suspects = catalogue::suspects(&module);
    stages(module, options, &machine).map_err(|errors| catalogue::explain(errors, suspects))
}

fn stages(module: Module, options: &CompileOptions, machine: &Arc<MachineModel>) -> Result<Compiled, Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let mut recorder = Recorder::new(options).map_err(one)?;
    let passes = pipeline::whole(options).map_err(one)?;
    let model_flops = flops::model_flops(&module);
    let mut program = Program::Hlo(module);
    let hlo_op_count = program.ops() as u64;
    let warnings = manager::run(&mut program, &passes, options, machine, &mut recorder)?;
    recorder.finish().map_err(one)?;
    let mut program = match program {
        Program::Isa(program) => *program,
        other => {
            let text = format!("the pipeline ends at the {} level", other.level());
            let help = "end it with `lower,generate-code`, or use `ferrite opt` for the program itself";
            return Err(vec![Diagnostic::error(Code::Usage, text).help(help)]);
        }
    };
    program.model_flops = model_flops;
    checks::check_size(&program, options).map_err(one)?;

    let mut neff = Neff::new(options.name.clone(), program);
    neff.hlo_op_count = hlo_op_count;
    // The first physical core of a logical one does the work (our choice so far); the others have empty programs.
    neff.lnc_size = options.logical_core;
    for _ in 1..options.logical_core {
        neff.programs.push(isa::Program::new(machine.name.clone()));
    }
    Ok(Compiled {
        neff,
        warnings,
        timings: recorder.timings,
        prints: recorder.prints,
    })
}

/// A program with the tensors of a module and no instructions: it stands for the compiled one where only graphs are
/// collected, and the simulator refuses to run it.
///
/// # Errors
/// Tensors without a static shape.
pub fn placeholder(module: &Module, names: &Names, target: &str) -> Result<isa::Program> {
    let mut program = isa::Program::new(target);
    let inputs = run::module_inputs(module)?;
    let outputs = match module.entry() {
        Some(entry) => module.func(entry).result_types(),
        None => Vec::new(),
    };
    let outputs = outputs.iter().map(|ty| ty.tensor().filter(|t| t.is_static()).cloned());
    let outputs: Option<Vec<_>> = outputs.collect();
    let outputs = outputs.ok_or_else(|| Diagnostic::error(Code::Ncc("EMOD025"), "an output has a dynamic shape"))?;
    let all = (0u32..).zip(names.inputs.iter().zip(&inputs));
    for (index, (name, ty)) in all {
        let tensor = add_tensor(&mut program, name, ty, isa::VarKind::Input { index });
        program.inputs.push(tensor);
    }
    let all = (0u32..).zip(names.outputs.iter().zip(&outputs));
    for (index, (name, ty)) in all {
        let tensor = add_tensor(&mut program, name, ty, isa::VarKind::Output { index });
        program.outputs.push(tensor);
    }
    Ok(program)
}

fn add_tensor(program: &mut isa::Program, name: &str, ty: &TensorType, kind: isa::VarKind) -> isa::IoTensor {
    program.vars.push(isa::Var {
        name: name.to_string(),
        kind,
        bytes: ty.byte_size() as u64,
        data: None,
    });
    isa::IoTensor {
        name: name.to_string(),
        dtype: ty.dtype,
        shape: ty.shape.to_vec(),
        alias: None,
        must_alias: false,
    }
}
