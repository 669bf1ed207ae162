//! Flags and sets of the kernel by their names.

use orlop_compile::KNOWN_CAPABILITIES;

/// `CLONE_NEW…`, each with the name that people have for the namespace.
pub(crate) const NAMESPACES: [(u64, &str, &str); 8] = [
    (0x0002_0000, "CLONE_NEWNS", "mount"),
    (0x0200_0000, "CLONE_NEWCGROUP", "cgroup"),
    (0x0400_0000, "CLONE_NEWUTS", "uts"),
    (0x0800_0000, "CLONE_NEWIPC", "ipc"),
    (0x1000_0000, "CLONE_NEWUSER", "user"),
    (0x2000_0000, "CLONE_NEWPID", "pid"),
    (0x4000_0000, "CLONE_NEWNET", "network"),
    (0x0000_0080, "CLONE_NEWTIME", "time"),
];

const ATTRIBUTES: [(u64, &str); 7] = [
    (0x1, "MOUNT_ATTR_RDONLY"),
    (0x2, "MOUNT_ATTR_NOSUID"),
    (0x4, "MOUNT_ATTR_NODEV"),
    (0x8, "MOUNT_ATTR_NOEXEC"),
    (0x80, "MOUNT_ATTR_NODIRATIME"),
    (0x0020_0000, "MOUNT_ATTR_NOSYMFOLLOW"),
    (0x0010_0000, "MOUNT_ATTR_IDMAP"),
];
/// Which of the times of access are kept: one number in these bits.
const ATIME: u64 = 0x70;
const SECCOMP_FLAGS: [(u64, &str); 4] =
    [(2, "LOG"), (4, "SPEC_ALLOW"), (8, "NEW_LISTENER"), (32, "WAIT_KILLABLE_RECV")];

fn joined(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

fn flags(table: &[(u64, &str)], bits: u64) -> Vec<String> {
    let known = table.iter().fold(0, |all, (bit, _)| all | bit);
    let mut names: Vec<String> =
        table.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect();
    if bits & !known != 0 {
        names.push(format!("{:#x}", bits & !known));
    }
    names
}

/// `CLONE_NEWPID|…`.
pub(crate) fn clone_flags(bits: u64) -> String {
    joined(flags(&NAMESPACES.map(|(bit, name, _)| (bit, name)), bits))
}

/// `MOUNT_ATTR_RDONLY|…`.
pub(crate) fn mount_attributes(bits: u64) -> String {
    let mut names = flags(&ATTRIBUTES, bits & !ATIME);
    match bits & ATIME {
        0 => {}
        0x10 => names.push("MOUNT_ATTR_NOATIME".into()),
        0x20 => names.push("MOUNT_ATTR_STRICTATIME".into()),
        _ => names.push("MOUNT_ATTR__ATIME".into()),
    }
    joined(names)
}

/// `MS_PRIVATE`, `MS_SLAVE`, ….
pub(crate) fn propagation(bits: u64) -> String {
    const TYPES: [(u64, &str); 4] =
        [(1 << 17, "MS_UNBINDABLE"), (1 << 18, "MS_PRIVATE"), (1 << 19, "MS_SLAVE"), (1 << 20, "MS_SHARED")];
    joined(flags(&TYPES, bits))
}

/// `SECCOMP_FILTER_FLAG_…`, without that.
pub(crate) fn seccomp_flags(bits: u64) -> String {
    joined(flags(&SECCOMP_FLAGS, bits))
}

/// The names of capabilities without `CAP_`, by number.
pub(crate) fn capability_names(bits: u64) -> Vec<String> {
    (0..64_u32)
        .filter(|bit| bits >> bit & 1 == 1)
        .map(|bit| match KNOWN_CAPABILITIES.get(bit as usize) {
            Some(name) => name.trim_start_matches("CAP_").to_owned(),
            None => bit.to_string(),
        })
        .collect()
}

/// A set of capabilities in one line.
pub(crate) fn capabilities(bits: u64) -> String {
    let names = capability_names(bits);
    if names.len() == KNOWN_CAPABILITIES.len() {
        return format!("all {}", names.len());
    }
    let all = (1_u64 << KNOWN_CAPABILITIES.len()) - 1;
    if names.len() > KNOWN_CAPABILITIES.len() - 10 {
        return format!("all {} but {}", KNOWN_CAPABILITIES.len(), capability_names(all & !bits).join(" "));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// The numbers of the bits of a mask, as ranges.
pub(crate) fn bits(mask: &[u8]) -> String {
    let set: Vec<usize> = (0..mask.len() * 8).filter(|bit| mask[bit / 8] >> (bit % 8) & 1 == 1).collect();
    let ranges = set.chunk_by(|a, b| a + 1 == *b).map(|range| match range {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

/// As C has it.
pub(crate) fn octal(number: u32) -> String {
    format!("{number:#05o}").replacen("0o", "0", 1)
}

/// In quotation marks, with escapes for what is no text.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names_and_unknown_bits_stay_visible() {
        assert_eq!(clone_flags(0x0002_0000 | 0x2000_0000), "CLONE_NEWNS|CLONE_NEWPID");
        assert_eq!(
            mount_attributes(0xf),
            "MOUNT_ATTR_RDONLY|MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV|MOUNT_ATTR_NOEXEC"
        );
        assert_eq!(mount_attributes(0x22), "MOUNT_ATTR_NOSUID|MOUNT_ATTR_STRICTATIME");
        assert_eq!(mount_attributes(0), "0");
        assert_eq!(seccomp_flags(0x104), "SPEC_ALLOW|0x100");
        assert_eq!(propagation(1 << 19), "MS_SLAVE");
    }

    #[test]
    fn sets_are_told_in_one_line() {
        assert_eq!(capabilities(1 | 1 << 21), "CHOWN SYS_ADMIN");
        assert_eq!(capabilities((1 << 41) - 1), "all 41");
        assert_eq!(capabilities((1 << 41) - 1 - (1 << 24)), "all 41 but SYS_RESOURCE");
        assert_eq!(capabilities(0), "none");
        assert_eq!(bits(&[0b1011_1010, 1]), "1,3-5,7-8");
        assert_eq!((octal(0o666), octal(0o22), octal(0)), ("0666".into(), "0022".into(), "0000".into()));
        assert_eq!(quoted("a\"b\n"), "\"a\\\"b\\n\"");
    }
}
