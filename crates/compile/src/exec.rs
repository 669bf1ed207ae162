//! A process that is added to a running container.
//!
//! The launcher has joined the container's namespaces and cgroup already, so the program is short.

use crate::compiler::Compiler;
use crate::process::End;
use crate::{Compiled, Diagnostics, ExecOptions, Host, Origin};
use orlop_program::Step;
use orlop_spec::{Linux, Process, Spec};
use std::path::Path;

/// Compiles a process for `exec`. `spec` is the container's own config, as it was created.
///
/// Places in diagnostics are given as if the process stood in a config, below `/process`.
///
/// # Errors
///
/// Everything that is wrong with the process.
pub fn compile_exec(
    spec: &Spec,
    process: &Process,
    host: &Host,
    options: &ExecOptions<'_>,
) -> Result<Compiled, Diagnostics> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let mut compiler = Compiler::new(spec, linux, host, options.id, Path::new("/"));
    compiler.kept_filter = options.filter;
    compiler.container_id();
    compiler.read_namespaces();
    compiler.added_process(process, options);
    compiler.finish()
}

impl Compiler<'_> {
    fn added_process(&mut self, process: &Process, options: &ExecOptions<'_>) {
        self.check_process_labels(process);
        self.launch.become_root = self.in_user_namespace();
        // The container's own score, if it has none (as with runc).
        let scored = if process.oom_score_adj.is_some() { Some(process) } else { self.spec.process.as_ref() };
        if let Some(process) = scored {
            self.oom_score_by_host(process);
        }
        self.session(process, options.no_new_keyring);
        self.proc_for_labels(process);
        self.enter_root();
        let origin = Origin::Rule("paths are looked up in the container");
        self.step(Step::UseRoot {}, origin, "The container's root is already ours.");
        self.terminal_of(process, false);
        let end = End {
            container: false,
            wait: false,
            listen_fds: 0,
            preserve_fds: options.preserve_fds,
            stay: false,
        };
        self.process(process, &end);
    }
}
