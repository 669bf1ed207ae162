//! A specification and host facts become a program, or a list of diagnostics.
