"""docs/performance.md."""
import os

import density
import history
import missed
import plots
import scenarios
import targets
import where
from commands import WORKSPACE
from figures import at, kilobytes, median, milliseconds, reason
from markdown import table

DOCUMENT = os.path.join(WORKSPACE, "docs/performance.md")
HEAD = """# Performance

<!-- made by hack/bench --write: do not edit -->

What orlop costs, beside other runtimes and beside the **floor**: a program of the bare system calls that the same
container needs and nothing else (`hack/bench.d/floor/floor.c`), in one process, one call after the other. `make bench` measures
it again; everything below is from one run of it, on {date}, in which the runtimes took turns in random order.

Machine: {processors} processors ({processor}{virtual}), {memory} of memory, Linux {kernel}, {distribution}.
Load average when it began: {load:.1f}.{quick}

{runtimes}

All of them saw version 2 of cgroups only, without controllers, in a mount namespace of their own. The containers are
those of `orlop spec` without a terminal and without device rules, with a busybox as their root; `true` is busybox's. The
runtimes keep their state in memory, as below `/run`.
"""
NOTES = """
## How it is measured

- Times are from before the command is started to when it has been waited for, by a small program without a C library
  (`floor/stopwatch.c`), so that the time of an interpreter is not among them. The first two rounds are not counted.
- Every program is a copy that is read from the disk when it is first executed, as after a boot. It then lies in memory in pieces of
  4 kB; one that was written since the boot mostly in pieces of 64 kB (ext4, Linux 6.18), and the same orlop then takes 7 % less for a
  run, the same crun 10 %, as page faults cost less. In the earlier runs below orlop was mostly as it was written, and crun not. What
  dynamic programs load is as it was.
- Whether the host's mounts make an exec slower is measured in the same rounds: orlop's takes another turn in a mount namespace that
  has not the extra ones. In the tables the floor's exec is slower too beside 5,000 mounts, as some read them all, and leave the
  caches full of them to whoever is next.
- `hack/bench --check` asks a container of the floor and one of orlop the same questions, about mounts, devices,
  identity, limits, namespaces, network, what can be written and what can be opened, and compares the answers.
- The floor executes `true` in the process that the kernel made; it keeps no state on disk and cannot say what went wrong.
- Instructions are counted by single steps (`floor/count.c`), as virtual machines often lack the processor's counters, and
  valgrind does not know clone3(2). They are those of all processes of a command, but not of the container's program.
- The smallest memory limit is that under which `true` ran three times out of three, in steps of 8 kB.
- Of the size of orlop's binary, 160 kB are the parser of command lines. The standard library's means to name functions when a
  program panics, 250 kB, are left out: it has no tables to find them by (`crates/sys/src/unwind.rs`).
- orlop can be loaded anywhere in memory, as is usual for programs that root starts. That makes the kernel copy 13 pages in which
  addresses are written at every start: a program for a fixed address took 2 % less for a run, 5 % for an exec and 17 % for
  `--version`, measured side by side on 2026-11-28.
- Numbers of different machines do not compare, and ratios only roughly.
- Two of what kernels offer for speed are not in these figures. `OPEN_TREE_NAMESPACE` (Linux 7.0) makes a start independent of
  the number of the host's mounts: orlop uses it where it is (`docs/architecture.md`), and this kernel has it not.
  `favordynmods`, an option of the mount of cgroup2, makes it faster to move processes into cgroups: orlop's are born in theirs,
  so it has nothing to gain, and an option of the host's mount is not a runtime's to change.
"""


def cell(results, name, runtime, part="ms"):
    """A median, the 99th of a hundred, and the ratio to orlop."""
    cells = results["timed"][name]
    mine = cells.get(runtime)
    if not mine or (part not in mine and "cannot" not in mine):
        return "–"
    if "cannot" in mine:
        return "cannot"
    times, ours = mine[part], cells.get("orlop", {}).get(part)
    share = f" ×{median(times) / median(ours):.2f}" if ours and runtime != "orlop" else ""
    return f"{milliseconds(median(times))} ({milliseconds(at(times, 0.99))}){share}"


def of_targets(results):
    """Whether targets are met."""
    rows = []
    for title, target, shown, measured, limit, _ in targets.rows(results):
        rows.append([title, target, shown or "–", targets.verdict(measured, limit)])
    return "\n## Targets\n\n" + table(["", "target", "measured", ""], rows) + missed.explained(results)


def of_times(results):
    """All timed scenarios."""
    names, rows, unable = list(results["runtimes"]), [], []
    for one in scenarios.every():
        if one.name not in results["timed"]:
            continue
        rows.append([one.title] + [cell(results, one.name, name) for name in names])
        for part in one.parts if one.mounts == 0 else ():
            rows.append([f"— of which {part}"] + [cell(results, one.name, name, part) for name in names])
        unable += [f"- {name}, {one.title}: {reason(found['cannot'], 300)}"
                   for name, found in results["timed"][one.name].items() if "cannot" in found]
    text = "\n## Times\n\nMilliseconds: the median, in brackets the 99th of a hundred, and how many times orlop's median that is.\n\n"
    return text + table(["", *names], rows) + ("\nWhat could not be measured:\n\n" + "\n".join(unable) + "\n" if unable else "")


