"""The plots of docs/performance.md."""
import os

from commands import WORKSPACE
from figures import at, median
from scenarios import CROWDS
from svg import Picture, nice, number

IMAGES = os.path.join(WORKSPACE, "docs/img")
LEFT, RIGHT, TOP = 190, 80, 86


def order(results):
    """The floor, ours, and the others."""
    return list(results["runtimes"])


def bars(path, title, description, groups, names):
    """Horizontal bars: for each group (a title and values by runtime) one bar a runtime, each group with its own scale."""
    shown = [name for name in names if any(name in values for _, values in groups)]
    height = TOP + sum(22 * len(values) + 40 for _, values in groups)
    picture = Picture(860, height, title, description, shown)
    picture.text(24, 34, title, "head")
    picture.legend(24, 60)
    y = TOP + 6
    for label, values in groups:
        picture.text(24, y + 8, label)
        y += 18
        most, step = nice(max(value[0] for value in values.values()))
        scale, bottom = (picture.width - LEFT - RIGHT) / most, y + 22 * len(values)
        for line in range(int(most / step + 0.5) + 1):
            picture.rule(LEFT + line * step * scale, y, LEFT + line * step * scale, bottom, "grid" if line else "axis")
        for name in shown:
            if name in values:
                middle, low, high = values[name]
                picture.bar(LEFT, y + 3, middle * scale, 16, name)
                picture.text(LEFT - 8, y + 15, name, "soft", "end")
                spread = f" ({number(low)} to {number(high)})" if high is not None else ""
                picture.text(LEFT + middle * scale + 6, y + 15, number(middle) + spread, "soft")
                y += 22
        y += 22
    picture.write(os.path.join(IMAGES, path))


def lines(path, title, description, series, marks, what):
    """Lines over numbers: values by runtime."""
    picture = Picture(860, 400, title, description, series)
    picture.text(24, 34, title, "head")
    picture.legend(24, 60)
    left, right, top, bottom = 70, 24, TOP + 10, 350
    most, step = nice(max(value for values in series.values() for value in values if value is not None))
    for line in range(int(most / step + 0.5) + 1):
        y = bottom - line * step / most * (bottom - top)
        picture.rule(left, y, picture.width - right, y, "grid" if line else "axis")
        picture.text(left - 8, y + 4, f"{line * step:g}", "soft", "end")
    places = [left + 30 + mark * (picture.width - left - right - 60) / max(marks) for mark in marks]
    for place, mark in zip(places, marks):
        picture.text(place, bottom + 20, f"{mark:,}", "soft", "middle")
    picture.text(picture.width / 2, bottom + 40, what, "soft", "middle")
    for name, values in series.items():
        points = [(place, bottom - value / most * (bottom - top)) for place, value in zip(places, values) if value is not None]
        picture.line(points, name)
    picture.write(os.path.join(IMAGES, path))


def spread(times):
    """The median, and the tenth below and above."""
    return median(times), at(times, 0.1), at(times, 0.9)


def of_times(results, scenarios):
    """Groups of bars from timed scenarios."""
    groups = []
    for name, title in scenarios:
        cells = results["timed"].get(name, {})
        values = {runtime: spread(cell["ms"]) for runtime, cell in cells.items() if "ms" in cell}
        if values:
            groups.append((title, values))
    return groups


def draw(results):
    """All plots that there are figures for: their files and what they show."""
    names, drawn = order(results), []
    plain = of_times(results, [("run", "run of true"), ("lifecycle", "create, start, delete"), ("exec", "exec of true")])
    if plain:
        bars("performance-times.svg", "Milliseconds, median (and from the tenth to the ninetieth of a hundred)",
             "Bars of median times by runtime: run, create with start and delete, and exec.", plain, names)
        drawn.append(("performance-times.svg", "Median times of run, of create with start and delete, and of exec, by runtime"))
    kinds = of_times(results, [("seccomp", "with a Docker-like seccomp profile"), ("userns", "in a user namespace"),
                               ("kubernetes", "in a pod, 40 mounts")])
    if kinds:
        bars("performance-kinds.svg", "run of true, in other containers: milliseconds",
             "Bars of median times by runtime, for three kinds of containers.", kinds, names)
        drawn.append(("performance-kinds.svg", "Median times of run with a seccomp profile, in a user namespace, and in a pod"))
    for kind, title in (("exec", "exec of true"), ("run", "run of true")):
        cells = {mounts: results["timed"].get(f"{kind}-{mounts}" if mounts else kind, {}) for mounts in CROWDS}
        marks = [mounts for mounts, found in cells.items() if found]
        series = {name: [median(cells[m][name]["ms"]) if "ms" in cells[m].get(name, {}) else None for m in marks]
                  for name in names}
        series = {name: values for name, values in series.items() if any(values)}
        if len(marks) > 1 and series:
            lines(f"performance-mounts-{kind}.svg", f"{title}: milliseconds by the number of mounts on the host",
                  "Lines of median times by runtime over the number of extra mounts.", series,
                  marks, "extra mounts on the host")
            drawn.append((f"performance-mounts-{kind}.svg", f"Median times of {kind} by the number of mounts on the host"))
    return drawn + parallel(results, names)


def parallel(results, names):
    """Throughput: containers a second."""
    groups = []
    for number_ in (1, 8, 32):
        cells = results["timed"].get(f"parallel-{number_}", {})
        values = {name: (1000 * number_ / median(cell["ms"]), None, None) for name, cell in cells.items() if "ms" in cell}
        if values:
            groups.append((f"{number_} at the same time", values))
    if not groups:
        return []
    bars("performance-parallel.svg", "Containers run to their end in a second", "Bars of throughput by runtime.", groups, names)
    return [("performance-parallel.svg", "Containers run in a second, one, eight and thirty-two at the same time")]
