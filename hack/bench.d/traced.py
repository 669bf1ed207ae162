"""Where orlop's own time goes: the steps of `run` and `exec` by its traces, and what lies before and after these.

A trace begins when orlop has read its command line. It ends when the host side has heard that the container's program is
executed; the last steps of both sides are reckoned to last until then (crates/runtime/src/trace.rs).
"""
import json
import os
import re

from commands import Failed, start, timed
from figures import median
from runtimes import Floor

NAME = "bench-steps"
FAILS = 1 << 8  # the wait status of a `run` whose bundle is not there,
MISSING = 255 << 8  # and of an `exec` whose container is not
# Steps of which many follow one another, and what they are called together.
ALIKE = [
    (r"make the device ", "make {} devices"),
    (r"make the link ", "make {} links"),
    (r"make \S+ read-only$", "make {} paths read-only"),
    (r"mask ", "mask {} paths"),
    (r"set RLIMIT_", "set {} limits"),
]


def measure(stage, found, rounds, beside):
    """By command, its steps and what is around them, or why they cannot be had; nothing where no runtime writes traces.

    `beside` is called in every round of the runs, unless it is nothing.
    """
    runtime = next((one for one in found if one.traces()), None)
    floor = next((one for one in found if isinstance(one, Floor)), None)
    if runtime is None:
        return {}
    results = {}
    for name, take in {"run": of_run, "seccomp": of_seccomp, "exec": of_exec}.items():
        try:
            results[name] = take(stage, runtime, floor, rounds, beside if name == "run" else None)
        except (Failed, KeyError, ValueError) as error:  # the last two: it is no trace
            results[name] = {"cannot": str(error)}
        finally:
            runtime.remove(NAME)
    return results


def of_run(stage, runtime, floor, rounds, beside, kind="default"):
    """A run of `true`."""
    bundle = stage.bundle(kind, ["true"])
    return race(stage, rounds, {
        "whole": runtime.run(bundle, NAME),
        "traced": runtime.argv("run", "--trace", file_of(stage), "--bundle", bundle, NAME),
        "before": runtime.run(os.path.join(stage.home, "nowhere"), NAME),
        "floor": floor.run(bundle, NAME) if floor else None,
    }, FAILS, beside)


def of_seccomp(stage, runtime, _floor, rounds, beside):
    """The same with a system call filter, which the floor does not have."""
    return of_run(stage, runtime, None, rounds, beside, "seccomp")


def of_exec(stage, runtime, floor, rounds, beside):
    """An exec of `true` in a container that runs all the while."""
    start(runtime.argv("create", "--bundle", stage.bundle("default", ["pause"]), NAME), stage.log)
    start(runtime.argv("start", NAME), stage.log)
    return race(stage, rounds, {
        "whole": runtime.execute(NAME, ["true"]),
        "traced": runtime.argv("exec", "--trace", file_of(stage), NAME, "true"),
        "before": runtime.execute("bench-nobody", ["true"]),
        "floor": floor.enter(runtime.pid(NAME), ["/bin/true"]) if floor else None,
    }, MISSING, beside)


def file_of(stage):
    """Where the trace is written. By this name's end orlop leaves it as events."""
    return os.path.join(stage.home, "trace.json")


def race(stage, rounds, commands, failing, beside):
    """Medians of so many rounds, in which these commands follow one another, and then `beside` is called if it is there; the
    wait status of `before` is `failing`."""
    taken, traces = {}, []
    for _ in range(rounds):
        for what, argv in commands.items():
            if argv:
                took = timed([argv], stage.log, status=failing if what == "before" else 0)
                taken.setdefault(what, []).append(took[0].milliseconds)
        with open(file_of(stage), encoding="utf-8") as file:
            traces.append(json.load(file)["traceEvents"])
        if beside:
            beside()
    results = {what: median(times) for what, times in taken.items() if what != "traced"}
    ends = [max(event["ts"] + event["dur"] for event in events) / 1e3 for events in traces]
    return dict(results, rounds=rounds, ended=median(ends), steps=in_order([rows(events, stage.root) for events in traces]))


def rows(events, root):
    """A trace as [side, name, begin, duration], in milliseconds: steps that are alike and follow one another are one."""
    found, number, last = [], 0, None
    for event in events:
        side, name, begin, took = event["cat"], event["name"].replace(root, "rootfs"), event["ts"] / 1e3, event["dur"] / 1e3
        together = next((words for pattern, words in ALIKE if re.match(pattern, name)), None)
        if together and last == (side, together):
            number += 1
            found[-1] = [side, together.format(number), found[-1][2], found[-1][3] + took]
        else:
            number, last = 1, (side, together)
            found.append([side, name, begin, took])
    return found


def in_order(traces):
    """The medians of many traces' rows, in the order in which they begin."""
    taken = {}
    for found in traces:
        before = {}  # how often the same is done: a directory is entered twice, say
        for side, name, begin, took in found:
            before[side, name] = before.get((side, name), 0) + 1
            taken.setdefault((side, name, before[side, name]), []).append((begin, took))
    medians = [[side, name, median([begin for begin, _ in times]), median([took for _, took in times])]
               for (side, name, _), times in taken.items()]
    return sorted(medians, key=lambda row: row[2])
