//! Launching a compiled program: open what it names, start init in its cgroup and namespaces, and talk to it.
//!
//! | file | what |
//! |---|---|
//! | `launch/fill.rs` | what the program needs opened |
//! | `launch/network.rs` | the new network namespace, made while all else is done |
//! | `launch/beside.rs` | file systems that the host side makes while init is at work |
//! | `launch/session.rs` | the conversation with init ([`orlop_program::message`] has its diagram) |
//! | `launch/affinity.rs` | the CPUs that we run on meanwhile |
//! | `launch/blame.rs` | a failing step, in words |

mod affinity;
mod beside;
mod blame;
mod fill;
mod network;
mod session;

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use orlop_cgroups::Cgroup;
use orlop_compile::{Compiled, Join, Launch, Origin, SchedulerAttributes, rlimit_name};
use orlop_program::Slot;
use orlop_sys::spawn::{self, Failure, Spawn};
use orlop_sys::{Fd, cred, process, sched, socket};

use crate::error::{Doing, Error, Result};
use crate::held::Stdio;
use crate::rdt::RdtGroup;
use crate::state::Unit;
use crate::trace::Trace;
use crate::{idmap, image, netdev};
use affinity::Apart;
use fill::Filler;

pub(crate) use beside::make_beside;
pub(crate) use blame::Words;
pub(crate) use fill::map_ids;
pub(crate) use network::NewNetwork;
pub(crate) use session::{Event, Session, hear, say_the_word};

/// What to launch, besides the program.
pub(crate) struct Request<'a> {
    /// The program.
    pub(crate) compiled: &'a Compiled,
    /// The cgroup to start it in.
    pub(crate) home: Home<'a>,
    /// Which share of caches it has.
    pub(crate) rdt: Option<&'a RdtGroup>,
    /// The socket at which a created container waits.
    pub(crate) start: Option<OwnedFd>,
    /// The process whose namespaces to join, and which (`CLONE_NEW…`).
    pub(crate) join: Option<(&'a OwnedFd, i32)>,
    /// Where init receives new namespaces that are made beside, and which (`CLONE_NEW…`): it is not born in those.
    pub(crate) network: Option<(OwnedFd, i32)>,
    /// Descriptors to pass on, besides those that the program names.
    pub(crate) pass: Vec<(Slot, OwnedFd)>,
    /// What becomes its standard input, output and error, instead of ours.
    pub(crate) stdio: Option<&'a Stdio>,
    /// The caller has every right on this host.
    pub(crate) privileged: bool,
    /// The words for what fails.
    pub(crate) words: Words<'a>,
    /// When each step begins and ends, if somebody wants to know.
    pub(crate) trace: Option<&'a Trace>,
}

/// Which cgroup a process is started in.
pub(crate) enum Home<'a> {
    /// This one, or the caller's if there is none. If the caller may not put processes there, the unit that systemd has made
    /// it for says who may.
    Cgroup(Option<&'a Cgroup>, Option<&'a Unit>),
    /// One that is made around the process while it waits.
    Around(&'a dyn Fn(i32) -> Result<()>),
}

impl<'a> Home<'a> {
    /// The directory to be born in.
    fn directory(&self) -> Option<Fd> {
        match self {
            Self::Cgroup(cgroup, _) => cgroup.map(|cgroup| Fd::from(cgroup.fd())),
            Self::Around(_) => None,
        }
    }

    /// What has to be done while the process waits, if anything.
    fn around(&self) -> Option<&'a dyn Fn(i32) -> Result<()>> {
        if let Self::Around(around) = self { Some(*around) } else { None }
    }

    /// The cgroup with version 1 hierarchies, in which nobody can be born.
    fn with_v1(&self) -> Option<&'a Cgroup> {
        if let Self::Cgroup(cgroup, _) = self { cgroup.filter(|c| !c.location().v1.is_empty()) } else { None }
    }
}

