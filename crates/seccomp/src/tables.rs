//! System calls: names and numbers of every architecture.
//!
//! The data is generated (`hack/syscalls/generate`) from the kernel's own headers. Multiplexed calls (`socketcall`,
//! `ipc`) have their direct numbers here, where an architecture has one; `multiplexed` knows the other way in.

mod generated;

use crate::arch::{Arch, X32_BIT};
use generated::{COUNT, NAMES, OFFSETS};

/// The kernel version whose system calls are known, such as `7.2`.
pub const KERNEL: &str = generated::KERNEL;

/// A system call that at least one architecture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall(u16);

/// "This architecture has no such system call."
const ABSENT: u16 = u16::MAX;
/// Where the column of ARM keeps its private numbers, and where they really are (`__ARM_NR_BASE`).
const ARM_PRIVATE: (u16, u32) = (0xf000, 0x000f_0000);

impl Syscall {
    /// The system call of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let (mut low, mut high) = (0, COUNT);
        while low < high {
            let middle = usize::midpoint(low, high);
            match name_at(middle).cmp(name) {
                std::cmp::Ordering::Equal => return Some(Self(middle as u16)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All of them, in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u16).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        name_at(usize::from(self.0))
    }

    /// Its number as a filter sees it on `arch` (x32: with bit 30 set).
    pub fn number(self, arch: Arch) -> Option<u32> {
        let number = column(arch)[usize::from(self.0)];
        match arch {
            _ if number == ABSENT => None,
            Arch::X32 => Some(u32::from(number) | X32_BIT),
            Arch::Arm if number >= ARM_PRIVATE.0 => Some(u32::from(number - ARM_PRIVATE.0) + ARM_PRIVATE.1),
            _ => Some(u32::from(number)),
        }
    }

    /// The system call with that number on `arch`. For reading programs: it searches the whole table.
    pub fn from_number(arch: Arch, number: u32) -> Option<Self> {
        Self::all().find(|syscall| syscall.number(arch) == Some(number))
    }
}

fn name_at(index: usize) -> &'static str {
    &NAMES[usize::from(OFFSETS[index])..usize::from(OFFSETS[index + 1])]
}

fn column(arch: Arch) -> &'static [u16; COUNT] {
    match arch {
        Arch::X86_64 => &generated::X86_64,
        Arch::X86 => &generated::X86,
        Arch::X32 => &generated::X32,
        Arch::Aarch64 => &generated::AARCH64,
        Arch::Arm => &generated::ARM,
        Arch::Riscv64 => &generated::RISCV64,
        Arch::Loongarch64 => &generated::LOONGARCH64,
        Arch::Ppc64le | Arch::Ppc64 => &generated::PPC64,
        Arch::Ppc => &generated::PPC,
        Arch::S390x => &generated::S390X,
        Arch::S390 => &generated::S390,
        Arch::Mips | Arch::Mipsel => &generated::MIPS,
        Arch::Mips64 | Arch::Mipsel64 => &generated::MIPS64,
        Arch::Mips64n32 | Arch::Mipsel64n32 => &generated::MIPS64N32,
        Arch::Parisc => &generated::PARISC,
        Arch::Parisc64 => &generated::PARISC64,
        Arch::M68k => &generated::M68K,
        Arch::Sh | Arch::Sheb => &generated::SH,
    }
}

/// The calls of `socketcall(2)` and `ipc(2)`: name, multiplexer, first argument (`linux/net.h`, `linux/ipc.h`).
#[rustfmt::skip]
const MULTIPLEXED: [(&str, Multiplexer, u32); 32] = [
    ("socket",      Multiplexer::Socketcall, 1),  ("bind",       Multiplexer::Socketcall, 2),
    ("connect",     Multiplexer::Socketcall, 3),  ("listen",     Multiplexer::Socketcall, 4),
    ("accept",      Multiplexer::Socketcall, 5),  ("getsockname", Multiplexer::Socketcall, 6),
    ("getpeername", Multiplexer::Socketcall, 7),  ("socketpair", Multiplexer::Socketcall, 8),
    ("send",        Multiplexer::Socketcall, 9),  ("recv",       Multiplexer::Socketcall, 10),
    ("sendto",      Multiplexer::Socketcall, 11), ("recvfrom",   Multiplexer::Socketcall, 12),
    ("shutdown",    Multiplexer::Socketcall, 13), ("setsockopt", Multiplexer::Socketcall, 14),
    ("getsockopt",  Multiplexer::Socketcall, 15), ("sendmsg",    Multiplexer::Socketcall, 16),
    ("recvmsg",     Multiplexer::Socketcall, 17), ("accept4",    Multiplexer::Socketcall, 18),
    ("recvmmsg",    Multiplexer::Socketcall, 19), ("sendmmsg",   Multiplexer::Socketcall, 20),
    ("semop",       Multiplexer::Ipc, 1),         ("semget",     Multiplexer::Ipc, 2),
    ("semctl",      Multiplexer::Ipc, 3),         ("semtimedop", Multiplexer::Ipc, 4),
    ("msgsnd",      Multiplexer::Ipc, 11),        ("msgrcv",     Multiplexer::Ipc, 12),
    ("msgget",      Multiplexer::Ipc, 13),        ("msgctl",     Multiplexer::Ipc, 14),
    ("shmat",       Multiplexer::Ipc, 21),        ("shmdt",      Multiplexer::Ipc, 22),
    ("shmget",      Multiplexer::Ipc, 23),        ("shmctl",     Multiplexer::Ipc, 24),
];

