//! Tables: OCI resources on the left, files on the right.

use orlop_spec::Resources;

use super::{Plan, Problem, plan};
use crate::controller::Controllers;
use crate::layout::{Hierarchy, Layout, Unified, V1Mount};

const V2: &str = "cpuset cpu io memory hugetlb pids rdma misc";

fn v2(controllers: &str) -> Layout {
    let controllers = Controllers::parse(controllers);
    Layout {
        unified: Some(Unified { mount: "/sys/fs/cgroup".into(), own: "".into(), controllers }),
        v1: Vec::new(),
    }
}

fn hybrid(on_v2: &str, on_v1: &str) -> Layout {
    let mount = |name: &str| V1Mount {
        mount: format!("/sys/fs/cgroup/{name}").into(),
        own: "".into(),
        controllers: Controllers::parse(name),
    };
    Layout { v1: on_v1.split(' ').map(mount).collect(), ..v2(on_v2) }
}

fn v1() -> Layout {
    hybrid("", "cpu cpuset memory io pids hugetlb rdma net_cls net_prio")
}

fn planned(json: &str, layout: &Layout) -> Result<Plan, Vec<Problem>> {
    plan(&serde_json::from_str::<Resources>(json).unwrap(), layout, &[])
}

/// The settings as `file = value` lines.
fn lines(json: &str, layout: &Layout) -> Vec<String> {
    let plan = planned(json, layout).unwrap_or_else(|p| panic!("{json}: {p:?}"));
    plan.settings.iter().map(ToString::to_string).collect()
}

fn problems(json: &str, layout: &Layout) -> Vec<String> {
    planned(json, layout).expect_err(json).iter().map(ToString::to_string).collect()
}

