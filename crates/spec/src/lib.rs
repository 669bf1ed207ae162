//! The OCI runtime configuration as types.
