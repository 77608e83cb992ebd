//! The argument rules of `neuronx-cc`: options anywhere, the right-most wins, options of several words.
//!
//! In: argv without the program name. Out: [`Tokens`], options in order with their values, and positional words.
//! What the options mean is in [`super::options`]; which exist and how many words they take, in [`TABLE`].
//! A derive parser does not fit: `-lnc 2`, `-O1`, `--pipeline a b` and unknown `--internal-*` options are one language.

use ferrite_ir::diag::{Code, Diagnostic};

use super::options::{Opt, TABLE};

/// How many words belong to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// None.
    Flag,
    /// One: the rest of the token after `=`, or the next token.
    Value,
    /// All up to the next token that starts with `-`.
    Words,
}

/// One option as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which; `None` for an `--internal-*` option that is not in the table.
    pub option: Option<Opt>,
    /// As it was spelled, without value.
    pub spelled: String,
    /// Its words.
    pub values: Vec<String>,
    /// Its tokens as they were given.
    pub tokens: Vec<String>,
}

/// A command line taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Options in order.
    pub options: Vec<Given>,
    /// Everything else in order: the command and its inputs.
    pub words: Vec<String>,
}

/// Takes `argv` apart. `is_file` tells whether a word names an existing file: only for unknown `--internal-*` options,
/// of which nobody knows whether they take a value, so that they never swallow the input.
pub fn split(argv: &[String], is_file: &dyn Fn(&str) -> bool) -> Result<Tokens, Vec<Diagnostic>> {
    let mut tokens = Tokens::default();
    let mut errors = Vec::new();
    let mut rest = argv.iter().map(String::as_str).peekable();
    while let Some(token) = rest.next() {
        if token == "--" {
            tokens.words.extend(rest.by_ref().map(str::to_string));
            break;
        }
        if !is_option(token) {
            tokens.words.push(token.to_string());
            continue;
        }
        let (spelled, attached) = match resolve(token) {
            Some(found) => found,
            None => {
                errors.push(unknown(token));
                continue;
            }
        };
        let entry = TABLE.iter().find(|e| e.names.contains(&spelled));
        let mut given = Given {
            option: entry.map(|e| e.option),
            spelled: spelled.to_string(),
            values: attached.map(str::to_string).into_iter().collect(),
            tokens: vec![token.to_string()],
        };
        match entry.map(|e| e.arity) {
            Some(Arity::Flag) if attached.is_some() => {
                errors.push(malformed(format!("`{spelled}` takes no value")));
                continue;
            }
            Some(Arity::Flag) => {}
            Some(Arity::Value) if attached.is_some() => {}
            Some(Arity::Value) => match rest.next_if(|next| !is_option(next)) {
                Some(value) => given.values.push(value.to_string()),
                None => {
                    errors.push(malformed(format!("`{spelled}` needs a value")));
                    continue;
                }
            },
            Some(Arity::Words) => {
                while let Some(word) = rest.next_if(|next| !is_option(next) && *next != "-") {
                    given.values.push(word.to_string());
                }
                if given.values.is_empty() {
                    errors.push(malformed(format!("`{spelled}` needs at least one word")));
                    continue;
                }
            }
            // Unknown `--internal-*`.
            None if attached.is_some() => {}
            None => {
                let takes = |next: &&str| !is_option(next) && !is_file(next) && !is_command(next);
                given.values.extend(rest.next_if(takes).map(str::to_string));
            }
        }
        if attached.is_none() {
            given.tokens.extend(given.values.iter().cloned());
        }
        tokens.options.push(given);
    }
    if errors.is_empty() { Ok(tokens) } else { Err(errors) }
}

/// Whether a word is one of the commands.
pub fn is_command(word: &str) -> bool {
    matches!(word, "compile" | "list-operators")
}

/// A token that starts an option. A token with blanks is a value: nested option lists are one token.
fn is_option(token: &str) -> bool {
    token.len() > 1 && token.starts_with('-') && !token.contains(char::is_whitespace)
        || token.starts_with("--")
            && token
                .split('=')
                .next()
                .is_some_and(|name| !name.contains(char::is_whitespace))
}

