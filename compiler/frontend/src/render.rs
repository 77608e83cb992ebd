//! Diagnostics with the line they speak of.

use std::fmt::Write;

use ferrite_ir::diag::{Diagnostic, Severity};

/// Characters of a line that are shown.
const WIDTH: usize = 120;

/// Renders a diagnostic as text of several lines.
///
/// `name` is the name of the file, `source` its text, if it is one. Without a line only the message and its notes are
/// shown.
pub fn render(diagnostic: &Diagnostic, name: &str, source: Option<&str>) -> String {
    let mut out = String::new();
    let severity = match diagnostic.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    put(
        &mut out,
        format_args!("{severity}[{}]: {}\n", diagnostic.code, clean(&diagnostic.message)),
    );
    let (line, column) = (diagnostic.location.line, diagnostic.location.column);
    let mut margin = 3;
    let mut label = diagnostic.label.as_deref();
    if line > 0 {
        let number = line.to_string();
        margin = number.len();
        put(&mut out, format_args!("{:margin$}--> {name}:{line}:{column}\n", ""));
        let text = source.and_then(|source| source.lines().nth(line as usize - 1));
        if let Some(text) = text {
            let (shown, start, length) = window(text, column.max(1) as usize - 1);
            put(&mut out, format_args!("{:margin$} |\n{number} | {shown}\n", ""));
            let carets = "^".repeat(length);
            put(&mut out, format_args!("{:margin$} | {:start$}{carets}", "", ""));
            if let Some(label) = label.take() {
                put(&mut out, format_args!(" {}", clean(label)));
            }
            out.push('\n');
        }
    } else if source.is_none() && !name.is_empty() {
        put(&mut out, format_args!("{:margin$}--> {name}\n", ""));
    }
    if let Some(source) = &diagnostic.location.source {
        put(
            &mut out,
            format_args!("{:margin$} = from: {}\n", "", clean(&source.to_string())),
        );
    }
    if let Some(label) = label {
        put(&mut out, format_args!("{:margin$} = note: {}\n", "", clean(label)));
    }
    if let Some(help) = &diagnostic.help {
        put(&mut out, format_args!("{:margin$} = help: {}\n", "", clean(help)));
    }
    out
}

/// Renders all diagnostics, with an empty line between.
pub fn render_all(diagnostics: &[Diagnostic], name: &str, source: Option<&str>) -> String {
    let all: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| render(diagnostic, name, source))
        .collect();
    all.join("\n")
}

fn put(out: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a `String` cannot go wrong.
    let _ = out.write_fmt(arguments);
}

/// Text for a terminal: no control characters.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

/// The part of a line around `column` (in characters from 0) that is shown, the place of the caret in it and the
/// length of what it marks: the word that begins there.
fn window(text: &str, column: usize) -> (String, usize, usize) {
    let from = column.saturating_sub(WIDTH / 2);
    let mut shown: Vec<char> = text.chars().skip(from).take(WIDTH + 1).collect();
    let cut = shown.len() > WIDTH;
    shown.truncate(WIDTH);
    for c in &mut shown {
        if c.is_control() {
            *c = ' ';
        }
    }
    let place = column - from;
    let word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '#');
    let rest = shown.get(place..).unwrap_or(&[]);
    let sigil = usize::from(matches!(rest.first(), Some('%' | '@' | '^' | '!' | '"')));
    let length = sigil + rest.iter().skip(sigil).take_while(|c| word(c)).count();
    let (before, after) = (if from > 0 { "... " } else { "" }, if cut { " ..." } else { "" });
    let line = format!("{before}{}{after}", shown.into_iter().collect::<String>());
    (line, place + before.len(), length.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_ir::diag::Code;

    #[test]
    fn a_diagnostic_shows_its_line() {
        let source = "module {\n  %0 = stablehlo.frobnicate %x : tensor<f32>\n}\n";
        let diagnostic = Diagnostic::error(Code::Unsupported, "operation `stablehlo.frobnicate` is not supported")
            .at_line(2, 8)
            .label("here")
            .help("use another one");
        let expected = "\
error[FE_UNSUPPORTED]: operation `stablehlo.frobnicate` is not supported
 --> m.mlir:2:8
  |
2 |   %0 = stablehlo.frobnicate %x : tensor<f32>
  |        ^^^^^^^^^^^^^^^^^^^^ here
  = help: use another one
";
        assert_eq!(render(&diagnostic, "m.mlir", Some(source)), expected);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let source = format!("{}%bad{}", "x".repeat(10_000), "y".repeat(10_000));
        let diagnostic = Diagnostic::error(Code::Parse, "no").at_line(1, 10_001);
        let text = render(&diagnostic, "m", Some(&source));
        assert!(text.lines().all(|line| line.len() < 2 * WIDTH), "{text}");
        assert!(text.contains("%bad"), "{text}");
    }
}
