//! Reads MLIR's tokens from text, on demand.
//!
//! What a piece of MLIR text is depends on where it stands (`2x3xf32` is one thing inside `tensor<>` and another
//! outside), so the parser asks for the token it wants instead of reading a stream. Every method skips white space and
//! `//` comments first, except those that say otherwise.

use super::tree::{Scalar, Span, Text};

/// A mistake in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where it is.
    pub span: Span,
    /// What is wrong: `expected ...`.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Result of a parsing step. The error is boxed to keep the good case small.
pub type Parsed<T> = Result<T, Box<SyntaxError>>;

/// A position in the text.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    position: usize,
}

/// Bits of [`CLASSES`]: what a byte may be part of.
const START: u8 = 1;
const BARE: u8 = 2;
const SUFFIX: u8 = 4;
const DIGIT: u8 = 8;
/// Of the body of a plain tensor type, as in `2x?x3xf32`.
const PLAIN: u8 = 16;

/// The classes of each byte.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut n = 0;
    while n < 256 {
        let b = n as u8;
        if b.is_ascii_alphabetic() || b == b'_' {
            classes[n] |= START;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.') {
            classes[n] |= BARE;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.' | b'-') {
            classes[n] |= SUFFIX;
        }
        if b.is_ascii_digit() {
            classes[n] |= DIGIT;
        }
        if b.is_ascii_alphanumeric() || b == b'?' {
            classes[n] |= PLAIN;
        }
        n += 1;
    }
    classes
};

#[inline]
fn is(b: u8, class: u8) -> bool {
    CLASSES[usize::from(b)] & class != 0
}

pub(super) fn is_bare_start(b: u8) -> bool {
    is(b, START)
}

pub(super) fn is_bare(b: u8) -> bool {
    is(b, BARE)
}

/// Characters of `%name`, `^name`, `@name` after the sigil.
pub(super) fn is_suffix(b: u8) -> bool {
    is(b, SUFFIX)
}

/// How many bytes at the beginning hold none of `stops`. Looks at many at once: strings may be most of a file.
fn run_without(bytes: &[u8], stops: [u8; 3]) -> usize {
    let stop = |b: u8| (b == stops[0]) | (b == stops[1]) | (b == stops[2]);
    // Most strings are short.
    let (short, _) = bytes.split_at(bytes.len().min(48));
    if let Some(found) = short.iter().position(|&b| stop(b)) {
        return found;
    }
    let (chunks, _) = bytes.as_chunks::<32>();
    let free = |chunk: &&[u8; 32]| !chunk.iter().fold(false, |found, &b| found | stop(b));
    let start = 32 * chunks.iter().take_while(free).count();
    let rest = &bytes[start..];
    start + rest.iter().position(|&b| stop(b)).unwrap_or(rest.len())
}

