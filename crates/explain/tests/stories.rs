//! Stories of whole configs, in every form.
#![allow(missing_docs, clippy::unwrap_used)]

use orlop_explain::Assumptions;
use orlop_explain::explain::{Story, diff, html, mermaid, tell, text};
use orlop_explain::filter::{Call, Filter};
use orlop_explain::page::{PLAIN, Page};
use orlop_runtime::{ContainerId, CreateOptions, Planned, Runtime, Settings};
use orlop_seccomp::Arch;
use std::path::Path;

/// A config of the compiler's tests, compiled for a machine as there are many.
fn plan(config: &str, facts: &str) -> (Planned, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    let text = match config {
        "default" => serde_json::to_string_pretty(&orlop_spec::default_spec(false)).unwrap(),
        name => {
            let data = format!("{}/../compile/tests/data/{name}.json", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(data).unwrap()
        }
    };
    std::fs::write(&file, text).unwrap();
    let root = Some(directory.path().join("state"));
    let runtime = Runtime::new(Settings { root, ..Settings::default() }).unwrap();
    let assumptions = Assumptions::parse(facts).unwrap();
    let options = CreateOptions { bundle: directory.path().to_owned(), ..CreateOptions::default() };
    let mut assumed = Vec::new();
    let replace = &mut |spec: &orlop_spec::Spec, host: &mut orlop_compile::Host| {
        assumed = assumptions.apply(spec, host);
    };
    let planned = runtime.plan(&ContainerId::new("c1").unwrap(), &options, replace).unwrap();
    let bundle = Path::new("/bundle");
    // The directory's name is another one each time.
    let planned = Planned { file: bundle.join("config.json"), ..planned };
    (planned, assumed)
}

fn story(config: &str) -> Story {
    let (planned, assumed) = plan(config, "typical");
    let real = planned.bundle.display().to_string();
    let mut story = tell(&planned, assumed);
    let steps = story.groups.iter_mut().flat_map(|group| &mut group.steps);
    for entry in steps {
        entry.does = entry.does.replace(&real, "/bundle");
        entry.calls.iter_mut().for_each(|call| *call = call.replace(&real, "/bundle"));
    }
    story
}

#[test]
fn the_default_config_as_text() {
    insta::assert_snapshot!(text::render(&story("default"), &PLAIN));
}

#[test]
fn a_config_like_dockers_as_text() {
    insta::assert_snapshot!(text::render(&story("docker"), &PLAIN));
}

#[test]
fn a_config_like_podmans_with_a_user_namespace_as_text() {
    insta::assert_snapshot!(text::render(&story("podman"), &PLAIN));
}

#[test]
fn the_default_config_as_json() {
    insta::assert_snapshot!(story("default").json());
}

#[test]
fn the_default_config_as_html() {
    let page = html::render(&story("default"));
    assert!(!page.contains("http") && !page.contains("<script"), "nothing from elsewhere");
    insta::assert_snapshot!(page);
}

#[test]
fn a_config_like_dockers_as_a_diagram() {
    insta::assert_snapshot!(mermaid::render(&story("docker")));
}

#[test]
fn two_configs_compared() {
    let (default, docker) = (story("default"), story("docker"));
    insta::assert_snapshot!(diff::compare(&default, &docker).text(&PLAIN));
    let same = diff::compare(&docker, &docker);
    assert!(same.changes.is_empty() && same.moved.is_empty());
    assert!(same.text(&PLAIN).contains("Both make the same container"));
}

#[test]
fn a_moved_mount_is_told() {
    let first = story("default");
    let mut second = first.clone();
    let mounts = second.groups.iter_mut().find(|group| group.title == "Root and mounts").unwrap();
    // Two mounts that come one right after the other.
    let [_, _, a, b, ..] = &mut *mounts.steps else { panic!() };
    std::mem::swap(&mut a.step, &mut b.step);
    assert_eq!(diff::compare(&first, &second).moved.len(), 1);
}

#[test]
fn every_step_has_its_calls_and_where_it_comes_from() {
    for config in ["default", "docker", "k8s", "podman"] {
        let story = story(config);
        for (_, entry) in story.entries() {
            assert!(!entry.calls.is_empty() && !entry.why.is_empty(), "{config}: {entry:?}");
            assert_eq!(entry.place.is_some(), entry.origin.starts_with('/'), "{config}: {entry:?}");
        }
        let mut numbers: Vec<_> = story.entries().filter_map(|(_, entry)| entry.step).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..numbers.len()), "each step is told once");
    }
}

#[test]
fn no_line_is_wider_than_the_page_and_colours_change_nothing_else() {
    let story = story("docker");
    for width in [40, 60, 100] {
        let text = text::render(&story, &Page { width, colour: false });
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
    }
    let plain = text::render(&story, &PLAIN);
    let mut coloured = text::render(&story, &Page { colour: true, ..PLAIN });
    for code in ["1;4", "1", "36", "2", "33", "0"] {
        coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(plain, coloured);
}

#[test]
fn facts_of_other_machines_are_assumed_and_said() {
    let (planned, assumed) = plan("docker", "cgroup=v1,kernel=5.4,user=0,caps=all,apparmor=yes");
    assert_eq!(planned.host.kernel, (5, 4));
    assert!(assumed.iter().any(|said| said == "the kernel is Linux 5.4"), "{assumed:?}");
    let text = text::render(&tell(&planned, assumed), &PLAIN);
    assert!(text.contains("assumed: cgroups are of version 1"), "{text}");
    assert!(text.contains("memory.limit_in_bytes"), "{text}");
}

#[test]
fn a_filter_answers_for_single_calls() {
    let (planned, _) = plan("docker", "typical");
    let filter = Filter::of(&planned).unwrap();
    let host = Arch::host().unwrap();
    let ask = |call: &str| filter.ask(&Call::parse(call).unwrap(), host).unwrap();
    let read = ask("read");
    assert!(
        read.passes && read.pointer.as_deref().is_some_and(|p| p.starts_with("/linux/seccomp/syscalls/")),
        "{read:?}"
    );
    assert!(read.place.is_some_and(|place| place.line > 1));
    let refused = ask("personality(0x1234)");
    assert!(!refused.passes && refused.reason.contains("default action"), "{refused:?}");
    assert_eq!(refused.pointer.as_deref(), Some("/linux/seccomp/defaultAction"));
    let text = filter.disassembly(&PLAIN);
    assert!(text.contains("ret  allow") && text.contains("jeq"), "{text}");
    let (planned, _) = plan("default", "typical");
    assert!(Filter::of(&planned).is_none());
}
