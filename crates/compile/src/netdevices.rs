//! Network devices of the host that move into the container.

use crate::compiler::Compiler;
use crate::{Code, NetDevice};
use orlop_spec::{NamespaceKind, Pointer};
use std::collections::BTreeSet;

const ALL: Pointer = Pointer::new("/linux/netDevices");
const ONE: &str = "/linux/netDevices/{}";
/// The longest name of a network device (`IFNAMSIZ`, without the NUL).
const LONGEST: usize = 15;

impl Compiler<'_> {
    /// Which devices the host side moves, once there is a namespace for them.
    pub(crate) fn net_devices(&mut self) {
        let devices = &self.linux.net_devices;
        if devices.is_empty() || !self.needs_own(&NamespaceKind::Network, &ALL, "moving network devices") {
            return;
        }
        if !self.host.privileged {
            let message = "network devices are not supported for rootless containers: they are the host's";
            self.error(Code::Rootless, ALL, message);
        }
        // Every network namespace has one.
        let mut taken = BTreeSet::from(["lo"]);
        for (name, device) in devices {
            let pointer = Pointer::new(ONE).key(name.as_str());
            self.device_name(name, false, &pointer);
            let new_name = if device.name.is_empty() { name } else { &device.name };
            if new_name != name {
                self.device_name(
                    new_name,
                    true,
                    &Pointer::new("/linux/netDevices/{}/name").key(name.as_str()),
                );
            }
            if !new_name.contains('%') && !taken.insert(new_name) {
                let message = format!("the container would have two network devices named {new_name:?}");
                self.error(Code::NetDeviceTwice, pointer.clone(), message)
                    .hint("give each a name of its own, or one that ends in %d, which the kernel replaces by a number");
            }
            let (name, new_name) = (name.clone(), new_name.clone());
            self.launch.net_devices.push(NetDevice { name, new_name, origin: pointer.into() });
        }
    }

    /// The rules are the kernel's (`dev_valid_name`), which would only say that an argument is invalid. A new name may be a
    /// template: the kernel puts a number where it says `%d`.
    fn device_name(&mut self, name: &str, template: bool, pointer: &Pointer) {
        let wrong = if name.is_empty() {
            "it is empty"
        } else if name.len() > LONGEST {
            "it has more than 15 characters"
        } else if matches!(name, "." | "..") {
            "it names a directory"
        } else if name.contains(['/', ':', '\0'])
            || name.contains(|c: char| c.is_ascii_whitespace() || c == '\x0b')
        {
            "it contains a slash, a colon or a blank"
        } else if template && name.replacen("%d", "", 1).contains('%') {
            "a percent sign can only be that of one %d"
        } else {
            return;
        };
        let message = format!("invalid network device name {name:?}: {wrong}");
        self.error(Code::NetDevice, pointer.clone(), message);
    }
}
