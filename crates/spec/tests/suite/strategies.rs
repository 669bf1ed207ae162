//! Random configs that are valid as far as types and names go.

use std::collections::BTreeMap;

use orlop_spec::seccomp::{Arg, Seccomp, Syscall};
use orlop_spec::*;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Text with what JSON must escape, and what it need not.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9/=:, \"\\\\\n\u{1}é𝄞]{0,12}"
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(names).prop_map(str::to_owned)
}

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    vec(one_of(names), 0..3)
}

fn map() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..4)
}

prop_compose! {
    fn id_mapping()(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }
}

fn id_mappings() -> impl Strategy<Value = Vec<IdMapping>> {
    vec(id_mapping(), 0..3)
}

prop_compose! {
    fn mount()(
        destination in text(), kind in text(), source in text(), options in texts(),
        uid_mappings in id_mappings(), gid_mappings in id_mappings(),
    ) -> Mount {
        Mount { destination, kind, source, options, uid_mappings, gid_mappings }
    }
}

prop_compose! {
    fn hook()(path in text(), args in texts(), env in texts(), timeout: Option<i64>) -> Hook {
        Hook { path, args, env, timeout }
    }
}

fn hook_list() -> impl Strategy<Value = Vec<Hook>> {
    vec(hook(), 0..2)
}

prop_compose! {
    fn hooks()(
        prestart in hook_list(), create_runtime in hook_list(), create_container in hook_list(),
        start_container in hook_list(), poststart in hook_list(), poststop in hook_list(),
    ) -> Hooks {
        Hooks { prestart, create_runtime, create_container, start_container, poststart, poststop }
    }
}

/// A capability set, sorted, as the witness keeps them without order.
fn capability_set() -> impl Strategy<Value = Vec<String>> {
    let names = select(&["CAP_KILL", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_CHECKPOINT_RESTORE", "CAP_CHOWN"][..]);
    btree_set(names, 0..5).prop_map(|set| set.into_iter().map(str::to_owned).collect())
}

prop_compose! {
    fn capabilities()(
        bounding in capability_set(), effective in capability_set(), inheritable in capability_set(),
        permitted in capability_set(), ambient in capability_set(),
    ) -> Capabilities {
        Capabilities { bounding, effective, inheritable, permitted, ambient }
    }
}

prop_compose! {
    fn scheduler()(
        policy in select(SchedulerPolicy::KNOWN), nice: i32, priority: i32,
        flags in some_of(&["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_UTIL_CLAMP_MAX"]),
        runtime: u64, deadline: u64, period: u64,
    ) -> Scheduler {
        Scheduler { policy, nice, priority, flags, runtime, deadline, period }
    }
}

prop_compose! {
    fn rlimit()(kind in select(RlimitKind::KNOWN), hard: u64, soft: u64) -> Rlimit {
        Rlimit { kind, hard, soft }
    }
}

prop_compose! {
    fn user()(uid: u32, gid: u32, umask: Option<u32>, additional_gids in vec(any::<u32>(), 0..4)) -> User {
        User { uid, gid, umask, additional_gids }
    }
}

/// A list of CPUs: the witness checks its form.
fn list() -> impl Strategy<Value = String> {
    one_of(&["", "0", "0-3", "0-3,7", "1,2,5-6"])
}

prop_compose! {
    fn rights()(
        capabilities in of(capabilities()), rlimits in vec(rlimit(), 0..3), no_new_privileges: bool,
        apparmor_profile in text(), selinux_label in text(), oom_score_adj in of(-1000_i64..=1000),
        scheduler in of(scheduler()),
        io in of((select(IoPriorityClass::KNOWN), any::<i64>())),
        affinity in of((list(), list())),
    ) -> Process {
        Process {
            capabilities, rlimits, no_new_privileges, apparmor_profile, selinux_label, oom_score_adj, scheduler,
            io_priority: io.map(|(class, priority)| IoPriority { class, priority }),
            exec_cpu_affinity: affinity.map(|(initial, final_)| CpuAffinity { initial, final_ }),
            ..Process::default()
        }
    }
}

prop_compose! {
    fn process()(
        terminal: bool, size in of(any::<(u64, u64)>()), user in user(), args in texts(), env in texts(),
        cwd in text(), rest in rights(),
    ) -> Process {
        let console_size = size.map(|(height, width)| ConsoleSize { height, width });
        Process { terminal, console_size, user, args, env, cwd, ..rest }
    }
}

prop_compose! {
    fn device_rule()(
        allow: bool, kind in select(DeviceRuleKind::KNOWN), major: Option<i64>, minor: Option<i64>,
        access in one_of(&["", "r", "rw", "rwm", "m"]),
    ) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access }
    }
}

