//! The types that a field can have.

use std::collections::BTreeMap;

use crate::wire::{Malformed, Reader, Value, put_varint};

/// A field of a message.
pub trait Field: Default {
    /// Takes up a value that was read for this field.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed>;

    /// Writes the field, unless it is as good as absent.
    fn put(&self, number: u32, out: &mut Vec<u8>);
}

/// One value, such as an optional or a repeated field has.
pub trait Element: Default {
    /// Reads a value; `false` if it is of another wire type, and then nothing has changed.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    fn read(&mut self, value: Value<'_>) -> Result<bool, Malformed>;

    /// Writes the value, whatever it is.
    fn write(&self, number: u32, out: &mut Vec<u8>);

    /// The value as the number that a packed list has of it; `None` for what cannot be packed.
    fn packed(&self) -> Option<u64> {
        None
    }
}

impl<T: Element> Field for Option<T> {
    fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let before = self.take();
        let was_there = before.is_some();
        let mut element = before.unwrap_or_default();
        let known = element.read(value)?;
        *self = (known || was_there).then_some(element);
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(element) = self {
            element.write(number, out);
        }
    }
}

impl<T: Element> Field for Vec<T> {
    fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let mut add = |value| {
            let mut element = T::default();
            let known = element.read(value)?;
            self.extend(known.then_some(element));
            Ok(())
        };
        match value {
            Value::Bytes(packed) if T::default().packed().is_some() => {
                let mut reader = Reader::new(packed);
                while !reader.is_empty() {
                    add(Value::Varint(reader.varint()?))?;
                }
                Ok(())
            }
            single => add(single),
        }
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if self.is_empty() || T::default().packed().is_none() {
            return self.iter().for_each(|element| element.write(number, out));
        }
        let mut packed = Vec::new();
        self.iter().filter_map(Element::packed).for_each(|number| put_varint(number, &mut packed));
        Value::Bytes(&packed).put(number, out);
    }
}

/// Numbers that are written as a varint: the conversions from and to 64 bits. Negative numbers of 32 bits are written with
/// 64, and read by their lower half.
macro_rules! varints {
    ($($type:ty: $from:expr, $to:expr;)*) => {$(
        impl Element for $type {
            fn read(&mut self, value: Value<'_>) -> Result<bool, Malformed> {
                let Value::Varint(number) = value else { return Ok(false) };
                *self = $from(number);
                Ok(true)
            }

            fn write(&self, number: u32, out: &mut Vec<u8>) {
                Value::Varint($to(*self)).put(number, out);
            }

            fn packed(&self) -> Option<u64> {
                Some($to(*self))
            }
        }
        implicit!($type);
    )*};
}

/// Fields of proto3, which are absent where they have their default value.
macro_rules! implicit {
    ($type:ty) => {
        impl Field for $type {
            fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed> {
                self.read(value).map(drop)
            }

            fn put(&self, number: u32, out: &mut Vec<u8>) {
                if *self != Self::default() {
                    self.write(number, out);
                }
            }
        }
    };
}

varints! {
    u64: |number| number, |value| value;
    i64: |number: u64| number as i64, |value: i64| value as u64;
    u32: |number: u64| number as u32, u64::from;
    i32: |number: u64| number as i32, |value: i32| i64::from(value) as u64;
    bool: |number: u64| number != 0, u64::from;
}

impl Element for f64 {
    fn read(&mut self, value: Value<'_>) -> Result<bool, Malformed> {
        let Value::Fixed64(bits) = value else { return Ok(false) };
        *self = Self::from_bits(bits);
        Ok(true)
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        Value::Fixed64(self.to_bits()).put(number, out);
    }
}

impl Field for f64 {
    fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        self.read(value).map(drop)
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        // By its bits: -0 is not the default.
        if self.to_bits() != 0 {
            self.write(number, out);
        }
    }
}

impl Element for String {
    fn read(&mut self, value: Value<'_>) -> Result<bool, Malformed> {
        let Value::Bytes(bytes) = value else { return Ok(false) };
        std::str::from_utf8(bytes).map_err(|_| Malformed)?.clone_into(self);
        Ok(true)
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        Value::Bytes(self.as_bytes()).put(number, out);
    }
}

implicit!(String);

impl Element for Vec<u8> {
    fn read(&mut self, value: Value<'_>) -> Result<bool, Malformed> {
        let Value::Bytes(bytes) = value else { return Ok(false) };
        bytes.clone_into(self);
        Ok(true)
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        Value::Bytes(self).put(number, out);
    }
}

implicit!(Vec<u8>);

crate::messages! {
    /// What a map is a list of.
    Entry { 1 key: String, 2 value: String }
}

impl Field for BTreeMap<String, String> {
    fn take_up(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        let mut entry = Entry::default();
        if entry.read(value)? {
            self.insert(entry.key, entry.value);
        }
        Ok(())
    }

    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for (key, value) in self {
            Entry { key: key.clone(), value: value.clone() }.write(number, out);
        }
    }
}
