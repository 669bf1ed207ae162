//! What is asked of a pod: which namespaces its containers share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orlop_protobuf::Message as _;

use crate::messages::sandbox::{
    CreateSandboxRequest, DnsConfig, IdMapping, NamespaceOption, PodSandboxConfig, UserNamespace,
};
use crate::ttrpc::{Code, Failure, Result};

/// The kind of options that Kubernetes' plug-in of containerd sends.
const KIND: &str = "runtime.v1.PodSandboxConfig";

/// Whose namespaces they are, as Kubernetes numbers it.
const POD: i32 = 0;
const CONTAINER: i32 = 1;
const NODE: i32 = 2;

/// What containerd's own pods have unless its configuration says something else (`enable_unprivileged_ports` and
/// `enable_unprivileged_icmp`): who is not root may listen at every port, and ping.
const USUAL: [(&str, &str); 2] = [("net.ipv4.ip_unprivileged_port_start", "0"), (PING, "0 2147483647")];

/// Groups that a user namespace does not have cannot be named by who is in it.
const PING: &str = "net.ipv4.ping_group_range";

/// A pod. What is not its own is the host's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) hostname: String,
    /// Made by somebody else; absent is the host's.
    pub(super) network: Option<PathBuf>,
    pub(super) own_ipc: bool,
    pub(super) own_uts: bool,
    /// The ids of its own user namespace.
    pub(super) users: Option<Users>,
    /// Containers see each other's processes.
    pub(super) shares_pids: bool,
    /// Absent if nobody has described the pod: then its containers get no files of its.
    pub(super) names: Option<Names>,
    pub(super) sysctls: BTreeMap<String, String>,
    /// The cgroup in which those of its containers are; empty is none.
    pub(super) cgroup_parent: String,
}

/// Which ids a pod has, of users and of groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Users {
    pub(super) uids: Vec<IdMapping>,
    pub(super) gids: Vec<IdMapping>,
}

impl Users {
    /// Who its root is on the node: user and group.
    pub(super) fn root(&self) -> Option<(u32, u32)> {
        let root = |ids: &[IdMapping]| Some(ids.iter().find(|ids| ids.container_id == 0)?.host_id);
        root(&self.uids).zip(root(&self.gids))
    }
}

/// Name servers; absent are those of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names(pub(super) Option<DnsConfig>);

impl Wanted {
    /// Without a description, a pod has namespaces of its own for IPC and host names, and the network that was made for it.
    ///
    /// # Errors
    ///
    /// It asks for what is not there.
    pub(super) fn read(request: &CreateSandboxRequest) -> Result<Self> {
        if !request.rootfs.is_empty() {
            return Err(refused("it has no root file system of its own"));
        }
        let network = Some(PathBuf::from(&request.netns_path)).filter(|path| !path.as_os_str().is_empty());
        let own = Self { network, own_ipc: true, own_uts: true, ..Self::default() };
        match request.options.as_ref().filter(|any| !any.type_url.is_empty()) {
            None => Ok(own),
            Some(any) if any.name() == KIND => {
                let config = PodSandboxConfig::decode(&any.value).map_err(|e| refused(&e.to_string()))?;
                own.described(config)
            }
            Some(any) => Err(refused(&format!("options of an unknown type, {:?}", any.name()))),
        }
    }

    fn described(self, config: PodSandboxConfig) -> Result<Self> {
        let linux = config.linux.unwrap_or_default();
        let shared = linux.security_context.unwrap_or_default().namespace_options.unwrap_or_default();
        check(&shared)?;
        let users = shared.userns_options.map_or(Ok(None), users)?;
        if (shared.network == NODE) == self.network.is_some() {
            return Err(refused("its network is the node's, or one that was made for it"));
        }
        Ok(Self {
            hostname: config.hostname,
            names: Some(Names(config.dns_config)),
            own_ipc: shared.ipc == POD,
            // Who has the node's network has its name too.
            own_uts: shared.network != NODE,
            users,
            shares_pids: shared.pid == POD,
            sysctls: linux.sysctls,
            cgroup_parent: linux.cgroup_parent,
            ..self
        })
    }

    /// Kernel parameters of the pod's network that nobody has asked for, and that are usual.
    pub(super) fn usual_sysctls(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = self.network.is_some() && self.names.is_some();
        let can = |name: &str| self.users.is_none() || name != PING;
        USUAL.into_iter().filter(move |(name, _)| own && can(name) && !self.sysctls.contains_key(*name))
    }

    /// Whether a process has to be there: somebody has to be the first of a PID namespace, and a thread alone cannot be in a
    /// user namespace. It sets kernel parameters too, as a container's does.
    pub(super) fn needs_process(&self) -> bool {
        self.shares_pids || self.users.is_some() || !self.sysctls.is_empty()
    }
}

