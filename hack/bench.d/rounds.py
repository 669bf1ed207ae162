"""Interleaved rounds: the runtimes take turns, so that a noisy machine is equally noisy for all."""
import random
import time

import scenarios
from commands import Failed, timed

WARM = 2  # rounds that fill the caches and are not counted
BARE = "orlop, bare"  # orlop where the scenario's extra mounts are not, in the same rounds


def race(stage, chosen, runtimes, seconds, most):
    """Measures one scenario for about so many seconds. By runtime: milliseconds of rounds, or why it cannot."""
    taking_part, unable = scenarios.prepare(stage, chosen, runtimes)
    commands = {runtime.name: (chosen.commands(stage, runtime), None) for runtime in taking_part}
    if chosen.mounts and chosen.alive and "orlop" in commands:
        commands[BARE] = (commands["orlop"][0], stage.bare)
    names = list(commands)
    taken = {name: [] for name in names}
    shuffle = random.Random(chosen.name)
    end, number = None, 0
    try:
        while names and number < most + WARM and (end is None or time.monotonic() < end):
            # In a new order each time: what one leaves to the kernel to be torn down falls to whoever is next.
            shuffle.shuffle(names)
            for name in list(names):
                argv, inside = commands[name]
                try:
                    lap = timed(argv, stage.log, chosen.together, inside=inside)
                except Failed as error:
                    unable[name] = str(error)
                    names.remove(name)
                    continue
                if number >= WARM:
                    taken[name].append(lap)
            number += 1
            if number == WARM:
                end = time.monotonic() + seconds
    finally:
        scenarios.clean_up(chosen, runtimes)
    return summary(chosen, taken, unable)


def summary(chosen, taken, unable):
    """Laps as what is kept of them."""
    results = {}
    for name, laps in taken.items():
        if name in unable or not laps:
            continue
        results[name] = {"ms": [sum(command.milliseconds for command in lap) for lap in laps],
                         "peak": sorted(max(command.peak for command in lap) for lap in laps)[len(laps) // 2]}
        for index, part in enumerate(chosen.parts if len(laps[0]) == len(chosen.parts) else ()):
            results[name][part] = [lap[index].milliseconds for lap in laps]
    for name, why in unable.items():
        results[name] = {"cannot": why}
    return results
