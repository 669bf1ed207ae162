//! Every kind of finding, with a number that stays the same for ever: the key of the documentation, and of `--log-format json`.

use std::fmt;

/// Defines [`Code`] from one table.
macro_rules! codes {
    ($($number:literal $name:ident $title:literal)*) => {
        /// What kind of finding a [`Diagnostic`](crate::Diagnostic) is. It is shown as `ORL-` and four digits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $name = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// In a few words, what it is about.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    1 NotBuiltYet "not supported yet"
    2 NulByte "a NUL byte in a string for the kernel"
    3 Deprecated "deprecated"

    101 OciVersion "version of the specification"
    102 ContainerId "container id"
    103 Root "root file system"
    104 ProcessMissing "no process"
    105 RootPropagation "propagation of the root"

    201 NamespaceUnknown "unknown namespace type"
    202 NamespaceTwice "namespace listed twice"
    203 NamespacePath "path of a namespace"
    204 NamespaceMissing "needs a namespace that the container does not have"
    205 MappingWithoutUser "id mappings without a user namespace"
    206 MappingMissing "user namespace without id mappings"
    207 Mapping "id mapping"
    208 IdUnmapped "id that the user namespace does not have"
    209 Rootless "not possible without privileges"
    210 TimeOffset "offset of a clock"
    220 NetDevice "name of a network device"
    221 NetDeviceTwice "two network devices of one name"

    301 MountDestination "where something is mounted"
    302 MountType "type of a mount"
    303 MountSource "source of a mount"
    304 MountOption "mount option"
    305 MountOptionIgnored "mount option without effect"
    306 MountInProc "mount over or below /proc"
    307 MountNeedsNamespace "file system of a namespace that is the host's"
    308 MountCgroup "cgroup mount"
    309 MountIdMap "id-mapped mount"

    401 Device "device node"
    402 DeviceTwice "device node listed twice"

    501 Args "arguments"
    502 Cwd "working directory"
    503 Env "environment"
    504 User "user"
    505 Groups "supplementary groups"
    506 CapabilityUnknown "unknown capability"
    507 CapabilityUnavailable "capability that the host does not have"
    508 CapabilitySets "capability sets that contradict each other"
    509 Rlimit "resource limit"
    510 OomScore "OOM score"
    511 Console "terminal"
    512 Label "label of a security module that the host does not have"
    513 SearchPath "search path for programs"
    514 Scheduler "scheduling policy"
    515 IoPriority "I/O priority"
    516 CpuAffinity "CPUs to run on"
    517 MemoryPolicy "NUMA memory policy"
    518 Personality "execution domain"

    601 Sysctl "kernel parameter"
    602 HiddenPath "masked or read-only path"
    603 Name "host or domain name"

    701 Hook "hook"

    801 Seccomp "system call filter"
    802 SeccompIgnored "part of a system call filter without effect"
    803 SeccompAgent "agent that is asked about system calls"
    804 SeccompFlag "flag of a system call filter that this kernel does not have"
    805 Landlock "restriction by Landlock"

    901 Cgroup "control group"
    902 CgroupIgnored "limit without effect"
    903 Rdt "shares of caches and memory bandwidth"
    904 RdtGroup "class of service"
    905 RdtSchema "line of schemata"
    910 Annotation "annotation"
    911 AnnotationIgnored "annotation without effect"
    915 SystemdHost "host on which systemd cannot be asked for a cgroup"
    916 SystemdPath "path of a cgroup in the form of the systemd driver"
    917 SystemdProperty "property of a unit"
    918 SystemdSubgroup "cgroup below a unit's"
    919 SystemdFallback "cgroup for when systemd does not answer"
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ORL-{:04}", *self as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn numbers_ascend_and_are_shown_with_four_digits() {
        assert!(Code::ALL.is_sorted_by(|a, b| a < b));
        assert_eq!(Code::OciVersion.to_string(), "ORL-0101");
        assert!(Code::ALL.iter().all(|code| !code.title().is_empty()));
    }
}
