//! A container's life, compared with a small model of it: whatever is asked for in whatever order, the runtime does, or
//! refuses, what the model says, and `state` agrees with it.
use orlop_tests::random::Random;
use orlop_tests::{Container, Fifo, Output, need, runtime};

/// Where a container is in its life. A paused one goes back to where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Gone,
    Created,
    Running,
    Paused { started: bool },
    Stopped,
}
use Life::{Created, Gone, Paused, Running, Stopped};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Create,
    Start,
    Exec,
    Pause,
    Resume,
    Update,
    Term,
    Kill,
    End,
    Delete,
    DeleteForce,
}

const ACTS: [Act; 11] = [
    Act::Create,
    Act::Start,
    Act::Exec,
    Act::Pause,
    Act::Resume,
    Act::Update,
    Act::Term,
    Act::Kill,
    Act::End,
    Act::Delete,
    Act::DeleteForce,
];

const ABSENT: &str = "does not exist";

#[expect(clippy::match_same_arms, reason = "one line for each act reads better")]
/// What comes of it: where the container is then, or words of the refusal.
fn expected(life: Life, act: Act) -> Result<Life, &'static str> {
    match (act, life) {
        (Act::DeleteForce, _) | (Act::Delete, Created | Stopped) => Ok(Gone),
        (Act::Create, Gone) => Ok(Created),
        (Act::Create, _) => Err("already exists"),
        (Act::End, Gone) => Ok(Gone),
        (_, Gone) => Err(ABSENT),
        (Act::Start, Created) => Ok(Running),
        (Act::Start, _) => Err("cannot start"),
        (Act::Exec, Created | Running) => Ok(life),
        (Act::Exec, _) => Err("cannot exec in a"),
        (Act::Pause, Created) => Ok(Paused { started: false }),
        (Act::Pause, Running) => Ok(Paused { started: true }),
        (Act::Pause, _) => Err("not running or created"),
        (Act::Resume, Paused { started: false }) => Ok(Created),
        (Act::Resume, Paused { started: true }) => Ok(Running),
        (Act::Resume, _) => Err("not paused"),
        (Act::Update, Stopped) => Err("not running"),
        (Act::Update, _) => Ok(life),
        (Act::Term | Act::Kill, Stopped) => Err("not running"),
        // Signals end a container that waits to be started.
        (Act::Term, Created) | (Act::Kill, _) => Ok(Stopped),
        // The program has no handler; as the first process of its PID namespace it does not hear it.
        (Act::Term, _) => Ok(life),
        (Act::End, Running) => Ok(Stopped),
        (Act::End, _) => Ok(life),
        (Act::Delete, _) => Err("cannot delete container"),
    }
}

/// Does it, and waits for its effect.
fn act(container: &Container, end: &mut Fifo, life: Life, act: Act) -> Output {
    let plain = |command: &str, flags: &[&str]| container.command(command, flags).output();
    let signal = |name: &str| container.command::<&str>("kill", &[]).arg(name).output();
    match act {
        Act::Create => {
            let file = container.pid_file().to_string_lossy().into_owned();
            let out = container.with_bundle("create", &["--pid-file", &file]).output();
            if life == Gone && out.code == 0 {
                container.adopt();
            }
            out
        }
        Act::Start => plain("start", &[]),
        Act::Exec => container.exec(&["true"]),
        Act::Pause => plain("pause", &[]),
        Act::Resume => plain("resume", &[]),
        Act::Update => plain("update", &["--pids-limit", "1000"]),
        Act::Term => signal("TERM"),
        Act::Kill => signal("KILL"),
        // The program ends by itself.
        Act::End => {
            if life == Running {
                end.tell("end");
            }
            container.runtime().arg("--version").output()
        }
        Act::Delete => plain("delete", &[]),
        Act::DeleteForce => plain("delete", &["--force"]),
    }
}

fn named(life: Life) -> &'static str {
    match life {
        Gone => "gone",
        Created => "created",
        Running => "running",
        Paused { .. } => "paused",
        Stopped => "stopped",
    }
}

/// A life of so many acts.
fn live(random: &mut Random, acts: usize, seed: u64, number: u64) {
    let container = Container::sh("read line </end");
    let mut end = container.fifo("end");
    let mut life = Gone;
    let mut story = Vec::new();
    for _ in 0..acts {
        let next = *random.of(&ACTS);
        // Signals that a frozen process has not heard yet make it end when it is thawed: another story.
        if matches!((next, life), (Act::Term, Paused { .. })) {
            continue;
        }
        story.push(next);
        let out = act(&container, &mut end, life, next);
        let before = life;
        let told = || format!("ORLOP_SEED={seed}, life {number}: {story:?} in {before:?}: {out}");
        match expected(life, next) {
            Ok(after) => {
                assert!(out.code == 0, "should work: {}", told());
                if after != life && matches!(after, Stopped | Gone) && life != Stopped {
                    container.forget();
                }
                life = after;
            }
            Err(words) => assert!(out.code != 0 && out.stderr.contains(words), "{words:?}: {}", told()),
        }
        let state = container.command::<&str>("state", &[]).output();
        if life == Gone {
            assert!(state.code == 1 && state.stderr.contains(ABSENT), "{state} after {}", told());
            container.assert_no_leaks();
        } else {
            let status = format!("\"status\":\"{}\"", named(life));
            let text = state.stdout.replace(' ', "");
            assert!(state.code == 0 && text.contains(&status), "{status}: {state} after {}", told());
        }
    }
}

#[test]
fn the_runtime_does_what_the_model_says() {
    need!(runtime::is_orlop(), "the words are ours");
    let random = Random::seeded();
    let lives = if need::in_vm() { 1 } else { 6 };
    orlop_tests::random::in_lanes(2, lives, |number| {
        live(&mut random.nth(number as u64), 40, random.seed, number as u64);
    });
}
