//! Random configs, run by orlop and by runc: what the container's process sees of itself has to be the same.
//!
//! A config is made from a number, so a failure can be had again: `ORLOP_SEEDS=17..18`. Differences that are meant are in
//! [`normal`] and [`MEANT`], with the reason.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Invocation, Output, need, runtime};
use serde_json::{Value, json};

/// Random numbers (`SplitMix64`): the same for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[(self.next() % of.len() as u64) as usize].clone()
    }

    /// Each with a chance of one half, in their order.
    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.once_in(2)).cloned().collect()
    }
}

/// What the process tells of itself.
const TELL: &str = r#"
grep -E '^(Umask|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/self/status
cat /proc/self/limits /proc/self/oom_score_adj
sed 's/^/cgroup /' /proc/self/cgroup
sed 's/^/mount /' /proc/self/mountinfo
for n in /proc/self/ns/*; do echo "ns ${n##*/} $(readlink $n)"; done
echo "host $(hostname)"; pwd; env | sort
ls -lAn /dev | awk '{ print "dev", $1, $3, $4, $5, $6 ~ /^[0-9]+$/ && $5 ~ /,/ ? $6 : "", $NF }' | grep -v ' total'
for s in net/ipv4/ip_forward net/ipv4/ping_group_range kernel/msgmax kernel/shm_rmid_forced; do echo "sysctl $s $(cat /proc/sys/$s 2>&1)"; done
for p in /proc/keys /proc/timer_list /proc/sysrq-trigger /sys/firmware /proc/bus /tmp/extra0 /tmp/extra1; do
    echo "path $p $(stat -c '%F %a %u' $p 2>&1) $(test -w $p && echo writable)"; done
for f in pids/pids.max memory/memory.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us pids.max memory.max cpu.max cpu.weight; do
    test ! -e /sys/fs/cgroup/$f || echo "limit $f $(cat /sys/fs/cgroup/$f)"; done
mkdir /dev/shm/x; chmod 700 /dev/shm/x; stat -c 'made %a' /dev/shm/x 2>&1; sync && echo synced
"#;

const CAPABILITIES: [&str; 8] = [
    "CAP_CHOWN",
    "CAP_KILL",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_AUDIT_WRITE",
    "CAP_MKNOD",
];

/// A config that both runtimes take.
fn change(container: &mut Container, dice: &mut Dice) {
    process(container, dice);
    let users = dice.once_in(4);
    namespaces(container, dice, users);
    mounts(container, dice);
    container.set("/root/readonly", dice.once_in(2));
    let masked = dice.some(&["/proc/keys", "/proc/timer_list", "/sys/firmware", "/nothing", "/proc/scsi"]);
    let readonly = dice.some(&["/proc/bus", "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/nothing"]);
    container.set("/linux/maskedPaths", masked).set("/linux/readonlyPaths", readonly);
    if dice.once_in(3) {
        container.set("/linux/resources/pids/limit", 50 + dice.next() % 50);
    }
    if dice.once_in(3) {
        container.set("/linux/resources/memory/limit", (64 + dice.next() % 64) << 20);
    }
    if dice.once_in(3) {
        container.set(
            "/linux/resources/cpu",
            json!({"shares": 512 + dice.next() % 512, "quota": 50_000, "period": 100_000}),
        );
    }
    if dice.once_in(2) {
        let names = dice.some(&["mkdir", "mkdirat", "chmod", "fchmodat", "sync", "swapon"]);
        let errno = dice.one(&[1, 13, 38]);
        let rule = json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno});
        let rules = if names.is_empty() { json!([]) } else { json!([rule]) };
        container.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}));
    }
}

