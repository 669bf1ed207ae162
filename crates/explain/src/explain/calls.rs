//! The system calls of a step, with their arguments, as strace(1) would show them: what `orlop-init` does for it.
//!
//! Descriptors have names here: `root` is the container's root, `proc` a procfs that was verified, `tree` a detached mount.

use crate::names::{capabilities, clone_flags, mount_attributes, octal, propagation, quoted};
use orlop_compile::rlimit_name;
use orlop_program::source::Source;
use orlop_program::{List, Slot, Step, Str};

/// The calls of a step, in order.
pub(super) fn of(step: &Step<'_>) -> Vec<String> {
    let calls = match step {
        Step::HostPropagation { .. }
        | Step::BindRoot { .. }
        | Step::OverlayRoot { .. }
        | Step::UseRoot {}
        | Step::Chroot {}
        | Step::PivotRoot { .. }
        | Step::MoveRoot { .. }
        | Step::RootAttributes { .. } => root(step),
        Step::Mount { .. }
        | Step::Bind { .. }
        | Step::Propagation { .. }
        | Step::MountAttributes { .. }
        | Step::Unmount { .. }
        | Step::OpenCovered { .. }
        | Step::TakeOver { .. }
        | Step::PrivateProc {}
        | Step::ReadonlyPath { .. }
        | Step::MaskPath { .. }
        | Step::MaskLabel { .. } => mounts(step),
        Step::OpenDir { .. }
        | Step::MakeDir { .. }
        | Step::Device { .. }
        | Step::BindDevice { .. }
        | Step::Symlink { .. }
        | Step::Console { .. }
        | Step::OwnStdio { .. }
        | Step::FileLabel { .. } => files(step),
        Step::BoundingSet { .. }
        | Step::Identity { .. }
        | Step::Capabilities { .. }
        | Step::DropGroups {}
        | Step::Home { .. }
        | Step::Cwd { .. } => identity(step),
        _ => process(step),
    };
    calls.into_iter().filter(|call| !call.is_empty()).collect()
}

fn text(text: Str<'_>) -> String {
    quoted(&String::from_utf8_lossy(text.bytes()))
}

/// A call if there is a reason for it.
fn when(condition: bool, call: impl FnOnce() -> String) -> String {
    if condition { call() } else { String::new() }
}

fn open_in_root(path: &str) -> String {
    format!("openat2(root, {path}, O_PATH, RESOLVE_IN_ROOT)")
}

fn open_tree(source: &Source<'_>, recursive: bool) -> String {
    let flags = if recursive { "OPEN_TREE_CLONE|AT_RECURSIVE" } else { "OPEN_TREE_CLONE" };
    match source {
        Source::Tree(_) => String::new(),
        Source::Path(path) | Source::Mapped(path, ..) | Source::MappedByHost(path, _) => {
            format!("open_tree(AT_FDCWD, {}, {flags})", text(*path))
        }
    }
}

fn id_map(source: &Source<'_>) -> String {
    match source {
        Source::Mapped(..) => "mount_setattr(tree, MOUNT_ATTR_IDMAP)".to_owned(),
        Source::MappedByHost(..) => "sendmsg(host, tree): the host side maps its ids".to_owned(),
        Source::Path(_) | Source::Tree(_) => String::new(),
    }
}

fn new_file_system(
    fstype: &str,
    options: List<'_, (Str<'_>, Option<Str<'_>>)>,
    attributes: u64,
) -> Vec<String> {
    let mut calls = vec![format!("fsopen({fstype})")];
    calls.extend(options.iter().map(|(key, value)| match value {
        Some(value) => format!("fsconfig(FSCONFIG_SET_STRING, {}, {})", text(key), text(value)),
        None => format!("fsconfig(FSCONFIG_SET_FLAG, {})", text(key)),
    }));
    calls.push("fsconfig(FSCONFIG_CMD_CREATE)".to_owned());
    calls.push(format!("fsmount({})", mount_attributes(attributes)));
    calls
}

