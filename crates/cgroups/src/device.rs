//! Which devices a container may use: OCI rules → a policy → an eBPF program on its cgroup.
//!
//! | file | what is in it |
//! |---|---|
//! | `device/policy.rs` | the rule list reduced to a default and exceptions, with the meaning of the version 1 controller |
//! | `device/program.rs` | the policy compiled to `BPF_PROG_TYPE_CGROUP_DEVICE` instructions |
//! | `device/attach.rs` | loading and attaching through bpf(2) |

mod attach;
#[cfg(test)]
mod interpret;
mod policy;
mod program;
#[cfg(test)]
mod tests;

pub use policy::Refused;
pub use program::DeviceProgram;
