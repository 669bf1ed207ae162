//! A container, from the new process to its first program.
//!
//! The order is runc's, and it is not free: every comment says why a step comes before the next.

use crate::compiler::Compiler;
use crate::process::End;
use crate::{Compiled, Diagnostics, Host, Mode, Options};
use orlop_program::Step;
use orlop_program::message::Point;
use orlop_spec::{Linux, Process, Spec};

/// Compiles a config for `create` or `run`.
///
/// # Errors
///
/// Everything that is wrong with the config on this host.
pub fn compile(spec: &Spec, host: &Host, options: &Options<'_>) -> Result<Compiled, Diagnostics> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let mut compiler = Compiler::new(spec, linux, host, options.id, options.bundle);
    compiler.document();
    compiler.container(options);
    compiler.finish()
}

impl Compiler<'_> {
    fn container(&mut self, options: &Options<'_>) {
        // Who is in which namespace decides about nearly everything below.
        self.namespaces(options);
        self.mappings();
        self.net_devices();
        self.cgroup(options);
        self.intel_rdt();
        self.annotations();

        if let Some(process) = self.spec.process.as_ref().filter(|_| self.in_user_namespace()) {
            self.oom_score_by_host(process);
        }
        // A session of its own first: a terminal can only become the controlling one of its leader. The keyring belongs
        // to the session, and may hold keys of the caller until it is replaced.
        if let Some(process) = &self.spec.process {
            self.session(process, options.no_new_keyring);
        }
        // Before any mount: what a cgroup2 mount shows is decided by the namespace of who makes it.
        self.new_namespaces();

        // Cut off from the host before the first mount, so that none of them travels there.
        self.root(options);
        self.tell_of_root();
        // In the order of the config: later ones may lie on earlier ones.
        self.mounts();
        // After the mounts, as /dev is usually one of them.
        self.devices();
        // While the host's own, fully visible procfs is still there: in a user namespace the kernel demands one.
        self.private_proc();
        if let Some(process) = &self.spec.process {
            self.proc_for_labels(process);
        }
        // Everything is mounted, and the host's tree is still in reach: what hooks are promised.
        self.hooks();

        self.switch_root(options);
        // Once inside, and while the root is still writable: making a directory, and the place of /dev/console.
        self.make_cwd();
        self.terminal(true);
        // Nothing more is made in the root.
        self.read_only_root();
        self.names();
        // Before /proc/sys becomes read-only for everybody.
        self.sysctls();
        // A read-only path may lie above a masked one, and would cover it if it came second.
        self.read_only_paths();
        self.masked_paths();

        let Some(process) = &self.spec.process else { return };
        self.oom_score(process);
        let end = End {
            container: true,
            wait: options.mode == Mode::Create,
            listen_fds: options.listen_fds,
            preserve_fds: options.preserve_fds,
            stay: options.stay,
        };
        self.process(process, &end);
    }

    /// Leaves the caller's session and session keyring.
    pub(crate) fn session(&mut self, process: &Process, no_new_keyring: bool) {
        use crate::Origin::Rule;
        let why = "The caller's terminal and signals stay the caller's.";
        self.step(Step::NewSession {}, Rule("a container has a session of its own"), why);
        if !no_new_keyring {
            let why = "Keys in the caller's session keyring stay the caller's.";
            self.key_label(process, true);
            self.step(Step::SessionKeyring {}, Rule("a container has a keyring of its own"), why);
            self.key_label(process, false);
        }
    }

    /// Waits for the host side.
    pub(crate) fn sync(&mut self, point: Point, origin: impl Into<crate::Origin>, why: &'static str) {
        self.step(Step::Sync { point: point as u8 }, origin, why);
    }
}
