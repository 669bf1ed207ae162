//! Skipping, aloud: a test that cannot run here says SKIP and why, and the summary counts it.
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// Ends the test with SKIP and the reason unless the condition holds.
#[macro_export]
macro_rules! need {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            $crate::need::skip(&format!($($why)+));
            return;
        }
    };
}

/// Reports a skipped test on standard error (past the test runner's capture) and in `$ORLOP_SKIPS`.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("SKIP {}: {why}\n", thread.name().unwrap_or("?"));
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    if let Some(path) = std::env::var_os("ORLOP_SKIPS") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests");
    }
}

/// Whether a program is installed.
pub fn program(name: &str) -> bool {
    crate::runtime::in_path(Path::new(name)).is_some()
}

/// Whether we run as root, which nearly every test needs.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this is the project's test machine (`hack/vm`).
pub fn in_vm() -> bool {
    std::env::var_os("ORLOP_VM").is_some()
}

/// The running kernel's version.
pub fn kernel() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs is mounted");
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether we have a capability (by number, as in `capability.h`) in our effective set.
pub fn capability(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("CapEff is in status");
    u64::from_str_radix(mask.trim(), 16).expect("a hexadecimal mask") >> number & 1 == 1
}

/// `CAP_SYS_RESOURCE`: raising hard limits and lowering `oom_score_adj`.
pub const CAP_SYS_RESOURCE: u32 = 24;
