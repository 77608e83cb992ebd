//! Parsing of types.

use std::rc::Rc;

use super::lexer::Parsed;
use super::parser::Parser;
use super::tree::{DYNAMIC, Sizes, Tensor, Text, Type};

impl<'a> Parser<'a> {
    /// A type.
    pub(super) fn ty(&mut self) -> Parsed<Type<'a>> {
        // Nearly all types are tensors that the program has named before.
        if self.lexer.eat("tensor<") {
            let start = self.lexer.position();
            if let Some((text, hash)) = self.lexer.plain_tensor()
                && let Some(known) = self.tensors.get(text, hash)
            {
                self.lexer.set_position(start + text.len() + 1);
                return Ok(known);
            }
            self.lexer.set_position(start - "tensor<".len());
        }
        self.enter()?;
        let result = self.type_inner();
        self.leave();
        result
    }

    fn type_inner(&mut self) -> Parsed<Type<'a>> {
        match self.lexer.peek() {
            b'(' => {
                let (inputs, results) = self.function_type()?;
                Ok(Type::Function { inputs, results })
            }
            b'!' => self.bang_type(),
            _ => self.word_type(),
        }
    }

    fn bang_type(&mut self) -> Parsed<Type<'a>> {
        let start = self.lexer.position();
        self.lexer.expect("!", "before a type")?;
        let Some(name) = self.lexer.word() else {
            return Err(self.lexer.error("expected the name of a type after `!`"));
        };
        if self.lexer.raw() == b'<' {
            self.lexer.expect("<", "after the name")?;
            let body = self.lexer.angle_body()?;
            return Ok(Type::Dialect {
                name: name.into(),
                body: Some(body.into()),
            });
        }
        if let Some((ty, size)) = self.type_aliases.get(name) {
            let (ty, size) = (ty.clone(), *size);
            self.charge(size, start)?;
            return Ok(ty);
        }
        if name.contains('.') {
            return Ok(Type::Dialect {
                name: name.into(),
                body: None,
            });
        }
        let end = self.lexer.position();
        Err(self
            .lexer
            .error_at(start, end, format!("type alias `!{name}` is not defined")))
    }

    fn word_type(&mut self) -> Parsed<Type<'a>> {
        let start = self.lexer.position();
        let Some(word) = self.lexer.peek_word() else {
            return Err(self.lexer.error("expected a type"));
        };
        match word {
            "tensor" => {
                self.lexer.word();
                self.tensor_type()
            }
            "complex" => {
                self.lexer.word();
                self.lexer.expect("<", "after `complex`")?;
                let element = self.ty()?;
                self.lexer.expect(">", "after the type of a complex number")?;
                Ok(Type::Complex(Box::new(element)))
            }
            "tuple" => {
                self.lexer.word();
                self.lexer.expect("<", "after `tuple`")?;
                if self.lexer.eat(">") {
                    return Ok(Type::Tuple(Vec::new()));
                }
                let items = self.type_list()?;
                self.lexer.expect(">", "after the types of a tuple")?;
                Ok(Type::Tuple(items))
            }
            "vector" | "memref" => {
                self.lexer.word();
                self.lexer.expect("<", "after the name of a type")?;
                self.lexer.angle_body()?;
                Ok(Type::Raw(self.lexer.slice(start, self.lexer.position()).into()))
            }
            _ if is_scalar_type(word) => {
                self.lexer.word();
                Ok(Type::Scalar(Text::Borrowed(word)))
            }
            _ => Err(self.lexer.error(format!("expected a type, found `{word}`"))),
        }
    }

    /// `<2x?x3xf32, #encoding>` after `tensor`.
    fn tensor_type(&mut self) -> Parsed<Type<'a>> {
        self.lexer.expect("<", "after `tensor`")?;
        let start = self.lexer.position();
        let plain = self.lexer.plain_tensor();
        let ty = self.tensor_body()?;
        if let Some((text, hash)) = plain
            && self.lexer.position() == start + text.len() + 1
        {
            self.tensors.put(text, hash, &ty);
        }
        Ok(ty)
    }

    fn tensor_body(&mut self) -> Parsed<Type<'a>> {
        if self.lexer.eat("*") {
            self.lexer.expect("x", "after `*`")?;
            let element = self.ty()?;
            self.lexer.expect(">", "after the type of a tensor")?;
            return Ok(Type::UnrankedTensor(Box::new(element)));
        }
        let mut sizes = Sizes::new();
        loop {
            self.lexer.skip_space();
            let start = self.lexer.position();
            if self.lexer.eat("?") {
                sizes.push(DYNAMIC);
            } else if let Some(digits) = self.lexer.digits() {
                let end = self.lexer.position();
                match digits.parse() {
                    Ok(size) => sizes.push(size),
                    Err(_) => {
                        return Err(self
                            .lexer
                            .error_at(start, end, "the size of a dimension does not fit i64"));
                    }
                }
            } else {
                break;
            }
            self.lexer.expect("x", "after the size of a dimension")?;
        }
        let element = self.ty()?;
        let encoding = if self.lexer.eat(",") {
            Some(self.attribute()?)
        } else {
            None
        };
        self.lexer.expect(">", "after the type of a tensor")?;
        Ok(Type::Tensor(Rc::new(Tensor {
            sizes,
            element,
            encoding,
        })))
    }

    /// `a, b`.
    pub(super) fn type_list(&mut self) -> Parsed<Vec<Type<'a>>> {
        // Most lists hold one type.
        let mut types = vec![self.ty()?];
        while self.lexer.eat(",") {
            types.push(self.ty()?);
        }
        Ok(types)
    }

    /// `(a, b)`, possibly empty.
    pub(super) fn type_tuple(&mut self) -> Parsed<Vec<Type<'a>>> {
        self.lexer.expect("(", "before a list of types")?;
        if self.lexer.eat(")") {
            return Ok(Vec::new());
        }
        let types = self.type_list()?;
        self.lexer.expect(")", "after a list of types")?;
        Ok(types)
    }

    /// `(a, b) -> c` or `(a, b) -> (c, d)`.
    pub(super) fn function_type(&mut self) -> Parsed<(Vec<Type<'a>>, Vec<Type<'a>>)> {
        let inputs = self.type_tuple()?;
        self.lexer.expect("->", "in a function type")?;
        Ok((inputs, self.result_types()?))
    }

    /// What follows `->`: `c` or `(c, d)`.
    pub(super) fn result_types(&mut self) -> Parsed<Vec<Type<'a>>> {
        if self.lexer.peek() == b'(' {
            // `(a) -> b` as a single result needs parentheses of its own, as in MLIR.
            return self.type_tuple();
        }
        Ok(vec![self.ty()?])
    }
}

