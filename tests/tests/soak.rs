//! Many containers one after another, many at once, many processes in one: what the machine has in use is as before in the end.
//!
//! `make soak` does it at full length: `ORLOP_SOAK_CYCLES`, `ORLOP_SOAK_ALIVE` and `ORLOP_SOAK_EXECS` say how many, and the
//! figures go to the file that `ORLOP_SOAK` names, for `docs/reliability.md`.
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use orlop_tests::figures::{self, Figure};
use orlop_tests::random::in_lanes;
use orlop_tests::shim::messages::{Any, Deleted, Empty, Ended, Exec, Kill, Pid, Which};
use orlop_tests::shim::{Client, Shim, messages};
use orlop_tests::{Container, ProcessHandle, need, runtime, seccomp};

/// One at a time: they count what the whole machine has.
static ALONE: Mutex<()> = Mutex::new(());

/// How long the kernel may take to let go.
const SETTLE: Duration = Duration::from_secs(60);

fn count(variable: &str, usual: usize) -> usize {
    let usual = if need::in_vm() { usual / 5 } else { usual };
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a count is a number"))
}

/// What containers of one kind have in common. The container that they are made after is its first name.
struct Crowd {
    name: String,
    home: PathBuf,
    state_root: PathBuf,
    bundle: String,
    log: File,
    milliseconds: Mutex<Vec<(usize, u64)>>,
}

/// Containers with a filter, device rules, every namespace, and a program that stays.
fn crowd() -> (Container, Crowd) {
    let mut container = Container::new(&["sleep", "1000000"]);
    container.set("/linux/seccomp", seccomp::engine_profile());
    container.bundle.save();
    let log = OpenOptions::new().append(true).create(true).open(container.home().join("log"));
    let crowd = Crowd {
        name: container.id.clone(),
        home: container.home().to_owned(),
        state_root: container.state_root(),
        bundle: container.bundle.path().to_string_lossy().into_owned(),
        log: log.expect("a log"),
        milliseconds: Mutex::default(),
    };
    (container, crowd)
}

impl Crowd {
    fn id(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// A command, which must succeed. Without the kit's two files for each, of which there would be too many.
    fn orlop(&self, arguments: &[&str]) {
        let log = self.log.try_clone().expect("a descriptor can be copied");
        let mut command = Command::new(runtime::binary());
        command.arg("--root").arg(&self.state_root).args(arguments);
        command.env("ORLOP_TEST", &self.name);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status();
        if !status.is_ok_and(|status| status.success()) {
            let said = std::fs::read_to_string(self.home.join("log")).unwrap_or_default();
            panic!("{arguments:?} failed: {}", said.lines().last().unwrap_or_default());
        }
    }

    /// `create` and `start`.
    fn begin(&self, number: usize) -> ProcessHandle {
        let id = self.id(number);
        let file = self.home.join(format!("pid-{number}"));
        let began = Instant::now();
        self.orlop(&["create", "--bundle", &self.bundle, "--pid-file", &file.to_string_lossy(), &id]);
        self.orlop(&["start", &id]);
        let took = (number, began.elapsed().as_millis() as u64);
        self.milliseconds.lock().expect("no lane has failed").push(took);
        let pid = std::fs::read_to_string(&file).ok().and_then(|text| text.parse().ok());
        std::fs::remove_file(&file).expect("create has written it");
        pid.and_then(ProcessHandle::open).expect("the first process is our child")
    }

    /// `kill` and `delete`.
    fn end(&self, number: usize, process: &ProcessHandle) {
        let id = self.id(number);
        self.orlop(&["kill", &id, "KILL"]);
        assert_eq!(process.reap(), Some(137));
        self.orlop(&["delete", &id]);
    }

    /// The median of `create` and `start` among the first and among the last of them, in ms.
    fn first_and_last(&self) -> (u64, u64) {
        let mut all = self.milliseconds.lock().expect("no lane has failed").clone();
        all.sort_unstable();
        let some = (all.len() / 10).max(1);
        let median = |part: &[(usize, u64)]| {
            let mut times: Vec<u64> = part.iter().map(|(_, time)| *time).collect();
            times.sort_unstable();
            times[times.len() / 2]
        };
        (median(&all[..some]), median(&all[all.len() - some..]))
    }
}

/// Says what was found: for people, and for the document.
fn tell(title: &str, heads: &[&str], rows: &[Vec<Figure>]) {
    say(&format!("soak: {title}\t{}\n", heads.join("\t")));
    for (at, figure) in rows[0].iter().enumerate() {
        let value =
            |row: &Vec<Figure>| row[at].value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let values: Vec<String> = rows.iter().map(value).collect();
        say(&format!("figure: {}\t{}\t+{}\n", figure.name, values.join("\t"), figure.allowed));
    }
}

fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
    if let Some(path) = std::env::var_os("ORLOP_SOAK") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the file of figures");
    }
}