fn root(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::HostPropagation { propagation: how, recursive } => {
            let all = if recursive { ", AT_RECURSIVE" } else { "" };
            vec!["umask(0)".into(), format!("mount_setattr(AT_FDCWD, \"/\"{all}, {})", propagation(how))]
        }
        Step::BindRoot { ref source, at } => vec![
            open_tree(source, true),
            id_map(source),
            format!("move_mount(tree, {}): the tree is now `root`", text(at)),
        ],
        Step::OverlayRoot { lowers, ref upper, at, options, user_attributes } => {
            let mut calls = new_file_system("\"tmpfs\"", options, 0);
            calls.push(format!("move_mount(tree, {})", text(at)));
            calls.push("fsopen(\"overlay\")".into());
            calls.extend(lowers.iter().map(|lower| match lower {
                Source::Path(path) => format!("fsconfig(FSCONFIG_SET_STRING, \"lowerdir+\", {})", text(path)),
                _ => "move_mount(what the host side opened, tree), fsconfig(\"lowerdir+\")".into(),
            }));
            if let Some(upper) = upper {
                calls.push(open_tree(upper, false));
            }
            calls.push(
                "mkdirat(\"upper\"), mkdirat(\"work\"), fsconfig(\"upperdir\"), fsconfig(\"workdir\")".into(),
            );
            calls.push(when(user_attributes, || "fsconfig(FSCONFIG_SET_FLAG, \"userxattr\")".into()));
            calls.push("fsconfig(FSCONFIG_CMD_CREATE), fsmount(0)".into());
            calls.push("move_mount(overlay, tree): the overlay is now `root`".into());
            calls
        }
        Step::UseRoot {} => vec!["openat(AT_FDCWD, \"/\", O_PATH|O_DIRECTORY)".into()],
        Step::Chroot {} => vec!["fchdir(root)".into(), "chroot(\".\")".into(), "chdir(\"/\")".into()],
        Step::PivotRoot { detach } => vec![
            "fchdir(root)".into(),
            "pivot_root(\".\", \".\")".into(),
            "fchdir(old root)".into(),
            when(detach, || "mount_setattr(old root, AT_RECURSIVE, MS_SLAVE)".into()),
            "umount2(\".\", MNT_DETACH)".into(),
            "chdir(\"/\")".into(),
        ],
        Step::MoveRoot { views } => vec![
            format!("umount2 or cover with an empty tmpfs: {} views of procfs and sysfs", views.len()),
            "move_mount(root, \"/\")".into(),
            "fchdir(root), chroot(\".\"), chdir(\"/\")".into(),
        ],
        Step::RootAttributes { set, propagation: how } => {
            let mut what = Vec::new();
            if set != 0 {
                what.push(mount_attributes(set));
            }
            if how != 0 {
                what.push(propagation(how));
            }
            vec![format!("mount_setattr(root, {})", what.join(", "))]
        }
        _ => Vec::new(),
    }
}

