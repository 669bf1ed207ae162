//! Names of system calls and errors, for messages to people.

macro_rules! table {
    ($(#[$meta:meta])* $fn:ident($number:ty) = $unknown:literal, $prefix:ident: $($name:ident)*) => {
        $(#[$meta])*
        #[allow(clippy::cast_lossless)] // the constants' types differ between architectures
        pub fn $fn(number: $number) -> &'static str {
            match number { $(n if n as i64 == libc::$name as i64 => trim(stringify!($name), stringify!($prefix)),)* _ => $unknown }
        }
    };
}

/// `SYS_openat2` without `SYS_`.
fn trim(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

table! {
    /// The name of a system call that this crate makes.
    call(u16) = "system call", SYS_:
    SYS_accept4 SYS_bpf SYS_capget SYS_capset SYS_chdir SYS_chroot SYS_clone SYS_clone3 SYS_close SYS_close_range SYS_dup3
    SYS_execve SYS_execveat SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fchdir SYS_fchmodat SYS_fchownat
    SYS_fcntl SYS_fgetxattr SYS_fsconfig SYS_fsetxattr SYS_fsmount SYS_fsopen SYS_fstat SYS_fstatfs SYS_getcwd SYS_getdents64
    SYS_getxattr SYS_ioctl SYS_ioprio_set SYS_keyctl SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset
    SYS_landlock_restrict_self SYS_listxattr SYS_memfd_create SYS_mkdirat SYS_mknodat SYS_mmap SYS_mount_setattr
    SYS_move_mount SYS_open_tree SYS_openat SYS_openat2 SYS_personality SYS_pidfd_getfd SYS_pidfd_open
    SYS_pidfd_send_signal SYS_pivot_root SYS_prctl SYS_prlimit64 SYS_read SYS_readlinkat SYS_recvfrom SYS_recvmsg
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigtimedwait SYS_sched_getaffinity SYS_sched_setaffinity SYS_sched_setattr SYS_seccomp
    SYS_sendfile SYS_sendmsg SYS_set_mempolicy SYS_setdomainname SYS_setgroups SYS_sethostname SYS_setns
    SYS_setpgid SYS_setresgid SYS_setresuid SYS_setsid SYS_setxattr SYS_shutdown SYS_socket SYS_socketpair SYS_symlinkat SYS_umask
    SYS_umount2 SYS_unlinkat SYS_unshare SYS_waitid SYS_write
}

table! {
    /// The name of an error, as errno(3) lists it.
    errno(i32) = "unknown error", none_:
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
    ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME EOVERFLOW EILSEQ EUSERS ENOTSOCK
    EDESTADDRREQ EMSGSIZE EPROTO EPROTONOSUPPORT EOPNOTSUPP EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN
    ENETUNREACH ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY
    EINPROGRESS ESTALE EDQUOT ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
}
