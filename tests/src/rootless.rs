//! A container in the hands of a user without privileges.
use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::spec::make_rootless;
use crate::unprivileged::{USER, Unprivileged};
use crate::{Container, Invocation};

/// The container, and what makes a command the user's.
#[derive(Debug)]
pub struct Rootless {
    /// The container; its own methods run the runtime as root.
    pub container: Container,
    wrapper: Vec<String>,
}

impl Rootless {
    /// A container that will run a shell script, as its root, under what `spec --rootless` gives the user and `change`s.
    pub fn new(script: &str, change: impl FnOnce(&mut Container)) -> Self {
        Self::of(script, change, |container| Unprivileged::new(container.home()))
    }

    /// The same of a user that is granted ids by this text of `/etc/subuid` and `/etc/subgid`.
    pub fn granted(ids: &str, script: &str, change: impl FnOnce(&mut Container)) -> Self {
        Self::of(script, change, |container| Unprivileged::granted(container.home(), ids))
    }

    fn of(
        script: &str,
        change: impl FnOnce(&mut Container),
        user: impl FnOnce(&Container) -> Unprivileged,
    ) -> Self {
        let mut container = Container::sh(script);
        make_rootless(&mut container.bundle.config, USER, USER);
        change(&mut container);
        container.bundle.save();
        let wrapper = user(&container).wrapper();
        Self { container, wrapper }
    }

    /// Whatever the user does is done by way of this command, such as `unshare -Ur`.
    #[must_use]
    pub fn inside(mut self, command: &[&str]) -> Self {
        self.wrapper.extend(command.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Whatever the user does is done in the cgroup with this `cgroup.procs`.
    #[must_use]
    pub fn in_cgroup(mut self, procs: &std::path::Path) -> Self {
        // Before the privileges go.
        let enter = format!("echo $$ >{}; exec \"$@\"", procs.display());
        let words = ["sh", "-ec", &enter, "sh"].map(str::to_owned);
        self.wrapper.splice(0..0, words);
        self
    }

    /// `run` in the foreground.
    pub fn run(&self) -> Invocation {
        self.with_bundle::<&str>("run", &[])
    }

    /// `create` or `run`, with flags.
    pub fn with_bundle<S: AsRef<OsStr>>(&self, command: &str, flags: &[S]) -> Invocation {
        self.container.with_bundle(command, flags).within(&self.wrapper)
    }

    /// `create`, which must succeed; the process is ours to wait for.
    #[track_caller]
    pub fn create(&self) {
        self.with_bundle("create", &[OsStr::new("--pid-file"), self.container.pid_file().as_os_str()]).ok();
        self.container.adopt();
    }

    /// `create` and `start`, which must succeed.
    #[track_caller]
    pub fn up(&self) {
        self.create();
        self.command("start", &[]).ok();
    }

    /// A command of the runtime on the container.
    pub fn command(&self, command: &str, flags: &[&str]) -> Invocation {
        self.container.command(command, flags).within(&self.wrapper)
    }

    /// The runtime with these global flags, then a command with the bundle: for what `--root` of the kit is in the way of.
    pub fn plain(&self, words: &[&str]) -> Invocation {
        Invocation::new(crate::runtime::binary(), &self.container.io())
            .env("ORLOP_TEST", &self.container.id)
            .args(words)
            .within(&self.wrapper)
    }

    /// What `state` says of the container's status.
    #[track_caller]
    pub fn status(&self) -> String {
        let out = self.command("state", &[]).ok();
        let state: Value =
            serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("state is no JSON ({e}): {out}"));
        state["status"].as_str().expect("a string").to_owned()
    }
}

/// Maps these ranges of (container id, host id, size), users and groups alike.
pub fn map(container: &mut Container, ranges: &[(u32, u32, u32)]) {
    let mappings: Vec<Value> = ranges
        .iter()
        .map(|(inside, outside, size)| json!({"containerID": inside, "hostID": outside, "size": size}))
        .collect();
    container.set("/linux/uidMappings", mappings.clone()).set("/linux/gidMappings", mappings);
}
