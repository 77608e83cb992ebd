//! Filetests: text in, text out, numbers unchanged.
//!
//! ```text
//! // RUN: canonicalize, remove-dead-ops               (a pipeline's text; empty to print only)
//! // OPTIONS: auto-cast=all auto-cast-type=fp16       (optional; also target=NAME, native-int64 and generic)
//! // EVAL: exact | skip | atol=1e-3 rtol=1e-2         (optional; a few units in the last place otherwise)
//! // CHECK: stablehlo.add                             (optional; texts that the output has, in this order)
//! // CHECK-NOT: stablehlo.transpose                   (optional; a text that it has not)
//! func.func @main(...) ...
//! // OUT:
//! // func.func @main(...) ...
//! ```
//!
//! The program, of any level, is parsed, run through the passes with a verification between any two, printed and compared
//! with the patterns and with the text below `OUT:`; a file with patterns may go without. It is also evaluated before and
//! after on seeded inputs, and the numbers are compared: hlo in the interpreter, tiles and instructions in the simulator. A
//! program that a pass refuses has the rendered diagnostic as its output.

use std::fmt::Write as _;

use ferrite_driver::options::{self, CompileOptions};
use ferrite_driver::record::Recorder;
use ferrite_driver::{judge, manager, pipeline, random};
use ferrite_interp::Tensor;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::print::{PrintOptions, print_with};
use ferrite_passes::program::Program;

use crate::TARGET;
use crate::numbers::{Tolerance, difference, evaluate};

/// Inputs are drawn this many times.
const SEEDS: u64 = 3;

/// What a file asks for.
struct Directives<'t> {
    passes: &'t str,
    options: CompileOptions,
    generic: bool,
    tolerance: Option<Tolerance>,
    checks: Vec<&'t str>,
    absent: Vec<&'t str>,
}

/// The pipeline of a filetest.
pub fn pipeline_of(text: &str) -> Option<&str> {
    let mut lines = text.lines().take_while(|line| line.starts_with("//"));
    lines
        .find_map(|line| line.trim_start_matches('/').trim().strip_prefix("RUN:"))
        .map(str::trim)
}

/// Runs one filetest. Returns the text with the output that was found below `OUT:`, if it should have one.
///
/// # Errors
/// What is wrong with the file, patterns that the output does not have, numbers that differ.
pub fn run(text: &str) -> Result<String, String> {
    let directives = directives(text)?;
    let input = text.split("\n// OUT:").next().unwrap_or(text);
    let found = match read(input) {
        Err(errors) => rendered(&errors),
        Ok(before) => match run_passes(before.clone(), &directives) {
            Err(errors) => rendered(&errors),
            Ok(after) => {
                if let Some(tolerance) = directives.tolerance {
                    same_numbers(&before, &after, &directives.options, tolerance)?;
                }
                printed(&after, directives.generic)
            }
        },
    };
    patterns(&directives, &found)?;
    let has_patterns = !directives.checks.is_empty() || !directives.absent.is_empty();
    let mut out = format!("{}\n", input.trim_end());
    if has_patterns && !text.contains("\n// OUT:") {
        return Ok(out);
    }
    out.push_str("// OUT:\n");
    for line in found.lines() {
        let _ = writeln!(out, "{}", format!("// {line}").trim_end());
    }
    Ok(out)
}

fn read(text: &str) -> Result<Program, Vec<Diagnostic>> {
    Program::parse(text).unwrap_or_else(|| parse(text).map(Program::Hlo))
}

fn run_passes(mut program: Program, directives: &Directives<'_>) -> Result<Program, Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let options = &directives.options;
    program.verify()?;
    let passes = pipeline::resolve(directives.passes, &options.extensions).map_err(one)?;
    let machine = options.machine_model().map_err(one)?;
    let mut recorder = Recorder::new(options).map_err(one)?;
    manager::run(&mut program, &passes, options, &machine, &mut recorder)?;
    Ok(program)
}

fn patterns(directives: &Directives<'_>, found: &str) -> Result<(), String> {
    let mut rest = found;
    for check in &directives.checks {
        let Some(at) = rest.find(check) else {
            let place = if found.contains(check) {
                "in this order"
            } else {
                "at all"
            };
            return Err(format!("`CHECK: {check}` is not found {place} in\n{found}"));
        };
        rest = &rest[at + check.len()..];
    }
    match directives.absent.iter().find(|text| found.contains(**text)) {
        Some(text) => Err(format!("`CHECK-NOT: {text}` is found in\n{found}")),
        None => Ok(()),
    }
}

fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|d| format!("{d}\n")).collect()
}

/// The program; a module's functions without the module around them where it says nothing.
fn printed(program: &Program, generic: bool) -> String {
    let Program::Hlo(module) = program else {
        return program.text_with(false);
    };
    let text = print_with(
        module,
        PrintOptions {
            generic,
            ..PrintOptions::default()
        },
    );
    match text
        .strip_prefix("module {\n")
        .and_then(|t| t.trim_end().strip_suffix('}'))
    {
        Some(inner) => inner
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)))
            .collect(),
        None => text,
    }
}

