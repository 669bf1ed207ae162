"""What is timed: for each scenario, the command lines of one round."""
import dataclasses
import typing

from commands import Failed, built, start
from runtimes import Floor

CROWDS = (0, 1000, 5000)  # extra mounts on the host


@dataclasses.dataclass
class Scenario:
    """One line of the tables."""
    name: str
    title: str
    kind: str  # which configuration
    commands: typing.Callable  # (stage, runtime) -> command lines
    mounts: int = 0
    together: bool = False  # at the same time
    alive: bool = False  # in a container that runs all the while
    floor: bool = False  # whether the floor can do it
    parts: typing.Sequence = ()  # names of what the single commands are, where that is told too


def container_of(scenario, runtime, number=0):
    """The name of a container of a scenario."""
    return f"bench-{runtime.name}-{scenario.name}-{number}"


def running(scenario):
    """Runs `true`."""
    return lambda stage, runtime: [runtime.run(stage.bundle_of(scenario), container_of(scenario, runtime))]


def living(scenario):
    """Create, start, delete."""
    return lambda stage, runtime: runtime.lifecycle(stage.bundle_of(scenario), container_of(scenario, runtime))


def executing(scenario):
    """Runs `true` in a container that is there."""
    def commands(stage, runtime):
        if isinstance(runtime, Floor):
            return [runtime.enter(stage.host_pid, ["/bin/true"])]
        return [runtime.execute(container_of(scenario, runtime), ["true"])]
    return commands


def several(number):
    """As many runs."""
    def make(scenario):
        return lambda stage, runtime: [runtime.run(stage.bundle_of(scenario), container_of(scenario, runtime, n))
                                       for n in range(number)]
    return make


def version(_scenario):
    """The program's start; for the floor, that of a program that does nothing."""
    return lambda _stage, runtime: [[built("nothing")] if isinstance(runtime, Floor) else [runtime.binary, "--version"]]


def scenario(name, title, kind, make, **more):
    """A scenario whose commands know it."""
    made = Scenario(name, title, kind, None, **more)
    made.commands = make(made)
    return made


def every():
    """All of them, in the order of the tables."""
    with_mounts = lambda n: f", {n:,} extra host mounts" if n else ""
    found = []
    for n in CROWDS:
        suffix = f"-{n}" if n else ""
        found += [
            scenario("run" + suffix, "run of `true`" + with_mounts(n), "default", running, mounts=n, floor=True),
            scenario("lifecycle" + suffix, "create, start, delete" + with_mounts(n), "default-pause", living, mounts=n,
                     floor=True, parts=("create", "start", "delete")),
            scenario("exec" + suffix, "exec of `true`" + with_mounts(n), "default-pause", executing, mounts=n, alive=True,
                     floor=True),
        ]
    found += [
        scenario("seccomp", "run with a Docker-like seccomp profile", "seccomp", running),
        scenario("exec-seccomp", "exec of `true` in a container with such a profile", "seccomp-pause", executing, alive=True),
        scenario("userns", "run in a user namespace", "userns", running),
        scenario("kubernetes", "run in a pod, 40 mounts, 120 variables", "kubernetes", running),
        scenario("parallel-1", "1 run, as the next two are taken", "default", several(1), together=True, floor=True),
        scenario("parallel-8", "8 runs at the same time", "default", several(8), together=True, floor=True),
        scenario("parallel-32", "32 runs at the same time", "default", several(32), together=True, floor=True),
        scenario("version", "`--version`; the floor: a static program of glibc that does nothing", "default", version, floor=True),
    ]
    return found


def prepare(stage, chosen, runtimes):
    """Starts what a scenario needs to be alive. Who can take part, and why others cannot."""
    stage.mounts(chosen.mounts)
    stage.host_pid = None
    taking_part, unable = [], {}
    for runtime in runtimes:
        if isinstance(runtime, Floor):
            continue
        try:
            if chosen.alive:
                container = container_of(chosen, runtime)
                bundle = stage.bundle_of(chosen)
                start(runtime.argv("create", "--bundle", bundle, container), stage.log)
                start(runtime.argv("start", container), stage.log)
                stage.host_pid = runtime.pid(container)
            taking_part.append(runtime)
        except Failed as error:
            unable[runtime.name] = str(error)
    # The floor enters a container of another's: it has nobody who would keep one.
    if chosen.floor and (stage.host_pid or not chosen.alive):
        taking_part += [runtime for runtime in runtimes if isinstance(runtime, Floor)]
    return taking_part, unable


def clean_up(chosen, runtimes):
    """Removes the containers of a scenario."""
    number = {"parallel-8": 8, "parallel-32": 32}.get(chosen.name, 1)
    for runtime in runtimes:
        if chosen.alive and not isinstance(runtime, Floor):
            runtime.remove(container_of(chosen, runtime))
        elif chosen.name != "version":
            for n in range(number):
                runtime.remove(container_of(chosen, runtime, n))
