//! MLIR itself: a context with its dialects and ours, reading, verifying, passes, printing.
//!
//! All of `melior` is here. What MLIR says is wrong comes back as our diagnostics.

use std::cell::RefCell;
use std::rc::Rc;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::loc::{Location, Source};
use melior::Context;
use melior::diagnostic::DiagnosticSeverity;
use melior::dialect::DialectRegistry;
use melior::ir::Module;
use melior::ir::operation::{OperationLike, OperationPrintingFlags};
use melior::pass::PassManager;
use melior::utility::{load_irdl_dialects, parse_pass_pipeline, register_all_dialects, register_all_passes};

/// A context, and what was said in it.
pub struct Mlir {
    context: Context,
    said: Rc<RefCell<Vec<Diagnostic>>>,
}

/// The result of something that MLIR may refuse.
pub type Result<T> = std::result::Result<T, Vec<Diagnostic>>;

impl Mlir {
    /// A context with all upstream dialects and ours. `unregistered` allows dialects that are neither.
    pub fn new(unregistered: bool) -> Result<Mlir> {
        let registry = DialectRegistry::new();
        register_all_dialects(&registry);
        let context = Context::new_with_threading(false);
        context.append_dialect_registry(&registry);
        context.set_allow_unregistered_dialects(unregistered);
        let said = Rc::new(RefCell::new(Vec::new()));
        let heard = said.clone();
        context.attach_diagnostic_handler(move |diagnostic| {
            let diagnostics = convert(&diagnostic);
            heard.borrow_mut().extend(diagnostics);
            true
        });
        let mlir = Mlir { context, said };
        for file in ferrite_mlir::irdl::files() {
            let definitions = mlir.parse(file.text.as_bytes())?;
            if !load_irdl_dialects(&definitions) {
                return Err(mlir.wrong(&format!("`{}` cannot be loaded", file.name)));
            }
        }
        Ok(mlir)
    }

    /// Reads text or bytecode, and verifies it.
    pub fn parse(&self, source: &[u8]) -> Result<Module<'_>> {
        let module = match std::str::from_utf8(source) {
            Ok(text) if !text.contains('\0') => Module::parse(&self.context, text),
            _ => parse_bytes(&self.context, source),
        };
        let module = module.ok_or_else(|| self.wrong("this is no MLIR module"))?;
        self.verify(&module)?;
        Ok(module)
    }

    /// MLIR's own verifier.
    pub fn verify(&self, module: &Module) -> Result<()> {
        if module.as_operation().verify() {
            Ok(())
        } else {
            Err(self.wrong("the module breaks a rule of its dialects"))
        }
    }

    /// Runs a pipeline in MLIR's syntax, with or without the outer `builtin.module(...)`.
    pub fn run(&self, module: &mut Module, pipeline: &str) -> Result<()> {
        register_all_passes();
        let whole = if pipeline.trim_start().starts_with("builtin.module") {
            pipeline.to_string()
        } else {
            format!("builtin.module({pipeline})")
        };
        let manager = PassManager::new(&self.context);
        parse_pass_pipeline(manager.as_operation_pass_manager(), &whole).map_err(|error| {
            let message = format!("`{pipeline}` is no pipeline: {}", first_line(&error.to_string()));
            let help = "write passes as `mlir-opt --pass-pipeline` takes them: `canonicalize,func.func(linalg-generalize-named-ops)`";
            vec![Diagnostic::error(Code::Usage, message).help(help)]
        })?;
        manager
            .run(module)
            .map_err(|_| self.wrong(&format!("`{pipeline}` cannot be run on this module")))
    }

    /// The text of a module.
    pub fn print(&self, module: &Module, generic: bool, locations: bool) -> Result<String> {
        let mut flags = OperationPrintingFlags::new();
        if generic {
            flags = flags.print_generic_operation_form();
        }
        if locations {
            flags = flags.enable_debug_info(true, false);
        }
        module
            .as_operation()
            .to_string_with_flags(flags)
            .map_err(|error| vec![Diagnostic::bug(format!("MLIR prints no text: {error}"))])
    }

    /// What MLIR said since the last time, or that it said nothing.
    fn wrong(&self, otherwise: &str) -> Vec<Diagnostic> {
        let said = std::mem::take(&mut *self.said.borrow_mut());
        if said.is_empty() {
            vec![Diagnostic::error(Code::Parse, otherwise)]
        } else {
            said
        }
    }
}

/// Bytes that are no text: MLIR's bytecode.
fn parse_bytes<'c>(context: &'c Context, source: &[u8]) -> Option<Module<'c>> {
    // MLIR asks for a zero byte behind what it reads.
    let bytes: Vec<u8> = source.iter().copied().chain([0]).collect();
    let reference = mlir_sys::MlirStringRef {
        data: bytes.as_ptr().cast(),
        length: source.len(),
    };
    // SAFETY: the bytes live through the call, and the module owns what it needs of them.
    unsafe { Module::from_option_raw(mlir_sys::mlirModuleCreateParse(context.to_raw(), reference)) }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text).trim()
}

/// An error of MLIR with its notes as help. Warnings and remarks say nothing that would stop us.
fn convert(diagnostic: &melior::diagnostic::Diagnostic) -> Option<Diagnostic> {
    if !matches!(diagnostic.severity(), DiagnosticSeverity::Error) {
        return None;
    }
    let mut error = Diagnostic::error(Code::Verify, diagnostic.to_string());
    error.location = location(&diagnostic.location().to_string());
    let notes = (0..diagnostic.note_count()).filter_map(|index| diagnostic.note(index).ok());
    let note = notes
        .map(|note| note.to_string())
        .find(|note| !note.starts_with("see current operation"));
    if let Some(note) = note {
        error = error.help(note);
    }
    Some(error)
}

/// `loc("-":3:5)` is in the file that was read, which MLIR knows by no name; others are the model's.
fn location(text: &str) -> Location {
    let inner = text.trim_start_matches("loc(").trim_end_matches(')');
    let mut parts = inner.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
    let (Some(column), Some(line), Some(file)) = (number(column), number(line), file) else {
        return Location::default();
    };
    let file = file.trim_matches('"');
    if file == "-" {
        return Location {
            line,
            column,
            source: None,
        };
    }
    Location {
        source: Some(Source::File {
            file: file.to_string(),
            line,
            column,
        }),
        ..Location::default()
    }
}
