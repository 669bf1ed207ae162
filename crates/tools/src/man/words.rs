//! What the options of a command do not say: what it does in some more words, and what one types.

/// About a command.
pub(super) struct Words {
    pub(super) command: &'static str,
    pub(super) description: &'static str,
    /// What is typed, and what for.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Its exit statuses, where they are not 0 and 1.
    pub(super) status: Option<&'static str>,
}

/// What there is about a command.
pub(super) fn of(command: &str) -> Option<&'static Words> {
    ALL.iter().find(|words| words.command == command)
}

const fn about(
    command: &'static str,
    description: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Words {
    Words { command, description, examples, status: None }
}

/// What `run`, `try` and `restore` end with.
const OF_THE_PROCESS: &str = "That of the container's process, or 128 + n if signal n ended it. 1 on any error of orlop's own; with \
    --detach, 0 once the process runs.";

/// All of it, in the order of the table of commands.
pub(super) const ALL: &[Words] = &[
    Words {
        status: Some(OF_THE_PROCESS),
        ..about(
            "try",
            "It has namespaces of its own and the host's root file system below an overlay, so that nothing it changes stays. It \
             works without root's rights where the host allows user namespaces.",
            &[
                ("orlop try", "A shell:"),
                (
                    "orlop try --memory 64m --pids 20 -- sh -c 'head -c 100m /dev/zero | tail'",
                    "A limit that is run into:",
                ),
            ],
        )
    },
    about(
        "spec",
        "It is what orlop, runc and crun begin with: a shell with few rights. A file that is there is not replaced.",
        &[("orlop spec --bundle /srv/web", "A configuration for a bundle:")],
    ),
    Words {
        status: Some(OF_THE_PROCESS),
        ..about(
            "run",
            "Its argument is the id of a new container of the bundle in the current directory, or in that of --bundle; or, with a \
             colon in it, an image: a container is made of it then, with options that are named as Docker's are. In the \
             foreground, signals are handed on to the container's process. With --detach and --supervise, --restart, --log-driver \
             or --health-cmd a supervisor stays with it, for orlop-logs(1), orlop-wait(1) and orlop-restart(1).",
            &[
                ("orlop run --bundle /srv/web web", "A container of a bundle:"),
                ("orlop run -it --rm debian:13 bash", "A shell in a container of an image:"),
                (
                    "orlop run -d --restart always --memory 256m --name db postgres:17",
                    "A server, run again when it ends:",
                ),
                (
                    "orlop run --trace start.html --bundle /srv/web web",
                    "How long each step takes, as a page:",
                ),
            ],
        )
    },
    about(
        "create",
        "Namespaces, mounts, limits and all else are there when it returns; the program is executed by orlop-start(1). If something \
         fails, nothing is left.",
        &[(
            "orlop create --bundle /srv/web --pid-file web.pid web",
            "A container whose process id is written to a file:",
        )],
    ),
    about(
        "start",
        "It returns once the program is executed, or says why it could not be.",
        &[("orlop start web", "The second half of create:")],
    ),
    about(
        "state",
        "The object is that of the OCI specification, with some more fields: when it was made, by whom, and of a supervised container \
         how it is.",
        &[("orlop state web", "The state:")],
    ),
    about(
        "list",
        "The containers of this --root: other engines have theirs elsewhere, such as /run/containerd/runc.",
        &[("orlop list", "As a table:"), ("orlop list --quiet", "Their ids only, for a script:")],
    ),
    about(
        "ps",
        "What ps(1) says of the processes in the container's cgroup.",
        &[("orlop ps web -o pid,rss,args", "With options of ps:")],
    ),
    about(
        "top",
        "The same as orlop-ps(1), but that every option is one of ps(1).",
        &[("orlop top web", "As Docker does:")],
    ),
    about(
        "stats",
        "Processor time, memory, network, block devices and processes, read from the cgroup and its network namespace.",
        &[("orlop stats", "Of all that run, until interrupted:"), ("orlop stats --no-stream web", "Once:")],
    ),
    about(
        "logs",
        "It is for containers that were run with --supervise or another option that has a supervisor: only those keep their output.",
        &[("orlop logs --follow --tail 20 web", "The last lines, and what comes:")],
    ),
    about(
        "wait",
        "A supervised container that is restarted has not ended for good.",
        &[("orlop wait web", "How it ends:")],
    ),
    Words {
        status: Some(
            "That of the process, or 128 + n if signal n ended it. 255 if it could not be executed or waited for.",
        ),
        ..about(
            "exec",
            "It joins the container's namespaces and cgroup, with the rights that the container has.",
            &[
                ("orlop exec -t web sh", "A shell:"),
                ("orlop exec -e LANG=C --user 1000 web id", "As another user:"),
            ],
        )
    },
    about(
        "kill",
        "Without SIGNAL it is TERM. A process that is the first of its PID namespace has no default actions: it gets what it has a \
         handler for, and KILL.",
        &[("orlop kill web KILL", "At once:"), ("orlop kill --all web TERM", "Every process of it:")],
    ),
    about(
        "stop",
        "A container that has not ended after --time is killed.",
        &[("orlop stop --time 5 web db", "Two of them:")],
    ),
    about("restart", "It needs a container with a supervisor.", &[("orlop restart web", "Again:")]),
    about(
        "pause",
        "By the cgroup's freezer: none of its processes takes part in it.",
        &[("orlop pause web", "Freeze it:")],
    ),
    about("resume", "The opposite of orlop-pause(1).", &[("orlop resume web", "Let it go on:")]),
    about(
        "update",
        "What is not named stays as it is. If one value is refused by the kernel, those before it are taken back.",
        &[("orlop update --memory 512m --pids-limit 100 web", "More memory, fewer processes:")],
    ),
    about(
        "mounts",
        "The file is an array like `mounts` of a config.json. What is mounted is in the container's own mount namespace.",
        &[("orlop mounts add web mounts.json", "Another mount:")],
    ),
    about("events", "It ends with the container.", &[("orlop events --stats web", "What it uses, once:")]),
    about(
        "checkpoint",
        "criu(8) does it, and has to be installed. Without --leave-running the container ends.",
        &[("orlop checkpoint --image-path /srv/saved web", "To files:")],
    ),
    Words {
        status: Some(OF_THE_PROCESS),
        ..about(
            "restore",
            "The bundle has to be there as it was.",
            &[("orlop restore --image-path /srv/saved --bundle /srv/web -d web", "From files:")],
        )
    },
    about(
        "delete",
        "Its cgroup, its mounts and its state; poststop hooks are run. A container that runs is refused without --force. It can be \
         repeated: whatever is left is removed then.",
        &[
            ("orlop delete web", "After its end:"),
            ("orlop delete --force --regex 'test-.*'", "All with such ids, whatever they do:"),
        ],
    ),
    about(
        "gc",
        "After a crash of the machine, or of an engine, for instance.",
        &[("orlop gc --dry-run", "What it would remove:")],
    ),
    about(
        "features",
        "The object is that of the OCI specification: namespaces, mount options, capabilities and more.",
        &[("orlop features", "What there is:")],
    ),
    about(
        "image",
        "Images are read from files: what skopeo, podman save and docker save write. Their layers are verified and unpacked once, \
         and containers are overlays of them.",
        &[
            ("orlop image import oci-archive:debian.tar debian:13", "An image of a file:"),
            ("orlop image list", "What there is:"),
        ],
    ),
    about(
        "bundle",
        "A directory with a root file system and a config.json of the image, for any OCI runtime.",
        &[("orlop bundle debian:13 /srv/debian", "To be changed by hand:")],
    ),
    about(
        "cp",
        "The container may run or be stopped. No link of the container's leads out of its root.",
        &[
            ("orlop cp web:/var/log/app.log .", "Out of it:"),
            ("orlop cp -a ./site/. web:/srv/site", "What is in a directory, into it:"),
            ("orlop cp web:/etc - | tar -t", "As an archive:"),
        ],
    ),
    about(
        "export",
        "It has the tree as the container sees it, mounts left out, with owners, extended attributes and times.",
        &[("orlop export -o web.tar web", "Into a file:"), ("orlop export web | tar -tv", "What is in it:")],
    ),
    about(
        "diff",
        "Read from the upper directory of the overlay.",
        &[("orlop diff web", "What was changed:")],
    ),
    about(
        "commit",
        "The new image has one layer more than the container's.",
        &[("orlop commit -m 'with a shell' web web:2", "An image of it:")],
    ),
    about(
        "volume",
        "What is in them stays when containers are deleted.",
        &[("orlop volume create data", "An empty one:"), ("orlop volume list", "All, and who uses them:")],
    ),
    Words {
        status: Some("0 if all is well, 1 on any error; with --syscall, 2 if a call does not pass."),
        ..about(
            "explain",
            "Nothing is made, and no rights are needed. Each step has its system call, the place in config.json that asks for it, and a \
             sentence why.",
            &[
                ("orlop explain /srv/web", "As text:"),
                ("orlop explain --format html /srv/web > web.html", "As a page:"),
                (
                    "orlop explain --syscall 'ptrace()' /srv/web",
                    "Whether a system call would pass the filter:",
                ),
                (
                    "orlop explain --diff /srv/web /srv/db",
                    "What the second one gets that the first does not:",
                ),
            ],
        )
    },
    about(
        "inspect",
        "Namespaces beside the host's, mounts, limits and use, capabilities, filter, and the tree of processes.",
        &[
            ("orlop inspect web", "A container:"),
            ("orlop inspect --pid 1234", "Any process, of any runtime:"),
        ],
    ),
    Words {
        status: Some(
            "0 if all is well, 1 on any error; with --fail-on, 2 if there is a finding of that level or a worse one.",
        ),
        ..about(
            "audit",
            "Findings are ranked, each with the change of the configuration that would take it away.",
            &[
                ("orlop audit --fail-on high /srv/web", "For continuous integration:"),
                ("orlop audit --pid 1234", "Any process:"),
            ],
        )
    },
    Words {
        status: Some("0 if containers can run here, 1 if none can, or on any error."),
        ..about(
            "doctor",
            "The kernel, cgroups, user namespaces, security modules and engines, with the remedy for what is missing; and what \
             containers of any runtime or engine have left: cgroups, network namespaces, mounts, processes, sockets, device \
             programs, each with the reason and what removes it. It removes nothing itself.",
            &[
                ("orlop doctor", "This host, for this user:"),
                ("orlop doctor --format json", "The same for programs:"),
            ],
        )
    },
    about(
        "completion",
        "What it prints asks orlop for what fits: commands, options, the ids of containers, the names of images and volumes.",
        &[("orlop completion bash", "The script, to be read by source(1):")],
    ),
    about("version", "The same as --version.", &[("orlop version", "Which one this is:")]),
];