fn mounts(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::Mount { fstype, options, attributes, target, real, id_map, like, .. } => {
            let mut calls = vec![when(like.is_some(), || "fstat(covered directory): its mode".into())];
            calls.extend(new_file_system(&text(fstype), options, attributes));
            calls.push(when(id_map.is_some(), || "mount_setattr(tree, MOUNT_ATTR_IDMAP)".into()));
            let how = if real { "RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS" } else { "RESOLVE_IN_ROOT" };
            calls.push(format!("openat2(root, {}, O_PATH, {how}), made if it is missing", text(target)));
            calls.push("move_mount(tree, target)".into());
            calls
        }
        Step::Bind { ref source, recursive, set, clear, set_all, clear_all, target } => vec![
            open_tree(source, recursive),
            id_map(source),
            when(set | clear != 0, || attribute_change("tree", "", set, clear)),
            when(set_all | clear_all != 0, || attribute_change("tree", ", AT_RECURSIVE", set_all, clear_all)),
            format!("{}, made if it is missing", open_in_root(&text(target))),
            "move_mount(tree, target)".into(),
        ],
        Step::Propagation { target, propagation: how, recursive } => {
            let all = if recursive { ", AT_RECURSIVE" } else { "" };
            vec![open_in_root(&text(target)), format!("mount_setattr(target{all}, {})", propagation(how))]
        }
        Step::MountAttributes { target, set, clear } => {
            vec![open_in_root(&text(target)), attribute_change("target", "", set, clear)]
        }
        Step::Unmount { target } => {
            vec![format!("umount2({}, MNT_DETACH|UMOUNT_NOFOLLOW)", text(target))]
        }
        Step::OpenCovered { path, .. } => vec![open_in_root(&text(path))],
        Step::TakeOver { target, owner, .. } => vec![
            format!("openat2, read, write, symlinkat, …: each entry of {}", text(target)),
            when(owner, || "fchownat(target)".into()),
        ],
        Step::PrivateProc {} => vec!["fsopen(\"proc\")".into(), "fsmount(…): kept, attached nowhere".into()],
        Step::ReadonlyPath { path, within } => vec![
            open_within(&text(path), within),
            "open_tree(target, OPEN_TREE_CLONE|AT_RECURSIVE)".into(),
            "mount_setattr(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY)".into(),
            "move_mount(tree, target)".into(),
        ],
        Step::MaskPath { path, within } => vec![
            open_within(&text(path), within),
            "open_tree(/dev/null of the container, or an empty read-only tmpfs for a directory)".into(),
            "move_mount(tree, target)".into(),
        ],
        Step::MaskLabel { label } => {
            vec![format!("fsopen(\"tmpfs\"), fsconfig(\"context\", {}), fsmount()", text(label))]
        }
        _ => Vec::new(),
    }
}

fn open_within(path: &str, within: Slot) -> String {
    let base = if within == Slot::PROC { "proc" } else { "root" };
    format!("openat2({base}, {path}, O_PATH, RESOLVE_IN_ROOT): nothing to do if it is missing")
}

fn attribute_change(what: &str, recursive: &str, set: u64, clear: u64) -> String {
    let mut parts = Vec::new();
    if set != 0 {
        parts.push(format!("set {}", mount_attributes(set)));
    }
    if clear != 0 {
        parts.push(format!("clear {}", mount_attributes(clear)));
    }
    format!("mount_setattr({what}{recursive}, {})", parts.join(", "))
}

fn files(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::OpenDir { path, .. } | Step::MakeDir { path } => {
            vec![format!("{}, mkdirat(…, 0755) of what is missing", open_in_root(&text(path)))]
        }
        Step::Device { name, mode, device, uid, gid, .. } => vec![
            format!(
                "mknodat(directory, {}, {}|{}, makedev({}, {}))",
                text(name),
                node_type(mode),
                octal(mode & 0o7777),
                libc::major(device),
                libc::minor(device)
            ),
            when((uid, gid) != (0, 0), || format!("fchownat(directory, {}, {uid}, {gid})", text(name))),
        ],
        Step::BindDevice { name, ref source, .. } => vec![
            open_tree(source, false),
            "fstat(tree): it must be that device".into(),
            format!("mknodat(directory, {}, S_IFREG|0644)", text(name)),
            "move_mount(tree, target)".into(),
        ],
        Step::Symlink { name, target, replace, .. } => vec![
            when(replace, || format!("unlinkat(directory, {}), if there is one", text(name))),
            format!("symlinkat({}, directory, {})", text(target), text(name)),
        ],
        Step::Console { size, mount, uid } => vec![
            "openat2(root, \"/dev/pts/ptmx\", O_RDWR|O_NOCTTY, RESOLVE_IN_ROOT), fstatfs: it must be devpts"
                .into(),
            "ioctl(master, TIOCSPTLCK), ioctl(master, TIOCGPTPEER)".into(),
            size.map_or_else(String::new, |(rows, columns)| {
                format!("ioctl(terminal, TIOCSWINSZ, {rows} rows, {columns} columns)")
            }),
            when(mount, || "open_tree(terminal), move_mount(tree, \"/dev/console\")".into()),
            format!("fchownat(terminal, {uid})"),
            "sendmsg(host, master)".into(),
            "dup3(terminal, 0), dup3(terminal, 1), dup3(terminal, 2), ioctl(0, TIOCSCTTY)".into(),
        ],
        Step::OwnStdio { uid } => vec![format!("fchownat(0, {uid}), fchownat(1, {uid}), fchownat(2, {uid})")],
        Step::FileLabel { target, label } => {
            vec![
                open_in_root(&text(target)),
                format!("setxattr(target, \"security.selinux\", {})", text(label)),
            ]
        }
        _ => Vec::new(),
    }
}

