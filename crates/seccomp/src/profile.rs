//! A profile's strings, checked and turned into values. Everything that is wrong is reported at once.

use orlop_spec::seccomp::{Arg, Seccomp};

use crate::action::Action;
use crate::arch::Arch;
use crate::compile::Options;
use crate::condition::{Comparison, Condition};
use crate::diagnostic::{Diagnostic, Place, Problem};
use crate::tables::Syscall;

/// A profile that can be compiled.
pub(crate) struct Profile {
    pub(crate) default: Action,
    /// The native architecture first, none twice.
    pub(crate) arches: Vec<Arch>,
    pub(crate) flags: u32,
    pub(crate) notify: bool,
    /// All of them, also those that change nothing.
    rules: Vec<Rule>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Profile {
    /// The rules that change something. libseccomp refuses a rule that repeats the default action, and runtimes leave it
    /// out: it overrides nothing.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.action != self.default)
    }

    /// Every system call that the profile names, also in rules that change nothing.
    pub(crate) fn named(&self) -> impl Iterator<Item = Syscall> {
        self.rules.iter().flat_map(|rule| rule.syscalls.iter().copied())
    }
}

/// One entry of `syscalls`.
pub(crate) struct Rule {
    /// Which one of `syscalls`.
    pub(crate) index: usize,
    pub(crate) syscalls: Vec<Syscall>,
    pub(crate) action: Action,
    /// Alternatives, each a list of conditions that must all hold. An empty list always holds.
    pub(crate) alternatives: Vec<Vec<Condition>>,
}

/// The most that an errno can be (`MAX_ERRNO`); the kernel caps what a filter returns.
const MAX_ERRNO: u16 = 4095;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_NEW_LISTENER: u32 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;
const FLAG_TSYNC: u32 = 1;
/// `SECCOMP_FILTER_FLAG_*` that a profile can ask for.
const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", FLAG_TSYNC),
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV),
];

/// The flags that seccomp(2) must know for a profile to have this one.
pub fn flag(name: &str) -> Option<u32> {
    let (_, flag) = FLAGS.into_iter().find(|flag| flag.0 == name)?;
    // It is one of filters with an agent only.
    Some(if flag == FLAG_WAIT_KILLABLE_RECV { flag | FLAG_NEW_LISTENER } else { flag })
}

/// Collects while reading.
struct Reader<'a> {
    options: &'a Options,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

pub(crate) fn read(seccomp: &Seccomp, options: &Options) -> Result<Profile, Vec<Diagnostic>> {
    let mut reader = Reader { options, errors: Vec::new(), warnings: Vec::new() };
    let default = reader.action(
        &seccomp.default_action,
        seccomp.default_errno_ret,
        Place::DefaultAction,
        Place::DefaultErrnoRet,
    );
    if default == Some(Action::Notify) {
        reader.error(Place::DefaultAction, Problem::NotifyByDefault);
    }
    let arches = reader.arches(seccomp);
    let mut rules = Vec::with_capacity(seccomp.syscalls.len());
    rules.extend((0..seccomp.syscalls.len()).filter_map(|at| reader.rule(seccomp, at)));
    let notify = rules.iter().any(|rule| rule.action == Action::Notify && !rule.syscalls.is_empty());
    reader.listener(seccomp, notify);
    let flags = reader.flags(seccomp, notify);
    match default {
        Some(default) if reader.errors.is_empty() => {
            Ok(Profile { default, arches, flags, notify, rules, warnings: reader.warnings })
        }
        _ => Err(reader.errors),
    }
}

