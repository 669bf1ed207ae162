//! `/dev`: the device nodes that every container has, those of the config, and a few symbolic links.

use crate::capabilities::CAP_MKNOD;
use crate::compiler::Compiler;
use crate::paths::clean;
use crate::{Code, Origin};
use libc::{S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT};
use orlop_program::source::Source;
use orlop_program::{Slot, Step};
use orlop_spec::{Device, DeviceKind, DeviceRule, DeviceRuleKind, Pointer};

/// Path, major and minor number of the nodes that every container has (`config-linux.md`, default devices). The
/// console is made with the terminal, `ptmx` is a link.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that programs expect (`runtime-linux.md`, dev symbolic links).
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

const MOST_MAJOR: i64 = (1 << 12) - 1;
const MOST_MINOR: i64 = (1 << 20) - 1;

const DEFAULTS: Origin = Origin::Spec("config-linux.md, default devices");

/// Rules of the device filter that follow those of the config: what is needed for the nodes above, terminals and tunnels.
/// As runc has them; engines rely on them.
pub(crate) fn default_rules(config: &[Device]) -> Vec<DeviceRule> {
    let rule = |kind, major, minor, access: &str| DeviceRule {
        allow: true,
        kind,
        major,
        minor,
        access: access.to_owned(),
    };
    let mut rules = vec![
        rule(DeviceRuleKind::Char, None, None, "m"),
        rule(DeviceRuleKind::Block, None, None, "m"),
        rule(DeviceRuleKind::Char, Some(136), None, "rwm"),
        rule(DeviceRuleKind::Char, Some(5), Some(2), "rwm"),
        rule(DeviceRuleKind::Char, Some(10), Some(200), "rwm"),
    ];
    // A device of the config in the place of a default one needs a rule of the config.
    let kept = DEFAULT.iter().filter(|(path, ..)| !config.iter().any(|device| clean(&device.path) == *path));
    rules.extend(kept.map(|(_, major, minor)| {
        rule(DeviceRuleKind::Char, Some(i64::from(*major)), Some(i64::from(*minor)), "rwm")
    }));
    rules
}

/// A node to make.
struct Node<'a> {
    path: &'a str,
    mode: u32,
    device: u64,
    uid: u32,
    gid: u32,
}

