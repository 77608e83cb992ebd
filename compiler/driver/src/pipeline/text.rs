//! Pipelines as text.
//!
//! ```text
//! pipeline := item (',' item)*
//! item     := name options?  |  level '(' pipeline ')'
//! options  := '{' name ('=' value)? (',' name ('=' value)?)* '}'
//! level    := 'hlo' | 'tile' | 'isa'
//! ```
//!
//! A level around passes says, and checks, what they work on. A name is that of a pass or of a pipeline.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_passes::options::Settings;
use ferrite_passes::pass::{AnyPass, Level};

use super::Pipeline;
use crate::extensions::Extensions;

/// Levels inside levels, and pipelines inside pipelines, at most.
const DEPTH: usize = 16;

enum Item {
    Pass { settings: Settings, column: usize },
    Nest { level: Level, items: Vec<Item> },
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blanks();
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// Characters up to one that ends a word.
    fn word(&mut self, ends: &[char]) -> &'t str {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let len = rest
            .find(|c: char| c.is_whitespace() || ends.contains(&c))
            .unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn error(&self, what: &str) -> Diagnostic {
        let text = format!("pipeline `{}`, column {}: {what}", self.text, self.at + 1);
        Diagnostic::error(Code::Usage, text)
            .help("write names with commas between, options in braces, levels around: `hlo(inline,canonicalize),lower`")
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Item>> {
        if depth > DEPTH {
            return Err(self.error("too many levels"));
        }
        let mut items = Vec::new();
        loop {
            match self.peek() {
                None | Some(')') => return Ok(items),
                Some(',') => {
                    self.eat(',');
                }
                Some(_) => {
                    items.push(self.item(depth)?);
                    if !matches!(self.peek(), None | Some(',' | ')')) {
                        return Err(self.error("a comma is missing"));
                    }
                }
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<Item> {
        let column = self.at + 1;
        let name = self.word(&[',', '(', ')', '{', '}', '=']);
        if name.is_empty() {
            return Err(self.error("a name is missing"));
        }
        if self.eat('(') {
            let level = Level::ALL.into_iter().find(|l| l.name() == name);
            let level = level.ok_or_else(|| self.error(&format!("`{name}` is no level: hlo, tile or isa")))?;
            let items = self.items(depth + 1)?;
            if !self.eat(')') {
                return Err(self.error("`)` is missing"));
            }
            return Ok(Item::Nest { level, items });
        }
        let mut settings = Settings {
            pass: name.to_string(),
            values: Vec::new(),
        };
        if self.eat('{') {
            while !self.eat('}') {
                let key = self.word(&[',', '=', '}', '{', '(', ')']);
                if key.is_empty() {
                    return Err(self.error("the name of an option, or `}`, is missing"));
                }
                let value = if self.eat('=') { self.word(&[',', '}']) } else { "true" };
                settings.values.push((key.to_string(), value.to_string()));
                if !self.eat(',') && self.peek() != Some('}') {
                    return Err(self.error("`}` is missing"));
                }
            }
        }
        Ok(Item::Pass { settings, column })
    }
}

/// The passes that a text names, with their options set.
pub(super) fn resolve(text: &str, extensions: &Extensions) -> Result<Vec<AnyPass>> {
    let mut passes = Vec::new();
    expand(text, None, extensions, &mut Vec::new(), &mut passes)?;
    Ok(passes)
}

fn expand(
    text: &str,
    level: Option<Level>,
    extensions: &Extensions,
    inside: &mut Vec<String>,
    out: &mut Vec<AnyPass>,
) -> Result<()> {
    let mut parser = Parser { text, at: 0 };
    let items = parser.items(0)?;
    if parser.peek().is_some() {
        return Err(parser.error("`)` without `(`"));
    }
    add(&items, level, text, extensions, inside, out)
}

fn add(
    items: &[Item],
    level: Option<Level>,
    text: &str,
    extensions: &Extensions,
    inside: &mut Vec<String>,
    out: &mut Vec<AnyPass>,
) -> Result<()> {
    for item in items {
        match item {
            Item::Nest { level, items } => add(items, Some(*level), text, extensions, inside, out)?,
            Item::Pass { settings, column } => {
                let name = &settings.pass;
                let theirs = extensions.pipelines.iter().find(|(known, _)| known == name);
                let pipeline = match theirs.filter(|_| !inside.contains(name)) {
                    Some((_, text)) => Some(text.clone()),
                    None => Pipeline::find(name).map(|p| p.passes.join(",")),
                };
                if let Some(pipeline) = pipeline {
                    if !settings.values.is_empty() {
                        let text = format!("`{name}` is a pipeline, which has no options");
                        return Err(Diagnostic::error(Code::Usage, text));
                    }
                    inside.push(name.clone());
                    expand(&pipeline, level, extensions, inside, out)?;
                    inside.pop();
                    continue;
                }
                let pass = extensions.passes.get(name)?.make(settings)?;
                if let Some(level) = level.filter(|&l| l != pass.about.level) {
                    let text = format!(
                        "pipeline `{text}`, column {column}: `{name}` works on the {} level and stands in `{level}(...)`",
                        pass.about.level
                    );
                    return Err(Diagnostic::error(Code::Usage, text));
                }
                out.push(pass);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let passes = resolve(text, &Extensions::default()).unwrap_or_else(|e| panic!("{e}"));
        passes.iter().map(AnyPass::text).collect()
    }

    fn error(text: &str) -> String {
        let error = resolve(text, &Extensions::default()).err();
        error.unwrap_or_else(|| panic!("`{text}` is accepted")).to_string()
    }

    #[test]
    fn levels_and_options_are_read() {
        let text =
            "hlo( inline, canonicalize ),\n lower, tile(schedule{lookahead=16, sbuf-share=0.5}, place{reuse-at-once})";
        assert_eq!(
            texts(text),
            [
                "inline",
                "canonicalize",
                "lower",
                "schedule{lookahead=16,sbuf-share=0.5}",
                "place{reuse-at-once=true}"
            ]
        );
        assert_eq!(texts(" , inline ,, "), ["inline"]);
        assert_eq!(texts(""), [""; 0]);
    }

    #[test]
    fn mistakes_are_told_with_their_column() {
        for (text, message) in [
            ("inline canonicalize", "column 8: a comma is missing"),
            ("hlo(inline", "column 11: `)` is missing"),
            ("inline)", "column 7: `)` without `(`"),
            ("mlir(inline)", "`mlir` is no level"),
            ("schedule{lookahead=1", "`}` is missing"),
            ("schedule{=1}", "the name of an option"),
            (
                "tile(inline)",
                "column 6: `inline` works on the hlo level and stands in `tile(...)`",
            ),
            ("schedule{lookahead=many}", "`many` is no value of option `lookahead`"),
            ("inline{deep}", "`inline` has no option `deep`"),
            ("-O2{fast}", "which has no options"),
            ("{x}", "a name is missing"),
        ] {
            assert!(error(text).contains(message), "{text}: {}", error(text));
        }
        let deep = "hlo(".repeat(100_000);
        assert!(error(&deep).contains("too many levels"));
    }

    #[test]
    fn a_pipeline_may_contain_what_its_name_meant_before() {
        let extensions = Extensions::default().pipeline("-O1", "-O1,merge-equal-ops");
        let ours = resolve("-O1", &Extensions::default()).unwrap().len();
        let theirs = resolve("hlo(-O1)", &extensions).unwrap();
        assert_eq!(theirs.len(), ours + 1);
        assert_eq!(theirs[ours].name(), "merge-equal-ops");
        let twisted = Extensions::default().pipeline("a", "b").pipeline("b", "a");
        assert!(resolve("a", &twisted).err().unwrap().message.contains("no pass `a`"));
    }
}
