//! Operations, regions and blocks.

use std::collections::HashMap;

use ferrite_ir::text::{self, Attr, Block, BlockArgument, Operation, Region, ResultGroup, Span, ValueUse};

use super::cursor::{Cursor, Read};
use super::decode::{Decoder, wrong};
use super::file::{ARGUMENT_LOCATIONS, LAZY_REGIONS, SECTION, USE_LISTS};
use super::{properties, vhlo};

/// What the byte after the name of an operation says.
mod has {
    pub(super) const ATTRIBUTES: u8 = 0x01;
    pub(super) const RESULTS: u8 = 0x02;
    pub(super) const OPERANDS: u8 = 0x04;
    pub(super) const SUCCESSORS: u8 = 0x08;
    pub(super) const REGIONS: u8 = 0x10;
    pub(super) const USE_LISTS: u8 = 0x20;
    pub(super) const PROPERTIES: u8 = 0x40;
}

/// Numbers of values inside one isolated region. A region gets a range when it begins and gives it back at its end.
#[derive(Default)]
struct Scope {
    size: usize,
    /// Values that are another value by another type's name.
    aliases: HashMap<u64, u64>,
    /// Number of the next value of each open region.
    next: Vec<usize>,
}

impl Scope {
    /// The number of the next value.
    fn define(&mut self, cursor: &Cursor) -> Read<u64> {
        match self.next.last_mut() {
            Some(next) if *next < self.size => {
                *next += 1;
                let value = *next as u64 - 1;
                self.aliases.remove(&value);
                Ok(value)
            }
            _ => cursor.wrong("a region defines more values than it announces"),
        }
    }
}

/// Reads the operations of the file into the decoder's document.
pub(super) fn read<'a>(decoder: &mut Decoder<'a>) -> Read<()> {
    let mut cursor = decoder.file.ir;
    let (count, arguments) = cursor.flagged()?;
    if arguments {
        return cursor.wrong("the file itself has no arguments");
    }
    let mut scope = Scope::default();
    scope.next.push(0);
    let mut operations = Vec::new();
    for _ in 0..count {
        operations.push(operation(decoder, &mut cursor, &mut scope, false, 0)?);
    }
    decoder.document.operations = operations;
    Ok(())
}

fn operation<'a>(
    decoder: &mut Decoder<'a>,
    cursor: &mut Cursor<'a>,
    scope: &mut Scope,
    in_function: bool,
    depth: u32,
) -> Read<Operation<'a>> {
    let start = *cursor;
    let index = cursor.index()?;
    let Some(&name) = decoder.file.names.get(index) else {
        return start.wrong(format!("there is no operation name {index}"));
    };
    let mask = cursor.byte()?;
    let mut op = Operation::new(format!("{}.{}", name.dialect, name.name));
    op.span = Span {
        start: u32::try_from(start.offset()).unwrap_or(0),
        end: u32::try_from(start.offset()).unwrap_or(0),
    };
    op.location = decoder.location(cursor)?;
    if mask & has::ATTRIBUTES != 0 {
        op.attributes = match decoder.attribute(cursor)? {
            Attr::Dict(items) => items,
            _ => return start.wrong("the attributes of an operation are no dictionary"),
        };
    }
    if mask & has::PROPERTIES != 0 {
        op.properties = if name.registered {
            let at = *cursor;
            let index = cursor.index()?;
            let Some(&content) = decoder.file.properties.get(index) else {
                return at.wrong(format!("there are no properties {index}"));
            };
            properties::read(decoder, &op.name, content)?
        } else {
            match decoder.attribute(cursor)? {
                Attr::Dict(items) => items,
                _ => return start.wrong("the properties of an operation are no dictionary"),
            }
        };
    }
    let mut results = 0;
    if mask & has::RESULTS != 0 {
        op.result_types = decoder.types(cursor)?;
        results = op.result_types.len();
    }
    if mask & has::OPERANDS != 0 {
        let count = cursor.count()?;
        op.operands.reserve(count);
        for _ in 0..count {
            let value = cursor.varint()?;
            let value = scope.aliases.get(&value).copied().unwrap_or(value);
            op.operands.push(ValueUse {
                name: value.to_string().into(),
                number: 0,
                offset: 0,
            });
        }
    }
    if mask & has::SUCCESSORS != 0 {
        for _ in 0..cursor.count()? {
            op.successors.push(format!("bb{}", cursor.varint()?).into());
        }
    }
    if decoder.file.version >= USE_LISTS && mask & has::USE_LISTS != 0 {
        use_lists(cursor, results)?;
    }
    let cast = op.name == "builtin.unrealized_conversion_cast" && results == op.operands.len();
    for n in 0..results {
        let value = scope.define(cursor)?;
        // Between VHLO and other dialects, whose types are the same here.
        if cast && let Ok(source) = op.operands[n].name.parse() {
            scope.aliases.insert(value, source);
        }
        op.results.push(ResultGroup {
            name: value.to_string().into(),
            count: 1,
        });
    }
    // `vhlo.func_v1` becomes `func.func`.
    let function = matches!(&*op.name, "func.func" | "vhlo.func_v1");
    if mask & has::REGIONS != 0 {
        let (count, isolated) = cursor.flagged()?;
        // All regions of an operation share a section and a numbering.
        let mut inner = Scope::default();
        if isolated && decoder.file.version >= LAZY_REGIONS {
            let (number, mut content) = cursor.section()?;
            if usize::from(number) != SECTION {
                return cursor.wrong("expected a section of operations");
            }
            for _ in 0..count {
                let region = region(decoder, &mut content, &mut inner, function, depth + 1)?;
                op.regions.push(region);
            }
        } else {
            let scope = if isolated { &mut inner } else { scope };
            for _ in 0..count {
                let region = region(decoder, cursor, scope, function, depth + 1)?;
                op.regions.push(region);
            }
        }
    }
    if name.dialect == "vhlo" {
        vhlo::upgrade(&mut op, name.name, in_function)
            .map_err(|message| wrong(&start, format!("in `vhlo.{}`: {message}", name.name)))?;
    }
    Ok(op)
}

