//! A directory that any runtime can run.