/// Starts init; it begins with the program at once.
///
/// # Errors
///
/// [`Error::Kernel`], with the place in the config that asked for what could not be had. Nothing is left behind.
pub(crate) fn launch(request: Request<'_>) -> Result<Session<'_>> {
    let launch = &request.compiled.launch;
    launch.filter.iter().for_each(|filter| tracing::debug!("seccomp filter flags: {}", filter.flags));
    let (host, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .doing(|| "make a socket pair".to_owned())?;
    let mut slots = vec![(Slot::HOST, theirs)];
    slots.extend(request.start.map(|listener| (Slot::START, listener)));
    let made_beside = request.network.as_ref().map_or(0, |(_, kinds)| *kinds as u64);
    slots.extend(request.network.map(|(socket, _)| (Slot::NETWORK, socket)));
    slots.extend(request.pass);
    if let Some(trace) = request.trace {
        let memory = trace.memory(request.compiled.program.infos().len())?;
        slots.extend(memory.map(|memory| (Slot::TRACE, memory)));
    }
    let mut filler = Filler::new();
    for fill in &launch.fills {
        slots.push((fill.slot, filler.open(fill)?));
    }
    let namespaces = launch.joins.iter().map(open_namespace).collect::<Result<Vec<_>>>()?;
    let living = request.join.map(|(pidfd, kinds)| spawn::Join { fd: Fd::of(pidfd), kinds });
    let named = namespaces.iter().zip(&launch.joins);
    let named = named.map(|(fd, join)| spawn::Join { fd: Fd::of(fd), kinds: join.flag });
    let mut joins: Vec<_> = named.chain(living).collect();
    // Who may trace processes there is not to find ours among them, before it is init. In a user namespace nobody has rights
    // over what is the host's.
    let birth = if launch.become_root { None } else { take_pid_namespace(&mut joins) };

    let mut given: Vec<(Slot, Fd)> = slots.iter().map(|(slot, fd)| (*slot, Fd::of(fd))).collect();
    given.extend(birth.map(|namespace| (Slot::BIRTH, namespace)));
    let image = machine(request.compiled, &given)?;
    let keep: Vec<Fd> = given.iter().map(|(_, fd)| *fd).collect();
    let spawn = Spawn {
        namespaces: launch.namespaces & !made_beside,
        joins: &joins,
        cgroup: request.home.directory(),
        become_root: launch.become_root,
        exe: image.fd(),
        argv: &[c"orlop-init"],
        keep: &keep,
        stdio: request.stdio.map(|stdio| stdio.each().map(Fd::of)),
    };
    let before = Before {
        compiled: request.compiled,
        home: &request.home,
        rdt: request.rdt,
        privileged: request.privileged,
        network: network(&launch.joins, &namespaces),
    };
    // Milestones have runc's names, for those who know its debug log.
    tracing::debug!(namespaces = launch.namespaces, joins = joins.len(), "nsexec container setup");
    // Of one that is yet to be born, only that tells who it is.
    let ask = birth.map_or(Ok(()), |_| socket::tell_senders(Fd::of(&host), true));
    ask.doing(|| "ask who speaks for init".to_owned())?;
    // Who adds a process has nothing else to do then.
    let apart = if request.join.is_none() { Apart::new() } else { None };
    let child = before.run_where_allowed(&spawn)?;
    let apart = apart.zip(child.cpu).and_then(|(apart, cpu)| apart.leave(cpu));
    // Who waits for the end of the socket is not to wait for us.
    drop(slots);
    tracing::debug!(pid = child.pid, "child process in init()");
    let mut session = Session::new(child, host, request.words, birth.is_some(), apart);
    // Only who adds a process can do without knowing at once which it is.
    if request.join.is_none() {
        session.birth()?;
    }
    if let Some(value) = launch.oom_score_adj {
        score(&mut session, value)?;
    }
    Ok(session)
}

/// The file that init starts from: the machine, the program, and the numbers of the descriptors in its slots.
fn machine(compiled: &Compiled, given: &[(Slot, Fd)]) -> Result<orlop_sys::OwnedFd> {
    // For whoever looks in the log for how runc keeps its own file out of containers.
    tracing::debug!(
        "init is a sealed file in memory, with nothing of this program in it: \
        neither \"runc exeseal: using /proc/self/exe clone\" \
        nor \"runc exeseal: using overlayfs for sealed /proc/self/exe\" is needed"
    );
    let numbers: Vec<(Slot, i32)> = given.iter().map(|(slot, fd)| (*slot, fd.raw())).collect();
    image::make(&compiled.program, &numbers)
        .doing(|| "make the container's init in memory".to_owned())
        .map_err(|e| e.with_hint("the sysctl vm.memfd_noexec must be less than 2"))
}

/// Takes the PID namespace out of the joins, by its descriptor or that of a process in it: init is to be born there.
fn take_pid_namespace(joins: &mut [spawn::Join]) -> Option<Fd> {
    let join = joins.iter_mut().find(|join| join.kinds & libc::CLONE_NEWPID != 0)?;
    let namespace = join.fd;
    join.kinds &= !libc::CLONE_NEWPID;
    Some(namespace)
}

/// The network namespace, if one is among those that are joined.
fn network<'a>(joins: &[Join], namespaces: &'a [OwnedFd]) -> Option<&'a OwnedFd> {
    let of_network = |(join, _): &(&Join, &OwnedFd)| join.flag == libc::CLONE_NEWNET;
    joins.iter().zip(namespaces).find(of_network).map(|(_, namespace)| namespace)
}

