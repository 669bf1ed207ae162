//! What profiles may say, what they may not, and what becomes of system calls newer than they are.
#![allow(clippy::unwrap_used)] // Helpers of tests are test code.

mod common;

use common::profiles::{Shape, any_profile};
use common::{arg, engine_profile, rule};
use orlop_seccomp::Action::{self, Allow, Errno, KillThread};
use orlop_seccomp::{
    Arch, Filter, MAX_INSNS, Options, Place, Problem, SeccompData, compile, disassemble, simulate, verify,
};
use orlop_spec::seccomp::{Arg, Seccomp, Syscall};
use proptest::prelude::*;

fn on(native: Arch, profile: &Seccomp) -> Filter {
    compile(profile, &Options::new(native)).unwrap()
}

fn decide(filter: &Filter, arch: Arch, nr: u32) -> Action {
    simulate(&filter.program, &SeccompData { nr, arch: arch.token(), ..SeccompData::default() }).unwrap()
}

/// A profile that allows a few calls.
fn allowing(names: &[&str], default: &str, arches: &[&str]) -> Seccomp {
    Seccomp {
        default_action: format!("SCMP_ACT_{default}"),
        architectures: arches.iter().map(|arch| format!("SCMP_ARCH_{arch}")).collect(),
        syscalls: vec![rule(names, if default == "ALLOW" { "LOG" } else { "ALLOW" }, vec![])],
        ..Seccomp::default()
    }
}

fn problems(profile: &Seccomp) -> Vec<(Place, Problem)> {
    let found = compile(profile, &Options::new(Arch::X86_64)).unwrap_err();
    found.into_iter().map(|diagnostic| (diagnostic.place, diagnostic.problem)).collect()
}

#[test]
fn calls_newer_than_the_profile_do_not_exist() {
    // openat2 is 437 everywhere.
    let filter = on(Arch::X86_64, &allowing(&["read", "openat2"], "ERRNO", &["X86", "X32"]));
    for arch in [Arch::X86_64, Arch::X86] {
        let seen = [3, 100, 437, 438, 0x3fff_ffff].map(|nr| decide(&filter, arch, nr));
        assert_eq!(seen[1..], [Errno(1), Allow, Errno(38), Errno(38)], "{arch:?}");
    }
    let x32 = [0x4000_0000, 0x4000_0064, 0x4000_01b5, 0x4000_01b6, u32::MAX];
    assert_eq!(x32.map(|nr| decide(&filter, Arch::X32, nr)), [Allow, Errno(1), Allow, Errno(38), Errno(38)]);
}

#[test]
fn x32_numbers_are_not_new_calls_of_x86_64() {
    let filter = on(Arch::X86_64, &allowing(&["openat2"], "ERRNO", &[]));
    let seen = [0x4000_0000, 0x4000_01b6, 0x8000_0000, 0xc000_0000, u32::MAX];
    let seen = seen.map(|nr| decide(&filter, Arch::X86_64, nr));
    assert_eq!(seen, [KillThread, KillThread, Errno(38), KillThread, Errno(1)]);
}

#[test]
fn permissive_profiles_and_nameless_architectures_keep_their_default() {
    for default in ["ALLOW", "LOG", "TRACE"] {
        let filter = on(Arch::Aarch64, &allowing(&["openat2"], default, &[]));
        assert_ne!(decide(&filter, Arch::Aarch64, 500), Errno(38), "{default}");
    }
    for default in ["KILL", "KILL_PROCESS", "TRAP", "ERRNO"] {
        let filter = on(Arch::Aarch64, &allowing(&["openat2"], default, &[]));
        assert_eq!(decide(&filter, Arch::Aarch64, 500), Errno(38), "{default}");
    }
    // open does not exist on aarch64.
    let filter = on(Arch::Aarch64, &allowing(&["open"], "ERRNO", &[]));
    assert_eq!(decide(&filter, Arch::Aarch64, 500), Errno(1));
}

#[test]
fn unknown_calls_of_s390_arrive_as_number_0() {
    let filter = on(Arch::S390x, &allowing(&["read", "openat2"], "ERRNO", &[]));
    assert_eq!(
        [0, 1, 3, 438].map(|nr| decide(&filter, Arch::S390x, nr)),
        [Errno(38), Errno(1), Allow, Errno(38)]
    );
}