/// A system call that stands for several, chosen by its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiplexer {
    Socketcall,
    Ipc,
}

impl Multiplexer {
    /// Its number, where the architecture has it.
    pub(crate) fn number(self, arch: Arch) -> Option<u32> {
        Syscall::from_name(if self == Self::Socketcall { "socketcall" } else { "ipc" })?.number(arch)
    }
}

/// The multiplexer through which `name` can also be reached, and its first argument.
pub(crate) fn multiplexed(name: &str) -> Option<(Multiplexer, u32)> {
    // All of them start with one of these; most names end here.
    if !matches!(name.as_bytes().first(), Some(b'a'..=b'c' | b'g' | b'l' | b'm' | b'r' | b's')) {
        return None;
    }
    MULTIPLEXED.iter().find(|entry| entry.0 == name).map(|&(_, multiplexer, call)| (multiplexer, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        let names: Vec<_> = Syscall::all().map(Syscall::name).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
        for syscall in Syscall::all() {
            assert_eq!(Syscall::from_name(syscall.name()), Some(syscall));
        }
        for absent in ["", "a", "reading", "zzz", "Read"] {
            assert_eq!(Syscall::from_name(absent), None);
        }
    }

    #[test]
    fn numbers_are_unique_per_architecture_but_for_arm_aliases() {
        for arch in Arch::all() {
            let mut numbers: Vec<_> = Syscall::all().filter_map(|syscall| syscall.number(arch)).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            // ARM calls number 341 both sync_file_range2 and arm_sync_file_range.
            assert_eq!(count - numbers.len(), usize::from(arch == Arch::Arm), "{arch:?}");
        }
    }

    #[test]
    fn known_numbers() {
        let number = |name, arch| Syscall::from_name(name).unwrap().number(arch);
        assert_eq!(number("read", Arch::X86_64), Some(0));
        assert_eq!(number("openat2", Arch::X86_64), Some(437));
        assert_eq!(number("socket", Arch::X86), Some(359));
        assert_eq!(number("send", Arch::X86), None);
        assert_eq!(number("read", Arch::X32), Some(0x4000_0000));
        assert_eq!(number("execve", Arch::X32), Some(0x4000_0208));
        assert_eq!(number("openat", Arch::Aarch64), Some(56));
        assert_eq!(number("open", Arch::Aarch64), None);
        assert_eq!(number("set_tls", Arch::Arm), Some(0x000f_0005));
        assert_eq!(number("riscv_hwprobe", Arch::Riscv64), Some(258));
        assert_eq!(number("read", Arch::Mips64), Some(5000));
        assert_eq!(number("mseal", Arch::S390), Some(462));
        assert_eq!(Syscall::from_number(Arch::X86_64, 59).unwrap().name(), "execve");
    }

    #[test]
    fn multiplexers_are_where_the_kernel_has_them() {
        let with: Vec<_> = Arch::all().filter(|&arch| Multiplexer::Ipc.number(arch).is_some()).collect();
        let both: Vec<_> =
            Arch::all().filter(|&arch| Multiplexer::Socketcall.number(arch).is_some()).collect();
        assert_eq!(with, both);
        assert!(with.contains(&Arch::X86) && with.contains(&Arch::Ppc64le) && !with.contains(&Arch::Arm));
        assert_eq!(multiplexed("shmctl"), Some((Multiplexer::Ipc, 24)));
        assert_eq!(multiplexed("read"), None);
        for (name, ..) in MULTIPLEXED {
            assert!(multiplexed(name).is_some(), "{name}");
        }
    }
}
