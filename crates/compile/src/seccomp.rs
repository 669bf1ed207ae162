//! The system call filter.

use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_spec::Pointer;

/// A filter, ready to be loaded.
pub(crate) struct Filter {
    flags: u64,
    program: Vec<u8>,
}

impl Compiler<'_> {
    /// Compiles the filter of the config.
    pub(crate) fn filter(&mut self) -> Option<Filter> {
        None
    }

    /// Loads the filter.
    pub(crate) fn load_filter(&mut self, filter: Option<&Filter>, why: &'static str) {
        if let Some(filter) = filter {
            let step = Step::Seccomp { flags: filter.flags, filter: &filter.program };
            self.step(step, Pointer::new("/linux/seccomp"), why);
        }
    }
}
