//! What the commands for people who work on the compiler print.

use std::fmt::Write as _;
use std::io::IsTerminal;

use ferrite_driver::Extensions;
use ferrite_driver::ablate::Worth;
use ferrite_driver::bisect::Bisection;
use ferrite_driver::difference::difference;
use ferrite_driver::pipeline::{CODE, PIPELINES};
use ferrite_driver::record::{Print, Timing, When};
use ferrite_driver::reduce::Reduced;
use ferrite_passes::pass::{About, Property};

use super::super::text::{grouped, wrapped};
use super::args::Color;

macro_rules! line {
    ($text:expr, $($arg:tt)*) => {{
        // Writing to a string has no error.
        let _ = writeln!($text, $($arg)*);
    }};
}

/// Programs that were asked for.
pub fn prints(prints: &[Print], color: Color) -> String {
    let mut text = String::new();
    for print in prints {
        match print.when {
            When::Before => line!(text, "// before {}\n{}", print.pass, print.text),
            When::After => line!(text, "// after {}\n{}", print.pass, print.text),
            When::Changed => line!(text, "// changed by {}\n{}", print.pass, colored(&print.text, color)),
        }
    }
    text
}

/// A difference with colors, if there should be some.
fn colored(difference: &str, color: Color) -> String {
    let wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    };
    if !wanted {
        return difference.to_string();
    }
    let mut text = String::new();
    for l in difference.lines() {
        let code = match l.as_bytes().first() {
            Some(b'-') => "\x1b[31m",
            Some(b'+') => "\x1b[32m",
            Some(b'@') => "\x1b[36m",
            _ => {
                line!(text, "{l}");
                continue;
            }
        };
        line!(text, "{code}{l}\x1b[0m");
    }
    text
}

/// Times of passes as a tree: levels, passes, steps inside a pass; with `worth`, the cycles that each pass wins.
pub fn timings(timings: &[Timing], worth: &[Worth]) -> String {
    let mut text = String::new();
    let won = |pass: &str| {
        if worth.is_empty() {
            return String::new();
        }
        let name = pass.split('{').next().unwrap_or(pass);
        let found = worth.iter().find(|w| w.pass == name);
        let shown = match found.map(|w| (w.cycles_won, &w.needed)) {
            Some((Some(cycles), _)) if cycles < 0 => format!("-{}", grouped(cycles.unsigned_abs())),
            Some((Some(cycles), _)) => grouped(cycles.unsigned_abs()),
            Some((None, Some(_))) => "needed".to_string(),
            _ => String::new(),
        };
        format!("{shown:>12}  ")
    };
    let column = if worth.is_empty() {
        String::new()
    } else {
        format!("{:>12}  ", "cycles won")
    };
    line!(text, "{:>10}  {:>9}  {column}pass", "ms", "ops");
    let total: f64 = timings.iter().map(|t| t.ms).sum();
    line!(text, "{total:>10.2}  {:>9}  {}all", "", won(""));
    for group in timings.chunk_by(|a, b| a.level == b.level) {
        let sum: f64 = group.iter().map(|t| t.ms).sum();
        line!(text, "{sum:>10.2}  {:>9}  {}  to {}", "", won(""), group[0].level);
        for t in group {
            line!(
                text,
                "{:>10.2}  {:>9}  {}    {}",
                t.ms,
                grouped(t.ops as u64),
                won(&t.pass),
                t.pass
            );
            for s in &t.steps {
                let runs = if s.runs > 1 {
                    format!(" ({} rounds)", s.runs)
                } else {
                    String::new()
                };
                line!(text, "{:>10.2}  {:>9}  {}      {}{runs}", s.ms, "", won(""), s.step);
            }
        }
    }
    text
}

/// What a bisection found.
pub fn bisection(found: &Bisection, color: Color) -> String {
    let mut text = String::new();
    for t in &found.tried {
        let outcome = t.wrong.as_deref().unwrap_or("as before");
        line!(text, "after {:>3} passes (last `{}`): {outcome}", t.after, t.pass);
    }
    match &found.broken {
        None => line!(
            text,
            "bisect: all {} passes keep what the program computes",
            found.passes
        ),
        Some(b) => {
            line!(
                text,
                "\nbisect: `{}`, pass {} of {}: {}",
                b.pass,
                b.index + 1,
                found.passes,
                b.wrong
            );
            text.push_str(&colored(&difference(&b.before, &b.after), color));
        }
    }
    text
}

/// What a reduction came to.
pub fn reduced(r: &Reduced) -> String {
    let limited = if r.limited { "; stopped at the limit" } else { "" };
    format!(
        "// {} of {} operations are left, {} candidates checked{limited}\n",
        r.ops_after, r.ops_before, r.checked
    )
}

/// Passes, and pipelines if `all`.
pub fn passes(list: &[About], all: bool, extensions: &Extensions) -> String {
    let mut text = String::new();
    for pass in list {
        if pass.level == pass.result {
            line!(text, "{} ({})", pass.name, pass.level);
        } else {
            line!(text, "{} ({} to {})", pass.name, pass.level, pass.result);
        }
        for part in wrapped(pass.doc, 92) {
            line!(text, "    {part}");
        }
        let names = |list: &[Property]| list.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ");
        if !pass.requires.is_empty() {
            line!(text, "    needs: {}", names(pass.requires));
        }
        if !pass.establishes.is_empty() {
            line!(text, "    establishes: {}", names(pass.establishes));
        }
        if !all && !pass.preserves.is_empty() {
            line!(text, "    keeps: {}", names(pass.preserves));
        }
        for option in pass.options {
            line!(
                text,
                "    {{{}}}: {} [default: {}]",
                option.name,
                option.doc,
                option.default
            );
        }
    }
    if !all {
        return text;
    }
    line!(text, "\npipelines");
    let theirs = extensions.pipelines.iter();
    for (name, passes) in theirs {
        line!(text, "{name}: {passes}");
    }
    for pipeline in PIPELINES {
        line!(text, "{}: {}", pipeline.name, pipeline.doc);
        for part in wrapped(&pipeline.passes.join(", "), 92) {
            line!(text, "    {part}");
        }
    }
    line!(text, "a compilation: hlo(-O2),{CODE}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_colored_line_by_line() {
        let text = "@@ -1 +1 @@\n-a\n+b\n c\n";
        assert_eq!(colored(text, Color::Never), text);
        let colors = colored(text, Color::Always);
        assert!(
            colors.contains("\x1b[31m-a\x1b[0m\n\x1b[32m+b\x1b[0m\n c\n"),
            "{colors:?}"
        );
    }

    #[test]
    fn cycles_won_stand_beside_their_pass() {
        let timing = |pass: &str| Timing {
            pass: pass.to_string(),
            level: "hlo",
            ms: 1.0,
            ops: 7,
            steps: Vec::new(),
        };
        let worth = |pass: &str, cycles_won| Worth {
            pass: pass.to_string(),
            cycles_won,
            needed: cycles_won.is_none().then(|| "why".to_string()),
        };
        let list = [timing("inline"), timing("slow{a=1}"), timing("fast")];
        let won = [
            worth("inline", None),
            worth("slow", Some(-1200)),
            worth("fast", Some(34)),
        ];
        let text = timings(&list, &won);
        let row = |pass: &str| text.lines().find(|l| l.trim_end().ends_with(pass)).unwrap().to_string();
        assert!(
            row(" inline").contains("needed") && row("slow{a=1}").contains("-1,200") && row(" fast").contains(" 34 ")
        );
        assert!(!timings(&list, &[]).contains("cycles"));
    }
}
