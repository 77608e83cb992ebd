//! Programs that say themselves what they should come to.
//!
//! A file holds programs parted by lines `// -----`. A program without parameters checks its own values
//! (`check.expect_*`) when it is evaluated. One that begins with `// expect-error: TEXT` must be refused with a message
//! that contains the text, whether by the front end or by the interpreter.

use ferrite_frontend::Frontend;
use ferrite_interp::Interpreter;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::print::{self, PrintOptions};

/// The programs of a file.
pub fn programs(text: &str) -> impl Iterator<Item = &str> {
    text.split("// -----")
}

/// Prints a module in custom and in generic form and reads both back.
///
/// # Errors
/// If a form is not read back, or as another program.
pub fn round_trip(module: &Module) -> Result<(), String> {
    let printed = print::print(module);
    for generic in [false, true] {
        let options = PrintOptions {
            generic,
            ..PrintOptions::default()
        };
        let text = print::print_with(module, options);
        let form = if generic { "generic" } else { "custom" };
        let back = Frontend::read(text.as_bytes(), "printed")
            .map_err(|errors| format!("its {form} form is not read back: {}", all(&errors)))?;
        if print::print(&back) != printed {
            return Err(format!("its {form} form reads back as another program"));
        }
    }
    Ok(())
}

/// Reads a program, prints and re-reads it, and evaluates it if it takes nothing.
///
/// # Errors
/// If it is refused or a check fails, unless it says so; then, if it is not.
pub fn check(program: &str) -> Result<(), String> {
    let expected = program
        .lines()
        .find_map(|line| line.trim().strip_prefix("// expect-error:"))
        .map(str::trim);
    match (evaluate(program), expected) {
        (outcome, None) => outcome,
        (Ok(()), Some(text)) => Err(format!("nothing is wrong; expected `{text}`")),
        (Err(message), Some(text)) if message.contains(text) => Ok(()),
        (Err(message), Some(text)) => Err(format!("expected `{text}`: {message}")),
    }
}

fn evaluate(program: &str) -> Result<(), String> {
    let module = Frontend::read(program.as_bytes(), "program").map_err(|errors| all(&errors))?;
    round_trip(&module)?;
    let takes = module.entry().map_or(0, |id| module.func(id).args().len());
    if takes == 0 {
        Interpreter::new(&module).run(&[]).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn all(errors: &[Diagnostic]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
