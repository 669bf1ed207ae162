//! Block devices (cgroup-v2.rst, "IO Interface Files"; cgroup-v1/blkio-controller.rst).

use orlop_spec::{BlockIo, Pointer, ThrottleDevice};

use super::convert::io_weight;
use super::{Planner, Wish};
use crate::controller::Controller;
use crate::layout::Hierarchy;
use crate::setting::Absent;

const WEIGHT: Pointer = Pointer::new("/linux/resources/blockIO/weight");
const LEAF_WEIGHT: Pointer = Pointer::new("/linux/resources/blockIO/leafWeight");
const WEIGHT_DEVICE: &str = "/linux/resources/blockIO/weightDevice/{}";
const IO: Controller = Controller::Io;
const SHARE: &str = "share of disk time under contention";

/// One of the four lists of rates.
struct Throttle<'a> {
    devices: &'a [ThrottleDevice],
    /// Where the list stands in the config.
    list: &'static str,
    /// Its key in `io.max`.
    key: &'static str,
    /// Its file in version 1.
    v1: &'static str,
    why: &'static str,
}

impl Planner<'_> {
    pub(super) fn block_io(&mut self, io: &BlockIo) {
        let throttles = throttles(io);
        let first = io.weight.filter(|w| *w != 0).map(|_| WEIGHT);
        let first = first
            .or_else(|| io.leaf_weight.filter(|w| *w != 0).map(|_| LEAF_WEIGHT))
            .or_else(|| io.weight_device.first().map(|_| Pointer::new(WEIGHT_DEVICE).at(0)))
            .or_else(|| throttles.iter().find(|t| !t.devices.is_empty()).map(|t| Pointer::new(t.list).at(0)));
        let Some(version) = first.and_then(|origin| self.version(IO, &origin)) else {
            return;
        };
        if let Some(weight) = io.weight.filter(|w| *w != 0) {
            self.weight(version, weight, WEIGHT, None);
        }
        if let Some(weight) = io.leaf_weight.filter(|w| *w != 0) {
            self.leaf_weight(version, weight, LEAF_WEIGHT, None);
        }
        for (i, device) in io.weight_device.iter().enumerate() {
            let origin = || Pointer::new(WEIGHT_DEVICE).at(i);
            if !self.is_device(device.major, device.minor, &origin()) {
                continue;
            }
            let numbers = Some((device.major, device.minor));
            if let Some(weight) = device.weight.filter(|w| *w != 0) {
                self.weight(version, weight, origin(), numbers);
            }
            if let Some(weight) = device.leaf_weight.filter(|w| *w != 0) {
                self.leaf_weight(version, weight, origin(), numbers);
            }
        }
        for throttle in throttles {
            self.throttle(version, &throttle);
        }
    }

    /// The BFQ scheduler has files of its own, in the scale of version 1; without it the cost model's file is used.
    fn weight(&mut self, version: Hierarchy, weight: u16, origin: Pointer, device: Option<(i64, i64)>) {
        if !self.is_weight("weight", weight, &origin) {
            return;
        }
        let line = |value: u64| match device {
            Some((major, minor)) => format!("{major}:{minor} {value}"),
            None => value.to_string(),
        };
        let own = line(weight.into());
        let (file, other, value) = match (version, device) {
            (Hierarchy::V2, _) => ("io.bfq.weight", "io.weight", line(io_weight(weight).unwrap_or(1))),
            (Hierarchy::V1, None) => ("blkio.weight", "blkio.bfq.weight", own.clone()),
            (Hierarchy::V1, Some(_)) => ("blkio.weight_device", "blkio.bfq.weight_device", own.clone()),
        };
        let instead = Absent::Instead { file: other, value };
        self.put(version, Wish::new(IO, file, own, origin, SHARE).or(instead));
    }

    fn leaf_weight(&mut self, version: Hierarchy, weight: u16, origin: Pointer, device: Option<(i64, i64)>) {
        if version == Hierarchy::V2 {
            return self
                .warn(origin, "cgroup v2 has no leaf weight: its inner cgroups have no processes; ignored");
        }
        if !self.is_weight("leafWeight", weight, &origin) {
            return;
        }
        let (file, value) = match device {
            Some((major, minor)) => ("blkio.leaf_weight_device", format!("{major}:{minor} {weight}")),
            None => ("blkio.leaf_weight", weight.to_string()),
        };
        self.put(version, Wish::new(IO, file, value, origin, "share of disk time against children"));
    }

    fn is_weight(&mut self, what: &str, weight: u16, origin: &Pointer) -> bool {
        let fits = (10..=1000).contains(&weight);
        if !fits {
            self.problem(origin.clone(), format!("{what} {weight} is not between 10 and 1000"), "");
        }
        fits
    }

    fn is_device(&mut self, major: i64, minor: i64, origin: &Pointer) -> bool {
        let fits = major >= 0 && minor >= 0;
        if !fits {
            self.problem(origin.clone(), format!("{major}:{minor} is not a device number"), "");
        }
        fits
    }

    fn throttle(&mut self, version: Hierarchy, throttle: &Throttle<'_>) {
        for (i, device) in throttle.devices.iter().enumerate() {
            let ThrottleDevice { major, minor, rate } = *device;
            let origin = Pointer::new(throttle.list).at(i);
            if !self.is_device(major, minor, &origin) {
                continue;
            }
            let wish = match (version, rate) {
                // Version 1 takes zero for "no limit", version 2 has a word for it.
                (Hierarchy::V2, 0) => ("io.max", format!("{major}:{minor} {}=max", throttle.key)),
                (Hierarchy::V2, _) => ("io.max", format!("{major}:{minor} {}={rate}", throttle.key)),
                (Hierarchy::V1, _) => (throttle.v1, format!("{major}:{minor} {rate}")),
            };
            self.put(version, Wish::new(IO, wish.0, wish.1, origin, throttle.why));
        }
    }
}

fn throttles(io: &BlockIo) -> [Throttle<'_>; 4] {
    [
        Throttle {
            devices: &io.throttle_read_bps_device,
            list: "/linux/resources/blockIO/throttleReadBpsDevice/{}",
            key: "rbps",
            v1: "blkio.throttle.read_bps_device",
            why: "bytes read per second",
        },
        Throttle {
            devices: &io.throttle_write_bps_device,
            list: "/linux/resources/blockIO/throttleWriteBpsDevice/{}",
            key: "wbps",
            v1: "blkio.throttle.write_bps_device",
            why: "bytes written per second",
        },
        Throttle {
            devices: &io.throttle_read_iops_device,
            list: "/linux/resources/blockIO/throttleReadIOPSDevice/{}",
            key: "riops",
            v1: "blkio.throttle.read_iops_device",
            why: "read operations per second",
        },
        Throttle {
            devices: &io.throttle_write_iops_device,
            list: "/linux/resources/blockIO/throttleWriteIOPSDevice/{}",
            key: "wiops",
            v1: "blkio.throttle.write_iops_device",
            why: "write operations per second",
        },
    ]
}