fn same_numbers(
    before: &Program,
    after: &Program,
    options: &CompileOptions,
    tolerance: Tolerance,
) -> Result<(), String> {
    let types = judge::input_types(before).map_err(|e| rendered(&e))?;
    for seed in 0..SEEDS {
        let inputs = random::random_tensors(&types, seed).map_err(|d| d.to_string())?;
        let want = values(before, &inputs, options).map_err(|e| format!("before: {e}"))?;
        let got = values(after, &inputs, options).map_err(|e| format!("after: {e}"))?;
        if let Some(difference) = difference(&got, &want, tolerance) {
            return Err(format!("the passes change the numbers: {difference}"));
        }
    }
    Ok(())
}

fn values(program: &Program, inputs: &[Tensor], options: &CompileOptions) -> Result<Vec<Tensor>, String> {
    let hlo = |module: &Module| evaluate(module, inputs).map_err(|d| d.to_string());
    match program {
        Program::Hlo(module) => hlo(module),
        other => judge::evaluate(other, inputs, options).map_err(|e| rendered(&e)),
    }
}

fn directives(text: &str) -> Result<Directives<'_>, String> {
    let mut found = Directives {
        passes: pipeline_of(text).ok_or("there is no `// RUN:` line")?,
        options: CompileOptions {
            target: TARGET.to_string(),
            verify_each: true,
            ..CompileOptions::default()
        },
        generic: false,
        tolerance: Some(Tolerance::CLOSE),
        checks: Vec::new(),
        absent: Vec::new(),
    };
    for line in text.lines().take_while(|line| line.starts_with("//")) {
        let line = line.trim_start_matches('/').trim();
        if let Some(list) = line.strip_prefix("OPTIONS:") {
            for word in list.split_whitespace() {
                option(&mut found, word)?;
            }
        } else if let Some(list) = line.strip_prefix("EVAL:") {
            found.tolerance = tolerance(list.trim())?;
        } else if let Some(pattern) = line.strip_prefix("CHECK:") {
            found.checks.push(pattern.trim());
        } else if let Some(pattern) = line.strip_prefix("CHECK-NOT:") {
            found.absent.push(pattern.trim());
        }
    }
    Ok(found)
}

fn option(found: &mut Directives<'_>, word: &str) -> Result<(), String> {
    let options = &mut found.options;
    let (key, value) = word.split_once('=').unwrap_or((word, "true"));
    match (key, value) {
        ("auto-cast", _) => options.auto_cast = options::auto_cast(value).map_err(|e| e.to_string())?,
        ("auto-cast-type", _) => options.auto_cast_type = options::cast_type(value).map_err(|e| e.to_string())?,
        ("target", _) => options.target = value.to_string(),
        ("disable-mixed-precision-accumulation", "true") => options.mixed_precision_accumulation = false,
        ("native-int64", "true") => options.native_int64 = true,
        ("generic", "true") => found.generic = true,
        _ => return Err(format!("`{word}` is no option of a filetest")),
    }
    Ok(())
}

fn tolerance(text: &str) -> Result<Option<Tolerance>, String> {
    match text {
        "skip" => return Ok(None),
        "exact" => return Ok(Some(Tolerance::EXACT)),
        _ => {}
    }
    let mut tolerance = Tolerance::EXACT;
    for word in text.split_whitespace() {
        let number = |v: &str| v.parse::<f64>().map_err(|_| format!("`{v}` is no number"));
        match word.split_once('=') {
            Some(("atol", v)) => tolerance.atol = number(v)?,
            Some(("rtol", v)) => tolerance.rtol = number(v)?,
            _ => return Err(format!("`{word}` is no tolerance")),
        }
    }
    Ok(Some(tolerance))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "func.func public @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.negate %arg0 : tensor<4xf32>
  %1 = stablehlo.abs %0 : tensor<4xf32>
  return %1 : tensor<4xf32>
}
";

    #[test]
    fn patterns_are_found_in_order() {
        let ok = format!(
            "// RUN:\n// CHECK: stablehlo.negate\n// CHECK: stablehlo.abs\n// CHECK-NOT: stablehlo.add\n{PROGRAM}"
        );
        assert_eq!(run(&ok).unwrap(), ok);
        let order = format!("// RUN:\n// CHECK: stablehlo.abs\n// CHECK: stablehlo.negate\n{PROGRAM}");
        assert!(run(&order).unwrap_err().contains("in this order"));
        let absent = format!("// RUN:\n// CHECK-NOT: stablehlo.abs\n{PROGRAM}");
        assert!(run(&absent).unwrap_err().contains("is found in"));
    }

    #[test]
    fn the_output_stands_below_the_input() {
        let found = run(&format!("// RUN: remove-dead-ops\n{PROGRAM}")).unwrap();
        assert!(found.contains("// OUT:\n// func.func public @main"), "{found}");
        assert_eq!(run(&found).unwrap(), found);
    }

    #[test]
    fn what_is_no_directive_is_told() {
        assert!(run(PROGRAM).unwrap_err().contains("RUN"));
        assert!(
            run(&format!("// RUN:\n// OPTIONS: fast\n{PROGRAM}"))
                .unwrap_err()
                .contains("`fast`")
        );
        assert!(
            run(&format!("// RUN:\n// EVAL: about\n{PROGRAM}"))
                .unwrap_err()
                .contains("`about`")
        );
        let unknown = run(&format!("// RUN: fly\n// EVAL: skip\n{PROGRAM}")).unwrap();
        assert!(unknown.contains("no pass `fly`"), "{unknown}");
    }
}
