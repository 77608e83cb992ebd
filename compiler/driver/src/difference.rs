//! What a pass changed, as a difference that people read.
//!
//! In: the text of a program before and after. Out: a unified difference in which values keep the names that they had before.
//!
//! Printers number values anew, so one operation less would change every line behind it. Lines that agree but for the names of
//! values are therefore the same operation; where operations stand in the place of others, the last of them stands for the last.
//! What has no counterpart defines `%new0`, `%new1`, ... .

use std::collections::HashMap;

use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

/// Lines of context.
const CONTEXT: usize = 3;

/// A unified difference of two programs, line by line.
pub fn difference(before: &str, after: &str) -> String {
    let after = with_names_of(before, after);
    let diff = TextDiff::from_lines(before, &after);
    diff.unified_diff().context_radius(CONTEXT).to_string()
}

/// `after`, its values named as in `before`.
fn with_names_of(before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let bare = |lines: &[&str]| -> Vec<String> { lines.iter().map(|l| renamed(l, |_| Some("%"))).collect() };
    let steps = capture_diff_slices(Algorithm::Myers, &bare(&old), &bare(&new));
    let mut counterpart: Vec<Option<usize>> = vec![None; new.len()];
    let mut agree = false;
    for step in steps {
        match step {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => {
                for i in 0..len {
                    counterpart[new_index + i] = Some(old_index + i);
                    agree |= !defined(new[new_index + i]).is_empty();
                }
            }
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => {
                let last = |lines: &[&str], first: usize, len: usize| {
                    (first..first + len).rev().find(|&i| !defined(lines[i]).is_empty())
                };
                if let (Some(new), Some(old)) = (last(&new, new_index, new_len), last(&old, old_index, old_len)) {
                    counterpart[new] = Some(old);
                }
            }
            DiffOp::Delete { .. } | DiffOp::Insert { .. } => {}
        }
    }
    // Nothing in common: a program of another level.
    if !agree {
        return after.to_string();
    }
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut fresh = 0;
    let mut out = String::with_capacity(after.len());
    for (index, line) in new.iter().enumerate() {
        let here = defined(line);
        let there = counterpart[index].map(|i| defined(old[i])).unwrap_or_default();
        for (at, name) in here.iter().enumerate() {
            let kept = there.get(at).filter(|_| there.len() == here.len());
            let kept = kept.map_or_else(
                || {
                    fresh += 1;
                    format!("%new{}", fresh - 1)
                },
                ToString::to_string,
            );
            names.insert(name, kept);
        }
        out.push_str(&renamed(line, |name| names.get(name).map(String::as_str)));
    }
    out
}

/// The values that a line defines: the names before its ` = `, where it begins with one.
fn defined(line: &str) -> Vec<&str> {
    let text = line.trim_start();
    let Some((left, _)) = text.split_once(" = ").filter(|_| text.starts_with('%')) else {
        return Vec::new();
    };
    let names = left.split(", ").map(|name| name.split(':').next().unwrap_or(name));
    names.collect()
}

/// A line with other names for its values; what is in quotes stays.
fn renamed<'n>(line: &str, name: impl Fn(&str) -> Option<&'n str>) -> String {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '-');
    let mut out = String::with_capacity(line.len());
    let (mut rest, mut quoted) = (line, false);
    while let Some(at) = rest.find(['%', '"', '\\']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match from.as_bytes()[0] {
            b'%' if !quoted => 1 + from[1..].find(|c| !of_name(c)).unwrap_or(from.len() - 1),
            b'\\' if quoted => 1 + from[1..].chars().next().map_or(0, char::len_utf8),
            byte => {
                quoted ^= byte == b'"';
                1
            }
        };
        let (token, tail) = from.split_at(length);
        let other = (length > 1 && !quoted).then(|| name(token)).flatten();
        out.push_str(other.unwrap_or(token));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_changed_and_a_little_around_it() {
        let before: String = (0..20).map(|i| format!("line {i}\n")).collect();
        let text = difference(&before, &before.replace("line 10\n", "other\n"));
        assert!(text.contains("-line 10\n+other\n") && text.contains(" line 7\n") && !text.contains("line 6\n"));
    }

    fn changes(before: &str, after: &str) -> Vec<String> {
        let text = difference(before, after);
        let lines = text.lines().filter(|l| l.starts_with(['+', '-']));
        lines
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn an_operation_less_is_one_line() {
        let before = "f(%arg0) {\n  %0 = neg %arg0\n  %1 = abs %arg0\n  %2:2 = split %1, %1\n  return %2#1\n}\n";
        let after = "f(%arg0) {\n  %0 = abs %arg0\n  %1:2 = split %0, %0\n  return %1#1\n}\n";
        assert_eq!(changes(before, after), ["- %0 = neg %arg0"]);
    }

    #[test]
    fn what_takes_the_place_of_a_value_has_its_name_and_what_is_new_a_new_one() {
        let before = "  %0 = abs %arg0\n  %1 = max %0, %arg1\n  %2 = min %1, %arg2\n  return %2, %0\n";
        let after = "  %0 = abs %arg0\n  %1 = half %arg1\n  %2 = clamp %1, %0, %arg2\n  return %2, %0\n";
        let want = [
            "- %1 = max %0, %arg1",
            "- %2 = min %1, %arg2",
            "+ %new0 = half %arg1",
            "+ %2 = clamp %new0, %0, %arg2",
        ];
        assert_eq!(changes(before, after), want);
    }

    #[test]
    fn other_operands_are_a_change_and_words_in_quotes_are_no_names() {
        let before = "  %0 = neg %arg0\n  %1 = call \"100%0 \\\"%1\" %0\n";
        assert_eq!(
            changes(before, &before.replace("\" %0", "\" %arg0")),
            ["- %1 = call \"100%0 \\\"%1\" %0", "+ %1 = call \"100%0 \\\"%1\" %arg0"]
        );
    }

    #[test]
    fn another_level_keeps_its_names() {
        let text = difference("%0 = abs %arg0\n", "%t0 = tile\n");
        assert!(text.contains("+%t0 = tile"), "{text}");
    }
}
