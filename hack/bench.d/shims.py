"""What a container costs through a shim: containerd's calls, without containerd."""
import contextlib
import ctypes
import json
import os
import random
import subprocess
import time

import configs
from commands import LIMIT, Failed
from stage import LIBC, MNT_DETACH, checked
from ttrpc import Client, Events, any_of, message

RUNTIME = "/run/containerd"  # where shims listen
OTHER = "/usr/bin/containerd-shim-runc-v2"
OPTIONS = "containerd.runc.v1.Options"
PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
PARTS = ("start", "Create", "Start", "exit", "Delete", "Shutdown")
SIGKILL = 9


class Shim:
    """One that is compared: a program, and the runtime that it is to use."""

    def __init__(self, name, binary, runtime, stage):
        self.name, self.binary = name, binary
        self.options = any_of(OPTIONS, message({6: runtime, 7: os.path.join(stage.states, f"shim-{name}")}))
        self.bundles = {program: configs.make_bundle(os.path.join(stage.home, f"shim-{name}-{program}"), stage.root,
                                                     configs.default([program])) for program in ("true", "pause")}
        self.logs = []
        for bundle in self.bundles.values():
            os.makedirs(os.path.join(bundle, "rootfs"), exist_ok=True)  # containerd's bundles have one
            os.mkfifo(os.path.join(bundle, "log"))
            self.logs.append(os.open(os.path.join(bundle, "log"), os.O_RDWR | os.O_NONBLOCK))

    def start(self, bundle, container, home):
        """Has the shim started, as containerd does: a connection to it."""
        argv = [self.binary, "-namespace", "bench", "-address", f"{home}/grpc", "-publish-binary", "/bin/true", "-id", container, "start"]
        done = subprocess.run(argv, input=self.options, capture_output=True, timeout=LIMIT, check=False, cwd=bundle,
                              env={"PATH": os.environ["PATH"], "TTRPC_ADDRESS": f"{home}/events", "GOMAXPROCS": "2"})
        if done.returncode != 0:
            raise Failed(f"{self.name}: {done.stderr.decode(errors='replace').strip()}")
        return Client(done.stdout.decode().strip().removeprefix("unix://"))

    def quiet(self):
        """Throws away what it has logged."""
        for log in self.logs:
            with contextlib.suppress(BlockingIOError):
                while os.read(log, 65536):
                    pass


class Watch:
    """Milliseconds of what follows one another."""

    def __init__(self):
        self.began = self.last = time.monotonic_ns()
        self.parts = []

    def lap(self):
        """The next begins."""
        now = time.monotonic_ns()
        self.parts.append((now - self.last) / 1e6)
        self.last = now

    def all(self):
        """From the beginning to the last lap."""
        return (self.last - self.began) / 1e6


def life(shim, container, home):
    """The whole life of a container that runs `true`."""
    bundle, watch = shim.bundles["true"], Watch()
    client = shim.start(bundle, container, home)
    watch.lap()
    try:
        client.call("Create", {1: container, 2: bundle, 10: shim.options})
        watch.lap()
        ended = client.send("Wait", {1: container})
        client.call("Start", {1: container})
        watch.lap()
        client.answer(ended)
        watch.lap()
        client.call("Delete", {1: container})
        watch.lap()
    finally:
        client.shut_down(container)
    watch.lap()
    return {"life": watch.all(), **dict(zip(PARTS, watch.parts))}


class Lasting:
    """A container that stays, and its shim."""

    def __init__(self, shim, container, home):
        self.container, self.number = container, 0
        self.client = shim.start(shim.bundles["pause"], container, home)
        try:
            self.client.call("Create", {1: container, 2: shim.bundles["pause"], 10: shim.options})
            self.client.call("Start", {1: container})
        except BaseException:
            self.close()
            raise

    def execute(self):
        """Runs `true` in it."""
        self.number += 1
        name, watch = {1: self.container, 2: f"exec{self.number}"}, Watch()
        spec = json.dumps(configs.default(["true"])["process"]).encode()
        self.client.call("Exec", {**name, 7: any_of(PROCESS, spec)})
        ended = self.client.send("Wait", name)
        self.client.call("Start", name)
        self.client.answer(ended)
        self.client.call("Delete", name)
        watch.lap()
        return watch.all()

    def close(self):
        """Ends it."""
        with contextlib.suppress(Failed):
            ended = self.client.send("Wait", {1: self.container})
            self.client.call("Kill", {1: self.container, 3: SIGKILL, 4: True})
            self.client.answer(ended)
            self.client.call("Delete", {1: self.container})
        self.client.shut_down(self.container)


@contextlib.contextmanager
def place():
    """A directory of our own where shims listen, in this mount namespace."""
    made = not os.path.isdir(RUNTIME)
    os.makedirs(RUNTIME, exist_ok=True)
    checked(LIBC.mount(b"shims", RUNTIME.encode(), b"tmpfs", ctypes.c_ulong(0), b"mode=0711"))
    try:
        yield
    finally:
        checked(LIBC.umount2(RUNTIME.encode(), MNT_DETACH))
        if made:
            os.rmdir(RUNTIME)


def candidates(stage, found):
    """Who is compared: ours, and containerd's with the runtimes that it can start and that are measured alone, too."""
    for one in found:
        if one.name == "orlop":
            yield Shim(one.name, os.path.join(os.path.dirname(one.binary), "containerd-shim-orlop-v2"), "", stage)
        elif one.name in ("crun-static", "crun-new", "runc"):
            yield Shim(one.name, OTHER, one.binary, stage)


def measure(stage, found, seconds, rounds):
    """All of them in turns, in random order: the times of lives, of their parts, and of execs."""
    home = os.path.join(stage.home, "shims")
    os.mkdir(home)
    events = Events(f"{home}/events")
    events.start()
    every = list(candidates(stage, found))
    results, shims, lasting = {}, list(every), {}
    try:
        with place():
            try:
                for shim in every:
                    try:
                        life(shim, f"bench-{shim.name}-shim", home)
                        lasting[shim.name] = Lasting(shim, f"bench-{shim.name}-shim-exec", home)
                        results[shim.name] = {name: [] for name in ("life", *PARTS, "exec")}
                    except (Failed, OSError) as error:
                        shims.remove(shim)
                        results[shim.name] = {"cannot": str(error)}
                race(shims, lasting, results, home, time.monotonic() + seconds, rounds)
            finally:
                for one in lasting.values():
                    one.close()
    finally:
        events.close()
        for shim in every:
            for log in shim.logs:
                os.close(log)
    return results


def race(shims, lasting, results, home, end, rounds):
    """Rounds until the time is over."""
    for number in range(rounds):
        if time.monotonic() > end:
            return
        for shim in random.sample(shims, len(shims)):
            for name, took in life(shim, f"bench-{shim.name}-shim-{number}", home).items():
                results[shim.name][name].append(took)
            results[shim.name]["exec"].append(lasting[shim.name].execute())
            shim.quiet()
