"""What stands around the measurements: bundles, extra mounts, a pod; and all of it gone again at the end."""
import ctypes
import os
import signal
import subprocess

import configs
from commands import built

MS_BIND, MNT_DETACH = 4096, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result):
    """Turns a C library's -1 into an exception."""
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Stage:
    """Everything below one temporary directory, in a mount namespace of our own."""

    def __init__(self, home):
        self.home = home
        os.chmod(home, 0o755)  # a user namespace's root must get in
        # In memory, where /run is on most machines, for the runtimes' state.
        self.states = os.path.join(home, "states")
        os.mkdir(self.states)
        checked(LIBC.mount(b"states", self.states.encode(), b"tmpfs", 0, b"mode=0755"))
        self.programs = os.path.join(home, "programs")
        os.mkdir(self.programs)
        self.root = os.path.join(home, "root")
        self.log = os.path.join(home, "log")
        configs.make_root(self.root)
        self.volumes = os.path.join(home, "volumes")
        for number in range(40):
            os.makedirs(os.path.join(self.volumes, f"{number:02}"))
        self.crowd = os.path.join(home, "crowd")
        os.mkdir(self.crowd)
        self.mounted = 0
        self.bare = apart()
        self.pod = None
        self.host_pid = None  # of a container that is alive, for the floor to enter

    def bundle_of(self, scenario):
        """The bundle of a scenario: its kind of container, and `true` unless the kind ends in another program's name."""
        kind, _, program = scenario.kind.partition("-")
        return self.bundle(kind, [program or "true"])

    def bundle(self, kind, args):
        """The bundle of a kind of container."""
        make = {"default": configs.default, "seccomp": configs.with_seccomp, "userns": configs.with_userns,
                "kubernetes": lambda words: configs.like_kubernetes(words, self.volumes, self.pod_process())}[kind]
        return configs.make_bundle(os.path.join(self.home, f"{kind}-{args[0]}"), self.root, make(args))

    def pod_process(self):
        """A process that holds network, IPC and UTS namespaces, as a pod's first container does."""
        if self.pod is None:
            self.pod = holder("net", "--net", "--ipc", "--uts")
        return self.pod.pid

    def mounts(self, number):
        """As many extra mounts as that, which every new mount namespace copies."""
        if number == self.mounted:
            return
        if self.mounted:
            checked(LIBC.umount2(self.crowd.encode(), MNT_DETACH))
        if number:
            checked(LIBC.mount(b"crowd", self.crowd.encode(), b"tmpfs", 0, None))
            for place in range(number - 1):
                target = os.path.join(self.crowd, str(place))
                os.mkdir(target)
                checked(LIBC.mount(self.volumes.encode(), target.encode(), None, MS_BIND, None))
        self.mounted = number

    def close(self):
        """Ends what is ours. Containers are removed by those who made them."""
        self.mounts(0)
        os.close(self.bare)
        if self.pod:
            self.pod.kill()
            self.pod.wait()
            self.pod = None
        checked(LIBC.umount2(self.states.encode(), MNT_DETACH))


def holder(kind, *unshared):
    """A process in namespaces of its own, the last of which to be made is of this kind."""
    process = subprocess.Popen(["unshare", *unshared, built("pause")], stdin=subprocess.DEVNULL)
    ours = os.readlink(f"/proc/self/ns/{kind}")
    while os.readlink(f"/proc/{process.pid}/ns/{kind}") == ours and process.poll() is None:
        os.sched_yield()
    return process


def apart():
    """A mount namespace like ours now, which later mounts of ours do not reach: a descriptor of it."""
    process = holder("mnt", "--mount")
    try:
        return os.open(f"/proc/{process.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        process.kill()
        process.wait()


def interruptible():
    """SIGTERM ends the program as ^C does: with everything removed."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
