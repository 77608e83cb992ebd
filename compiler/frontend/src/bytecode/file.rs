//! The sections of a bytecode file, as tables that point into it.
//!
//! The format is that of MLIR's bytecode, versions 0 to 6: <https://mlir.llvm.org/docs/BytecodeFormat/>.

use super::cursor::{Cursor, Read};

/// Newest version that is read.
const NEWEST: u64 = 6;

/// Version from which on dialects may carry versions of their own.
const DIALECT_VERSIONS: u64 = 1;

/// Version from which on regions that see no outer value are sections of their own.
pub(super) const LAZY_REGIONS: u64 = 2;

/// Version from which on orders of uses are recorded.
pub(super) const USE_LISTS: u64 = 3;

/// Version from which on unknown locations of block arguments are left out.
pub(super) const ARGUMENT_LOCATIONS: u64 = 4;

/// Version from which on properties are encoded apart from attributes.
const PROPERTIES: u64 = 5;

/// Version from which on sizes of operand groups are encoded at the end of the properties.
pub(super) const SEGMENT_SIZES: u64 = 6;

const SECTIONS: usize = 9;

/// The number of a section of operations.
pub(super) const SECTION: usize = id::IR;

mod id {
    pub(super) const STRINGS: usize = 0;
    pub(super) const DIALECTS: usize = 1;
    pub(super) const ATTR_TYPE: usize = 2;
    pub(super) const ATTR_TYPE_OFFSET: usize = 3;
    pub(super) const IR: usize = 4;
    pub(super) const RESOURCE: usize = 5;
    pub(super) const RESOURCE_OFFSET: usize = 6;
    pub(super) const DIALECT_VERSIONS: usize = 7;
    pub(super) const PROPERTIES: usize = 8;
}

/// Name of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpName<'a> {
    /// The dialect, without a dot.
    pub(super) dialect: &'a str,
    /// The rest of the name.
    pub(super) name: &'a str,
    /// Whether the writer knew the operation: then its properties are encoded its own way.
    pub(super) registered: bool,
}

/// An attribute or a type that was not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) dialect: &'a str,
    /// In the dialect's own encoding, rather than as text.
    pub(super) encoded: bool,
    pub(super) content: Cursor<'a>,
}

/// What a resource holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource<'a> {
    pub(super) key: &'a str,
    /// The bytes of a blob; nothing for other kinds.
    pub(super) blob: Option<&'a [u8]>,
}

