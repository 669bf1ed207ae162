//! What attacks are made of: what is known of each, how it went, and somebody who exchanges paths meanwhile.
use std::cell::RefCell;
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use orlop_tests::{Container, Output, need, runtime};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::Value;

/// One attack. When it goes, a line about it is appended to the file that `ORLOP_ATTACKS` names.
pub(crate) struct Attack {
    /// Numbers of the CVEs, or of other advisories.
    pub(crate) published: &'static str,
    /// What the attacker does.
    pub(crate) mechanism: &'static str,
    /// What holds it in orlop, with the place in the code.
    pub(crate) held_by: &'static str,
    outcome: RefCell<Option<String>>,
}

impl Attack {
    /// The attack that this test is.
    pub(crate) fn new(published: &'static str, mechanism: &'static str, held_by: &'static str) -> Self {
        Self { published, mechanism, held_by, outcome: RefCell::new(None) }
    }

    /// A container that will run a script, with a configuration that the runtime under test takes on this machine.
    pub(crate) fn sh(script: &str) -> Container {
        adapted(Container::sh(script))
    }

    /// One that stays.
    pub(crate) fn lasting() -> Container {
        adapted(Container::lasting())
    }

    /// Fails the test if the attack has succeeded, with what shows it.
    #[track_caller]
    pub(crate) fn succeeds_if(&self, succeeded: bool, evidence: impl Display) {
        if succeeded {
            *self.outcome.borrow_mut() = Some("succeeds".to_owned());
            panic!("the attack succeeds: {evidence}");
        }
    }

    /// Says more of how it went.
    pub(crate) fn held(&self, how: impl Display) {
        *self.outcome.borrow_mut() = Some(format!("held: {how}"));
    }

    /// Whether the attack can be tried at all; if not, the test has to end.
    pub(crate) fn applies(&self, condition: bool, why: &str) -> bool {
        if !condition {
            *self.outcome.borrow_mut() = Some(format!("n/a: {why}"));
            need::skip(why);
        }
        condition
    }

    /// An attack on something that only orlop has.
    pub(crate) fn applies_to_orlop(&self, why: &str) -> bool {
        self.applies(runtime::is_orlop(), why)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let Some(path) = std::env::var_os("ORLOP_ATTACKS") else { return };
        let said = self.outcome.take();
        let outcome = match said {
            Some(outcome) if outcome == "succeeds" || !std::thread::panicking() => outcome,
            // Something else went wrong: nothing is known.
            _ if std::thread::panicking() => "broken".to_owned(),
            _ => "held".to_owned(),
        };
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        let line = format!("{name}\t{}\t{}\t{}\t{outcome}\n", self.published, self.mechanism, self.held_by);
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of attacks");
    }
}

/// crun before 1.9 raises a limit for device programs, which takes a privilege that not every root has.
fn adapted(mut container: Container) -> Container {
    if runtime::version().starts_with("crun") && !need::capability(need::CAP_SYS_RESOURCE) {
        container.bundle.remove("/linux/resources");
    }
    if !runtime::is_orlop() {
        container.forgive_leaks();
    }
    container
}

/// How many times a race is run: `ORLOP_ATTACK_ROUNDS`, else a few.
pub(crate) fn rounds() -> usize {
    std::env::var("ORLOP_ATTACK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// Runs a container so often while the attacker is at work; each run is judged. How many containers ran their program.
pub(crate) fn race(
    container: &Container,
    all: usize,
    attacker: Swap,
    mut judge: impl FnMut(usize, &Output),
) -> usize {
    let mut well = 0;
    for number in 0..all {
        let out = container.run();
        judge(number, &out);
        well += usize::from(ran(&out));
    }
    drop(attacker);
    well
}

/// Exchanges two paths, again and again, until it is dropped: a process in another container that has the same
/// directory could.
pub(crate) struct Swap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    paths: [PathBuf; 2],
}

impl Swap {
    pub(crate) fn of(one: &Path, other: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, paths) = (Arc::clone(&stop), [one.to_owned(), other.to_owned()]);
        let [one, other] = paths.clone();
        let thread = std::thread::spawn(move || {
            let mut times = 0_u64;
            // An even number of times: all is as it was when it ends.
            while !asked.load(Ordering::Relaxed) || !times.is_multiple_of(2) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("both are there");
                times += 1;
            }
        });
        Self { stop, thread: Some(thread), paths }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "{:?} could not be exchanged", self.paths);
        }
    }
}

/// A directory outside of the root file system that must stay as it is.
pub(crate) struct Victim {
    pub(crate) path: PathBuf,
}

impl Victim {
    /// With one file in it.
    pub(crate) fn of(container: &Container) -> Self {
        let path = container.home().join("victim");
        fs::create_dir(&path).expect("a new directory");
        fs::write(path.join("ptmx"), "precious").expect("a new file");
        Self { path }
    }

    /// The path as text.
    pub(crate) fn text(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// What is there that was not, and what is not as it was.
    pub(crate) fn harm(&self) -> Vec<String> {
        let names = fs::read_dir(&self.path).expect("it is there").flatten();
        let mut harm: Vec<String> =
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        harm.retain(|name| name != "ptmx");
        if fs::read_to_string(self.path.join("ptmx")).ok().as_deref() != Some("precious") {
            harm.push("ptmx is not what it was".to_owned());
        }
        harm
    }
}

/// Leaves out the mounts below a path.
pub(crate) fn without_mounts(container: &mut Container, below: &str) {
    let mounts = container.bundle.config["mounts"].as_array_mut().expect("a list of mounts");
    mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with(below));
}

/// The same sets of capabilities with these in them and no others.
pub(crate) fn set_capabilities(container: &mut Container, names: &[&str]) {
    for set in ["bounding", "permitted", "effective"] {
        container.set(&format!("/process/capabilities/{set}"), Value::from(names.to_vec()));
    }
}

/// What was refused has left nothing.
#[track_caller]
pub(crate) fn no_leaks(container: &Container) {
    if runtime::is_orlop() {
        container.assert_no_leaks();
    }
}

/// Whether the program of the container has run.
pub(crate) fn ran(out: &Output) -> bool {
    out.stdout.lines().any(|line| line == "ran")
}