def of_steps(results):
    """Where the kernel's time goes."""
    if not results.get("steps"):
        return ""
    floor = [[name, f"{took:.3f}"] for name, took in results["steps"]["floor"]]
    total = sum(took for _, took in results["steps"]["floor"])
    text = ("\n## Where the time goes\n\nThe floor's steps, timed by itself: milliseconds, medians. This is the kernel's own cost, in the "
            f"order in which it is paid; {total:.2f} ms altogether.\n\n" + table(["step of the floor", "ms"], floor) + where.tables(results))
    measured = {name: groups for name, groups in results["steps"]["groups"].items() if "cannot" not in groups}
    if not measured:
        return text
    every = {group for groups in measured.values() for group in groups}
    ours = measured.get("orlop", {})
    rows = [[group] + [f"{groups[group][1]:.2f} in {groups[group][0]}" if group in groups else "–" for groups in measured.values()]
            for group in sorted(every, key=lambda group: -ours.get(group, (0, 0))[1])]
    return text + ("\nTime spent in system calls by what they are for, summed over all processes of a run: milliseconds, and the "
                   "number of calls (`perf trace`, which makes each of them dearer). Whoever waits for another process pays for "
                   "the other's time too.\n\n" + table(["", *measured], rows))


def of_sizes(results):
    """Memory, sizes, counts."""
    rows = []
    for name, count in results.get("counts", {}).items():
        memory = results.get("memory", {}).get(name, {})
        limit = f"{kilobytes(memory['bytes'])} ({memory['view']})" if "bytes" in memory else "cannot" if memory else "–"
        peak = results["timed"].get("run", {}).get(name, {}).get("peak")
        rows.append([name, kilobytes(count["size"]), count["linked"], kilobytes(peak * 1024) if peak else "–", limit])
    if not rows:
        return ""
    text = "\n## Memory and size\n\n" + table(["", "binary", "linked", "peak memory of run", "smallest memory limit of a container"], rows)
    for kind, title in (("calls", "System calls of a command with all its processes (create, start, state, delete: of its first "
                                  "process only)"), ("instructions", "Instructions in user mode, in thousands")):
        counts = {name: count[kind] for name, count in results["counts"].items() if kind in count}
        commands = list(dict.fromkeys(command for values in counts.values() for command in values if command != "cannot"))
        rows = [[name] + [shown(values.get(command), kind) for command in commands] for name, values in counts.items()]
        text += f"\n{title}:\n\n" + table(["", *commands], rows)
    return text


def shown(value, kind):
    """A count."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return "not counted"
    return f"{value:,}" if kind == "calls" else f"{value / 1000:,.0f}"


def of_crowd(results):
    """Many live containers."""
    rows = []
    for name, crowd in results.get("density", {}).items():
        if "cannot" in crowd:
            rows.append([name, "cannot: " + reason(crowd["cannot"], 200), "", "", "", ""])
            continue
        first, last = median(crowd["first"]), median(crowd["last"])
        rows.append([name, f"{crowd['alive']:,}", milliseconds(first), f"{milliseconds(last)} (×{last / first:.2f})",
                     f"{milliseconds(crowd['list-few'])} of {crowd['few']}", milliseconds(crowd["list"])])
    if not rows:
        return ""
    return ("\n## Many containers\n\nCreate and start while there are more and more live containers, in milliseconds: medians of the first "
            f"and of the last {density.SAMPLE}, of orlop's {density.OURS}, {density.PASSES} times from none to all; and `list`. Who is "
            "slow gets fewer than a thousand, for want of time.\n\n" + table(["", "alive", "first", "last", "list of some", "list of all"], rows))


def of_shims(results):
    """Containers through shims."""
    measured = results.get("shims", {})
    names = [name for name, cells in measured.items() if "cannot" not in cells]
    if not names:
        return ""
    titles = {"life": "the whole life of a container that runs `true`", "start": "— of which the shim's `start`", "Create": "— Create",
              "Start": "— Start", "exit": "— until its end is told", "Delete": "— Delete", "Shutdown": "— Shutdown",
              "exec": "exec of `true`: Exec, Start, its end, Delete"}

    def shown(key, name):
        times, ours = measured[name][key], measured.get("orlop", {}).get(key)
        share = f" ×{median(times) / median(ours):.2f}" if ours and name != "orlop" else ""
        return f"{milliseconds(median(times))} ({milliseconds(at(times, 0.99))}){share}"

    rows = [[title] + [shown(key, name) for name in names] for key, title in titles.items()]
    return ("\n## Through containerd's shims\n\nThe calls that containerd makes, one after another, by a small client in Python without "
            "containerd: to orlop's shim, and to containerd's own, `containerd-shim-runc-v2`, with each of the other runtimes. "
            "Milliseconds as above; all shims in turns, in random order.\n\n"
            + table(["", *("orlop's shim" if name == "orlop" else f"containerd's, {name}" for name in names)], rows)
            + "".join(f"\nWith {name} that could not be measured: {reason(cells['cannot'], 300)}\n"
                      for name, cells in measured.items() if "cannot" in cells))


def write(results):
    """The document and its plots."""
    machine = results["machine"]
    head = HEAD.format(**dict(machine, virtual=", in a virtual machine" if machine["virtual"] else "",
                              memory=f"{machine['memory'] / 2**30:.0f} GiB",
                              quick=" A quick run: few rounds." if results.get("quick") else "",
                              runtimes=table(["name here", "version"], [list(item) for item in results["runtimes"].items()])))
    drawn = "".join(f"\n![{title}](img/{file})\n" for file, title in plots.draw(results))
    text = head + of_targets(results) + drawn + of_times(results) + of_steps(results) + of_sizes(results) + of_crowd(results) + of_shims(results) + history.of_runs(results) + NOTES
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"bench: {os.path.relpath(DOCUMENT, WORKSPACE)} is written")
