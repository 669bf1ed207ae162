//! Hooks: the host side runs them, the program only waits. Those in the container are programs of their own.

use crate::compiler::{Compiler, bytes};
use crate::{Code, Compiled, Diagnostics, HookOptions, HookTime, Host, Origin};
use orlop_program::Step;
use orlop_program::message::Point;
use orlop_program::wire::{List, Str};
use orlop_spec::{Hook, Linux, Pointer, Spec};
use std::path::Path;

const HOOK: Origin = Origin::Spec("config.md#posix-platform-hooks");

/// Compiles a hook that runs in the container. The launcher has joined the container's namespaces and cgroup already.
///
/// # Errors
///
/// What is wrong with the hook, or with the filter of the config.
pub fn compile_hook(
    spec: &Spec,
    hook: &Hook,
    host: &Host,
    options: &HookOptions<'_>,
) -> Result<Compiled, Diagnostics> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let mut compiler = Compiler::new(spec, linux, host, options.id, Path::new("/"));
    compiler.read_namespaces();
    compiler.launch.become_root = compiler.in_user_namespace();
    compiler.hook_process(hook, options);
    compiler.finish()
}

impl Compiler<'_> {
    fn hook_process(&mut self, hook: &Hook, options: &HookOptions<'_>) {
        self.step(Step::NewSession {}, HOOK, "The caller's terminal and signals stay the caller's.");
        for (to, from) in (0..).zip(options.streams) {
            self.step(
                Step::Redirect { from, to },
                HOOK,
                "The state comes in, and what the hook says goes out.",
            );
        }
        let path = [Str::from(&hook.path)];
        let mut env: Vec<Str<'_>> = hook.env.iter().map(Str::from).collect();
        let mut filter = None;
        let starting = matches!(options.when, HookTime::Starting);
        if let HookTime::Creating(root) = options.when {
            let path = bytes(root).into();
            self.step(
                Step::Cwd { path, last: true },
                HOOK,
                "Paths without a slash are the container's (as with runc).",
            );
        }
        if let Some(process) = self.spec.process.as_ref().filter(|_| starting) {
            self.enter_root();
            // Right before the container's program, a hook finds what the program will find (as with runc).
            if env.is_empty() {
                let (of_process, has_home) = self.environment(process);
                env = of_process;
                self.step(Step::UseRoot {}, HOOK, "Paths are looked up in the container.");
                self.home(process, has_home);
            }
            filter = self.filter();
        }
        self.step(Step::Locate { candidates: List::from(&path[..]) }, HOOK, "A missing hook is an error.");
        self.step(Step::CloseFrom { first: 3 }, HOOK, "No descriptor of ours may reach the hook.");
        self.load_filter(filter, "The container's system calls are filtered from here on.");
        let args: Vec<Str<'_>> =
            if hook.args.is_empty() { path.to_vec() } else { hook.args.iter().map(Str::from).collect() };
        let step = Step::Exec { args: List::from(&args[..]), env: List::from(&env[..]) };
        self.step(step, HOOK, "The hook takes over this process.");
    }
}

impl<'a> Compiler<'a> {
    /// Every list of hooks: its place, the place of an entry, the hooks.
    fn hook_lists(&self) -> [(&'static str, &'static str, &'a [Hook]); 6] {
        let hooks = &self.spec.hooks;
        [
            ("/hooks/prestart", "/hooks/prestart/{}", &hooks.prestart),
            ("/hooks/createRuntime", "/hooks/createRuntime/{}", &hooks.create_runtime),
            ("/hooks/createContainer", "/hooks/createContainer/{}", &hooks.create_container),
            ("/hooks/startContainer", "/hooks/startContainer/{}", &hooks.start_container),
            ("/hooks/poststart", "/hooks/poststart/{}", &hooks.poststart),
            ("/hooks/poststop", "/hooks/poststop/{}", &hooks.poststop),
        ]
    }

    /// Checks all hooks, and waits for those that run while the container is made.
    pub(crate) fn hooks(&mut self) {
        let lists = self.hook_lists();
        for (_, entry, hooks) in lists {
            for (index, hook) in hooks.iter().enumerate() {
                self.hook(hook, &Pointer::new(entry).at(index));
            }
        }
        if !self.spec.hooks.prestart.is_empty() {
            let message = "prestart hooks are deprecated; they run as createRuntime hooks do";
            self.warn(Code::Deprecated, Pointer::new("/hooks/prestart"), message);
        }
        if let Some((list, _, _)) = lists[..3].iter().find(|(_, _, hooks)| !hooks.is_empty()) {
            self.launch.sync_hooks = true;
            let why = "Hooks see the finished mounts and still reach the host's files.";
            self.sync(Point::Hooks, Pointer::new(list), why);
        } else if let Some((_, pointer)) = self.launch.delegate.clone() {
            self.launch.sync_hooks = true;
            let why =
                "The cgroup namespace is made; now the process leaves its root for a cgroup of its own.";
            self.sync(Point::Hooks, pointer, why);
        }
    }

    fn hook(&mut self, hook: &Hook, pointer: &Pointer) {
        if !hook.path.starts_with('/') {
            let message = format!("the path {:?} of the hook is not absolute", hook.path);
            self.error(Code::Hook, pointer.clone(), message);
        }
        if let Some(timeout) = hook.timeout.filter(|timeout| *timeout <= 0) {
            let message = format!("a hook's timeout must be more than 0 seconds, not {timeout}");
            self.error(Code::Hook, pointer.clone(), message).hint("leave it out to wait for ever");
        }
        for text in std::iter::once(&hook.path).chain(&hook.args).chain(&hook.env) {
            self.no_nul(text.as_bytes(), pointer);
        }
    }
}