/// What only the host side can do to the new process, before init runs.
struct Before<'a> {
    compiled: &'a Compiled,
    home: &'a Home<'a>,
    rdt: Option<&'a RdtGroup>,
    privileged: bool,
    /// The network namespace that it joins, if it does.
    network: Option<&'a OwnedFd>,
}

impl Before<'_> {
    /// Starts init in its cgroup, or has it put there.
    fn run_where_allowed(&self, spawn: &Spawn<'_>) -> Result<spawn::Child> {
        match (self.run(spawn), self.home) {
            // A user's own systemd may where the user may not: it asks the host's.
            (Err(e), Home::Cgroup(Some(cgroup), Some(unit))) if e.errno() == Some(libc::EACCES) => {
                let attach = |pid| unit.attach(pid, cgroup);
                let around = Before { home: &Home::Around(&attach), ..*self };
                around.run(&Spawn { cgroup: None, ..*spawn })
            }
            (child, _) => child,
        }
    }

    /// Starts init, and does it.
    fn run(&self, spawn: &Spawn<'_>) -> Result<spawn::Child> {
        let launch = &self.compiled.launch;
        // The new process may be among the container's before it has left our memory: those must not look into it, nor take
        // its descriptors (CVE-2016-9962). Only an unprivileged caller who is about to write id maps needs to own the
        // process's files in /proc; then its user namespace is new, and nobody else has rights over it.
        cred::set_dumpable(launch.id_maps.is_some() && !self.privileged)
            .doing(|| "keep others from looking into this process".to_owned())?;
        let _ours = launch.initial_cpus.as_deref().map(affinity::Borrowed::new).transpose()?;
        let mut trouble = None;
        let mut before = |pid: i32| {
            self.prepare(pid).map_err(|e| {
                trouble = Some(e);
            })
        };
        let started = spawn.run(if self.is_needed() { Some(&mut before) } else { None });
        started.map_err(|failure| trouble.unwrap_or_else(|| explain(failure, self.compiled)))
    }

    /// Whether the new process has to wait for us.
    fn is_needed(&self) -> bool {
        let launch = &self.compiled.launch;
        launch.id_maps.is_some()
            || launch.joined_id_maps.is_some()
            || self.home.with_v1().is_some()
            || self.home.around().is_some()
            || self.rdt.is_some()
            || !launch.raise_limits.is_empty()
            || launch.scheduler.is_some()
            || launch.io_priority.is_some()
            || !launch.net_devices.is_empty()
    }

    /// While the new process waits.
    fn prepare(&self, pid: i32) -> Result<()> {
        let launch = &self.compiled.launch;
        self.home.with_v1().map_or(Ok(()), |cgroup| cgroup.attach_v1(pid))?;
        self.home.around().map_or(Ok(()), |around| around(pid))?;
        self.rdt.map_or(Ok(()), |group| group.attach(pid))?;
        for (resource, hard) in &launch.raise_limits {
            process::set_limit(pid, *resource, *hard, *hard)
                .doing(|| format!("raise the hard limit of {} to {hard}", rlimit_name(*resource)))
                .map_err(|e| {
                    e.at("/process/rlimits").with_hint("raising a hard limit needs CAP_SYS_RESOURCE")
                })?;
        }
        schedule(pid, launch)?;
        launch.joined_id_maps.as_ref().map_or(Ok(()), |maps| idmap::compare(pid, maps))?;
        launch.id_maps.as_ref().map_or(Ok(()), |maps| idmap::write(pid, maps))?;
        netdev::move_all(&launch.net_devices, pid, self.network)
    }
}

