//! The transfers of an engine file, one after the other: as text they take many times the bytes of what is kept of them.

use std::fmt;
use std::marker::PhantomData;

use ferrite_ir::diag::Diagnostic;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::malformed;
use crate::schema::DmaElement;

/// Calls `read` with every transfer of an engine file ([`crate::schema::EngineFile`]) in order.
///
/// # Errors
/// What `read` refuses, and a file that is not as it should be.
pub(crate) fn each_transfer<'a>(
    path: &str,
    bytes: &'a [u8],
    mut read: impl FnMut(DmaElement<'a>) -> Result<(), Diagnostic>,
) -> Result<(), Diagnostic> {
    let mut refused = None;
    let mut take = |element| match read(element) {
        Ok(()) => true,
        Err(error) => {
            refused = Some(error);
            false
        }
    };
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = json.deserialize_map(File(&mut take, PhantomData));
    let parsed = parsed.and_then(|()| json.end());
    match refused {
        Some(error) => Err(error),
        None => parsed.map_err(|e| malformed(path, e)),
    }
}

/// The object that the file is.
struct File<'f, 'a, F>(&'f mut F, PhantomData<&'a ()>);

impl<'a, F: FnMut(DmaElement<'a>) -> bool> Visitor<'a> for File<'_, 'a, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an engine file")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "dma" {
                map.next_value_seed(List(&mut *self.0, PhantomData))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Its list of transfers.
struct List<'f, 'a, F>(&'f mut F, PhantomData<&'a ()>);

impl<'a, F: FnMut(DmaElement<'a>) -> bool> DeserializeSeed<'a> for List<'_, 'a, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(DmaElement<'a>) -> bool> Visitor<'a> for List<'_, 'a, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of DMA transfers")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        while let Some(element) = list.next_element::<DmaElement<'a>>()? {
            if !(self.0)(element) {
                return Err(S::Error::custom("refused"));
            }
        }
        Ok(())
    }
}
