"""Where it was measured."""
import os
import platform
import subprocess
import time

from commands import WORKSPACE


def first(path, begin):
    """What follows a colon in the first line of a file that begins so."""
    with open(path, encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith(begin)), "?")


def describe():
    """Processor, memory, kernel, distribution, load, date; and what is measured there."""
    commit = subprocess.run(["git", "-C", WORKSPACE, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=False)
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    flags = first("/proc/cpuinfo", "flags").split()
    return {
        "processor": first("/proc/cpuinfo", "model name"),
        "processors": os.cpu_count(),
        "virtual": "hypervisor" in flags,
        "memory": int(first("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        "kernel": platform.release(),
        "distribution": release.get("PRETTY_NAME", "?").strip('"'),
        "load": os.getloadavg()[0],
        "commit": commit.stdout.strip() or "?",
        "date": time.strftime("%Y-%m-%d"),
    }
