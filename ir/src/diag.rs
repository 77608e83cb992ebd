//! Diagnostics: what is wrong, where, why, and what to do about it.
//!
//! A user's mistake is a [`Diagnostic`] and travels as a value; a mistake of ours is a [`Diagnostic`] with
//! [`Code::Bug`], which the executables turn into exit code 70 and a saved reproducer. Rendering with the offending
//! source line lives in the front end, which alone has the text.

use std::fmt;

use crate::loc::Location;

/// Stable code of a diagnostic: the documented `NCC_...` one where the case is the same, otherwise ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The input is not what its kind promises: syntax.
    Parse,
    /// The program breaks a rule of the StableHLO specification.
    Verify,
    /// A documented code of the compiler this one stands in for, without the prefix (`EVRF015`, `EOOM001`).
    Ncc(&'static str),
    /// A form or feature that Ferrite does not support.
    Unsupported,
    /// A wrong option or argument.
    Usage,
    /// A file that cannot be read or written.
    Io,
    /// A NEFF that is not well formed.
    BadNeff,
    /// A finding of the simulator's legality checker: illegal operand, race, uninitialised read, deadlock.
    Illegal,
    /// Results differ from what was expected.
    Mismatch,
    /// A broken invariant of Ferrite itself.
    Bug,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Parse => f.write_str("FE_PARSE"),
            Code::Verify => f.write_str("FE_VERIFY"),
            Code::Ncc(code) => write!(f, "NCC_{code}"),
            Code::Unsupported => f.write_str("FE_UNSUPPORTED"),
            Code::Usage => f.write_str("NCC_EARG001"),
            Code::Io => f.write_str("FE_IO"),
            Code::BadNeff => f.write_str("FE_NEFF"),
            Code::Illegal => f.write_str("FE_ILLEGAL"),
            Code::Mismatch => f.write_str("FE_MISMATCH"),
            Code::Bug => f.write_str("FE_BUG"),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Compilation goes on.
    Warning,
    /// There will be no output.
    Error,
}

/// One message. Texts start in lower case, quote names in backticks and end without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// Where, in the input file and in the model's source.
    pub location: Location,
    /// Short text under the caret: the number or fact that decided.
    pub label: Option<String>,
    /// What to do, and what it would bring.
    pub help: Option<String>,
}

/// Result of everything that can fail because of its input.
pub type Result<T, E = Diagnostic> = std::result::Result<T, E>;

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            location: Location::default(),
            label: None,
            help: None,
        }
    }

    /// A warning without a place.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message)
        }
    }

    /// A broken invariant of ours.
    pub fn bug(message: impl Into<String>) -> Self {
        Diagnostic::error(Code::Bug, message).help("this is a defect of Ferrite, please report it with the saved input")
    }

    /// Adds the place.
    pub fn at(mut self, location: &Location) -> Self {
        self.location = location.clone();
        self
    }

    /// Adds a line and column of the input file (both from 1).
    pub fn at_line(mut self, line: u32, column: u32) -> Self {
        self.location.line = line;
        self.location.column = column;
        self
    }

    /// Adds the text under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds the advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}[{}]: {}", self.code, self.message)?;
        match (&self.location.line, &self.location.source) {
            (0, None) => {}
            (0, Some(source)) => write!(f, "\n  --> {source}")?,
            (line, source) => {
                write!(f, "\n  --> line {line}:{}", self.location.column)?;
                if let Some(source) = source {
                    write!(f, "\n   = from: {source}")?;
                }
            }
        }
        if let Some(label) = &self.label {
            write!(f, "\n   = note: {label}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}
