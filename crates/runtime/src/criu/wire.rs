//! As much of the wire format of Protocol Buffers as CRIU's few messages need
//! (<https://protobuf.dev/programming-guides/encoding/>): numbers, strings, and messages in messages.

/// How a field is written: the low three bits of its key.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A message that is being written. Fields that are not written keep the default that the receiver has for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// A number: `int32` (which must not be negative), `uint32`, or an enum.
    pub(crate) fn number(&mut self, field: u32, value: u32) -> &mut Self {
        self.key(field, VARINT);
        self.varint(u64::from(value));
        self
    }

    /// A `bool`.
    pub(crate) fn flag(&mut self, field: u32, value: bool) -> &mut Self {
        self.number(field, u32::from(value))
    }

    /// A `string`. Paths need not be UTF-8, and CRIU takes them as they are.
    pub(crate) fn text(&mut self, field: u32, value: impl AsRef<[u8]>) -> &mut Self {
        let bytes = value.as_ref();
        self.key(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// A message in this one.
    pub(crate) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.text(field, &value.0)
    }

    /// What is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(&mut self, field: u32, kind: u64) {
        self.varint(u64::from(field) << 3 | kind);
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number, a `bool` or an enum.
    Number(u64),
    /// A string or a message.
    Bytes(&'a [u8]),
    /// A number of fixed size: CRIU has none.
    Fixed,
}

impl<'a> Value<'a> {
    /// The number; 0 if it is none.
    pub(crate) const fn number(self) -> u64 {
        if let Self::Number(n) = self { n } else { 0 }
    }

    /// The bytes; none if it is a number.
    pub(crate) const fn bytes(self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// The text.
    pub(crate) fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}

/// The fields of a message, in the order they were written; ends early where it is not one.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let key = take_varint(&mut rest)?;
        let value = match key & 7 {
            VARINT => Value::Number(take_varint(&mut rest)?),
            LENGTH => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            FIXED64 => take(&mut rest, 8).map(|_| Value::Fixed)?,
            FIXED32 => take(&mut rest, 4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own documentation.
    #[test]
    fn messages_are_written_as_protocol_buffers_document_it() {
        let mut inner = Message::default();
        assert_eq!(inner.number(1, 150).bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").bytes(), b"\x12\x07testing");
        assert_eq!(Message::default().message(3, &inner).bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::default().flag(68, true).bytes(), [0xa0, 0x04, 0x01]);
        assert_eq!(Message::default().number(1, u32::MAX).bytes(), [0x08, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn what_was_written_is_read_back_and_what_is_unknown_is_passed_over() {
        let mut message = Message::default();
        message.number(1, 300).text(2, "a").flag(9, true);
        let mut bytes = message.bytes().to_vec();
        bytes.extend([0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4]);
        // -1 as an int32 is written in ten bytes.
        bytes.extend([0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        let read: Vec<_> = fields(&bytes).collect();
        let expected = [
            (1, Value::Number(300)),
            (2, Value::Bytes(b"a")),
            (9, Value::Number(1)),
            (3, Value::Fixed),
            (4, Value::Fixed),
            (5, Value::Number(u64::MAX)),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn bytes_that_are_no_message_are_read_as_far_as_they_go() {
        for wrong in [
            &b"\x12\x07test"[..],
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80",
            b"\x0b",
            b"\x09\x01",
        ] {
            assert_eq!(fields(wrong).count(), 0, "{wrong:x?}");
        }
        assert_eq!(fields(&[0xff; 64]).count(), 0, "a number of more than 64 bits");
    }
}
