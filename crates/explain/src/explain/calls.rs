//! The system calls of a step, with their arguments, as strace(1) would show them: what `orlop-init` does for it.
//!
//! `process.rs` has what steps do to the process, this file what they do to files and mounts. Descriptors have names here: `root` is the container's root, `proc` a procfs that was verified, `tree` a detached mount.

mod process;
mod root;

use self::process::{identity, landlock, process};
use self::root::{make_root, switch_root};
use crate::names::{mount_attributes, octal, propagation, quoted};
use orlop_program::source::Source;

use orlop_program::{List, Slot, Step, Str};

/// A call that init does not make itself.
fn by_host_side(call: &str) -> String {
    format!("host side: {call}")
}

/// The calls of a step, in order.
pub(super) fn of(step: &Step<'_>) -> Vec<String> {
    let calls = match step {
        Step::HostPropagation { .. }
        | Step::BindRoot { .. }
        | Step::DetachedRoot { .. }
        | Step::OverlayRoot { .. }
        | Step::UseRoot {} => make_root(step),
        Step::Chroot {}
        | Step::PivotRoot { .. }
        | Step::EnterRoot { .. }
        | Step::MoveRoot { .. }
        | Step::RootAttributes { .. } => switch_root(step),
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
        Step::Ruleset { .. } | Step::AllowPath { .. } | Step::AllowPort { .. } | Step::Restrict {} => {
            landlock(step)
        }
        _ => process(step),
    };
    let calls = calls.into_iter().filter(|call| !call.is_empty());
    match step {
        // It has said which of them are init's.
        Step::Mount { .. } => calls.collect(),
        step if step.is_beside() => calls.map(|call| by_host_side(&call)).collect(),
        _ => calls.collect(),
    }
}

fn text(text: Str<'_>) -> String {
    quoted(&String::from_utf8_lossy(text.bytes()))
}

/// A call if there is a reason for it.
fn when(condition: bool, call: impl FnOnce() -> String) -> String {
    if condition { call() } else { String::new() }
}

fn open_in_root(path: &str) -> String {
    format!("openat2(root, {path}, O_PATH, RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS)")
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

fn mounts(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::Mount { fstype, options, attributes, target, real, id_map, like, beside, .. } => {
            let mut calls = vec![when(like.is_some(), || "fstat(covered directory): its mode".into())];
            let new = new_file_system(&text(fstype), options, attributes).into_iter();
            if beside {
                calls.extend(new.map(|call| by_host_side(&call)));
                calls.push("recvmsg(host): the tree".into());
            } else {
                calls.extend(new);
            }
            calls.push(when(id_map.is_some(), || "mount_setattr(tree, MOUNT_ATTR_IDMAP)".into()));
            let how = if real {
                "RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS"
            } else {
                "RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS"
            };
            calls.push(format!("openat2(root, {}, O_PATH, {how}), made if it is missing", text(target)));
            calls.push("move_mount(tree, target)".into());
            calls
        }
        Step::Bind { .. } => bind(step),
        Step::Propagation { target, propagation: how, recursive } => {
            let all = if recursive { ", AT_RECURSIVE" } else { "" };
            vec![open_in_root(&text(target)), format!("mount_setattr(target{all}, {})", propagation(how))]
        }
        Step::MountAttributes { target, set, clear } => {
            vec![open_in_root(&text(target)), attribute_change("target", (set, clear, 0))]
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
            open_within(path, within),
            "open_tree(target, OPEN_TREE_CLONE|AT_RECURSIVE)".into(),
            "mount_setattr(tree, AT_RECURSIVE, MOUNT_ATTR_RDONLY)".into(),
            "move_mount(tree, target)".into(),
        ],
        Step::MaskPath { path, within } => vec![
            open_within(path, within),
            "open_tree(/dev/null of the container, or an empty read-only tmpfs for a directory)".into(),
            "move_mount(tree, target)".into(),
        ],
        Step::MaskLabel { label } => {
            vec![format!("fsopen(\"tmpfs\"), fsconfig(\"context\", {}), fsmount()", text(label))]
        }
        _ => Vec::new(),
    }
}

fn open_within(path: Str<'_>, within: Slot) -> String {
    let path = String::from_utf8_lossy(path.bytes());
    let (base, path) = match path.strip_prefix("/proc").filter(|_| within == Slot::PROC) {
        Some(inside) => ("proc", inside),
        None => ("root", &*path),
    };
    let path = quoted(path);
    format!(
        "openat2({base}, {path}, O_PATH, RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS): nothing to do if it is missing"
    )
}

fn bind(step: &Step<'_>) -> Vec<String> {
    let Step::Bind {
        ref source,
        recursive,
        set,
        clear,
        set_all,
        clear_all,
        propagation: own,
        propagation_all: all,
        target,
    } = *step
    else {
        return Vec::new();
    };
    vec![
        open_tree(source, recursive),
        id_map(source),
        attribute_change("tree", (set, clear, own)),
        attribute_change("tree, AT_RECURSIVE", (set_all, clear_all, all)),
        format!("{}, made if it is missing", open_in_root(&text(target))),
        "move_mount(tree, target)".into(),
    ]
}

/// A change of a mount or of a whole tree, if it is one.
fn attribute_change(what: &str, (set, clear, how): (u64, u64, u64)) -> String {
    let mut parts = Vec::new();
    if set != 0 {
        parts.push(format!("set {}", mount_attributes(set)));
    }
    if clear != 0 {
        parts.push(format!("clear {}", mount_attributes(clear)));
    }
    if how != 0 {
        parts.push(propagation(how));
    }
    when(!parts.is_empty(), || format!("mount_setattr({what}, {})", parts.join(", ")))
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
        Step::OwnStdio { uid } => {
            vec![format!(
                "fstat, fchownat(…, {uid}) of 0, 1 and 2; instead of /dev/null, the container's own"
            )]
        }
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
