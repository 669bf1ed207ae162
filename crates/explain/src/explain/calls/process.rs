//! What steps do to the process.

use super::{open_in_root, text, when};
use crate::names::{capabilities, clone_flags, octal};
use orlop_compile::rlimit_name;
use orlop_program::Step;

/// Access rights that Landlock decides about.
pub(super) fn landlock(step: &Step<'_>) -> Vec<String> {
    match *step {
        Step::Ruleset { files, network, scoped } => vec![format!(
            "landlock_create_ruleset({{handled_access_fs={files:#x}, handled_access_net={network:#x}, scoped={scoped:#x}}})"
        )],
        Step::AllowPath { path, files } => vec![
            open_in_root(&text(path)),
            "fstat: for a file, rights about directories are left out".into(),
            format!("landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, {{allowed_access={files:#x}}})"),
        ],
        Step::AllowPort { port, network } => vec![format!(
            "landlock_add_rule(ruleset, LANDLOCK_RULE_NET_PORT, {{allowed_access={network:#x}, port={port}}})"
        )],
        Step::Restrict {} => vec!["landlock_restrict_self(ruleset)".into()],
        _ => Vec::new(),
    }
}

pub(super) fn identity(step: &Step<'_>) -> Vec<String> {
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
            vec![format!(
                "openat2(root, \"/etc/passwd\", O_RDONLY|O_NONBLOCK), read: the home of user {uid}, else \"/\""
            )]
        }
        Step::Cwd { path, last } => {
            let again = if last { ", unless that was done before" } else { "" };
            vec![format!("chdir({}){again}", text(path)), "getcwd(): it must be inside the root".into()]
        }
        _ => Vec::new(),
    }
}

pub(super) fn process(step: &Step<'_>) -> Vec<String> {
    let one = |call: String| vec![call];
    match *step {
        Step::NewSession {} => {
            vec!["rt_sigaction(…, SIG_DFL), rt_sigprocmask(unblock all)".into(), "setsid()".into()]
        }
        Step::SessionKeyring {} => one("keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)".into()),
        Step::Unshare { kinds } => one(format!("unshare({})", clone_flags(kinds.into()))),
        Step::Redirect { from, to } => one(format!("dup3(slot {}, {to})", from.0)),
        Step::Network {} => vec![
            "recvmsg and setns: what a thread of the host side has made meanwhile, if there was a CPU for it"
                .into(),
            "socket(AF_INET, SOCK_DGRAM), ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)".into(),
        ],
        Step::Sync { point } => {
            vec![format!("sendto(host, reached point {point})"), "read(host): wait for its word".into()]
        }
        Step::Tell { .. } => one("write(host): it is reached".into()),
        Step::AwaitWord {} => one("read(host): wait for its word".into()),
        Step::AwaitBeside {} => vec![
            super::by_host_side(
                "mkdirat(dev, …): where the next file systems are mounted, before others see it",
            ),
            "read(host): wait for its word".into(),
        ],
        Step::Hostname { name } => one(format!("sethostname({})", text(name))),
        Step::Domainname { name } => one(format!("setdomainname({})", text(name))),
        Step::Sysctl { path, value } => vec![
            format!(
                "openat2(proc, \"sys/{}\", O_WRONLY, RESOLVE_BENEATH|RESOLVE_NO_XDEV|RESOLVE_NO_MAGICLINKS)",
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
        _ => Vec::new(),
    }
}
