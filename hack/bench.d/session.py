"""One run of the whole: what is measured, in which order, and where the results go."""
import contextlib
import json
import os
import sys
import time

import counts
import density
import document
import machine
import memory
import rounds
import scenarios
import shims
import steps
import table
from commands import BUILT

RESULTS = os.path.join(BUILT, "results.json")
LONG = {"density": "a thousand live containers", "memory": "the smallest memory limit", "counts": "sizes and counts",
        "steps": "where the time goes, step by step", "shims": "through containerd's shims"}


def names():
    """What --only takes."""
    return [f"{one.name:15} {one.title}" for one in scenarios.every()] + [f"{name:15} {title}" for name, title in LONG.items()]


def chosen(options):
    """The names asked for, or all."""
    every = [one.name for one in scenarios.every()] + list(LONG)
    if not options.only:
        return every
    wanted = options.only.split(",")
    for name in wanted:
        if name not in every:
            sys.exit(f"bench: no scenario {name}: hack/bench --list")
    return wanted


@contextlib.contextmanager
def told(title):
    """Says what is being measured, and what that took."""
    print(f"bench: {title}", end="", flush=True)
    began = time.monotonic()
    yield
    print(f", {time.monotonic() - began:.0f} s", flush=True)


def measure(stage, found, options):
    """Everything that is asked for."""
    wanted, began = chosen(options), time.monotonic()
    seconds = options.seconds or (3 if options.quick else 14)
    results = {"machine": machine.describe(), "runtimes": {one.name: one.version() for one in found}, "timed": {},
               "quick": options.quick}
    for one in scenarios.every():
        if one.name in wanted:
            with told(one.title):
                results["timed"][one.name] = rounds.race(stage, one, found, seconds, options.rounds)
    stage.mounts(0)
    number, limit = (100, 10) if options.quick else (1000, 40)
    long = {"steps": lambda: steps.measure(stage, found, 20 if options.quick else 100),
            "shims": lambda: shims.measure(stage, found, 3 * seconds, options.rounds),
            "counts": lambda: counts.measure(stage, found),
            "memory": lambda: memory.measure(stage, found),
            "density": lambda: density.measure(stage, found, number, limit)}
    for name, take in long.items():
        if name in wanted:
            with told(LONG[name]):
                results[name] = take()
    results["took"] = time.monotonic() - began
    with open(RESULTS, "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results


def show(options):
    """The results of the last run."""
    with open(RESULTS, encoding="utf-8") as file:
        finish(json.load(file), options)


def finish(results, options):
    """A table for the terminal, or the document."""
    print(table.text(results))
    if options.write:
        document.write(results)
