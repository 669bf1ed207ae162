//! Classic BPF instructions (`linux/filter.h`), as `seccomp(2)` takes them.

/// One instruction, laid out as `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insn {
    /// Operation and addressing mode.
    pub code: u16,
    /// Instructions to skip when a comparison is true.
    pub jt: u8,
    /// Instructions to skip when it is false.
    pub jf: u8,
    /// The constant, offset or distance.
    pub k: u32,
}

impl Insn {
    /// As the kernel reads it: native byte order.
    pub fn to_bytes(self) -> [u8; 8] {
        let (code, k) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        [code[0], code[1], self.jt, self.jf, k[0], k[1], k[2], k[3]]
    }

    /// The reverse of [`Insn::to_bytes`].
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [code0, code1, jt, jf, k0, k1, k2, k3] = bytes;
        Self { code: u16::from_ne_bytes([code0, code1]), jt, jf, k: u32::from_ne_bytes([k0, k1, k2, k3]) }
    }
}

/// The longest program that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;

/// The operations that the compiler emits. The verifier and the simulator know more.
pub(crate) mod op {
    /// `A = data[k]`, a word.
    pub(crate) const LD: u16 = 0x20;
    /// `A &= k`.
    pub(crate) const AND: u16 = 0x54;
    /// Skip `k` instructions.
    pub(crate) const JA: u16 = 0x05;
    /// Is `A == k`?
    pub(crate) const JEQ: u16 = 0x15;
    /// Is `A > k`?
    pub(crate) const JGT: u16 = 0x25;
    /// Is `A >= k`?
    pub(crate) const JGE: u16 = 0x35;
    /// Has `A` any bit of `k`?
    pub(crate) const JSET: u16 = 0x45;
    /// Decide `k`.
    pub(crate) const RET: u16 = 0x06;
}

/// Where things are in `struct seccomp_data`.
pub(crate) mod data {
    /// The system call number.
    pub(crate) const NR: u8 = 0;
    /// The architecture's token.
    pub(crate) const ARCH: u8 = 4;
    /// The first of six 64-bit arguments.
    pub(crate) const ARGS: u8 = 16;
    /// The size of it all.
    pub(crate) const SIZE: u32 = 64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip() {
        let insn = Insn { code: op::JEQ, jt: 1, jf: 255, k: 0xdead_beef };
        assert_eq!(Insn::from_bytes(insn.to_bytes()), insn);
    }
}
