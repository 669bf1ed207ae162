//! A container's system call filter: as text, and asked about single calls.

use std::fmt::Write as _;

use orlop_program::Step;
use orlop_runtime::Planned;
use orlop_seccomp::tables::Syscall;
use orlop_seccomp::{
    Action, Arch, Insn, Options, Reason, SeccompData, disassemble_program, reason, simulate,
};
use orlop_spec::Seccomp;
use serde::Serialize;

use crate::explain::Place;
use crate::names::seccomp_flags;
use crate::page::{Page, Style};

/// The filter of a compiled bundle.
#[derive(Debug)]
pub struct Filter {
    program: Vec<Insn>,
    flags: u64,
    /// The profile and the text of the config, unless an annotation gives the program itself.
    profile: Option<Seccomp>,
    text: String,
}

/// A system call with arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    syscall: Syscall,
    args: [u64; 6],
    /// How many were given.
    given: usize,
}

/// What a filter does with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The call, with numbers for its arguments.
    pub call: String,
    /// The architecture, as in `SCMP_ARCH_…`.
    pub arch: &'static str,
    /// Whether the call reaches the kernel.
    pub passes: bool,
    /// What happens, in words.
    pub action: String,
    /// Who is responsible for it.
    pub reason: String,
    /// The rule's place in the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The same as line and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Filter {
    /// The filter that a bundle's program loads; none if it loads none.
    pub fn of(planned: &Planned) -> Option<Self> {
        let steps = planned.compiled.program.steps().map_while(Result::ok);
        let (flags, bytes) = steps.into_iter().find_map(|step| match step {
            Step::Seccomp { flags, filter } => Some((flags, filter)),
            _ => None,
        })?;
        let chunks = bytes.chunks_exact(8).filter_map(|chunk| <[u8; 8]>::try_from(chunk).ok());
        let program: Vec<Insn> = chunks.map(Insn::from_bytes).collect();
        let raw = planned.config.spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
        let profile = raw.and_then(|raw| orlop_spec::seccomp::parse(raw).ok());
        // An annotation may give the program itself; the profile, if there is one, is then not used.
        let compiled = profile.as_ref().zip(Arch::host());
        let compiled =
            compiled.and_then(|(profile, host)| orlop_seccomp::compile(profile, &Options::new(host)).ok());
        let profile = profile.filter(|_| compiled.is_some_and(|filter| filter.program == program));
        Some(Self { program, flags, profile, text: planned.config.text.clone() })
    }

    /// What happens to calls that the profile does not name, in its words; none if an annotation gives the program.
    pub fn default_action(&self) -> Option<&str> {
        self.profile.as_ref().map(|profile| profile.default_action.as_str())
    }

    /// The program, with what is known of it before.
    pub fn disassembly(&self, page: &Page) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        _ = writeln!(out, "{} instructions, flags {}", self.program.len(), seccomp_flags(self.flags));
        if let Some(profile) = &self.profile {
            let arches: Vec<_> =
                profile.architectures.iter().map(|name| name.trim_start_matches("SCMP_ARCH_")).collect();
            let native = Arch::host().map_or("", Arch::name);
            let others = arches.into_iter().filter(|name| *name != native);
            _ = writeln!(
                out,
                "{} rules, default {}; architectures: {native}{}",
                profile.syscalls.len(),
                profile.default_action,
                others.fold(String::new(), |all, name| all + " " + name)
            );
        } else {
            out.push_str("given as instructions by an annotation\n");
        }
        out.push('\n');
        for line in disassemble_program(&self.program).lines() {
            let (code, comment) =
                line.split_once(';').map_or((line, ""), |(code, _)| (code, &line[code.len()..]));
            let code = if code.starts_with('L') { page.paint(Style::Strong, code) } else { code.to_owned() };
            _ = writeln!(out, "{code}{}", page.paint(Style::Faint, comment));
        }
        out
    }

    /// What happens to a call on an architecture.
    ///
    /// # Errors
    ///
    /// The architecture has no such call, or the program is none that the kernel would load.
    pub fn ask(&self, call: &Call, arch: Arch) -> Result<Answer, String> {
        let Some(nr) = call.syscall.number(arch) else {
            return Err(format!("{} has no system call {}", arch.name(), call.syscall.name()));
        };
        let data = SeccompData { nr, arch: arch.token(), args: call.args, ..SeccompData::default() };
        let action = simulate(&self.program, &data)
            .map_err(|e| format!("the kernel would not load this filter: {e}"))?;
        let found = self.profile.as_ref().zip(Arch::host()).and_then(|(profile, host)| {
            reason(profile, &Options::new(host), arch, call.syscall, &call.args, action)
        });
        let (reason, pointer) = self.blame(found);
        let place = pointer.as_ref().and_then(|pointer| orlop_spec::locate_nearest(&self.text, pointer));
        Ok(Answer {
            call: call.to_string(),
            arch: arch.name(),
            passes: matches!(action, Action::Allow | Action::Log),
            action: in_words(action),
            reason,
            pointer,
            place: place.map(|found| Place { line: found.line, column: found.column }),
        })
    }

    fn blame(&self, reason: Option<Reason>) -> (String, Option<String>) {
        let at = |text: &str| Some(text.to_owned());
        match reason {
            Some(Reason::Rule(index)) => {
                let rule = self.profile.as_ref().and_then(|profile| profile.syscalls.get(index));
                let conditions = match rule.map_or(0, |rule| rule.args.len()) {
                    0 => "without conditions",
                    1 => "with a condition that holds",
                    _ => "with conditions that hold",
                };
                (format!("rule {index} of the profile, {conditions}"), Some(format!("/linux/seccomp/syscalls/{index}")))
            }
            Some(Reason::Default) => {
                ("no rule: the default action of the profile".to_owned(), at("/linux/seccomp/defaultAction"))
            }
            Some(Reason::TooNew) => (
                "newer than every system call that the profile names: programs are to fall back to older ones".to_owned(),
                at("/linux/seccomp/syscalls"),
            ),
            Some(Reason::Architecture) => {
                ("the profile does not list this architecture".to_owned(), at("/linux/seccomp/architectures"))
            }
            None => ("the instructions of the annotation".to_owned(), None),
        }
    }
}

