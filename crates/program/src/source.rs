//! Where what is mounted comes from.

use crate::Slot;
use crate::wire::{Reader, Str, Wire};
#[cfg(feature = "build")]
use {crate::wire::InteriorNul, alloc::vec::Vec};

/// Where the source of a bind mount comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source<'a> {
    /// A path of the host, opened by init before the root is switched.
    Path(Str<'a>),
    /// A detached mount that the host side made, because init, in another user namespace, may not reach the path.
    Tree(Slot),
    /// As `Path`, with the ids of the mount, or of the whole tree, mapped as the user namespace in the slot has them.
    Mapped(Str<'a>, Slot, bool),
    /// As `Path`, with ids mapped by the host side, which has the rights to; the number tells it how.
    MappedByHost(Str<'a>, u8),
}

impl<'a> Wire<'a> for Source<'a> {
    fn get(reader: &mut Reader<'a>) -> Self {
        match u8::get(reader) {
            0 => Self::Path(Str::get(reader)),
            1 => Self::Tree(Slot::get(reader)),
            2 => Self::Mapped(Str::get(reader), Slot::get(reader), bool::get(reader)),
            3 => Self::MappedByHost(Str::get(reader), u8::get(reader)),
            _ => {
                reader.refuse();
                Self::Tree(Slot(0))
            }
        }
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        match self {
            Self::Path(path) => 0_u8.put(out).and_then(|()| path.put(out)),
            Self::Tree(slot) => 1_u8.put(out).and_then(|()| slot.put(out)),
            Self::Mapped(path, slot, recursive) => {
                2_u8.put(out)?;
                path.put(out)?;
                slot.put(out)?;
                recursive.put(out)
            }
            Self::MappedByHost(path, number) => {
                3_u8.put(out)?;
                path.put(out)?;
                number.put(out)
            }
        }
    }
}
