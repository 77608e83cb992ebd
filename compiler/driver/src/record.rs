//! What happens around a pass: time, verification, prints, dumps. Passes do none of that themselves.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_passes::pass::{AnyPass, PassContext, Property, Step};
use ferrite_passes::program::Program;
use serde::Serialize;

use crate::difference::difference;
use crate::files;
use crate::options::{CompileOptions, PrintPasses};

/// One step of a compilation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Pass, with options that are not its defaults.
    pub pass: String,
    /// Level of its result: `hlo`, `tile` or `isa`.
    pub level: &'static str,
    /// Wall-clock milliseconds, verification and dumps excluded.
    pub ms: f64,
    /// Operations or instructions afterwards.
    pub ops: usize,
    /// Steps inside it, for passes of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTiming>,
}

/// One step inside a pass; steps of the same name are taken together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepTiming {
    /// Its name.
    pub step: &'static str,
    /// Times it ran.
    pub runs: usize,
    /// Milliseconds of all runs together.
    pub ms: f64,
}

/// When a program was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before the pass.
    Before,
    /// After the pass.
    After,
    /// After the pass, as a difference to before.
    Changed,
}

/// The program before or after a pass, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Print {
    /// The pass.
    pub pass: String,
    /// When.
    pub when: When,
    /// The program, or a unified difference.
    pub text: String,
}

/// Records the passes of one compilation.
pub struct Recorder {
    verify: bool,
    dump: Option<PathBuf>,
    print: PrintPasses,
    /// The program after the last pass, where differences are wanted.
    last_text: Option<String>,
    /// Names of the passes that ran.
    ran: Vec<&'static str>,
    /// Passes so far.
    pub timings: Vec<Timing>,
    /// Programs that were asked for so far.
    pub prints: Vec<Print>,
}

impl Recorder {
    /// A recorder for these options. Makes the dump folder.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(options: &CompileOptions) -> Result<Recorder> {
        if let Some(folder) = &options.dump_ir {
            std::fs::create_dir_all(folder).map_err(|e| files::failure(folder, &e))?;
        }
        Ok(Recorder {
            verify: options.verify_each,
            dump: options.dump_ir.clone(),
            print: options.print.clone(),
            last_text: None,
            ran: Vec::new(),
            timings: Vec::new(),
            prints: Vec::new(),
        })
    }

    /// Runs a pass; verifies, dumps and prints as asked.
    ///
    /// # Errors
    /// Those of the pass; [`Code::Bug`] if it left a program that does not verify, or that lacks a property that the pass
    /// promises; [`Code::Io`] from dumping.
    pub fn run(
        &mut self,
        pass: &AnyPass,
        program: &mut Program,
        cx: &mut PassContext<'_>,
    ) -> Result<(), Vec<Diagnostic>> {
        let name = pass.name();
        let named = |names: &[String]| names.iter().any(|n| n == name);
        self.ran.push(name);
        if self.print.before_all || named(&self.print.before) {
            let text = program.text();
            self.keep(pass, When::Before, text);
        }
        let before = self
            .print
            .changed
            .then(|| self.last_text.take().unwrap_or_else(|| program.text()));
        let held: Vec<Property> = if self.verify {
            Self::kept(pass, program)
        } else {
            Vec::new()
        };

        let clock = Rc::new(RefCell::new(Clock::default()));
        let watched = clock.clone();
        cx.watch = Some(Box::new(move |step| watched.borrow_mut().step(step)));
        let start = Instant::now();
        let outcome = pass.apply(program, cx);
        let ms = start.elapsed().as_secs_f64() * 1e3;
        cx.watch = None;
        outcome.map_err(|e| vec![e])?;

        self.timings.push(Timing {
            pass: pass.text(),
            level: program.level().name(),
            ms,
            ops: program.ops(),
            steps: std::mem::take(&mut clock.borrow_mut().steps),
        });
        let printed = self.print.after_all || named(&self.print.after);
        if printed || self.dump.is_some() || before.is_some() {
            let text = program.text();
            if let Some(folder) = &self.dump {
                let file = format!("{:02}-{name}.{}.mlir", self.timings.len() - 1, program.level());
                files::write(&folder.join(file), text.as_bytes()).map_err(|e| vec![e])?;
            }
            if let Some(before) = before {
                if before != text {
                    self.keep(pass, When::Changed, difference(&before, &text));
                }
                self.last_text = Some(text.clone());
            }
            if printed {
                self.keep(pass, When::After, text);
            }
        }
        if self.verify {
            program.verify().map_err(|errors| broken(name, errors))?;
            let promised = pass.about.establishes.iter().chain(&held);
            if let Some(missing) = promised.copied().find(|p| !p.holds(program)) {
                let text =
                    format!("`{name}` left a program that is not `{missing}`, which it says it establishes or keeps");
                return Err(vec![Diagnostic::bug(text)]);
            }
        }
        Ok(())
    }

    /// Properties that hold and that the pass says it keeps.
    fn kept(pass: &AnyPass, program: &Program) -> Vec<Property> {
        let same_level = pass.about.level == pass.about.result;
        let kept = pass.about.preserves.iter().copied();
        kept.filter(|p| same_level && p.holds(program)).collect()
    }

    fn keep(&mut self, pass: &AnyPass, when: When, text: String) {
        let pass = pass.text();
        self.prints.push(Print { pass, when, text });
    }

    /// A pass that was to be printed and never ran is an error.
    ///
    /// # Errors
    /// Its name, with those of the passes that ran.
    pub fn finish(&self) -> Result<()> {
        let asked = [
            ("--print-before", &self.print.before),
            ("--print-after", &self.print.after),
        ];
        let all = asked
            .iter()
            .flat_map(|(option, names)| names.iter().map(move |n| (option, n)));
        for (option, name) in all {
            if !self.ran.contains(&name.as_str()) {
                let text = format!("`{option}={name}`: no such pass ran");
                let help = format!("these ran: {}", self.ran.join(", "));
                return Err(Diagnostic::error(Code::Usage, text).help(help));
            }
        }
        Ok(())
    }
}

/// Measures the steps inside a pass.
#[derive(Default)]
struct Clock {
    open: Vec<(&'static str, Instant)>,
    steps: Vec<StepTiming>,
}

impl Clock {
    fn step(&mut self, step: Step) {
        match step {
            Step::Begin(name) => self.open.push((name, Instant::now())),
            Step::End => {
                let Some((step, start)) = self.open.pop() else { return };
                let ms = start.elapsed().as_secs_f64() * 1e3;
                match self.steps.iter_mut().find(|s| s.step == step) {
                    Some(known) => {
                        known.runs += 1;
                        known.ms += ms;
                    }
                    None => self.steps.push(StepTiming { step, runs: 1, ms }),
                }
            }
        }
    }
}

/// The user's program verified before; what a pass broke is our defect.
fn broken(pass: &str, errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let ours = |e: Diagnostic| Diagnostic {
        message: format!("`{pass}` left a program that does not verify: {}", e.message),
        ..Diagnostic::bug("").at(&e.location)
    };
    errors.into_iter().take(10).map(ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_one_name_are_taken_together() {
        let mut clock = Clock::default();
        for name in ["spill", "place", "spill"] {
            clock.step(Step::Begin(name));
            clock.step(Step::End);
        }
        clock.step(Step::End); // one too many does no harm
        let runs: Vec<(&str, usize)> = clock.steps.iter().map(|s| (s.step, s.runs)).collect();
        assert_eq!(runs, [("spill", 2), ("place", 1)]);
    }
}