fn warnings(json: &str, layout: &Layout) -> Vec<String> {
    planned(json, layout).expect(json).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn version_2_table() {
    for (json, want) in [
        (r"{}", &[][..]),
        (r#"{"memory":{"limit":1000,"reservation":500}}"#, &["memory.max = 1000", "memory.low = 500"]),
        (r#"{"memory":{"limit":1000,"swap":1500}}"#, &["memory.swap.max = 500", "memory.max = 1000"]),
        (r#"{"memory":{"limit":1000,"swap":1000}}"#, &["memory.swap.max = 0", "memory.max = 1000"]),
        (r#"{"memory":{"limit":1000,"swap":-1}}"#, &["memory.swap.max = max", "memory.max = 1000"]),
        (r#"{"memory":{"limit":-1}}"#, &["memory.swap.max = max", "memory.max = max"]),
        (r#"{"memory":{"limit":0,"swap":0}}"#, &[]),
        (r#"{"cpu":{"shares":1024}}"#, &["cpu.weight = 100"]),
        (r#"{"cpu":{"shares":0}}"#, &[]),
        (r#"{"cpu":{"quota":50000}}"#, &["cpu.max = 50000 100000"]),
        (r#"{"cpu":{"quota":-1,"period":20000}}"#, &["cpu.max = max 20000"]),
        (
            r#"{"cpu":{"quota":50000,"period":20000,"burst":100}}"#,
            &["cpu.max = 50000 20000", "cpu.max.burst = 100"],
        ),
        (r#"{"cpu":{"idle":1,"shares":512}}"#, &["cpu.idle = 1"]),
        (r#"{"cpu":{"idle":0,"shares":512}}"#, &["cpu.idle = 0", "cpu.weight = 59"]),
        (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, &["cpuset.cpus = 0-1", "cpuset.mems = 0"]),
        (r#"{"pids":{"limit":10}}"#, &["pids.max = 10"]),
        (r#"{"pids":{"limit":0}}"#, &["pids.max = 1"]),
        (r#"{"pids":{"limit":-1}}"#, &["pids.max = max"]),
        (r#"{"pids":{}}"#, &[]),
        (r#"{"blockIO":{"weight":500}}"#, &["io.bfq.weight = 500"]),
        (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":10}]}}"#, &["io.bfq.weight = 8:0 10"]),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}],
                "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":0}],
                "throttleReadIOPSDevice":[{"major":8,"minor":1,"rate":9}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":1,"rate":3}]}}"#,
            &["io.max = 8:0 rbps=7", "io.max = 8:0 wbps=max", "io.max = 8:1 riops=9", "io.max = 8:1 wiops=3"],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}]}"#,
            &["hugetlb.2MB.max = 4096", "hugetlb.2MB.rsvd.max = 4096"],
        ),
        (
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}}}"#,
            &["rdma.max = mlx5_1 hca_handle=3 hca_object=10000"],
        ),
        (
            r#"{"memory":{"limit":1000},"unified":{"memory.high":"800","cgroup.max.depth":"3"}}"#,
            &["memory.max = 1000", "cgroup.max.depth = 3", "memory.high = 800"],
        ),
        (r#"{"unified":{"cpu.idle":"1","cpu.weight":"8"}}"#, &["cpu.idle = 1"]),
        (
            r#"{"unified":{"io.max":"8:0 rbps=1\n8:1 rbps=2"}}"#,
            &["io.max = 8:0 rbps=1", "io.max = 8:1 rbps=2"],
        ),
    ] {
        assert_eq!(lines(json, &v2(V2)), want, "{json}");
    }
}

#[test]
fn version_1_table() {
    for (json, want) in [
        (
            r#"{"memory":{"limit":1000,"swap":1500,"reservation":500,"swappiness":7,"disableOOMKiller":true}}"#,
            &[
                "memory.limit_in_bytes = 1000 (v1)",
                "memory.memsw.limit_in_bytes = 1500 (v1)",
                "memory.soft_limit_in_bytes = 500 (v1)",
                "memory.oom_control = 1 (v1)",
                "memory.swappiness = 7 (v1)",
            ][..],
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            &["memory.limit_in_bytes = -1 (v1)", "memory.memsw.limit_in_bytes = -1 (v1)"],
        ),
        (
            r#"{"cpu":{"shares":512,"quota":-1,"period":20000,"burst":5,"idle":0,"cpus":"0","mems":"0"}}"#,
            &[
                "cpu.shares = 512 (v1)",
                "cpu.cfs_period_us = 20000 (v1)",
                "cpu.cfs_quota_us = -1 (v1)",
                "cpu.cfs_burst_us = 5 (v1)",
                "cpu.idle = 0 (v1)",
                "cpuset.cpus = 0 (v1)",
                "cpuset.mems = 0 (v1)",
            ],
        ),
        (
            r#"{"cpu":{"realtimeRuntime":950000,"realtimePeriod":1000000}}"#,
            &["cpu.rt_period_us = 1000000 (v1)", "cpu.rt_runtime_us = 950000 (v1)"],
        ),
        (r#"{"pids":{"limit":-1}}"#, &["pids.max = max (v1)"]),
        (
            r#"{"blockIO":{"weight":500,"leafWeight":300,
                "weightDevice":[{"major":8,"minor":0,"weight":10,"leafWeight":20}],
                "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
            &[
                "blkio.weight = 500 (v1)",
                "blkio.leaf_weight = 300 (v1)",
                "blkio.weight_device = 8:0 10 (v1)",
                "blkio.leaf_weight_device = 8:0 20 (v1)",
                "blkio.throttle.read_bps_device = 8:0 0 (v1)",
            ],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"1GB","limit":1}]}"#,
            &["hugetlb.1GB.limit_in_bytes = 1 (v1)", "hugetlb.1GB.rsvd.limit_in_bytes = 1 (v1)"],
        ),
        (
            r#"{"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5}]}}"#,
            &["net_cls.classid = 1048577 (v1)", "net_prio.ifpriomap = eth0 5 (v1)"],
        ),
    ] {
        assert_eq!(lines(json, &v1()), want, "{json}");
    }
}

#[test]
fn each_controller_is_used_where_it_is() {
    let json =
        r#"{"memory":{"limit":1000},"pids":{"limit":7},"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#;
    let plan = planned(json, &hybrid("hugetlb memory", "memory pids")).unwrap();
    let text: Vec<_> = plan.settings.iter().map(ToString::to_string).collect();
    assert_eq!(text[0..2], ["pids.max = 7 (v1)", "memory.max = 1000"]);
    let on = |hierarchy| Plan::controllers(&plan.settings, hierarchy).to_string();
    assert_eq!((on(Hierarchy::V2), on(Hierarchy::V1)), ("memory hugetlb".into(), "pids".into()));
}

#[test]
fn every_setting_knows_its_origin() {
    let json = r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7},{"major":8,"minor":1,"rate":7}]},
        "memory":{"limit":-1},"unified":{"memory.high":"1"}}"#;
    let plan = planned(json, &v2(V2)).unwrap();
    let origins: Vec<_> = plan.settings.iter().map(|s| s.origin.to_string()).collect();
    assert_eq!(
        origins,
        [
            "/linux/resources/memory/limit",
            "/linux/resources/memory/limit",
            "/linux/resources/blockIO/throttleReadBpsDevice/0",
            "/linux/resources/blockIO/throttleReadBpsDevice/1",
            "/linux/resources/unified/memory.high",
        ]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let json = r#"{"memory":{"swap":500},"cpu":{"cpus":"zero"},"blockIO":{"weight":5},
        "hugepageLimits":[{"pageSize":"../2MB","limit":1}],"devices":[{"allow":true,"access":"x"}]}"#;
    let found = problems(json, &v2(V2));
    assert_eq!(
        found,
        [
            "/linux/resources/memory/swap: a swap limit needs a memory limit beside it; \
             hint: in the OCI config, swap counts memory and swap together",
            "/linux/resources/blockIO/weight: weight 5 is not between 10 and 1000",
            "/linux/resources/cpu/cpus: \"zero\" is not a list such as \"0-3,7\"",
            "/linux/resources/hugepageLimits/0: \"../2MB\" is not a page size such as \"2MB\"; \
             hint: ls /sys/kernel/mm/hugepages shows the sizes of this host",
            "/linux/resources/devices/0/access: device access \"x\" must be one or more of the letters r, w, m",
        ]
    );
}

#[test]
fn a_missing_controller_is_a_problem_that_says_where_it_was_looked_for() {
    assert_eq!(
        problems(r#"{"memory":{"limit":1000}}"#, &hybrid("hugetlb", "cpu")),
        ["/linux/resources/memory/limit: the memory controller is not available: not in \
          /sys/fs/cgroup/cgroup.controllers, and no version 1 hierarchy with memory is mounted; hint: boot with a \
          kernel that has it, enable memory in /sys/fs/cgroup/cgroup.subtree_control, or drop the limit"]
    );
    for json in [r#"{"cpu":{"shares":2}}"#, r#"{"pids":{"limit":0}}"#, r#"{"blockIO":{"weight":10}}"#] {
        assert_eq!(problems(json, &v2("")).len(), 1, "{json}");
    }
}

#[test]
fn network_tags_and_rdma_need_their_controllers_where_version_1_is() {
    // As on hosts whose version 1 hierarchies are without them: named, not ignored.
    for (json, controller) in [
        (r#"{"network":{"classID":5}}"#, "net_cls"),
        (r#"{"network":{"priorities":[{"name":"eth0","priority":1}]}}"#, "net_prio"),
        (r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#, "rdma"),
    ] {
        let found = problems(json, &hybrid("hugetlb", "cpu memory"));
        let words = format!("the {controller} controller is not available");
        assert!(found.len() == 1 && found[0].contains(&words), "{json}: {found:?}");
    }
    for (json, words) in [
        (r#"{"network":{"priorities":[{"name":"a b","priority":1}]}}"#, "is not the name of an interface"),
        (r#"{"rdma":{"mlx5_1":{}}}"#, "neither hcaHandles nor hcaObjects is given"),
        (r#"{"rdma":{"a b":{"hcaHandles":3}}}"#, "is not the name of an RDMA device"),
        (r#"{"blockIO":{"leafWeight":5}}"#, "leafWeight 5 is not between 10 and 1000"),
        (
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":-1,"weight":10}]}}"#,
            "8:-1 is not a device number",
        ),
        (
            r#"{"blockIO":{"throttleReadIOPSDevice":[{"major":-8,"minor":0,"rate":1}]}}"#,
            "is not a device number",
        ),
    ] {
        let found = problems(json, &v1());
        assert!(found.len() == 1 && found[0].contains(words), "{json}: {found:?}");
    }
}

#[test]
fn a_wish_for_no_limit_needs_no_controller() {
    for json in
        [r#"{"memory":{"limit":-1,"swap":-1}}"#, r#"{"pids":{"limit":-1}}"#, r#"{"cpu":{"quota":-1}}"#]
    {
        assert!(lines(json, &v2("")).is_empty(), "{json}");
    }
}

#[test]
fn a_letter_that_is_no_access_is_a_warning() {
    let found = warnings(
        r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","access":"rwa"}]}"#,
        &v2(V2),
    );
    assert_eq!(
        found,
        ["/linux/resources/devices/1/access: the letter \"a\" has no effect: accesses are r, w and m"]
    );
}

#[test]
fn what_version_2_lacks_is_a_warning() {
    for (json, place) in [
        (r#"{"memory":{"limit":1,"swappiness":60}}"#, "memory/swappiness"),
        (r#"{"memory":{"limit":1,"disableOOMKiller":true}}"#, "memory/disableOOMKiller"),
        (r#"{"memory":{"kernel":5}}"#, "memory/kernel"),
        (r#"{"memory":{"kernelTCP":5}}"#, "memory/kernelTCP"),
        (r#"{"memory":{"useHierarchy":false}}"#, "memory/useHierarchy"),
        (r#"{"cpu":{"realtimeRuntime":5}}"#, "cpu/realtimeRuntime"),
        (r#"{"cpu":{"idle":1,"shares":5}}"#, "cpu/shares"),
        (r#"{"unified":{"cpu.idle":"1","cpu.weight.nice":"5"}}"#, "unified/cpu.weight.nice"),
        (r#"{"cpu":{"idle":1},"unified":{"cpu.weight":"5"}}"#, "unified/cpu.weight"),
        (r#"{"cpu":{"shares":5},"unified":{"cpu.idle":"1"}}"#, "cpu/shares"),
        (r#"{"blockIO":{"leafWeight":50}}"#, "blockIO/leafWeight"),
        (r#"{"network":{"classID":5}}"#, "network/classID"),
    ] {
        let found = warnings(json, &v2(V2));
        assert_eq!(found.len(), 1, "{json} gave {found:?}");
        assert!(found[0].starts_with(&format!("/linux/resources/{place}: ")), "{found:?}");
    }
    for json in
        [r#"{"memory":{"limit":1,"disableOOMKiller":false,"useHierarchy":true}}"#, r#"{"cpu":{"idle":1}}"#]
    {
        assert!(warnings(json, &v2(V2)).is_empty(), "{json}");
    }
}

#[test]
fn the_unified_map_takes_only_files_that_are_limits() {
    for (file, part) in [
        ("memory/high", "must be a file name (no slashes)"),
        ("../cgroup.procs", "must be a file name (no slashes)"),
        ("high", "must be of the form CONTROLLER.PARAMETER"),
        ("cgroup.procs", "is not a limit"),
        ("cgroup.freeze", "is not a limit"),
        ("foo.bar", "controller \"foo\" not available"),
        ("dmem.max", "controller \"dmem\" not available"),
    ] {
        let found = problems(&format!(r#"{{"unified":{{"{file}":"1"}}}}"#), &v2(V2));
        assert!(found.len() == 1 && found[0].contains(part), "{file} gave {found:?}");
    }
    let found = problems(r#"{"unified":{"memory.high":"1"}}"#, &hybrid("", "memory"));
    assert!(found[0].contains("this hybrid host has it in version 1, at /sys/fs/cgroup/memory"), "{found:?}");
}

#[test]
fn check_before_update_names_the_file_to_compare_with() {
    let json = r#"{"memory":{"limit":1000,"swap":-1,"checkBeforeUpdate":true}}"#;
    let above = |layout| {
        let settings = planned(json, &layout).unwrap().settings;
        settings.iter().map(|s| s.above.map(|above| (above.of, above.limit, above.usage))).collect::<Vec<_>>()
    };
    assert_eq!(above(v2(V2)), [None, Some(("memory", 1000, "memory.current"))]);
    assert_eq!(above(v1()), [Some(("memory", 1000, "memory.usage_in_bytes")), None]);
}

#[test]
fn the_engine_config_of_the_field_plans_without_problems() {
    let json = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":5,"access":"rwm"}],
        "memory":{"disableOOMKiller":false},"cpu":{"shares":0},"pids":{"limit":2048},"blockIO":{"weight":0}}"#;
    assert_eq!(lines(json, &v2(V2)), ["pids.max = 2048"]);
    assert!(!planned(json, &v2(V2)).unwrap().devices.allows_all());
}