/// What init may not do itself in another user namespace.
fn schedule(pid: i32, launch: &Launch) -> Result<()> {
    if let Some(value) = launch.io_priority {
        sched::set_io_priority(pid, value)
            .doing(|| "set the I/O priority".to_owned())
            .map_err(|e| e.at("/process/ioPriority"))?;
    }
    if let Some(SchedulerAttributes { policy, flags, nice, priority, runtime, deadline, period }) =
        launch.scheduler
    {
        let attributes = sched::Attributes { policy, flags, nice, priority, runtime, deadline, period };
        sched::set_scheduler(pid, &attributes).doing(|| "set the scheduling policy".to_owned()).map_err(
            |e| {
                let hint = blame::scheduler_hint(e.errno().unwrap_or_default());
                let e = e.at("/process/scheduler");
                if let Some(hint) = hint { e.with_hint(hint) } else { e }
            },
        )?;
    }
    Ok(())
}

/// Sets the OOM score of a process that runs init, which waits for the word that follows. Not before: until then it has our
/// memory, the kernel gives processes that share one the same score, and the file is not ours, as nobody may look into it.
fn score(session: &mut Session<'_>, value: i32) -> Result<()> {
    // Exec wakes us before the new memory is in place; init's own word comes after.
    while !matches!(session.next()?, Event::Begin) {}
    let path = format!("/proc/{}/oom_score_adj", session.pid());
    std::fs::write(&path, value.to_string()).doing(|| format!("write {value} to {path}")).map_err(|e| {
        e.at("/process/oomScoreAdj")
            .with_hint("lowering the OOM score below the caller's own takes CAP_SYS_RESOURCE")
    })?;
    session.proceed()
}

fn explain(failure: Failure, compiled: &Compiled) -> Error {
    let kernel = |doing: String, e: orlop_sys::Error| Error::Kernel {
        doing,
        answer: e.into(),
        pointer: None,
        hint: None,
    };
    match failure {
        Failure::Join(index, e) => match compiled.launch.joins.get(index) {
            Some(join) => {
                let doing = format!("join the {} namespace {}", join.kind, join.path.display());
                at(kernel(doing, e), &join.origin)
            }
            None => kernel("join the container's namespaces".to_owned(), e),
        },
        Failure::Call(e) if e.errno() == libc::EACCES && compiled.launch.cgroup.is_some() => {
            let doing = "start the container process in its cgroup, into which only who may write to the cgroup.procs of the \
                         nearest cgroup above both it and ours can move";
            kernel(doing.to_owned(), e).at("/linux/cgroupsPath")
        }
        Failure::Call(e) => {
            let error = kernel("start the container process".to_owned(), e);
            match e.errno() {
                libc::EPERM => error.with_hint("new namespaces need root, or a user namespace in the config"),
                libc::ENOSPC => error.with_hint("a limit in /proc/sys/user/max_*_namespaces is reached"),
                libc::EBUSY => {
                    error.with_hint("the cgroup has children with controllers, so no process may be in it")
                }
                _ => error,
            }
        }
        Failure::Maps => kernel(
            "prepare the container process".to_owned(),
            orlop_sys::Error::of(libc::SYS_write, libc::EIO),
        ),
    }
}

/// Opens a namespace to join. That it is of the right kind, setns(2) checks.
fn open_namespace(join: &Join) -> Result<OwnedFd> {
    let file = std::fs::File::open(&join.path)
        .doing(|| format!("open the {} namespace {}", join.kind, join.path.display()))
        .map_err(|e| at(e, &join.origin))?;
    if let Some(origin) = &join.must_differ {
        let own = format!("/proc/self/ns/{}", namespace_file(join));
        let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| {
            use std::os::unix::fs::MetadataExt as _;
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        let ours = std::fs::metadata(&own).doing(|| format!("look at {own}"))?;
        if same(&ours, &file.metadata().doing(|| format!("look at {}", join.path.display()))?) {
            let what = format!("the {} namespace {} is the host's own", join.kind, join.path.display());
            let pointer = origin.pointer().map(ToString::to_string).unwrap_or_default();
            return Err(Error::usage(format!("{pointer}: {what}, so this would change the host")));
        }
    }
    Ok(file.into())
}

const fn namespace_file(join: &Join) -> &'static str {
    match join.flag {
        libc::CLONE_NEWNET => "net",
        libc::CLONE_NEWIPC => "ipc",
        libc::CLONE_NEWUTS => "uts",
        libc::CLONE_NEWUSER => "user",
        libc::CLONE_NEWPID => "pid",
        libc::CLONE_NEWCGROUP => "cgroup",
        libc::CLONE_NEWTIME => "time",
        _ => "mnt",
    }
}

/// The same error, with the place that asked for it.
fn at(e: Error, origin: &Origin) -> Error {
    match origin.pointer() {
        Some(pointer) => e.at(pointer.to_string()),
        None => e,
    }
}