/// runc fails such a call with `ENOSYS`, as libseccomp has no direct number for it.
#[test]
fn a_named_call_is_never_newer_than_the_profile() {
    let filter = on(Arch::X86_64, &allowing(&["read", "msgctl"], "ERRNO", &["X86"]));
    assert_eq!(decide(&filter, Arch::X86, 402), Allow);
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut bad = rule(&["read", "reed"], "ALLOW", vec![arg(6, "EQ", 0, 0), arg(0, "ABOUT", 0, 0)]);
    bad.errno_ret = Some(1);
    let profile = Seccomp {
        default_action: "SCMP_ACT_NOTIFY".into(),
        architectures: vec!["SCMP_ARCH_X86".into(), "SCMP_ARCH_VAX".into(), "SCMP_ARCH_S390".into()],
        flags: Some(vec!["SECCOMP_FILTER_FLAG_LOG".into(), "FAST".into()]),
        listener_metadata: "x".into(),
        syscalls: vec![
            bad,
            rule(&["write"], "NOTIFY", vec![]),
            rule(&["write"], "BITE", vec![]),
            Syscall { errno_ret: Some(65536), ..rule(&["write"], "ERRNO", vec![]) },
        ],
        ..Seccomp::default()
    };
    let expected = [
        (Place::DefaultAction, Problem::NotifyByDefault),
        (Place::Architecture(1), Problem::Architecture("SCMP_ARCH_VAX".into())),
        (Place::Architecture(2), Problem::ByteOrder("S390")),
        (Place::ErrnoRet(0), Problem::ErrnoUnused("SCMP_ACT_ALLOW".into())),
        (Place::ArgIndex(0, 0), Problem::ArgIndex(6)),
        (Place::ArgOp(0, 1), Problem::Op("SCMP_CMP_ABOUT".into())),
        (Place::Name(1, 0), Problem::NotifyOnLaunch("write".into())),
        (Place::Action(2), Problem::Action("SCMP_ACT_BITE".into())),
        (Place::ErrnoRet(3), Problem::Errno(65536)),
        (Place::ListenerPath, Problem::NoListener),
        (Place::ListenerMetadata, Problem::MetadataWithoutListener),
        (Place::Flag(1), Problem::Flag("FAST".into())),
    ];
    assert_eq!(problems(&profile), expected);
}

#[test]
fn warnings_do_not_fail() {
    let mut profile = allowing(&["read", "reed"], "ERRNO", &["X86", "X86"]);
    profile.flags = Some(vec!["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV".into()]);
    profile.syscalls.push(rule(&[], "ALLOW", vec![arg(1, "EQ", 0, 0), arg(1, "EQ", 2, 0)]));
    profile.default_errno_ret = Some(5000);
    let filter = on(Arch::X86_64, &profile);
    assert_eq!((filter.flags, filter.notify), (0, false));
    let seen: Vec<_> = filter.warnings.iter().map(|warning| warning.place).collect();
    assert_eq!(
        seen,
        [Place::DefaultErrnoRet, Place::Name(0, 1), Place::Names(1), Place::Args(1), Place::Flag(0)]
    );
}

#[test]
fn flags_of_seccomp_2() {
    let flags = |names: Option<&[&str]>, action: &str| {
        let mut profile = allowing(&["read"], "ERRNO", &[]);
        profile.flags =
            names.map(|names| names.iter().map(|name| format!("SECCOMP_FILTER_FLAG_{name}")).collect());
        profile.listener_path = "/run/agent".into();
        profile.syscalls.push(rule(&["mkdir"], action, vec![]));
        on(Arch::X86_64, &profile).flags
    };
    assert_eq!(flags(None, "LOG"), 0b100, "absent is SPEC_ALLOW, as in runc and crun");
    assert_eq!(flags(Some(&[]), "LOG"), 0);
    assert_eq!(flags(Some(&["TSYNC", "LOG", "SPEC_ALLOW"]), "LOG"), 0b110);
    assert_eq!(flags(Some(&["WAIT_KILLABLE_RECV"]), "NOTIFY"), 0b10_1000);
    assert_eq!(flags(Some(&["TSYNC"]), "NOTIFY"), 0b1000);
}

