//! `clone3`, and what runs between it and `execveat`: the narrowest place of a launch.
//!
//! ```text
//!   caller                      [joiner]                     child
//!     │ clone3(VM, INTO_CGROUP)    │                            │
//!     ├───────────────────────────▶│ setns(…) for every join    │
//!     │                            │ clone3(VM, PARENT, NEW…)   │
//!     │                            ├───────────────────────────▶│
//!     │                            ╵ exit                       │
//!     │ write the id maps (only with a new user namespace)      │
//!     │ open the gate ─────────────────────────────────────────▶│ become root of the user namespace
//!     │                                                         │ keep the descriptors of the program
//!     ◀─────────────────────────────────────────────────────────┤ execveat(machine)
//! ```
//!
//! The joiner exists only where the kernel demands it: a user namespace that is joined, or namespaces joined before a new
//! user namespace, decide who owns what is new; and a PID namespace is entered by birth. A caller with the right to it
//! lets its children be born there for a moment (`spawn/visit.rs`) and needs no joiner for that. But whoever may trace
//! processes there sees the child while it still is the caller, memory and file, unless those belong to another user
//! namespace: where they do not, the program itself is to enter the PID namespace, and it is none of these joins.
//!
//! A time namespace may only be joined by who shares its memory with nobody (`EUSERS`, time_namespaces(7)), so then there is
//! a gate too.
//!
//! The new processes make system calls only and allocate nothing, on stacks of their own. Without a gate they share the
//! caller's memory until exec, as after vfork(2): nothing is copied, no page table is built, and the caller is suspended.
//! With a gate the caller has to go on meanwhile, so they have a copy of its memory: who shares it without being in
//! vfork(2) dies with the child if the kernel kills that for reaching its cgroup's memory limit. Then what they have to
//! say comes through the gate.

mod adopted;
mod aside;
mod clone;
mod holder;
mod said;
mod visit;

use crate::raw::{Error, Result, call};
use crate::{Fd, OwnedFd, cred, file, process, sched, wait};
pub use aside::NamespacesAside;
use clone::{CloneArgs, Entry, clone3};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
pub use holder::Holder;
use said::{NO_JOIN, Said};
use visit::Visit;

/// A namespace to join: its descriptor (or a pidfd), and its kind or kinds (`CLONE_NEW…`).
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// A namespace's descriptor, or a pidfd.
    pub fd: Fd,
    /// `CLONE_NEW…`; several with a pidfd; 0 for none, in a place that keeps the others' indices.
    pub kinds: i32,
}

/// What to start, and where.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// New namespaces (`CLONE_NEW…`).
    pub namespaces: u64,
    /// Namespaces to join before the new ones are made, each kind once: the user namespace first in the list.
    pub joins: &'a [Join],
    /// Directory of the cgroup to start in (Linux 5.7).
    pub cgroup: Option<Fd>,
    /// The child is in another user namespace than the caller and takes that one's user and group 0 before exec.
    pub become_root: bool,
    /// The program file.
    pub exe: Fd,
    /// Its arguments; at most seven. The environment is empty.
    pub argv: &'a [&'a CStr],
    /// Descriptors that stay open.
    pub keep: &'a [Fd],
    /// Its standard input, output and error, above 2; absent are the caller's.
    pub stdio: Option<[Fd; 3]>,
}

/// A child that runs its program.
#[derive(Debug)]
pub struct Child {
    /// Its process id, as the caller sees it. Valid until the child is waited for.
    pub pid: i32,
    /// A descriptor for it.
    pub pidfd: OwnedFd,
    /// The CPU on which it was just before it executed its program, if that is known.
    pub cpu: Option<u32>,
}

/// Why there is no child. Whatever had been started has been ended and waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A call of the caller's side or the child's failed.
    Call(Error),
    /// The join with this index failed.
    Join(usize, Error),
    /// The caller's own part (the id maps) failed; it knows why.
    Maps,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Call(e)
    }
}

/// Writes the id maps of the process with this id; what went wrong, it keeps to itself.
pub type Maps<'a> = &'a mut dyn FnMut(i32) -> core::result::Result<(), ()>;

const MAX_ARGS: usize = 7;
const NO_CPU: u32 = u32::MAX;
// 64-bit flags of clone3(2) only; the C library crate's constants are too narrow.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A stack for code that makes system calls only.
#[derive(Debug)]
#[repr(C, align(16))]
struct Stack([MaybeUninit<u8>; 8192]);