/// Whether a text is an `open` with the `close` that matches it at the end, so that [`Lexer::bracketed`] reads all of it.
pub(super) fn is_bracketed(text: &str, open: &str, close: u8) -> bool {
    let mut lexer = Lexer::new(text);
    u32::try_from(text.len()).is_ok() && lexer.bracketed(open, close).is_ok_and(|whole| whole == text)
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning. The text must be shorter than 4 GiB, so that an offset fits [`Span`].
    pub(super) fn new(source: &'a str) -> Self {
        Lexer {
            source,
            bytes: source.as_bytes(),
            position: 0,
        }
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn set_position(&mut self, position: usize) {
        self.position = position;
    }

    /// The text between two positions that both lie on token boundaries.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.source.get(start..end).unwrap_or("")
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        if matches!(self.raw(), 0..=b' ' | b'/') {
            self.skip_space_and_comments();
        }
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            match self.bytes.get(self.position) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.position += 1,
                Some(b'/') if self.bytes.get(self.position + 1) == Some(&b'/') => {
                    while !matches!(self.bytes.get(self.position), None | Some(b'\n')) {
                        self.position += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// The number of bytes from `start` on that are of a class.
    #[inline]
    fn run(&self, start: usize, class: u8) -> usize {
        let rest = self.bytes.get(start..).unwrap_or(&[]);
        rest.iter().position(|&b| !is(b, class)).unwrap_or(rest.len())
    }

    /// The next byte without skipping; 0 at the end.
    #[inline]
    pub(super) fn raw(&self) -> u8 {
        self.bytes.get(self.position).copied().unwrap_or(0)
    }

    /// The byte `n` places on, without skipping; 0 beyond the end.
    #[inline]
    pub(super) fn raw_at(&self, n: usize) -> u8 {
        self.bytes.get(self.position + n).copied().unwrap_or(0)
    }

    /// The first byte of the next token; 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        self.skip_space();
        self.raw()
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.position >= self.bytes.len()
    }

    /// Takes the punctuation `token` if it is next.
    #[inline]
    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let rest = &self.bytes[self.position..];
        let found = match token.as_bytes() {
            [one] => rest.first() == Some(one),
            token => rest.starts_with(token),
        };
        if found {
            self.position += token.len();
        }
        found
    }

    /// Takes the punctuation `token`, or says that it was expected.
    #[inline]
    pub(super) fn expect(&mut self, token: &str, context: &str) -> Parsed<()> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.expected(token, context))
    }

    #[cold]
    fn expected(&self, token: &str, context: &str) -> Box<SyntaxError> {
        self.error(format!("expected `{token}` {context}"))
    }

    /// The bare word that is next, without taking it.
    pub(super) fn peek_word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let start = self.position;
        if !is_bare_start(self.raw()) {
            return None;
        }
        Some(self.slice(start, start + self.run(start, BARE)))
    }

    /// Takes the bare word that is next.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let word = self.peek_word()?;
        self.position += word.len();
        Some(word)
    }

    /// Whether the bare word `word` is next.
    pub(super) fn is_word(&mut self, word: &str) -> bool {
        self.skip_space();
        self.bytes[self.position..].starts_with(word.as_bytes()) && !is(self.raw_at(word.len()), BARE)
    }

    /// Takes the bare word `word` if it is next.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.position += word.len();
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &str, context: &str) -> Parsed<()> {
        if self.eat_word(word) {
            return Ok(());
        }
        Err(self.error(format!("expected `{word}` {context}")))
    }

    /// The characters of a name after its sigil, without skipping space.
    pub(super) fn suffix(&mut self, what: &str) -> Parsed<&'a str> {
        let start = self.position;
        let length = self.run(start, SUFFIX);
        if length == 0 {
            return Err(self.error(format!("expected a name after `{what}`")));
        }
        self.position += length;
        Ok(self.slice(start, start + length))
    }

    /// Decimal digits, without skipping space.
    pub(super) fn digits(&mut self) -> Option<&'a str> {
        let start = self.position;
        let length = self.run(start, DIGIT);
        self.position += length;
        (length > 0).then(|| self.slice(start, start + length))
    }

    /// A decimal integer without a sign that fits 32 bits.
    pub(super) fn small(&mut self, what: &str) -> Parsed<u32> {
        self.skip_space();
        let start = self.position;
        match self.digits() {
            Some(text) => text
                .parse()
                .map_err(|_| self.error_at(start, self.position, format!("{what} `{text}` does not fit 32 bits"))),
            None => Err(self.error(format!("expected {what}"))),
        }
    }

    /// A number, with its sign. `None` when none is next.
    pub(super) fn number(&mut self) -> Parsed<Option<Scalar>> {
        self.skip_space();
        let start = self.position;
        let negative = self.raw() == b'-';
        if !self.raw_at(usize::from(negative)).is_ascii_digit() {
            return Ok(None);
        }
        self.position += usize::from(negative);
        if self.raw() == b'0' && self.raw_at(1) == b'x' && self.raw_at(2).is_ascii_hexdigit() {
            self.position += 2;
            let first = self.position;
            while self.raw().is_ascii_hexdigit() {
                self.position += 1;
            }
            let digits = self.slice(first, self.position);
            return match u64::from_str_radix(digits, 16) {
                Ok(bits) if negative => Ok(Some(Scalar::Int(-i128::from(bits)))),
                Ok(bits) => Ok(Some(Scalar::Bits(bits))),
                Err(_) => Err(self.error_at(start, self.position, "hexadecimal number does not fit 64 bits")),
            };
        }
        self.digits();
        let mut float = false;
        if self.raw() == b'.' {
            float = true;
            self.position += 1;
            self.digits();
            if matches!(self.raw(), b'e' | b'E') {
                let sign = usize::from(matches!(self.raw_at(1), b'+' | b'-'));
                if self.raw_at(1 + sign).is_ascii_digit() {
                    self.position += 1 + sign;
                    self.digits();
                }
            }
        }
        let text = self.slice(start, self.position);
        let value = if float {
            text.parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .map(Scalar::Float)
        } else {
            text.parse().ok().map(Scalar::Int)
        };
        match value {
            Some(value) => Ok(Some(value)),
            None => Err(self.error_at(start, self.position, format!("number `{text}` is too large"))),
        }
    }

    /// An integer, with its sign.
    pub(super) fn integer(&mut self, what: &str) -> Parsed<i64> {
        self.skip_space();
        let start = self.position;
        match self.number()? {
            Some(Scalar::Bits(value)) => i64::try_from(value)
                .map_err(|_| self.error_at(start, self.position, format!("{what} does not fit i64"))),
            Some(Scalar::Int(value)) => i64::try_from(value)
                .map_err(|_| self.error_at(start, self.position, format!("{what} does not fit i64"))),
            _ => {
                self.position = start;
                Err(self.error(format!("expected {what}")))
            }
        }
    }

    /// The text between the quotes of a string, escapes not decoded.
    pub(super) fn quoted(&mut self) -> Parsed<&'a str> {
        self.skip_space();
        let start = self.position;
        if self.raw() != b'"' {
            return Err(self.error("expected a string"));
        }
        let mut at = start + 1;
        loop {
            at += run_without(self.bytes.get(at..).unwrap_or(&[]), *b"\"\\\n");
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                _ => {
                    return Err(self.error_at(start, at.min(self.bytes.len()), "expected `\"` at the end of a string"));
                }
            }
        }
        self.position = at + 1;
        Ok(self.slice(start + 1, at))
    }

    /// A string, decoded. `Err` of the inner result holds bytes that are not UTF-8.
    pub(super) fn string_or_bytes(&mut self) -> Parsed<Result<Text<'a>, Vec<u8>>> {
        self.skip_space();
        let start = self.position;
        let text = self.quoted()?;
        if !text.contains('\\') {
            return Ok(Ok(Text::Borrowed(text)));
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(b) = rest.next() {
            if b != b'\\' {
                out.push(b);
                continue;
            }
            let first = rest.next().unwrap_or(0);
            match first {
                b'"' | b'\\' => out.push(first),
                b'n' => out.push(b'\n'),
                b't' => out.push(b'\t'),
                _ => {
                    let second = rest.next().unwrap_or(0);
                    match ((first as char).to_digit(16), (second as char).to_digit(16)) {
                        (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                        _ => return Err(self.error_at(start, self.position, "unknown escape in a string")),
                    }
                }
            }
        }
        Ok(String::from_utf8(out).map(Text::Owned).map_err(|e| e.into_bytes()))
    }

    /// A string that must be text.
    pub(super) fn string(&mut self) -> Parsed<Text<'a>> {
        self.skip_space();
        let start = self.position;
        self.string_or_bytes()?
            .map_err(|_| self.error_at(start, self.position, "expected a string that is valid UTF-8"))
    }

    /// The text up to a `>`, which is not taken, where it is made of nothing but the sizes and the element type of a tensor;
    /// with a number that equal texts share.
    pub(super) fn plain_tensor(&self) -> Option<(&'a str, usize)> {
        let length = self.run(self.position, PLAIN);
        if self.raw_at(length) != b'>' {
            return None;
        }
        let text = self.slice(self.position, self.position + length);
        let mix = |hash: u64, part: u64| (hash ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let hash = words.iter().fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        let hash = rest.iter().fold(hash, |hash, &b| mix(hash, u64::from(b)));
        Some((text, (hash >> 32) as usize))
    }

    /// Takes text up to the `>` that closes a `<` already taken, and returns what stands between.
    pub(super) fn angle_body(&mut self) -> Parsed<&'a str> {
        let start = self.position;
        let end = self.closing(b'>')?;
        Ok(self.slice(start, end))
    }

    /// Takes text from `open` to the `close` that matches it, and returns it with both.
    pub(super) fn bracketed(&mut self, open: &str, close: u8) -> Parsed<&'a str> {
        self.expect(open, "here")?;
        let start = self.position - open.len();
        let end = self.closing(close)?;
        Ok(self.slice(start, end + 1))
    }

    /// Goes behind the `close` that matches a bracket just taken; returns where it stands.
    fn closing(&mut self, close: u8) -> Parsed<usize> {
        let start = self.position;
        let mut open = vec![close];
        loop {
            let b = self.raw();
            match b {
                0 if self.position >= self.bytes.len() => {
                    let message = format!("expected `{}` that closes this", close as char);
                    return Err(self.error_at(start.saturating_sub(1), start, message));
                }
                b'"' => {
                    self.quoted()?;
                    continue;
                }
                b'-' if self.raw_at(1) == b'>' => self.position += 1,
                b'/' if self.raw_at(1) == b'/' => {
                    self.skip_space();
                    continue;
                }
                b'<' => open.push(b'>'),
                b'(' => open.push(b')'),
                b'[' => open.push(b']'),
                b'{' => open.push(b'}'),
                b'>' | b')' | b']' | b'}' => {
                    if open.pop() != Some(b) {
                        return Err(self.error(format!("unbalanced `{}`", b as char)));
                    }
                    if open.is_empty() {
                        let end = self.position;
                        self.position += 1;
                        return Ok(end);
                    }
                }
                _ => {}
            }
            self.position += 1;
        }
    }

    /// An error at the next token.
    #[cold]
    pub(super) fn error(&self, message: impl Into<String>) -> Box<SyntaxError> {
        let mut here = self.clone();
        here.skip_space();
        let start = here.position;
        let end = match here.raw() {
            0 if start >= self.bytes.len() => start,
            b if is_suffix(b) => start + self.run(start, SUFFIX),
            _ => start + 1,
        };
        self.error_at(start, end, message)
    }

    /// An error at a range of bytes.
    #[cold]
    pub(super) fn error_at(&self, start: usize, end: usize, message: impl Into<String>) -> Box<SyntaxError> {
        let span = Span {
            start: start as u32,
            end: end as u32,
        };
        Box::new(SyntaxError {
            span,
            message: message.into(),
            help: None,
        })
    }
}
