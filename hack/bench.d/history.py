"""What earlier runs found, on whatever machine they were made."""
import json
import os

import targets
from commands import WORKSPACE
from markdown import table

FILE = os.path.join(WORKSPACE, "hack/bench.d/history.json")
# The rows of targets.py that are kept, by how their titles begin.
COLUMNS = {
    "run / floor": "run against the floor",
    "run / static crun": "run against static crun",
    "run / dynamic crun": "run against dynamic crun",
    "create, start, delete / crun": "create, start, delete",
    "exec / static crun": "exec against static crun",
    "with seccomp / static crun": "run with a seccomp profile",
    "container 1000 / first": "start of container",
    "throughput of 32 / static crun": "32 starts",
}
TEXT = """
## On other days and machines

The ratios of this run below those of earlier ones, of other commits and on other machines. Between processors they differ more
than between commits: what a page fault, a new process or a word to another processor costs is not the same everywhere, and
runtimes do not do equally much of each. Where what starts is put is a part of it: the scheduler leaves a new thread on its
maker's processor if the other one is busy for a moment. So until c685c7b the network namespace was begun a millisecond after its
thread on most runs, or not by it, and init waited while orlop attached the device program, beside an idle processor; since then
orlop has them elsewhere (`crates/sys/src/sched.rs`), and a run takes 15 % less. Since 49ecffd the host side makes some of the file
systems beside init; since 8dce5b7 most functions that a command executes lie in one piece, and programs begin without the standard
library: side by side with the commit before these, a run took 0.92 of its time, with a seccomp profile 0.93, an exec 0.89,
`--version` 0.8. Since 4c82050 the network namespace is begun before the command line is understood, with the IPC namespace; since
3feac5f the host side leaves init's processor, where the kernel wakes it nine times in ten, instead of having init moved; since
bf168b0 nobody is woken while the program begins, and since ae0ca65 init waits for no lock of `/dev`: side by side with the commit
before these, in four runs, a run took 0.89 to 0.94 of its time, an exec 0.93, 32 at once the same. To keep the process that joins
namespaces on its processor made an exec no faster: then all that is left for the host side comes after the program's end.
Since 9cfb0bd an added process has the filter that its container was made with, and nobody compiles it again: with a Docker-like
profile an exec took 0.86 of its time. Since 5e00909 all programs are read from the disk anew before a run (below).
The load is that when a run began; those with few columns were short. To compare two commits, name both in one run
(`--runtime before=PATH`).

"""


def entry(results):
    """What is kept of a run."""
    machine = results["machine"]
    measured = {}
    for column, begin in COLUMNS.items():
        number = next((row[3] for row in targets.rows(results) if row[0].startswith(begin)), None)
        if number is not None:
            measured[column] = round(number, 2)
    return {"date": machine["date"], "commit": machine["commit"], "processor": machine["processor"],
            "kernel": machine["kernel"], "measured": measured, "load": machine["load"]}


def add(results):
    """Notes a run, in the place of one of the same day, commit and machine; all that are known, the newest last."""
    known = []
    if os.path.exists(FILE):
        with open(FILE, encoding="utf-8") as file:
            known = json.load(file)
    new = entry(results)
    same = ("date", "commit", "processor", "kernel")
    known = [old for old in known if any(old[key] != new[key] for key in same)] + [new]
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(json.dumps(known, indent=1) + "\n")
    return known


def of_runs(results):
    """The section; nothing as long as there is only one run."""
    known = add(results)
    if len(known) < 2:
        return ""
    rows = [[run["date"], run["commit"], f"{run['processor']}, {run['kernel']}", f"{run['load']:.1f}"]
            + [f"{run['measured'][column]:.2f}" if column in run["measured"] else "–" for column in COLUMNS] for run in known]
    return TEXT + table(["date", "commit", "processor, kernel", "load", *COLUMNS], rows)
