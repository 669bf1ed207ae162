//! System call filters: profiles, and programs.

use std::collections::HashMap;

use orlop_seccomp::tables::Syscall;
use orlop_seccomp::{
    Arch, Insn, Options, SeccompData, compile, disassemble, disassemble_program, simulate, verify,
};
use orlop_spec::seccomp::Arg;
use orlop_spec::{Parsed, Seccomp};

/// What a profile means, told the slow way: the same witness that the compiler's own tests have.
#[path = "../../../../crates/seccomp/tests/common/reference.rs"]
#[allow(dead_code, unreachable_pub)]
mod reference;

/// A condition, for the witness.
fn arg(index: u32, op: &str, value: u64, value_two: u64) -> Arg {
    Arg { index, value, value_two, op: format!("SCMP_CMP_{op}") }
}

/// Words of profiles.
pub(super) const WORDS: &[&str] = &[
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_LOG",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_AARCH64",
    "\"errnoRet\":",
    "\"args\":",
    "\"names\":",
    "\"valueTwo\":",
    "18446744073709551615",
    "4294967296",
    "\"socket\"",
    "\"shmat\"",
    "\"clone3\"",
    "\"read\"",
    "\"write\"",
];

/// A profile. If it compiles, the kernel takes the program, it decides as the profile says, and its text says the same.
pub(super) fn profile(bytes: &[u8]) {
    let Ok(Parsed { spec, .. }) = Parsed::<Seccomp>::parse(bytes) else { return };
    for native in [Arch::X86_64, Arch::Aarch64] {
        let options = Options { enosys: false, ..Options::new(native) };
        let filter = match compile(&spec, &options) {
            Ok(filter) => filter,
            Err(findings) => {
                assert!(!findings.is_empty(), "nothing is wrong, and nothing was compiled");
                assert!(findings.iter().all(|finding| !finding.to_string().is_empty()));
                return;
            }
        };
        verify(&filter.program).expect("the kernel takes what was compiled");
        let text = disassemble(&filter);
        let listed = spec.architectures.iter().filter_map(|name| Arch::from_oci(name));
        let arches: Vec<Arch> = listed.chain([native]).collect();
        for call in calls(&spec, &arches, bytes) {
            let (arch, data) = call;
            let decided = simulate(&filter.program, &data).expect("it was verified");
            assert_eq!(decided, reference::decide(&spec, arch, &data), "{arch:?} {data:?}");
            assert_eq!(read(&text, &data), decided.to_string(), "{data:?} in\n{text}");
        }
    }
}

/// Calls that the profile names, and one that it does not, with arguments that it names.
fn calls(profile: &Seccomp, arches: &[Arch], bytes: &[u8]) -> Vec<(Arch, SeccompData)> {
    let names = profile.syscalls.iter().flat_map(|rule| rule.names.iter().take(2));
    let values: Vec<u64> = profile
        .syscalls
        .iter()
        .flat_map(|rule| &rule.args)
        .take(8)
        .flat_map(|arg| [arg.value, arg.value.wrapping_add(1), arg.value_two, u64::MAX])
        .chain([0])
        .collect();
    let mut calls = Vec::new();
    for name in names.chain(["getpid", "socketcall", "ipc"]).take(24) {
        for arch in arches {
            let Some(nr) = Syscall::from_name(name).and_then(|call| call.number(*arch)) else { continue };
            // Another one of them for each argument, and different ones for different inputs.
            let begin = bytes.len() + calls.len();
            let args = std::array::from_fn(|index| values[(begin + index * 3) % values.len()]);
            calls.push((*arch, SeccompData { nr, arch: arch.token(), instruction_pointer: 1 << 33, args }));
        }
    }
    calls
}

