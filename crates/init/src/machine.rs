//! The loop over the steps, and the table that says which function does which.

use crate::report::{self, Fault};
use crate::trace::Trace;
use crate::{
    birth, console, copy, devices, exec, home, identity, labels, landlock, mounts, network, overlay, paths,
    procfs, root, scheduling, stay, time,
};
use core::ffi::CStr;
use orlop_program::message::{BEFORE, Message, Point};
use orlop_program::{Malformed, Program, Slot, Step};
use orlop_sys::mount::Attributes;
use orlop_sys::{Error, Fd, OwnedFd, file, process, sched, seccomp};

/// What a step returns.
pub type Outcome = Result<(), Fault>;

/// The state of the machine: descriptors, and the few things that one step finds out for a later one.
pub struct Machine<'a> {
    slots: [Option<OwnedFd>; Slot::COUNT],
    /// The file that `Locate` found.
    pub(crate) executable: Option<&'a CStr>,
    /// What `Home` found, as `HOME=…` with a NUL.
    pub(crate) home: home::Home,
    /// An empty read-only directory that hides others, once one was mounted.
    pub(crate) empty_dir: Option<OwnedFd>,
    /// The tree as the host left it is shared, so what we mount next to has to be made private first.
    pub(crate) host_is_shared: bool,
    /// We are still in the host's mount namespace, and copies of its mounts take this propagation.
    pub(crate) among_hosts: Option<u64>,
    /// Something of ours lies over the host's root itself.
    pub(crate) host_is_covered: bool,
    /// The working directory was entered.
    pub(crate) in_cwd: bool,
}

impl<'a> Machine<'a> {
    /// A machine with these descriptors. `own` takes ownership of a slot's descriptor.
    pub fn new(program: &Program<'a>, own: impl Fn(i32) -> OwnedFd) -> Self {
        let mut machine = Self {
            slots: [const { None }; Slot::COUNT],
            executable: None,
            home: home::Home::NONE,
            empty_dir: None,
            host_is_shared: false,
            among_hosts: None,
            host_is_covered: false,
            in_cwd: false,
        };
        for (slot, number) in program.slots.iter() {
            machine.keep(slot, own(number));
        }
        machine
    }

    /// Runs the program. The last step never returns; a program that ends otherwise is a failure.
    pub fn run(&mut self, program: &Program<'a>) -> ! {
        let memory = self.take(Slot::TRACE);
        let trace = match birth::enter(self).and_then(|()| Trace::begin(memory)) {
            Ok(trace) => trace,
            Err(fault) => report::give_up(self.host(), BEFORE, &fault),
        };
        let mut index = 0;
        for step in program.steps {
            trace.mark(index);
            if let Err(fault) = step.map_err(malformed).and_then(|step| self.step(&step)) {
                report::give_up(self.host(), index, &fault);
            }
            index += 1;
        }
        report::give_up(self.host(), index, &malformed(Malformed))
    }

    /// The descriptor in a slot. An empty slot is a mistake of the compiler's and fails like a closed descriptor.
    pub fn slot(&self, slot: Slot) -> Fd {
        let fd = self.slots.get(usize::from(slot.0)).and_then(Option::as_ref);
        fd.map_or(Fd::from_raw(-1), OwnedFd::fd)
    }

    /// Puts a descriptor into a slot; what was there is closed.
    pub fn keep(&mut self, slot: Slot, fd: OwnedFd) {
        if let Some(place) = self.slots.get_mut(usize::from(slot.0)) {
            *place = Some(fd);
        }
    }

    /// Whether there is a descriptor in a slot.
    pub fn has(&self, slot: Slot) -> bool {
        self.slots.get(usize::from(slot.0)).is_some_and(Option::is_some)
    }

    /// Takes the descriptor out of a slot.
    pub fn take(&mut self, slot: Slot) -> Option<OwnedFd> {
        self.slots.get_mut(usize::from(slot.0)).and_then(Option::take)
    }

    /// The container's root.
    pub fn root(&self) -> Fd {
        self.slot(Slot::ROOT)
    }

    fn host(&self) -> Option<Fd> {
        self.has(Slot::HOST).then(|| self.slot(Slot::HOST))
    }

