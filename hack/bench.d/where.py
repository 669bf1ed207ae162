"""Where the time goes, as text: orlop's steps beside the floor's."""
from markdown import table

COMMANDS = {"run": "`orlop run`", "exec": "`orlop exec`"}
# What follows one another, by these two steps of orlop's.
MAKING, EXECUTION = "start the process", "execute the program"
PIECES = (
    "start, command line and end of the command itself",
    "preparation, before the container's process is made",
    "making of the container's process, until its first step begins",
    "steps of the container's process, until it executes the program",
    "the program, its end and that of its namespaces, removal",
)
INTRODUCTION = """
The same of orlop, by `orlop run --trace` and `orlop exec --trace`: medians of {rounds} rounds apart from those of the tables
above. First, what happens one after the other; the floor's steps are summed in the same way.

"""
EXPLANATION = """
Then step by step. Moments are counted from where a trace begins: when orlop has read its command line. The host side is
orlop itself; init is the container's first process, or the one that `exec` adds, until it executes the program. They
work at the same time, so only rows of one side can be summed; in `wait for init`, the host side does little else. A step
lasts until the next one of its side begins, and the last ones until the host side has heard that the program is executed.
Steps of one kind that follow one another are one row.

The first row is the time of a command that fails where its trace would begin, for want of a bundle or of a container. The
last row is what is then left of the time of a command that succeeds, without a trace; it is a little too small, as a trace
costs time too. Both columns are medians, each of its own, so a row need not end exactly where the next one begins.
"""


def traced(results, command):
    """What is known of a command, or nothing."""
    found = results.get("steps", {}).get("traced", {}).get(command, {})
    return found if "steps" in found else None


def begin_of(found, side, name=None):
    """When a side begins a step, or its first."""
    return next((begin for one, step, begin, _ in found["steps"] if one == side and name in (step, None)), None)


def pieces(found):
    """Milliseconds of what follows one another, as PIECES names it; nothing if the steps have other names."""
    made, first = begin_of(found, "host", MAKING), begin_of(found, "init")
    executed = begin_of(found, "init", EXECUTION)
    if None in (made, first, executed):
        return None
    return [found["before"], made, first - made, executed - first, found["whole"] - found["before"] - executed]


def of_floor(results):
    """The floor's pieces, or nothing."""
    floor, whole = results["steps"]["floor"], (traced(results, "run") or {}).get("floor")
    if not floor or whole is None:
        return None
    place = {word: next(index for index, (name, _) in enumerate(floor) if name.startswith(word)) for word in ("clone3", "execve")}
    took = [time for _, time in floor]
    made, executed = place["clone3"], place["execve"]
    return [whole - sum(took), sum(took[:made]), took[made], sum(took[made + 1:executed]), sum(took[executed:])]


def summary(results):
    """A table of pieces: the floor's, where it has been timed, and orlop's."""
    columns = {}
    if floor := of_floor(results):
        columns["floor's run"] = floor
    for command in ("run", "exec"):
        found = traced(results, command)
        if found and pieces(found):
            columns[COMMANDS[command]] = pieces(found)
    lines = [[name] + [f"{column[index]:.3f}" for column in columns.values()] for index, name in enumerate(PIECES)]
    lines.append(["altogether"] + [f"{sum(column):.3f}" for column in columns.values()])
    return table(["ms", *columns], lines) if columns else ""


def lines_of(found, command):
    """Rows of one command: begin, duration, who, what."""
    before = "start of orlop's process, relocations, command line; an error message, end of the process"
    after = "the program, its end" + (", that of its namespaces, the container's removal" if command == "run" else "")
    shown = [[f"{begin:.3f}", f"{took:.3f}", {"host": "host side"}.get(side, side), name] for side, name, begin, took in found["steps"]]
    rest = found["whole"] - found["before"] - found["ended"]
    return [["", f"{found['before']:.3f}", "–", before], *shown, [f"{found['ended']:.3f}", f"{rest:.3f}", "–", after]]


def tables(results):
    """All of it, after the floor's steps."""
    measured = {command: found for command in ("run", "exec") if (found := traced(results, command))}
    if not measured:
        return ""
    text = INTRODUCTION.format(rounds=next(iter(measured.values()))["rounds"]) + summary(results) + EXPLANATION
    for command, found in measured.items():
        text += f"\n### Steps of {COMMANDS[command]}\n\n" + table(["begins at, ms", "takes, ms", "who", "step"], lines_of(found, command))
    return text