impl Stack {
    const fn new() -> Self {
        Self([MaybeUninit::uninit(); 8192])
    }
}

/// What caller, joiner and child share: plain numbers, and a place for what went wrong.
struct Shared<'a> {
    spawn: &'a Spawn<'a>,
    argv: [*const u8; MAX_ARGS + 1],
    /// Where the child waits for the caller's part, and where joiner and child speak then.
    gate: Option<Fd>,
    /// The caller's end of it.
    callers_end: Option<Fd>,
    /// How the joiner makes the child.
    inner: CloneArgs,
    /// The child's process id, where the joiner made it.
    pid: AtomicI32,
    /// Call and errno of what failed, 0 for nothing.
    error: AtomicU32,
    /// Which join failed.
    join: AtomicU32,
    /// The child's CPU, or [`NO_CPU`].
    cpu: AtomicU32,
}

impl Shared<'_> {
    /// Ends a new process, and says why.
    fn fail(&self, e: Error) -> ! {
        let error = u32::from(e.call()) << 16 | e.errno() as u32;
        if let Some(gate) = self.gate {
            // If nobody listens any more, nobody needs to know.
            Said { pid: 0, error, join: self.join.load(Ordering::Relaxed) }.send(gate).ok();
        } else {
            self.error.store(error, Ordering::Release);
        }
        process::exit(125);
    }

    /// In a new process, lets go of its copy of the caller's end of the gate: it would wait there for ever for a caller that
    /// has died, and with it its copies of all the caller's connections.
    fn leave_callers_end(&self) {
        if let Some(end) = self.callers_end {
            // SAFETY: with a gate this process has a copy of the caller's descriptors, and nothing here uses this one.
            drop(unsafe { OwnedFd::from_raw(end.raw()) });
        }
    }

    /// Tells the caller which process the joiner has made.
    fn made(&self, pid: i32) -> Result<()> {
        if let Some(gate) = self.gate {
            return Said { pid, error: 0, join: NO_JOIN }.send(gate);
        }
        self.pid.store(pid, Ordering::Release);
        Ok(())
    }

    /// What was said through the shared memory.
    fn said(&self) -> Said {
        Said {
            pid: self.pid.load(Ordering::Acquire),
            error: self.error.load(Ordering::Acquire),
            join: self.join.load(Ordering::Acquire),
        }
    }
}

