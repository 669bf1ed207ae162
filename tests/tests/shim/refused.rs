//! Options and requests that are refused, and peers that mean no good.

use orlop_protobuf::Message as _;
use orlop_tests::Container;
use orlop_tests::shim::frame;
use orlop_tests::shim::messages::{Any, Create, Empty, Generic, Options, State};

use crate::stage::{EXHAUSTED, INVALID, Stage, UNIMPLEMENTED, UNKNOWN, any};

#[test]
fn what_cannot_be_created_leaves_nothing_and_its_id_free() {
    let mut stage = Stage::new(Container::sh("exit 5"));
    let other = Options { binary_name: "/usr/bin/runc".into(), ..Options::default() };
    let options = Some(Any { type_url: "containerd.runc.v1.Options".into(), value: other.encode() });
    let request = Create { options, ..stage.request() };
    assert_eq!(stage.refused("Create", &request), INVALID);
    for unknown in ["", "type.googleapis.com/", "x/"].map(|prefix| format!("{prefix}somebody.elses.Options"))
    {
        let request = Create { options: Some(any(&unknown, &other)), ..stage.request() };
        assert_eq!(stage.refused("Create", &request), INVALID);
    }
    for body in ["Strange = true", "BinaryName = '/usr/bin/runc'", "[runc]", "TypeUrl = 'x'"] {
        let generic = Generic { config_body: body.into(), ..Generic::default() };
        let options = Some(any("runtimeoptions.v1.Options", &generic));
        let request = Create { options, ..stage.request() };
        assert_eq!(stage.refused("Create", &request), INVALID, "{body}");
    }
    let options = Some(Any { type_url: "containerd.runc.v1.Options".into(), value: vec![0xff; 9] });
    let request = Create { options, ..stage.request() };
    assert_eq!(stage.refused("Create", &request), INVALID, "no message");
    let request = Create { stdout: "tcp://127.0.0.1:1".into(), ..stage.request() };
    assert_eq!(stage.refused("Create", &request), INVALID);
    let request = Create { stdout: stage.text("no-fifo"), ..stage.request() };
    assert_eq!(stage.refused("Create", &request), UNKNOWN);
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 5);
    stage.delete(&first);
}

#[test]
fn hostile_peers_harm_nobody_else() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let first = stage.which();
    assert_eq!(stage.refused("Dance", &first), UNIMPLEMENTED);
    stage.client.service = "containerd.runtime.sandbox.v2.Sandbox";
    assert_eq!(stage.refused("CreateSandbox", &first), UNIMPLEMENTED);
    stage.client.service = "containerd.task.v3.Task";

    let mut long = stage.shim.connect();
    long.send_bytes(&frame(1, 1, &vec![0; (4 << 20) + 1]));
    assert_eq!(long.answer::<Empty>().unwrap_err().code, EXHAUSTED);
    long.call::<State>("State", &first).expect("the connection is as good as before");
    let mut malformed = stage.shim.connect();
    malformed.send_bytes(&frame(1, 1, &[0xff; 100]));
    assert_eq!(malformed.answer::<Empty>().unwrap_err().code, INVALID);
    let mut even = stage.shim.connect();
    even.send_bytes(&frame(2, 1, b""));
    assert_eq!(even.answer_to::<Empty>(2).unwrap_err().code, INVALID);
    // Garbage, whose first bytes are the length of a frame that never ends; of unknown kinds; cut off.
    stage.shim.connect().send_bytes(&vec![0xff; 100_000]);
    stage.shim.connect().send_bytes(&frame(1, 77, b"what"));
    stage.shim.connect().send_bytes(&frame(1, 3, b"data"));
    stage.shim.connect().send_bytes(&frame(1, 1, &[1; 100])[..50]);
    stage.shim.connect().send_bytes(&[0]);
    // One who asks and never listens.
    let mut deaf = stage.shim.connect();
    for _ in 0..1000 {
        deaf.send("Wait", &first);
    }

    assert_eq!(stage.status(&first), 2, "running");
    stage.kill(9);
    assert_eq!(stage.wait(&first), 137);
    stage.delete(&first);
}

#[test]
fn options_of_a_runtime_that_containerd_does_not_know_are_those_of_runc() {
    let mut stage = Stage::new(Container::sh("stat -L -c %g /proc/self/fd/1"));
    let mut stdout = stage.fifo("out");
    let body = format!(
        "Root = \"{}\"\nIoUid = 7\nIoGid = 8\nNoPivotRoot = true\n",
        stage.container.home().display()
    );
    let file = stage.path("options.toml");
    std::fs::write(&file, &body).unwrap();
    for generic in [
        Generic { config_body: body.into(), ..Generic::default() },
        Generic { config_path: file.to_string_lossy().into_owned(), ..Generic::default() },
    ] {
        let options = Some(any("runtimeoptions.v1.Options", &generic));
        let request = Create { stdout: stage.text("out"), options, ..stage.request() };
        assert_eq!(stage.run(&request), 0);
        // The user is the container's own, whatever the options say.
        assert_eq!(stdout.line(), "8");
    }
}
