//! Where a container's memory comes from, and which machine it believes to run on.

use crate::compiler::Compiler;
use crate::{Code, numbers};
use orlop_program::Step;
use orlop_spec::{MemoryPolicy, MemoryPolicyMode, PersonalityDomain, Pointer};

/// The kernel takes no longer mask, a page of bits; it knows at most 1024 nodes.
const MOST_NODES: u32 = 32767;

/// `MPOL_WEIGHTED_INTERLEAVE` of set_mempolicy(2), Linux 6.9.
const WEIGHTED_INTERLEAVE: (u32, (u16, u16)) = (6, (6, 9));
/// `MPOL_PREFERRED_MANY` of set_mempolicy(2), Linux 5.15.
const PREFERRED_MANY: (u32, (u16, u16)) = (5, (5, 15));

/// The flags of set_mempolicy(2).
const FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", NUMA_BALANCING),
    ("MPOL_F_RELATIVE_NODES", RELATIVE_NODES),
    ("MPOL_F_STATIC_NODES", STATIC_NODES),
];
const STATIC_NODES: u32 = 1 << 15;
const RELATIVE_NODES: u32 = 1 << 14;
const NUMA_BALANCING: u32 = 1 << 13;

/// The names of the flags that work: what `features` lists.
pub fn flags() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().map(|(name, _)| *name)
}

impl Compiler<'_> {
    /// The memory policy, which the container's processes hand on to their children.
    pub(crate) fn memory_policy(&mut self) {
        let Some(policy) = &self.linux.memory_policy else { return };
        let flags = self.memory_policy_flags(policy);
        let Some(mode) = self.memory_policy_mode(&policy.mode) else { return };
        let nodes = match policy.nodes.as_str() {
            "" => Vec::new(),
            nodes => match numbers::mask(nodes, MOST_NODES) {
                Ok(mask) => mask,
                Err(what) => {
                    let message = format!("invalid memory policy nodes {nodes:?}: {what}");
                    let pointer = Pointer::new("/linux/memoryPolicy/nodes");
                    self.error(Code::MemoryPolicy, pointer, message).hint("write them as 0-3,7");
                    return;
                }
            },
        };
        self.memory_policy_nodes(&policy.mode, numbers::count(&nodes), flags);
        let step = Step::MemoryPolicy { mode: mode | flags, nodes: &nodes };
        let why = "Before the filter, which need not know the call.";
        self.step(step, Pointer::new("/linux/memoryPolicy"), why);
    }

    fn memory_policy_mode(&mut self, mode: &MemoryPolicyMode) -> Option<u32> {
        let pointer = Pointer::new("/linux/memoryPolicy/mode");
        let (number, since) = match mode {
            MemoryPolicyMode::Default => (0, (0, 0)),
            MemoryPolicyMode::Preferred => (1, (0, 0)),
            MemoryPolicyMode::Bind => (2, (0, 0)),
            MemoryPolicyMode::Interleave => (3, (0, 0)),
            MemoryPolicyMode::Local => (4, (0, 0)),
            MemoryPolicyMode::PreferredMany => PREFERRED_MANY,
            MemoryPolicyMode::WeightedInterleave => WEIGHTED_INTERLEAVE,
            MemoryPolicyMode::Unknown(name) => {
                let known: Vec<_> = MemoryPolicyMode::KNOWN.iter().map(MemoryPolicyMode::as_str).collect();
                self.error(Code::MemoryPolicy, pointer, format!("invalid memory policy mode {name:?}"))
                    .hint(format!("modes are {}", known.join(", ")));
                return None;
            }
        };
        let (major, minor) = self.host.kernel;
        if (major, minor) < since {
            let message = format!("{mode} needs Linux {}.{}, this is {major}.{minor}", since.0, since.1);
            self.error(Code::MemoryPolicy, pointer, message);
        }
        Some(number)
    }

    fn memory_policy_flags(&mut self, policy: &MemoryPolicy) -> u32 {
        let mut flags = 0;
        for (index, name) in policy.flags.iter().enumerate() {
            if let Some((_, bit)) = FLAGS.iter().find(|(known, _)| known == name) {
                flags |= bit;
                continue;
            }
            let pointer = Pointer::new("/linux/memoryPolicy/flags/{}").at(index);
            self.error(Code::MemoryPolicy, pointer, format!("invalid memory policy flag {name:?}"))
                .hint(format!("flags are {}", FLAGS.map(|(name, _)| name).join(", ")));
        }
        let pointer = Pointer::new("/linux/memoryPolicy/flags");
        if flags & STATIC_NODES != 0 && flags & RELATIVE_NODES != 0 {
            let message = "nodes are either MPOL_F_STATIC_NODES or MPOL_F_RELATIVE_NODES, not both";
            self.error(Code::MemoryPolicy, pointer, message);
        } else if flags & NUMA_BALANCING != 0
            && !matches!(policy.mode, MemoryPolicyMode::Bind | MemoryPolicyMode::PreferredMany)
        {
            let message = "MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY only";
            self.error(Code::MemoryPolicy, pointer, message);
        }
        flags
    }

    /// What set_mempolicy(2) says of modes and nodes.
    fn memory_policy_nodes(&mut self, mode: &MemoryPolicyMode, count: u32, flags: u32) {
        let pointer = Pointer::new("/linux/memoryPolicy/nodes");
        match mode {
            MemoryPolicyMode::Default | MemoryPolicyMode::Local if count > 0 => {
                let message = format!("this memory policy mode requires 0 nodes but got {count}");
                self.error(Code::MemoryPolicy, pointer, message);
            }
            MemoryPolicyMode::Default | MemoryPolicyMode::Local | MemoryPolicyMode::Preferred
                if count == 0 && flags != 0 =>
            {
                let message = "flags say how nodes are meant, but there are no nodes";
                self.error(Code::MemoryPolicy, pointer, message);
            }
            MemoryPolicyMode::Default | MemoryPolicyMode::Local | MemoryPolicyMode::Preferred => {}
            _ if count == 0 => {
                let message = "this memory policy mode requires at least one node but got 0";
                self.error(Code::MemoryPolicy, pointer, message).hint("add \"nodes\": \"0\"");
            }
            _ => {}
        }
    }

    /// The execution domain, of every process of the container.
    pub(crate) fn personality(&mut self) {
        let Some(personality) = &self.linux.personality else { return };
        for (index, flag) in personality.flags.iter().enumerate() {
            let message = format!("the flag {flag:?} is refused: the specification has none so far");
            let pointer = Pointer::new("/linux/personality/flags/{}").at(index);
            self.error(Code::Personality, pointer, message);
        }
        let domain = match &personality.domain {
            PersonalityDomain::Linux => 0,
            PersonalityDomain::Linux32 => 8,
            PersonalityDomain::Unknown(name) => {
                let message = format!("{name:?} is no execution domain");
                self.error(Code::Personality, Pointer::new("/linux/personality/domain"), message)
                    .hint("domains are LINUX and LINUX32");
                return;
            }
        };
        let why = "Before the filter, which need not know the call.";
        self.step(Step::Personality { domain }, Pointer::new("/linux/personality"), why);
    }
}