fn process(container: &mut Container, dice: &mut Dice) {
    let (uid, gid) = (dice.one(&[0, 0, 1, 1000]), dice.one(&[0, 5, 1000]));
    container.set("/process/user", json!({"uid": uid, "gid": gid}));
    if dice.once_in(2) {
        container.set("/process/user/additionalGids", dice.some(&[4, 24, 2000, 3000]));
    }
    if dice.once_in(2) {
        container.set("/process/user/umask", dice.one(&[0o22, 0o77, 0o2]));
    }
    let bounding = dice.some(&CAPABILITIES);
    let permitted = dice.some(&bounding);
    let effective = dice.some(&permitted);
    let inheritable = if dice.once_in(2) { dice.some(&permitted) } else { vec![] };
    let ambient = dice.some(&inheritable);
    for (set, names) in [
        ("bounding", bounding),
        ("permitted", permitted),
        ("effective", effective),
        ("inheritable", inheritable),
        ("ambient", ambient),
    ] {
        container.set(&format!("/process/capabilities/{set}"), names);
    }
    container.set("/process/noNewPrivileges", dice.once_in(2));
    container.set("/process/cwd", dice.one(&["/", "/tmp", "/root", "/new/dir"]));
    container.push("/process/env", "LAST=one").push("/process/env", "WORDS=a b");
    if dice.once_in(3) {
        container.push("/process/env", "HOME=/elsewhere");
    }
    if dice.once_in(3) {
        container.set("/process/oomScoreAdj", dice.one(&[0, 100, 1000]));
    }
    let limits =
        [("RLIMIT_NOFILE", 512), ("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 900), ("RLIMIT_FSIZE", 1 << 30)];
    let limits = dice.some(&limits).into_iter();
    let limits: Vec<Value> = limits
        .map(|(kind, hard)| json!({"type": kind, "hard": hard, "soft": hard / (1 + dice.next() % 2)}))
        .collect();
    container.set("/process/rlimits", limits);
}

fn namespaces(container: &mut Container, dice: &mut Dice, users: bool) {
    if dice.once_in(2) {
        container.push("/linux/namespaces", json!({"type": "cgroup"}));
    }
    if users {
        add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    }
    if dice.once_in(2) {
        container.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "65536"}));
    }
    container.set("/hostname", dice.one(&["box", "other-name", "a.b.c"]));
}

fn mounts(container: &mut Container, dice: &mut Dice) {
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    let source = source.to_string_lossy().into_owned();
    for number in 0..dice.next() % 3 {
        let mut options = dice.some(&["nosuid", "nodev", "noexec", "ro"]);
        options.push(dice.one(&["noatime", "relatime", "strictatime", "rw"]));
        let place = format!("/tmp/extra{number}");
        if dice.once_in(2) {
            options.push(dice.one(&["bind", "rbind"]));
            options.push(dice.one(&["rprivate", "rslave", "private", "rw"]));
            container.push("/mounts", json!({"destination": place, "source": source, "options": options}));
        } else {
            let mode = dice.one(&[0o1777, 0o750, 0o755]);
            options.push(dice.one(&["size=1m", "nr_inodes=100"]));
            // Old versions of runc take the mode of a directory that is there over the option's.
            let directory = container.bundle.rootfs().join(place.trim_start_matches('/'));
            fs::create_dir(&directory).expect("a new directory");
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("it is ours");
            let text = format!("mode={mode:o}");
            options.push(&text);
            let mount = json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options});
            container.push("/mounts", mount);
        }
    }
    if dice.once_in(3) {
        container.set("/linux/rootfsPropagation", dice.one(&["private", "rslave", "rprivate"]));
    }
}

/// Runs it by a runtime.
fn run(container: &Container, program: &Path) -> Output {
    container.bundle.save();
    Invocation::new(program, &container.io())
        .env("ORLOP_TEST", &container.id)
        .arg("--root")
        .arg(container.state_root())
        .args(["run", "--bundle", &container.bundle.path().to_string_lossy(), &container.id])
        .output()
}

/// The text without what differs from run to run, and without what is meant to differ.
fn normal(container: &Container, text: &str) -> String {
    let config = &container.bundle.config;
    let all = |pointer: &str| config.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let sees_own_cgroup = all("/linux/namespaces").any(|namespace| namespace["type"] == "cgroup");
    let has_open_files = all("/process/rlimits").any(|limit| limit["type"] == "RLIMIT_NOFILE");
    let shares = config.pointer("/linux/resources/cpu/shares").and_then(Value::as_f64);
    let mut lines = vec![];
    for line in text.lines() {
        let line = line.replace(&container.id, "ID");
        let words: Vec<&str> = line.split(' ').collect();
        let line = match words[0] {
            // Without a cgroup namespace, version 2 shows orlop's container its own cgroup, and runc's the whole machine's.
            "mount" if !sees_own_cgroup && line.contains(" - cgroup2 ") => {
                format!("mount cgroup2 {}", words[6])
            }
            "limit" if !sees_own_cgroup && words[1].split_once('/').is_none() => continue,
            "limit" if words[1] == "cpu.weight" => weight(&line, words[2], shares),
            // The soft one, if nobody sets it, is the caller's with orlop. Go raises it, and old versions of runc leave that so.
            "Max" if line.starts_with("Max open files") && !has_open_files => {
                format!("Max open files {:?}", line.split_whitespace().nth(4))
            }
            "mount" => mount(&words),
            "ns" => {
                let host = fs::read_link(format!("/proc/self/ns/{}", words[1]));
                let same = host.is_ok_and(|host| host.to_string_lossy() == words[2]);
                format!("ns {} {}", words[1], if same { "the host's" } else { "its own" })
            }
            // Both make it together with the IPC namespace: runc as root of the user namespace, orlop before anybody is.
            "dev" if line.ends_with(" mqueue") => "dev mqueue".to_owned(),
            _ => line,
        };
        lines.push(line);
    }
    // Mounts that do not lie on each other are made in no order that anybody has asked for.
    lines.sort();
    lines.join("\n")
}

