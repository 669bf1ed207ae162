"""Numbers out of many."""


def at(values, fraction):
    """A quantile by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def median(values):
    """The middle one."""
    return at(values, 0.5)


def milliseconds(value):
    """As tables show it."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def kilobytes(value):
    """Bytes, as kB or MB."""
    return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.0f} kB"


def reason(text, most=110):
    """Why something cannot be done, in one line: runtimes say it last."""
    line = " ".join(text.split())
    return line if len(line) <= most else "… " + line[-most:]
