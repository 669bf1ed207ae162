//! Steps in words, as errors and explanations name them.

use crate::rlimit_name;
use orlop_program::source::Source;
use orlop_program::{Step, Str};

fn text(text: Str<'_>) -> String {
    String::from_utf8_lossy(text.bytes()).into_owned()
}

fn source(source: &Source<'_>) -> String {
    match source {
        Source::Path(path) | Source::Mapped(path, ..) | Source::MappedByHost(path, _) => text(*path),
        Source::Tree(_) => "what the host side opened".to_owned(),
    }
}

/// What a step does, and to what: the words of errors and of explanations, such as `mount tmpfs at /dev`.
pub fn in_words(step: &Step<'_>) -> String {
    match *step {
        Step::BindRoot { at, .. } => format!("make {} the root file system", text(at)),
        Step::DetachedRoot { source: from, .. } => format!("make {} the root file system", source(&from)),
        Step::OverlayRoot { lowers, upper, .. } => {
            let over = match (lowers.iter().next(), lowers.iter().count()) {
                (Some(only), 1) => source(&only),
                (_, count) => format!("{count} directories"),
            };
            let with =
                upper.map_or_else(String::new, |upper| format!(", with changes in {},", source(&upper)));
            format!("make an overlay over {over}{with} the root file system")
        }
        Step::Mount { fstype, target, .. } => format!("mount {} at {}", text(fstype), text(target)),
        Step::Bind { source: from, target, .. } => {
            format!("bind mount {} at {}", source(&from), text(target))
        }
        Step::Propagation { target, .. } => format!("set the propagation of {}", text(target)),
        Step::Unmount { target } => format!("unmount {}", text(target)),
        Step::MountAttributes { target, .. } => format!("change the mount at {}", text(target)),
        Step::OpenCovered { path, .. } => format!("open {}", text(path)),
        Step::TakeOver { target, .. } => {
            format!("copy what is at {} into the file system mounted there", text(target))
        }
        Step::OpenDir { path, .. } | Step::MakeDir { path } => format!("make the directory {}", text(path)),
        Step::Device { name, .. } => format!("make the device {}", text(name)),
        Step::BindDevice { name, source: from, .. } => {
            format!("bind mount the device {} as {}", source(&from), text(name))
        }
        Step::Symlink { name, target, .. } => format!("make the link {} to {}", text(name), text(target)),
        Step::Sysctl { path, value } => {
            format!("set the kernel parameter {} to {:?}", text(path), text(value))
        }
        Step::ReadonlyPath { path, .. } => format!("make {} read-only", text(path)),
        Step::MaskPath { path, .. } => format!("mask {}", text(path)),
        Step::Hostname { name } => format!("set the hostname {:?}", text(name)),
        Step::Domainname { name } => format!("set the domain name {:?}", text(name)),
        Step::Rlimit { resource, soft, hard } => {
            format!("set {} to {soft}, at most {hard}", rlimit_name(resource))
        }
        Step::OomScoreAdj { value } => format!("set the OOM score adjustment {value}"),
        Step::Identity { uid, gid, .. } => format!("become user {uid}, group {gid}"),
        Step::AppArmorProfile { profile } => format!("apply the AppArmor profile {:?}", text(profile)),
        Step::ExecLabel { label } => format!("set the SELinux label {:?}", text(label)),
        Step::FileLabel { target, label } => format!("label {} {:?}", text(target), text(label)),
        Step::AllowPath { path, .. } => format!("allow access to {} by Landlock", text(path)),
        Step::AllowPort { port, .. } => format!("allow the use of port {port} by Landlock"),
        Step::Cwd { path, .. } => format!("change to the working directory {}", text(path)),
        _ => plain(step).to_owned(),
    }
}

/// What steps without an object do.
const fn plain(step: &Step<'_>) -> &'static str {
    match step {
        Step::NewSession {} => "start a new session",
        Step::SessionKeyring { .. } => "join a new session keyring",
        Step::Unshare { .. } => "make a new cgroup namespace",
        Step::TimeNamespace { .. } => "make a time namespace",
        Step::Network {} => "enter the new network namespace, and bring its loopback interface up",
        Step::HostPropagation { .. } => "set the propagation of the host's mounts",
        Step::UseRoot {} => "open the root",
        Step::Chroot {} => "change the root",
        Step::PrivateProc {} => "make a private procfs",
        Step::Sync { .. } => "wait for the host side",
        Step::PivotRoot { .. } | Step::MoveRoot { .. } | Step::EnterRoot { .. } => {
            "switch to the root file system"
        }
        Step::RootAttributes { .. } => "change the root mount",
        Step::Console { .. } => "make the console",
        Step::OwnStdio { .. } => "give standard input and output to the container's user",
        Step::NoNewPrivileges {} => "set no_new_privs",
        Step::Seccomp { .. } => "load the seccomp filter",
        Step::Ruleset { .. } => "make a Landlock ruleset",
        Step::Restrict {} => "put the Landlock ruleset in force",
        Step::BoundingSet { .. } => "drop capabilities from the bounding set",
        Step::Capabilities { .. } => "set the capabilities",
        Step::KeyLabel { .. } => "label new keys",
        Step::MaskLabel { .. } => "label the directory that hides others",
        Step::AwaitStart {} => "wait to be started",
        Step::Stay { .. } => "stay as the container's first process",
        Step::Affinity { .. } => "set the final CPU affinity",
        Step::Scheduler { .. } => "set the scheduling policy",
        Step::IoPriority { .. } => "set the I/O priority",
        Step::Home { .. } => "find the home directory",
        Step::CloseFrom { .. } => "close descriptors that are not the container's",
        Step::Locate { .. } => "find the program",
        Step::Tell { .. } => "tell the host side that the root is made",
        Step::AwaitWord {} => "wait until the host side has written the state",
        Step::AwaitBeside {} => "wait until the host side has filled /dev",
        Step::Exec { .. } => "execute the program",
        Step::Personality { .. } => "set the execution domain",
        Step::MemoryPolicy { .. } => "set the NUMA memory policy",
        Step::DropGroups {} => "leave the supplementary groups",
        _ => step.name(),
    }
}