/// The weight that CPU shares become: runc 1.1 has an older formula than orlop and later versions of runc.
fn weight(line: &str, weight: &str, shares: Option<f64>) -> String {
    let Some(shares) = shares else { return line.to_owned() };
    let (log, old) = (shares.log2(), 1.0 + ((shares - 2.0) * 9999.0 / 262_142.0).trunc());
    let new = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    let is_one = [old, new].iter().any(|known| weight == known.to_string());
    if is_one { format!("limit cpu.weight of {shares} shares") } else { line.to_owned() }
}

/// A line of mountinfo, without numbers.
fn mount(words: &[&str]) -> String {
    // mount ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [PROPAGATION…] - TYPE SOURCE OPTIONS
    let rest = words[4..].iter().map(|word| {
        word.split_once(':').map_or(*word, |(kind, number)| {
            if number.bytes().all(|b| b.is_ascii_digit()) { kind } else { word }
        })
    });
    let line = format!("mount {}", rest.collect::<Vec<_>>().join(" "));
    // Some kernels say that each tmpfs has numbers of 64 bits.
    let line = line.replace(&format!(",uid={HOST_ID},gid={HOST_ID}"), "").replace(",inode64", "");
    let meant = MEANT.iter().find(|(ours, theirs, _)| line.ends_with(ours) || line.ends_with(theirs));
    meant.map_or(line.clone(), |(.., why)| format!("mount {}, {why}", words[5]))
}

/// Mounts that are meant to differ: how they end with orlop, with runc, and why.
const MEANT: [(&str, &str, &str); 3] = [
    (
        " /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755",
        " /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755",
        "read-only if that is asked for",
    ),
    (" - cgroup cgroup rw,name=systemd", " - cgroup systemd rw,name=systemd", "the source is a name only"),
    (
        " ro,relatime - tmpfs none rw",
        " ro,relatime - tmpfs tmpfs ro",
        "all masked directories are one file system, read-only as a mount",
    ),
];

fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("ORLOP_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    // The test VM is ten times slower.
    range.map_or(0..if need::in_vm() { 6 } else { 25 }, |(from, to)| {
        from.parse().expect("a number")..to.parse().expect("a number")
    })
}

#[test]
fn a_process_sees_of_itself_what_it_sees_with_runc() {
    let runc = runtime::in_path(Path::new("runc"));
    need!(runtime::is_orlop() && runc.is_some(), "runc is not installed");
    let runc: PathBuf = runc.expect("just looked");
    let (mut different, mut alike, mut refused) = (vec![], 0, 0);
    for seed in seeds() {
        let mut container = Container::sh(TELL);
        change(&mut container, &mut Dice(seed));
        let ours = run(&container, runtime::binary());
        let theirs = run(&container, &runc);
        // Old versions lack much in user namespaces; that orlop has it is no difference.
        if theirs.code != 0 && ours.code == 0 {
            assert!(theirs.stderr.contains("runc"), "{theirs}");
            refused += 1;
            continue;
        }
        let (a, b) = (normal(&container, &ours.stdout), normal(&container, &theirs.stdout));
        if a == b && ours.code == theirs.code {
            alike += 1;
            continue;
        }
        let only = |a: &str, b: &str| -> String {
            let lines: Vec<&str> = a.lines().filter(|line| !b.lines().any(|other| other == *line)).collect();
            lines.join("\n")
        };
        let (mine, its) = (only(&a, &b), only(&b, &a));
        let codes = (ours.code, theirs.code);
        different.push(format!(
            "seed {seed} {codes:?}\n{}{}--- orlop\n{mine}\n--- runc\n{its}\n",
            ours.stderr, theirs.stderr
        ));
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(alike > refused, "{alike} alike, but {refused} that only orlop took");
}