/// What an action means for who makes the call.
fn in_words(action: Action) -> String {
    match action {
        Action::Allow => "it is allowed".to_owned(),
        Action::Log => "it is allowed, and logged".to_owned(),
        Action::Errno(errno) => {
            format!("it fails with {} ({errno})", orlop_sys::names::errno(i32::from(errno)))
        }
        Action::KillProcess => "the process is killed".to_owned(),
        Action::KillThread => "the thread is killed".to_owned(),
        Action::Trap => "the thread gets SIGSYS".to_owned(),
        Action::Notify => "the agent decides".to_owned(),
        Action::Trace(data) => format!("a tracer is asked (with {data}); without one it fails with ENOSYS"),
    }
}

impl Answer {
    /// As text.
    pub fn render(&self, page: &Page) -> String {
        let style = if self.passes { Style::Good } else { Style::Bad };
        let mut out = page.wrap("", Some(style), &format!("{} on {}: {}", self.call, self.arch, self.action));
        let place = match (&self.pointer, self.place) {
            (Some(pointer), Some(place)) => {
                format!(" (config.json:{}:{} {pointer})", place.line, place.column)
            }
            _ => String::new(),
        };
        out.push_str(&page.wrap("  ", None, &format!("{}{place}", self.reason)));
        out
    }
}

/// Words for numbers that people ask about.
const CONSTANTS: [(&str, u64); 29] = [
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_NETLINK", 16),
    ("AF_PACKET", 17),
    ("AF_ALG", 38),
    ("AF_VSOCK", 40),
    ("SOCK_STREAM", 1),
    ("SOCK_DGRAM", 2),
    ("SOCK_RAW", 3),
    ("CLONE_NEWTIME", 0x80),
    ("CLONE_VM", 0x100),
    ("CLONE_FS", 0x200),
    ("CLONE_FILES", 0x400),
    ("CLONE_NEWNS", 0x2_0000),
    ("CLONE_NEWCGROUP", 0x200_0000),
    ("CLONE_NEWUTS", 0x400_0000),
    ("CLONE_NEWIPC", 0x800_0000),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWNET", 0x4000_0000),
    ("CLONE_THREAD", 0x1_0000),
    ("SIGCHLD", 17),
    ("PER_LINUX", 0),
    ("PER_LINUX32", 8),
    ("UNAME26", 0x2_0000),
    ("TIOCSTI", 0x5412),
    ("TIOCLINUX", 0x541c),
    ("PTRACE_ATTACH", 16),
];

impl Call {
    /// Reads `NAME(ARG, …)`, or only the name. Arguments are numbers, or names such as `AF_ALG|SOCK_RAW`; those that are not
    /// given are 0.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, args) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => {
                let args = rest
                    .trim_end()
                    .strip_suffix(')')
                    .ok_or_else(|| format!("{text:?} does not end with \")\""))?;
                (name.trim(), args)
            }
        };
        let syscall = Syscall::from_name(name).ok_or_else(|| format!("there is no system call {name:?}"))?;
        let words: Vec<&str> = if args.trim().is_empty() { Vec::new() } else { args.split(',').collect() };
        let mut call = Self { syscall, args: [0; 6], given: words.len() };
        if words.len() > 6 {
            return Err("a system call has at most six arguments".to_owned());
        }
        for (arg, word) in call.args.iter_mut().zip(words) {
            *arg = argument(word)?;
        }
        Ok(call)
    }
}

fn argument(word: &str) -> Result<u64, String> {
    let mut value = 0;
    for part in word.split('|').map(str::trim) {
        value |= number(part).ok_or_else(|| {
            format!("the argument {part:?} is neither a number nor a name that is known here")
        })?;
    }
    Ok(value)
}

fn number(text: &str) -> Option<u64> {
    if let Some((_, value)) = CONSTANTS.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    if let Some(negative) = text.strip_prefix('-') {
        return Some(0_u64.wrapping_sub(negative.parse().ok()?));
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let args: Vec<_> = self.args[..self.given].iter().map(|arg| format!("{arg:#x}")).collect();
        write!(f, "{}({})", self.syscall.name(), args.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_numbers_and_names() {
        let read = Call::parse("clone(CLONE_NEWUSER|SIGCHLD, 0x10, 010, -1)").unwrap();
        assert_eq!((read.syscall.name(), read.given), ("clone", 4));
        assert_eq!(read.args, [0x1000_0011, 16, 8, u64::MAX, 0, 0]);
        assert_eq!(Call::parse("ptrace").unwrap().to_string(), "ptrace()");
        assert_eq!(Call::parse("socket( AF_ALG ,5 )").unwrap().to_string(), "socket(0x26, 0x5)");
        for (wrong, why) in [
            ("ptrace(", "does not end"),
            ("nothing()", "no system call"),
            ("socket(AF_MOON)", "AF_MOON"),
            ("read(1,2,3,4,5,6,7)", "at most six"),
        ] {
            assert!(Call::parse(wrong).unwrap_err().contains(why), "{wrong}");
        }
    }
}
