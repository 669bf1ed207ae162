//! Faults from outside: a command is traced, and at one of its system calls, or of its child's, something goes wrong.
//!
//! No special build is needed and no action is missed: what the runtime does to the machine, it does by system calls. The
//! calls of each process are counted apart, since the order among processes differs from one run to the next.
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::{Container, criu, runtime};

/// One system call: of the process with this number, the command itself being 0, the call with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    /// Which process, in the order of their birth.
    pub process: usize,
    /// Which of its calls, from 0.
    pub call: usize,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the call.
    Kill,
    /// The call is not made, and fails.
    Fail(Errno),
    /// The process stops before the call; once others have done something, it dies.
    StallAndDie,
    /// The process stops before the call; once others have done something, it goes on.
    StallAndGoOn,
}

/// What a traced command did.
#[derive(Debug, Default)]
pub struct Trace {
    /// The numbers of the system calls, of each process.
    pub calls: Vec<Vec<u64>>,
    /// Their process ids.
    pub pids: Vec<i32>,
    /// The command's exit status, 128 + n for signal n.
    pub code: i32,
    /// Whether the fault's call was come to.
    pub reached: bool,
    /// Whether it had to be killed because it did not end.
    pub hung: bool,
    /// Whether that was because a call of CRIU's failed that never does. Some of those it waits for ever after.
    pub stuck: bool,
    /// What it said on standard error.
    pub stderr: String,
}

/// How long a command may take, with a fault.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How a process is traced whose children are not.
const ALONE: Options = Options::PTRACE_O_TRACESYSGOOD.union(Options::PTRACE_O_TRACEEXEC);

/// Stops itself, so that it can be traced from the first call of what it becomes.
const GATE: &str = "kill -STOP $$; exec \"$@\"";

/// A command to trace.
#[derive(Debug)]
pub struct Traced<'a> {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Ties its processes to a container, for the ledger.
    pub id: &'a str,
    /// Where to put what it says.
    pub log: PathBuf,
    /// A process that is there already, and whose calls count too, as those of process 1.
    pub also: Option<i32>,
}

struct Tracer<'a> {
    root: Pid,
    numbers: HashMap<Pid, usize>,
    /// Those that run CRIU.
    criu: HashSet<Pid>,
    /// Whose calls do not count.
    spared: HashSet<Pid>,
    fault: Option<(Point, Fault)>,
    meanwhile: &'a mut dyn FnMut(),
    trace: Trace,
    /// The process whose call fails, once it was entered.
    failing: Option<Pid>,
    /// The command runs, and no longer the shell.
    begun: bool,
    leaving: bool,
}

impl<'a> Traced<'a> {
    /// A command of the runtime, about a container.
    pub fn new(container: &'a Container, command: &[OsString]) -> Self {
        let mut argv = vec![runtime::binary().into(), "--root".into(), container.state_root().into()];
        argv.extend_from_slice(command);
        Self { argv, id: &container.id, log: container.home().join("log"), also: None }
    }

    /// Runs it to its end with a fault, or without one to see what it does. `meanwhile` is what others do during a stall.
    pub fn run(&self, fault: Option<(Point, Fault)>, meanwhile: &mut dyn FnMut()) -> Trace {
        let log = File::create(&self.log).expect("a log");
        #[expect(clippy::zombie_processes, reason = "the tracer waits for it")]
        let child = Command::new("/bin/sh")
            .args(["-c", GATE, "sh"])
            .args(&self.argv)
            .env("ORLOP_TEST", self.id)
            // For `checkpoint`.
            .env("PATH", criu::path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a shell");
        let root = Pid::from_raw(child.id() as i32);
        let stopped = waitpid(root, Some(WaitPidFlag::WUNTRACED)).expect("our own child");
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
        let mut tracer = Tracer {
            root,
            numbers: HashMap::new(),
            criu: HashSet::new(),
            spared: HashSet::new(),
            fault,
            meanwhile,
            trace: Trace::default(),
            failing: None,
            begun: false,
            leaving: false,
        };
        tracer.attach(root);
        if let Some(also) = self.also {
            tracer.attach(Pid::from_raw(also));
            ptrace::interrupt(Pid::from_raw(also)).expect("it is traced");
        }
        kill(root, Signal::SIGCONT).expect("our own child");
        // A watch that ends what does not end by itself.
        let (ended, watch) = mpsc::channel::<()>();
        let watcher = std::thread::spawn(move || {
            let late = watch.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                kill(root, Signal::SIGKILL).ok();
            }
            late
        });
        tracer.follow();
        drop(ended);
        let mut trace = tracer.trace;
        trace.pids = tracer.numbers.keys().map(|pid| pid.as_raw()).collect();
        trace.hung = watcher.join().expect("the watch");
        trace.stuck &= trace.hung;
        File::open(&self.log).and_then(|mut log| log.read_to_string(&mut trace.stderr)).ok();
        trace
    }
}

