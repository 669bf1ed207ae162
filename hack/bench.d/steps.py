"""Where the time goes: the floor's steps, timed by itself, orlop's (traced.py), and system calls by what they are for."""
import os
import re
import shutil

import traced
from commands import Failed, built, start
from figures import median
from runtimes import Floor

# System calls by what a runtime does with them. In the first, it sleeps while others work: also in clone3, as after vfork(2).
GROUPS = {
    "making processes, waiting for them": "clone3 clone fork vfork poll ppoll epoll_wait epoll_pwait recvmsg recvfrom wait4 waitid futex nanosleep clock_nanosleep",
    "executing programs": "execve execveat",
    "file systems and mounts": "fsopen fsconfig fsmount open_tree move_mount mount_setattr mount umount2 pivot_root",
    "namespaces": "unshare setns sethostname setdomainname socket ioctl bind sendto",
    "device program": "bpf",
    "privileges and limits": "prctl capset capget setgroups setresuid setresgid setuid setgid prlimit64 setrlimit keyctl "
                             "setsid umask sched_setaffinity seccomp",
    "memory": "mmap munmap mprotect brk madvise memfd_create",
}


class FloorSteps:
    """The floor's steps, by as many runs of it as there are rounds."""

    def __init__(self, stage):
        self.log, self.taken = stage.log, {}
        self.argv = [built("floor-steps"), *Floor().run(stage.bundle("default", ["true"]), "bench-steps")[1:]]

    def again(self):
        """One more round."""
        start(self.argv, self.log)
        with open(self.log, encoding="ascii") as file:
            for line in file:
                nanoseconds, name = line.rstrip("\n").split(" ", 1)
                self.taken.setdefault(name, []).append(int(nanoseconds) / 1e6)

    def medians(self):
        """In order: name and milliseconds."""
        return [(name, median(times)) for name, times in self.taken.items()]


def group_of(call):
    """What a system call is for."""
    return next((group for group, calls in GROUPS.items() if call in calls.split()), "files and descriptors")


def of_runtime(stage, runtime, rounds):
    """By group, the median milliseconds that a run spends in system calls, and how many: perf's count, which costs little."""
    if not shutil.which("perf"):
        raise Failed("no perf here (linux-perf)")
    report, argv = os.path.join(stage.home, "trace"), runtime.run(stage.bundle("default", ["true"]), "bench-steps")
    taken, calls = {}, {}
    for _ in range(rounds):
        start(["perf", "trace", "--summary", "--output", report, *argv], stage.log)
        with open(report, encoding="utf-8") as file:
            lines = re.findall(r"^ +(\w+) +(\d+) +\d+ +([\d.]+) ", file.read(), re.M)
        sums = {}
        for call, number, milliseconds in lines:
            count, total = sums.get(group_of(call), (0, 0))
            sums[group_of(call)] = (count + int(number), total + float(milliseconds))
        for group, (count, total) in sums.items():
            taken.setdefault(group, []).append(total)
            calls[group] = count
    return {group: (calls[group], median(times)) for group, times in taken.items()}


def measure(stage, found, rounds):
    """The floor's steps, orlop's, and the groups of every runtime."""
    floor = FloorSteps(stage) if any(isinstance(runtime, Floor) for runtime in found) else None
    try:
        # In the rounds of orlop's runs, where there are any: a noisy machine is then equally noisy for both.
        results = {"groups": {}, "traced": traced.measure(stage, found, rounds, floor.again if floor else None)}
        if floor and not floor.taken:
            for _ in range(rounds):
                floor.again()
    finally:
        Floor().remove("bench-steps")
    results["floor"] = floor.medians() if floor else []
    for runtime in found:
        try:
            results["groups"][runtime.name] = of_runtime(stage, runtime, max(3, rounds // 10))
        except Failed as error:
            results["groups"][runtime.name] = {"cannot": str(error)}
        finally:
            runtime.remove("bench-steps")
    return results
