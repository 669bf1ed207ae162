//! From limits to exec: what the first process of a container and an added one have in common.

use crate::Origin;
use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_program::message::Point;
use orlop_program::wire::{List, Str};
use orlop_spec::{Namespace, NamespaceKind, Pointer, Process};

/// How a program ends.
pub(crate) struct End {
    /// It makes a container, rather than adding a process to one.
    pub(crate) container: bool,
    /// It waits to be started.
    pub(crate) wait: bool,
    /// Sockets that the process inherits, from descriptor 3 on.
    pub(crate) listen_fds: u32,
    /// Further descriptors that it inherits.
    pub(crate) preserve_fds: u32,
    /// Init stays as the first process.
    pub(crate) stay: bool,
}

impl Compiler<'_> {
    /// The last part of every program. Each step takes away something that a later one does not need.
    pub(crate) fn process(&mut self, process: &Process, end: &End) {
        let container = self.spec.process.as_ref();
        // An added process that says nothing about them has its container's (as with runc).
        let capabilities =
            process.capabilities.as_ref().or_else(|| container.and_then(|c| c.capabilities.as_ref()));
        let rlimits = container.filter(|_| process.rlimits.is_empty()).unwrap_or(process);
        let given = capabilities.is_some();
        let sets = self.capability_sets(capabilities);
        let filter = self.filter();
        let (mut env, has_home) = self.environment(process);

        self.rlimits(&rlimits.rlimits);
        self.cwd(process, false);
        self.home(process, has_home);
        // While this is still root, whom the files belong to.
        self.labels(process);
        let landlock = self.landlock_rules(process);
        // Before any filter, which need not know the call; what init opens from here on is close-on-exec from the start.
        let first = 3_u32.saturating_add(end.listen_fds).saturating_add(end.preserve_fds);
        let why = "No descriptor of ours, or leaked to us, may reach the program (CVE-2024-21626).";
        self.step(Step::CloseFrom { first }, Origin::Rule("only the descriptors that were asked for"), why);
        self.personality();
        self.memory_policy();
        self.scheduling(process, !end.container);
        if process.no_new_privileges {
            let why = "Before the filter: with it, loading one takes no privilege.";
            self.step(Step::NoNewPrivileges {}, Pointer::new("/process/noNewPrivileges"), why);
        }
        self.bounding_set(&sets, given);
        self.identity(&process.user, !end.container);
        self.capability_step(&sets, given, filter.is_some() && !process.no_new_privileges);
        self.cwd(process, true);
        self.locate(process);
        if landlock {
            self.landlock_restrict();
        }

        self.wait_for_start(end);
        let why = "As late as can be: what comes before needs no place in the profile.";
        self.load_filter(filter, why);
        if end.stay {
            self.stay(process);
        }
        let listen = format!("LISTEN_FDS={}", end.listen_fds);
        if end.listen_fds > 0 {
            env.push(Str::from(&listen));
            env.push(Str::from("LISTEN_PID=1"));
        }
        let args: Vec<Str<'_>> = process.args.iter().map(Str::from).collect();
        let step = Step::Exec { args: List::from(args.as_slice()), env: List::from(env.as_slice()) };
        self.step(step, Pointer::new("/process/args"), "The program takes over this process.");
    }

    /// Init stays, with the program as its child.
    fn stay(&mut self, process: &Process) {
        // Labels come with exec, and init does not execute anything: it would have none.
        if self.profile_of(process).is_some() {
            self.not_yet(
                Pointer::new("/process/apparmorProfile"),
                "an AppArmor profile together with --init",
            );
        }
        if !self.label_of(process).is_empty() {
            self.not_yet(Pointer::new("/process/selinuxLabel"), "an SELinux label together with --init");
        }
        let own = |n: &Namespace| n.kind == NamespaceKind::Pid && n.path.is_empty();
        let subreaper = !self.linux.namespaces.iter().any(own);
        let why =
            "Under the filter and as the user, so that the first process can do no more than the program.";
        let step = Step::Stay { terminal: process.terminal, subreaper };
        self.step(step, Origin::Rule("--init: orphans are waited for, signals handed on"), why);
    }

    /// Tells the host side that all is ready, and waits for `start`.
    fn wait_for_start(&mut self, end: &End) {
        const START: Origin = Origin::Spec("runtime.md, start");
        let start_hooks = end.container && !self.spec.hooks.start_container.is_empty();
        if end.wait {
            self.sync(
                Point::Ready,
                Origin::Spec("runtime.md, create"),
                "What could fail has been done: the container is created.",
            );
            self.step(Step::AwaitStart {}, START, "A created container waits for its start.");
        } else if start_hooks {
            let why = "Hooks run before the program does.";
            self.sync(Point::Ready, Pointer::new("/hooks/startContainer"), why);
        } else if end.container {
            let why = "Who hears from the program can find the container's state.";
            self.step(Step::AwaitWord {}, START, why);
        }
    }
}
