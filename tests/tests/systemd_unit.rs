//! The unit in `docs/guides/systemd.md`, started and stopped as it stands there.
use std::fs;

use orlop_tests::systemd::{show, systemctl};
use orlop_tests::{Container, need_systemd, runtime};

#[test]
fn the_guides_unit_runs_a_container() {
    need_systemd!();
    let container =
        Container::sh("trap 'exit 143' TERM; echo served >/events; while :; do sleep 1000 & wait $!; done");
    let mut events = container.fifo("events");
    container.bundle.save();
    let page = fs::read_to_string(runtime::workspace().join("docs/guides/systemd.md")).expect("the guide");
    let unit = page.split("```ini\n").nth(1).and_then(|rest| rest.split_once("```")).expect("a unit").0;
    let orlop = runtime::binary().display().to_string();
    let bundle = container.bundle.path().display().to_string();
    let unit = unit
        .replace("/usr/local/bin/orlop", &orlop)
        .replace("/srv/web", &bundle)
        .replace(" web\n", &format!(" {}\n", container.id));
    let (name, scope) = (format!("{}.service", container.id), format!("orlop-{}.scope", container.id));
    let places = systemctl(&["show", "--value", "--property", "UnitPath"]);
    let place =
        places.split_whitespace().find(|place| place.starts_with("/run/")).expect("a place for a while");
    fs::create_dir_all(place).expect("root may");
    let path = format!("{place}/{name}");
    fs::write(&path, unit).expect("a new unit");
    systemctl(&["daemon-reload"]);

    systemctl(&["start", &name]);
    assert_eq!(events.line(), "served");
    assert_eq!((show(&name, "ActiveState"), show(&scope, "ActiveState")), ("active".into(), "active".into()));
    systemctl(&["stop", &name]);
    assert_eq!((show(&name, "ActiveState"), show(&name, "Result")), ("inactive".into(), "success".into()));
    assert_eq!(show(&scope, "ActiveState"), "inactive");

    fs::remove_file(path).expect("it is ours");
    systemctl(&["daemon-reload"]);
}
