"""Interleaved rounds: the runtimes take turns, so that a noisy machine is equally noisy for all."""
import random
import time

import scenarios
from commands import Failed, timed

WARM = 2  # rounds that fill the caches and are not counted


def race(stage, chosen, runtimes, seconds, most):
    """Measures one scenario for about so many seconds. By runtime: milliseconds of rounds, or why it cannot."""
    taking_part, unable = scenarios.prepare(stage, chosen, runtimes)
    taken = {runtime.name: [] for runtime in taking_part}
    commands = {runtime.name: chosen.commands(stage, runtime) for runtime in taking_part}
    shuffle = random.Random(chosen.name)
    end, number = None, 0
    try:
        while taking_part and number < most + WARM and (end is None or time.monotonic() < end):
            # In a new order each time: what one leaves to the kernel to be torn down falls to whoever is next.
            shuffle.shuffle(taking_part)
            for runtime in list(taking_part):
                try:
                    lap = timed(commands[runtime.name], stage.log, chosen.together)
                except Failed as error:
                    unable[runtime.name] = str(error)
                    taking_part.remove(runtime)
                    continue
                if number >= WARM:
                    taken[runtime.name].append(lap)
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
