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
//! The joiner exists only where the kernel demands it: a PID namespace is joined by children, never by the caller, and
//! a user namespace that is joined, or namespaces joined before a new user namespace, decide who owns what is new.
//!
//! The new processes share the caller's memory until exec, as after vfork(2), so nothing is copied and no page table is
//! built; they run on stacks of their own, make system calls only, and allocate nothing. The caller does not go on
//! before they are done with its memory.

use crate::raw::{Error, Result, call};
use crate::{Fd, OwnedFd, cred, file, process};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// A namespace to join: its descriptor (or a pidfd), and its kind or kinds (`CLONE_NEW…`).
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// A namespace's descriptor, or a pidfd.
    pub fd: Fd,
    /// `CLONE_NEW…`; several with a pidfd.
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
}

/// A child that runs its program.
#[derive(Debug)]
pub struct Child {
    /// Its process id, as the caller sees it. Valid until the child is waited for.
    pub pid: i32,
    /// A descriptor for it.
    pub pidfd: OwnedFd,
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
// 64-bit flags of clone3(2) only; the C library crate's constants are too narrow.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

const NO_JOIN: usize = usize::MAX;

/// `struct clone_args` of clone3(2).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A stack for code that makes system calls only.
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
    /// Where the child waits for its id maps.
    gate: Option<Fd>,
    /// How the joiner makes the child.
    inner: CloneArgs,
    /// The child's process id, where the joiner made it.
    pid: AtomicI32,
    /// Call and errno of what failed, 0 for nothing.
    error: AtomicU32,
    /// Which join failed.
    join: AtomicUsize,
}

impl Shared<'_> {
    fn fail(&self, e: Error) -> ! {
        self.error.store(u32::from(e.call()) << 16 | e.errno() as u32, Ordering::Release);
        process::exit(125);
    }

    fn failure(&self) -> Option<Failure> {
        let error = self.error.load(Ordering::Acquire);
        if error == 0 {
            return None;
        }
        let error = Error::new((error >> 16) as u16, error as u16);
        Some(match self.join.load(Ordering::Acquire) {
            NO_JOIN => Failure::Call(error),
            index => Failure::Join(index, error),
        })
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
        let gate = if maps.is_some() { Some(Gate::new()?) } else { None };
        let mut argv = [ptr::null(); MAX_ARGS + 1];
        for (to, from) in argv.iter_mut().zip(self.argv) {
            *to = from.as_ptr().cast();
        }
        let (mut stack, mut inner_stack) = (Stack::new(), Stack::new());
        let shared = Shared {
            spawn: self,
            argv,
            gate: gate.as_ref().map(|g| g.theirs.fd()),
            inner: CloneArgs::default(),
            pid: AtomicI32::new(0),
            error: AtomicU32::new(0),
            join: AtomicUsize::new(NO_JOIN),
        };
        self.launch(shared, &mut stack, &mut inner_stack, gate, maps)
    }

    /// Whether the joins have to be made by a process of their own, before the child is made.
    fn needs_joiner(&self) -> bool {
        const BY_CHILDREN: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWUSER;
        let new_user = self.namespaces & libc::CLONE_NEWUSER as u64 != 0;
        self.joins.iter().any(|j| j.kinds & BY_CHILDREN != 0) || (new_user && !self.joins.is_empty())
    }

    fn launch(
        &self,
        mut shared: Shared<'_>,
        stack: &mut Stack,
        inner_stack: &mut Stack,
        gate: Option<Gate>,
        maps: Option<Maps<'_>>,
    ) -> core::result::Result<Child, Failure> {
        let wait = if gate.is_some() { 0 } else { libc::CLONE_VFORK };
        let joiner = self.needs_joiner();
        let common = (libc::CLONE_VM | wait) as u64 | CLONE_CLEAR_SIGHAND;
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
        // stacks outlive the children's use of this memory, because this function returns only after they have exec'ed
        // or ended: either clone3 blocks (CLONE_VFORK), or `Gate::open` and `wait_for_exit` do.
        let pid = unsafe { clone3(&outer, entry, ptr::from_ref(&shared).cast()) }? as i32;
        let outer_fd = OwnedFd::made(pidfd as usize);
        let child = if joiner {
            wait_for_exit(outer_fd.fd())?;
            let pid = shared.pid.load(Ordering::Acquire);
            if pid == 0 {
                return Err(shared
                    .failure()
                    .unwrap_or(Failure::Call(Error::of(libc::SYS_clone3, libc::ECHILD))));
            }
            // The child is ours (CLONE_PARENT) and not waited for, so the number is still its own.
            Child { pid, pidfd: process::pidfd_open(pid)? }
        } else {
            Child { pid, pidfd: outer_fd }
        };
        let mapped = match (gate, maps) {
            (Some(gate), Some(maps)) => gate.open(maps(child.pid)),
            _ => Ok(()),
        };
        match (shared.failure(), mapped) {
            (None, Ok(())) => Ok(child),
            (failure, mapped) => {
                // It may be gone already, then this has no effect; either way it is waited for.
                process::pidfd_send_signal(child.pidfd.fd(), libc::SIGKILL).ok();
                wait_for_exit(child.pidfd.fd())?;
                Err(mapped.err().or(failure).unwrap_or(Failure::Maps))
            }
        }
    }
}

