//! Who is told how far an import is.

use crate::Digest;

/// One layer of what is going to be imported.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its diff id, which names it in the store.
    pub diff_id: Digest,
    /// How many bytes there are to read, where that is known.
    pub size: Option<u64>,
    /// Whether the store has it already.
    pub present: bool,
}

/// Told how far an import is, by several threads at once.
pub trait Progress: Sync {
    /// These are the layers, bottom to top; called once, before the others.
    fn begin(&self, _parts: &[Part]) {}
    /// So many more bytes of a layer have been read.
    fn advance(&self, _part: usize, _bytes: u64) {}
    /// A layer is there.
    fn done(&self, _part: usize) {}
    /// Something that could not be kept, and why nobody has to care much: in a user namespace there are no device nodes.
    fn warn(&self, _text: &str) {}
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
