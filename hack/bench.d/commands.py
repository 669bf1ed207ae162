"""Running commands, timed or not."""
import dataclasses
import os
import shlex
import shutil
import subprocess

LIMIT = 30  # seconds after which a command hangs for good
WORKSPACE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILT = os.path.join(WORKSPACE, "target", "bench")
FLAGS = """-std=gnu11 -Wall -Wextra -Werror -O2 -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie
    -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noseparate-code -s""".split()


class Failed(Exception):
    """A command failed or did not end."""


@dataclasses.dataclass
class Taken:
    """What one command took."""
    milliseconds: float
    peak: int  # resident kilobytes
    faults: int


def build_programs():
    """The programs of floor/, below target/bench."""
    os.makedirs(BUILT, exist_ok=True)
    sources = os.path.join(WORKSPACE, "hack/bench.d/floor")
    for program, source, extra in (("floor", "floor", []), ("floor-steps", "floor", ["-DSTEPS"]), ("pause", "pause", []),
                                   ("stopwatch", "stopwatch", []), ("count", "count", []), ("nothing", "nothing", None)):
        made = os.path.join(BUILT, program)
        new = f"{made}.{os.getpid()}"
        flags = ["-O2", "-static", "-s"] if extra is None else [*FLAGS, *extra]  # with a C library, or without
        subprocess.run(["gcc", *flags, "-o", new, os.path.join(sources, source + ".c")], check=True)
        read_anew(new)
        os.replace(new, made)  # it may be running, for another bench


def read_anew(path):
    """Leaves nothing of a file in memory: it is read from the disk when it is executed, as after a boot. What was written is in
    larger pieces there than what was read, and that was up to a tenth of a short command's time."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def copied(paths, directory):
    """Copies of programs that nobody has executed yet, in a new directory."""
    os.mkdir(directory)
    for path in paths:
        copy = os.path.join(directory, os.path.basename(path))
        shutil.copy(path, copy)
        read_anew(copy)


def built(program):
    """The path of a program that build_programs makes."""
    return os.path.join(BUILT, program)


def run(argv, limit=LIMIT):
    """Runs a command to its end. Its output; Failed with what it said if it fails."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{shlex.join(argv)}: hangs") from error
    if done.returncode != 0:
        raise Failed(f"{shlex.join(argv)}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def start(argv, log):
    """Runs a command whose container outlives it: with a pipe we would wait for the container's end."""
    with open(log, "w+b") as said:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=LIMIT, check=False)
        if done.returncode != 0:
            said.seek(0)
            raise Failed(f"{shlex.join(argv)}: exit {done.returncode}: {said.read().decode(errors='replace').strip()}")


def timed(commands, log, together=False, status=0, inside=None):
    """Runs command lines under the stopwatch: a Taken for each of them, or one for all if they run together. `inside` is a
    descriptor of another mount namespace for them.

    Failed if one ends with another wait status than this.
    """
    entered = [] if inside is None else ["nsenter", f"--mount=/proc/self/fd/{inside}"]
    words = []
    for argv in commands:
        words += ["--", *argv]
    reader, writer = os.pipe()
    with open(log, "w+b") as said, open(reader, encoding="ascii") as report:
        argv = [*entered, built("stopwatch"), str(writer), str(LIMIT), "with" if together else "then", *words[1:]]
        watch = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                                 pass_fds=[writer] + ([] if inside is None else [inside]))
        os.close(writer)
        try:
            lines = [[int(number) for number in line.split()] for line in report]
        finally:
            watch.wait()  # also when we are interrupted: what it has begun can then be removed
        said.seek(0)
        words = said.read().decode(errors="replace").strip()
    if watch.returncode != 0 or not lines or lines[-1][3] != status:
        failing = shlex.join(commands[min(len(lines), len(commands)) - 1])
        ended = lines[-1][3] if lines else "?"
        raise Failed(f"{failing}: {'hangs' if ended == 9 else f'status {ended}'}: {words[-300:]}")
    return [Taken(line[0] / 1e6, line[1], line[2]) for line in lines]


def tool(name):
    """The path of a program that is installed, or Failed."""
    path = shutil.which(name)
    if path is None:
        raise Failed(f"no {name} here (hack/setup.sh bench)")
    return path