/// The tables of a file.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) version: u64,
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) names: Vec<OpName<'a>>,
    pub(super) attributes: Vec<Entry<'a>>,
    pub(super) types: Vec<Entry<'a>>,
    pub(super) resources: Vec<Resource<'a>>,
    pub(super) properties: Vec<Cursor<'a>>,
    pub(super) ir: Cursor<'a>,
}

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Read<File<'a>> {
        let mut cursor = Cursor::new(bytes, 0);
        cursor.take(4)?;
        let version = cursor.varint()?;
        if version > NEWEST {
            return cursor.wrong(format!(
                "bytecode of version {version} is newer than the newest known one, {NEWEST}"
            ));
        }
        // The producer.
        cursor.c_string()?;
        let mut sections: [Option<Cursor>; SECTIONS] = [None; SECTIONS];
        while !cursor.is_empty() {
            let start = cursor;
            let (number, content) = cursor.section()?;
            match sections.get_mut(usize::from(number)) {
                Some(slot @ None) => *slot = Some(content),
                Some(Some(_)) => return start.wrong(format!("section {number} occurs twice")),
                None => return start.wrong(format!("section {number} is not known")),
            }
        }
        let need = |number: usize, name: &str| match sections[number] {
            Some(section) => Ok(section),
            None => cursor.wrong(format!("the {name} section is missing")),
        };
        let mut file = File {
            version,
            strings: strings(need(id::STRINGS, "string")?)?,
            names: Vec::new(),
            attributes: Vec::new(),
            types: Vec::new(),
            resources: Vec::new(),
            properties: Vec::new(),
            ir: need(id::IR, "IR")?,
        };
        let dialects = file.dialects(need(id::DIALECTS, "dialect")?)?;
        file.entries(
            need(id::ATTR_TYPE_OFFSET, "attribute and type offset")?,
            need(id::ATTR_TYPE, "attribute and type")?,
            &dialects,
        )?;
        if let Some(offsets) = sections[id::RESOURCE_OFFSET] {
            file.resources(offsets, need(id::RESOURCE, "resource")?)?;
        }
        if let Some(section) = sections[id::PROPERTIES] {
            file.properties = properties(section)?;
        }
        Ok(file)
    }

    /// The string an index refers to, which must be UTF-8.
    pub(super) fn text(&self, cursor: &mut Cursor<'a>) -> Read<&'a str> {
        let start = *cursor;
        match self.string(cursor).map(std::str::from_utf8)? {
            Ok(text) => Ok(text),
            Err(_) => start.wrong("a name is not UTF-8"),
        }
    }

    /// The string an index refers to.
    pub(super) fn string(&self, cursor: &mut Cursor<'a>) -> Read<&'a [u8]> {
        let start = *cursor;
        let index = cursor.index()?;
        match self.strings.get(index) {
            Some(string) => Ok(string),
            None => start.wrong(format!("there is no string {index}")),
        }
    }

    /// Reads the names of dialects, which it returns, and of operations.
    fn dialects(&mut self, mut cursor: Cursor<'a>) -> Read<Vec<&'a str>> {
        let count = cursor.count()?;
        let mut dialects = Vec::with_capacity(count);
        for _ in 0..count {
            if self.version < DIALECT_VERSIONS {
                dialects.push(self.text(&mut cursor)?);
                continue;
            }
            let start = cursor;
            let (index, versioned) = cursor.flagged()?;
            let name = usize::try_from(index).ok().and_then(|n| self.strings.get(n));
            match name.and_then(|name| std::str::from_utf8(name).ok()) {
                Some(name) => dialects.push(name),
                None => return start.wrong("the name of a dialect is missing"),
            }
            if versioned {
                let (number, _) = cursor.section()?;
                if usize::from(number) != id::DIALECT_VERSIONS {
                    return start.wrong("expected the version of a dialect");
                }
            }
        }
        if self.version >= ARGUMENT_LOCATIONS && !cursor.is_empty() {
            // How many names follow: something to reserve by, which growing vectors do not need.
            cursor.varint()?;
        }
        while !cursor.is_empty() {
            let dialect = dialect(&mut cursor, &dialects)?;
            for _ in 0..cursor.count()? {
                let start = cursor;
                let (index, registered) = if self.version < PROPERTIES {
                    (cursor.varint()?, true)
                } else {
                    cursor.flagged()?
                };
                let name = usize::try_from(index).ok().and_then(|n| self.strings.get(n));
                match name.and_then(|name| std::str::from_utf8(name).ok()) {
                    Some(name) => self.names.push(OpName {
                        dialect,
                        name,
                        registered,
                    }),
                    None => return start.wrong("the name of an operation is missing"),
                }
            }
        }
        Ok(dialects)
    }

    /// Reads where attributes and types stand.
    fn entries(&mut self, mut offsets: Cursor<'a>, mut content: Cursor<'a>, dialects: &[&'a str]) -> Read<()> {
        let attributes = offsets.count()?;
        let types = offsets.count()?;
        let total = attributes + types;
        offsets.check_count(total)?;
        let mut all = Vec::with_capacity(total);
        while all.len() < total {
            let dialect = dialect(&mut offsets, dialects)?;
            let count = offsets.count()?;
            if all.len() + count > total {
                return offsets.wrong("more attributes and types are listed than announced");
            }
            for _ in 0..count {
                let (size, encoded) = offsets.flagged()?;
                let content = content.part(usize::try_from(size).unwrap_or(usize::MAX))?;
                all.push(Entry {
                    dialect,
                    encoded,
                    content,
                });
            }
        }
        self.types = all.split_off(attributes);
        self.attributes = all;
        Ok(())
    }

    /// Reads the resources: those of the writer's environment, which nothing refers to, then those of dialects.
    fn resources(&mut self, mut offsets: Cursor<'a>, mut content: Cursor<'a>) -> Read<()> {
        let external = offsets.count()?;
        let mut group = 0;
        while !offsets.is_empty() {
            // The name of the environment, or the number of the dialect.
            offsets.varint()?;
            for _ in 0..offsets.count()? {
                let key = self.text(&mut offsets)?;
                let size = offsets.index()?;
                let kind = offsets.byte()?;
                let mut entry = content.part(size)?;
                if group < external {
                    continue;
                }
                let blob = if kind == 0 && !entry.is_empty() {
                    let alignment = entry.varint()?;
                    let size = entry.index()?;
                    entry.align(alignment)?;
                    Some(entry.take(size)?)
                } else {
                    None
                };
                self.resources.push(Resource { key, blob });
            }
            group += 1;
        }
        Ok(())
    }
}

fn dialect<'a>(cursor: &mut Cursor<'a>, dialects: &[&'a str]) -> Read<&'a str> {
    let start = *cursor;
    let index = cursor.index()?;
    match dialects.get(index) {
        Some(dialect) => Ok(dialect),
        None => start.wrong(format!("there is no dialect {index}")),
    }
}

/// Strings stand one after the other at the end, their sizes before them, the last string's first.
fn strings(mut cursor: Cursor<'_>) -> Read<Vec<&[u8]>> {
    let count = cursor.count()?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push(cursor.index()?);
    }
    let mut strings = Vec::with_capacity(count);
    for &size in sizes.iter().rev() {
        // A zero byte ends each.
        let string = cursor.take(size)?;
        match string.split_last() {
            Some((0, string)) => strings.push(string),
            _ => return cursor.wrong("a string has no end"),
        }
    }
    Ok(strings)
}

fn properties(mut cursor: Cursor<'_>) -> Read<Vec<Cursor<'_>>> {
    let count = cursor.count()?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let size = cursor.index()?;
        all.push(cursor.part(size)?);
    }
    Ok(all)
}
