//! Root file systems, which containerd has the shim mount.

use std::fs;

use orlop_tests::Container;
use orlop_tests::shim::messages::{Create, Mount};

use crate::stage::{INVALID, Stage, UNKNOWN};

fn overlay(options: Vec<String>) -> Mount {
    Mount { kind: "overlay".into(), source: "overlay".into(), options, ..Mount::default() }
}

/// Whether something is mounted at the place of the container's root.
fn mounted(stage: &Stage) -> bool {
    stage.mounts_of_shim().contains(&stage.container.bundle.rootfs().to_string_lossy().into_owned())
}

#[test]
fn a_root_can_have_more_layers_than_fit_in_a_page() {
    let mut container = Container::sh("cat /layer-*");
    container.set("/root/readonly", false);
    let mut stage = Stage::apart(container);
    let mut stdout = stage.fifo("out");
    let layers = (0..40).map(|number| {
        let layer = stage.path(&format!("{}{number}", "a-long-name-".repeat(10)));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(format!("layer-{number:02}")), format!("{number}\n")).unwrap();
        layer
    });
    let mut lower: Vec<_> = layers.map(|layer| layer.to_string_lossy().into_owned()).collect();
    lower.push(stage.container.bundle.rootfs().to_string_lossy().into_owned());
    let place = |name: &str| {
        fs::create_dir(stage.path(name)).unwrap();
        stage.text(name)
    };
    let options = vec![
        format!("upperdir={}", place("upper")),
        format!("workdir={}", place("work")),
        format!("lowerdir={}", lower.join(":")),
    ];
    assert!(options[2].len() > 4096);
    let request = Create { rootfs: vec![overlay(options)], stdout: stage.text("out"), ..stage.request() };
    let created = stage.client.call::<orlop_tests::shim::messages::Pid>("Create", &request);
    if let Err(refused) = created {
        // A kernel before 6.7.
        assert!(refused.message.contains("lowerdir+"), "{refused:?}");
        return orlop_tests::need::skip("this kernel has no lowerdir+");
    }
    stage.start();
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    for number in 0..40 {
        assert_eq!(stdout.line(), number.to_string());
    }
    stage.delete(&first);
    assert!(!mounted(&stage));
}

#[test]
fn a_root_that_cannot_be_mounted_leaves_nothing() {
    let mut stage = Stage::apart(Container::sh("exit 0"));
    let tmpfs = Mount { kind: "tmpfs".into(), source: "tmpfs".into(), ..Mount::default() };
    let outside = Mount { target: "/../x".into(), ..tmpfs.clone() };
    let long = Mount { options: vec!["x".repeat(5000)], ..tmpfs.clone() };
    let layers = overlay(vec![format!("lowerdir=/nowhere{}", ":/nowhere".repeat(500))]);
    for (bad, code) in [(outside, INVALID), (long, INVALID), (layers, UNKNOWN), (overlay(vec![]), UNKNOWN)] {
        let request = Create { rootfs: vec![tmpfs.clone(), bad], ..stage.request() };
        assert_eq!(stage.refused("Create", &request), code);
        assert!(!mounted(&stage));
    }
    let request = stage.request();
    assert_eq!(stage.run(&request), 0);
}