    #[inline(never)] // as a part of the loop it would be larger, too
    #[allow(clippy::too_many_lines)] // one line for each step: this is the table
    fn step(&mut self, step: &Step<'a>) -> Outcome {
        match *step {
            Step::NewSession {} => new_session(),
            Step::SessionKeyring {} => identity::session_keyring(),
            Step::Unshare { kinds } => Ok(process::unshare(kinds as i32)?),
            Step::Redirect { from, to } => Ok(file::dup_to_standard(self.slot(from), to.into())?),
            Step::Network {} => network::enter(self),

            Step::HostPropagation { propagation, recursive } => {
                root::host_propagation(self, propagation, recursive)
            }
            Step::BindRoot { source, at } => root::bind(self, source, at.c_str()),
            Step::DetachedRoot { source, propagation } => root::detached(self, source, propagation),
            Step::OverlayRoot { lowers, upper, at, options, user_attributes } => {
                overlay::root(self, lowers, upper, at.c_str(), (options, user_attributes))
            }
            Step::UseRoot {} => root::use_current(self),
            Step::Chroot {} => root::change(self),
            Step::Device { dir: Slot::BESIDE, .. } | Step::Symlink { dir: Slot::BESIDE, .. } => Ok(()),
            Step::Mount { fstype, options, attributes, target, real, keep, id_map, like, beside } => {
                let made = if beside {
                    mounts::received(self)?
                } else {
                    mounts::fresh(self, fstype, options, attributes, like)?
                };
                if let Some(by) = id_map {
                    mounts::map_ids(self, &made, by, false)?;
                }
                mounts::attach(self, made, mounts::Target { path: target, real }, keep)
            }
            Step::Bind {
                source,
                recursive,
                set,
                clear,
                set_all,
                clear_all,
                propagation,
                propagation_all,
                target,
            } => {
                let own = Attributes { set, clear, propagation, userns: 0 };
                let all =
                    Attributes { set: set_all, clear: clear_all, propagation: propagation_all, userns: 0 };
                mounts::bind(self, source, recursive, (own, all), target)
            }
            Step::Propagation { target, propagation, recursive } => {
                mounts::propagation(self, target, propagation, recursive)
            }
            Step::MountAttributes { target, set, clear } => mounts::attributes(self, target, set, clear),
            Step::OpenCovered { path, slot } => copy::open_covered(self, path, slot),
            Step::TakeOver { from, target, owner } => copy::take_over(self, from, target, owner),
            Step::Unmount { target } => mounts::unmount(self, target),
            Step::PrivateProc {} => procfs::private(self),
            Step::OpenDir { path, slot } => devices::open_dir(self, path, slot),
            Step::Device { dir, name, mode, device, uid, gid } => {
                devices::node(self.slot(dir), name.c_str(), &devices::Node { mode, device, uid, gid })
            }
            Step::BindDevice { dir, name, source, mode, device } => {
                devices::bind(self, dir, name.c_str(), source, mode, device)
            }
            Step::Symlink { dir, name, target, replace } => {
                devices::symlink(self.slot(dir), name.c_str(), target.c_str(), replace)
            }
            Step::MakeDir { path } => {
                Ok(crate::target::directory(self.root(), path.bytes(), 0o755).map(drop)?)
            }

            Step::Sync { point } => self.sync(point),
            Step::Tell { point } => self.tell(point),
            Step::AwaitWord {} | Step::AwaitBeside {} => wait_for_word(self.slot(Slot::HOST)),
            Step::PivotRoot { detach } => root::pivot(self, detach),
            Step::EnterRoot { proc } => root::enter(self, proc),
            Step::MoveRoot { views } => root::move_over(self, views),
            Step::RootAttributes { set, propagation } => root::attributes(self, set, propagation),
            Step::Console { size, mount, uid } => console::make(self, size, mount, uid),
            Step::OwnStdio { uid } => console::own_stdio(self.root(), uid),
            Step::Hostname { name } => Ok(process::sethostname(name.bytes())?),
            Step::Domainname { name } => Ok(process::setdomainname(name.bytes())?),
            Step::Sysctl { path, value } => procfs::sysctl(self, path, value),
            Step::ReadonlyPath { path, within } => paths::read_only(self, path.c_str(), within),
            Step::MaskPath { path, within } => paths::mask(self, path.c_str(), within),

            Step::OomScoreAdj { value } => procfs::oom_score_adj(self, value),
            Step::Rlimit { resource, soft, hard } => Ok(process::set_limit(0, resource, soft, hard)?),
            Step::NoNewPrivileges {} => Ok(orlop_sys::cred::set_no_new_privileges()?),
            Step::Seccomp { flags, filter } => self.seccomp(flags, filter),
            Step::BoundingSet { keep } => identity::bounding_set(keep),
            Step::DropGroups {} => identity::drop_groups(),
            Step::Identity { uid, gid, groups, umask } => identity::become_user(uid, gid, groups, umask),
            Step::Capabilities { effective, permitted, inheritable, ambient } => {
                let sets = orlop_sys::cred::CapabilitySets { effective, permitted, inheritable };
                identity::capabilities(sets, ambient)
            }
            Step::Cwd { path, last } => identity::working_directory(self, path.c_str(), last),
            Step::Home { uid } => home::find(self, uid),
            Step::Locate { candidates } => exec::locate(self, candidates),
            Step::AwaitStart {} => exec::await_start(self),
            Step::CloseFrom { first } => self.close_from(first),
            Step::Stay { terminal, subreaper } => stay::stay(self, terminal, subreaper),
            Step::Exec { args, env } => exec::exec(self, args, env),

            Step::TimeNamespace { proc, offsets } => time::enter(self, proc, offsets.bytes()),
            Step::Affinity { cpus } => scheduling::affinity(cpus),
            Step::Scheduler { policy, flags, nice, priority, runtime, deadline, period } => {
                let attributes =
                    sched::Attributes { policy, flags, nice, priority, runtime, deadline, period };
                Ok(sched::set_scheduler(0, &attributes)?)
            }
            Step::IoPriority { value } => Ok(sched::set_io_priority(0, value)?),
            Step::Personality { domain } => Ok(sched::set_personality(domain)?),
            Step::MemoryPolicy { mode, nodes } => Ok(sched::set_memory_policy(mode, nodes)?),
            Step::AppArmorProfile { profile } => labels::apparmor_on_exec(self, profile),
            Step::ExecLabel { label } => labels::on_exec(self, label),
            Step::KeyLabel { label } => labels::of_keys(self, label),
            Step::FileLabel { target, label } => labels::of_mount(self, target, label),
            Step::Ruleset { files, network, scoped } => {
                landlock::make(self, orlop_sys::landlock::Handled { files, network, scoped })
            }
            Step::AllowPath { path, files } => landlock::allow_path(self, path, files),
            Step::AllowPort { port, network } => {
                Ok(orlop_sys::landlock::allow_port(self.slot(Slot::RULESET), port, network)?)
            }
            Step::Restrict {} => landlock::restrict(self),
            Step::MaskLabel { label } => paths::label_masks(self, label),
        }
    }

