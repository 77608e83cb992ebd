//! Filetests: text in, text out, numbers unchanged.
//!
//! ```text
//! // RUN: canonicalize, remove-dead-ops
//! // OPTIONS: auto-cast=all auto-cast-type=fp16      (optional)
//! // EVAL: exact | skip | atol=1e-3 rtol=1e-2        (optional; a few units in the last place otherwise)
//! func.func @main(...) ...
//! // OUT:
//! // func.func @main(...) ...
//! ```
//!
//! The program is parsed, run through the passes with a verification between any two, printed and compared with the text
//! below `OUT:`. It is also evaluated before and after on seeded inputs, and the numbers are compared. A program that a
//! pass refuses has the rendered diagnostic below `OUT:`.

use std::fmt::Write as _;

use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::print::print;
use ferrite_passes::options::{AutoCast, CastType, CompileOptions};

use crate::numbers::{Tolerance, difference, evaluate, random_inputs};
use crate::run_passes;

/// Inputs are drawn this many times.
const SEEDS: u64 = 3;

/// What a file asks for.
struct Directives<'t> {
    passes: Vec<&'t str>,
    options: CompileOptions,
    tolerance: Option<Tolerance>,
}

/// Runs one filetest. Returns the text with the output that was found below `OUT:`.
///
/// # Errors
/// What is wrong with the file, or numbers that differ.
pub fn run(text: &str) -> Result<String, String> {
    let directives = directives(text)?;
    let input = text.split("\n// OUT:").next().unwrap_or(text);
    let found = match parse(input) {
        Err(errors) => rendered(errors.iter()),
        Ok(before) => {
            let mut after = before.clone();
            match run_passes(&mut after, &directives.passes, &directives.options) {
                Err(diagnostic) => rendered([&diagnostic].into_iter()),
                Ok(()) => {
                    if let Some(tolerance) = directives.tolerance {
                        same_numbers(&before, &after, tolerance)?;
                    }
                    printed(&after)
                }
            }
        }
    };
    let mut out = format!("{}\n// OUT:\n", input.trim_end());
    for line in found.lines() {
        let _ = writeln!(out, "{}", format!("// {line}").trim_end());
    }
    Ok(out)
}

fn rendered<'d>(diagnostics: impl Iterator<Item = &'d ferrite_ir::diag::Diagnostic>) -> String {
    diagnostics.map(|d| format!("{d}\n")).collect()
}

/// The module's functions, without the module around them where it says nothing.
fn printed(module: &Module) -> String {
    let text = print(module);
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

fn same_numbers(before: &Module, after: &Module, tolerance: Tolerance) -> Result<(), String> {
    for seed in 0..SEEDS {
        let inputs = random_inputs(before, seed).map_err(|d| d.to_string())?;
        let want = evaluate(before, &inputs).map_err(|d| format!("before: {d}"))?;
        let got = evaluate(after, &inputs).map_err(|d| format!("after: {d}"))?;
        if let Some(difference) = difference(&got, &want, tolerance) {
            return Err(format!("the passes change the numbers: {difference}"));
        }
    }
    Ok(())
}

fn directives(text: &str) -> Result<Directives<'_>, String> {
    let mut found = Directives {
        passes: Vec::new(),
        options: CompileOptions::default(),
        tolerance: Some(Tolerance::CLOSE),
    };
    let mut runs = false;
    for line in text.lines().take_while(|line| line.starts_with("//")) {
        let line = line.trim_start_matches('/').trim();
        if let Some(list) = line.strip_prefix("RUN:") {
            runs = true;
            found.passes = list.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
        } else if let Some(list) = line.strip_prefix("OPTIONS:") {
            for word in list.split_whitespace() {
                option(&mut found.options, word)?;
            }
        } else if let Some(list) = line.strip_prefix("EVAL:") {
            found.tolerance = tolerance(list.trim())?;
        }
    }
    if runs {
        Ok(found)
    } else {
        Err("there is no `// RUN:` line".into())
    }
}

fn option(options: &mut CompileOptions, word: &str) -> Result<(), String> {
    let (key, value) = word.split_once('=').unwrap_or((word, "true"));
    match (key, value) {
        ("auto-cast", "none") => options.auto_cast = AutoCast::None,
        ("auto-cast", "matmult") => options.auto_cast = AutoCast::Matmult,
        ("auto-cast", "all") => options.auto_cast = AutoCast::All,
        ("auto-cast-type", "bf16") => options.auto_cast_type = CastType::Bf16,
        ("auto-cast-type", "fp16") => options.auto_cast_type = CastType::Fp16,
        ("auto-cast-type", "tf32") => options.auto_cast_type = CastType::Tf32,
        ("auto-cast-type", "fp8_e4m3") => options.auto_cast_type = CastType::Fp8E4m3,
        ("native-int64", "true") => options.native_int64 = true,
        ("disable-mixed-precision-accumulation", "true") => options.mixed_precision_accumulation = false,
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
