//! Control groups: version 2, and version 1 where a hybrid host needs it.
