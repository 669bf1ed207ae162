//! Values as text, as annotations `org.systemd.property.NAME` have them: the [text format of GVariant] without its
//! dictionaries, variants, `maybe` types and byte strings, which no property of a unit takes.
//!
//! | text | type |
//! |---|---|
//! | `true`, `false` | `b` |
//! | `'text'`, `"text"` | `s` |
//! | `5`, `-3`, `0x1f` | `i` |
//! | `1.5`, `1e3` | `d` |
//! | `uint64 5`, `@t 5` | `t`, and so on for `byte`, `int16`, `uint16`, `int32`, `uint32`, `int64`, `double`, `string`, `boolean` |
//! | `['a', 'b']`, `@as []` | an array; all its elements are of one type |
//! | `('a', uint64 5)` | a structure |
//!
//! [text format of GVariant]: https://docs.gtk.org/glib/gvariant-text-format.html

use crate::value::{Property, Value};

/// Arrays and structures are not nested deeper than this (D-Bus allows 32 of each).
const DEEPEST: u8 = 16;

const TYPES: [(&str, char); 11] = [
    ("boolean", 'b'),
    ("byte", 'y'),
    ("int16", 'n'),
    ("uint16", 'q'),
    ("int32", 'i'),
    ("uint32", 'u'),
    ("int64", 'x'),
    ("uint64", 't'),
    ("double", 'd'),
    ("string", 's'),
    ("bool", 'b'),
];

/// The property that an annotation `org.systemd.property.NAME` asks for. A name such as `TimeoutStopSec`, as unit files
/// have it, becomes `TimeoutStopUSec`, as the bus has it, and its value microseconds.
///
/// # Errors
/// A sentence about what is wrong.
pub fn property(name: &str, text: &str) -> Result<Property, String> {
    if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Err(format!("{name:?} is not the name of a property: three or more letters a-z, A-Z"));
    }
    let value = parse(text)?;
    let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()));
    let Some(stem) = stem else { return Ok(Property::new(name, value)) };
    let Some(microseconds) = value.seconds_to_microseconds() else {
        return Err(format!("{text:?} is not a number of seconds"));
    };
    Ok(Property { name: format!("{stem}USec"), value: microseconds })
}

/// Reads one value.
///
/// # Errors
/// A sentence about what is wrong, which quotes the text.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let parsed = parser.value(None, DEEPEST).and_then(|value| match parser.next() {
        None => Ok(value),
        Some(c) => Err(format!("there is {c:?} behind the value")),
    });
    parsed.map_err(|why| format!("{text:?} is not a value in the text format of GVariant: {why}"))
}