#[test]
fn a_profile_that_does_not_fit_is_refused() {
    let rules = |count: u64| {
        let one = |value| {
            rule(&["ioctl"], "ALLOW", vec![arg(1, "EQ", value << 32 | value, 0), arg(2, "NE", value, 0)])
        };
        Seccomp { syscalls: (0..count).map(one).collect(), ..allowing(&[], "ERRNO", &[]) }
    };
    let filter = on(Arch::X86_64, &rules(400));
    assert!(filter.program.len() > 2000 && filter.program.len() <= MAX_INSNS);
    for count in [1000, 3000, 20000] {
        let found = problems(&rules(count));
        assert!(matches!(found[..], [(Place::Profile, Problem::TooLong(_))]), "{count}: {found:?}");
    }
}

#[test]
fn a_program_can_be_read() {
    let mut profile = allowing(&["read", "openat2"], "ERRNO", &["X86"]);
    profile.syscalls.push(rule(&["personality"], "ALLOW", vec![arg(0, "EQ", 8, 0)]));
    let text = disassemble(&on(Arch::X86_64, &profile));
    let instructions = text.lines().filter(|line| !line.ends_with(':')).map(|line| line[7..].trim_end());
    for wanted in [
        "; X86_64",
        "; personality",
        "; openat2",
        "ld   arg0+4",
        "ret  allow",
        "ret  errno 38",
        "ret  kill thread",
    ] {
        assert!(instructions.clone().any(|line| line.contains(wanted)), "{wanted} in\n{text}");
    }
    assert!(text.starts_with("    0  ld   arch\n"), "{text}");
}

/// The promise of speed, as counts that no load can disturb.
#[test]
fn an_engines_profile_is_small_and_shallow() {
    let filter = on(Arch::X86_64, &engine_profile());
    assert!(filter.program.len() <= 200, "{}", filter.program.len());
    let program = verify(&filter.program).unwrap();
    for nr in 0..500 {
        let steps =
            program.run(&SeccompData { nr, arch: Arch::X86_64.token(), ..SeccompData::default() }).steps;
        assert!(steps <= 25, "{nr}: {steps}");
    }
}

/// Strings and numbers as an attacker might write them.
fn anything() -> impl Strategy<Value = Seccomp> {
    let word = prop_oneof![
        Just("SCMP_ACT_ERRNO".to_owned()),
        Just("SCMP_ACT_ALLOW".to_owned()),
        Just("SCMP_CMP_MASKED_EQ".to_owned()),
        Just("SCMP_CMP_LT".to_owned()),
        Just("SCMP_ARCH_X32".to_owned()),
        Just("read".to_owned()),
        ".{0,12}",
    ];
    let arg = (any::<u32>(), any::<u64>(), any::<u64>(), word.clone());
    let arg = arg.prop_map(|(index, value, value_two, op)| Arg { index: index % 8, value, value_two, op });
    let words = || prop::collection::vec(word.clone(), 0..4);
    let rule = (words(), word.clone(), any::<Option<u32>>(), prop::collection::vec(arg, 0..8));
    let rule = rule.prop_map(|(names, action, errno_ret, args)| Syscall {
        names: names.iter().collect(),
        action,
        errno_ret,
        args,
    });
    (word.clone(), words(), proptest::option::of(words()), prop::collection::vec(rule, 0..8)).prop_map(
        |(default_action, architectures, flags, syscalls)| Seccomp {
            default_action,
            architectures,
            flags,
            syscalls,
            ..Seccomp::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_the_compiler_panic(profile in anything(), native in 0_usize..23) {
        let native = Arch::all().nth(native).unwrap();
        match compile(&profile, &Options::new(native)) {
            Ok(filter) => prop_assert!(verify(&filter.program).is_ok()),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn what_compiles_loads_and_can_be_read(
        profile in any_profile(Shape { actions: 4, conditions: 6, rules: 60, repeat: false })
    ) {
        let options = Options { launch_syscalls: &[], ..Options::new(Arch::X86_64) };
        if let Ok(filter) = compile(&profile, &options) {
            prop_assert!(verify(&filter.program).is_ok());
            prop_assert!(!disassemble(&filter).contains('?'));
        }
    }
}
