//! The options of `run IMAGE`, named as Docker's are.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use nix::unistd::geteuid;
use orlop_command::flags::{self, get, option, path, switch};
use orlop_command::values;
use orlop_image::Reference;
use orlop_runtime::{Error, Result};
use orlop_spec::{IdMapping, Rlimit, ThrottleDevice};

use super::limits::{self, Limits};
use super::mounts::{self, Wish};
use super::network::{self, Names, Network};
use super::security;
use super::userns::{self, Ids};
use crate::cni::{self, PortMapping};
use crate::images;

/// All of them.
pub(crate) fn all() -> Vec<Arg> {
    let mut all = vec![
        Arg::new("image").value_name("IMAGE").required(true).value_parser(images::parse::<Reference>).help(
            "The image: NAME:TAG of an imported one, or oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG]",
        ),
        Arg::new("command")
            .value_name("COMMAND")
            .num_args(0..)
            .help("The program and its arguments [default: the image's]"),
        option("name", "ID", "The container's id [default: made up]"),
        flags::detach(),
        switch("interactive", "Let the program read standard input").short('i'),
        switch("tty", "Give the program a terminal").short('t'),
        path("pid-file", "FILE", "Write the process id to FILE"),
        switch("init", "Have a first process that hands signals on to the program and reaps orphans"),
    ];
    all.extend(process());
    all.extend(files());
    all.extend(limits_of_it());
    all.extend(security_of_it());
    all.extend(names());
    all.extend(flags::supervise::all());
    all.extend(flags::strict::all());
    all.extend(images::import_options());
    all
}

fn several(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    option(name, value, help).action(ArgAction::Append)
}

fn process() -> [Arg; 9] {
    [
        several("env", "NAME[=VALUE]", "Set a variable, or pass on the caller's").short('e'),
        several("env-file", "FILE", "The same, from the lines of a file")
            .value_parser(value_parser!(PathBuf)),
        option("workdir", "DIR", "The working directory").short('w'),
        option("user", "USER[:GROUP]", "By name or number").short('u'),
        several("group-add", "GROUP", "Be in this group too"),
        option("entrypoint", "PROGRAM", "In the place of the image's; empty is none"),
        option("stop-signal", "SIGNAL", "What stop sends [default: the image's, or SIGTERM]"),
        several("ulimit", "NAME=SOFT[:HARD]", "A resource limit of processes").value_parser(limits::ulimit),
        option("oom-score-adj", "N", "From -1000 to 1000: the higher, the earlier killed")
            .value_parser(value_parser!(i64).range(-1000..=1000)),
    ]
}

fn files() -> [Arg; 6] {
    [
        several("volume", "SOURCE:TARGET[:OPTIONS]", "Mount a volume, or what is on the host")
            .short('v')
            .value_parser(mounts::volume),
        several("mount", "type=TYPE,…", "The same, spelled out").value_parser(mounts::mount),
        several("tmpfs", "TARGET[:OPTIONS]", "Mount an empty file system in memory")
            .value_parser(mounts::tmpfs),
        switch("read-only", "Make the root file system read-only"),
        option("shm-size", "BYTES", "How large /dev/shm is [default: 64m]").value_parser(values::bytes),
        several("device", "HOST[:CONTAINER][:ACCESS]", "Let it use a device of the host"),
    ]
}

fn limits_of_it() -> Vec<Arg> {
    vec![
        option("memory", "BYTES", "Limit memory, such as 64m").short('m').value_parser(values::bytes),
        option("memory-swap", "BYTES", "Limit memory and swap together; -1 is any [default: twice --memory]")
            .value_parser(values::limit),
        option("memory-reservation", "BYTES", "What is left to it when memory is short")
            .value_parser(values::bytes),
        option("cpus", "N", "Limit CPU time, such as 0.5").value_parser(values::cpus),
        option("cpu-shares", "N", "Its weight among others; 1024 is usual")
            .short('c')
            .value_parser(value_parser!(u64).range(2..=262_144)),
        option("cpuset-cpus", "LIST", "On which CPUs, such as 0-2,4"),
        option("cpuset-mems", "LIST", "With the memory of which nodes"),
        option("pids-limit", "N", "Limit the number of processes; -1 is any")
            .value_parser(value_parser!(i64).range(-1..)),
        option("blkio-weight", "N", "Its weight for block devices, 10 to 1000")
            .value_parser(value_parser!(u16).range(10..=1000)),
        several("device-read-bps", "DEVICE:BYTES", "Limit what is read in a second").value_parser(bytes_rate),
        several("device-write-bps", "DEVICE:BYTES", "Limit what is written in a second")
            .value_parser(bytes_rate),
        several("device-read-iops", "DEVICE:N", "Limit reads in a second").value_parser(count_rate),
        several("device-write-iops", "DEVICE:N", "Limit writes in a second").value_parser(count_rate),
    ]
}