fn region<'a>(
    decoder: &mut Decoder<'a>,
    cursor: &mut Cursor<'a>,
    scope: &mut Scope,
    function: bool,
    depth: u32,
) -> Read<Region<'a>> {
    if depth > text::MAX_DEPTH {
        return cursor.wrong(format!("regions nest deeper than {} levels", text::MAX_DEPTH));
    }
    let blocks = cursor.count()?;
    if blocks == 0 {
        return Ok(Region::default());
    }
    let values = cursor.count()?;
    scope.next.push(scope.size);
    scope.size += values;
    let mut region = Region::default();
    for number in 0..blocks {
        let block = block(decoder, cursor, scope, function, depth)?;
        region.blocks.push(Block {
            label: (blocks > 1).then(|| format!("bb{number}").into()),
            ..block
        });
    }
    scope.next.pop();
    scope.size -= values;
    Ok(region)
}

fn block<'a>(
    decoder: &mut Decoder<'a>,
    cursor: &mut Cursor<'a>,
    scope: &mut Scope,
    function: bool,
    depth: u32,
) -> Read<Block<'a>> {
    let mut block = Block::default();
    let (operations, has_arguments) = cursor.flagged()?;
    if has_arguments {
        let count = cursor.count()?;
        for _ in 0..count {
            let at = *cursor;
            let (ty, location) = if decoder.file.version >= ARGUMENT_LOCATIONS {
                let (index, located) = cursor.flagged()?;
                let ty = decoder.type_at(usize::try_from(index).unwrap_or(usize::MAX), &at)?;
                let location = if located {
                    decoder.location(cursor)?
                } else {
                    text::LocId::UNKNOWN
                };
                (ty, location)
            } else {
                (decoder.ty(cursor)?, decoder.location(cursor)?)
            };
            block.arguments.push(BlockArgument {
                name: scope.define(cursor)?.to_string().into(),
                ty,
                location,
            });
        }
        if decoder.file.version >= USE_LISTS && cursor.byte()? != 0 {
            use_lists(cursor, count)?;
        }
    }
    for _ in 0..operations {
        let op = operation(decoder, cursor, scope, function, depth)?;
        if op.name != "builtin.unrealized_conversion_cast" || op.results.len() != op.operands.len() {
            block.operations.push(op);
        }
    }
    Ok(block)
}

/// Skips the recorded orders of uses of `values` values: what is built here has none.
fn use_lists(cursor: &mut Cursor, values: usize) -> Read<()> {
    let count = if values > 1 { cursor.varint()? } else { 1 };
    for _ in 0..count {
        if values > 1 {
            cursor.varint()?;
        }
        let (entries, _) = cursor.flagged()?;
        for _ in 0..entries {
            cursor.varint()?;
        }
    }
    Ok(())
}
