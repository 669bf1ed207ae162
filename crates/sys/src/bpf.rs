//! Device programs on a cgroup: the few commands of bpf(2) that they need.
//!
//! | call | man page | least kernel |
//! |---|---|---|
//! | [`Program::load_cgroup_device`] | [bpf(2)](https://man7.org/linux/man-pages/man2/bpf.2.html), `BPF_PROG_LOAD` | 4.15 |
//! | [`Program::from_id`] | `BPF_PROG_GET_FD_BY_ID` | 4.13 |
//! | [`Program::attach`], [`Program::replace`] | `BPF_PROG_ATTACH` | 4.15, 5.6 |
//! | [`Program::detach`] | `BPF_PROG_DETACH` | 4.15 |
//! | [`attached`] | `BPF_PROG_QUERY` | 4.15 |

use crate::fd::{Fd, OwnedFd};
use crate::raw::{self, Error, Result};

// Commands and flags of linux/bpf.h that the libc crate does not have.
const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_DETACH: usize = 9;
const PROG_GET_FD_BY_ID: usize = 13;
const PROG_QUERY: usize = 16;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_TYPE_CGROUP_DEVICE: u32 = 6;
const F_ALLOW_MULTI: u32 = 1 << 1;
const F_REPLACE: u32 = 1 << 2;
/// The verifier may be interrupted by a signal; it then answers `EAGAIN`.
const RETRIES: usize = 5;

/// One eBPF instruction (struct `bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    imm: i32,
}

impl Insn {
    /// An instruction from its fields; registers are numbered from 0 to 10.
    pub const fn new(code: u8, dst: u8, src: u8, offset: i16, imm: i32) -> Self {
        // The order of the two halves follows the machine's byte order, as bit fields of C do.
        let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
        Self { code, registers, offset, imm }
    }

    /// The operation.
    pub const fn code(self) -> u8 {
        self.code
    }

    /// The destination register.
    pub const fn dst(self) -> u8 {
        if cfg!(target_endian = "little") { self.registers & 15 } else { self.registers >> 4 }
    }

    /// The source register.
    pub const fn src(self) -> u8 {
        if cfg!(target_endian = "little") { self.registers >> 4 } else { self.registers & 15 }
    }

    /// The offset of a jump or of a memory access.
    pub const fn offset(self) -> i16 {
        self.offset
    }

    /// The same instruction with another offset.
    #[must_use]
    pub const fn with_offset(self, offset: i16) -> Self {
        Self { offset, ..self }
    }

    /// The immediate operand.
    pub const fn imm(self) -> i32 {
        self.imm
    }
}

/// A loaded program. The kernel drops it with its last descriptor and its last attachment.
#[derive(Debug)]
pub struct Program(OwnedFd);

#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target_fd: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

#[repr(C)]
#[derive(Default)]
struct Query {
    target_fd: u32,
    kind: u32,
    which: u32,
    flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
    attachment_flags: u64,
    link_ids: u64,
    link_flags: u64,
    // Linux 6.17 to 7.1 write this field however short the caller says the structure is.
    revision: u64,
}

impl Program {
    /// Loads a program of the type `BPF_PROG_TYPE_CGROUP_DEVICE` (bpf(2), `BPF_PROG_LOAD`; Linux 4.15).
    ///
    /// With a `log` that is not empty the verifier writes its opinion there as a C string, which slows it down: pass one
    /// after a failure. `EPERM`: no `CAP_BPF`; `EINVAL` or `EACCES`: the verifier refused the program; `ENOSPC`: the log
    /// is too short; `ENOSYS`: no bpf(2) in this kernel.
    pub fn load_cgroup_device(program: &[Insn], log: &mut [u8]) -> Result<Self> {
        let mut attr = Load {
            prog_type: PROG_TYPE_CGROUP_DEVICE,
            insn_cnt: program.len() as u32,
            insns: program.as_ptr() as u64,
            license: c"Apache".as_ptr() as u64,
            ..Load::default()
        };
        if !log.is_empty() {
            attr.log_level = 1;
            attr.log_size = log.len() as u32;
            attr.log_buf = log.as_mut_ptr() as u64;
        }
        let mut left = RETRIES;
        loop {
            // SAFETY: the attribute points to `program`, to a static string and to `log`, with their true lengths; all
            // three outlive the call, and the kernel writes to `log` only.
            match unsafe { bpf(PROG_LOAD, &mut attr) } {
                Err(e) if e.is(libc::EAGAIN) && left > 0 => left -= 1,
                other => return other.map(|fd| Self(OwnedFd::made(fd))),
            }
        }
    }

