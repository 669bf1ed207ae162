//! A campaign against the shim: it is struck, and what it makes, while it answers calls. Then containerd's part is played: a
//! shim that is there is told to take the container away and to end; in the place of one that is not, its binary's `delete`.
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{Bad, Extent, FAULTS, SOON, left_behind, strike_all, take_away, while_saved};
use crate::fault::{Fault, Point, Trace, Traced};
use crate::shim::messages::{Empty, Kill, Sandbox, State, Status, Which};
use crate::shim::{Client, Events, SANDBOX, Shim, binary};
use crate::{Container, Fifo};

/// How long a shim may take to end that was told to, or that has lost its connections: it gives up by itself after 20 seconds.
const END: Duration = Duration::from_secs(60);

/// How long one may take to end that has closed its connections.
const CLOSED: Duration = Duration::from_secs(5);

/// How long a shim may say nothing more, once it was asked for what it knows.
const SAYING: Duration = Duration::from_secs(1);

/// The state of a container that was not started yet.
const CREATED: i32 = 1;

/// What is traced as the command: it ends when the calls have been answered, and with it the trace.
const STAND_IN: &str = "read code <\"$1\"; exit \"$code\"";

/// Calls to the shim and what has to be there for them.
pub struct ShimCampaign<'a> {
    /// Its name in the report.
    pub name: &'a str,
    /// The container that it is about.
    pub container: &'a Container,
    /// Brings the container where the calls find it.
    pub set_up: &'a dyn Fn(&mut Client),
    /// The calls; whether all have succeeded.
    pub calls: &'a (dyn Fn(&mut Client) -> bool + Sync),
    /// It is a pod that is made.
    pub pod: bool,
}

/// What all shims of a campaign have in common.
struct Place {
    events: Events,
    /// By which the stand-in is told that the calls have been answered.
    gate: PathBuf,
    /// What they say.
    log: RefCell<Fifo>,
}

impl Place {
    fn of(container: &Container) -> Self {
        let gate = container.home().join("gate");
        rustix::fs::mkfifoat(rustix::fs::CWD, &gate, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
            .expect("a new fifo");
        let log = RefCell::new(Fifo::make(&container.bundle.path().join("log")));
        Self { events: Events::listen(&container.home().join("events")), gate, log }
    }

    /// What a shim that does not get on waits for.
    fn report(&self, shim: &Shim) -> String {
        let mut log = self.log.borrow_mut();
        shim.process.signal(Signal::USR1).ok();
        std::iter::from_fn(|| log.line_within(SAYING)).collect::<Vec<_>>().join("\n")
    }
}

impl ShimCampaign<'_> {
    /// Runs it, says how many faults there were, and fails the test if one of them had a bad end.
    pub fn run(&self, extent: Extent) {
        let place = Place::of(self.container);
        let once = |fault| self.once(fault, &place, &|_| take_away(self.container).into());
        // The stand-in is not the runtime's.
        strike_all(self.name, 1, (extent, &FAULTS), once);
    }

    /// Kills the container by a call while CRIU saves it.
    pub fn kill_while_saved(&self) {
        let place = Place::of(self.container);
        let kill = |shim: &Shim| {
            let kill = Kill { id: self.container.id.clone(), signal: 9, ..Kill::default() };
            let killed = shim.connect().call::<Empty>("Kill", &kill);
            vec![killed.err().map(|e| Bad::Wrong(format!("Kill: {e:?}")))]
        };
        let (clean, _) = self.once(None, &place, &kill);
        for point in while_saved(&clean) {
            let (_, bad) = self.once(Some((point, Fault::StallAndGoOn)), &place, &kill);
            let bad: Vec<&str> = bad.iter().map(Bad::what).collect();
            assert!(bad.is_empty(), "{point:?}: {bad:?}");
        }
    }