const fn node_type(mode: u32) -> &'static str {
    match mode & libc::S_IFMT {
        libc::S_IFBLK => "S_IFBLK",
        libc::S_IFIFO => "S_IFIFO",
        _ => "S_IFCHR",
    }
}

fn identity(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::BoundingSet { keep } => {
            vec![format!("prctl(PR_CAPBSET_DROP, …) of all but {}", capabilities(keep))]
        }
        Step::Identity { uid, gid, groups, umask } => vec![
            "prctl(PR_SET_KEEPCAPS, 1)".into(),
            groups.map_or_else(String::new, |groups| {
                let ids = groups.chunks_exact(4).filter_map(|c| <[u8; 4]>::try_from(c).ok());
                let ids: Vec<_> = ids.map(|id| u32::from_ne_bytes(id).to_string()).collect();
                format!("setgroups([{}])", ids.join(", "))
            }),
            format!("setresgid({gid}, {gid}, {gid})"),
            format!("setresuid({uid}, {uid}, {uid})"),
            format!("umask({})", octal(umask)),
        ],
        Step::Capabilities { effective, permitted, inheritable, ambient } => vec![
            "prctl(PR_SET_KEEPCAPS, 0)".into(),
            format!(
                "capset(effective {}, permitted {}, inheritable {})",
                capabilities(effective),
                if permitted == effective { "the same".to_owned() } else { capabilities(permitted) },
                capabilities(inheritable)
            ),
            when(ambient != 0, || {
                format!("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, …) of {}", capabilities(ambient))
            }),
        ],
        Step::DropGroups {} => vec!["setgroups([])".into()],
        Step::Home { uid } => {
            vec![format!("openat(\"/etc/passwd\"), read: the home of user {uid}, else \"/\"")]
        }
        Step::Cwd { path, .. } => {
            vec![format!("chdir({})", text(path)), "getcwd(): it must be inside the root".into()]
        }
        _ => Vec::new(),
    }
}

fn process(step: &Step<'_>) -> Vec<String> {
    let one = |call: String| vec![call];
    match *step {
        Step::NewSession {} => {
            vec!["rt_sigaction(…, SIG_DFL), rt_sigprocmask(unblock all)".into(), "setsid()".into()]
        }
        Step::SessionKeyring { name } => one(format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {})", text(name))),
        Step::Unshare { kinds } => one(format!("unshare({})", clone_flags(kinds.into()))),
        Step::Redirect { from, to } => one(format!("dup3(slot {}, {to})", from.0)),
        Step::LoopbackUp {} => one("socket(AF_INET, SOCK_DGRAM), ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)".into()),
        Step::Sync { point } => {
            vec![format!("sendto(host, reached point {point})"), "read(host): wait for its word".into()]
        }
        Step::AwaitWord {} => one("read(host): wait for its word".into()),
        Step::Hostname { name } => one(format!("sethostname({})", text(name))),
        Step::Domainname { name } => one(format!("setdomainname({})", text(name))),
        Step::Sysctl { path, value } => vec![
            format!(
                "openat2(proc, \"sys/{}\", O_WRONLY, RESOLVE_BENEATH)",
                String::from_utf8_lossy(path.bytes())
            ),
            format!("write({})", text(value)),
        ],
        Step::NoNewPrivileges {} => one("prctl(PR_SET_NO_NEW_PRIVS, 1)".into()),
        Step::Seccomp { flags, filter } => one(format!(
            "seccomp(SECCOMP_SET_MODE_FILTER, {}, {} instructions)",
            crate::names::seccomp_flags(flags),
            filter.len() / 8
        )),
        Step::Locate { candidates } => one(format!(
            "faccessat2(X_OK), fstat of {}",
            candidates.iter().map(text).collect::<Vec<_>>().join(", ")
        )),
        Step::AwaitStart {} => {
            vec!["accept4(start.sock): sleep until `orlop start` connects".into(), "read: its word".into()]
        }
        Step::CloseFrom { first } => one(format!("close_range({first}, ~0, CLOSE_RANGE_CLOEXEC)")),
        Step::Stay { .. } => one("clone3(), then rt_sigtimedwait and waitid for ever".into()),
        Step::Exec { args, env } => one(format!(
            "execve(the file found, [{}], {} variables)",
            args.iter().map(text).collect::<Vec<_>>().join(", "),
            env.len()
        )),
        _ => settings(step),
    }
}

