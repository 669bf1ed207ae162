//! The system calls of steps that make the root file system, and that switch to it.

use super::{id_map, new_file_system, open_tree, text, when};
use crate::names::{mount_attributes, propagation};
use orlop_program::Step;
use orlop_program::source::Source;

/// Where the root comes from.
pub(super) fn make_root(step: &Step<'_>) -> Vec<String> {
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
        Step::DetachedRoot { ref source, propagation: how } => vec![
            "umask(0)".into(),
            open_tree(source, true),
            format!(
                "mount_setattr(tree, AT_RECURSIVE, {}), as of every tree from the host: the tree is now `root`",
                propagation(how)
            ),
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
        _ => Vec::new(),
    }
}

/// How it becomes `/`.
pub(super) fn switch_root(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::Chroot {} => vec!["fchdir(root)".into(), "chroot(\".\")".into(), "chdir(\"/\")".into()],
        Step::PivotRoot { detach } => vec![
            "fchdir(root)".into(),
            "pivot_root(\".\", \".\")".into(),
            "fchdir(old root)".into(),
            when(detach, || "mount_setattr(old root, AT_RECURSIVE, MS_SLAVE)".into()),
            "umount2(\".\", MNT_DETACH)".into(),
            "chdir(\"/\")".into(),
        ],
        Step::EnterRoot { proc, .. } => vec![
            "open_tree(root, OPEN_TREE_NAMESPACE|AT_RECURSIVE)".into(),
            "setns(namespace, CLONE_NEWNS)".into(),
            "openat(AT_FDCWD, \"/\", O_PATH|O_DIRECTORY): `root` from now on".into(),
            when(proc, || "openat(root, \"proc\"): `proc`, if it is the same procfs".into()),
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
