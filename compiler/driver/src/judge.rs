//! What a program of any level computes: hlo in the interpreter; tiles, and instructions, in the simulator.
//!
//! A tile program is completed for that, in program order and with the fewest decisions: what is judged is the program, not
//! the scheduler.

use ferrite_interp::Tensor;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::TensorType;
use ferrite_neff::Neff;
use ferrite_passes::program::Program;

use crate::compare::{Tolerance, compare};
use crate::options::{AutoCast, CompileOptions};
use crate::record::Recorder;
use crate::run::{self, RunOptions};
use crate::validate::default_tolerance;
use crate::{interpret, manager, pipeline};

/// Types of a program's inputs.
///
/// # Errors
/// Inputs without a static tensor type.
pub fn input_types(program: &Program) -> Result<Vec<TensorType>, Vec<Diagnostic>> {
    let of = |io: &[ferrite_ir::isa::IoTensor]| io.iter().map(|t| TensorType::new(t.dtype, &t.shape)).collect();
    match program {
        Program::Hlo(module) => run::module_inputs(module).map_err(|e| vec![e]),
        Program::Tile(tile) => Ok(of(&tile.program.inputs)),
        Program::Isa(program) => Ok(of(&program.inputs)),
    }
}

/// Evaluates a program.
///
/// # Errors
/// What interpreter, completing passes, legality checker or simulator say.
pub fn evaluate(
    program: &Program,
    inputs: &[Tensor],
    options: &CompileOptions,
) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    if let Program::Hlo(module) = program {
        return interpret::interpret(module, inputs).map_err(|e| vec![e]);
    }
    let isa = match complete(program.clone(), options)? {
        Program::Isa(isa) => *isa,
        other => {
            return Err(vec![Diagnostic::bug(format!(
                "completed to the {} level",
                other.level()
            ))]);
        }
    };
    let options = RunOptions {
        machine: options.machine.clone(),
        extensions: options.extensions.clone(),
        timeline: false,
    };
    Ok(run::run(&Neff::new("judged", isa), inputs, &options)?.outputs)
}

/// Goes on to instructions.
fn complete(mut program: Program, options: &CompileOptions) -> Result<Program, Vec<Diagnostic>> {
    let rest = match &program {
        Program::Tile(tile) => match (&tile.placement, &tile.sync) {
            (None, _) => "spill,assign-engines,place{reuse-at-once},synchronise,encode",
            (Some(_), None) => "synchronise,encode",
            (Some(_), Some(_)) => "encode",
        },
        _ => "",
    };
    let quiet = options.quiet();
    let one = |e: Diagnostic| vec![e];
    let passes = pipeline::resolve(rest, &quiet.extensions).map_err(one)?;
    let machine = quiet.machine_model().map_err(one)?;
    let mut recorder = Recorder::new(&quiet).map_err(one)?;
    manager::run(&mut program, &passes, &quiet, &machine, &mut recorder)?;
    Ok(program)
}

/// How outputs differ from what was wanted, if they do.
pub fn difference(got: &[Tensor], want: &[Tensor], tolerance: &dyn Fn(&Tensor) -> Tolerance) -> Option<String> {
    if got.len() != want.len() {
        return Some(format!("{} outputs instead of {}", got.len(), want.len()));
    }
    got.iter().zip(want).enumerate().find_map(|(index, (got, want))| {
        let found = compare(got, want, tolerance(want));
        (!found.ok).then(|| match (found.refused, found.worst) {
            (Some(why), _) => format!("output {index}: {why}"),
            (None, worst) => {
                let (at, got, want) = worst.unwrap_or_default();
                let counts = format!("{} of {} elements", found.mismatches, found.count);
                format!("output {index}: {counts} are off; at {at} it is {got}, wanted was {want}")
            }
        })
    })
}

/// The tolerance where nobody gave one, for a compilation with these options.
pub fn tolerance(options: &CompileOptions) -> impl Fn(&Tensor) -> Tolerance {
    let lowest = (options.auto_cast != AutoCast::None).then(|| options.auto_cast_type.dtype());
    move |want| default_tolerance(want, lowest)
}