impl Reader<'_> {
    fn error(&mut self, place: Place, problem: Problem) {
        self.errors.push(Diagnostic { place, problem });
    }

    fn warn(&mut self, place: Place, problem: Problem) {
        self.warnings.push(Diagnostic { place, problem });
    }

    fn action(&mut self, name: &str, errno: Option<u32>, place: Place, errno_place: Place) -> Option<Action> {
        let short = errno.map(u16::try_from).transpose().ok();
        let Some((action, takes_errno)) = Action::from_oci(name, short.flatten()) else {
            self.error(place, Problem::Action(name.to_owned()));
            return None;
        };
        if let Some(errno) = errno {
            if !takes_errno {
                self.error(errno_place, Problem::ErrnoUnused(name.to_owned()));
            } else if short.is_none() {
                self.error(errno_place, Problem::Errno(errno));
            }
        }
        if let Action::Errno(errno @ MAX_ERRNO..) = action
            && errno > MAX_ERRNO
        {
            self.warn(errno_place, Problem::ErrnoClamped(errno));
        }
        Some(action)
    }

    fn arches(&mut self, seccomp: &Seccomp) -> Vec<Arch> {
        let native = self.options.native;
        let mut arches = vec![native];
        for (at, name) in seccomp.architectures.iter().enumerate() {
            match Arch::from_oci(name) {
                None => self.error(Place::Architecture(at), Problem::Architecture(name.clone())),
                Some(arch) if arch.is_little_endian() != native.is_little_endian() => {
                    self.error(Place::Architecture(at), Problem::ByteOrder(arch.name()));
                }
                Some(arch) if arches.contains(&arch) => {}
                Some(arch) => arches.push(arch),
            }
        }
        arches
    }

    fn rule(&mut self, seccomp: &Seccomp, at: usize) -> Option<Rule> {
        let rule = &seccomp.syscalls[at];
        let action = self.action(&rule.action, rule.errno_ret, Place::Action(at), Place::ErrnoRet(at));
        if rule.names.is_empty() {
            self.warn(Place::Names(at), Problem::NoNames);
        }
        let mut syscalls = Vec::with_capacity(rule.names.len());
        for (name_at, name) in rule.names.iter().enumerate() {
            let place = Place::Name(at, name_at);
            if action == Some(Action::Notify) && self.options.launch_syscalls.contains(&name) {
                self.error(place, Problem::NotifyOnLaunch(name.to_owned()));
            }
            let before: Option<&Syscall> = syscalls.last();
            match before.map_or_else(|| Syscall::from_name(name), |before| before.next_from_name(name)) {
                Some(syscall) => syscalls.push(syscall),
                None => self.warn(place, Problem::UnknownSyscall(name.to_owned())),
            }
        }
        let alternatives = self.alternatives(&rule.args, at);
        Some(Rule { index: at, syscalls, action: action?, alternatives })
    }

    /// All conditions must hold; but where two are on the same argument, runtimes on libseccomp (which cannot combine
    /// such conditions) take each condition for a rule of its own, and profiles rely on it.
    fn alternatives(&mut self, args: &[Arg], at: usize) -> Vec<Vec<Condition>> {
        let mut conditions = Vec::with_capacity(args.len());
        let (mut seen, mut repeated) = (0_u8, None);
        for (arg_at, arg) in args.iter().enumerate() {
            let comparison = Comparison::from_oci(&arg.op);
            if comparison.is_none() {
                self.error(Place::ArgOp(at, arg_at), Problem::Op(arg.op.clone()));
            }
            if arg.index > 5 {
                self.error(Place::ArgIndex(at, arg_at), Problem::ArgIndex(arg.index));
                continue;
            }
            if seen & 1 << arg.index != 0 {
                repeated = repeated.or(Some(arg.index));
            }
            seen |= 1 << arg.index;
            conditions.extend(comparison.map(|comparison| Condition::new(arg, comparison)));
        }
        if let Some(index) = repeated {
            self.warn(Place::Args(at), Problem::Alternatives(index));
            return conditions.into_iter().map(|condition| vec![condition]).collect();
        }
        conditions.sort_by_key(|condition| condition.arg);
        vec![conditions]
    }

    fn listener(&mut self, seccomp: &Seccomp, notify: bool) {
        if !seccomp.listener_path.is_empty() {
            if !notify {
                self.warn(Place::ListenerPath, Problem::Unused("listenerPath".to_owned()));
            }
            return;
        }
        if notify {
            self.error(Place::ListenerPath, Problem::NoListener);
        }
        if !seccomp.listener_metadata.is_empty() {
            self.error(Place::ListenerMetadata, Problem::MetadataWithoutListener);
        }
    }

    /// Without `flags`, a profile gets `SPEC_ALLOW`, as before there were flags in the specification.
    fn flags(&mut self, seccomp: &Seccomp, notify: bool) -> u32 {
        let mut flags = if seccomp.flags.is_none() { FLAG_SPEC_ALLOW } else { 0 };
        for (at, name) in seccomp.flags.iter().flatten().enumerate() {
            match FLAGS.iter().find(|flag| flag.0 == name) {
                None => self.error(Place::Flag(at), Problem::Flag(name.clone())),
                Some(&(_, FLAG_WAIT_KILLABLE_RECV)) if !notify => {
                    self.warn(Place::Flag(at), Problem::Unused(name.clone()));
                }
                // Whoever loads it has one thread, which is in step with itself. runc leaves it out, too.
                Some((_, FLAG_TSYNC)) => {}
                Some(&(_, flag)) => flags |= flag,
            }
        }
        if notify { flags | FLAG_NEW_LISTENER } else { flags }
    }
}
