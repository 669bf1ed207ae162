//! What `checkpoint` and `restore` share.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};
use orlop_runtime::{CgroupsMode, CriuOptions, NetworkLock};

use super::{get, option, path, switch};

/// Their options.
pub fn shared() -> [Arg; 11] {
    [
        path("image-path", "DIR", "The directory of the images [default: checkpoint]"),
        path("work-path", "DIR", "The directory of CRIU's log [default: that of the images]"),
        switch("tcp-established", "Let there be TCP connections"),
        switch("ext-unix-sk", "Let there be Unix sockets connected to outside the container"),
        switch("shell-job", "Let its terminal be one from outside the container"),
        switch("file-locks", "Let there be file locks"),
        option(
            "manage-cgroups-mode",
            "MODE",
            "How far CRIU takes care of cgroups: soft, full, strict or ignore",
        )
        .value_parser(["soft", "full", "strict", "ignore"])
        .hide_possible_values(true),
        option("network-lock", "HOW", "How connections are held back meanwhile: iptables, nftables or skip")
            .value_parser(["iptables", "nftables", "skip"])
            .hide_possible_values(true),
        // That of the network always is: interfaces belong to whoever made them.
        option("empty-ns", "NAMESPACE", "Do not care for what is in a namespace: network, as always")
            .action(ArgAction::Append)
            .value_parser(["network"])
            .hide_possible_values(true),
        switch("auto-dedup", "Free memory pages in images as they are no longer needed"),
        switch("lazy-pages", "Let memory pages follow later, when they are needed"),
    ]
}

/// Their values.
pub fn get_shared(arguments: &ArgMatches) -> CriuOptions {
    let text = |name| get::<String>(arguments, name).map(String::as_str);
    CriuOptions {
        image_path: get(arguments, "image-path").cloned().unwrap_or_else(|| PathBuf::from("checkpoint")),
        work_path: get(arguments, "work-path").cloned(),
        tcp_established: arguments.get_flag("tcp-established"),
        ext_unix_sk: arguments.get_flag("ext-unix-sk"),
        shell_job: arguments.get_flag("shell-job"),
        file_locks: arguments.get_flag("file-locks"),
        cgroups: text("manage-cgroups-mode").map(|mode| match mode {
            "ignore" => CgroupsMode::Ignore,
            "full" => CgroupsMode::Full,
            "strict" => CgroupsMode::Strict,
            _ => CgroupsMode::Soft,
        }),
        network_lock: text("network-lock").map(|lock| match lock {
            "nftables" => NetworkLock::Nftables,
            "skip" => NetworkLock::Skip,
            _ => NetworkLock::Iptables,
        }),
        auto_dedup: arguments.get_flag("auto-dedup"),
        lazy_pages: arguments.get_flag("lazy-pages"),
    }
}
