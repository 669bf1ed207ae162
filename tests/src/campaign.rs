//! A campaign of faults against one command, or one call of the shim: one fault at a time, and after each a look at what is
//! left. Or of commands of others, while the one stands still.
mod others;
mod shim;

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::Write as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::fault::{Fault, Point, Trace, Traced};
use crate::{Container, ProcessHandle, figures, ledger, need};

/// What may go wrong at every call.
const FAULTS: [Fault; 7] = [
    Fault::Kill,
    Fault::Fail(Errno::EINTR),
    Fault::StallAndDie,
    Fault::Fail(Errno::ENOMEM),
    Fault::StallAndGoOn,
    Fault::Fail(Errno::ENOSPC),
    Fault::Fail(Errno::EAGAIN),
];

/// How long what is left of a container may take to go, once it is deleted: the kernel lets go of keys and programs when it
/// has the time.
const SETTLE: Duration = Duration::from_secs(5);

/// What has no name that says whose it is, and how it is counted.
const NAMELESS: [(&str, Count); 2] =
    [("BPF programs", figures::bpf_programs), ("keys of root", figures::keys)];

/// How many there are now, if that can be known.
type Count = fn() -> Option<u64>;

/// How many more of each of them there may be after a campaign than before: other tests have some meanwhile. `hack/faults`
/// compares exactly, when all campaigns have ended.
const OTHERS: u64 = 32;

/// How long a command may take while another one is stalled: the deadlines in the runtime are 10 seconds.
const SOON: &str = "20";

pub use others::Others;
pub use shim::ShimCampaign;

/// How many faults, and which.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// Every fault at every call.
    All,
    /// So many, spread evenly, always the same.
    Sample(usize),
    /// Every fault at the last so many calls of the command's own process.
    Last(usize),
    /// Every fault at this call, to have one again that was found.
    At(Point),
}

/// What takes a second or more each is struck so often at most, even if all is asked for.
const MOST_OF_SLOW: usize = 1000;

impl Extent {
    /// All, if `ORLOP_FAULTS` says so; otherwise a sample, of an eighth of that size in the test VM, which is slow.
    pub fn of_environment(sample: usize) -> Self {
        let sample = if need::in_vm() { sample / 8 } else { sample };
        match std::env::var("ORLOP_FAULTS").as_deref() {
            Ok("all") => Self::All,
            Ok(text) => {
                let number =
                    |text: &str| text.parse().expect("ORLOP_FAULTS is \"all\", a number, or PROCESS:CALL");
                text.split_once(':').map_or_else(
                    || Self::Sample(number(text)),
                    |(process, call)| Self::At(Point { process: number(process), call: number(call) }),
                )
            }
            Err(_) => Self::Sample(sample),
        }
    }

    /// The same, of what is slow.
    pub fn of_slow(sample: usize) -> Self {
        match Self::of_environment(sample) {
            Self::All => Self::Sample(MOST_OF_SLOW),
            other => other,
        }
    }
}

/// One command and what has to be there for it.
pub struct Campaign<'a> {
    /// Its name in the report.
    pub name: &'a str,
    /// The container that it is about.
    pub container: &'a Container,
    /// Brings the container where the command finds it.
    pub set_up: &'a dyn Fn(&Container),
    /// The command, without global options.
    pub command: Vec<OsString>,
    /// The first process of the container is struck, too.
    pub with_init: bool,
}

/// A bad end.
enum Bad {
    /// Something is left.
    Leak(String),
    /// Something does not end.
    Hang(String),
    /// Something else is wrong.
    Wrong(String),
}

impl Bad {
    fn what(&self) -> &str {
        let (Self::Leak(what) | Self::Hang(what) | Self::Wrong(what)) = self;
        what
    }
}

