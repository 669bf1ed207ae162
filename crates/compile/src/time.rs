//! The time namespace, and by how much its clocks differ from the host's.

use crate::compiler::Compiler;
use crate::namespaces::Membership;
use crate::{Code, Fill, FillWith};
use orlop_program::Step;
use orlop_spec::{NamespaceKind, Pointer};
use std::fmt::Write;

/// The clocks that a time namespace has offsets for (time_namespaces(7)).
const CLOCKS: [&str; 2] = ["monotonic", "boottime"];

/// The kernel counts time in nanoseconds, in 63 bits.
const MOST_SECONDS: u64 = i64::MAX as u64 / NANOSECONDS;
const NANOSECONDS: u64 = 1_000_000_000;

impl Compiler<'_> {
    /// Makes and enters a new time namespace.
    pub(crate) fn time_namespace(&mut self) {
        let offsets = self.time_offsets();
        if !self.namespaces.is_new(&NamespaceKind::Time) {
            return;
        }
        let pointer = self.namespaces.pointer(&NamespaceKind::Time);
        let proc = self.slot(&pointer);
        self.launch.fills.push(Fill { slot: proc, what: FillWith::Procfs, origin: pointer.clone().into() });
        let step = Step::TimeNamespace { proc, offsets: offsets.as_str().into() };
        let why = "Offsets can be set only before anybody is in the namespace.";
        let asks = if offsets.is_empty() { pointer } else { Pointer::new("/linux/timeOffsets") };
        self.step(step, asks, why);
    }

    /// The offsets, as `/proc/PID/timens_offsets` takes them.
    fn time_offsets(&mut self) -> String {
        let offsets = &self.linux.time_offsets;
        let mut lines = String::new();
        if offsets.is_empty() {
            return lines;
        }
        let pointer = Pointer::new("/linux/timeOffsets");
        match self.namespaces.of(&NamespaceKind::Time) {
            Membership::New => {}
            Membership::Inherited => {
                let message = "offsets of clocks need a time namespace: the host's clocks are not changed";
                self.error(Code::NamespaceMissing, pointer, message)
                    .hint("add {\"type\": \"time\"} to linux.namespaces");
            }
            Membership::Joined(path) => {
                let message =
                    format!("the clocks of the time namespace {path:?}, which is joined, are set already");
                self.error(Code::TimeOffset, pointer, message).hint("give a path or offsets, not both");
            }
        }
        for (clock, offset) in offsets {
            let entry = Pointer::new("/linux/timeOffsets/{}").key(clock.as_str());
            if !CLOCKS.contains(&clock.as_str()) {
                let message = format!("{clock:?} is no clock of a time namespace");
                self.error(Code::TimeOffset, entry, message).hint("clocks are monotonic and boottime");
            } else if offset.secs.unsigned_abs() > MOST_SECONDS {
                let message = format!(
                    "{} seconds are more than the {MOST_SECONDS} that the kernel counts",
                    offset.secs
                );
                self.error(Code::TimeOffset, entry, message);
            } else if u64::from(offset.nanosecs) >= NANOSECONDS {
                let message = format!("{} nanoseconds are a second or more", offset.nanosecs);
                self.error(Code::TimeOffset, entry, message).hint("whole seconds go to \"secs\"");
            } else {
                // Writing to a string cannot fail.
                writeln!(lines, "{clock} {} {}", offset.secs, offset.nanosecs).ok();
            }
        }
        lines
    }
}
