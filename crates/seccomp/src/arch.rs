//! Architectures: their OCI names, the kernel's tokens for them, and what differs between them in a filter.

/// An architecture (with its calling convention) that a filter can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // Each is the OCI name without `SCMP_ARCH_`.
#[rustfmt::skip]
pub enum Arch {
    X86_64, X86, X32, Aarch64, Arm, Riscv64, Loongarch64, Ppc64le, Ppc64, Ppc, S390x, S390,
    Mips, Mipsel, Mips64, Mipsel64, Mips64n32, Mipsel64n32, Parisc, Parisc64, M68k, Sh, Sheb,
}

/// Little-endian, in a token of `linux/audit.h`.
pub(crate) const LITTLE_ENDIAN: u32 = 0x4000_0000;
/// 64-bit, in a token of `linux/audit.h`.
const WIDE: u32 = 0x8000_0000;
/// The n32 convention of 64-bit MIPS.
const N32: u32 = 0x2000_0000;
/// What tells an x32 number from an `x86_64` one, for they share a token (`__X32_SYSCALL_BIT`).
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// OCI name without its prefix, architecture, token (`AUDIT_ARCH_*`).
#[rustfmt::skip]
const ARCHES: [(&str, Arch, u32); 23] = [
    ("X86_64",      Arch::X86_64,      0x3e | WIDE | LITTLE_ENDIAN),
    ("X86",         Arch::X86,         0x3 | LITTLE_ENDIAN),
    ("X32",         Arch::X32,         0x3e | WIDE | LITTLE_ENDIAN),
    ("AARCH64",     Arch::Aarch64,     0xb7 | WIDE | LITTLE_ENDIAN),
    ("ARM",         Arch::Arm,         0x28 | LITTLE_ENDIAN),
    ("RISCV64",     Arch::Riscv64,     0xf3 | WIDE | LITTLE_ENDIAN),
    ("LOONGARCH64", Arch::Loongarch64, 0x102 | WIDE | LITTLE_ENDIAN),
    ("PPC64LE",     Arch::Ppc64le,     0x15 | WIDE | LITTLE_ENDIAN),
    ("PPC64",       Arch::Ppc64,       0x15 | WIDE),
    ("PPC",         Arch::Ppc,         20),
    ("S390X",       Arch::S390x,       0x16 | WIDE),
    ("S390",        Arch::S390,        22),
    ("MIPS",        Arch::Mips,        8),
    ("MIPSEL",      Arch::Mipsel,      0x8 | LITTLE_ENDIAN),
    ("MIPS64",      Arch::Mips64,      0x8 | WIDE),
    ("MIPSEL64",    Arch::Mipsel64,    0x8 | WIDE | LITTLE_ENDIAN),
    ("MIPS64N32",   Arch::Mips64n32,   0x8 | WIDE | N32),
    ("MIPSEL64N32", Arch::Mipsel64n32, 0x8 | WIDE | LITTLE_ENDIAN | N32),
    ("PARISC",      Arch::Parisc,      15),
    ("PARISC64",    Arch::Parisc64,    0xf | WIDE),
    ("M68K",        Arch::M68k,        4),
    ("SH",          Arch::Sh,          0x2a | LITTLE_ENDIAN),
    ("SHEB",        Arch::Sheb,        42),
];

impl Arch {
    /// The architecture that an OCI profile calls `SCMP_ARCH_…`.
    pub fn from_oci(name: &str) -> Option<Self> {
        let name = name.strip_prefix("SCMP_ARCH_")?;
        ARCHES.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    /// All of them, as `orlop features` lists them.
    pub fn all() -> impl Iterator<Item = Self> {
        ARCHES.iter().map(|entry| entry.1)
    }

    /// The architecture that this code was built for.
    #[rustfmt::skip]
    pub const fn host() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) { Some(Self::X86_64) }
        else if cfg!(target_arch = "x86") { Some(Self::X86) }
        else if cfg!(target_arch = "aarch64") { Some(Self::Aarch64) }
        else if cfg!(target_arch = "arm") { Some(Self::Arm) }
        else if cfg!(target_arch = "riscv64") { Some(Self::Riscv64) }
        else if cfg!(target_arch = "loongarch64") { Some(Self::Loongarch64) }
        else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) { Some(Self::Ppc64le) }
        else if cfg!(target_arch = "powerpc64") { Some(Self::Ppc64) }
        else if cfg!(target_arch = "s390x") { Some(Self::S390x) }
        else { None }
    }

    fn entry(self) -> &'static (&'static str, Self, u32) {
        // The table is in the order of the enum (a test checks it).
        &ARCHES[self as usize]
    }

    /// Its OCI name, without `SCMP_ARCH_`.
    pub fn name(self) -> &'static str {
        self.entry().0
    }

    /// What the kernel puts into `seccomp_data.arch` (`AUDIT_ARCH_*`). `x86_64` and x32 share one.
    pub fn token(self) -> u32 {
        self.entry().2
    }

    /// Whether the low half of a 64-bit word comes first in memory.
    pub(crate) fn is_little_endian(self) -> bool {
        self.token() & LITTLE_ENDIAN != 0
    }

    /// Whether arguments are compared as 64-bit values. As in libseccomp, x32 and n32 are 32-bit here, whatever their
    /// token says: only the low halves of their arguments count.
    pub(crate) fn is_wide(self) -> bool {
        self.token() & WIDE != 0 && !matches!(self, Self::X32 | Self::Mips64n32 | Self::Mipsel64n32)
    }

    /// Whether the kernel presents system calls that it does not know as number 0 (`setup`), because large numbers
    /// travel in a register.
    pub(crate) fn has_unknown_as_zero(self) -> bool {
        matches!(self, Self::S390 | Self::S390x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tokens_round_trip() {
        for (at, (name, arch, token)) in ARCHES.into_iter().enumerate() {
            assert_eq!(arch as usize, at);
            assert_eq!(Arch::from_oci(&format!("SCMP_ARCH_{name}")), Some(arch));
            assert_eq!((arch.name(), arch.token()), (name, token));
        }
        assert_eq!(Arch::from_oci("X86"), None);
        assert_eq!(Arch::from_oci("SCMP_ARCH_VAX"), None);
    }

    #[test]
    fn tokens_are_those_of_audit_h() {
        assert_eq!(Arch::X86_64.token(), 0xc000_003e);
        assert_eq!(Arch::X86.token(), 0x4000_0003);
        assert_eq!(Arch::Aarch64.token(), 0xc000_00b7);
        assert_eq!(Arch::S390x.token(), 0x8000_0016);
        assert_eq!(Arch::Mipsel64n32.token(), 0xe000_0008);
    }
}
