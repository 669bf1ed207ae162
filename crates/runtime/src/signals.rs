//! Signals by their names.

/// A signal: a number, or a name with or without `SIG` ([signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html)).
pub fn signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return ((0..=LAST).contains(&number) && !text.starts_with(['+', '-'])).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, sign: char| match rest.strip_prefix(sign) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        _ => rest.is_empty().then_some(0),
    };
    let number = if let Some(rest) = name.strip_prefix("RTMIN") {
        real_time(rest, '+').map(|more: i32| FIRST_REAL_TIME.saturating_add(more))
    } else if let Some(rest) = name.strip_prefix("RTMAX") {
        real_time(rest, '-').map(|less: i32| LAST.saturating_sub(less))
    } else {
        return SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    };
    number.filter(|number| (FIRST_REAL_TIME..=LAST).contains(number))
}

/// As engines number them; C libraries keep the first one or two for themselves.
const FIRST_REAL_TIME: i32 = 34;
const LAST: i32 = 64;

/// Their names, without `SIG`, and numbers; of real-time signals there are none.
pub const SIGNALS: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_number_and_name() {
        for (text, expected) in [
            ("9", 9),
            ("0", 0),
            ("64", 64),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("kill", 9),
            ("sigterm", 15),
            ("TERM", 15),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("RTMAX", 64),
        ] {
            assert_eq!(signal(text), Some(expected), "{text}");
        }
        for wrong in ["", "65", "-9", "+9", "NOPE", "SIG", "RTMIN+31", "RTMIN-1", "RTMAX-31", "RTMIN+x", "9 "]
        {
            assert!(signal(wrong).is_none(), "{wrong:?}");
        }
    }
}