    /// Lets go of what was leaked to us at once, as a created container may wait for long; and of our own with exec.
    fn close_from(&self, first: u32) -> Outcome {
        let own = self.slots.iter().flatten().chain(&self.empty_dir).map(OwnedFd::fd);
        file::close_unknown(first, &own)?;
        Ok(file::close_on_exec_from(first)?)
    }

    /// Closes all descriptors.
    pub(crate) fn let_go(&mut self) {
        self.empty_dir = None;
        self.slots = [const { None }; Slot::COUNT];
    }

    /// Closes all descriptors but the sockets. Whoever waits for long should hold nothing.
    fn keep_sockets_only(&mut self) {
        self.empty_dir = None;
        let sockets = [Slot::HOST, Slot::START].map(|slot| usize::from(slot.0));
        for (_, slot) in self.slots.iter_mut().enumerate().filter(|(number, _)| !sockets.contains(number)) {
            *slot = None;
        }
    }

    /// Tells the host side that a point is reached, and waits for its word. A host side that is gone ends us: what it
    /// had to do was not done.
    fn sync(&mut self, point: u8) -> Outcome {
        if point == Point::Ready as u8 {
            exec::end_by_signals()?;
            // Before anybody hears of a created container, so that nobody finds one that still holds something.
            if self.has(Slot::START) {
                self.keep_sockets_only();
            }
        }
        self.tell(point)?;
        wait_for_word(self.slot(Slot::HOST))
    }

    /// Tells the host side that a point is reached.
    fn tell(&self, point: u8) -> Outcome {
        let point = Point::from_number(point).ok_or(Malformed).map_err(malformed)?;
        Ok(report::send(self.slot(Slot::HOST), &Message::Reached(point), None)?)
    }

    fn seccomp(&self, flags: u64, filter: &[u8]) -> Outcome {
        let Some(listener) = seccomp::set_filter(filter, flags)? else { return Ok(()) };
        // By its number, not with sendmsg(2), which the filter may deny or leave to the agent: whoever hears of it takes it
        // out of this process. Only write(2) cannot be left to the agent.
        let host = self.slot(Slot::HOST);
        report::send(host, &Message::SeccompListener(listener.fd().raw()), None)?;
        wait_for_word(host)
    }
}

/// Blocks until the other side sends its byte. End of file means that it went away without a word.
pub(crate) fn wait_for_word(socket: Fd) -> Outcome {
    let mut byte = [0];
    if file::read(socket, &mut byte)? == 0 {
        process::exit(1);
    }
    Ok(())
}

fn new_session() -> Outcome {
    process::default_signals()?;
    process::unblock_signals()?;
    // EPERM: we are the first process of a PID namespace and lead our group already.
    match process::setsid() {
        Err(e) if !e.is(libc::EPERM) => Err(e.into()),
        _ => Ok(()),
    }
}

/// Bytes that are no program: nothing to blame but ourselves.
fn malformed(_: Malformed) -> Fault {
    Error::of(libc::SYS_mmap, libc::EBADMSG).into()
}
