//! The console, or who owns standard input and output without one.

use crate::Code;
use crate::Origin;
use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_spec::{Pointer, Process};

impl Compiler<'_> {
    /// The container's console, or its standard input and output.
    pub(crate) fn terminal(&mut self, mount: bool) {
        if let Some(process) = &self.spec.process {
            self.terminal_of(process, mount);
        }
    }

    pub(crate) fn terminal_of(&mut self, process: &Process, mount: bool) {
        let uid = process.user.uid;
        self.launch.terminal = process.terminal;
        if !process.terminal {
            let why = "A program may open /dev/stdout again, which only its owner can.";
            self.step(Step::OwnStdio { uid }, Origin::Rule("standard output belongs to the process"), why);
            return;
        }
        let size = self.console_size(process);
        let step = Step::Console { size, mount, uid };
        self.step(
            step,
            Pointer::new("/process/terminal"),
            "From the container's own devpts: the host's is out of reach.",
        );
    }

    /// Rows and columns; without one of them, the caller sets the size.
    fn console_size(&mut self, process: &Process) -> Option<(u16, u16)> {
        let size = process.console_size.filter(|size| size.height > 0 && size.width > 0)?;
        match (u16::try_from(size.height), u16::try_from(size.width)) {
            (Ok(rows), Ok(columns)) => Some((rows, columns)),
            _ => {
                let message = format!(
                    "a terminal has at most 65535 rows and columns, not {} x {}",
                    size.height, size.width
                );
                self.error(Code::Console, Pointer::new("/process/consoleSize"), message);
                None
            }
        }
    }
}
