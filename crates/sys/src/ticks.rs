//! The processor's counter of time, which is read without the kernel: it costs some ten nanoseconds, no system call filter
//! is asked, and no time namespace changes it.

/// The counter. It grows at a constant rate, which only a comparison with a clock can tell.
pub fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: RDTSC is there on every x86_64, and the kernel lets user space read it unless a process has asked otherwise.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: the kernel lets user space read the virtual counter; the instruction does nothing else.
        unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
    #[cfg(target_arch = "riscv64")]
    {
        let ticks: u64;
        // SAFETY: the kernel lets user space read the time counter; the instruction does nothing else.
        unsafe { core::arch::asm!("rdtime {}", out(reg) ticks, options(nomem, nostack)) };
        ticks
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_grows() {
        let before = super::now();
        (0..1000).for_each(|n| {
            core::hint::black_box(n);
        });
        assert!(super::now() > before);
    }
}