impl Spawn<'_> {
    /// Starts the program and returns once it runs.
    ///
    /// `maps` is called with the child's process id while the child waits, if the child has a new user namespace: it
    /// writes the id maps. Its failure ends the child.
    pub fn run(&self, maps: Option<Maps<'_>>) -> core::result::Result<Child, Failure> {
        if self.argv.len() > MAX_ARGS {
            return Err(Error::of(libc::SYS_execveat, libc::E2BIG).into());
        }
        let gate =
            if maps.is_some() || self.joins_any(libc::CLONE_NEWTIME) { Some(Gate::new()?) } else { None };
        let mut argv = [ptr::null(); MAX_ARGS + 1];
        for (to, from) in argv.iter_mut().zip(self.argv) {
            *to = from.as_ptr().cast();
        }
        let (mut stack, mut inner_stack) = (Stack::new(), Stack::new());
        let shared = Shared {
            spawn: self,
            argv,
            gate: gate.as_ref().map(|g| g.theirs.fd()),
            callers_end: gate.as_ref().map(|g| g.ours.fd()),
            inner: CloneArgs::default(),
            pid: AtomicI32::new(0),
            error: AtomicU32::new(0),
            join: AtomicU32::new(NO_JOIN),
            cpu: AtomicU32::new(NO_CPU),
        };
        self.launch(shared, &mut stack, &mut inner_stack, gate, maps)
    }

    /// Whether what is joined decides who owns what is new, so that joining comes first.
    fn joins_first(&self) -> bool {
        let new_user = self.namespaces & libc::CLONE_NEWUSER as u64 != 0;
        (new_user && !self.joins.is_empty()) || (self.namespaces != 0 && self.joins_any(libc::CLONE_NEWUSER))
    }

    /// Whether a namespace of one of these kinds is joined.
    fn joins_any(&self, kinds: i32) -> bool {
        self.joins.iter().any(|join| join.kinds & kinds != 0)
    }

    fn launch(
        &self,
        mut shared: Shared<'_>,
        stack: &mut Stack,
        inner_stack: &mut Stack,
        gate: Option<Gate>,
        maps: Option<Maps<'_>>,
    ) -> core::result::Result<Child, Failure> {
        let memory = if gate.is_some() { 0 } else { libc::CLONE_VM | libc::CLONE_VFORK };
        let joins_first = self.joins_first();
        let visit = if joins_first { None } else { Visit::begin(self.joins) };
        let joiner = joins_first || (visit.is_none() && self.joins_any(libc::CLONE_NEWPID));
        let common = memory as u64 | CLONE_CLEAR_SIGHAND;
        let mut outer =
            CloneArgs { flags: common, exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
        if let Some(cgroup) = self.cgroup {
            outer.flags |= CLONE_INTO_CGROUP;
            outer.cgroup = cgroup.raw() as u64;
        }
        let entry: Entry = if joiner {
            shared.inner.flags = common | libc::CLONE_PARENT as u64 | self.namespaces;
            shared.inner.stack = ptr::from_mut(inner_stack) as u64;
            shared.inner.stack_size = size_of::<Stack>() as u64;
            join_then_clone
        } else {
            outer.flags |= self.namespaces;
            start
        };
        // With a joiner the pidfd is the joiner's, by which it is waited for.
        let mut pidfd = -1_i32;
        outer.flags |= libc::CLONE_PIDFD as u64;
        outer.pidfd = ptr::from_mut(&mut pidfd) as u64;
        outer.stack = ptr::from_mut(stack) as u64;
        outer.stack_size = size_of::<Stack>() as u64;
        // SAFETY: `outer` describes a live stack; `entry` never returns and only makes system calls; `shared` and the
        // stacks outlive the children's use of this memory: either clone3 returns only after they have exec'ed or ended
        // (CLONE_VFORK), or they have a copy of it.
        let made = unsafe { clone3(&outer, entry, ptr::from_ref(&shared).cast()) };
        let back = visit.map_or(Ok(()), Visit::end);
        let pid = made? as i32;
        let outer_fd = OwnedFd::made(pidfd as usize);
        let gate = gate.map(Gate::ours);
        let child = if joiner {
            let joiner = Child { pid, pidfd: outer_fd, cpu: None };
            wait::await_end(joiner.pidfd.fd())?;
            let said = gate.as_ref().map_or_else(|| shared.said(), |gate| Said::left(gate.fd()));
            if said.pid == 0 {
                joiner.end_with_issue()?;
                let silent = Failure::Call(Error::of(libc::SYS_clone3, libc::ECHILD));
                return Err(said.failure().unwrap_or(silent));
            }
            wait::wait(joiner.pidfd.fd())?;
            Child::adopt(said.pid)?
        } else {
            let cpu = Some(shared.cpu.load(Ordering::Acquire)).filter(|cpu| *cpu != NO_CPU);
            Child { pid, pidfd: outer_fd, cpu }
        };
        let failure = match (gate, back) {
            (_, Err(e)) => Some(Failure::Call(e)),
            (Some(gate), _) => open(&gate, maps.map_or(Ok(()), |maps| maps(child.pid))),
            (None, _) => shared.said().failure(),
        };
        let Some(failure) = failure else { return Ok(child) };
        // It may be gone already, then this has no effect; either way it is waited for.
        process::pidfd_send_signal(child.pidfd.fd(), libc::SIGKILL).ok();
        wait::wait(child.pidfd.fd())?;
        Err(failure)
    }
}

/// Lets the child go on if the caller's part is done, and waits until it has exec'ed or ended.
fn open(gate: &OwnedFd, mapped: core::result::Result<(), ()>) -> Option<Failure> {
    if mapped.is_err() {
        return Some(Failure::Maps);
    }
    match crate::socket::send(gate.fd(), &[1], None) {
        // A child that is gone makes this fail; what it said, or its silence, tells why.
        Err(e) if !e.is(libc::EPIPE) && !e.is(libc::ECONNRESET) => return Some(e.into()),
        _ => {}
    }
    Said::receive(gate.fd()).failure()
}

