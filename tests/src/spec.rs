//! The configuration a test starts from: what `spec` of the usual runtimes writes, without a terminal.
use serde_json::{Value, json};

/// Host ids that the user namespaces of tests are mapped to.
pub const HOST_ID: u32 = 100_000;

/// The default configuration.
pub fn default() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": process(),
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "box",
        "mounts": mounts(),
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    })
}

fn process() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": true
    })
}

fn mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
    ])
}

/// Adds a user namespace with `mappings` of (container id, host id, size), the same for users and groups.
pub fn add_user_namespace(config: &mut Value, mappings: &[(u32, u32, u32)]) {
    let mappings: Vec<Value> = mappings
        .iter()
        .map(|(inside, outside, size)| json!({"containerID": inside, "hostID": outside, "size": size}))
        .collect();
    let linux = &mut config["linux"];
    linux["uidMappings"] = json!(mappings);
    linux["gidMappings"] = json!(mappings);
    linux["namespaces"].as_array_mut().expect("a list of namespaces").push(json!({"type": "user"}));
}

/// What `spec --rootless` changes for a user and group that may map themselves only.
pub fn make_rootless(config: &mut Value, uid: u32, gid: u32) {
    config["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    config["linux"]["namespaces"] =
        json!([{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "user"}]);
    config["linux"].as_object_mut().expect("an object").remove("resources");
    bind_sys(config);
    for mount in config["mounts"].as_array_mut().expect("a list of mounts") {
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| !option.as_str().is_some_and(|text| text.starts_with("gid=")));
        }
    }
}

/// Binds the host's `/sys` instead of mounting a new one: only who owns the network namespace may do that.
pub fn bind_sys(config: &mut Value) {
    let mounts = config["mounts"].as_array_mut().expect("a list of mounts");
    mounts.retain(|mount| !mount["destination"].as_str().unwrap_or_default().starts_with("/sys"));
    mounts.push(json!({"destination": "/sys", "type": "none", "source": "/sys",
                       "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}));
}