prop_compose! {
    fn memory()(
        sizes: [Option<i64>; 5], swappiness: Option<u64>, disable_oom_killer: Option<bool>,
        use_hierarchy: Option<bool>, check_before_update: Option<bool>,
    ) -> Memory {
        let [limit, reservation, swap, kernel, kernel_tcp] = sizes;
        Memory {
            limit, reservation, swap, kernel, kernel_tcp, swappiness, disable_oom_killer, use_hierarchy,
            check_before_update,
        }
    }
}

prop_compose! {
    fn cpu()(
        shares: Option<u64>, quota: Option<i64>, burst: Option<u64>, period: Option<u64>,
        realtime_runtime: Option<i64>, realtime_period: Option<u64>, cpus in list(), mems in list(),
        idle: Option<i64>,
    ) -> Cpu {
        Cpu { shares, quota, burst, period, realtime_runtime, realtime_period, cpus, mems, idle }
    }
}

fn throttles() -> impl Strategy<Value = Vec<ThrottleDevice>> {
    vec(any::<(i64, i64, u64)>().prop_map(|(major, minor, rate)| ThrottleDevice { major, minor, rate }), 0..3)
}

prop_compose! {
    fn block_io()(
        weights: (Option<u16>, Option<u16>),
        devices in vec(any::<(i64, i64, Option<u16>, Option<u16>)>(), 0..3),
        throttle_read_bps_device in throttles(), throttle_write_bps_device in throttles(),
        throttle_read_iops_device in throttles(), throttle_write_iops_device in throttles(),
    ) -> BlockIo {
        let device = |(major, minor, weight, leaf_weight)| WeightDevice { major, minor, weight, leaf_weight };
        BlockIo {
            weight: weights.0, leaf_weight: weights.1, weight_device: devices.into_iter().map(device).collect(),
            throttle_read_bps_device, throttle_write_bps_device, throttle_read_iops_device,
            throttle_write_iops_device,
        }
    }
}

prop_compose! {
    pub(crate) fn resources()(
        devices in vec(device_rule(), 0..3), memory in of(memory()), cpu in of(cpu()),
        // The witness knows no absent limit and no page limit above half of what fits.
        pids in of(any::<i64>()), block_io in of(block_io()), pages in vec((text(), 0..=i64::MAX as u64), 0..3),
        network in of((any::<Option<u32>>(), vec((text(), any::<u32>()), 0..3))),
        rdma in btree_map(text(), any::<(Option<u32>, Option<u32>)>(), 0..3), unified in map(),
    ) -> Resources {
        Resources {
            devices, memory, cpu, block_io, unified,
            pids: pids.map(|limit| Pids { limit: Some(limit) }),
            hugepage_limits: pages.into_iter().map(|(page_size, limit)| HugepageLimit { page_size, limit }).collect(),
            network: network.map(|(class_id, priorities)| Network {
                class_id,
                priorities: priorities.into_iter().map(|(name, priority)| InterfacePriority { name, priority }).collect(),
            }),
            rdma: rdma.into_iter().map(|(device, (hca_handles, hca_objects))| (device, Rdma { hca_handles, hca_objects })).collect(),
        }
    }
}

prop_compose! {
    fn device()(
        path in text(), kind in select(DeviceKind::KNOWN), major: i64, minor: i64, file_mode: Option<u32>,
        uid: Option<u32>, gid: Option<u32>,
    ) -> Device {
        Device { path, kind, major, minor, file_mode, uid, gid }
    }
}

