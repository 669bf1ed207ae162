"""The runtimes that are compared, and where they are found."""
import json
import os
import select
import shutil
import struct
import subprocess
import sys

from commands import BUILT, WORKSPACE, Failed, built, copied, run

CGROUPS = "/sys/fs/cgroup"
COMPANIONS = ("orlop-tools", "containerd-shim-orlop-v2")  # of orlop, beside it


class Runtime:
    """A runtime with the usual command line."""

    def __init__(self, name, binary, stage):
        binary = os.path.realpath(binary)
        beside = (os.path.join(os.path.dirname(binary), other) for other in COMPANIONS)
        directory = os.path.join(stage.programs, name)
        copied([binary, *filter(os.path.exists, beside if name == "orlop" else ())], directory)
        self.name, self.binary = name, os.path.join(directory, os.path.basename(binary))
        self.root = os.path.join(stage.states, name)
        os.mkdir(self.root)

    def argv(self, *words):
        """A command line."""
        return [self.binary, "--root", self.root, *words]

    def run(self, bundle, container):
        """Runs the bundle's program to its end."""
        return self.argv("run", "--bundle", bundle, container)

    def lifecycle(self, bundle, container):
        """Creates a container, starts it, and removes it while it runs."""
        return [self.argv("create", "--bundle", bundle, container), self.argv("start", container),
                self.argv("delete", "--force", container)]

    def execute(self, container, args):
        """Runs a program in a running container."""
        return self.argv("exec", container, *args)

    def remove(self, container):
        """Removes a container, if it is there."""
        try:
            run(self.argv("delete", "--force", container))
        except Failed:
            pass  # it is usually gone already, which some runtimes call an error

    def traces(self):
        """Whether it writes traces of what it does: run --trace, exec --trace."""
        return self.name == "orlop"

    def pid(self, container):
        """The first process of a container."""
        return json.loads(run(self.argv("state", container)))["pid"]

    def version(self):
        """The first line of --version."""
        out = subprocess.run([self.binary, "--version"], stdout=subprocess.PIPE, check=False, text=True).stdout
        return out.splitlines()[0] if out else "?"

    def linked(self):
        """Whether it is a static program: one without an interpreter among its program headers (elf(5))."""
        with open(self.binary, "rb") as file:
            begin = file.read(64)
            headers, size, number = struct.unpack("<32xQ14xHH", begin[:58])
            file.seek(headers)
            kinds = [struct.unpack("<I", file.read(size)[:4])[0] for _ in range(number)]
        return "dynamic" if 3 in kinds else "static"


class Floor:
    """The bare system calls, for the default configuration only (hack/bench.d/floor)."""

    name, binary = "floor", built("floor")

    def run(self, bundle, container):
        """As a runtime's run."""
        return [self.binary, "run", self.root_of(bundle), CGROUPS, container, "/bin/true"]

    def lifecycle(self, bundle, container):
        """A container is made and ended by one process: nothing waits in between, and nothing is stored."""
        return [[self.binary, "kill", self.root_of(bundle), CGROUPS, container, "/bin/pause"]]

    @staticmethod
    def root_of(bundle):
        """Where the root file system is."""
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            return json.load(file)["root"]["path"]

    def enter(self, pid, args):
        """Runs a program in the container of a process."""
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
            path = next(line[3:].strip() for line in file if line.startswith("0::"))
        above, name = os.path.split(path)
        return [self.binary, "exec", str(pid), CGROUPS + above, name, *args]

    @staticmethod
    def traces():
        """It times itself (floor/steps.h)."""
        return False

    def remove(self, container):
        """What a failed run may have left."""
        cgroup = os.path.join(CGROUPS, container)
        if not os.path.isdir(cgroup):
            return
        with open(os.path.join(cgroup, "cgroup.events"), encoding="ascii") as events:
            changes = select.poll()
            changes.register(events, select.POLLPRI)
            with open(os.path.join(cgroup, "cgroup.kill"), "w", encoding="ascii") as kill:
                kill.write("1")
            while "populated 1" in events.read():
                changes.poll(1000)
                events.seek(0)
        os.rmdir(cgroup)

    def version(self):
        """What it is."""
        return "the bare system calls"

    def linked(self):
        """As a runtime's."""
        return "static"


def candidates(given):
    """Names and paths, in the order of the tables: ours, those of --runtime, those below target/bench, Debian's."""
    yield "orlop", os.environ.get("ORLOP", os.path.join(WORKSPACE, "bin/orlop"))
    names = set()
    for name, path in given:
        names.add(name)
        yield name, path
    for name, path in (("crun-static", os.path.join(BUILT, "crun-static")), ("crun-new", os.path.join(BUILT, "sid/usr/bin/crun")),
                       ("crun", "crun"), ("runc", "runc")):
        if name not in names and (os.path.exists(path) or "/" not in path):
            yield name, path


def find(given, stage, wanted):
    """The runtimes that are there, the floor first; `wanted` are the names of those to take, or nothing for all."""
    found = [Floor()] if not wanted or "floor" in wanted else []
    for name, binary in candidates(given):
        if wanted and name not in wanted:
            continue
        path = shutil.which(binary)
        if path:
            found.append(Runtime(name, path, stage))
        else:
            print(f"bench: no {name} here ({binary}): make build; hack/setup.sh bench", file=sys.stderr)
    return found