impl Campaign<'_> {
    /// Runs it, says how many faults there were, and fails the test if one of them had a bad end.
    pub fn run(&self, extent: Extent) {
        strike_all(self.name, 0, (extent, &FAULTS), |fault| self.once(fault));
    }

    fn once(&self, fault: Option<(Point, Fault)>) -> (Trace, Vec<Bad>) {
        let container = self.container;
        std::fs::remove_file(container.pid_file()).ok();
        (self.set_up)(container);
        let also = self.with_init.then(|| container.pid());
        let mut answers = Vec::new();
        let traced = Traced { also, ..Traced::new(container, &self.command) };
        let trace = traced.run(fault, &mut || answers.extend(take_away(container)));
        let said = &trace.stderr;
        let mut bad = Vec::new();
        if trace.hung && !trace.stuck {
            bad.push(Bad::Hang(format!("it hangs: {said}")));
        }
        let failed = matches!(fault, Some((_, Fault::Fail(_)))) && (1..128).contains(&trace.code);
        let makes = ["create", "run"].iter().any(|name| self.command[0] == *name);
        if failed && makes && container.state_root().join(&container.id).exists() {
            bad.push(Bad::Wrong(format!("it has failed and keeps the id: {said}")));
        }
        answers.extend(take_away(container));
        bad.extend(answers.into_iter().flatten());
        bad.extend(left_behind(container, &trace));
        (trace, bad)
    }
}

/// What others do: they look, and take the container away. That is possible at any time.
fn take_away(container: &Container) -> [Option<Bad>; 3] {
    let id = &container.id;
    [(&["state", id][..], 1), (&["list"], 0), (&["delete", "--force", id], 0)].map(|(command, worst)| {
        let timeout = ["timeout", "-s", "KILL", SOON];
        let out = container.runtime().args(command).within(&timeout).output();
        match out.code {
            137 => Some(Bad::Hang(out.to_string())),
            code => (code > worst).then(|| Bad::Wrong(out.to_string())),
        }
    })
}

/// Strikes with one fault of these kinds after the other, says how many there were, and fails the test if one of them had a bad
/// end. The first processes of the trace may be spared.
fn strike_all<F: Copy + Debug>(
    name: &str,
    spared: usize,
    (extent, kinds): (Extent, &[F]),
    once: impl Fn(Option<(Point, F)>) -> (Trace, Vec<Bad>),
) {
    let began = Instant::now();
    let nameless = NAMELESS.map(|(_, count)| count());
    let (clean, bad) = once(None);
    let trouble: Vec<&str> = bad.iter().map(Bad::what).collect();
    assert!(
        clean.code == 0 && bad.is_empty(),
        "{name} without a fault: {} {}{trouble:?}",
        clean.code,
        clean.stderr
    );
    let number = |(process, calls): (usize, &Vec<u64>)| {
        (0..calls.len()).map(move |call| Point { process, call }).collect::<Vec<_>>()
    };
    let points: Vec<Point> = clean.calls.iter().enumerate().skip(spared).flat_map(number).collect();
    let (mut faults, mut leaks, mut hangs, mut wrongs, mut stuck) = (0, 0, 0, 0, 0);
    let mut report = String::new();
    for (point, fault) in choose(&points, extent, kinds) {
        let (trace, bad) = once(Some((point, fault)));
        faults += usize::from(trace.reached);
        stuck += usize::from(trace.stuck);
        for bad in bad {
            *match &bad {
                Bad::Leak(_) => &mut leaks,
                Bad::Hang(_) => &mut hangs,
                Bad::Wrong(_) => &mut wrongs,
            } += 1;
            let call = clean.calls.get(point.process).and_then(|calls| calls.get(point.call));
            let line = format!("{name} {point:?} (call {call:?}) {fault:?}: {}\n", bad.what());
            say(&line);
            report += &line;
        }
    }
    for ((what, count), before) in NAMELESS.into_iter().zip(nameless) {
        if let Some((before, after)) = before.zip(too_many(count, before)) {
            leaks += 1;
            let line = format!("{name}: {before} {what}, now {after}\n");
            say(&line);
            report += &line;
        }
    }
    let (points, seconds) = (points.len(), began.elapsed().as_secs());
    let of_criu = if stuck > 0 { format!(", {stuck} stuck in CRIU") } else { String::new() };
    say(&format!(
        "faults: {name}: {points} points, {faults} faults, {leaks} leaks, {hangs} hangs, {wrongs} wrong{of_criu}, {seconds} s\n"
    ));
    assert!(report.is_empty(), "bad ends:\n{report}");
}

