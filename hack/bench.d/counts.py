"""What a noisy machine does not change: sizes, system calls, instructions."""
import os
import re

from commands import Failed, built, run, start, tool
from runtimes import Floor

STEPPING = 40  # seconds of single steps, some 100,000 a second
BRIEF = 25  # seconds for --version; whoever takes longer would take minutes for the other commands


def what(stage, runtime):
    """Command lines by name, each with those that make ready for it."""
    short, long, name = stage.bundle("default", ["true"]), stage.bundle("default", ["pause"]), "bench-count-" + runtime.name
    if isinstance(runtime, Floor):
        return {"run": ([], runtime.run(short, name))}
    create, begin = runtime.argv("create", "--bundle", long, name), runtime.argv("start", name)
    return {
        "version": ([], [runtime.binary, "--version"]),
        "run": ([], runtime.run(short, name)),
        "create": ([], create),
        "start": ([create], begin),
        "state": ([create, begin], runtime.argv("state", name)),
        "exec": ([create, begin], runtime.execute(name, ["true"])),
        "delete": ([create, begin], runtime.argv("delete", "--force", name)),
    }


def attempt(stage, runtime, before, count):
    """What `count` finds after the commands that come before it, or why that cannot be; the container goes."""
    try:
        for command in before:
            start(command, stage.log)
        return count()
    except Failed as error:
        return {"cannot": str(error)}
    finally:
        runtime.remove("bench-count-" + runtime.name)


def system_calls(stage, runtime):
    """Those of all processes, the container's own among them; of the runtime's only where a container stays."""
    report = os.path.join(stage.home, "calls")
    wrapper = [tool("strace"), "-q", "-e", "signal=none", "-o", report]

    def count(argv, whole):
        start([*wrapper, *(["-f"] if whole else []), *argv], stage.log)
        with open(report, encoding="utf-8", errors="replace") as file:
            return sum("(" in line and "resumed>" not in line and "+++" not in line for line in file)
    return {name: attempt(stage, runtime, before, lambda argv=argv, name=name: count(argv, name in ("run", "exec", "version")))
            for name, (before, argv) in what(stage, runtime).items()}


def machine_of(stage, runtime):
    """The size of orlop-init, which orlop writes into memory at every start."""
    report = os.path.join(stage.home, "writes")
    argv = runtime.run(stage.bundle("default", ["true"]), "bench-count-" + runtime.name)
    run([tool("strace"), "-e", "trace=writev", "-e", "abbrev=none", "-s", "4", "-o", report, *argv])
    with open(report, encoding="utf-8", errors="replace") as file:
        found = re.search(r'^writev\(\d+, \[{iov_base="\\177ELF.*$', file.read(), re.M)
    # The last piece is the program.
    pieces = [int(length) for length in re.findall(r"iov_len=(\d+)", found[0])] if found else []
    return sum(pieces[:-1]) or None


def instructions(stage, runtime):
    """Instructions in user mode of every process but the container's program, by single steps (floor/count.c)."""
    counted = {}
    for name, (before, argv) in what(stage, runtime).items():
        if name not in ("version", "run", "exec", "state"):
            continue
        if isinstance(counted.get("version"), dict):
            counted[name] = {"cannot": "not counted: single steps would take minutes"}
            continue
        limit = BRIEF if name == "version" else STEPPING

        def count(argv=argv, limit=limit):
            return int(run([built("count"), "1", "/bin/busybox", *argv], limit=limit).split()[0])
        counted[name] = attempt(stage, runtime, before, count)
    return counted


def measure(stage, found):
    """All counts of all runtimes."""
    results = {}
    for runtime in found:
        one = results[runtime.name] = {"size": os.path.getsize(runtime.binary), "linked": runtime.linked(),
                                       "version": runtime.version()}
        if runtime.name == "orlop":
            one["init"] = machine_of(stage, runtime)
        for kind, count in (("calls", system_calls), ("instructions", instructions)):
            try:
                one[kind] = count(stage, runtime)
            except Failed as error:
                one[kind] = {"cannot": str(error)}
    return results

