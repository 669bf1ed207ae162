//! Reads a document that the plain parse refused, for what it means or for all that is wrong with it.
//!
//! The plain parse stops at the first thing it does not like, and it dislikes two that are fine: `null`, which Go's
//! types take as "absent" anywhere, and duplicate keys, of which the last counts. So a refused document is parsed once
//! more, as a tree (where the last of equal keys has won already), and the types are filled from the tree: `null`
//! becomes the zero value, and a value of the wrong type does too but is written down, with its place. One pass finds
//! every error, and leaves a document that is complete enough for the compiler to look for more.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Error, Value};

use crate::pointer::push_token;

/// Something that is wrong, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) pointer: String,
    pub(crate) message: String,
}

/// Fills a type from a tree, with zero values where the tree is wrong.
pub(crate) fn fill<T: DeserializeOwned + Default>(tree: &Value) -> (T, Vec<Finding>) {
    let findings = RefCell::default();
    let result = T::deserialize(Lenient { value: tree, path: &Path::Root, findings: &findings });
    let mut findings = findings.into_inner();
    let filled = result.unwrap_or_else(|error| {
        // No type of ours does this: whatever the tree holds, each gets a value that it takes.
        findings.push(Finding { pointer: String::new(), message: error.to_string() });
        T::default()
    });
    (filled, findings)
}

/// How the walk came to a value: a list that lives on the stack, turned into text only for a finding.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Element(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Root => {}
            Self::Member(parent, key) => {
                parent.write(out);
                out.push('/');
                push_token(out, key);
            }
            Self::Element(parent, index) => {
                parent.write(out);
                out.push('/');
                out.push_str(&index.to_string());
            }
        }
    }
}

/// A value, how the walk came to it, and where to write down what is wrong with it.
#[derive(Clone, Copy)]
struct Lenient<'de, 'p> {
    value: &'de Value,
    path: &'p Path<'p>,
    findings: &'p RefCell<Vec<Finding>>,
}

impl<'de> Lenient<'de, '_> {
    /// What is wanted if the value has the type, or the zero value: silently for `null`, with a finding for the rest.
    fn want<T: Default>(self, expected: &str, convert: impl Fn(&'de Value) -> Option<T>) -> T {
        convert(self.value).unwrap_or_else(|| {
            if !self.value.is_null() {
                let mut pointer = String::new();
                self.path.write(&mut pointer);
                let message = format!("expected {expected}, found {}", describe(self.value));
                self.findings.borrow_mut().push(Finding { pointer, message });
            }
            T::default()
        })
    }
}

/// A value in plain words. Strings are not repeated: they may be long, and the line is shown.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                let expected = format!("a whole number from {} to {}", <$number>::MIN, <$number>::MAX);
                visitor.$visit(self.want(&expected, |value| {
                    let number = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from))?;
                    <$number>::try_from(number).ok()
                }))
            }
        )*
    };
}

/// Types that no document of ours has: what the tree says goes.
macro_rules! as_it_is {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                self.value.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Lenient<'de, '_> {
    type Error = Error;

    whole_numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    as_it_is! {
        deserialize_any deserialize_i128 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_ignored_any
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.want("true or false", Value::as_bool))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.want("a string", Value::as_str))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let elements = self.want("an array", |value| Some(value.as_array()?.as_slice()));
        visitor.visit_seq(Elements { all: elements, next: 0, of: self })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let members = self.want("an object", |value| Some(Some(value.as_object()?)));
        visitor.visit_map(Members { left: members.map(serde_json::Map::iter), value: None, of: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Raw text comes through here: the tree knows how to become text again.
        self.value.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.deserialize_enum(name, variants, visitor)
    }
}

/// The elements of an array, in order.
struct Elements<'de, 'p> {
    all: &'de [Value],
    next: usize,
    of: Lenient<'de, 'p>,
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(value) = self.all.get(self.next) else { return Ok(None) };
        let path = Path::Element(self.of.path, self.next);
        self.next += 1;
        seed.deserialize(Lenient { value, path: &path, ..self.of }).map(Some)
    }
}

/// The members of an object.
struct Members<'de, 'p> {
    left: Option<serde_json::map::Iter<'de>>,
    value: Option<(&'de str, &'de Value)>,
    of: Lenient<'de, 'p>,
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let next = self.left.as_mut().and_then(Iterator::next);
        self.value = next.map(|(key, value)| (key.as_str(), value));
        let Some((key, _)) = self.value else { return Ok(None) };
        let key: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (key, value) = self.value.take().expect("serde asks for a value only after its key");
        let path = Path::Member(self.of.path, key);
        seed.deserialize(Lenient { value, path: &path, ..self.of })
    }
}