fn check(shared: &NamespaceOption) -> Result<()> {
    let known = [POD, NODE].contains(&shared.network)
        && [POD, NODE].contains(&shared.ipc)
        && [POD, CONTAINER, NODE].contains(&shared.pid);
    if known { Ok(()) } else { Err(refused(&format!("namespaces that no pod has: {shared:?}"))) }
}

/// Its user namespace, if it is not the node's.
fn users(asked: UserNamespace) -> Result<Option<Users>> {
    match asked.mode {
        NODE => Ok(None),
        POD if asked.uids.is_empty() || asked.gids.is_empty() => {
            Err(refused("a user namespace of its own needs mappings of users and of groups"))
        }
        POD => Ok(Some(Users { uids: asked.uids, gids: asked.gids })),
        mode => Err(refused(&format!("no pod has a user namespace of mode {mode}"))),
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("sandbox: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::sandbox::{LinuxPodSandboxConfig, LinuxSandboxSecurityContext};
    use crate::messages::{Any, Mount};

    fn read(shared: NamespaceOption, netns_path: &str) -> Result<Wanted> {
        let security_context = Some(LinuxSandboxSecurityContext { namespace_options: Some(shared) });
        let cgroup_parent = "/pods".into();
        let linux = Some(LinuxPodSandboxConfig {
            cgroup_parent,
            security_context,
            ..LinuxPodSandboxConfig::default()
        });
        let config = PodSandboxConfig { hostname: "pod".into(), linux, ..PodSandboxConfig::default() };
        let options = Some(Any::of(KIND, &config));
        Wanted::read(&CreateSandboxRequest {
            options,
            netns_path: netns_path.into(),
            ..CreateSandboxRequest::default()
        })
    }

    #[test]
    fn pods_share_what_kubernetes_says() {
        let usual = NamespaceOption { pid: CONTAINER, ..NamespaceOption::default() };
        let wanted = read(usual, "/run/netns/x").unwrap();
        assert!(wanted.own_ipc && wanted.own_uts && !wanted.shares_pids && !wanted.needs_process());
        assert_eq!((wanted.network, wanted.hostname.as_str()), (Some("/run/netns/x".into()), "pod"));
        assert_eq!(wanted.cgroup_parent, "/pods");
        assert!(
            read(NamespaceOption::default(), "/n").unwrap().needs_process(),
            "the pod's own PID namespace"
        );
        let host = NamespaceOption { network: NODE, pid: NODE, ipc: NODE, ..NamespaceOption::default() };
        let wanted = read(host, "").unwrap();
        assert!(!wanted.own_ipc && !wanted.own_uts && !wanted.needs_process());
        assert_eq!(Wanted::read(&CreateSandboxRequest::default()).unwrap().network, None);
    }

    #[test]
    fn pods_may_have_a_user_namespace() {
        let ids = |host_id| vec![IdMapping { host_id, container_id: 0, length: 65536 }];
        let of = |mode, uids: &[IdMapping], gids: &[IdMapping]| {
            let users = UserNamespace { mode, uids: uids.to_vec(), gids: gids.to_vec() };
            let shared =
                NamespaceOption { pid: CONTAINER, userns_options: Some(users), ..NamespaceOption::default() };
            read(shared, "/n")
        };
        let wanted = of(POD, &ids(1000), &ids(2000)).unwrap();
        assert_eq!(wanted.users.as_ref().and_then(Users::root), Some((1000, 2000)));
        assert!(wanted.needs_process() && wanted.usual_sysctls().all(|(name, _)| name != PING));
        assert_eq!(of(NODE, &[], &[]).unwrap().users, None);
        for (mode, uids, gids) in [(POD, ids(1), vec![]), (POD, vec![], ids(1)), (CONTAINER, ids(1), ids(1))]
        {
            assert_eq!(of(mode, &uids, &gids).unwrap_err().code, Code::InvalidArgument);
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let node = NamespaceOption { network: NODE, ..NamespaceOption::default() };
        for (shared, path) in [
            (NamespaceOption::default(), ""),
            (node, "/n"),
            (NamespaceOption { pid: 3, ..NamespaceOption::default() }, "/n"),
            (NamespaceOption { ipc: CONTAINER, ..NamespaceOption::default() }, "/n"),
        ] {
            assert_eq!(read(shared, path).unwrap_err().code, Code::InvalidArgument);
        }
        let rootfs =
            CreateSandboxRequest { rootfs: vec![Mount::default()], ..CreateSandboxRequest::default() };
        assert!(Wanted::read(&rootfs).unwrap_err().message.contains("root"));
        let options = Some(Any { type_url: "x.Pod".into(), value: Vec::new() });
        let strange = CreateSandboxRequest { options, ..CreateSandboxRequest::default() };
        assert!(Wanted::read(&strange).unwrap_err().message.contains("x.Pod"));
    }
}
