//! Hooks: the host side runs them, the program only waits.

use crate::Code;
use crate::compiler::Compiler;
use orlop_program::message::Point;
use orlop_spec::{Hook, Pointer};

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