/// Runs a program as people read it: the words of its decision.
fn read(text: &str, call: &SeccompData) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('L')).collect();
    let mut labels = HashMap::new();
    let mut at = 0;
    for line in text.lines() {
        match line.strip_suffix(':').filter(|_| line.starts_with('L')) {
            Some(label) => drop(labels.insert(label, at)),
            None => at += 1,
        }
    }
    let (mut at, mut held) = (0, 0_u32);
    loop {
        let line = lines[at].split(';').next().unwrap_or_default();
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty()).skip(1);
        let (operation, operand) = (words.next().expect("an operation"), words.next().expect("an operand"));
        let number = || u32::from_str_radix(operand.trim_start_matches("0x"), 16).expect("a number");
        at += 1;
        let test = match operation {
            "ret" => {
                return line
                    .split_once("ret")
                    .map(|(_, action)| action.trim().to_owned())
                    .expect("it is there");
            }
            "ld" => {
                held = word(operand, call);
                continue;
            }
            "and" => {
                held &= number();
                continue;
            }
            "ja" => {
                at = labels[operand];
                continue;
            }
            "jeq" => held == number(),
            "jgt" => held > number(),
            "jge" => held >= number(),
            "jset" => held & number() != 0,
            other => panic!("what is {other:?}?"),
        };
        let (yes, no) = (words.next(), words.next());
        if let Some(label) = if test { yes } else { no }.filter(|label| *label != "next") {
            at = labels[label];
        }
    }
}

/// A word of `struct seccomp_data` by its name. Big-endian architectures have the upper half first.
fn word(name: &str, call: &SeccompData) -> u32 {
    let little = call.arch & 0x4000_0000 != 0;
    let half = |value: u64, second: bool| if second == little { (value >> 32) as u32 } else { value as u32 };
    match name {
        "nr" => call.nr,
        "arch" => call.arch,
        "ip+0" | "ip+4" => half(call.instruction_pointer, name == "ip+4"),
        argument => {
            let (number, second) =
                argument.strip_suffix("+4").map_or((argument, false), |number| (number, true));
            let index: usize = number.trim_start_matches("arg").parse().expect("the number of an argument");
            half(call.args[index], second)
        }
    }
}

/// A program, as an annotation may bring one: what is well-formed runs to an end, and everything has a text.
pub(super) fn program(bytes: &[u8]) {
    let program: Vec<Insn> =
        bytes.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(Insn::from_bytes).collect();
    let text = disassemble_program(&program);
    assert_eq!(text.lines().filter(|line| !line.starts_with('L')).count(), program.len());
    let Ok(verified) = verify(&program) else { return };
    for nr in [0, 1, 59, 0x4000_0001] {
        let call =
            SeccompData { nr, arch: Arch::X86_64.token(), instruction_pointer: 7, args: [u64::MAX; 6] };
        let outcome = verified.run(&call);
        assert!(outcome.steps <= program.len(), "a program goes back");
    }
}

pub(super) fn profiles() -> Vec<Vec<u8>> {
    let small = br#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[{"names":["read","write","socket"],"action":"SCMP_ACT_ALLOW"},
        {"names":["clone","personality"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,"valueTwo":0,
        "op":"SCMP_CMP_MASKED_EQ"}]},{"names":["personality"],"action":"SCMP_ACT_LOG","args":[{"index":0,
        "value":4294967295,"op":"SCMP_CMP_EQ"},{"index":1,"value":5,"op":"SCMP_CMP_GE"}]}]}"#;
    let other = br#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_S390X","SCMP_ARCH_AARCH64"],"syscalls":[
        {"names":["shmat","semop"],"action":"SCMP_ACT_ERRNO","errnoRet":1,"args":[{"index":1,"value":7,"op":"SCMP_CMP_LT"},
        {"index":1,"value":9,"op":"SCMP_CMP_NE"}]}],"flags":["SECCOMP_FILTER_FLAG_LOG"]}"#;
    vec![small.to_vec(), other.to_vec()]
}

pub(super) fn programs() -> Vec<Vec<u8>> {
    let profiles = profiles().into_iter().filter_map(|text| Parsed::<Seccomp>::parse(text).ok());
    let options = Options::new(Arch::X86_64);
    profiles.filter_map(|profile| Some(compile(&profile.spec, &options).ok()?.to_bytes())).collect()
}
