//! A container, its shim, and what tests do with them.

use std::fs;
use std::path::PathBuf;

use orlop_protobuf::Message;
use orlop_tests::shim::messages::{
    Any, BootstrapParams, CloseIo, Create, Deleted, Empty, Ended, Exec, Kill, Pid, Pids, State, Which,
};
use orlop_tests::shim::{Client, Shim};
use orlop_tests::{Container, Fifo};
use serde_json::json;

pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const INVALID: i32 = 3;
pub(crate) const OVERDUE: i32 = 4;
pub(crate) const NOT_FOUND: i32 = 5;
pub(crate) const EXISTS: i32 = 6;
pub(crate) const EXHAUSTED: i32 = 8;
pub(crate) const PRECONDITION: i32 = 9;
pub(crate) const UNAVAILABLE: i32 = 14;
pub(crate) const UNIMPLEMENTED: i32 = 12;

/// A container, its shim, and a connection.
pub(crate) struct Stage {
    // Dropped in this order: the shim has to be gone before what it made is taken away.
    pub(crate) client: Client,
    pub(crate) shim: Shim,
    pub(crate) container: Container,
}

impl Stage {
    pub(crate) fn new(container: Container) -> Self {
        Self::of(container, |_| {})
    }

    /// With a shim that is told something else.
    pub(crate) fn of(container: Container, change: impl FnOnce(&mut BootstrapParams)) -> Self {
        let shim = Shim::start_as(&container, change);
        Self { client: shim.connect(), shim, container }
    }

    /// With a shim whose mounts nobody else gets: what it mounts is there for long, and others on the machine who make mount
    /// namespaces would have copies of it.
    pub(crate) fn apart(container: Container) -> Self {
        let wrapper = ["unshare", "--mount", "--propagation", "slave", "--"];
        let shim = Shim::start_within(&container, &wrapper, |_| {});
        Self { client: shim.connect(), shim, container }
    }

    /// With a shim whose log, debug messages and all, can be read.
    pub(crate) fn logged(container: Container) -> (Self, Fifo) {
        let log = Fifo::make(&container.bundle.path().join("log"));
        (Self::of(container, |params| params.log_level = -4), log)
    }

    pub(crate) fn which(&self) -> Which {
        Which { id: self.container.id.clone(), exec_id: String::new() }
    }

    pub(crate) fn added(&self, exec_id: &str) -> Which {
        Which { exec_id: exec_id.into(), ..self.which() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.container.home().join(name)
    }

    pub(crate) fn fifo(&self, name: &str) -> Fifo {
        Fifo::make(&self.path(name))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Create, without streams.
    pub(crate) fn request(&self) -> Create {
        Create {
            id: self.container.id.clone(),
            bundle: self.container.bundle.path().to_string_lossy().into_owned(),
            options: self.shim.options(),
            ..Create::default()
        }
    }

    pub(crate) fn create(&mut self) -> u32 {
        let request = self.request();
        self.client.call::<Pid>("Create", &request).expect("it is created").pid
    }

    pub(crate) fn start(&mut self) {
        let which = self.which();
        self.client.call::<Pid>("Start", &which).expect("it starts");
    }

    /// Exec and Start of a process without streams.
    pub(crate) fn exec(&mut self, exec_id: &str, args: &[&str]) {
        self.add(Exec { exec_id: exec_id.into(), ..Exec::default() }, args);
        let which = self.added(exec_id);
        self.client.call::<Pid>("Start", &which).expect("it starts");
    }

    pub(crate) fn add(&mut self, exec: Exec, args: &[&str]) {
        let spec = json!({ "args": args, "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"] });
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".into();
        let spec = Some(Any { type_url, value: spec.to_string().into_bytes() });
        let exec = Exec { id: self.container.id.clone(), spec, ..exec };
        self.client.call::<Empty>("Exec", &exec).expect("it is added");
    }

    pub(crate) fn wait(&mut self, which: &Which) -> u32 {
        self.client.call::<Ended>("Wait", which).expect("it ends").exit_status
    }

    pub(crate) fn status(&mut self, which: &Which) -> i32 {
        self.client.call::<State>("State", which).expect("it has a state").status
    }

    pub(crate) fn delete(&mut self, which: &Which) -> u32 {
        self.client.call::<Deleted>("Delete", which).expect("it is deleted").exit_status
    }

    /// The code with which a call is refused.
    #[track_caller]
    pub(crate) fn refused(&mut self, method: &str, request: &impl Message) -> i32 {
        self.client.call::<Empty>(method, request).expect_err("it is refused").code
    }

    pub(crate) fn kill(&mut self, signal: u32) {
        let kill = Kill { id: self.container.id.clone(), signal, ..Kill::default() };
        self.client.call::<Empty>("Kill", &kill).expect("it is killed");
    }

    /// The topics of the events until one.
    pub(crate) fn topics(&self, last: &str) -> Vec<String> {
        let heard = self.shim.events.until(last);
        heard.into_iter().map(|event| event.topic.trim_start_matches("/tasks/").to_owned()).collect()
    }

    /// The processes, with the names of those that were added.
    pub(crate) fn pids(&mut self) -> Vec<(u32, Option<Any>)> {
        let first = self.which();
        let pids: Pids = self.client.call("Pids", &first).expect("it has processes");
        pids.processes.into_iter().map(|process| (process.pid, process.info)).collect()
    }

    /// No more input.
    pub(crate) fn close_input(&mut self) {
        let close = CloseIo { id: self.container.id.clone(), stdin: true, ..CloseIo::default() };
        self.client.call::<Empty>("CloseIO", &close).expect("it is closed");
    }

    /// Create, Start, Wait and Delete; the exit status.
    pub(crate) fn run(&mut self, request: &Create) -> u32 {
        self.client.call::<Pid>("Create", request).expect("it is created");
        self.start();
        let first = self.which();
        let status = self.wait(&first);
        assert_eq!(self.delete(&first), status);
        status
    }

    /// What is mounted where the shim sees it.
    pub(crate) fn mounts_of_shim(&self) -> String {
        fs::read_to_string(format!("/proc/{}/mountinfo", self.shim.process.pid())).expect("it runs")
    }

    /// What the shim is known by to the kernel.
    pub(crate) fn status_of_shim(&self, field: &str) -> String {
        let text = fs::read_to_string(format!("/proc/{}/status", self.shim.process.pid())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
        line.trim_start_matches(':').trim().to_owned()
    }
}

/// An option of runc's, as it is handed over.
pub(crate) fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: name.into(), value: message.encode() }
}
