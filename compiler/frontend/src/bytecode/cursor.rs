//! Reading of bytes: integers of variable length, strings, blobs, sections.

/// What is wrong, and at which byte of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    pub(super) offset: usize,
    pub(super) message: String,
}

pub(super) type Read<T> = Result<T, Wrong>;

/// A part of the file that is being read. Nothing is allocated by a length that the rest of the part cannot hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Where the part begins in the file.
    base: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Self {
        Cursor { bytes, base, at: 0 }
    }

    /// Offset in the file.
    pub(super) fn offset(&self) -> usize {
        self.base + self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(Wrong {
            offset: self.offset(),
            message: message.into(),
        })
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        match self.bytes.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => self.wrong("the file ends too early"),
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        match self.bytes[self.at..].get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.wrong(format!("{count} bytes are announced, but {} are left", self.left())),
        }
    }

    /// A part of this part, with its own end.
    pub(super) fn part(&mut self, count: usize) -> Read<Cursor<'a>> {
        let base = self.offset();
        Ok(Cursor::new(self.take(count)?, base))
    }

    /// An unsigned integer: the number of zero bits at the low end of the first byte says how many bytes follow.
    pub(super) fn varint(&mut self) -> Read<u64> {
        let first = self.byte()?;
        let more = if first == 0 { 8 } else { first.trailing_zeros() as usize };
        let rest = self.take(more)?;
        let mut word = [0u8; 8];
        word[..more].copy_from_slice(rest);
        let rest = u64::from_le_bytes(word);
        Ok(match more {
            8 => rest,
            // Eight bits of the first byte, without the marker.
            _ => (u128::from(rest) << 8 | u128::from(first)).wrapping_shr(more as u32 + 1) as u64,
        })
    }

    /// A signed integer, zigzag encoded.
    pub(super) fn svarint(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// An integer that carries a flag in its lowest bit.
    pub(super) fn flagged(&mut self) -> Read<(u64, bool)> {
        let value = self.varint()?;
        Ok((value >> 1, value & 1 != 0))
    }

    /// An index into a table of memory.
    pub(super) fn index(&mut self) -> Read<usize> {
        let value = self.varint()?;
        usize::try_from(value).or_else(|_| self.wrong(format!("{value} is no index")))
    }

    /// A number of things that take at least one byte each.
    pub(super) fn count(&mut self) -> Read<usize> {
        let count = self.index()?;
        self.check_count(count)
    }

    pub(super) fn check_count(&self, count: usize) -> Read<usize> {
        if count > self.left() {
            return self.wrong(format!(
                "{count} entries are announced, but only {} bytes are left",
                self.left()
            ));
        }
        Ok(count)
    }

    pub(super) fn svarints(&mut self) -> Read<Vec<i64>> {
        let count = self.count()?;
        (0..count).map(|_| self.svarint()).collect()
    }

    /// A size and as many bytes.
    pub(super) fn blob(&mut self) -> Read<&'a [u8]> {
        let size = self.index()?;
        self.take(size)
    }

    /// Bytes up to a zero byte.
    pub(super) fn c_string(&mut self) -> Read<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|&b| b == 0) {
            Some(length) => {
                self.at += length + 1;
                Ok(&rest[..length])
            }
            None => self.wrong("a string has no end"),
        }
    }

    /// Skips padding up to a multiple of `alignment` of the file.
    pub(super) fn align(&mut self, alignment: u64) -> Read<()> {
        if !alignment.is_power_of_two() {
            return self.wrong(format!("an alignment of {alignment} is no power of two"));
        }
        let padding = (self.offset() as u64).next_multiple_of(alignment) - self.offset() as u64;
        self.take(usize::try_from(padding).unwrap_or(usize::MAX))?;
        Ok(())
    }

    /// An integer attribute's value of a known width: a byte, or a signed number in one or several words. Wider than 128
    /// bits is refused.
    pub(super) fn integer(&mut self, width: u32) -> Read<i128> {
        if width <= 8 {
            return Ok(i128::from(self.byte()? as i8));
        }
        if width <= 64 {
            return Ok(i128::from(self.svarint()?));
        }
        let words = self.count()?;
        let mut value = 0u128;
        for n in 0..words {
            let word = self.svarint()?;
            if n >= 2 {
                return self.wrong("integers of more than 128 bits are not supported");
            }
            value |= u128::from(word as u64) << (64 * n);
        }
        Ok(value as i128)
    }

    /// The next section: its number and its content.
    pub(super) fn section(&mut self) -> Read<(u8, Cursor<'a>)> {
        let head = self.byte()?;
        let length = self.index()?;
        if head & 0x80 != 0 {
            let alignment = self.varint()?;
            self.align(alignment)?;
        }
        Ok((head & 0x7F, self.part(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(value: u64) -> Vec<u8> {
        let bits = 64 - (value | 1).leading_zeros() as usize;
        let bytes = bits.div_ceil(7);
        if bytes > 8 {
            return std::iter::once(0).chain(value.to_le_bytes()).collect();
        }
        let marked = (value << 1 | 1) << (bytes - 1);
        marked.to_le_bytes()[..bytes].to_vec()
    }

    #[test]
    fn integers_of_every_length_are_read() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let bytes = encode(value);
                let mut cursor = Cursor::new(&bytes, 0);
                assert_eq!(cursor.varint(), Ok(value), "{bytes:?}");
                assert!(cursor.is_empty());
            }
        }
    }

    #[test]
    fn signed_integers_are_zigzag() {
        for (value, code) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MIN, u64::MAX)] {
            assert_eq!(Cursor::new(&encode(code), 0).svarint(), Ok(value));
        }
    }

    #[test]
    fn announced_lengths_are_checked_before_memory_is_taken() {
        let mut bytes = encode(u64::MAX >> 1);
        bytes.push(7);
        assert!(Cursor::new(&bytes, 0).svarints().is_err());
        assert!(Cursor::new(&bytes, 0).blob().is_err());
    }
}
