//! `linux.netDevices`: devices of the host that move into the container. The host's network is one that the test made.
use orlop_tests::{Container, Invocation, need, runtime, spec};
use serde_json::{Value, json};

/// Runs what follows in a network of its own, in which `script` has made devices.
fn network(script: &str) -> Vec<String> {
    ["unshare", "--net", "sh", "-ec", &format!("{script}; exec \"$@\""), "sh"].map(str::to_owned).into()
}

/// Two ends of a cable, which every kernel with containers has.
const VETH: &str = "ip link add host0 type veth peer name other0";

fn moving(script: &str, devices: Value) -> Container {
    let mut container = Container::sh(script);
    container.set("/linux/netDevices", devices);
    container
}

fn run_in(container: &Container, made: &str) -> Invocation {
    container.with_bundle::<&str>("run", &[]).within(&network(made))
}

#[test]
fn a_device_moves_and_comes_up() {
    let container = moving("ip -o link show; ls /sys/class/net", json!({"host0": {}}));
    let out = run_in(&container, VETH).ok();
    assert!(out.stdout.contains(": host0@") && out.stdout.contains("UP"), "{out}");
    assert!(out.stdout.ends_with("host0\nlo\n"), "{out}");
}

#[test]
fn it_leaves_the_hosts_network() {
    let container = moving("grep -c eth0: /proc/net/dev", json!({"host0": {"name": "eth0"}}));
    let out = run_in(&container, &format!("{VETH}; \"$@\"; grep -c host0: /proc/net/dev; exit")).output();
    // `run` has ended: a virtual device ends with its namespace.
    assert_eq!(out.stdout, "1\n0\n", "{out}");
}

#[test]
fn it_keeps_what_it_had() {
    let made = format!(
        "{VETH}; ip link set host0 mtu 1789 address 00:11:22:33:44:55 up; ip link set other0 up; \
         ip address add 169.254.169.77/32 dev host0; ip address add 10.9.8.7/24 broadcast 10.9.8.255 dev host0; \
         ip address add 10.0.0.1 peer 10.0.0.2/32 dev host0; ip address add 127.0.0.33/8 scope host dev host0; \
         ip address add 10.1.1.1/24 valid_lft 1000 preferred_lft 1000 dev host0; \
         ip -6 address add fd00::77/64 nodad dev host0"
    );
    let container = moving("ip address show dev ctr0", json!({"host0": {"name": "ctr0"}}));
    let out = run_in(&container, &made).ok();
    for kept in [
        "mtu 1789",
        "link/ether 00:11:22:33:44:55",
        "inet 169.254.169.77/32 ",
        "inet 10.9.8.7/24 brd 10.9.8.255 ",
        "inet 10.0.0.1 peer 10.0.0.2/32 ",
        "inet6 fd00::77/64 scope global",
        "UP",
    ] {
        assert!(out.stdout.contains(kept), "{kept}: {out}");
    }
    for gone in ["127.0.0.33", "10.1.1.1"] {
        assert!(!out.stdout.contains(gone), "{gone}: {out}");
    }
}

#[test]
fn several_move_and_the_kernel_may_number_them() {
    let made = format!("{VETH}; ip link add third type veth peer name fourth");
    let devices =
        json!({"host0": {"name": "net%d"}, "other0": {"name": "net%d"}, "third": {"name": "host0"}});
    let container = moving("ls /sys/class/net", devices);
    assert_eq!(run_in(&container, &made).ok().stdout, "host0\nlo\nnet0\nnet1\n");
}

#[test]
fn devices_move_into_a_user_namespace() {
    let mut container = moving("ip -o link show dev eth0", json!({"host0": {"name": "eth0"}}));
    spec::add_user_namespace(&mut container.bundle.config, &[(0, spec::HOST_ID, 65536)]);
    spec::bind_sys(&mut container.bundle.config);
    assert!(run_in(&container, VETH).ok().stdout.contains("UP"));
}

#[test]
fn devices_move_into_a_joined_namespace_and_stay_there() {
    let mut container = moving("ip -o link show dev eth0", json!({"host0": {"name": "eth0"}}));
    // The namespace of a process that lives as long as the shell below does.
    let path = container.home().join("netns");
    std::fs::write(&path, "").expect("a new file");
    container.set("/linux/namespaces/1", json!({"type": "network", "path": path}));
    let made = format!(
        "{VETH}; unshare --net sh -c 'mount --bind /proc/self/ns/net {p}; ip link add taken type veth peer name eth1'; \
         trap 'umount {p}' EXIT; \"$@\"; nsenter --net={p} ip -o link show dev eth0; exit",
        p = path.display()
    );
    let wrapper = [vec!["unshare".to_owned(), "--mount".to_owned()], network(&made)].concat();
    let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
    assert_eq!(out.stdout.matches(": eth0@").count(), 2, "{out}");
    // A name that is taken there is found out before the device is moved.
    container.set("/linux/netDevices/host0/name", "eth1");
    let made = made
        .replace("\"$@\";", "\"$@\" || ip -o link show dev host0; echo $?;")
        .replace("show dev eth0", "show dev eth1");
    let wrapper = [vec!["unshare".to_owned(), "--mount".to_owned()], network(&made)].concat();
    let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).output();
    assert!(out.stdout.contains(": host0@") && out.stderr.contains("EEXIST"), "{out}");
}

#[test]
fn what_cannot_be_moved_is_named_and_nothing_is_left() {
    need!(runtime::is_orlop(), "other words than orlop's");
    for (devices, words) in [
        (json!({"nowhere": {}}), "link not found for interface nowhere (/linux/netDevices/nowhere"),
        (json!({"host0": {"name": "lo"}}), "two network devices named \"lo\""),
        (json!({"host0": {"name": "a:b"}}), "invalid network device name \"a:b\""),
        (json!({"br0": {}}), "br0"),
    ] {
        let container = moving("echo ran", devices);
        let out =
            run_in(&container, &format!("{VETH}; ip link add br0 type bridge")).output().fails_with(words);
        assert!(!out.stdout.contains("ran"), "{out}");
        container.assert_no_leaks();
    }
    let mut container = moving("echo ran", json!({"host0": {}}));
    container.bundle.remove_namespace("network");
    run_in(&container, VETH).output().fails_with("needs a network namespace");
    container.push("/linux/namespaces", json!({"type": "network", "path": "/proc/self/ns/net"}));
    run_in(&container, VETH).output().fails_with("is the host's own");
}

#[test]
fn hooks_find_the_device_in_its_place() {
    let mut container = moving(":", json!({"host0": {"name": "eth0"}}));
    let found = container.home().join("found");
    let script = format!("grep -c eth0: /proc/net/dev >{}", found.display());
    container.push("/hooks/createRuntime", json!({"path": "/bin/sh", "args": ["sh", "-c", format!(
        "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); nsenter --target $pid --net sh -c '{script}'")]}));
    run_in(&container, VETH).ok();
    assert_eq!(std::fs::read_to_string(found).expect("the hook ran"), "1\n");
}
