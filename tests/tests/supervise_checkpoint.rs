//! `checkpoint` of containers in the care of a supervisor.
use orlop_tests::criu::{Counter, checkpoint};
use orlop_tests::{Container, need_criu};

fn supervised(change: impl FnOnce(&mut Container)) -> Counter {
    let mut counter = Counter::new();
    change(&mut counter.container);
    counter.container.supervise(&["--restart", "always"]);
    counter.counts(1);
    counter
}

#[test]
fn the_supervisor_records_the_end_and_restarts_nothing() {
    need_criu!();
    for paused in [false, true] {
        let mut counter = supervised(|_| {});
        if paused {
            counter.container.command::<&str>("pause", &[]).ok();
        }
        checkpoint(&counter.container, &[]).ok();
        assert_eq!(counter.container.exit_status(), 128 + 9, "it was killed, as CRIU does it");
        let supervisor = counter.container.supervisor();
        assert_eq!((&supervisor["status"], &supervisor["restarts"]), (&"ended".into(), &0.into()));
        assert_eq!(counter.container.status(), "stopped");
        // It can be run anew, and come back as it was.
        counter.container.command::<&str>("start", &[]).ok();
        counter.counts(1);
        counter.container.command("delete", &["--force"]).ok();
        counter.restore(&[]);
        counter.counts(2);
        counter.ends_as_it_would_have();
    }
}

#[test]
fn one_that_goes_on_keeps_its_supervisor() {
    need_criu!();
    let mut counter = supervised(|_| {});
    checkpoint(&counter.container, &["--leave-running"]).ok();
    counter.counts(2);
    assert_eq!(counter.container.supervisor()["status"], "running");
    counter.container.command("stop", &["--time", "0"]).ok();
    counter.container.delete();
}

#[test]
fn one_that_cannot_be_saved_goes_on() {
    need_criu!();
    let mut counter = supervised(|_| {});
    let images = orlop_tests::criu::images(&counter.container);
    std::fs::write(&images, "").expect("a file in the place of the directory");
    checkpoint(&counter.container, &[]).output().fails_with("images");
    assert_eq!(counter.container.status(), "running");
    counter.counts(2);
    counter.container.command("stop", &["--time", "0"]).ok();
    counter.container.delete();
}
