//! Landlock, by annotations of our own: what the container's processes may reach of files and ports, whoever they are and
//! whatever capabilities they have.
//!
//! Only what the kernel can do whole is taken: a list of paths for reading that lets files be truncated, as the first
//! versions do, would say more than it holds.

use crate::Code;
use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_program::wire::Str;
use orlop_spec::{Pointer, Process, Spec};

const PREFIX: &str = "run.orlop.landlock.";

const READ: &str = "run.orlop.landlock.read";
const WRITE: &str = "run.orlop.landlock.write";
const BIND: &str = "run.orlop.landlock.tcp-bind";
const CONNECT: &str = "run.orlop.landlock.tcp-connect";
const SCOPE: &str = "run.orlop.landlock.scope";
const KNOWN: [&str; 5] = [READ, WRITE, BIND, CONNECT, SCOPE];

/// A version of Landlock's interface, and the kernel that has brought it.
type Version = (u32, &'static str);

/// Files, truncated ones too: Linux 6.2. Older versions cannot keep a file from being truncated.
const FILES: Version = (3, "6.2");
/// TCP ports: Linux 6.7.
const PORTS: Version = (4, "6.7");
/// Signals and abstract sockets: Linux 6.12.
const SCOPES: Version = (6, "6.12");
/// Control of devices, ioctl(2): Linux 6.10. Older ones let everybody who has a device control it.
const DEVICES: Version = (5, "6.10");

/// `LANDLOCK_ACCESS_FS_…`: execute, read a file, read a directory.
const READING: u64 = 0b1101;
/// Everything of version 3.
const EVERYTHING: u64 = (1 << 15) - 1;
/// `LANDLOCK_ACCESS_FS_IOCTL_DEV`.
const IOCTL_DEV: u64 = 1 << 15;
/// `LANDLOCK_ACCESS_NET_BIND_TCP`, `…CONNECT_TCP`.
const PORT_KINDS: [(&str, u64); 2] = [(BIND, 1), (CONNECT, 2)];
/// `LANDLOCK_SCOPE_…`.
const SCOPE_KINDS: [(&str, u64); 2] = [("abstract-unix-socket", 1), ("signal", 2)];

const WHY: &str = "Found while this is root, whom every directory lets in.";

/// Whether a config has a use for Landlock.
pub fn asks_for_landlock(spec: &Spec) -> bool {
    spec.annotations.keys().any(|key| key.starts_with(PREFIX))
}

impl<'a> Compiler<'a> {
    /// Makes the ruleset, as the annotations have it; whether there is one.
    pub(crate) fn landlock_rules(&mut self, process: &Process) -> bool {
        let spec = self.spec;
        let mut asked = spec.annotations.iter().filter(|(key, _)| key.starts_with(PREFIX)).peekable();
        let Some((first, _)) = asked.peek() else { return false };
        let origin = pointer(first);
        self.landlock_names();
        self.landlock_rights(process, origin.clone());
        let paths = self.landlock_paths();
        let ports = self.landlock_ports();
        let scoped = self.landlock_scopes();
        let handled = |key| spec.annotations.contains_key(key);
        let devices = if self.host.landlock >= DEVICES.0 { IOCTL_DEV } else { 0 };
        let everything = EVERYTHING | devices;
        let files = if handled(READ) || handled(WRITE) { everything } else { 0 };
        let network = PORT_KINDS.iter().filter(|(key, _)| handled(*key)).map(|(_, bit)| bit).sum();
        let why = "What it does not allow, it denies to every process, whatever its capabilities are.";
        self.step(Step::Ruleset { files, network, scoped }, origin, why);
        for (key, path) in paths {
            let files = if key == WRITE { everything } else { READING };
            self.step(Step::AllowPath { path: Str::from(path), files }, pointer(key), WHY);
        }
        for (key, port, network) in ports {
            self.step(Step::AllowPort { port, network }, pointer(key), "The ports that are allowed.");
        }
        true
    }

    /// Puts it in force.
    pub(crate) fn landlock_restrict(&mut self) {
        let key = self.spec.annotations.keys().find(|key| key.starts_with(PREFIX));
        if let Some(origin) = key.map(|key| pointer(key)) {
            let why = "After everything that needs more rights, and before the filter, which need not know the calls.";
            self.step(Step::Restrict {}, origin, why);
        }
    }

    fn landlock_names(&mut self) {
        for key in self.spec.annotations.keys().filter(|key| key.starts_with(PREFIX)) {
            if !KNOWN.contains(&key.as_str()) {
                let message = format!("the annotation {key} is none of Landlock's");
                self.error(Code::Landlock, pointer(key), message)
                    .hint(format!("they are {}", KNOWN.join(", ")));
            }
        }
    }

    /// The kernel takes a ruleset only from those who cannot gain rights by it, through a program with set-user-id.
    fn landlock_rights(&mut self, process: &Process, origin: Pointer) {
        let admin = |names: &[String]| names.iter().any(|name| name == "CAP_SYS_ADMIN");
        let own = process.capabilities.as_ref().or_else(|| self.spec.process.as_ref()?.capabilities.as_ref());
        let may = process.no_new_privileges || own.is_some_and(|sets| admin(&sets.effective));
        if !may {
            let message =
                "Landlock needs process.noNewPrivileges, or CAP_SYS_ADMIN among the effective capabilities";
            self.error(Code::Landlock, origin, message).hint("set process.noNewPrivileges");
        }
    }

    /// Refuses what this kernel cannot do.
    fn landlock_since(&mut self, key: &str, (version, linux): Version) {
        let have = self.host.landlock;
        if have < version {
            let (major, minor) = self.host.kernel;
            let message = match have {
                0 => format!(
                    "{key} needs Landlock, which this kernel does not have, or has not enabled (lsm=landlock)"
                ),
                _ => format!(
                    "{key} needs version {version} of Landlock (Linux {linux}), this is version {have} (Linux {major}.{minor})"
                ),
            };
            self.error(Code::Landlock, pointer(key), message);
        }
    }

    /// Paths, each with its list.
    fn landlock_paths(&mut self) -> Vec<(&'static str, &'a str)> {
        let mut paths = Vec::new();
        let spec = self.spec;
        for key in [READ, WRITE] {
            let Some(list) = spec.annotations.get(key) else { continue };
            self.landlock_since(key, FILES);
            self.no_nul(list.as_bytes(), &pointer(key));
            for path in list.split(':') {
                if !path.starts_with('/') {
                    let message = format!("{path:?} is not an absolute path");
                    self.error(Code::Landlock, pointer(key), message).hint("write them as /usr:/etc:/tmp");
                }
                paths.push((key, path));
            }
        }
        paths
    }

    /// Ports, each with its list and what is allowed.
    fn landlock_ports(&mut self) -> Vec<(&'static str, u16, u64)> {
        let mut ports = Vec::new();
        let spec = self.spec;
        for (key, bit) in PORT_KINDS {
            let Some(list) = spec.annotations.get(key) else { continue };
            self.landlock_since(key, PORTS);
            for text in list.split(',').filter(|_| !list.is_empty()) {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                if let Some(port) = text.parse().ok().filter(|_| digits) {
                    ports.push((key, port, bit));
                    continue;
                }
                let message = format!("{text:?} is not a port");
                let hint = "write them as 80,443, or as nothing to allow none";
                self.error(Code::Landlock, pointer(key), message).hint(hint);
            }
        }
        ports
    }

    fn landlock_scopes(&mut self) -> u64 {
        let Some(list) = self.spec.annotations.get(SCOPE) else { return 0 };
        self.landlock_since(SCOPE, SCOPES);
        let mut scoped = 0;
        for name in list.split(',') {
            if let Some((_, bit)) = SCOPE_KINDS.iter().find(|(known, _)| *known == name) {
                scoped |= bit;
                continue;
            }
            let known = SCOPE_KINDS.map(|(name, _)| name).join(", ");
            let message = format!("{name:?} is not what Landlock keeps inside");
            self.error(Code::Landlock, pointer(SCOPE), message).hint(format!("it is {known}"));
        }
        scoped
    }
}

fn pointer(key: &str) -> Pointer {
    Pointer::new("/annotations/{}").key(key)
}
