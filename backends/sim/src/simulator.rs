//! The public face: a program made ready, run as often as one likes.

use std::sync::Arc;

use ferrite_ir::diag::{self, Diagnostic};
use ferrite_ir::isa::{Engine, Program, VarKind};
use ferrite_ir::machine::MachineModel;
use ferrite_neff::{Code, Neff};

use crate::check::operands::{self, tensor_bytes};
use crate::check::region::{Mem, Region};
use crate::cluster::Cluster;
use crate::elem::Dither;
use crate::memory::Memory;
use crate::options::{Mode, Options};
use crate::prepare::{Builder, Prepared, prepare};
use crate::run::{Data, Run};
use crate::stats::Stats;

/// Every static finding of a program: operands, limits, structure. Empty for a legal one.
pub fn check(program: &Program, model: &MachineModel) -> Vec<Diagnostic> {
    operands::check(program, model)
}

/// What a run gives back.
#[derive(Clone, Debug, PartialEq)]
pub struct RunResult {
    /// Bytes of each output, in the program's order; empty in timing-only runs.
    pub outputs: Vec<Vec<u8>>,
    /// Time and counts.
    pub stats: Stats,
}

/// Runs a program on each of several cores together: core `i` runs the `i`-th simulator's program on its inputs. Results in that order.
///
/// # Errors
/// As [`Simulator::run`]; collectives that do not meet.
pub fn run_cores<B: AsRef<[u8]>>(
    cores: &[(&Simulator<'_>, &[B])],
    options: &Options,
) -> Result<Vec<RunResult>, Diagnostic> {
    let mut runs = Vec::with_capacity(cores.len());
    for (simulator, inputs) in cores {
        let mut memory = Memory::new(simulator.program, &simulator.prepared.layout, &simulator.model);
        // Every core draws from a sequence of its own.
        memory.dither = options
            .stochastic_rounding
            .map(|seed| Dither::new(seed.wrapping_add(runs.len() as u64)));
        simulator.bind(&mut memory, inputs)?;
        runs.push(simulator.start(options, Some(Data::new(memory))));
    }
    let mut cluster = Cluster::new(runs);
    let stats = cluster.run()?;
    let results = cores.iter().zip(&cluster.runs).zip(stats);
    results
        .map(|(((simulator, _), run), stats)| {
            let outputs = simulator.outputs(run)?;
            Ok(RunResult { outputs, stats })
        })
        .collect()
}

/// The same for the time alone.
///
/// # Errors
/// As [`Simulator::profile`]; collectives that do not meet.
pub fn profile_cores(cores: &[&Simulator<'_>], options: &Options) -> Result<Vec<RunResult>, Diagnostic> {
    let runs = cores.iter().map(|s| s.start(options, None)).collect();
    let stats = Cluster::new(runs).run()?;
    let outputs = Vec::new;
    Ok(stats
        .into_iter()
        .map(|stats| RunResult {
            outputs: outputs(),
            stats,
        })
        .collect())
}

/// A checked program on a machine.
pub struct Simulator<'a> {
    program: &'a Program,
    model: Arc<MachineModel>,
    prepared: Prepared,
    /// Whether the program has its instructions, which their effect on bytes needs.
    whole: bool,
}

impl<'a> Simulator<'a> {
    /// Checks a program against a machine and makes it ready.
    ///
    /// # Errors
    /// Every static finding (see [`check`]).
    pub fn new(program: &'a Program, model: Arc<MachineModel>) -> Result<Simulator<'a>, Vec<Diagnostic>> {
        let findings = check(program, &model);
        if !findings.is_empty() {
            return Err(findings);
        }
        let prepared = prepare(program, &model);
        Ok(Simulator {
            program,
            model,
            prepared,
            whole: true,
        })
    }

    /// Checks a program whose instructions come one by one, and makes it ready for runs of its time: nothing else of an instruction stays.
    ///
    /// # Errors
    /// Code that cannot be read, and every static finding.
    pub fn streamed(
        program: &'a Program,
        code: &[Code; 5],
        model: Arc<MachineModel>,
    ) -> Result<Simulator<'a>, Vec<Diagnostic>> {
        let mut findings = operands::check_parts(program, &model)?;
        let mut builder = Builder::new(program, &model);
        for (engine, code) in Engine::ALL.into_iter().zip(code) {
            let instructions = code.instructions().map_err(|e| vec![e])?;
            let count = instructions.announced();
            builder.expect(engine, count);
            for (index, instr) in instructions.enumerate() {
                let instr = instr.map_err(|e| vec![e])?;
                operands::check_reference(engine, index, count, &instr, program).map_err(|e| vec![e])?;
                if findings.len() < operands::FINDINGS_MAX {
                    findings.extend(operands::check_instruction(engine, index, &instr, program, &model));
                }
                if findings.is_empty() {
                    builder.push(engine, &instr);
                }
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let prepared = builder.finish();
        Ok(Simulator {
            program,
            model,
            prepared,
            whole: false,
        })
    }

    /// The same with the machine the program was made for.
    ///
    /// # Errors
    /// An unknown target, and what [`Simulator::new`] finds.
    pub fn for_program(program: &'a Program) -> Result<Simulator<'a>, Vec<Diagnostic>> {
        let model = MachineModel::target(&program.target).map_err(|e| vec![e])?;
        Simulator::new(program, model)
    }

    /// The program of a NEFF on the machine it was made for.
    ///
    /// # Errors
    /// A NEFF of several cores, and what [`Simulator::for_program`] finds.
    pub fn for_neff(neff: &'a Neff) -> Result<Simulator<'a>, Vec<Diagnostic>> {
        match neff.programs.as_slice() {
            [program] => Simulator::for_program(program),
            programs => {
                let text = format!(
                    "the NEFF `{}` has programs for {} cores; one core is simulated",
                    neff.name,
                    programs.len()
                );
                Err(vec![Diagnostic::error(diag::Code::Unsupported, text)])
            }
        }
    }

    /// The machine.
    pub fn model(&self) -> &MachineModel {
        &self.model
    }

    /// Runs the program on inputs: one byte string per input, as large as its shape and dtype say.
    ///
    /// # Errors
    /// Inputs that do not fit; races, uninitialised reads, indices out of bounds, overflowing counters, deadlock.
    pub fn run<B: AsRef<[u8]>>(&self, inputs: &[B], options: &Options) -> Result<RunResult, Diagnostic> {
        let mut all = run_cores(&[(self, inputs)], options)?;
        Ok(all.remove(0))
    }

    /// Runs the program for its time alone.
    ///
    /// # Errors
    /// As [`Simulator::run`], and a branch that depends on data.
    pub fn profile(&self, options: &Options) -> Result<RunResult, Diagnostic> {
        let mut all = profile_cores(&[self], options)?;
        Ok(all.remove(0))
    }

    fn start(&'a self, options: &'a Options, data: Option<Data>) -> Run<'a> {
        Run::new(self.program, &self.prepared, &self.model, options, data)
    }

    /// Either of the two.
    ///
    /// # Errors
    /// As [`Simulator::run`] and [`Simulator::profile`].
    pub fn run_mode<B: AsRef<[u8]>>(
        &self,
        mode: Mode,
        inputs: &[B],
        options: &Options,
    ) -> Result<RunResult, Diagnostic> {
        match mode {
            Mode::Functional => self.run(inputs, options),
            Mode::TimingOnly => self.profile(options),
        }
    }

    fn bind<B: AsRef<[u8]>>(&self, memory: &mut Memory, inputs: &[B]) -> Result<(), Diagnostic> {
        let wrong = |text: String| Diagnostic::error(diag::Code::Usage, text);
        if !self.whole {
            return Err(wrong(
                "the program was read for its time alone, without what its instructions do".into(),
            ));
        }
        if inputs.len() != self.program.inputs.len() {
            let want = self.program.inputs.len();
            return Err(wrong(format!(
                "the program has {want} inputs, {} were given",
                inputs.len()
            )));
        }
        for (tensor, bytes) in self.program.inputs.iter().zip(inputs) {
            let want = tensor_bytes(tensor).unwrap_or(0);
            let got = bytes.as_ref().len() as u64;
            if want != got {
                let name = &tensor.name;
                return Err(wrong(format!(
                    "input `{name}` ({} {:?}) has {want} bytes, {got} were given",
                    tensor.dtype, tensor.shape
                )));
            }
        }
        for (var, place) in self.program.vars.iter().zip(&self.prepared.layout.place) {
            let VarKind::Input { index } = var.kind else { continue };
            let Some(bytes) = inputs.get(index as usize) else {
                continue;
            };
            let (block, bytes) = (memory.block_mut(place.0), bytes.as_ref());
            if let Some(to) = block.get_mut(..bytes.len()) {
                to.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn outputs(&self, run: &Run<'_>) -> Result<Vec<Vec<u8>>, Diagnostic> {
        let mut outputs = vec![Vec::new(); self.program.outputs.len()];
        let Some(data) = &run.data else { return Ok(outputs) };
        for (var, place) in self.program.vars.iter().zip(&self.prepared.layout.place) {
            let VarKind::Output { index } = var.kind else { continue };
            let (Some(tensor), Some(out)) = (
                self.program.outputs.get(index as usize),
                outputs.get_mut(index as usize),
            ) else {
                continue;
            };
            let size = tensor_bytes(tensor).unwrap_or(0);
            let whole = Region {
                mem: Mem::hbm(place.0),
                first: 0,
                end: 1,
                low: 0,
                high: size,
                runs: None,
                comb: None,
            };
            if size > 0
                && let Some(tracker) = &run.tracker
                && let Some((_, byte)) = tracker.unwritten(&whole)
            {
                let text = format!(
                    "the program ends without writing byte {byte} of output `{}`",
                    tensor.name
                );
                return Err(Diagnostic::error(diag::Code::Illegal, text));
            }
            *out = data.memory.block(place.0).get(..size as usize).unwrap_or(&[]).to_vec();
        }
        Ok(outputs)
    }
}
