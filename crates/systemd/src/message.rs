//! Messages: calls that we write, and the head of whatever comes ("Message Protocol" in the specification of D-Bus).

use crate::wire::{Reader, Writer, Wrong};

/// A longer message is refused. Replies to our calls have some hundred bytes; what systemd tells everybody about its units
/// comes along too, and is skipped.
pub(crate) const MOST: usize = 1024 * 1024;
/// The head's fixed part.
pub(crate) const HEAD: usize = 16;

const METHOD_CALL: u8 = 1;

/// A method to call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) destination: &'static str,
    pub(crate) path: &'static str,
    pub(crate) interface: &'static str,
    pub(crate) member: &'static str,
    /// The types of its arguments.
    pub(crate) signature: &'static str,
}

impl Method {
    /// The call as a message; `arguments` writes what the signature promises.
    pub(crate) fn call(self, serial: u32, arguments: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut body = Writer::default();
        arguments(&mut body);
        let body = body.into_bytes();
        let mut message = Writer::default();
        message.raw(&[b'l', METHOD_CALL, 0, 1]);
        message.u32(body.len() as u32);
        message.u32(serial);
        message.array(8, |w| {
            for (code, kind, text) in [
                (1, "o", self.path),
                (2, "s", self.interface),
                (3, "s", self.member),
                (6, "s", self.destination),
            ] {
                w.align(8);
                w.raw(&[code]);
                w.signature(kind);
                w.string(text);
            }
            if !self.signature.is_empty() {
                w.align(8);
                w.raw(&[8]);
                w.signature("g");
                w.signature(self.signature);
            }
        });
        message.align(8);
        message.raw(&body);
        message.into_bytes()
    }
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Reply,
    Error,
    Signal,
    /// A call to us, or something unknown: not for us to answer.
    Other,
}

/// How long a message is, by its fixed head.
pub(crate) fn length(head: &[u8; HEAD]) -> Result<usize, Wrong> {
    let little = is_little(head[0])?;
    if head[3] != 1 {
        return Err("it is of an unknown version of the protocol");
    }
    let mut reader = Reader::new(&head[4..], little);
    let (body, _serial, fields) = (reader.u32()? as usize, reader.u32()?, reader.u32()? as usize);
    // Each is below 2^32, so the sum fits.
    let length = (HEAD + fields).next_multiple_of(8) + body;
    if length > MOST { Err("it is longer than a mebibyte") } else { Ok(length) }
}

fn is_little(byte: u8) -> Result<bool, Wrong> {
    match byte {
        b'l' => Ok(true),
        b'B' => Ok(false),
        _ => Err("it is no message of D-Bus"),
    }
}

/// A message that came.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) kind: Kind,
    /// Which call it answers.
    pub(crate) reply_to: u32,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    /// The name of an error.
    pub(crate) error: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) signature: &'a str,
    pub(crate) body: Reader<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads a whole message, whose length was that of [`length`].
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Wrong> {
        let head = message.get(..HEAD).ok_or("it is too short")?;
        let little = is_little(head[0])?;
        let kind = match head[1] {
            2 => Kind::Reply,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let fields = Reader::new(&head[12..], little).u32()? as usize;
        let end = HEAD.checked_add(fields).ok_or("it is too short")?;
        let body = message.get(end.next_multiple_of(8)..).ok_or("it is too short")?;
        let mut incoming = Self {
            kind,
            reply_to: 0,
            interface: "",
            member: "",
            error: "",
            sender: "",
            signature: "",
            body: Reader::new(body, little),
        };
        // Fields are aligned from the message's begin, which is a multiple of eight before them.
        let mut reader = Reader::new(&message[HEAD..end], little);
        while !reader.at_end() {
            incoming.field(&mut reader)?;
        }
        Ok(incoming)
    }

    fn field(&mut self, reader: &mut Reader<'a>) -> Result<(), Wrong> {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.signature()?) {
            (2, "s") => self.interface = reader.string()?,
            (3, "s") => self.member = reader.string()?,
            (4, "s") => self.error = reader.string()?,
            (5, "u") => self.reply_to = reader.u32()?,
            (7, "s") => self.sender = reader.string()?,
            (8, "g") => self.signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.string()?),
            (_, "u") => drop(reader.u32()?),
            (_, "g") => drop(reader.signature()?),
            _ => return Err("its head has a field of an unknown type"),
        }
        Ok(())
    }

    /// The text of an error, if it has one.
    pub(crate) fn text(&self) -> &'a str {
        if self.signature.starts_with('s') { self.body.clone().string().unwrap_or_default() } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PING: Method = Method {
        destination: "org.example",
        path: "/org/example",
        interface: "org.example.I",
        member: "Ping",
        signature: "su",
    };

    #[test]
    fn a_call_can_be_read_back() {
        let call = PING.call(7, |w| {
            w.string("hello");
            w.u32(3);
        });
        let head = call[..HEAD].try_into().unwrap();
        assert_eq!(length(&head), Ok(call.len()));
        let mut read = Incoming::read(&call).unwrap();
        assert_eq!((read.kind, read.member, read.signature), (Kind::Other, "Ping", "su"));
        assert_eq!((read.body.string(), read.body.u32()), (Ok("hello"), Ok(3)));
    }

    #[test]
    fn a_cut_message_is_an_error_at_every_length() {
        let call = PING.call(7, |w| w.string("hello"));
        for n in 0..call.len() {
            // Without its end the body is short; without more, the head is.
            let read = Incoming::read(&call[..n]);
            assert!(read.is_err() || read.unwrap().body.string().is_err(), "{n} of {} bytes", call.len());
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let head = |body: u32, fields: u32| {
            let mut head = [b'l', 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
            head[4..8].copy_from_slice(&body.to_le_bytes());
            head[12..].copy_from_slice(&fields.to_le_bytes());
            head
        };
        assert_eq!(length(&head(8, 1)), Ok(32));
        assert!(length(&head(u32::MAX, 0)).is_err());
        assert!(length(&head(0, u32::MAX)).is_err());
        assert!(length(b"GET / HTTP/1.1\r\n").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), little: bool) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = if little { b'l' } else { b'B' };
            }
            if let Ok(read) = Incoming::read(&bytes) {
                read.text();
                read.body.clone().string_variant().ok();
            }
            if let Some(head) = bytes.first_chunk() {
                length(head).ok();
            }
        }
    }
}
