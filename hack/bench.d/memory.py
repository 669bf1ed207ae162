"""The smallest memory limit under which `true` still runs."""
import os

import configs
from commands import Failed, run
from runtimes import CGROUPS, Floor

UNIT = 8 << 10
HIGHEST = 16 << 20
PATIENCE = 5  # seconds: a runtime whose container was killed for its limit may wait for ever
# Where version 2 has no memory controller, as on hosts that mount both versions, runtimes see version 1; and version 2 beside
# it if they need that, though crun refuses it.
VERSION_1 = """umount -l /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup && sed -n 's/^[1-9][0-9]*:\\([^:]*\\):.*/\\1/p' \
/proc/self/cgroup | while read -r name; do d=/sys/fs/cgroup/${name#name=}; mkdir -p "$d"; case $name in name=*) o=none,$name ;; \
*) o=$name ;; esac; mount -t cgroup -o "$o" none "$d" || exit 1; done; %s exec "$@" """
BESIDE = "mkdir /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified &&"
VIEWS = {"version 1": VERSION_1 % "", "both versions": VERSION_1 % BESIDE}


def views():
    """The views of cgroups that have a memory controller."""
    with open(os.path.join(CGROUPS, "cgroup.controllers"), encoding="ascii") as file:
        return ["version 2"] if "memory" in file.read().split() else list(VIEWS)


def runs(stage, runtime, limit, view):
    """Nothing if `true` runs under a limit, three times out of three; else why it does not."""
    bundle = configs.make_bundle(os.path.join(stage.home, "memory"), stage.root, configs.with_memory_limit(["true"], limit))
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", VIEWS[view], "sh"] if view in VIEWS else []
    for _ in range(3):
        try:
            run(within + runtime.run(bundle, "bench-memory-" + runtime.name), limit=PATIENCE)
        except Failed as error:
            try:
                run(within + runtime.argv("delete", "--force", "bench-memory-" + runtime.name), limit=PATIENCE)
            except Failed:
                pass
            return error
    return None


def smallest(stage, runtime, view):
    """Bytes: doubled until it works, then the interval halved."""
    works, fails = 16, 0
    while runs(stage, runtime, works * UNIT, view):
        works, fails = works * 2, works
    while works - fails > 1:
        middle = (works + fails) // 2
        if runs(stage, runtime, middle * UNIT, view):
            fails = middle
        else:
            works = middle
    return works * UNIT


def measure(stage, found):
    """Every runtime's smallest limit."""
    results = {}
    for runtime in found:
        if isinstance(runtime, Floor):
            continue
        for view in views():
            why = runs(stage, runtime, HIGHEST, view)
            if not why:
                results[runtime.name] = {"bytes": smallest(stage, runtime, view), "view": view}
                break
            results[runtime.name] = {"cannot": str(why)}
    return results

