//! The encoding of values: little-endian numbers, lengths before bytes, no padding, nothing to interpret twice.
//!
//! Both ends are this crate, compiled in one build, so there is no versioning; but init trusts nothing: every length is
//! checked, every string is a valid C string, every boolean is 0 or 1. What is not makes the [`Reader`] say so at the end, and
//! values of nothing until then: a test after each of the hundred fields that steps have was a sixteenth of init.

use crate::Slot;
#[cfg(feature = "build")]
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt;

/// The bytes are no program. Init refuses to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A string holds a NUL byte, so the kernel would see less of it than was written.
#[cfg(feature = "build")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InteriorNul;

/// The bytes still to be read, and whether all that were read were what they should be.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    malformed: bool,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, malformed: false }
    }

    /// The next `n` bytes; none if there are fewer, and then there are none any more.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        if let Some((taken, rest)) = self.bytes.split_at_checked(n) {
            self.bytes = rest;
            return taken;
        }
        self.refuse();
        &[]
    }

    /// Says that what was read is not what it should be.
    pub const fn refuse(&mut self) {
        self.malformed = true;
        self.bytes = &[];
    }

    /// What was read, if it was what it should be.
    ///
    /// # Errors
    ///
    /// It was not, or the bytes had ended before.
    pub fn checked<T>(&self, value: T) -> Result<T, Malformed> {
        if self.malformed { Err(Malformed) } else { Ok(value) }
    }

    /// The bytes that were not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// A number of up to eight bytes.
    #[inline(never)]
    fn number(&mut self, size: usize) -> u64 {
        self.take(size).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// A value that can be written down and read back.
pub trait Wire<'a>: Sized {
    /// Reads one. It says nothing before the reader was asked whether it is one ([`Reader::checked`]).
    fn get(reader: &mut Reader<'a>) -> Self;

    /// Writes it.
    ///
    /// # Errors
    ///
    /// A string of it holds a NUL byte.
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul>;
}

macro_rules! numbers {
    ($($t:ty)*) => { $(
        impl<'a> Wire<'a> for $t {
            fn get(reader: &mut Reader<'a>) -> Self {
                reader.number(size_of::<$t>()) as $t
            }
            #[cfg(feature = "build")]
            fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
                out.extend_from_slice(&self.to_le_bytes());
                Ok(())
            }
        }
    )* };
}
numbers!(u8 u16 u32 u64 i32);

impl<'a> Wire<'a> for bool {
    fn get(reader: &mut Reader<'a>) -> Self {
        let number = u8::get(reader);
        if number > 1 {
            reader.refuse();
        }
        number == 1
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        u8::from(*self).put(out)
    }
}

impl<'a> Wire<'a> for Slot {
    fn get(reader: &mut Reader<'a>) -> Self {
        Self(u8::get(reader))
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        self.0.put(out)
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Option<T> {
    fn get(reader: &mut Reader<'a>) -> Self {
        bool::get(reader).then(|| T::get(reader))
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        self.is_some().put(out)?;
        self.as_ref().map_or(Ok(()), |v| v.put(out))
    }
}

impl<'a, A: Wire<'a>, B: Wire<'a>> Wire<'a> for (A, B) {
    fn get(reader: &mut Reader<'a>) -> Self {
        (A::get(reader), B::get(reader))
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        self.0.put(out)?;
        self.1.put(out)
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    fn get(reader: &mut Reader<'a>) -> Self {
        let len = u32::get(reader);
        reader.take(len as usize)
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        (self.len() as u32).put(out)?;
        out.extend_from_slice(self);
        Ok(())
    }
}

/// A string for the kernel: any bytes but NUL. Written with a NUL at its end, so that init can hand it on as it lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Str<'a>(Text<'a>);

#[derive(Clone, Copy)]
enum Text<'a> {
    /// As the compiler has it: no NUL at the end yet.
    #[cfg(feature = "build")]
    Bare(&'a [u8]),
    /// As it was read.
    Read(&'a CStr),
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Text<'_> {}

impl<'a> Text<'a> {
    const fn bytes(&self) -> &'a [u8] {
        match self {
            #[cfg(feature = "build")]
            Self::Bare(bytes) => bytes,
            Self::Read(text) => text.to_bytes(),
        }
    }
}

impl<'a> Str<'a> {
    /// The bytes, without the NUL.
    pub const fn bytes(&self) -> &'a [u8] {
        self.0.bytes()
    }

    /// A string as C has it.
    pub const fn of(text: &'a CStr) -> Self {
        Self(Text::Read(text))
    }

    /// As C has it; only what was read from an encoded program has this form.
    pub const fn c_str(&self) -> &'a CStr {
        match self.0 {
            #[cfg(feature = "build")]
            Text::Bare(_) => c"",
            Text::Read(text) => text,
        }
    }
}

#[cfg(feature = "build")]
impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Str<'a> {
    fn from(bytes: &'a T) -> Self {
        Self(Text::Bare(bytes.as_ref()))
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

impl<'a> Wire<'a> for Str<'a> {
    fn get(reader: &mut Reader<'a>) -> Self {
        let text = CStr::from_bytes_with_nul(<&[u8]>::get(reader)).unwrap_or_else(|_| {
            reader.refuse();
            c""
        });
        Self(Text::Read(text))
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        let bytes = self.bytes();
        if bytes.contains(&0) {
            return Err(InteriorNul);
        }
        (bytes.len() as u32 + 1).put(out)?;
        out.extend_from_slice(bytes);
        out.push(0);
        Ok(())
    }
}

/// Several values: a slice when written, the bytes they were written to when read.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Items<'a, T>);

#[derive(Clone, Copy)]
enum Items<'a, T> {
    #[cfg(feature = "build")]
    Slice(&'a [T]),
    Read {
        count: u32,
        bytes: &'a [u8],
        /// Nothing is stored; the list reads `T`s.
        of: core::marker::PhantomData<T>,
    },
}

impl<'a, T: Wire<'a> + Copy> List<'a, T> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match &self.0 {
            #[cfg(feature = "build")]
            Items::Slice(items) => items.len(),
            Items::Read { count, .. } => *count as usize,
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes through them.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let items = self.0;
        let mut at = 0;
        let mut reader = match items {
            #[cfg(feature = "build")]
            Items::Slice(_) => Reader::new(&[]),
            Items::Read { bytes, .. } => Reader::new(bytes),
        };
        core::iter::from_fn(move || match items {
            #[cfg(feature = "build")]
            Items::Slice(items) => {
                at += 1;
                items.get(at - 1).copied()
            }
            // Every item was read once when the list was.
            Items::Read { count, .. } => {
                at += 1;
                (at <= count as usize).then(|| T::get(&mut reader))
            }
        })
    }
}

#[cfg(feature = "build")]
impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Items::Slice(items))
    }
}

impl<'a, T: Wire<'a> + Copy + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Wire<'a> + Copy + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Wire<'a> + Copy> Wire<'a> for List<'a, T> {
    fn get(reader: &mut Reader<'a>) -> Self {
        let mut count = u32::get(reader);
        let all = reader.bytes;
        for _ in 0..count {
            T::get(reader);
            if reader.malformed {
                count = 0;
                break;
            }
        }
        let bytes = &all[..all.len() - reader.bytes.len()];
        Self(Items::Read { count, bytes, of: core::marker::PhantomData })
    }
    #[cfg(feature = "build")]
    fn put(&self, out: &mut Vec<u8>) -> Result<(), InteriorNul> {
        (self.len() as u32).put(out)?;
        self.iter().try_for_each(|item| item.put(out))
    }
}
