//! How limits of an update go together with those that a container has. The rules are runc's, except that nothing is
//! forgotten which the update does not name.

use orlop_spec::{BlockIo, Cpu, Memory, Network, Resources, ThrottleDevice, WeightDevice};

/// The change, and what the kernel takes together with it. Zero is "unset" in both, as everywhere in the OCI spec.
pub(super) fn completed(change: &Resources, old: &Resources) -> Resources {
    let mut all = change.clone();
    if let (Some(cpu), Some(old)) = (&mut all.cpu, &old.cpu)
        && (is_set(cpu.quota) || cpu.period.is_some_and(|period| period != 0))
    {
        cpu.quota = cpu.quota.filter(|quota| *quota != 0).or(old.quota);
        cpu.period = cpu.period.filter(|period| *period != 0).or(old.period);
    }
    if let (Some(memory), Some(old)) = (&mut all.memory, &old.memory)
        && (is_set(memory.limit) || is_set(memory.swap))
    {
        let check_before_update = memory.check_before_update.or(old.check_before_update);
        let (limit, swap) = (limit(memory, old), swap(memory, old));
        *memory = Memory { limit, swap, check_before_update, ..memory.clone() };
    }
    all
}

/// All limits, once the change has been made.
pub(super) fn merged(old: &Resources, change: &Resources) -> Resources {
    let mut all = old.clone();
    if !change.devices.is_empty() {
        all.devices.clone_from(&change.devices);
    }
    both(&mut all.memory, change.memory.as_ref(), memory);
    both(&mut all.cpu, change.cpu.as_ref(), cpu);
    both(&mut all.pids, change.pids.as_ref(), |old, new| old.limit = new.limit.or(old.limit));
    both(&mut all.block_io, change.block_io.as_ref(), block_io);
    upsert(&mut all.hugepage_limits, &change.hugepage_limits, |a, b| a.page_size == b.page_size);
    both(&mut all.network, change.network.as_ref(), network);
    for (name, new) in &change.rdma {
        let old = all.rdma.entry(name.clone()).or_default();
        old.hca_handles = new.hca_handles.or(old.hca_handles);
        old.hca_objects = new.hca_objects.or(old.hca_objects);
    }
    all.unified.extend(change.unified.clone());
    all
}

fn both<T: Clone>(old: &mut Option<T>, new: Option<&T>, merge: impl FnOnce(&mut T, &T)) {
    match (old, new) {
        (Some(old), Some(new)) => merge(old, new),
        (old, Some(new)) => *old = Some(new.clone()),
        (_, None) => {}
    }
}

fn is_set(limit: Option<i64>) -> bool {
    limit.is_some_and(|limit| limit != 0)
}

fn limit(new: &Memory, old: &Memory) -> Option<i64> {
    new.limit.filter(|limit| *limit != 0).or(old.limit)
}

/// No limit of memory and no word about swap is no limit of swap.
fn swap(new: &Memory, old: &Memory) -> Option<i64> {
    let kept = old.swap.filter(|_| new.limit != Some(-1));
    new.swap.filter(|swap| *swap != 0).or(kept)
}

fn memory(old: &mut Memory, new: &Memory) {
    *old = Memory {
        limit: limit(new, old),
        swap: swap(new, old),
        reservation: new.reservation.filter(|low| *low != 0).or(old.reservation),
        kernel: new.kernel.or(old.kernel),
        kernel_tcp: new.kernel_tcp.or(old.kernel_tcp),
        swappiness: new.swappiness.or(old.swappiness),
        disable_oom_killer: new.disable_oom_killer.or(old.disable_oom_killer),
        use_hierarchy: new.use_hierarchy.or(old.use_hierarchy),
        // That of the change is about this one change; the config's is about every one.
        check_before_update: old.check_before_update,
    };
}

fn cpu(old: &mut Cpu, new: &Cpu) {
    let text = |new: &String, old: &String| if new.is_empty() { old.clone() } else { new.clone() };
    *old = Cpu {
        // An idle cgroup has no weight; one that is busy again has the kernel's own.
        shares: new.shares.filter(|shares| *shares != 0).or(old.shares.filter(|_| new.idle.is_none())),
        quota: new.quota.filter(|quota| *quota != 0).or(old.quota),
        burst: new.burst.or(old.burst),
        period: new.period.filter(|period| *period != 0).or(old.period),
        realtime_runtime: new.realtime_runtime.filter(|runtime| *runtime != 0).or(old.realtime_runtime),
        realtime_period: new.realtime_period.filter(|period| *period != 0).or(old.realtime_period),
        cpus: text(&new.cpus, &old.cpus),
        mems: text(&new.mems, &old.mems),
        idle: new.idle.or(old.idle),
    };
}

fn network(old: &mut Network, new: &Network) {
    old.class_id = new.class_id.or(old.class_id);
    upsert(&mut old.priorities, &new.priorities, |a, b| a.name == b.name);
}

fn block_io(old: &mut BlockIo, new: &BlockIo) {
    old.weight = new.weight.or(old.weight);
    old.leaf_weight = new.leaf_weight.or(old.leaf_weight);
    for new in &new.weight_device {
        let same = |old: &&mut WeightDevice| (old.major, old.minor) == (new.major, new.minor);
        // Of equal ones the last counts.
        match old.weight_device.iter_mut().rev().find(same) {
            Some(old) => {
                old.weight = new.weight.or(old.weight);
                old.leaf_weight = new.leaf_weight.or(old.leaf_weight);
            }
            None => old.weight_device.push(*new),
        }
    }
    for (old, new) in [
        (&mut old.throttle_read_bps_device, &new.throttle_read_bps_device),
        (&mut old.throttle_write_bps_device, &new.throttle_write_bps_device),
        (&mut old.throttle_read_iops_device, &new.throttle_read_iops_device),
        (&mut old.throttle_write_iops_device, &new.throttle_write_iops_device),
    ] {
        let same = |a: &ThrottleDevice, b: &ThrottleDevice| (a.major, a.minor) == (b.major, b.minor);
        upsert(old, new, same);
    }
}

/// Puts each new element in the place of the one that is about the same, or at the end. Of equal ones the last counts.
fn upsert<T: Clone>(old: &mut Vec<T>, new: &[T], same: impl Fn(&T, &T) -> bool) {
    for new in new {
        match old.iter_mut().rev().find(|old| same(old, new)) {
            Some(old) => old.clone_from(new),
            None => old.push(new.clone()),
        }
    }
}