impl Tracer<'_> {
    fn attach(&mut self, pid: Pid) {
        let children =
            Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
        ptrace::seize(pid, ALONE | children).expect("root may trace");
        self.number(pid);
    }

    /// The number of a process, which it gets when it is first seen.
    fn number(&mut self, pid: Pid) -> usize {
        let next = self.numbers.len();
        let number = *self.numbers.entry(pid).or_insert(next);
        if self.trace.calls.len() <= number {
            self.trace.calls.resize(number + 1, Vec::new());
        }
        number
    }

    /// Until the command has ended and nobody is traced any more.
    fn follow(&mut self) {
        // Of this thread only: other tests of this program have children, too.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)) {
                Ok(status) => drop(self.on(status)),
                Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return,
                Err(e) => panic!("waitpid: {e}"),
            }
        }
    }

    /// Goes on after a stop or an end; a process that is new.
    fn on(&mut self, status: WaitStatus) -> Option<Pid> {
        match status {
            WaitStatus::Exited(pid, code) => self.ended(pid, code),
            WaitStatus::Signaled(pid, signal, _) => self.ended(pid, 128 + signal as i32),
            WaitStatus::PtraceSyscall(pid) => self.at_call(pid),
            WaitStatus::PtraceEvent(pid, _, event) => return self.at_event(pid, event),
            WaitStatus::Stopped(pid, signal) => self.go_on(pid, Some(signal)),
            _ => {}
        }
        None
    }

    fn ended(&mut self, pid: Pid, code: i32) {
        if pid != self.root {
            return;
        }
        self.trace.code = code;
        self.leaving = true;
        for other in self.numbers.keys() {
            // It may have ended as well.
            ptrace::interrupt(*other).ok();
        }
    }

    /// Lets a stopped process go on to its next call; all that fails here is that it was killed meanwhile.
    fn go_on(&self, pid: Pid, signal: Option<Signal>) {
        if self.leaving { ptrace::detach(pid, signal) } else { ptrace::syscall(pid, signal) }.ok();
    }

    fn at_event(&mut self, pid: Pid, event: i32) -> Option<Pid> {
        let mut born = None;
        match event {
            // The shell is not what is traced.
            libc::PTRACE_EVENT_EXEC if pid == self.root => self.begun = true,
            libc::PTRACE_EVENT_EXEC => match Program::of(pid) {
                Program::Init => {}
                Program::Criu { wrapped } => {
                    // It traces what it makes, and there can be one tracer only. The options are those of its children, too.
                    ptrace::setoptions(pid, ALONE).ok();
                    self.criu.insert(pid);
                    let _ = if wrapped { self.spared.insert(pid) } else { self.spared.remove(&pid) };
                }
                // What a container runs is not the runtime's.
                Program::Other => {
                    ptrace::detach(pid, None).ok();
                    return None;
                }
            },
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                let new = Pid::from_raw(ptrace::getevent(pid).unwrap_or_default() as i32);
                self.number(new);
                born = Some(new);
            }
            _ => {
                self.number(pid);
            }
        }
        self.go_on(pid, None);
        born
    }

    fn at_call(&mut self, pid: Pid) {
        let number = self.number(pid);
        if ptrace::syscall_info(pid).is_ok_and(|info| info.op == libc::PTRACE_SYSCALL_INFO_EXIT) {
            if self.failing == Some(pid) {
                self.failing = None;
                if let Some((_, Fault::Fail(errno))) = self.fault {
                    answer(pid, errno);
                }
            }
            return self.go_on(pid, None);
        }
        if !self.begun || self.spared.contains(&pid) {
            return self.go_on(pid, None);
        }
        let here = Point { process: number, call: self.trace.calls[number].len() };
        self.trace.calls[number].push(ptrace::getregs(pid).map_or(0, |regs| regs.orig_rax));
        match self.fault {
            Some((point, fault)) if point == here && !self.trace.reached && possible(pid, fault) => {
                self.trace.reached = true;
                self.strike(pid, fault);
            }
            _ => self.go_on(pid, None),
        }
    }

    fn strike(&mut self, pid: Pid, fault: Fault) {
        match fault {
            Fault::Kill => drop(kill(pid, Signal::SIGKILL)),
            Fault::StallAndDie => {
                self.let_go_of_others(pid);
                (self.meanwhile)();
                kill(pid, Signal::SIGKILL).ok();
            }
            Fault::StallAndGoOn => {
                let standing = self.let_go_of_others(pid);
                (self.meanwhile)();
                standing.into_iter().chain([pid]).for_each(|thread| self.go_on(thread, None));
            }
            Fault::Fail(_) => {
                self.trace.stuck = self.criu.contains(&pid);
                if let Ok(mut regs) = ptrace::getregs(pid) {
                    // close(2) closes, whatever it answers.
                    if regs.orig_rax != libc::SYS_close as u64 {
                        regs.orig_rax = u64::MAX;
                        ptrace::setregs(pid, regs).ok();
                    }
                    self.failing = Some(pid);
                }
                self.go_on(pid, None);
            }
        }
    }
}