/// Landlock.
fn landlock(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::Ruleset { files, network, scoped } => vec![format!(
            "landlock_create_ruleset({{files {files:#x}, network {network:#x}, scoped {scoped:#x}}})"
        )],
        Step::AllowPath { path, files } => {
            vec![open_in_root(&text(path)), format!("landlock_add_rule(beneath it, files {files:#x})")]
        }
        Step::AllowPort { port, network } => {
            vec![format!("landlock_add_rule(port {port}, network {network:#x})")]
        }
        Step::Restrict {} => vec!["landlock_restrict_self(ruleset)".into()],
        _ => Vec::new(),
    }
}

/// Scheduling, limits, labels.
fn settings(step: &Step<'_>) -> Vec<String> {
    let one = |call: String| vec![call];
    match *step {
        Step::OomScoreAdj { value } => one(format!("write(\"/proc/self/oom_score_adj\", \"{value}\")")),
        Step::Rlimit { resource, soft, hard } => {
            let limit = |n: u64| if n == u64::MAX { "RLIM_INFINITY".to_owned() } else { n.to_string() };
            one(format!("prlimit64(0, {}, {{{}, {}}})", rlimit_name(resource), limit(soft), limit(hard)))
        }
        Step::TimeNamespace { offsets, .. } => vec![
            "unshare(CLONE_NEWTIME)".into(),
            when(!offsets.bytes().is_empty(), || {
                format!("write(\"/proc/self/timens_offsets\", {})", text(offsets))
            }),
            "setns(\"/proc/self/ns/time_for_children\", CLONE_NEWTIME)".into(),
        ],
        Step::Affinity { cpus: None } => one("sched_setaffinity(0, every CPU)".into()),
        Step::Affinity { cpus: Some(cpus) } => {
            one(format!("sched_setaffinity(0, {})", crate::names::bits(cpus)))
        }
        Step::Scheduler { policy, nice, priority, .. } => {
            one(format!("sched_setattr(0, {{policy {policy}, nice {nice}, priority {priority}}})"))
        }
        Step::IoPriority { value } => {
            one(format!("ioprio_set(IOPRIO_WHO_PROCESS, 0, class {}, level {})", value >> 13, value & 0x1fff))
        }
        Step::Personality { domain } => one(format!("personality({domain:#x})")),
        Step::MemoryPolicy { mode, nodes } => {
            one(format!("set_mempolicy({mode:#x}, nodes {})", crate::names::bits(nodes)))
        }
        Step::AppArmorProfile { profile } => one(format!(
            "write(\"/proc/thread-self/attr/apparmor/exec\", \"exec {}\")",
            String::from_utf8_lossy(profile.bytes())
        )),
        Step::ExecLabel { label } => one(format!("write(\"/proc/thread-self/attr/exec\", {})", text(label))),
        Step::KeyLabel { label } => one(format!(
            "write(\"/proc/thread-self/attr/keycreate\", {})",
            label.map_or_else(|| "\"\"".to_owned(), text)
        )),
        _ => landlock(step),
    }
}
