//! Tags, varints and lengths: what every message is made of.

use std::fmt;

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a Protocol Buffers message")
    }
}

impl std::error::Error for Malformed {}

/// The value of one field, as far as the wire tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1: eight bytes.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5: four bytes.
    Fixed32(u32),
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const GROUP: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

/// How deep groups may lie in each other; nobody writes any since proto2 was new.
const DEEPEST: u32 = 16;

/// Takes one message apart.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field: its number and value; `None` at the end. Groups are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        while !self.rest.is_empty() {
            let (number, kind) = self.tag()?;
            if let Some(value) = self.value(number, kind, 0)? {
                return Ok(Some((number, value)));
            }
        }
        Ok(None)
    }

    fn tag(&mut self) -> Result<(u32, u32), Malformed> {
        let tag = u32::try_from(self.varint()?).map_err(|_| Malformed)?;
        if tag >> 3 == 0 { Err(Malformed) } else { Ok((tag >> 3, tag & 7)) }
    }

    /// The value of a field; `None` for a group.
    fn value(&mut self, number: u32, kind: u32, depth: u32) -> Result<Option<Value<'a>>, Malformed> {
        Ok(Some(match kind {
            VARINT => Value::Varint(self.varint()?),
            FIXED64 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            BYTES => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            FIXED32 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            GROUP if depth < DEEPEST => {
                self.pass_group(number, depth + 1)?;
                return Ok(None);
            }
            _ => return Err(Malformed),
        }))
    }

    fn pass_group(&mut self, group: u32, depth: u32) -> Result<(), Malformed> {
        loop {
            match self.tag()? {
                (number, GROUP_END) if number == group => return Ok(()),
                (number, kind) => self.value(number, kind, depth)?,
            };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Value<'_> {
    /// Writes a field.
    pub(crate) fn put(self, number: u32, out: &mut Vec<u8>) {
        let tag = |kind: u32, out: &mut Vec<u8>| put_varint(u64::from(number << 3 | kind), out);
        match self {
            Self::Varint(value) => {
                tag(VARINT, out);
                put_varint(value, out);
            }
            Self::Fixed64(value) => {
                tag(FIXED64, out);
                out.extend(value.to_le_bytes());
            }
            Self::Bytes(bytes) => {
                tag(BYTES, out);
                put_varint(bytes.len() as u64, out);
                out.extend(bytes);
            }
            Self::Fixed32(value) => {
                tag(FIXED32, out);
                out.extend(value.to_le_bytes());
            }
        }
    }
}