/// Where a child waits while the caller writes its id maps, and how the caller learns that it has exec'ed.
struct Gate {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Gate {
    fn new() -> Result<Self> {
        let mut pair = [0_i32; 2];
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let args = [libc::AF_UNIX as usize, kind as usize, 0, pair.as_mut_ptr() as usize];
        // SAFETY: the call writes two descriptors.
        unsafe { call(libc::SYS_socketpair, args) }?;
        Ok(Self { ours: OwnedFd::made(pair[0] as usize), theirs: OwnedFd::made(pair[1] as usize) })
    }

    /// Lets the child go on if its maps are written, and waits until it has exec'ed or ended.
    fn open(self, mapped: core::result::Result<(), ()>) -> core::result::Result<(), Failure> {
        let Self { ours, theirs } = self;
        drop(theirs);
        let mut byte = [0_u8];
        if mapped.is_ok() {
            // A child that is gone makes this fail; the read below sees its end.
            crate::socket::send(ours.fd(), &byte, None).ok();
        } else {
            // SAFETY: numbers only.
            unsafe { call(libc::SYS_shutdown, [ours.fd().raw() as usize, libc::SHUT_WR as usize]) }?;
        }
        while file::read(ours.fd(), &mut byte).is_ok_and(|n| n > 0) {}
        mapped.map_err(|()| Failure::Maps)
    }
}

/// Waits until a child has ended, and reaps it ([waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html), `P_PIDFD`, Linux 5.4).
fn wait_for_exit(pidfd: Fd) -> Result<()> {
    let args = [libc::P_PIDFD as usize, pidfd.raw() as usize, 0, libc::WEXITED as usize, 0];
    // SAFETY: no `siginfo` and no `rusage` are asked for.
    file::retry(|| unsafe { call(libc::SYS_waitid, args) }).map(drop)
}

/// Where a new process begins.
type Entry = unsafe extern "C" fn(*const ()) -> !;

/// The joiner: joins, makes the child, ends.
///
/// # Safety
///
/// `shared` is a `Shared` that lives until this process has ended.
unsafe extern "C" fn join_then_clone(shared: *const ()) -> ! {
    // SAFETY: the caller's contract.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    join_all(shared);
    // SAFETY: as in `launch`: `inner` has a stack of its own, `start` never returns and only makes system calls.
    match unsafe { clone3(&shared.inner, start, ptr::from_ref(shared).cast()) } {
        Ok(pid) => {
            shared.pid.store(pid as i32, Ordering::Release);
            process::exit(0)
        }
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
        join_all(shared);
    }
    match prepare(shared) {
        Ok(()) => {}
        Err(e) => shared.fail(e),
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
    let mut done = 0_u64;
    if joins.iter().any(|join| join.kinds == libc::CLONE_NEWUSER) {
        for (index, join) in joins.iter().enumerate() {
            if join.kinds != libc::CLONE_NEWUSER && process::setns(join.fd, join.kinds).is_ok() {
                done |= 1 << index;
            }
        }
    }
    for (index, join) in joins.iter().enumerate() {
        if done & 1 << index != 0 {
            continue;
        }
        if let Err(e) = process::setns(join.fd, join.kinds) {
            shared.join.store(index, Ordering::Release);
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
    shared.spawn.keep.iter().try_for_each(|fd| file::set_close_on_exec(*fd, false))
}

/// [clone3(2)](https://man7.org/linux/man-pages/man2/clone3.2.html), Linux 5.3: in the new process, calls `entry(argument)` on
/// the stack that `args` names; in the caller, returns the process id.
///
/// # Safety
///
/// `args` names a stack that nothing else uses; `entry` never returns; what it touches outlives the new process's use of it.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for rax and rsp, and leaves this
    // block only into `entry`; rbp is cleared there to end stack traces.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            // Registers that the call preserves: the new process needs them after it.
            in("r12") argument,
            in("r13") entry,
            inlateout("rax") libc::SYS_clone3 as isize => ret,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            lateout("rcx") _, lateout("r11") _,
        );
    }
    returned(ret)
}

/// As above, for aarch64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for x0 and sp, and leaves this
    // block only into `entry`; frame pointer and link register are cleared there to end stack traces.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            in("x20") argument,
            in("x21") entry,
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(args) => ret,
            in("x1") size_of::<CloneArgs>(),
            lateout("x30") _,
        );
    }
    returned(ret)
}

/// As above, for riscv64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "riscv64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for a0 and sp, and leaves this
    // block only into `entry`.
    unsafe {
        core::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, s2",
            "jalr s3",
            "ebreak",
            "2:",
            in("s2") argument,
            in("s3") entry,
            in("a7") libc::SYS_clone3,
            inlateout("a0") ptr::from_ref(args) => ret,
            in("a1") size_of::<CloneArgs>(),
            lateout("ra") _,
        );
    }
    returned(ret)
}

fn returned(ret: isize) -> Result<usize> {
    if ret < 0 { Err(Error::of(libc::SYS_clone3, -ret as i32)) } else { Ok(ret as usize) }
}
