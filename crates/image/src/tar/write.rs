//! Writing tar archives.
