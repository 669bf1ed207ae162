//! A cgroup subtree for one test, and processes in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use orlop_cgroups::{Cgroup, CgroupPath, Claim, Controllers, Layout, Location, Place, Plan, plan};
use orlop_spec::Resources;

/// Whose the cgroups of the tests are.
pub(crate) const TESTS: Claim<'_> = Claim { owner: "tests", is_over: &|_| true };

/// The layout of this host, if tests can make cgroups on it.
pub(crate) fn layout() -> Option<Layout> {
    let layout = Layout::detect().expect("the layout of this host");
    let Some(unified) = &layout.unified else {
        println!("skipped: no cgroup2 file system is mounted");
        return None;
    };
    let probe = unified.mount.join(format!("orlop-probe-{}", unique()));
    if let Err(e) = fs::create_dir(&probe) {
        println!("skipped: cannot make {}: {e}", probe.display());
        return None;
    }
    fs::remove_dir(&probe).unwrap();
    Some(layout)
}

fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A subtree that goes away with everything in it.
pub(crate) struct Sandbox {
    pub(crate) layout: Layout,
    name: String,
}

impl Sandbox {
    pub(crate) fn new() -> Option<Self> {
        Some(Self { layout: layout()?, name: format!("orlop-test-{}", unique()) })
    }

    /// The path of a cgroup in the sandbox, for `linux.cgroupsPath`.
    pub(crate) fn path(&self, below: &str) -> CgroupPath {
        CgroupPath::new(Some(&format!("/{}/{below}", self.name)), "id").unwrap()
    }

    /// The directory of the sandbox in the unified hierarchy.
    pub(crate) fn dir(&self) -> PathBuf {
        self.layout.unified.as_ref().unwrap().mount.join(&self.name)
    }

    /// Plans OCI resources for this host.
    pub(crate) fn plan(&self, json: &str) -> Plan {
        let resources: Resources = serde_json::from_str(json).unwrap();
        plan(&resources, &self.layout, &[]).unwrap_or_else(|p| panic!("{json}: {p:?}"))
    }

    /// A plan without any limit.
    pub(crate) fn free(&self) -> Plan {
        self.plan(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#)
    }

    pub(crate) fn create(&self, below: &str, plan: &Plan) -> Cgroup {
        Cgroup::create(&self.layout, &self.path(below), plan, TESTS).unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let place = |mount: &Path| Place { mount: mount.into(), inner: self.name.clone().into() };
        let unified = self.layout.unified.as_ref().unwrap();
        let v1 = self.layout.v1.iter().map(|m| (Controllers::NONE, place(&m.mount))).collect();
        let all = Location { v2: place(&unified.mount), v1 };
        let bare = Location { v2: place(&unified.mount), v1: Vec::new() };
        // Not unwrapped: this runs while a failed test panics, too.
        let emptied = Cgroup::open(&bare)
            .and_then(|cgroup| cgroup.kill().and_then(|()| cgroup.wait_empty(Duration::from_secs(10))));
        if let Err(e) = Cgroup::remove_at(&all) {
            println!("left behind: {e} ({emptied:?})");
        }
    }
}

/// A cgroup as somebody makes it who has no rights in version 1.
pub(crate) fn without_v1(sandbox: &Sandbox, below: &str) -> Cgroup {
    let layout = Layout { v1: Vec::new(), ..sandbox.layout.clone() };
    Cgroup::create(&layout, &sandbox.path(below), &sandbox.free(), TESTS).unwrap()
}

/// Starts a shell command that moves itself into the cgroup before anything else.
pub(crate) fn spawn(cgroup: &Cgroup, script: &str) -> Child {
    let location = cgroup.location();
    let places = std::iter::once(&location.v2).chain(location.v1.iter().map(|(_, place)| place));
    let mut text = String::new();
    for place in places {
        text = format!("{text}echo $$ >{}/cgroup.procs || exit 99\n", place.path().display());
    }
    text.push_str(script);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &text]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Starts a process that sleeps, and waits until it is in the cgroup: in every hierarchy, as it only sleeps then.
pub(crate) fn sleeper(cgroup: &Cgroup) -> Child {
    let child = spawn(cgroup, "exec sleep 1000");
    let name = format!("/proc/{}/comm", child.id());
    until("the process is in the cgroup", || {
        let sleeps = fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n");
        sleeps && cgroup.procs().unwrap().contains(&(child.id() as i32))
    });
    child
}

/// Runs a command in the cgroup to its end: whether it succeeded, and what it wrote to either stream.
pub(crate) fn run(cgroup: &Cgroup, script: &str) -> (bool, String) {
    let output = spawn(cgroup, script).wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Waits for something that has no event to wait for.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A file of the cgroup, in whichever hierarchy has it.
pub(crate) fn read(cgroup: &Cgroup, file: &str) -> Option<String> {
    let location = cgroup.location();
    let places = std::iter::once(&location.v2).chain(location.v1.iter().map(|(_, place)| place));
    let text = { places }.find_map(|p| fs::read_to_string(p.path().join(file)).ok());
    text.map(|t| t.trim().to_owned())
}
