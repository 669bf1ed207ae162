"""What orlop is to reach, and whether it does."""
from figures import kilobytes, median, milliseconds
from rounds import BARE

# Which runtime stands for "static" and "dynamic" crun: the first that was measured.
STATIC, DYNAMIC, ANY = ("crun-static",), ("crun-new", "crun"), ("crun-static", "crun-new", "crun")


def value(results, scenario, runtime, part="ms"):
    """A median, or nothing."""
    times = results["timed"].get(scenario, {}).get(runtime, {}).get(part)
    return median(times) if times else None


def first(results, scenario, names, part="ms"):
    """The first of some runtimes that was measured: its name and its median."""
    return next(((name, found) for name in names if (found := value(results, scenario, name, part)) is not None), (None, None))


def ratio(results, title, limit, scenario, names, less=True):
    """A row: orlop against another in one scenario."""
    ours = value(results, scenario, "orlop")
    name, theirs = first(results, scenario, names)
    title = title.format(name or names[0])
    if ours is None or theirs is None:
        return title, f"{'≤' if less else '≥'} {limit} ×", None, None, None, None
    measured = ours / theirs if less else theirs / ours
    shown = f"{measured:.2f} × ({milliseconds(ours)} and {milliseconds(theirs)} ms)"
    return title, f"{'≤' if less else '≥'} {limit} ×", shown, measured, limit if less else -limit, scenario


def growth(results, title, limit, small, large):
    """A row: orlop against itself under harder conditions."""
    if small is None or large is None:
        return title, f"≤ {limit} ×", None, None, None, None
    shown = f"{large / small:.2f} × ({milliseconds(small)} and {milliseconds(large)} ms)"
    return title, f"≤ {limit} ×", shown, large / small, limit, None


def amount(title, limit, measured, show):
    """A row: a figure and the most that it may be."""
    if measured is None or limit is None:
        return title, "", None, None, None, None
    return title, "≤ " + show(limit), show(measured), measured, limit, None


def smallest_limit(results, names):
    """Another's smallest memory limit."""
    return next((results["memory"][name]["bytes"] for name in names if "bytes" in results.get("memory", {}).get(name, {})), None)


def rows(results):
    """All targets: title, target, what was measured, the number, the limit (negative: at least), and the
    scenario in which orlop is against another."""
    peak = lambda name: results["timed"].get("run", {}).get(name, {}).get("peak")
    crun = next((name for name in ANY if peak(name)), "crun")
    crowd = results.get("density", {}).get("orlop", {})
    size = results.get("counts", {}).get("orlop", {}).get("size")
    least = results.get("memory", {}).get("orlop", {}).get("bytes")
    kb = lambda kilobytes_: kilobytes(kilobytes_ * 1024)
    return [
        ratio(results, "run against the floor", 1.25, "run", ("floor",)),
        ratio(results, "run against static crun ({})", 0.6, "run", STATIC),
        ratio(results, "run against dynamic crun ({})", 0.4, "run", DYNAMIC),
        ratio(results, "create, start, delete against {}", 0.4, "lifecycle", ANY),
        ratio(results, "exec against static crun ({})", 0.4, "exec", STATIC),
        growth(results, "exec with 5,000 host mounts against none, in turns", 1.1, value(results, "exec-5000", BARE),
               value(results, "exec-5000", "orlop")),
        ratio(results, "run with a seccomp profile against static crun ({}), whose cache is warm", 0.5, "seccomp", STATIC),
        growth(results, f"start of container {crowd.get('alive', '1000')} against the first", 1.15,
               median(crowd["first"]) if "first" in crowd else None, median(crowd["last"]) if "last" in crowd else None),
        ratio(results, "32 starts at the same time: throughput against {}", 2, "parallel-32", STATIC, less=False),
        amount(f"peak memory of run against {crun}", peak(crun), peak("orlop"), kb),
        amount("smallest memory limit against crun", smallest_limit(results, ANY), least, kilobytes),
        # 0.4 ms where the other takes 0.57.
        growth(results, "`orlop --version` against a static program of glibc that does nothing", 0.7,
               value(results, "version", "floor"), value(results, "version", "orlop")),
        amount("size of the binary", 2_500_000, size, kilobytes),
        amount("size of orlop-init", 40_000, results.get("counts", {}).get("orlop", {}).get("init"), kilobytes),
    ]


def verdict(measured, limit):
    """Met, or missed by how much."""
    if measured is None:
        return "not measured"
    if limit < 0:
        return "met" if measured >= -limit else f"missed by {100 * (1 - measured / -limit):.0f} %"
    return "met" if measured <= limit else f"missed by {100 * (measured / limit - 1):.0f} %"
