//! Every option that runc 1.5 and crun 1.29 have, and what becomes of it here: it works, or it is refused by name.

use clap::Command;

use super::ORLOP;

/// Options as `name` or `name/letter`; with `=`, one that takes a value. In parentheses: refused by name.
const GLOBAL: &str =
    "root= log= log-format= log-level= debug systemd-cgroup rootless= cgroup-manager= version/v";

const OF_COMMANDS: &[(&str, &str)] = &[
    (
        "create",
        "bundle/b= config/f= console-socket= pid-file= no-pivot no-new-keyring no-subreaper preserve-fds=",
    ),
    (
        "run",
        "bundle/b= config/f= console-socket= pid-file= no-pivot no-new-keyring no-subreaper preserve-fds= detach/d keep",
    ),
    ("start", ""),
    ("state", ""),
    ("pause", ""),
    ("resume", ""),
    ("features", ""),
    ("kill", "all/a regex/r"),
    ("delete", "force/f regex/r"),
    ("list", "format/f= quiet/q"),
    ("ps", "format/f="),
    ("spec", "bundle/b= file/f= rootless"),
    ("events", "interval= stats"),
    (
        "exec",
        "console-socket= cwd= env/e= tty/t user/u= additional-gids/g= process/p= detach/d pid-file= no-new-privs cap/c= \
        preserve-fds= cgroup= ignore-paused process-label= apparmor=",
    ),
    (
        "checkpoint",
        "image-path= work-path= parent-path= leave-running tcp-established tcp-skip-in-flight ext-unix-sk shell-job \
        lazy-pages status-fd= page-server= file-locks pre-dump manage-cgroups-mode= empty-ns= auto-dedup link-remap \
        network-lock=",
    ),
    (
        "restore",
        "console-socket= image-path= work-path= tcp-established ext-unix-sk shell-job file-locks manage-cgroups-mode= \
        bundle/b= detach/d pid-file= no-subreaper no-pivot empty-ns= auto-dedup lazy-pages lsm-profile= \
        lsm-mount-context= tcp-close",
    ),
    ("mounts", ""),
    (
        "update",
        "resources/r= blkio-weight= cpu-period= cpu-quota= cpu-burst= cpu-share= cpu-rt-period= cpu-rt-runtime= \
        cpu-idle= cpuset-cpus= cpuset-mems= kernel-memory= kernel-memory-tcp= memory= memory-reservation= memory-swap= \
        pids-limit= l3-cache-schema= mem-bw-schema=",
    ),
];

fn check(command: &Command, options: &str) {
    for option in options.split_whitespace() {
        let place = || format!("{} --{option}", command.get_name());
        let bare = option.trim_matches(['(', ')']);
        let refused = bare != option;
        let takes_value = bare.ends_with('=');
        let bare = bare.trim_end_matches('=');
        let (name, letter) =
            bare.split_once('/').map_or((bare, None), |(name, letter)| (name, letter.chars().next()));
        let found = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        let found = found.unwrap_or_else(|| panic!("{} is missing", place()));
        assert_eq!(found.get_short(), letter, "{}", place());
        assert_eq!(found.get_action().takes_values(), takes_value, "{}", place());
        let says_so = found.get_help().is_some_and(|help| help.to_string().starts_with("Not supported yet"));
        assert!(!refused || says_so, "{} is neither refused nor out of the list of those that are", place());
    }
}

#[test]
fn every_option_of_runc_and_crun_is_known() {
    check(&ORLOP.globals_only(), GLOBAL);
    for (name, options) in OF_COMMANDS {
        let entry = ORLOP.find(name.as_ref()).unwrap_or_else(|| panic!("no command {name}"));
        check(&entry.define(), options);
    }
}
