//! The system call filter.

use crate::compiler::Compiler;
use crate::{Code, SeccompAgent};
use orlop_program::Step;
use orlop_seccomp::{Arch, MAX_INSNS, Options, Problem, compile};
use orlop_spec::{Pointer, Seccomp, seccomp};
use std::fmt;
use std::path::PathBuf;

/// Every place of a filter that findings are about.
const PLACES: [&str; 21] = [
    "/linux/seccomp/defaultAction",
    "/linux/seccomp/defaultErrnoRet",
    "/linux/seccomp/architectures",
    "/linux/seccomp/architectures/{}",
    "/linux/seccomp/flags",
    "/linux/seccomp/flags/{}",
    "/linux/seccomp/listenerPath",
    "/linux/seccomp/listenerMetadata",
    "/linux/seccomp/syscalls",
    "/linux/seccomp/syscalls/{}",
    "/linux/seccomp/syscalls/{}/names",
    "/linux/seccomp/syscalls/{}/names/{}",
    "/linux/seccomp/syscalls/{}/action",
    "/linux/seccomp/syscalls/{}/errnoRet",
    "/linux/seccomp/syscalls/{}/args",
    "/linux/seccomp/syscalls/{}/args/{}",
    "/linux/seccomp/syscalls/{}/args/{}/index",
    "/linux/seccomp/syscalls/{}/args/{}/value",
    "/linux/seccomp/syscalls/{}/args/{}/valueTwo",
    "/linux/seccomp/syscalls/{}/args/{}/op",
    "/linux/seccomp",
];

const LISTENER_PATH: Pointer = Pointer::new("/linux/seccomp/listenerPath");
/// The flag that is newer than what orlop asks for: Linux 5.19.
const WAIT_KILLABLE_RECV: (&str, (u16, u16)) = ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", (5, 19));

/// The bytes of an instruction (`struct sock_filter`).
const INSTRUCTION: usize = 8;

/// A system call filter, ready to be loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    /// `SECCOMP_FILTER_FLAG_…` for seccomp(2).
    pub flags: u64,
    /// Its instructions, each a `struct sock_filter` of eight bytes, in native byte order.
    pub program: Vec<u8>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instructions = self.program.len() / INSTRUCTION;
        f.debug_struct("Filter")
            .field("flags", &self.flags)
            .field("instructions", &instructions)
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// As bytes, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.flags.to_le_bytes(), &self.program[..]].concat()
    }

    /// The same back, or `None` if they cannot be a filter's. Whether it is one, the kernel looks before it takes it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (flags, program) = bytes.split_first_chunk()?;
        let fits = program.len().is_multiple_of(INSTRUCTION)
            && (1..=MAX_INSNS).contains(&(program.len() / INSTRUCTION));
        fits.then(|| Self { flags: u64::from_le_bytes(*flags), program: program.to_vec() })
    }
}