#[test]
fn containers_one_after_another() {
    let _alone = ALONE.lock();
    let cycles = count("ORLOP_SOAK_CYCLES", 100);
    let (container, crowd) = crowd();
    let begun = Instant::now();
    // The first few bring the kernel's caches to their size.
    let cycle = |number| {
        let process = crowd.begin(number);
        crowd.orlop(&["exec", &crowd.id(number), "true"]);
        crowd.end(number, &process);
    };
    (0..4).for_each(cycle);
    let mut rows = vec![figures::of(&container, cycles as u64)];
    for part in 0..4 {
        in_lanes(2, cycles / 4, |number| cycle(4 + part * (cycles / 4) + number));
        rows.push(figures::settled(&container, cycles as u64, &rows[0], SETTLE));
    }
    let title = format!("{cycles} containers one after another: create, start, exec, kill, delete");
    tell(&title, &["before", "a quarter", "half", "three quarters", "after"], &rows);
    let (first, last) = crowd.first_and_last();
    let seconds = begun.elapsed().as_secs();
    say(&format!(
        "note: {seconds} s in two lanes; create and start took {first} ms among the first tenth, {last} ms among the last (medians)\n"
    ));
    let grown = figures::grown(&rows[0], &rows[4]);
    assert!(grown.is_empty(), "after {cycles} containers: {grown:#?}");
}

#[test]
fn containers_at_once() {
    let _alone = ALONE.lock();
    let alive = count("ORLOP_SOAK_ALIVE", 40);
    let (container, crowd) = crowd();
    let process = crowd.begin(alive);
    crowd.end(alive, &process);
    let before = figures::of(&container, alive as u64);
    let processes: Vec<Mutex<Option<ProcessHandle>>> = (0..alive).map(|_| Mutex::default()).collect();
    in_lanes(2, alive, |number| {
        *processes[number].lock().expect("no lane has failed") = Some(crowd.begin(number));
    });
    let during = figures::of(&container, alive as u64);
    let listed = container.runtime().args(["list", "-q"]).ok();
    assert_eq!(listed.lines().len(), alive, "all of them are listed");
    in_lanes(2, alive, |number| crowd.orlop(&["exec", &crowd.id(number), "true"]));
    in_lanes(2, alive, |number| {
        let process = processes[number].lock().expect("no lane has failed").take();
        crowd.end(number, &process.expect("it was begun"));
    });
    let after = figures::settled(&container, alive as u64, &before, SETTLE);
    let title = format!("{alive} containers alive at once, one exec in each");
    tell(&title, &["before", "alive", "after"], &[before.clone(), during, after.clone()]);
    let (first, last) = crowd.first_and_last();
    say(&format!(
        "note: create and start took {first} ms among the first tenth, {last} ms among the last (medians)\n"
    ));
    let grown = figures::grown(&before, &after);
    assert!(grown.is_empty(), "after {alive} containers at once: {grown:#?}");
}