/// Where a child waits while the caller does its part, and how the caller learns that it has exec'ed.
struct Gate {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Gate {
    fn new() -> Result<Self> {
        let mut pair = [0_i32; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        let args = [libc::AF_UNIX as usize, kind as usize, 0, pair.as_mut_ptr() as usize];
        // SAFETY: the call writes two descriptors.
        unsafe { call(libc::SYS_socketpair, args) }?;
        Ok(Self { ours: OwnedFd::made(pair[0] as usize), theirs: OwnedFd::made(pair[1] as usize) })
    }

    /// The caller's end; the other one is the children's alone from now on.
    fn ours(self) -> OwnedFd {
        self.ours
    }
}

/// The joiner: joins, makes the child, ends.
///
/// # Safety
///
/// `shared` is a `Shared` that lives until this process has ended.
unsafe extern "C" fn join_then_clone(shared: *const ()) -> ! {
    // SAFETY: the caller's contract.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    shared.leave_callers_end();
    if let Err(e) = process::lead_group() {
        shared.fail(e);
    }
    join_all(shared);
    // SAFETY: as in `launch`: `inner` has a stack of its own, `start` never returns and only makes system calls.
    match unsafe { clone3(&shared.inner, start, ptr::from_ref(shared).cast()) } {
        Ok(pid) => process::exit(i32::from(shared.made(pid as i32).is_err())),
        Err(e) => shared.fail(e),
    }
}

/// The child: everything up to exec.
///
/// # Safety
///
/// `shared` is a `Shared` that lives until this process has exec'ed or ended.
unsafe extern "C" fn start(shared: *const ()) -> ! {
    // SAFETY: the caller's contract.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    let spawn = shared.spawn;
    if shared.inner.flags == 0 {
        // Without a joiner, who has done both.
        shared.leave_callers_end();
        join_all(shared);
    }
    match prepare(shared) {
        Ok(()) => {}
        Err(e) => shared.fail(e),
    }
    if let Ok(cpu) = sched::current_cpu() {
        shared.cpu.store(cpu, Ordering::Release);
    }
    let no_environment = [ptr::null::<u8>()];
    let args = [
        spawn.exe.raw() as usize,
        c"".as_ptr() as usize,
        shared.argv.as_ptr() as usize,
        no_environment.as_ptr() as usize,
        libc::AT_EMPTY_PATH as usize,
    ];
    // SAFETY: strings and arrays are null-terminated and live in `shared` or on this stack.
    match unsafe { call(libc::SYS_execveat, args) } {
        Ok(_) => process::exit(125),
        Err(e) => shared.fail(e),
    }
}

/// Joins everything. With a user namespace alone among them, the others are tried before it: one that belongs to the caller
/// can only be joined with the caller's rights, and what belongs to the user namespace only after it.
fn join_all(shared: &Shared<'_>) {
    let joins = shared.spawn.joins;
    if joins.iter().any(|join| join.kinds & libc::CLONE_NEWUSER != 0) {
        // Inside, it may be denied; who has no right to it here keeps its groups, as in every namespace of its own.
        cred::setgroups(&[]).ok();
    }
    let mut done = 0_u64;
    if joins.iter().any(|join| join.kinds == libc::CLONE_NEWUSER) {
        for (index, join) in joins.iter().enumerate() {
            if join.kinds != libc::CLONE_NEWUSER && process::setns(join.fd, join.kinds).is_ok() {
                done |= 1 << index;
            }
        }
    }
    for (index, join) in joins.iter().enumerate() {
        if done & 1 << index != 0 || join.kinds == 0 {
            continue;
        }
        if let Err(e) = process::setns(join.fd, join.kinds) {
            shared.join.store(index as u32, Ordering::Release);
            shared.fail(e);
        }
    }
}

fn prepare(shared: &Shared<'_>) -> Result<()> {
    if let Some(gate) = shared.gate {
        let mut byte = [0];
        if file::read(gate, &mut byte)? == 0 {
            process::exit(125); // The caller gave up, and knows why.
        }
    }
    if shared.spawn.become_root {
        // Exec by anyone but user 0 of the namespace would lose every capability in it.
        cred::setresgid(0)?;
        cred::setresuid(0)?;
    }
    for (fd, number) in shared.spawn.stdio.iter().flatten().zip(0..) {
        file::dup_to_standard(*fd, number)?;
    }
    shared.spawn.keep.iter().try_for_each(|fd| file::set_close_on_exec(*fd, false))
}