fn security_of_it() -> [Arg; 8] {
    [
        several("cap-add", "NAME", "Give a capability; ALL is all"),
        several("cap-drop", "NAME", "Take a capability; ALL is all"),
        several(
            "security-opt",
            "OPTION",
            "no-new-privileges, seccomp=unconfined|FILE, apparmor=PROFILE, label=LABEL, systempaths=unconfined",
        ),
        several("sysctl", "NAME=VALUE", "Set a kernel parameter of its namespaces"),
        several("annotation", "KEY=VALUE", "Add an annotation to the config"),
        option("userns", "host|auto[:size=N]", "Whose ids it has; auto is some of its own [default: host]"),
        several("uidmap", "CONTAINER:HOST:SIZE", "Which user ids of the host it has")
            .value_parser(userns::mapping),
        several("gidmap", "CONTAINER:HOST:SIZE", "Which group ids [default: as --uidmap]")
            .value_parser(userns::mapping),
    ]
}

fn names() -> [Arg; 7] {
    [
        option("network", "NETWORK", "none, host, container:ID, ns:PATH or cni:NAME [default: none]"),
        several(
            "publish",
            "[ADDRESS:]HOST:CONTAINER[/PROTOCOL]",
            "Lead a port of the host's to it; needs cni:NAME",
        )
        .short('p')
        .value_parser(cni::port),
        option("hostname", "NAME", "The hostname [default: the id]").short('h'),
        several("add-host", "NAME:ADDRESS", "Add to /etc/hosts").value_parser(network::host),
        several("dns", "ADDRESS", "Ask this name server").value_parser(value_parser!(IpAddr)),
        several("dns-search", "DOMAIN", "Look for names in this domain"),
        several("dns-option", "OPTION", "An option for /etc/resolv.conf"),
    ]
}

fn bytes_rate(text: &str) -> std::result::Result<ThrottleDevice, String> {
    limits::rate(text, values::bytes)
}

fn count_rate(text: &str) -> std::result::Result<ThrottleDevice, String> {
    limits::rate(text, |text| text.parse().map_err(|_| format!("{text:?} is no number")))
}

/// What they say, as far as it is about the config.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) command: Vec<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) terminal: bool,
    pub(crate) env: Vec<String>,
    pub(crate) workdir: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) ulimits: Vec<Rlimit>,
    pub(crate) oom_score_adj: Option<i64>,
    pub(crate) mounts: Vec<Wish>,
    pub(crate) read_only: bool,
    pub(crate) shm_size: Option<u64>,
    pub(crate) devices: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) cap_add: Vec<String>,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) security: security::Options,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) network: Network,
    pub(crate) ids: Ids,
    pub(crate) ports: Vec<PortMapping>,
    pub(crate) hostname: Option<String>,
    pub(crate) names: Names,
}

