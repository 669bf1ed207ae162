"""Why targets are missed, as far as the measured steps say it."""
import targets
import where
from figures import milliseconds

SLEEP = 8  # milliseconds: a delete that took so much longer than the fastest has slept
HEAD = """
Where the time of missed targets goes, as far as steps tell. Steps are measured in rounds of their own (below), so their
times are not quite those of the table.

"""


def too_long(results):
    """The missed targets that have steps, by scenario: titles, and the milliseconds that are too many."""
    missed = {}
    for title, _, _, measured, limit, scenario in targets.rows(results):
        if where.traced(results, scenario) and measured is not None and measured > limit:
            ours = targets.value(results, scenario, "orlop")
            missed.setdefault(scenario, []).append((title, ours * (1 - limit / measured)))
    return missed


def largest(found, side, before):
    """The two longest steps of a side that begin before a moment, in brackets."""
    rows = sorted((row for row in found["steps"] if row[0] == side and row[2] < before), key=lambda row: -row[3])
    return " (orlop's longest: " + "; ".join(f"{name} {took:.2f}" for _, name, _, took in rows[:2]) + ")"


def listed(found, took):
    """Pieces, the longest first, with the longest steps of two of them."""
    made, executed = where.begin_of(found, "host", where.MAKING), where.begin_of(found, "init", where.EXECUTION)
    inside = {1: largest(found, "host", made), 3: largest(found, "init", executed)}
    order = sorted(range(len(took)), key=lambda index: -took[index])
    return [f"{took[index]:.2f} ms: {where.PIECES[index]}{inside.get(index, '')}" for index in order]


def of_run(results, found):
    """What a run takes more than the floor's."""
    took, floor = where.pieces(found), where.of_floor(results)
    if not floor:
        return f"A run took {milliseconds(sum(took))} ms:", listed(found, took)
    more = [one - other for one, other in zip(took, floor)]
    return (f"A run took {milliseconds(sum(took))} ms, the floor's {milliseconds(sum(floor))}, and the difference of "
            f"{sum(more):.2f} is here:"), listed(found, more)


def of_exec(_results, found):
    """What an exec takes, beside the whole of the floor's."""
    beside = f", the floor's {milliseconds(found['floor'])}" if "floor" in found else ""
    return f"An exec took {milliseconds(found['whole'])} ms{beside}. All of orlop's:", listed(found, where.pieces(found))


def of_seccomp(results, found):
    """What a profile adds to a run: the steps that are one after the other and grow most."""
    plain = where.traced(results, "run")
    if not plain:
        return f"A run with the profile took {milliseconds(found['whole'])} ms.", []
    known = {(side, name): took for side, name, _, took in plain["steps"]}
    added = [(took - known.get((side, name), 0), name) for side, name, begin, took in found["steps"]
             if name != where.EXECUTION and (side == "init" or begin < where.begin_of(found, "host", where.MAKING))]
    return (f"With the profile a run took {milliseconds(found['whole'])} ms, without {milliseconds(plain['whole'])}. The steps "
            "that take most longer:"), [f"{took:.2f} ms: {name}" for took, name in sorted(added, reverse=True)[:3]]


def of_crowd(results, title):
    """What a run takes longer beside many containers."""
    crowd = results["density"]["orlop"]
    few, many = crowd.get("beside") or (None, None)
    if not few or not many:
        return []
    known = {(side, name): took for side, name, _, took in few["steps"]}
    grown = sorted(((took - known.get((side, name), 0), name) for side, name, _, took in many["steps"]
                    if name != "wait for init"), reverse=True)
    floor = (f" The floor's took {milliseconds(few['floor'])} and {milliseconds(many['floor'])} ms, "
             f"{many['floor'] / few['floor']:.2f} times as long: the kernel looks at every process to change the root, at every sysfs "
             "to make another." if "floor" in few else "")
    return [f"- {title}: beside {crowd['few']} containers a run of `true` took {milliseconds(few['whole'])} ms, beside "
            f"{crowd['alive']:,} {milliseconds(many['whole'])}.{floor} The steps that take most longer:",
            *(f"  - {more:.2f} ms: {name}" for more, name in grown[:3])]


def of_parallel(results, title):
    """What would be the most."""
    ours, floor = (targets.value(results, "parallel-32", name) for name in ("orlop", "floor"))
    name, theirs = targets.first(results, "parallel-32", targets.STATIC)
    if not floor:
        return []
    return [f"- {title}: here all processors are busy all the time, and all of the floor's work counts. The floor's own throughput "
            f"is {theirs / floor:.2f} × that of {name}; orlop takes {(ours - floor) / 32:.2f} ms longer than the floor for each "
            "start."]


def of_lifecycle(results, title):
    """The commands one by one, and how many of the other's deletes are of the slower kind."""
    name, _ = targets.first(results, "lifecycle", targets.ANY)
    each = lambda runtime: ", ".join(f"{part} {milliseconds(targets.value(results, 'lifecycle', runtime, part))}"
                                     for part in ("create", "start", "delete"))
    cells = results["timed"]["lifecycle"]
    deletes = cells[name]["delete"]
    slow = sum(took > min(deletes) + SLEEP for took in deletes)
    mean = {one: sum(cells[one]["ms"]) / len(cells[one]["ms"]) for one in ("orlop", name)}
    return [f"- {title}: orlop's commands took {each('orlop')} ms; {name}'s {each(name)}. {slow} of {name}'s {len(deletes)} deletes "
            "took 10 ms longer than the others, as it sleeps where a process has not ended yet; with about half of them so, its median "
            f"is one or the other by chance. The mean of all its rounds is {milliseconds(mean[name])} ms, orlop's "
            f"{milliseconds(mean['orlop'])}, {mean['orlop'] / mean[name]:.2f} ×."]


def explained(results):
    """A list for every scenario of which a target is missed."""
    lines = []
    for scenario, titles in too_long(results).items():
        found = where.traced(results, scenario)
        if not where.pieces(found):
            continue
        why, parts = {"run": of_run, "exec": of_exec, "seccomp": of_seccomp}[scenario](results, found)
        said = "; ".join(f"{title}: {milliseconds(much)} ms too long" for title, much in titles)
        lines += [f"- {said}. {why}", *(f"  - {part}" for part in parts)]
    for title, _, _, measured, limit, scenario in targets.rows(results):
        if measured is None or targets.verdict(measured, limit) == "met":
            continue
        if title.startswith("start of container"):
            lines += of_crowd(results, title)
        elif title.startswith("`orlop --version`"):
            lines.append(f"- {title}: it understands a command line and prints five lines, and the kernel copies 13 pages in which "
                         "addresses are written: without these it took 17 % less (below).")
        elif scenario == "lifecycle":
            lines += of_lifecycle(results, title)
        elif scenario == "parallel-32":
            lines += of_parallel(results, title)
    return HEAD + "\n".join(lines) + "\n" if lines else ""
