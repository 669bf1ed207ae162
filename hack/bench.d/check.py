"""Whether the floor's containers are what orlop's are, as far as a container can observe it."""
import difflib
import os
import re

import configs
from commands import run
from runtimes import Floor

# What the container is asked. Numbers of mounts, devices and inodes differ between any two containers.
QUESTIONS = r"""
sed -E 's/^[0-9]+ [0-9]+ 0:[0-9]+ /mount /; s/^[0-9]+ [0-9]+ /mount /' /proc/self/mountinfo | sort
grep -vE '^(Name|Pid|PPid|Tgid|NSpid|NStgid|Vm.*|Rss.*|.*ctxt_switches|SigQ|FDSize):' /proc/self/status
cat /proc/self/cgroup /proc/self/limits
cat /proc/1/sessionid 2>/dev/null
hostname; env | sort; pwd; umask; id
ls -lnR /dev | sed -E 's/ [A-Z][a-z]{2} +[0-9]+ +[0-9:]+ / /'; for n in 0 1 2 3 4 5; do readlink /proc/1/fd/$n; done
cat /proc/net/dev | cut -d: -f1; ip link show lo
cat /proc/keys /proc/timer_list | wc -c; ls /sys/firmware /proc/acpi
for place in /proc/sys/kernel/hostname /proc/bus/x /file /sys/x /dev/x; do echo >$place; done
for n in 1:3:c 1:11:c 7:0:b; do IFS=:; set -- $n; mknod /dev/node-$1 $3 $1 $2; done; unset IFS
for device in null zero full random urandom tty ptmx; do true </dev/$device; done
exit 0
"""


def observed(argv, host):
    """What a container answers, and which namespaces of the host it shares."""
    text = run(argv)
    shared = [kind for kind, link in re.findall(r"^(\w+) (\w+:\[\d+\])$", text, re.M) if link == host[kind]]
    text = re.sub(r"^\w+ \w+:\[\d+\]\n", "", text, flags=re.M)
    return re.sub(r"pipe:\[\d+\]", "pipe", text).replace("/bin/sh:", "sh:") + f"shared namespaces: {shared}\n"


def differences(stage, runtime):
    """Lines of a diff between the floor's container and a runtime's; none if all is well."""
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
    host = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
    links = "; ".join(f"echo {kind} $(readlink /proc/self/ns/{kind})" for kind in kinds)
    script = f"exec 2>&1\n{links}\n{QUESTIONS}"
    answers = []
    for who in (Floor(), runtime):
        bundle = configs.make_bundle(os.path.join(stage.home, "check"), stage.root, configs.default(["sh", "-c", script]))
        argv = who.run(bundle, "bench-check")
        if isinstance(who, Floor):
            argv[-1:] = ["/bin/sh", "-c", script]
        try:
            answers.append(observed(argv, host).splitlines())
        finally:
            who.remove("bench-check")
    return list(difflib.unified_diff(*answers, "floor", runtime.name, lineterm="")), answers[0]