struct Parser<'a> {
    rest: &'a str,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    /// The next character that is no space.
    fn next(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.next() == Some(c);
        if found {
            self.rest = &self.rest[c.len_utf8()..];
        }
        found
    }

    fn expect(&mut self, c: char) -> Parsed<()> {
        if self.take(c) { Ok(()) } else { Err(format!("{c:?} is missing")) }
    }

    /// A value, of type `kind` if that is known.
    fn value(&mut self, kind: Option<&str>, deeper: u8) -> Parsed<Value> {
        let deeper = deeper.checked_sub(1).ok_or("it is nested too deeply")?;
        match self.next().ok_or("it ends where a value should be")? {
            '@' => self.typed(deeper),
            '[' => self.array(kind, deeper),
            '(' => self.structure(kind, deeper),
            quote @ ('\'' | '"') => self.string(quote),
            _ => self.word(kind, deeper),
        }
        .and_then(|value| match kind {
            Some(kind) if value.signature() != kind => {
                Err(format!("a value is of type {} instead of {kind}", value.signature()))
            }
            _ => Ok(value),
        })
    }

    /// `@as []`
    fn typed(&mut self, deeper: u8) -> Parsed<Value> {
        self.expect('@')?;
        let end = self.rest.find(|c: char| c.is_whitespace()).unwrap_or(self.rest.len());
        let (kind, rest) = self.rest.split_at(end);
        if one_type(kind, DEEPEST) != Some("") {
            return Err(format!("{kind:?} is not a type"));
        }
        self.rest = rest;
        self.value(Some(kind), deeper)
    }

    fn array(&mut self, kind: Option<&str>, deeper: u8) -> Parsed<Value> {
        self.expect('[')?;
        let mut element = match kind {
            None => None,
            Some(kind) => Some(kind.strip_prefix('a').ok_or("an array is where none should be")?.to_owned()),
        };
        let mut values = Vec::new();
        while self.next() != Some(']') {
            if !values.is_empty() {
                self.expect(',')?;
            }
            let value = self.value(element.as_deref(), deeper)?;
            element.get_or_insert_with(|| value.signature());
            values.push(value);
        }
        self.expect(']')?;
        let element = element.ok_or("an empty array needs its type, such as @as []")?;
        Ok(Value::Array(element, values))
    }

    fn structure(&mut self, kind: Option<&str>, deeper: u8) -> Parsed<Value> {
        self.expect('(')?;
        let mut kinds = match kind {
            None => None,
            Some(kind) => {
                let inner = kind.strip_prefix('(').and_then(|kind| kind.strip_suffix(')'));
                Some(inner.ok_or("a structure is where none should be")?)
            }
        };
        let mut fields = Vec::new();
        while self.next() != Some(')') {
            if !fields.is_empty() {
                self.expect(',')?;
                if self.next() == Some(')') {
                    break; // `(1,)`
                }
            }
            let field = match kinds {
                None => None,
                Some(all) => {
                    let rest = one_type(all, DEEPEST).ok_or("a structure has too many fields")?;
                    kinds = Some(rest);
                    Some(&all[..all.len() - rest.len()])
                }
            };
            fields.push(self.value(field, deeper)?);
        }
        self.expect(')')?;
        if fields.is_empty() {
            return Err("a structure has no fields".to_owned());
        }
        Ok(Value::Struct(fields))
    }

    fn string(&mut self, quote: char) -> Parsed<Value> {
        self.expect(quote)?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            let escaped = match c {
                '\\' => chars.next().ok_or("a string ends after a backslash")?.1,
                '\0' => return Err("a string has a NUL character".to_owned()),
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Value::Str(text));
                }
                _ => {
                    text.push(c);
                    continue;
                }
            };
            text.push(match escaped {
                'n' => '\n',
                't' => '\t',
                '\\' | '\'' | '"' => escaped,
                other => return Err(format!("\\{other} is not an escape that is known here")),
            });
        }
        Err(format!("a string lacks its end {quote}"))
    }

    /// A number, a truth value, or a type and what it is of.
    fn word(&mut self, kind: Option<&str>, deeper: u8) -> Parsed<Value> {
        let end = self.rest.find(|c: char| c.is_whitespace() || ",])".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Some((_, code)) = TYPES.iter().find(|(name, _)| *name == word) {
            return self.value(Some(code.encode_utf8(&mut [0; 4])), deeper);
        }
        match word {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let kind = kind.unwrap_or(if is_integer(word) { "i" } else { "d" });
        number(word, kind).ok_or_else(|| format!("{word:?} is not a value of type {kind}"))
    }
}

fn is_integer(word: &str) -> bool {
    let digits = word.trim_start_matches(['-', '+']);
    digits.starts_with("0x") || digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(word: &str, kind: &str) -> Option<Value> {
    if kind == "d" {
        // Rust would read `inf`, `nan` and their like, too; no property has a use for them.
        let plain = word.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        return word.parse().ok().filter(|_| plain).map(Value::F64);
    }
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, radix) = digits.strip_prefix("0x").map_or((digits, 10), |hex| (hex, 16));
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let n = i128::from_str_radix(digits, radix).ok()?;
    let n = if negative { -n } else { n };
    Some(match kind {
        "y" => Value::Byte(n.try_into().ok()?),
        "n" => Value::I16(n.try_into().ok()?),
        "q" => Value::U16(n.try_into().ok()?),
        "i" => Value::I32(n.try_into().ok()?),
        "u" => Value::U32(n.try_into().ok()?),
        "x" => Value::I64(n.try_into().ok()?),
        "t" => Value::U64(n.try_into().ok()?),
        _ => return None,
    })
}

/// What is behind the first complete type of a signature.
fn one_type(signature: &str, deeper: u8) -> Option<&str> {
    let deeper = deeper.checked_sub(1)?;
    let mut chars = signature.chars();
    match chars.next()? {
        'a' => one_type(chars.as_str(), deeper),
        '(' => {
            let mut rest = one_type(chars.as_str(), deeper)?;
            while !rest.starts_with(')') {
                rest = one_type(rest, deeper)?;
            }
            Some(&rest[1..])
        }
        code if TYPES.iter().any(|(_, known)| *known == code) => Some(chars.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_engines_write() {
        let strings = |words: &[&str]| Value::Array("s".into(), words.iter().map(|w| (*w).into()).collect());
        for (text, value) in [
            ("true", Value::Bool(true)),
            (" 'multi-user.target' ", "multi-user.target".into()),
            (r#""it's""#, "it's".into()),
            (r"'it\'s'", "it's".into()),
            ("5", Value::I32(5)),
            ("-0x10", Value::I32(-16)),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("@t 5", Value::U64(5)),
            ("int64 -5", Value::I64(-5)),
            ("uint32 7", Value::U32(7)),
            ("byte 255", Value::Byte(255)),
            ("2.5", Value::F64(2.5)),
            ("double 2", Value::F64(2.0)),
            ("['a', 'b']", strings(&["a", "b"])),
            ("@as []", strings(&[])),
            ("[uint64 1, 2]", Value::Array("t".into(), vec![Value::U64(1), Value::U64(2)])),
            (
                "@a(st) [('/dev/sda', 9)]",
                Value::Array("(st)".into(), vec![Value::Struct(vec!["/dev/sda".into(), Value::U64(9)])]),
            ),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&value), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [
            "",
            " ",
            "tru",
            "'a",
            "'a\\",
            r"'\q'",
            "'a' 'b'",
            "1 2",
            "99999999999",
            "-",
            "0x",
            "1.5.5",
            "inf",
            "uint32 -1",
            "byte 256",
            "uint64 'a'",
            "uint64",
            "[]",
            "[1",
            "[1, 'a']",
            "[1 2]",
            "[,]",
            "()",
            "(1",
            "@",
            "@q",
            "@zz 1",
            "@a 1",
            "@as [1]",
            "@(ss) ('a')",
            "@(s) ('a', 'b')",
            "maybe",
            "{'a': 1}",
            "<1>",
            "b'bytes'",
            "nothing",
            "uint64 1.5",
            "\0",
            "'\0'",
            "0x-5",
            "--5",
        ] {
            assert!(parse(text).is_err(), "{text:?} gave {:?}", parse(text));
        }
        let deep = "[".repeat(10_000);
        assert!(parse(&deep).unwrap_err().contains("nested too deeply"));
        assert!(parse(&format!("@{} []", "a".repeat(10_000))).is_err());
    }

    #[test]
    fn seconds_become_microseconds() {
        let of = |name, text| property(name, text).map(|p| (p.name, p.value));
        assert_eq!(of("TimeoutStopSec", "uint64 2"), Ok(("TimeoutStopUSec".into(), Value::U64(2_000_000))));
        assert_eq!(of("RuntimeMaxSec", "0.5"), Ok(("RuntimeMaxUSec".into(), Value::U64(500_000))));
        assert_eq!(of("CPUQuotaPerSecUSec", "uint64 5"), Ok(("CPUQuotaPerSecUSec".into(), Value::U64(5))));
        assert_eq!(of("Sec", "5"), Ok(("Sec".into(), Value::I32(5))));
        for (name, text) in
            [("TimeoutStopSec", "'5'"), ("TimeoutStopSec", "-1"), ("A", "1"), ("A-B", "1"), ("", "1")]
        {
            assert!(of(name, text).is_err(), "{name} = {text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[a-z0-9@()\\[\\]'\" ,.\\-\\\\x]{0,40}") {
            parse(&text).ok();
        }
    }
}