    /// A descriptor of a program by its id (bpf(2), `BPF_PROG_GET_FD_BY_ID`; Linux 4.13). `ENOENT`: it is gone; `EPERM`:
    /// no `CAP_SYS_ADMIN`, or a security module keeps it from us.
    pub fn from_id(id: u32) -> Result<Self> {
        // Zero-filled behind the id, up to the size of the kernel's variant of the union.
        let mut attr = [id, 0, 0, 0];
        // SAFETY: the attribute holds no pointers.
        unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }.map(|fd| Self(OwnedFd::made(fd)))
    }

    /// Attaches the program to a cgroup, next to others (bpf(2), `BPF_PROG_ATTACH` with `BPF_F_ALLOW_MULTI`; Linux 4.15).
    /// All attached programs have to allow an access. `EPERM`: a parent's program forbids others, or no `CAP_NET_ADMIN`.
    pub fn attach(&self, cgroup: Fd) -> Result<()> {
        self.attach_with(cgroup, F_ALLOW_MULTI, 0)
    }

    /// Puts the program in the place of `old` in one step (`BPF_F_REPLACE`; Linux 5.6). `EINVAL`: the kernel is older;
    /// `ENOENT`: `old` is not attached to this cgroup.
    pub fn replace(&self, cgroup: Fd, old: &Self) -> Result<()> {
        self.attach_with(cgroup, F_ALLOW_MULTI | F_REPLACE, old.0.fd().raw() as u32)
    }

    fn attach_with(&self, cgroup: Fd, flags: u32, old: u32) -> Result<()> {
        let mut attr = Attach {
            target_fd: cgroup.raw() as u32,
            program: self.0.fd().raw() as u32,
            kind: ATTACH_TYPE_CGROUP_DEVICE,
            flags,
            replaced: old,
        };
        // SAFETY: the attribute holds no pointers.
        unsafe { bpf(PROG_ATTACH, &mut attr) }.map(drop)
    }

    /// Detaches the program from a cgroup (bpf(2), `BPF_PROG_DETACH`; Linux 4.15). `ENOENT`: it is not attached to it.
    pub fn detach(&self, cgroup: Fd) -> Result<()> {
        let mut attr = Attach {
            target_fd: cgroup.raw() as u32,
            program: self.0.fd().raw() as u32,
            kind: ATTACH_TYPE_CGROUP_DEVICE,
            ..Attach::default()
        };
        // SAFETY: the attribute holds no pointers.
        unsafe { bpf(PROG_DETACH, &mut attr) }.map(drop)
    }
}

/// Fills `ids` with the ids of the device programs attached to a cgroup itself, not to its parents, and returns how many
/// there are (bpf(2), `BPF_PROG_QUERY`; Linux 4.15). `ENOSPC`: more than `ids` can hold; the kernel's own limit is 64.
pub fn attached(cgroup: Fd, ids: &mut [u32]) -> Result<usize> {
    let mut attr = Query {
        target_fd: cgroup.raw() as u32,
        kind: ATTACH_TYPE_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: ids.len() as u32,
        ..Query::default()
    };
    // SAFETY: the attribute points to `ids` with its true length; the kernel writes to it and to the attribute.
    unsafe { bpf(PROG_QUERY, &mut attr) }?;
    match ids.get(..attr.prog_cnt as usize) {
        Some(filled) => Ok(filled.len()),
        None => Err(Error::of(libc::SYS_bpf, libc::ENOSPC)),
    }
}

/// One bpf(2).
///
/// # Safety
///
/// Every pointer in `attr` is valid for what `command` reads and writes through it.
unsafe fn bpf<T>(command: usize, attr: &mut T) -> Result<usize> {
    let address = core::ptr::from_mut(attr) as usize;
    // SAFETY: `attr` is a valid structure of that size; what it points to is the caller's contract.
    unsafe { raw::call(libc::SYS_bpf, [command, address, size_of::<T>()]) }
}

#[cfg(test)]
mod tests {
    use super::Insn;

    #[test]
    fn an_instruction_has_the_layout_of_the_kernel() {
        let insn = Insn::new(0x61, 2, 1, 4, -1);
        assert_eq!((insn.code(), insn.dst(), insn.src(), insn.offset(), insn.imm()), (0x61, 2, 1, 4, -1));
        assert_eq!(size_of::<Insn>(), 8);
        assert_eq!(insn.with_offset(7).offset(), 7);
    }
}