/// Name of the option in a token and the value attached to it. `None`: there is no such option.
fn resolve(token: &str) -> Option<(&str, Option<&str>)> {
    let known = |name: &str| TABLE.iter().flat_map(|e| e.names).find(|n| **n == name).copied();
    let (name, attached) = match token.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (token, None),
    };
    if let Some(name) = known(name) {
        return Some((name, attached));
    }
    if name.starts_with("--internal-") && name.len() > "--internal-".len() {
        return Some((name, attached));
    }
    // `-O1`, `-ofile`: one letter with its value.
    if !token.starts_with("--") && token.is_char_boundary(2) && token.len() > 2 {
        let name = known(&token[..2])?;
        let takes_value = |e: &&super::options::Entry| e.names.contains(&name) && e.arity == Arity::Value;
        return TABLE.iter().find(takes_value).map(|_| (name, Some(&token[2..])));
    }
    None
}

fn unknown(token: &str) -> Diagnostic {
    let name = token.split('=').next().unwrap_or(token);
    let error = Diagnostic::error(Code::Ncc("EARG002"), format!("unknown option `{name}`"));
    let near = TABLE
        .iter()
        .flat_map(|e| e.names)
        .map(|known| (distance(known, name), known))
        .filter(|(d, known)| *d <= 2.max(known.len() / 5))
        .min();
    match near {
        Some((_, known)) => error.help(format!("did you mean `{known}`?")),
        None => error.help("`neuronx-cc compile --help` lists the options"),
    }
}

fn malformed(what: String) -> Diagnostic {
    Diagnostic::error(Code::Ncc("EARG002"), what)
}

/// Edit distance (Levenshtein) between two short ASCII words.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_string).collect()
    }

    fn tokens(line: &str) -> Tokens {
        split(&argv(line), &|word| word.ends_with(".pb")).unwrap()
    }

    fn values(t: &Tokens, option: Opt) -> Vec<&str> {
        let of = t.options.iter().filter(|g| g.option == Some(option));
        of.flat_map(|g| g.values.iter().map(String::as_str)).collect()
    }

    #[test]
    fn options_stand_before_and_after_command_and_input() {
        let t = tokens("--target=trn1 compile --framework XLA in.pb --output out.neff -O1 --lnc=1 -lnc 2");
        assert_eq!(t.words, ["compile", "in.pb"]);
        assert_eq!(values(&t, Opt::Target), ["trn1"]);
        assert_eq!(values(&t, Opt::OptLevel), ["1"]);
        assert_eq!(values(&t, Opt::LogicalCores), ["1", "2"]);
    }

    #[test]
    fn a_list_of_words_ends_at_the_next_option() {
        let t = tokens("compile in.pb --pipeline compile SaveTemps --target trn2");
        assert_eq!(t.words, ["compile", "in.pb"]);
        assert_eq!(values(&t, Opt::Pipeline), ["compile", "SaveTemps"]);
        assert_eq!(values(&t, Opt::Target), ["trn2"]);
    }

    #[test]
    fn a_nested_option_list_is_one_value() {
        let mut line = argv("compile in.pb --tensorizer-options");
        line.push("--enable-ccop-compute-overlap --print-nki ".into());
        line.push("--internal-backend-options= --x y=2 ".into());
        let t = split(&line, &|_| false).unwrap();
        assert_eq!(t.options[0].values, ["--enable-ccop-compute-overlap --print-nki "]);
        assert_eq!(t.options[1].values, [" --x y=2 "]);
    }

    #[test]
    fn an_unknown_internal_option_never_swallows_the_input() {
        let t = tokens("compile --internal-new-thing in.pb --internal-other 7 --internal-last=x");
        assert_eq!(t.words, ["compile", "in.pb"]);
        assert_eq!(t.options[1].values, ["7"]);
        assert!(t.options.iter().all(|g| g.option.is_none()));
    }

    #[test]
    fn wrong_options_are_all_reported_with_advice() {
        let errors = split(
            &argv("compile --taget trn1 --output --enable-saturate-infinity=1"),
            &|_| false,
        )
        .unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 3, "{texts:?}");
        assert!(
            texts[0].contains("NCC_EARG002") && texts[0].contains("`--target`"),
            "{}",
            texts[0]
        );
        assert!(texts[1].contains("needs a value") && texts[2].contains("takes no value"));
    }

    #[test]
    fn strange_tokens_are_no_trouble() {
        for token in ["-", "--", "-é", "--=", "=", "-O", "--internal-", ""] {
            let _ = split(&[token.to_string()], &|_| false);
        }
    }
}
