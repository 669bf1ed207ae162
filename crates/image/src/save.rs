//! An imported image becomes an OCI layout again.