/// What is left of a container whose processes have been waited for.
fn left_behind(container: &Container, trace: &Trace) -> Option<Bad> {
    for pid in &trace.pids {
        // Ours to wait for are those whose parent has died. Until then they hold what they had, keys for instance.
        ProcessHandle::open(*pid).filter(|process| process.wait(SETTLE)).and_then(|process| process.reap());
    }
    reap_zombies(container);
    // Not before: while one of its processes is not waited for, a first process does not end.
    let ended = container.forget_within(SETTLE);
    let mut left = settled(container);
    left.extend((!ended).then(|| "the first process, which does not end".to_owned()));
    if left.is_empty() {
        return None;
    }
    ledger::sweep(&container.id, &container.state_root());
    Some(Bad::Leak(format!("left behind: {left:?} after: {}", trace.stderr)))
}

/// Whose parent has died is ours, at whatever moment it ends.
fn reap_zombies(container: &Container) {
    for pid in ledger::zombies(&container.id) {
        ProcessHandle::open(pid).and_then(|process| process.reap());
    }
}

/// Some moments at which CRIU, the longest of the processes, reads from others that it has stopped: between waiting for them
/// and letting go of them.
pub fn while_saved(trace: &Trace) -> Vec<Point> {
    let criu = trace.calls.iter().enumerate().max_by_key(|(_, calls)| calls.len());
    let (process, calls) = criu.expect("a process");
    let waits = |call: &usize| calls[*call] == nix::libc::SYS_wait4 as u64;
    let waits: Vec<usize> = (0..calls.len()).filter(waits).collect();
    let longest = waits.windows(2).max_by_key(|pair| pair[1] - pair[0]).expect("it waits more than once");
    let part = |part: usize| longest[0] + (longest[1] - longest[0]) * part / 16;
    (1..=6).map(|number| Point { process, call: part(number) }).collect()
}

/// On standard error, past the test runner's capture.
fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}

/// What is left of a container when the kernel has had its time.
fn settled(container: &Container) -> Vec<String> {
    let until = Instant::now() + SETTLE;
    loop {
        reap_zombies(container);
        let left = ledger::leaks(&container.id, &container.state_root());
        if left.is_empty() || Instant::now() > until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many there are, if there are too many when the kernel has had its time.
fn too_many(count: Count, before: Option<u64>) -> Option<u64> {
    let most = before? + OTHERS;
    let until = Instant::now() + SETTLE;
    loop {
        let now = count()?;
        if now <= most || Instant::now() > until {
            return (now > most).then_some(now);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn choose<F: Copy>(points: &[Point], extent: Extent, kinds: &[F]) -> Vec<(Point, F)> {
    let all_at = |point: Point| kinds.iter().map(move |kind| (point, *kind));
    match extent {
        Extent::At(point) => all_at(point).collect(),
        Extent::Last(number) => {
            let own: Vec<Point> = points.iter().copied().filter(|point| point.process == 0).collect();
            own.into_iter().rev().take(number).flat_map(all_at).collect()
        }
        Extent::All => points.iter().flat_map(|point| all_at(*point)).collect(),
        Extent::Sample(number) => {
            let all = points.len() * kinds.len();
            let mut step = (all / number.max(1)).max(1);
            // So that every kind has its turn.
            step += usize::from(step.is_multiple_of(kinds.len()));
            (0..all).step_by(step).map(|i| (points[i / kinds.len()], kinds[i % kinds.len()])).collect()
        }
    }
}