#[test]
fn processes_in_one_container() {
    let _alone = ALONE.lock();
    let execs = count("ORLOP_SOAK_EXECS", 60);
    let (container, crowd) = crowd();
    let process = crowd.begin(0);
    let id = crowd.id(0);
    crowd.orlop(&["exec", &id, "true"]);
    let before = figures::of(&container, execs as u64);
    in_lanes(2, execs, |_| crowd.orlop(&["exec", &id, "true"]));
    let after = figures::settled(&container, execs as u64, &before, SETTLE);
    crowd.end(0, &process);
    let title = format!("{execs} processes one after another in one container, by orlop exec");
    tell(&title, &["before", "after"], &[before.clone(), after.clone()]);
    let grown = figures::grown(&before, &after);
    assert!(grown.is_empty(), "after {execs} processes: {grown:#?}");
}

#[test]
fn processes_of_one_shim() {
    let _alone = ALONE.lock();
    need!(runtime::is_orlop(), "the shim is ours");
    let execs = count("ORLOP_SOAK_EXECS", 60);
    let container = Container::new(&["sleep", "1000000"]);
    container.bundle.save();
    let shim = Shim::start(&container);
    let mut calls = Calls { client: shim.connect(), id: container.id.clone() };
    let create = messages::Create {
        id: container.id.clone(),
        bundle: container.bundle.path().to_string_lossy().into_owned(),
        options: shim.options(),
        ..messages::Create::default()
    };
    calls.client.call::<Pid>("Create", &create).expect("it is created");
    calls.client.call::<Pid>("Start", &calls.which("")).expect("it starts");
    let pid = shim.process.pid();
    (0..10).for_each(|number| calls.exec(&format!("warm-{number}")));
    let look = || [(figures::resident(pid), 512), (figures::descriptors(pid), 0)].map(shown);
    let mut rows = vec![look().to_vec()];
    for half in 0..2 {
        (0..execs / 2).for_each(|number| calls.exec(&format!("e{half}-{number}")));
        rows.push(look().to_vec());
    }
    calls.kill();
    // Its names are those of a shim's figures.
    for row in &mut rows {
        row[0].name = "resident memory of the shim, kB";
        row[1].name = "descriptors of the shim";
    }
    let title = format!("{execs} processes one after another in one container, by the shim");
    tell(&title, &["before", "half", "after"], &rows);
    let grown = figures::grown(&rows[0], &rows[2]);
    assert!(grown.is_empty(), "after {execs} processes: {grown:#?}");
}

fn shown((value, allowed): (u64, u64)) -> Figure {
    Figure { name: "", value: Some(value), allowed }
}

/// containerd's side.
struct Calls {
    client: Client,
    id: String,
}

impl Calls {
    fn which(&self, exec_id: &str) -> Which {
        Which { id: self.id.clone(), exec_id: exec_id.into() }
    }

    /// One process from Exec to Delete.
    fn exec(&mut self, exec_id: &str) {
        let spec = serde_json::json!({ "args": ["true"], "cwd": "/", "user": { "uid": 0, "gid": 0 }, "env": ["PATH=/bin"] });
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Process".into();
        let spec = Some(Any { type_url, value: spec.to_string().into_bytes() });
        let exec = Exec { id: self.id.clone(), exec_id: exec_id.into(), spec, ..Exec::default() };
        self.client.call::<Empty>("Exec", &exec).expect("it is added");
        let which = self.which(exec_id);
        self.client.call::<Pid>("Start", &which).expect("it starts");
        assert_eq!(self.client.call::<Ended>("Wait", &which).expect("it ends").exit_status, 0);
        self.client.call::<Deleted>("Delete", &which).expect("it is deleted");
    }

    fn kill(&mut self) {
        let kill = Kill { id: self.id.clone(), signal: 9, ..Kill::default() };
        self.client.call::<Empty>("Kill", &kill).expect("it is killed");
        let which = self.which("");
        assert_eq!(self.client.call::<Ended>("Wait", &which).expect("it ends").exit_status, 137);
        self.client.call::<Deleted>("Delete", &which).expect("it is deleted");
    }
}
