//! What is asked of systemd ([org.freedesktop.systemd1(5)]).
//!
//! [org.freedesktop.systemd1(5)]: https://www.freedesktop.org/software/systemd/man/org.freedesktop.systemd1.html

use std::time::Duration;

use crate::address::{Address, Which, candidates};
use crate::bus::Bus;
use crate::error::{Error, Result};
use crate::message::Method;
use crate::value::Property;
use crate::wire::Writer;

const MANAGER: Method = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "",
    signature: "",
};

/// A systemd that answers.
#[derive(Debug)]
pub struct Manager {
    bus: Bus,
    version: u32,
}

impl Manager {
    /// Connects, and asks for the version: who answers that is there. Each exchange, here and later, may take `wait`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and [`Error::Silent`]: it has been asked for nothing yet.
    pub fn reach(which: Which, wait: Duration) -> Result<Self> {
        Self::reach_at(&candidates(which, |name| std::env::var_os(name)), which, wait)
    }

    /// The same, at one of these places.
    pub(crate) fn reach_at(addresses: &[Address], which: Which, wait: Duration) -> Result<Self> {
        let mut bus = Bus::open(addresses, which, wait)?;
        let get = Method {
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
            ..MANAGER
        };
        let arguments = |w: &mut Writer| {
            w.string(MANAGER.interface);
            w.string("Version");
        };
        let asked = format!("ask {} for its version", which.words());
        let version = bus.call(&asked, get, arguments, |reply| Ok(number(reply.body.string_variant()?)))?;
        Ok(Self { bus, version })
    }

    /// Its version, such as 252; 0 if it cannot be read.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Starts a transient unit, and waits until it is there.
    ///
    /// A failed unit of this name, left over by somebody, is cleared away first; one that lives is an error.
    ///
    /// # Errors
    /// [`Error::Refused`], `UnitExists` for instance; [`Error::Job`]: it was not started.
    pub fn start(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let started = match self.start_once(unit, properties) {
            Err(e) if e.is_refusal("UnitExists") => {
                self.reset(unit)?;
                self.start_once(unit, properties)
            }
            started => started,
        };
        if matches!(started, Err(Error::Job { .. })) {
            // The job's end is what the caller hears of.
            self.reset(unit).ok();
        }
        started
    }

    fn start_once(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let asked = format!("start unit {unit:?}");
        let start = Method { member: "StartTransientUnit", signature: "ssa(sv)a(sa(sv))", ..MANAGER };
        let result = self.bus.call_job(&asked, start, |w| {
            w.string(unit);
            w.string("replace");
            write(w, properties);
            w.array(8, |_| {}); // No further units.
        })?;
        if result == "done" { Ok(()) } else { Err(Error::Job { asked, result }) }
    }

    /// Stops a unit and forgets that it failed. One that is not there is stopped.
    ///
    /// # Errors
    /// [`Error::Silent`] and the like; [`Error::Refused`].
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        let asked = format!("stop unit {unit:?}");
        let stop = Method { member: "StopUnit", signature: "ss", ..MANAGER };
        let stopped = self.bus.call_job(&asked, stop, |w| {
            w.string(unit);
            w.string("replace");
        });
        match stopped {
            // A unit that ends by itself meanwhile cancels the job. Failed or not: it is reset.
            Ok(_) => self.reset(unit),
            Err(e) if e.is_refusal("NoSuchUnit") => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Forgets that a unit failed, so that its name is free. That there is none is no error.
    fn reset(&mut self, unit: &str) -> Result<()> {
        let reset = Method { member: "ResetFailedUnit", signature: "s", ..MANAGER };
        match self.bus.call(&format!("reset unit {unit:?}"), reset, |w| w.string(unit), |_| Ok(())) {
            Err(e) if e.is_refusal("NoSuchUnit") => Ok(()),
            done => done,
        }
    }

    /// Changes properties of a unit until it is stopped.
    ///
    /// # Errors
    /// [`Error::Refused`] names the property that systemd does not take.
    pub fn set(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let set = Method { member: "SetUnitProperties", signature: "sba(sv)", ..MANAGER };
        let asked = format!("set properties of unit {unit:?}");
        let arguments = |w: &mut Writer| {
            w.string(unit);
            w.u32(1); // Until it is stopped.
            write(w, properties);
        };
        self.bus.call(&asked, set, arguments, |_| Ok(()))
    }

    /// Has a process moved into a unit's cgroup, or into the one at `below` in it (such as `/init`). Takes systemd 238.
    ///
    /// # Errors
    /// [`Error::Refused`]: the process is not the caller's, or the unit is not delegated.
    pub fn attach(&mut self, unit: &str, below: &str, pid: u32) -> Result<()> {
        let attach = Method { member: "AttachProcessesToUnit", signature: "ssau", ..MANAGER };
        let asked = format!("attach process {pid} to unit {unit:?}");
        let arguments = |w: &mut Writer| {
            w.string(unit);
            w.string(below);
            w.array(4, |w| w.u32(pid));
        };
        self.bus.call(&asked, attach, arguments, |_| Ok(()))
    }
}

/// `a(sv)`
fn write(writer: &mut Writer, properties: &[Property]) {
    writer.array(8, |w| {
        for property in properties {
            w.align(8);
            w.string(&property.name);
            w.variant(&property.value);
        }
    });
}

/// The number in a version such as `v245.4-1.fc32` or `252 (252.38-1~deb12u1)`.
fn number(version: &str) -> u32 {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn versions() {
        for (text, want) in
            [("252.38-1~deb12u1", 252), ("v245.4-1.fc32", 245), ("\"242\"", 242), ("", 0), ("next", 0)]
        {
            assert_eq!(number(text), want, "{text:?}");
        }
    }
}