prop_compose! {
    fn intel_rdt()(
        clos_id in text(), schemata in texts(), l3_cache_schema in text(), mem_bw_schema in text(),
        enable_monitoring: bool, enable_cmt: bool, enable_mbm: bool,
    ) -> IntelRdt {
        IntelRdt { clos_id, schemata, l3_cache_schema, mem_bw_schema, enable_monitoring, enable_cmt, enable_mbm }
    }
}

prop_compose! {
    fn memory_policy()(
        mode in select(MemoryPolicyMode::KNOWN), nodes in list(),
        flags in some_of(&["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]),
    ) -> MemoryPolicy {
        MemoryPolicy { mode, nodes, flags }
    }
}

const ACTIONS: &[&str] = &["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_NOTIFY"];

prop_compose! {
    fn syscall()(
        names in vec("[a-z_0-9]{1,8}", 1..4), action in one_of(ACTIONS), errno_ret: Option<u32>,
        args in vec((0_u32..6, any::<u64>(), any::<u64>(), one_of(&["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"])), 0..3),
    ) -> Syscall {
        let arg = |(index, value, value_two, op)| Arg { index, value, value_two, op };
        Syscall { names: names.iter().collect(), action, errno_ret, args: args.into_iter().map(arg).collect() }
    }
}

prop_compose! {
    pub(crate) fn filter()(
        default_action in one_of(ACTIONS), default_errno_ret: Option<u32>,
        architectures in some_of(&["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_RISCV64"]),
        flags in of(some_of(&["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])),
        listener_path in text(), listener_metadata in text(), syscalls in vec(syscall(), 0..4),
    ) -> Seccomp {
        Seccomp {
            default_action, default_errno_ret, architectures, flags, listener_path, listener_metadata, syscalls,
        }
    }
}

prop_compose! {
    fn isolation()(
        uid_mappings in id_mappings(), gid_mappings in id_mappings(), sysctl in map(),
        namespaces in vec((select(NamespaceKind::KNOWN), text()), 0..4), devices in vec(device(), 0..3),
        net_devices in btree_map(text(), text(), 0..3), cgroups_path in text(),
        time_offsets in btree_map(one_of(&["boottime", "monotonic"]), any::<(i64, u32)>(), 0..3),
    ) -> Linux {
        Linux {
            uid_mappings, gid_mappings, sysctl, devices, cgroups_path,
            namespaces: namespaces.into_iter().map(|(kind, path)| Namespace { kind, path }).collect(),
            net_devices: net_devices.into_iter().map(|(host, name)| (host, NetDevice { name })).collect(),
            time_offsets: time_offsets
                .into_iter()
                .map(|(clock, (secs, nanosecs))| (clock, TimeOffset { secs, nanosecs }))
                .collect(),
            ..Linux::default()
        }
    }
}

prop_compose! {
    fn linux()(
        rest in isolation(), resources in of(resources()), seccomp in of(filter()),
        rootfs_propagation in one_of(&["", "private", "shared", "slave", "unbindable"]), masked_paths in texts(),
        readonly_paths in texts(), mount_label in text(), intel_rdt in of(intel_rdt()),
        memory_policy in of(memory_policy()), domain in of(select(PersonalityDomain::KNOWN)),
    ) -> Linux {
        Linux {
            resources, rootfs_propagation, masked_paths, readonly_paths, mount_label, intel_rdt, memory_policy,
            seccomp: seccomp.map(|filter| serde_json::value::to_raw_value(&filter).unwrap()),
            personality: domain.map(|domain| Personality { domain, flags: vec![] }),
            ..rest
        }
    }
}

prop_compose! {
    /// Any config.
    pub(crate) fn spec()(
        process in of(process()), root in of((text(), any::<bool>())), hostname in text(), domainname in text(),
        mounts in vec(mount(), 0..4), hooks in hooks(), annotations in map(), linux in of(linux()),
    ) -> Spec {
        Spec {
            oci_version: VERSION.to_owned(), process, hostname, domainname, mounts, hooks, annotations, linux,
            root: root.map(|(path, readonly)| Root { path, readonly }),
            vm: None,
        }
    }
}