impl Compiler<'_> {
    /// Fills `/dev`, unless it is bound from elsewhere and thus somebody else's.
    pub(crate) fn devices(&mut self) {
        let nodes = self.config_nodes();
        if self.dev_is_bound() {
            if !nodes.is_empty() {
                let message = "no device nodes are made: /dev is a bind mount, and left as it is";
                self.warn(Code::Device, Pointer::new("/linux/devices"), message);
            }
            return;
        }
        let dev = match self.dev_beside {
            Some(mount) if self.can_be_filled_beside(&nodes) => {
                // One follows from the other: the host side says its word only if init waits for it.
                self.launch.beside.dev = Some(mount);
                let why = "The host side makes meanwhile what belongs in /dev.";
                self.step(Step::AwaitBeside {}, DEFAULTS, why);
                Slot::BESIDE
            }
            _ => self.open_dir("/dev", DEFAULTS),
        };
        let mut dirs = vec![("/dev".to_owned(), dev)];
        for (path, major, minor) in DEFAULT {
            if nodes.iter().any(|(_, node)| clean(node.path) == path) {
                continue;
            }
            let device = libc::makedev(major, minor);
            let node = Node { path, mode: S_IFCHR | 0o666, device, uid: 0, gid: 0 };
            self.node(dev, name_of(path), &node, DEFAULTS);
        }
        for (index, node) in &nodes {
            let pointer = Pointer::new("/linux/devices/{}").at(*index);
            let cleaned = clean(node.path);
            let parent = cleaned
                .rsplit_once('/')
                .map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent });
            let known = dirs.iter().find(|(path, _)| path == parent).map(|(_, slot)| *slot);
            let dir = known.unwrap_or_else(|| {
                let slot = self.open_dir(parent, pointer.clone());
                dirs.push((parent.to_owned(), slot));
                slot
            });
            self.node(dir, name_of(&cleaned), node, pointer);
        }
        self.links(dev);
    }

    /// Whether the host side can fill `/dev`, if it makes it: no mount of the config lies on what is made there.
    fn can_be_filled_beside(&self, nodes: &[(usize, Node<'_>)]) -> bool {
        let is_ours = |name: &str| {
            let mut paths =
                DEFAULT.iter().map(|(path, ..)| *path).chain(nodes.iter().map(|(_, node)| node.path));
            paths.any(|path| clean(path).strip_prefix("/dev/") == Some(name))
                || LINKS.iter().any(|(link, _)| *link == name)
                || matches!(name, "core" | "ptmx")
        };
        let in_dev = self.places.iter().filter_map(|(place, _)| place.strip_prefix("/dev/"));
        let mut tops = in_dev.filter_map(|path| path.split('/').next());
        !self.borrows(S_IFCHR) && !tops.any(is_ours)
    }

    fn open_dir(&mut self, path: &str, origin: impl Into<Origin>) -> Slot {
        let origin = origin.into();
        let slot = self.slot(origin.pointer().unwrap_or(&Pointer::new("/linux/devices")));
        let step = Step::OpenDir { path: path.into(), slot };
        self.step(step, origin, "Looked up once; what is made in it cannot be led astray.");
        slot
    }

    /// In a user namespace the kernel makes no device nodes, so the host's are borrowed; pipes are no devices.
    fn borrows(&self, mode: u32) -> bool {
        let may_make =
            self.host.privileged && self.host.bounding & CAP_MKNOD != 0 && !self.in_user_namespace();
        !may_make && mode & S_IFMT != S_IFIFO
    }

    fn node(&mut self, dir: Slot, name: &str, node: &Node<'_>, origin: impl Into<Origin>) {
        let Node { mode, device, uid, gid, .. } = *node;
        if self.borrows(mode) {
            let source = Source::Path(node.path.into());
            let step = Step::BindDevice { dir, name: name.into(), source, mode: mode & S_IFMT, device };
            self.step(step, origin, "No device can be made here, but the host's can be mounted.");
        } else {
            let step = Step::Device { dir, name: name.into(), mode, device, uid, gid };
            let why = if dir == Slot::BESIDE {
                "A device node, made by the host side meanwhile."
            } else {
                "A device node; one that the image has must be the same device."
            };
            self.step(step, origin, why);
        }
    }

    fn links(&mut self, dev: Slot) {
        const SPEC: Origin = Origin::Spec("runtime-linux.md, dev symbolic links");
        let core = self.host.kcore.then_some(("core", "/proc/kcore"));
        for (name, target) in LINKS.into_iter().chain(core) {
            let step = Step::Symlink { dir: dev, name: name.into(), target: target.into(), replace: false };
            self.step(step, SPEC, "Shells and scripts expect it.");
        }
        let step = Step::Symlink { dir: dev, name: "ptmx".into(), target: "pts/ptmx".into(), replace: true };
        self.step(
            step,
            DEFAULTS,
            "New terminals come from the container's own devpts, never from the host's.",
        );
    }
}

impl<'a> Compiler<'a> {
    /// The nodes of the config that can be made, with their indices.
    fn config_nodes(&mut self) -> Vec<(usize, Node<'a>)> {
        let mut nodes: Vec<(usize, Node<'a>)> = Vec::new();
        for (index, device) in self.linux.devices.iter().enumerate() {
            let pointer = Pointer::new("/linux/devices/{}").at(index);
            let Some(node) = self.config_node(device, index) else { continue };
            if clean(node.path) == "/dev/ptmx" {
                // Engines list it among the host's devices for privileged containers.
                let message = "/dev/ptmx is always a link to the container's own devpts";
                self.note(Code::Device, pointer, message);
                continue;
            }
            let given = device.file_mode.is_some() || device.uid.is_some() || device.gid.is_some();
            if given && self.borrows(node.mode) {
                let message = format!("{:?} is the host's own node, with its owner and mode", node.path);
                self.warn(Code::Device, pointer.clone(), message);
            }
            match nodes.iter().find(|(_, other)| clean(other.path) == clean(node.path)) {
                None => nodes.push((index, node)),
                Some((first, other)) if (other.device, other.mode) == (node.device, node.mode) => {
                    let message = format!("{:?} is the same as /linux/devices/{first}", node.path);
                    self.warn(Code::DeviceTwice, pointer, message);
                }
                Some((first, _)) => {
                    let message = format!("{:?} is another device than in /linux/devices/{first}", node.path);
                    self.error(Code::DeviceTwice, pointer, message).hint("a path can be one device only");
                }
            }
        }
        nodes
    }

    fn config_node(&mut self, device: &'a Device, index: usize) -> Option<Node<'a>> {
        let path = device.path.as_str();
        if !path.starts_with('/') || matches!(clean(path).as_ref(), "/" | "/dev") || path.ends_with('/') {
            let message = format!("{path:?} is no absolute path of a device node");
            self.error(Code::Device, Pointer::new("/linux/devices/{}/path").at(index), message);
            return None;
        }
        let kind = match &device.kind {
            DeviceKind::Char | DeviceKind::Unbuffered => S_IFCHR,
            DeviceKind::Block => S_IFBLK,
            DeviceKind::Fifo => S_IFIFO,
            DeviceKind::Unknown(kind) => {
                let message = format!("{kind:?} is no type of device");
                self.error(Code::Device, Pointer::new("/linux/devices/{}/type").at(index), message)
                    .hint("types are c, b, u and p");
                return None;
            }
        };
        let number = if kind == S_IFIFO {
            0
        } else {
            let major = self.number(device.major, MOST_MAJOR, "major", index);
            let minor = self.number(device.minor, MOST_MINOR, "minor", index);
            libc::makedev(major?, minor?)
        };
        Some(Node {
            path,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            device: number,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
        })
    }

    fn number(&mut self, number: i64, most: i64, name: &str, index: usize) -> Option<u32> {
        if (0..=most).contains(&number) {
            return u32::try_from(number).ok();
        }
        let pattern = if name == "major" { "/linux/devices/{}/major" } else { "/linux/devices/{}/minor" };
        let message = format!("{name} device numbers go from 0 to {most}, {number} is none");
        self.error(Code::Device, Pointer::new(pattern).at(index), message);
        None
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