impl Wishes {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// What one of them says is not understood, or two do not go together.
    pub(crate) fn read(arguments: &ArgMatches) -> Result<Self> {
        let text = |name: &str| get::<String>(arguments, name).cloned();
        let (network, ports) = (
            text("network")
                .map_or(Ok(Network::None), |text| network::network(&text).map_err(of("network")))?,
            list::<PortMapping>(arguments, "publish"),
        );
        if !ports.is_empty() && !matches!(network, Network::Cni(_)) {
            return Err(Error::usage("--publish needs --network cni:NAME: a network that leads somewhere"));
        }
        let maps = |name| list::<IdMapping>(arguments, name);
        let ids =
            Ids::read(text("userns").as_deref(), maps("uidmap"), maps("gidmap")).map_err(Error::usage)?;
        if ids != Ids::Host && !geteuid().is_root() {
            let message = "--userns, --uidmap, --gidmap: only root has other ids to give than its own";
            return Err(Error::usage(message));
        }
        let mut security = security::Options::default();
        for option in list::<String>(arguments, "security-opt") {
            security.take(&option).map_err(|e| Error::usage(format!("--security-opt {option}: {e}")))?;
        }
        Ok(Self {
            command: list(arguments, "command"),
            entrypoint: text("entrypoint"),
            terminal: arguments.get_flag("tty"),
            env: environment(arguments)?,
            workdir: text("workdir"),
            user: text("user"),
            groups: list(arguments, "group-add"),
            stop_signal: text("stop-signal"),
            ulimits: list(arguments, "ulimit"),
            oom_score_adj: get(arguments, "oom-score-adj").copied(),
            mounts: ["volume", "mount", "tmpfs"]
                .iter()
                .flat_map(|name| list::<Wish>(arguments, name))
                .collect(),
            read_only: arguments.get_flag("read-only"),
            shm_size: get(arguments, "shm-size").copied(),
            devices: list(arguments, "device"),
            limits: limits_given(arguments),
            cap_add: list(arguments, "cap-add"),
            cap_drop: list(arguments, "cap-drop"),
            security,
            sysctls: pairs(arguments, "sysctl")?,
            annotations: pairs(arguments, "annotation")?,
            network,
            ids,
            ports,
            hostname: text("hostname"),
            names: Names {
                hosts: list(arguments, "add-host"),
                servers: list(arguments, "dns"),
                search: list(arguments, "dns-search"),
                options: list(arguments, "dns-option"),
            },
        })
    }
}

fn list<T: Clone + Send + Sync + 'static>(arguments: &ArgMatches, name: &str) -> Vec<T> {
    arguments.get_many(name).unwrap_or_default().cloned().collect()
}

fn of(name: &'static str) -> impl Fn(String) -> Error {
    move |why| Error::usage(format!("--{name}: {why}"))
}

fn pairs(arguments: &ArgMatches, name: &'static str) -> Result<Vec<(String, String)>> {
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(of(name)(format!("{text:?} is not KEY=VALUE"))),
    };
    list::<String>(arguments, name).into_iter().map(pair).collect()
}

fn limits_given(arguments: &ArgMatches) -> Limits {
    let text = |name: &str| get::<String>(arguments, name).cloned().unwrap_or_default();
    let rates = ["device-read-bps", "device-write-bps", "device-read-iops", "device-write-iops"];
    Limits {
        memory: get(arguments, "memory").copied(),
        memory_swap: get(arguments, "memory-swap").copied(),
        memory_reservation: get(arguments, "memory-reservation").copied(),
        cpus: get(arguments, "cpus").copied(),
        cpu_shares: get(arguments, "cpu-shares").copied(),
        cpuset_cpus: text("cpuset-cpus"),
        cpuset_mems: text("cpuset-mems"),
        pids: get(arguments, "pids-limit").copied(),
        blkio_weight: get(arguments, "blkio-weight").copied(),
        rates: rates.map(|name| list(arguments, name)),
    }
}

/// Variables of files, then those of the command line. A name alone passes on the caller's, if there is one.
fn environment(arguments: &ArgMatches) -> Result<Vec<String>> {
    let mut given = Vec::new();
    for file in list::<PathBuf>(arguments, "env-file") {
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Error::usage(format!("--env-file {}: {e}", file.display())))?;
        given.extend(
            text.lines()
                .map(str::trim_start)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    given.extend(list::<String>(arguments, "env"));
    let mut all = Vec::new();
    for variable in given {
        match variable.split_once('=') {
            Some(("", _)) => return Err(of("env")(format!("{variable:?} has no name"))),
            Some(_) => all.push(variable),
            None => all.extend(std::env::var(&variable).map(|value| format!("{variable}={value}"))),
        }
    }
    Ok(all)
}
