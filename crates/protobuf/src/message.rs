//! Messages, and the table that defines them.

use crate::wire::{Malformed, Reader, Value};

/// A message: [`messages!`](crate::messages) implements it.
pub trait Message: Default {
    /// Takes one field up. What is not known is passed over.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: the field's value is.
    fn take_up(&mut self, number: u32, value: Value<'_>) -> Result<(), Malformed>;

    /// Writes every field.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut message = Self::default();
        message.merge(bytes)?;
        Ok(message)
    }

    /// Reads a message into this one: what it says counts, what it does not stays.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    fn merge(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            self.take_up(number, value)?;
        }
        Ok(())
    }

    /// The message as bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
}

/// Defines messages from a table: each a structure with public fields, and [`Message`]. The number of a field is the one of
/// the `.proto`; of those that are left out nothing is lost but their content.
#[macro_export]
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $number:literal $field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[allow(missing_docs, unreachable_pub, clippy::struct_field_names)] // the .proto is where its fields are described
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $crate::Message for $name {
            #[allow(unused_variables, clippy::match_single_binding)] // there are messages without a field
            fn take_up(&mut self, number: u32, value: $crate::Value<'_>) -> ::core::result::Result<(), $crate::Malformed> {
                match number {
                    $($number => $crate::Field::take_up(&mut self.$field, value),)*
                    _ => Ok(()),
                }
            }

            #[allow(unused_variables)]
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::Field::put(&self.$field, $number, out);)*
            }
        }

        impl $crate::Element for $name {
            fn read(&mut self, value: $crate::Value<'_>) -> ::core::result::Result<bool, $crate::Malformed> {
                match value {
                    $crate::Value::Bytes(bytes) => $crate::Message::merge(self, bytes).map(|()| true),
                    _ => Ok(false),
                }
            }

            fn write(&self, number: u32, out: &mut Vec<u8>) {
                $crate::Element::write(&$crate::Message::encode(self), number, out);
            }
        }
    )*};
}
