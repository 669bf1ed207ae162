"""A thousand containers that are alive: what the last costs against the first, and what `list` takes."""
import contextlib
import os
import time

import traced
from commands import Failed, start, timed
from figures import median
from runtimes import Floor

SAMPLE = 15  # containers whose starts are compared, at either end
# So many for orlop, and as often from none to all: between the first and the last lie seconds, in which the machine may have
# become faster or slower.
OURS, PASSES = 40, 3


def starts(stage, runtime, bundle, numbers):
    """Milliseconds of creating and starting containers, one after another."""
    taken = []
    for number in numbers:
        container = f"bench-{runtime.name}-{number}"
        lap = timed([runtime.argv("create", "--bundle", bundle, container), runtime.argv("start", container)], stage.log)
        taken.append(sum(command.milliseconds for command in lap))
    return taken


def listing(stage, runtime):
    """The median time of `list`."""
    laps = timed([runtime.argv("list")] * 5, stage.log)
    return sorted(lap.milliseconds for lap in laps)[2]


def beside(stage, runtime, floor):
    """Of a run of `true` beside those that are alive now: its steps, if the runtime writes traces, and the floor's time."""
    return traced.of_run(stage, runtime, floor, OURS, None) if runtime.traces() else None


def crowd(stage, runtime, floor, number, seconds):
    """One runtime's figures, all times of the first and of the last, and the rest of the pass that is in the middle."""
    sample, often = (OURS, PASSES) if runtime.traces() else (SAMPLE, 1)
    passes = [fill(stage, runtime, floor, (sample, number, seconds)) for _ in range(often)]
    passes.sort(key=lambda one: median(one["last"]) / median(one["first"]))
    pooled = {end: [time_ for one in passes for time_ in one[end]] for end in ("first", "last")}
    return passes[often // 2] | pooled


def fill(stage, runtime, floor, extent):
    """From none to all; fewer containers if filling takes longer than so many seconds."""
    sample, number, seconds = extent
    bundle = stage.bundle("default", ["pause"])
    end, made = time.monotonic() + seconds, 0
    try:
        first = starts(stage, runtime, bundle, range(1, sample + 1))
        made = sample
        few, beside_few = listing(stage, runtime), beside(stage, runtime, floor)
        while made < number - sample and time.monotonic() < end:
            starts(stage, runtime, bundle, range(made + 1, made + 6))
            made += 5
        last = starts(stage, runtime, bundle, range(made + 1, made + sample + 1))
        made += sample
        return {"alive": made, "first": first, "last": last, "list-few": few, "list": listing(stage, runtime),
                "few": sample, "beside": [beside_few, beside(stage, runtime, floor)]}
    finally:
        remove(stage, runtime, made + sample)
        settle()


def remove(stage, runtime, number):
    """Removes them eight at a time, and one by one what did not go that way."""
    names = [f"bench-{runtime.name}-{n}" for n in range(1, number + 1)]
    for begin in range(0, number, 8):
        some = names[begin:begin + 8]
        with contextlib.suppress(Failed):
            timed([runtime.argv("delete", "--force", name) for name in some], stage.log, together=True)
    for name in names:
        if os.path.exists(os.path.join(runtime.root, name)):
            runtime.remove(name)


def settle():
    """Waits until the kernel has torn down the network namespaces: it does so in the background, and all of them at once."""
    before = None
    while before is None or network_namespaces() < before:
        before = network_namespaces()
        time.sleep(2)


def network_namespaces():
    """How many there are."""
    with open("/proc/slabinfo", encoding="ascii") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("net_namespace ")), 0)


def measure(stage, found, number, seconds):
    """Every runtime's figures, one runtime after another: the containers of one would be in the way of the next."""
    results, floor = {}, next((one for one in found if isinstance(one, Floor)), None)
    for runtime in found:
        if isinstance(runtime, Floor):
            continue
        try:
            results[runtime.name] = crowd(stage, runtime, floor, number, seconds)
        except (Failed, KeyError, OSError, ValueError) as error:  # two of them: it is no trace
            results[runtime.name] = {"cannot": str(error)}
    return results