impl Compiler<'_> {
    /// Compiles the filter of the config, unless it has been before.
    pub(crate) fn filter(&mut self) -> Option<Filter> {
        if let Some(kept) = self.kept_filter {
            return Some(kept.clone());
        }
        if let Some(program) = self.raw_filter() {
            return Some(Filter { flags: 0, program });
        }
        let raw = self.linux.seccomp.as_ref()?;
        match seccomp::parse(raw) {
            Ok(seccomp) => self.compile_filter(&seccomp),
            Err(errors) => {
                for error in errors.errors {
                    let pointer = place(&format!("/linux/seccomp{}", error.pointer));
                    self.error(Code::Seccomp, pointer, error.message);
                }
                None
            }
        }
    }

    fn compile_filter(&mut self, seccomp: &Seccomp) -> Option<Filter> {
        if seccomp.default_action.is_empty() && seccomp.syscalls.is_empty() {
            let message = "the filter has neither a default action nor rules; there is none";
            self.warn(Code::SeccompIgnored, Pointer::new("/linux/seccomp"), message);
            return None;
        }
        let Some(native) = Arch::host() else {
            self.not_yet(Pointer::new("/linux/seccomp"), "a system call filter on this architecture");
            return None;
        };
        match compile(seccomp, &Options::new(native)) {
            Ok(filter) => {
                for warning in &filter.warnings {
                    if matches!(warning.problem, Problem::UnknownSyscall(_))
                        && self.fails_on_unknown_syscalls()
                    {
                        let message = warning.problem.to_string().replace(" is ignored", "");
                        self.error(Code::Seccomp, warning.place.pointer(), message);
                        continue;
                    }
                    self.warn(Code::SeccompIgnored, warning.place.pointer(), warning.problem.to_string());
                }
                if filter.notify {
                    self.flags_of_kernel(seccomp);
                    self.agent(seccomp);
                }
                Some(Filter { flags: u64::from(filter.flags), program: filter.to_bytes() })
            }
            Err(findings) => {
                for finding in findings {
                    self.error(Code::Seccomp, finding.place.pointer(), finding.problem.to_string());
                }
                None
            }
        }
    }

    /// The agent that takes part in decisions.
    fn agent(&mut self, seccomp: &Seccomp) {
        let path = PathBuf::from(&seccomp.listener_path);
        self.no_nul(seccomp.listener_path.as_bytes(), &LISTENER_PATH);
        if !path.is_absolute() {
            let message =
                format!("the path {:?} of the agent's socket is not absolute", seccomp.listener_path);
            self.error(Code::SeccompAgent, LISTENER_PATH, message);
        }
        self.launch.seccomp_agent = Some(SeccompAgent { path, metadata: seccomp.listener_metadata.clone() });
    }

    /// Refuses flags that are newer than this kernel, which would only say that something is invalid.
    fn flags_of_kernel(&mut self, seccomp: &Seccomp) {
        let (flag, since) = WAIT_KILLABLE_RECV;
        let at = seccomp.flags.iter().flatten().position(|name| name == flag);
        if let Some(at) = at.filter(|_| self.host.kernel < since) {
            let message = format!("{flag} needs Linux {}.{} or newer", since.0, since.1);
            self.error(Code::SeccompFlag, Pointer::new("/linux/seccomp/flags/{}").at(at), message);
        }
    }

    /// Loads the filter.
    pub(crate) fn load_filter(&mut self, filter: Option<Filter>, why: &'static str) {
        if let Some(filter) = &filter {
            let step = Step::Seccomp { flags: filter.flags, filter: &filter.program };
            self.step(step, Pointer::new("/linux/seccomp"), why);
        }
        self.launch.filter = filter;
    }
}

/// The place that a text names; the whole filter if it is none of those we know.
fn place(text: &str) -> Pointer {
    PLACES.iter().find_map(|pattern| matching(pattern, text)).unwrap_or(Pointer::new("/linux/seccomp"))
}

/// The pattern, filled so that it reads as the text, if it can be.
fn matching(pattern: &'static str, text: &str) -> Option<Pointer> {
    let (mut parts, mut tokens) = (pattern.split('/'), text.split('/'));
    let mut pointer = Pointer::new(pattern);
    loop {
        match (parts.next(), tokens.next()) {
            (None, None) => return Some(pointer),
            (Some("{}"), Some(token)) => pointer = pointer.at(token.parse().ok()?),
            (Some(part), Some(token)) if part == token => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, place};

    #[test]
    fn a_filter_that_was_kept_is_the_same_and_what_is_none_is_refused() {
        let filter = Filter { flags: 5, program: vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f] };
        let bytes = filter.to_bytes();
        assert_eq!(Filter::from_bytes(&bytes), Some(filter));
        let too_long = vec![0; 8 + 8 * 4097];
        for bad in [&[][..], &bytes[..8], &bytes[..15], &too_long] {
            assert_eq!(Filter::from_bytes(bad), None, "{} bytes", bad.len());
        }
    }

    #[test]
    fn places_are_found_by_their_text() {
        for text in [
            "/linux/seccomp",
            "/linux/seccomp/flags/2",
            "/linux/seccomp/syscalls/3/names/17",
            "/linux/seccomp/syscalls/3/args/1/valueTwo",
        ] {
            assert_eq!(place(text).to_string(), text);
        }
        assert_eq!(place("/linux/seccomp/future/0").to_string(), "/linux/seccomp");
    }
}