/// Number of tensor types that are remembered.
const REMEMBERED: usize = 512;

/// Plain tensor types that were read, by their text: a program repeats a few. A place holds one, and a new one takes the
/// place of the old: hostile texts cannot make it slow.
#[derive(Default)]
pub(super) struct Tensors<'a> {
    /// None before the first is put, then [`REMEMBERED`].
    slots: Vec<Option<(&'a str, Type<'a>)>>,
}

impl<'a> Tensors<'a> {
    fn get(&self, text: &str, hash: usize) -> Option<Type<'a>> {
        match self.slots.get(hash % REMEMBERED) {
            Some(Some((known, ty))) if *known == text => Some(ty.clone()),
            _ => None,
        }
    }

    fn put(&mut self, text: &'a str, hash: usize, ty: &Type<'a>) {
        self.slots.resize(REMEMBERED, None);
        self.slots[hash % REMEMBERED] = Some((text, ty.clone()));
    }
}

/// Whether a word is a builtin type: an integer, a float, `index` or `none`.
fn is_scalar_type(word: &str) -> bool {
    if matches!(word, "index" | "none" | "bf16" | "tf32") {
        return true;
    }
    let integer = word
        .strip_prefix("si")
        .or_else(|| word.strip_prefix("ui"))
        .or_else(|| word.strip_prefix('i'));
    if let Some(width) = integer {
        return !width.is_empty() && width.bytes().all(|b| b.is_ascii_digit());
    }
    // f32, f8E4M3FN, f8E8M0FNU, f6E2M3FN, f4E2M1FN, ...
    word.strip_prefix('f').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}
