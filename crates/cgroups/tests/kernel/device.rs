//! The device program decides what may be opened.

use orlop_spec::Resources;

use crate::support::{Sandbox, run};

const ONLY_NULL: &str = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]}"#;

#[test]
fn a_program_denies_opening_a_device_that_is_not_listed() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.plan(ONLY_NULL));
    let (done, text) = run(&cgroup, "exec 3<>/dev/null && echo opened");
    assert!(done && text.contains("opened"), "{text}");
    for script in ["exec 3</dev/zero", "mknod /tmp/orlop-never c 1 3"] {
        let (done, text) = run(&cgroup, script);
        assert!(!done && text.contains("not permitted"), "{script}: {text}");
    }
}

#[test]
fn an_update_replaces_the_program() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.plan(ONLY_NULL));
    let open_zero = || run(&cgroup, "exec 3</dev/zero").0;
    assert!(!open_zero());
    cgroup.set_devices(&sandbox.free().devices).unwrap();
    assert!(open_zero());
    cgroup.set_devices(&sandbox.plan(ONLY_NULL).devices).unwrap();
    assert!(!open_zero());
}

#[test]
fn a_cgroup_that_is_used_again_does_not_keep_its_old_program() {
    let Some(sandbox) = Sandbox::new() else { return };
    sandbox.create("c", &sandbox.plan(ONLY_NULL));
    let again = sandbox.create("c", &sandbox.free());
    assert!(run(&again, "exec 3</dev/zero").0);
}

#[test]
fn the_kernel_takes_a_long_list() {
    let Some(sandbox) = Sandbox::new() else { return };
    let rule = |minor: u32, access: &str| {
        format!(r#"{{"allow":true,"type":"c","major":500,"minor":{minor},"access":"{access}"}}"#)
    };
    let rules: Vec<_> = (0..500).map(|i| rule(i, ["r", "rw", "rwm"][i as usize % 3])).collect();
    let json = format!(r#"{{"devices":[{},{}]}}"#, rules.join(","), rule(1000, "m"));
    let resources: Resources = serde_json::from_str(&json).unwrap();
    assert_eq!(resources.devices.len(), 501);
    let cgroup = sandbox.create("c", &sandbox.plan(&json));
    assert!(!run(&cgroup, "exec 3</dev/zero").0);
}

/// The verifier refuses instructions that nothing leads to, so what ends a program early shows here.
#[test]
fn the_kernel_takes_programs_of_every_shape() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let lists = [
        r#"{"allow":false,"access":"rwm"}"#,
        r#"{"allow":true,"type":"c","access":"m"}"#,
        r#"{"allow":true,"type":"c","access":"m"},{"allow":true,"type":"b","access":"m"}"#,
        r#"{"allow":true,"type":"c","access":"rwm"},{"allow":true,"type":"b","access":"rwm"}"#,
        r#"{"allow":true,"type":"c","access":"r"},{"allow":true,"type":"b","major":8,"access":"r"},{"allow":true,"type":"b","minor":8,"access":"w"}"#,
        r#"{"allow":true,"access":"rwm"},{"allow":false,"type":"c","access":"w"},{"allow":false,"type":"b","access":"w"}"#,
        r#"{"allow":true,"access":"rwm"},{"allow":false,"type":"c","access":"rwm"},{"allow":false,"type":"b","access":"rwm"}"#,
        r#"{"allow":true,"type":"c","major":5000,"access":"rwm"}"#,
    ];
    for list in lists {
        let plan = sandbox.plan(&format!(r#"{{"devices":[{list}]}}"#));
        cgroup.set_devices(&plan.devices).unwrap_or_else(|e| panic!("{list}: {e}"));
    }
}
