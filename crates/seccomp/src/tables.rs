//! System calls: names and numbers of every architecture.
//!
//! The data is generated (`hack/syscalls/generate`) from the kernel's own headers. Multiplexed calls (`socketcall`,
//! `ipc`) have their direct numbers here, where an architecture has one; `Syscall::multiplexed` knows the other way in.

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
const ARM_PRIVATE: (u16, u32) = (0x400, 0x000f_0000);
/// Lists of names are usually sorted, and leave out few: how many names after the one before may be the next.
const NEXT: usize = 4;

impl Syscall {
    /// The system call of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let (mut low, mut high) = (0, COUNT);
        while low < high {
            let middle = usize::midpoint(low, high);
            match bytes_at(middle).cmp(name.as_bytes()) {
                std::cmp::Ordering::Equal => return Some(Self(middle as u16)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The system call of that name, which probably comes soon after `self` in the order of names.
    pub(crate) fn next_from_name(self, name: &str) -> Option<Self> {
        let next = usize::from(self.0) + 1;
        let near = (next..COUNT.min(next + NEXT)).find(|&index| bytes_at(index) == name.as_bytes());
        near.map(|index| Self(index as u16)).or_else(|| Self::from_name(name))
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
        self.place(arch).map(|place| number_at(arch, place))
    }

    /// Where it comes among the numbers of `arch`: see [`Places`].
    pub(crate) fn place(self, arch: Arch) -> Option<u16> {
        Places::new(arch).of(self)
    }

    /// The multiplexer through which it can also be reached, and the first argument for that.
    #[inline]
    pub(crate) fn multiplexed(self) -> Option<(Multiplexer, u8)> {
        WAYS[usize::from(self.0)]
    }

    /// The system call with that number on `arch`. For reading programs: it searches the whole table.
    pub fn from_number(arch: Arch, number: u32) -> Option<Self> {
        Self::all().find(|syscall| syscall.number(arch) == Some(number))
    }
}

/// Where the system calls come among the numbers of one architecture; [`number_at`] knows the number. For lists by number, as
/// places are small.
#[derive(Clone, Copy)]
pub(crate) struct Places(&'static [u16; COUNT]);

impl Places {
    pub(crate) fn new(arch: Arch) -> Self {
        Self(column(arch))
    }

    /// The place of one, if the architecture has it.
    #[inline]
    pub(crate) fn of(self, syscall: Syscall) -> Option<u16> {
        Some(self.0[usize::from(syscall.0)]).filter(|&place| place != ABSENT)
    }
}

/// The number at a place of `arch`. Later places have larger numbers.
pub(crate) fn number_at(arch: Arch, place: u16) -> u32 {
    match arch {
        Arch::X32 => u32::from(place) | X32_BIT,
        Arch::Arm if place >= ARM_PRIVATE.0 => u32::from(place - ARM_PRIVATE.0) + ARM_PRIVATE.1,
        _ => u32::from(place),
    }
}

fn name_at(index: usize) -> &'static str {
    &NAMES[usize::from(OFFSETS[index])..usize::from(OFFSETS[index + 1])]
}

/// The same, without asking whether characters end there.
fn bytes_at(index: usize) -> &'static [u8] {
    &NAMES.as_bytes()[usize::from(OFFSETS[index])..usize::from(OFFSETS[index + 1])]
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
const MULTIPLEXED: [(&str, Multiplexer, u8); 32] = [
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

/// The same for every system call.
static WAYS: [Option<(Multiplexer, u8)>; COUNT] = {
    let mut ways = [None; COUNT];
    let mut at = 0;
    while at < MULTIPLEXED.len() {
        let (name, multiplexer, call) = MULTIPLEXED[at];
        ways[index_of(name)] = Some((multiplexer, call));
        at += 1;
    }
    ways
};

/// Where a name is, found while this is compiled; there it also fails if there is no such name.
const fn index_of(name: &str) -> usize {
    let mut index = 0;
    while !is_at(index, name.as_bytes()) {
        index += 1;
    }
    index
}

const fn is_at(index: usize, name: &[u8]) -> bool {
    let (start, end) = (OFFSETS[index] as usize, OFFSETS[index + 1] as usize);
    let mut at = 0;
    while at < name.len() && start + at < end && NAMES.as_bytes()[start + at] == name[at] {
        at += 1;
    }
    at == name.len() && start + at == end
}

/// A system call that stands for several, chosen by its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiplexer {
    Socketcall,
    Ipc,
}

impl Multiplexer {
    /// The system call itself.
    pub(crate) fn syscall(self) -> Syscall {
        const SOCKETCALL: Syscall = Syscall(index_of("socketcall") as u16);
        const IPC: Syscall = Syscall(index_of("ipc") as u16);
        if self == Self::Socketcall { SOCKETCALL } else { IPC }
    }
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
        for before in Syscall::all() {
            for (name, syscall) in
                ["_llseek", "read", "writev", "reading"].map(|name| (name, Syscall::from_name(name)))
            {
                assert_eq!(before.next_from_name(name), syscall, "{name} after {before:?}");
            }
            let next = Syscall::all().nth(usize::from(before.0) + 1);
            assert_eq!(next.and_then(|next| before.next_from_name(next.name())), next);
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
    fn later_places_have_larger_numbers() {
        for arch in Arch::all() {
            let mut places: Vec<_> = Syscall::all().filter_map(|syscall| syscall.place(arch)).collect();
            places.sort_unstable();
            assert!(places.is_sorted_by_key(|&place| number_at(arch, place)), "{arch:?}");
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
        let with = |multiplexer: Multiplexer| {
            Arch::all().filter(move |&arch| multiplexer.syscall().number(arch).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(Multiplexer::Ipc.syscall().name(), "ipc");
        assert_eq!(Multiplexer::Socketcall.syscall().name(), "socketcall");
        let with = [with(Multiplexer::Ipc), with(Multiplexer::Socketcall)];
        assert_eq!(with[0], with[1]);
        assert!(with[0].contains(&Arch::X86) && with[0].contains(&Arch::Ppc64le));
        assert!(!with[0].contains(&Arch::Arm));
        let ways = |name| Syscall::from_name(name).unwrap().multiplexed();
        assert_eq!(ways("read"), None);
        for (name, multiplexer, call) in MULTIPLEXED {
            assert_eq!(ways(name), Some((multiplexer, call)), "{name}");
        }
    }
}