/// How long processes may take to stop, so that they can be let go of. One that waits in vfork(2) does not.
const STOP: Duration = Duration::from_millis(100);

impl Tracer<'_> {
    /// All other processes go on without us: while others do something, nobody would let them go on from one call to the next.
    /// The result: the threads of the stalled one, which stand still with it.
    fn let_go_of_others(&mut self, stalled: Pid) -> Vec<Pid> {
        self.leaving = true;
        let mut standing = Vec::new();
        let until = Instant::now() + STOP;
        let mut others: Vec<Pid> = self.numbers.keys().copied().filter(|pid| *pid != stalled).collect();
        // What is not traced any more is not there.
        others.retain(|pid| ptrace::interrupt(*pid).is_ok());
        while !others.is_empty() && Instant::now() < until {
            for pid in std::mem::take(&mut others) {
                match waitpid(pid, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
                    Ok(WaitStatus::StillAlive) => others.push(pid),
                    Ok(
                        WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_STOP) | WaitStatus::PtraceSyscall(_),
                    ) if is_thread_of(pid, stalled) => {
                        standing.push(pid);
                    }
                    Ok(status) => others.extend(self.on(status)),
                    Err(_) => {}
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        standing
    }
}

/// Whether both are threads of one process.
fn is_thread_of(thread: Pid, other: Pid) -> bool {
    std::path::Path::new(&format!("/proc/{other}/task/{thread}")).exists()
}

/// Whether the kernel would do that. The standard library hears by a socket of its own how exec went, in 8 bytes; it knows that
/// this can be interrupted, relies on that nothing else happens, and else waits for the child, which may wait for us. To wake
/// another thread or to unlock a file does not fail; libraries panic, or take it for done.
fn possible(pid: Pid, fault: Fault) -> bool {
    let (Fault::Fail(errno), Ok(regs)) = (fault, ptrace::getregs(pid)) else { return true };
    let operation = regs.rsi as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let is = |call: i64| regs.orig_rax == call as u64;
    let of_library = is(libc::SYS_recvfrom) && regs.rdx == 8;
    let wakes = is(libc::SYS_futex) && operation == libc::FUTEX_WAKE;
    let unlocks = is(libc::SYS_flock) && regs.rsi as i32 == libc::LOCK_UN;
    !wakes && !unlocks && (errno == Errno::EINTR || !of_library)
}

/// Makes a call that was not made fail.
fn answer(pid: Pid, errno: Errno) {
    if let Ok(mut regs) = ptrace::getregs(pid) {
        regs.rax = (-i64::from(errno as i32)).cast_unsigned();
        ptrace::setregs(pid, regs).ok();
    }
}

/// What a process runs.
enum Program {
    /// The runtime's init.
    Init,
    /// CRIU, or a shell that finds out where it is.
    Criu { wrapped: bool },
    /// A container's program.
    Other,
}

impl Program {
    fn of(pid: Pid) -> Self {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if exe.to_string_lossy().contains("memfd:orlop-init") {
            return Self::Init;
        }
        // The newest CRIU of `hack/criu` is started by its own loader, whose name is that of the file.
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).collect();
        if words.windows(2).any(|pair| pair[0].ends_with(b"/criu") && pair[1] == b"swrk") {
            return Self::Criu { wrapped: words[0].ends_with(b"/sh") };
        }
        Self::Other
    }
}
