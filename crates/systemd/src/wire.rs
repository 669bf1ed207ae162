//! The encoding of D-Bus ("Marshaling (Wire Format)" in its specification): little-endian when we write, either when we read.

use crate::value::Value;

/// Writes values, each aligned from the beginning of the message or its body.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.raw(&bytes);
    }

    pub(crate) fn u32(&mut self, n: u32) {
        self.number(n.to_le_bytes());
    }

    /// `s` and `o`.
    pub(crate) fn string(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.raw(text.as_bytes());
        self.raw(&[0]);
    }

    /// `g`. Ours are short.
    pub(crate) fn signature(&mut self, text: &str) {
        debug_assert!(text.len() < 256);
        self.raw(&[text.len() as u8]);
        self.raw(text.as_bytes());
        self.raw(&[0]);
    }

    /// An array whose elements, aligned to `align`, `elements` writes.
    pub(crate) fn array(&mut self, align: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(align);
        let begin = self.0.len();
        elements(self);
        let length = (self.0.len() - begin) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// `v`
    pub(crate) fn variant(&mut self, value: &Value) {
        self.signature(&value.signature());
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Byte(n) => self.raw(&[*n]),
            Value::Bool(b) => self.u32((*b).into()),
            Value::I16(n) => self.number(n.to_le_bytes()),
            Value::U16(n) => self.number(n.to_le_bytes()),
            Value::I32(n) => self.number(n.to_le_bytes()),
            Value::U32(n) => self.number(n.to_le_bytes()),
            Value::I64(n) => self.number(n.to_le_bytes()),
            Value::U64(n) => self.number(n.to_le_bytes()),
            Value::F64(n) => self.number(n.to_le_bytes()),
            Value::Str(text) => self.string(text),
            Value::Array(element, values) => {
                self.array(alignment(element), |w| values.iter().for_each(|value| w.value(value)));
            }
            Value::Struct(fields) => {
                self.align(8);
                for field in fields {
                    self.value(field);
                }
            }
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// How a type is aligned, by the first character of its signature.
fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        Some(b'y' | b'g' | b'v') | None => 1,
        _ => 4,
    }
}

/// What is wrong with something that was read.
pub(crate) type Wrong = &'static str;

/// Reads what the other side wrote. Every length is checked against what is there.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    little: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], little: bool) -> Self {
        Self { bytes, at: 0, little }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn align(&mut self, to: usize) -> Result<(), Wrong> {
        let pad = self.at.next_multiple_of(to) - self.at;
        self.take(pad).map(drop)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Wrong> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let taken = &self.bytes[self.at..end.ok_or("it ends in the middle of a value")?];
        self.at += n;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Wrong> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Wrong> {
        self.align(4)?;
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// `s` and `o`.
    pub(crate) fn string(&mut self) -> Result<&'a str, Wrong> {
        let length = self.u32()? as usize;
        self.text(length)
    }

    /// `g`
    pub(crate) fn signature(&mut self) -> Result<&'a str, Wrong> {
        let length = self.byte()?.into();
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Wrong> {
        let text = self.take(length)?;
        if self.byte()? != 0 || text.contains(&0) {
            return Err("a string does not end where it says");
        }
        str::from_utf8(text).map_err(|_| "a string is not UTF-8")
    }

    /// The `v` of a string.
    pub(crate) fn string_variant(&mut self) -> Result<&'a str, Wrong> {
        match self.signature()? {
            "s" | "o" => self.string(),
            _ => Err("a value is no string"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};
    use crate::value::Value;

    #[test]
    fn values_are_aligned_as_the_specification_says() {
        let mut writer = Writer::default();
        writer.variant(&Value::Byte(7));
        writer.variant(&Value::U64(1));
        writer.variant(&Value::Array("s".into(), vec!["ab".into()]));
        writer.variant(&Value::Array("(st)".into(), vec![Value::Struct(vec!["x".into(), 2_u64.into()])]));
        let bytes = writer.into_bytes();
        assert_eq!(&bytes[..4], b"\x01y\0\x07");
        assert_eq!(&bytes[4..16], b"\x01t\0\0\x01\0\0\0\0\0\0\0");
        assert_eq!(&bytes[16..33], b"\x02as\0\x07\0\0\0\x02\0\0\0ab\0\x05a");
        // The array of structs: length at 40, padding to 48 that the length does not count, then 16 bytes.
        assert_eq!(&bytes[40..44], 16_u32.to_le_bytes());
        assert_eq!(bytes.len(), 64);
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let long = [255, 255, 255, 127, b'a', 0];
        assert!(Reader::new(&long, true).string().is_err());
        assert!(Reader::new(&[3, 0, 0, 0, b'a'], true).string().is_err());
        assert!(Reader::new(&[1, 0, 0, 0, b'a', b'b'], true).string().is_err());
        assert!(Reader::new(&[1, 0, 0, 0, 0xff, 0], true).string().is_err());
        assert!(Reader::new(&[0, 0, 1], false).u32().is_err());
        assert_eq!(Reader::new(&[0, 0, 0, 1, b'a', 0], false).string(), Ok("a"));
        assert!(Reader::new(&[5, b's'], true).string_variant().is_err());
    }
}
