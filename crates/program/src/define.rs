//! What every step has, made of one table: [`Step`](crate::Step) itself, its encoding and its names.

/// Defines [`Step`], its encoding and its names from one table.
macro_rules! steps {
    ($($(#[$doc:meta])* $number:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        /// One thing that init does.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs)] // a single field is what its step's sentence speaks of
        pub enum Step<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type),* },)*
        }

        impl<'a> Step<'a> {
            /// The step's name, as it is shown to people.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }

        impl<'a> Wire<'a> for Step<'a> {
            #[inline(never)] // as a part of init's loop it would be a twentieth of init more
            fn get(reader: &mut Reader<'a>) -> Self {
                match u8::get(reader) {
                    $($number => Self::$name { $($field: <$type>::get(reader)),* },)*
                    _ => {
                        reader.refuse();
                        Self::NewSession {}
                    }
                }
            }
            #[cfg(feature = "build")]
            #[allow(clippy::too_many_lines)] // one line for each step
            fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
                match self {
                    $(Self::$name { $($field),* } => {
                        u8::put(&$number, out)?;
                        $($field.put(out)?;)*
                        Ok(())
                    })*
                }
            }
        }
    };
}