    fn once(
        &self,
        fault: Option<(Point, Fault)>,
        place: &Place,
        meanwhile: &dyn Fn(&Shim) -> Vec<Option<Bad>>,
    ) -> (Trace, Vec<Bad>) {
        let Place { events, gate, log } = place;
        log.borrow_mut().drain();
        let shim = Shim::start_again(self.container, events);
        let mut client = shim.connect();
        (self.set_up)(&mut client);
        let argv = ["sh".into(), "-c".into(), STAND_IN.into(), "sh".into(), gate.into()].into();
        let log = self.container.home().join("stand-in.log");
        let (id, also) = (self.container.id.as_str(), Some(shim.process.pid()));
        let traced = Traced { argv, id, log, also };
        let mut answers = Vec::new();
        let trace = std::thread::scope(|scope| {
            scope.spawn(|| {
                // There is somebody at the other end once the shim is traced.
                let mut gate = File::options().write(true).open(gate).expect("our own fifo");
                let fine = (self.calls)(&mut client);
                // If it has taken too long, nobody reads any more.
                gate.write_all(if fine { b"0\n" } else { b"1\n" }).ok();
            });
            traced.run(fault, &mut || answers.extend(meanwhile(&shim)))
        });
        drop(client);
        let mut bad: Vec<Bad> = answers.into_iter().flatten().collect();
        if trace.stuck {
            // There is nothing that a call could do.
            shim.process.signal(Signal::KILL).ok();
        } else if trace.hung {
            bad.push(Bad::Hang(format!("a call is not answered\n{}", place.report(&shim))));
        }
        let failed = matches!(fault, Some((_, Fault::Fail(_)))) && trace.code == 1;
        let state = self.container.state_root().join(&self.container.id);
        // A shim that cannot go on closes its connections, and has ended a moment later: what it leaves is for its `delete`.
        if failed && self.name == "shim create" && state.exists() && !shim.process.wait(CLOSED) {
            bad.push(Bad::Wrong("Create has failed, and the id is taken".to_owned()));
        }
        match self.end(&shim) {
            // Then it is not called for what the shim has left.
            Ok(true) => bad.extend(left_behind(self.container, &trace)),
            Ok(false) => {}
            Err(answers) => {
                let report = place.report(&shim);
                bad.push(Bad::Hang(format!("the shim does not end: {answers:?}\n{report}")));
            }
        }
        bad.extend(self.delete());
        drop(shim);
        bad.extend(left_behind(self.container, &trace));
        fs::remove_file(self.container.bundle.path().join("init.pid")).ok();
        (trace, bad)
    }

    /// What containerd does with a shim that is there; whether all of that is done then.
    fn end(&self, shim: &Shim) -> Result<bool, Answers> {
        let end = if self.pod { end_pod } else { end_container };
        let answers = Client::try_connect(&shim.socket).map(|client| end(client, &self.container.id));
        let answers = answers.unwrap_or_default();
        if shim.process.wait(END) {
            return Ok(!answers.is_empty() && answers.iter().all(|(_, answer)| matches!(answer, Some(Ok(_)))));
        }
        Err(answers)
    }

    /// What containerd does when the shim has gone.
    fn delete(&self) -> Option<Bad> {
        let bundle = self.container.bundle.path();
        let out = crate::Invocation::new(binary(), &self.container.io())
            .env("ORLOP_TEST", &self.container.id)
            .args(["-namespace", "state", "-id", &self.container.id, "-bundle", &bundle.to_string_lossy()])
            .arg("delete")
            .current_dir(bundle)
            .within(&["timeout", "-s", "KILL", SOON])
            .output();
        match out.code {
            0 => None,
            137 => Some(Bad::Hang(out.to_string())),
            _ => Some(Bad::Wrong(out.to_string())),
        }
    }
}

/// Methods, and what a shim that may die has answered.
type Answers = Vec<(&'static str, Option<Result<Empty, Status>>)>;

/// What containerd does with a container: that there is nothing to kill or to delete is no error then.
fn end_container(mut client: Client, id: &str) -> Answers {
    let which = Which { id: id.to_owned(), ..Which::default() };
    let kill = Kill { id: id.to_owned(), signal: 9, all: true, ..Kill::default() };
    let mut answers = vec![("Kill", client.try_call("Kill", &kill))];
    let state = client.try_call::<State>("State", &which);
    let created = matches!(&state, Some(Ok(state)) if state.status == CREATED);
    answers.push(("State", state.map(|state| state.map(|_| Empty {}))));
    // Without a process there is nothing to wait for.
    let none = created && matches!(answers[0], (_, Some(Err(_))));
    for method in ["Wait", "Delete", "Shutdown"].into_iter().skip(usize::from(none)) {
        let answer = client.try_call(method, &which);
        let gone = answer.is_none();
        answers.push((method, answer));
        if gone {
            break;
        }
    }
    answers
}

/// What containerd does with a pod. What went wrong once may not go wrong again.
fn end_pod(mut client: Client, id: &str) -> Answers {
    client.service = SANDBOX;
    let pod = Sandbox { sandbox_id: id.to_owned(), ..Sandbox::default() };
    ["StopSandbox", "ShutdownSandbox"].map(|method| (method, client.try_call(method, &pod))).into()
}
