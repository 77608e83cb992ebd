//! Runs pipelines: passes in order, with levels checked before anything runs and everything recorded.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::machine::MachineModel;
use ferrite_passes::pass::{AnyPass, Level, PassContext};
use ferrite_passes::program::Program;

use crate::catalogue;
use crate::options::{CompileOptions, has_native_int64};
use crate::record::Recorder;

/// Runs passes in order, up to the one after which the options say to stop. Returns their warnings.
///
/// # Errors
/// A pass that would meet a program of another level than its own (before anything runs), a pass to stop after that is not there,
/// and what passes and verifiers say.
pub fn run(
    program: &mut Program,
    passes: &[AnyPass],
    options: &CompileOptions,
    machine: &MachineModel,
    recorder: &mut Recorder,
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let passes = up_to(passes, options.stop_after.as_deref()).map_err(|e| vec![e])?;
    check_levels(program.level(), passes).map_err(|e| vec![e])?;
    let mut asked = options.for_passes();
    asked.native_int64 &= has_native_int64(machine);
    let mut cx = PassContext::new(machine, &asked);
    for pass in passes {
        if let (Program::Hlo(module), true) = (&*program, pass.about.result != Level::Hlo) {
            catalogue::check_static(module)?;
        }
        recorder.run(pass, program, &mut cx)?;
    }
    Ok(cx.warnings)
}

/// The passes up to the first one with this name.
fn up_to<'p>(passes: &'p [AnyPass], last: Option<&str>) -> Result<&'p [AnyPass]> {
    let Some(last) = last else { return Ok(passes) };
    match passes.iter().position(|p| p.name() == last) {
        Some(index) => Ok(&passes[..=index]),
        None => {
            let names: Vec<&str> = passes.iter().map(AnyPass::name).collect();
            let text = format!("`--stop-after={last}`: no such pass is in the pipeline");
            Err(Diagnostic::error(Code::Usage, text).help(format!("these are: {}", names.join(", "))))
        }
    }
}

/// Whether each pass gets a program of its level.
///
/// # Errors
/// The first pass that does not.
pub fn check_levels(mut level: Level, passes: &[AnyPass]) -> Result<()> {
    for pass in passes {
        let about = &pass.about;
        if about.level != level {
            let text = format!(
                "`{}` works on the {} level, and the program is of the {level} level there",
                about.name, about.level
            );
            let help = "`lower` goes from hlo to tile, `generate-code` or `encode` from tile to isa; no pass goes back";
            return Err(Diagnostic::error(Code::Usage, text).help(help));
        }
        level = about.result;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use super::*;
    use crate::extensions::Extensions;
    use crate::options::PrintPasses;
    use crate::pipeline;
    use crate::record::When;

    const MODEL: &str = "func.func public @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
      %0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<8x16xf32>) -> tensor<16x8xf32>
      %1 = stablehlo.transpose %0, dims = [1, 0] : (tensor<16x8xf32>) -> tensor<8x16xf32>
      %2 = stablehlo.add %1, %1 : tensor<8x16xf32>
      return %2 : tensor<8x16xf32>
    }";

    fn run_text(passes: &str, options: &CompileOptions) -> Result<(Program, Recorder), Vec<Diagnostic>> {
        let mut program = Program::Hlo(Frontend::read(MODEL.as_bytes(), "m")?);
        let passes = pipeline::resolve(passes, &Extensions::default()).map_err(|e| vec![e])?;
        let machine = options.machine_model().map_err(|e| vec![e])?;
        let mut recorder = Recorder::new(options).map_err(|e| vec![e])?;
        run(&mut program, &passes, options, &machine, &mut recorder)?;
        recorder.finish().map_err(|e| vec![e])?;
        Ok((program, recorder))
    }

    #[test]
    fn a_pipeline_goes_through_all_levels_and_says_how_long_each_step_took() {
        let options = CompileOptions::default();
        let (program, recorder) = run_text("hlo(-O2),lower,generate-code,isa(check-sync)", &options).unwrap();
        assert_eq!(program.level(), Level::Isa);
        let code = recorder.timings.iter().find(|t| t.pass == "generate-code").unwrap();
        let steps: Vec<&str> = code.steps.iter().map(|s| s.step).collect();
        assert_eq!(&steps[..4], ["spill", "assign-engines", "schedule", "place"]);
    }

    #[test]
    fn the_steps_by_name_give_what_generate_code_gives() {
        let options = CompileOptions::default();
        let (whole, _) = run_text("hlo(-O2),lower,generate-code", &options).unwrap();
        let steps = "hlo(-O2),lower,tile(spill,assign-engines,schedule,place,check-placement,synchronise,encode)";
        let (steps, _) = run_text(steps, &options).unwrap();
        assert_eq!(whole.text(), steps.text());
    }

    #[test]
    fn decisions_are_void_when_the_program_changes() {
        let options = CompileOptions::default();
        let errors = run_text("-O1,lower,assign-engines,place,schedule,synchronise", &options)
            .err()
            .unwrap();
        assert!(
            errors[0]
                .message
                .contains("`synchronise` needs a program that is `placed`"),
            "{}",
            errors[0]
        );
        let errors = run_text("-O1,lower,schedule", &options).err().unwrap();
        assert!(errors[0].message.contains("`engines-assigned`"), "{}", errors[0]);
    }

    #[test]
    fn levels_are_checked_before_anything_runs() {
        let errors = run_text("-O1,lower,canonicalize", &CompileOptions::default())
            .err()
            .unwrap();
        assert!(
            errors[0].message.contains("`canonicalize` works on the hlo level"),
            "{}",
            errors[0]
        );
    }

    #[test]
    fn programs_are_printed_before_after_and_as_differences() {
        let options = CompileOptions {
            print: PrintPasses {
                before: vec!["canonicalize".into()],
                after: vec!["canonicalize".into()],
                changed: true,
                ..PrintPasses::default()
            },
            ..CompileOptions::default()
        };
        let (_, recorder) = run_text("inline,canonicalize,remove-dead-ops", &options).unwrap();
        let prints: Vec<(&str, When)> = recorder.prints.iter().map(|p| (p.pass.as_str(), p.when)).collect();
        assert_eq!(
            prints[..3],
            [
                ("canonicalize", When::Before),
                ("canonicalize", When::Changed),
                ("canonicalize", When::After)
            ]
        );
        assert!(
            recorder.prints[1].text.contains("\n-    %"),
            "{}",
            recorder.prints[1].text
        );
        let wrong = CompileOptions {
            print: PrintPasses {
                before: vec!["schedule".into()],
                ..PrintPasses::default()
            },
            ..CompileOptions::default()
        };
        assert!(
            run_text("inline", &wrong).err().unwrap()[0]
                .message
                .contains("no such pass ran")
        );
    }

    #[test]
    fn a_pipeline_may_stop_early() {
        let options = CompileOptions {
            stop_after: Some("lower".into()),
            ..CompileOptions::default()
        };
        let (program, _) = run_text("hlo(-O2),lower,generate-code", &options).unwrap();
        assert_eq!(program.level(), Level::Tile);
        assert!(
            run_text("inline", &options).err().unwrap()[0]
                .message
                .contains("--stop-after=lower")
        );
    }
}
