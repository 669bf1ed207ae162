"""The containers that are measured: configurations and bundles."""
import json
import os
import shutil

from commands import WORKSPACE, built

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
SAFE = ["nosuid", "noexec", "nodev"]
MOUNTS = [
    ("/proc", "proc", "proc", None),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/dev/shm", "tmpfs", "shm", SAFE + ["mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", SAFE),
    ("/sys", "sysfs", "sysfs", SAFE + ["ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", SAFE + ["relatime", "ro"]),
]
# A config of realistic size from the tests, for its Docker-like system call filter.
DOCKER = os.path.join(WORKSPACE, "crates/spec/tests/data/config-docker-like.json")


def default(args):
    """What `spec` writes, without a terminal; and without device rules, which Debian 12's crun cannot make in the view."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": True,
            "capabilities": {name: CAPABILITIES for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": [dict(destination=d, type=t, source=s, **({"options": o} if o else {})) for d, t, s, o in MOUNTS],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def with_seccomp(args):
    """The default with a system call filter like Docker's: 434 names, three architectures."""
    config = default(args)
    with open(DOCKER, encoding="utf-8") as file:
        config["linux"]["seccomp"] = json.load(file)["linux"]["seccomp"]
    return config


def with_userns(args):
    """The default in a user namespace."""
    config = default(args)
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    return config


def like_kubernetes(args, volumes, pod):
    """40 mounts, 120 variables, and the namespaces of a pod: `pod` is the process that holds them."""
    config = default(args)
    del config["hostname"]
    names = sorted(os.listdir(volumes))[:40 - len(MOUNTS)]
    config["mounts"] += [{"destination": f"/volumes/{name}", "type": "bind", "source": os.path.join(volumes, name),
                          "options": ["rbind", "rprivate", "ro"]} for name in names]
    config["process"]["env"] += [f"SERVICE_{number}_PORT=tcp://10.0.0.{number}:80" for number in range(119)]
    for namespace in config["linux"]["namespaces"]:
        file = {"network": "net", "ipc": "ipc", "uts": "uts"}.get(namespace["type"])
        if file:
            namespace["path"] = f"/proc/{pod}/ns/{file}"
    return config


def with_memory_limit(args, limit):
    """The default with a memory limit in bytes."""
    config = default(args)
    config["linux"]["resources"] = {"memory": {"limit": limit}}
    return config


def make_root(path):
    """A root file system of busybox and a program that waits."""
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc", "volumes"):
        os.makedirs(os.path.join(path, name))
    for number in range(40):
        os.mkdir(os.path.join(path, f"volumes/{number:02}"))
    shutil.copy(shutil.which("busybox"), os.path.join(path, "bin/busybox"))
    shutil.copy(built("pause"), os.path.join(path, "bin/pause"))
    for name in ("true", "sh", "cat"):
        os.symlink("busybox", os.path.join(path, "bin", name))


def make_bundle(path, root, config):
    """A bundle that shares a root file system with others."""
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump(dict(config, root={"path": root, "readonly": True}), file)
    return path
