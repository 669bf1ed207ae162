"""The results as text for a terminal."""
import scenarios
from figures import at, kilobytes, median, milliseconds, reason


def text(results):
    """All that was measured."""
    lines = timed(results) + others(results)
    lines.append(f"took {results['took']:.0f} s")
    return "\n".join(lines)


def timed(results):
    """Medians, and ratios to the first runtime that is not the floor."""
    lines = [f"{'':15} {'':12} {'median':>10} {'p10':>10} {'p99':>10} {'ratio':>6} {'rounds':>6} {'peak':>9}"]
    titles = {one.name: one for one in scenarios.every()}
    for name, cells in results["timed"].items():
        base = next((cells[r] for r in results["runtimes"] if r != "floor" and "ms" in cells.get(r, {})), None)
        for part in ("ms", *titles[name].parts):
            for runtime in results["runtimes"]:
                cell = cells.get(runtime)
                label = name if part == "ms" else "  " + part
                if cell and "cannot" in cell:
                    if part == "ms":
                        lines.append(f"{label:15} {runtime:12} cannot: {reason(cell['cannot'], 160)}")
                elif cell and part in cell:
                    times = cell[part]
                    ratio = f"{median(times) / median(base[part]):.2f}" if base and part in base else "-"
                    lines.append(f"{label:15} {runtime:12} {median(times):8.2f}ms {at(times, .1):8.2f}ms"
                                 f" {at(times, .99):8.2f}ms {ratio:>6} {len(times):6} {cell['peak']:6} kB")
    return lines


def others(results):
    """What is not a time of rounds."""
    lines = []
    for kind, show in (("density", crowd), ("memory", lambda cell: kilobytes(cell["bytes"])), ("counts", count)):
        for runtime, cell in results.get(kind, {}).items():
            said = "cannot: " + reason(cell["cannot"], 160) if "cannot" in cell else show(cell)
            lines.append(f"{kind:15} {runtime:12} {said}")
    for runtime, cell in results.get("shims", {}).items():
        said = "cannot: " + reason(cell["cannot"], 160) if "cannot" in cell else ", ".join(
            f"{name} {milliseconds(median(times))}" for name, times in cell.items())
        lines.append(f"{'shims':15} {runtime:12} {said}")
    if "steps" in results:
        lines += [f"step {took:9.3f} ms  {name}" for name, took in results["steps"]["floor"]]
        for command, found in results["steps"].get("traced", {}).items():
            lines += traced(command, found)
        for runtime, groups in results["steps"]["groups"].items():
            if "cannot" in groups:
                lines.append(f"system calls of {runtime}: cannot: {reason(groups['cannot'])}")
                continue
            lines += [f"{took:9.3f} ms in {calls:4} calls of {runtime}: {group}"
                      for group, (calls, took) in sorted(groups.items(), key=lambda item: -item[1][1])]
    return lines


def traced(command, found):
    """The steps of one of orlop's commands."""
    if "cannot" in found:
        return [f"steps of {command}: cannot: {reason(found['cannot'])}"]
    rest = found["whole"] - found["before"] - found["ended"]
    lines = [["", "before the trace", None, found["before"]], *found["steps"], ["", "after the trace", found["ended"], rest]]
    return [f"{command:8} {'' if begin is None else f'{begin:.3f}':>9} {took:9.3f} ms  {side:4}  {name}"
            for side, name, begin, took in lines]


def crowd(cell):
    """The first and the last of many."""
    return (f"first {milliseconds(median(cell['first']))} ms, last of {cell['alive']} {milliseconds(median(cell['last']))} ms,"
            f" list {milliseconds(cell['list-few'])} ms of {cell['few']}, {milliseconds(cell['list'])} ms of all")


def count(cell):
    """Sizes and counts."""
    parts = [f"{kilobytes(cell['size'])} {cell['linked']}"]
    for kind in ("calls", "instructions"):
        values = cell.get(kind, {})
        shown = ", ".join(f"{name} {'-' if isinstance(value, dict) else format(value, ',')}" for name, value in values.items())
        parts.append(f"{kind}: {shown}")
    return "; ".join(parts)
