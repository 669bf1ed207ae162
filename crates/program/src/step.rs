//! The vocabulary of the machine: everything `orlop-init` can do, in the order in which programs usually do it.
//!
//! Paths named `path` or `target` are looked up *inside the container's root* (slot [`Slot::ROOT`](crate::Slot::ROOT)) by
//! openat2(2) with `RESOLVE_IN_ROOT`, so a leading `/` and symbolic links stay inside. Paths named `source` are the host's.

use crate::wire::{List, Reader, Str, Wire};
use crate::{Slot, Source};
#[cfg(feature = "build")]
use {crate::wire::InteriorNul, alloc::vec::Vec};

impl Step<'_> {
    /// Whether it is the host side that makes something here, meanwhile.
    pub const fn is_beside(&self) -> bool {
        matches!(
            self,
            Self::Mount { beside: true, .. }
                | Self::Device { dir: Slot::BESIDE, .. }
                | Self::Symlink { dir: Slot::BESIDE, .. }
        )
    }
}

steps! {
    /// Unblocks every signal, takes none as ignored, and starts a new session: setsid(2).
    1 NewSession {}
    /// Joins a new session keyring, so that the caller's keys stay the caller's: keyctl(2). A kernel without keys is fine.
    2 SessionKeyring {}
    /// Leaves namespaces for new ones: unshare(2). For the cgroup namespace, whose root is the cgroup one is in.
    3 Unshare {
        /// `CLONE_NEW…`.
        kinds: u32,
    }
    /// Makes a descriptor standard input, output or error: for hooks, which read the state from their input.
    5 Redirect {
        /// Which descriptor.
        from: Slot,
        /// 0, 1 or 2.
        to: u8,
    }
    /// Enters the new network namespace that comes from [`Slot::NETWORK`], if the process was not born in one, and brings its
    /// loopback interface up. The new IPC namespace may come from there, too.
    4 Network {}

    /// Sets the propagation of the whole tree as the host left it, so that mounts made here do not travel there. It is the
    /// first step that changes files, so it also forgets the caller's file mode creation mask.
    10 HostPropagation {
        /// `MS_PRIVATE`, `MS_SLAVE`, …
        propagation: u64,
        /// Also of every mount below.
        recursive: bool,
    }
    /// Makes the root file system a mount of its own, and opens it as [`Slot::ROOT`].
    11 BindRoot {
        /// Path on the host.
        source: Source<'a>,
        /// Where it is attached until the root is switched: the same path, on the host.
        at: Str<'a>,
    }
    /// Takes a copy of the root file system that is attached nowhere, and opens it as [`Slot::ROOT`]: what is mounted in it is
    /// seen by nobody. The mount namespace is still the caller's, and is left by `EnterRoot`. As `HostPropagation`, it forgets
    /// the caller's file mode creation mask.
    46 DetachedRoot {
        /// Path on the host.
        source: Source<'a>,
        /// `MS_PRIVATE` or `MS_SLAVE`: what copies of the host's mounts become, with all below.
        propagation: u64,
    }
    /// Makes a root of an overlay: directories that stay as they are, and on top one that takes all changes. Opens it as
    /// [`Slot::ROOT`].
    12 OverlayRoot {
        /// The directories below, the topmost first.
        lowers: List<'a, Source<'a>>,
        /// Where the directories `upper` and `work` are, or are made; a new, empty tmpfs if there is none.
        upper: Option<Source<'a>>,
        /// A directory on the host where a tmpfs and the overlay are attached until the root is switched.
        at: Str<'a>,
        /// Options of the tmpfs, such as `size=64m`.
        options: List<'a, (Str<'a>, Option<Str<'a>>)>,
        /// overlayfs keeps what it has to remember in `user.` attributes of files.
        user_attributes: bool,
    }
    /// Opens the current root as [`Slot::ROOT`]: for programs that join a running container.
    13 UseRoot {}
    /// Makes the directory in [`Slot::ROOT`] the root of this process alone: chroot(2).
    23 Chroot {}
    /// Mounts a new file system: fsopen(2), fsconfig(2), fsmount(2), move_mount(2).
    14 Mount {
        /// The file system's name, such as `tmpfs`.
        fstype: Str<'a>,
        /// Options: a key, or a key and a value. The index of one is the *part* in a failure.
        options: List<'a, (Str<'a>, Option<Str<'a>>)>,
        /// `MOUNT_ATTR_…`.
        attributes: u64,
        /// Made if it does not exist.
        target: Str<'a>,
        /// The target must not be or lie below a symbolic link: for procfs and sysfs.
        real: bool,
        /// Where to keep the mount.
        keep: Option<Slot>,
        /// The user namespace by which its ids are mapped.
        id_map: Option<Slot>,
        /// The directory that it covers, whose permissions are its own; there need not be one.
        like: Option<Slot>,
        /// The host side makes it meanwhile, with what later steps make in [`Slot::BESIDE`], and sends it: here it is waited
        /// for, and put into its place.
        beside: bool,
    }
    /// Mounts what is elsewhere already: open_tree(2), mount_setattr(2), move_mount(2).
    15 Bind {
        /// What.
        source: Source<'a>,
        /// With the mounts below it.
        recursive: bool,
        /// `MOUNT_ATTR_…` to set on the mount itself.
        set: u64,
        /// `MOUNT_ATTR_…` to clear on the mount itself.
        clear: u64,
        /// `MOUNT_ATTR_…` to set on every mount of the tree.
        set_all: u64,
        /// `MOUNT_ATTR_…` to clear on every mount of the tree.
        clear_all: u64,
        /// `MS_PRIVATE`, `MS_SLAVE` or 0: the propagation of the mount itself, before it is attached.
        propagation: u64,
        /// That of every mount of the tree.
        propagation_all: u64,
        /// Made if it does not exist: a directory for a directory, else an empty file.
        target: Str<'a>,
    }
    /// Sets the propagation of a mount.
    16 Propagation {
        /// Where it is.
        target: Str<'a>,
        /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
        propagation: u64,
        /// Also of every mount below.
        recursive: bool,
    }
    /// Makes a procfs for our own writes, where no step keeps one in [`Slot::PROC`].
    17 PrivateProc {}
    /// Opens a directory in the root, making what is missing, for the steps that work in it.
    18 OpenDir {
        /// Where.
        path: Str<'a>,
        /// Where to keep it.
        slot: Slot,
    }
    /// Makes a device node: mknodat(2). One that is there already must be the same.
    19 Device {
        /// The directory.
        dir: Slot,
        /// The name in it.
        name: Str<'a>,
        /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`, and permission bits.
        mode: u32,
        /// The device's number, as `makedev` makes it.
        device: u64,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    }
    /// Mounts the host's device node, where nodes cannot be made.
    20 BindDevice {
        /// The directory.
        dir: Slot,
        /// The name in it.
        name: Str<'a>,
        /// The host's node.
        source: Source<'a>,
        /// What it must be: type bits.
        mode: u32,
        /// What it must be: number.
        device: u64,
    }
    /// Makes a symbolic link; one that is there already stays, unless it is to be replaced.
    21 Symlink {
        /// The directory.
        dir: Slot,
        /// The name in it.
        name: Str<'a>,
        /// What it says.
        target: Str<'a>,
        /// Remove what is there.
        replace: bool,
    }
    /// Makes a directory with everything above it, if it does not exist.
    22 MakeDir {
        /// Where.
        path: Str<'a>,
    }

    /// Waits for the host side at a [`Point`](crate::message::Point).
    30 Sync {
        /// Its number.
        point: u8,
    }
    /// Waits for a word of the host side, which does something meanwhile: for this process what only it can do, or writing
    /// down that this process exists, as nobody may meet the program before. Its word is often there already.
    42 AwaitWord {}
    /// Waits for the word of the host side that everything in [`Slot::BESIDE`] is made. It is often there already.
    49 AwaitBeside {}
    /// Tells the host side that a [`Point`](crate::message::Point) is reached, and goes on.
    48 Tell {
        /// Its number.
        point: u8,
    }
    /// Makes the container's root this mount namespace's: pivot_root(2), and lets go of the old one.
    31 PivotRoot {
        /// The old root still propagates to the host: cut that first.
        detach: bool,
    }
    /// Makes the detached root a mount namespace, and enters it: open_tree(2) with `OPEN_TREE_NAMESPACE`, setns(2).
    47 EnterRoot {
        /// The procfs in [`Slot::PROC`] is the one at `/proc`, and stays so.
        proc: bool,
    }
    /// The same where pivot_root(2) cannot work (a ramfs as root): moves the root over the old one, and chroot(2).
    32 MoveRoot {
        /// Where the old root has procfs and sysfs, which are unmounted or covered first.
        views: List<'a, Str<'a>>,
    }
    /// Changes the root mount after it was switched.
    33 RootAttributes {
        /// `MOUNT_ATTR_…` to set.
        set: u64,
        /// `MS_SHARED`, …, or 0.
        propagation: u64,
    }
    /// Makes a pseudo-terminal in the container's devpts, sends its master to the host side, and makes the other end the
    /// controlling terminal and standard input, output and error.
    34 Console {
        /// Rows and columns, if given.
        size: Option<(u16, u16)>,
        /// Also mount it at `/dev/console`.
        mount: bool,
        /// Who owns it.
        uid: u32,
    }
    /// Gives standard input, output and error to the container's user, as far as the kernel lets us.
    35 OwnStdio { uid: u32 }
    /// sethostname(2).
    36 Hostname { name: Str<'a> }
    /// setdomainname(2).
    37 Domainname { name: Str<'a> }
    /// Writes a kernel parameter, through a procfs that was verified.
    38 Sysctl {
        /// Path below `/proc/sys`.
        path: Str<'a>,
        /// What to write.
        value: Str<'a>,
    }
    /// Makes a path read-only, if it exists.
    39 ReadonlyPath {
        /// Where.
        path: Str<'a>,
        /// What it is looked up in: the root, or the procfs at `/proc`, so that what the root has there by now is no matter.
        within: Slot,
    }
    /// Hides a path, if it exists: a directory behind an empty one, anything else behind `/dev/null`.
    40 MaskPath {
        /// Where.
        path: Str<'a>,
        /// What it is looked up in, as with `ReadonlyPath`.
        within: Slot,
    }
    /// Changes the mount at a path: attributes that could not be there while it was being filled, or that are asked for by
    /// `remount`.
    41 MountAttributes {
        /// Where.
        target: Str<'a>,
        /// `MOUNT_ATTR_…` to set.
        set: u64,
        /// `MOUNT_ATTR_…` to clear.
        clear: u64,
    }
    /// Opens a directory that is about to be mounted over, if it exists.
    44 OpenCovered {
        /// Where.
        path: Str<'a>,
        /// Where to keep it.
        slot: Slot,
    }
    /// Makes the root of a new file system like the directory that it covers, if it covers one.
    45 TakeOver {
        /// The covered directory.
        from: Slot,
        /// Where the file system is mounted.
        target: Str<'a>,
        /// With its owner and group.
        owner: bool,
    }
    /// Unmounts what is at a path, at once, even if it is in use: umount2(2), `MNT_DETACH`. The last name of the path is not
    /// followed if it is a symbolic link.
    100 Unmount { target: Str<'a> }

    /// Sets how willingly the kernel kills this process when memory is short.
    50 OomScoreAdj { value: i32 }
    /// Sets a resource limit: prlimit(2).
    51 Rlimit {
        /// `RLIMIT_…`.
        resource: u32,
        /// What is in force.
        soft: u64,
        /// How far it may be raised.
        hard: u64,
    }
    /// Gains no privileges by exec any more: prctl(2), `PR_SET_NO_NEW_PRIVS`.
    52 NoNewPrivileges {}
    /// Loads a seccomp filter: seccomp(2).
    53 Seccomp {
        /// `SECCOMP_FILTER_FLAG_…`.
        flags: u64,
        /// Instructions of eight bytes.
        filter: &'a [u8],
    }
    /// Takes every other capability out of the bounding set.
    54 BoundingSet {
        /// One bit for each capability that stays.
        keep: u64,
    }
    /// Becomes the container's user: setgroups(2), setresgid(2), setresuid(2), umask(2). Permitted capabilities survive.
    55 Identity {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
        /// Supplementary groups, four bytes each; none where the user namespace denies setgroups(2).
        groups: Option<&'a [u8]>,
        /// File mode creation mask.
        umask: u32,
    }
    /// Sets the capability sets: capset(2), and the ambient set.
    56 Capabilities {
        /// One bit for each.
        effective: u64,
        /// One bit for each.
        permitted: u64,
        /// One bit for each.
        inheritable: u64,
        /// One bit for each.
        ambient: u64,
    }
    /// Changes to the working directory, which must be inside the root: chdir(2), getcwd(2).
    57 Cwd {
        /// Where.
        path: Str<'a>,
        /// Fails where entry is denied. Not the last attempt leaves that to a later one, which another user makes, and
        /// which does nothing but check where it is if an earlier one succeeded.
        last: bool,
    }
    /// Adds `HOME` to the environment, from the container's `/etc/passwd`.
    58 Home { uid: u32 }
    /// Finds the file to execute, so that a missing one is noticed before the container counts as created.
    59 Locate {
        /// Where to look, in this order.
        candidates: List<'a, Str<'a>>,
    }
    /// Waits until `orlop start` says so; from then on messages go to it.
    60 AwaitStart {}
    /// Lets exec close every descriptor from this number on.
    61 CloseFrom { first: u32 }
    /// Leaves what comes next to a child, and stays: hands signals on to it, waits for whatever else ends, and ends with the
    /// child's exit status.
    63 Stay {
        /// The child's group is the foreground one of the terminal on standard input.
        terminal: bool,
        /// There is no PID namespace of the container's own, whose orphans would come here by themselves.
        subreaper: bool,
    }
    /// Becomes the container's process: execve(2) of what `Locate` found.
    62 Exec {
        /// Arguments, the first one the name.
        args: List<'a, Str<'a>>,
        /// Environment.
        env: List<'a, Str<'a>>,
    }

    /// Makes a time namespace, sets the offsets of its clocks, and enters it: unshare(2), setns(2).
    70 TimeNamespace {
        /// The host's procfs; given up afterwards.
        proc: Slot,
        /// Lines for `/proc/self/timens_offsets`, if any.
        offsets: Str<'a>,
    }
    /// Sets the CPUs to run on: sched_setaffinity(2).
    71 Affinity {
        /// One bit for each; none for every CPU that there is or may come.
        cpus: Option<&'a [u8]>,
    }
    /// Sets the scheduling policy: sched_setattr(2).
    72 Scheduler {
        /// `SCHED_…`.
        policy: u32,
        /// `SCHED_FLAG_…`.
        flags: u64,
        /// For time sharing.
        nice: i32,
        /// For real time.
        priority: u32,
        /// For deadlines: nanoseconds.
        runtime: u64,
        /// For deadlines: nanoseconds.
        deadline: u64,
        /// For deadlines: nanoseconds.
        period: u64,
    }
    /// Sets the I/O priority: ioprio_set(2).
    73 IoPriority {
        /// Class and level, as the kernel has them in one number.
        value: u32,
    }
    /// Sets the execution domain: personality(2).
    74 Personality {
        /// `PER_…`.
        domain: u32,
    }
    /// Sets the NUMA memory policy: set_mempolicy(2).
    75 MemoryPolicy {
        /// `MPOL_…` and `MPOL_F_…`.
        mode: u32,
        /// One bit for each node, in whole words.
        nodes: &'a [u8],
    }
    /// Sets the `AppArmor` profile that exec changes to (aa_change_onexec(2)).
    85 AppArmorProfile { profile: Str<'a> }
    /// Sets the `SELinux` label that exec changes to (setexeccon(3)).
    86 ExecLabel { label: Str<'a> }
    /// Sets the `SELinux` label of keys that this process makes from now on, or none (setkeycreatecon(3)).
    87 KeyLabel { label: Option<Str<'a>> }
    /// Labels the root of a mount: setxattr(2), `security.selinux`.
    88 FileLabel {
        /// Where it is mounted.
        target: Str<'a>,
        /// The `SELinux` label.
        label: Str<'a>,
    }
    /// Labels the empty directory that `MaskPath` hides others behind.
    89 MaskLabel { label: Str<'a> }
    /// Makes a Landlock ruleset, which allows nothing of what it decides about: landlock_create_ruleset(2).
    90 Ruleset {
        /// `LANDLOCK_ACCESS_FS_…`.
        files: u64,
        /// `LANDLOCK_ACCESS_NET_…`.
        network: u64,
        /// `LANDLOCK_SCOPE_…`.
        scoped: u64,
    }
    /// Allows access to what is at a path and below: landlock_add_rule(2).
    91 AllowPath {
        path: Str<'a>,
        /// For a file, those that are about directories are left out.
        files: u64,
    }
    /// Allows the use of a port: landlock_add_rule(2).
    92 AllowPort { port: u16, network: u64 }
    /// Puts the ruleset in force: landlock_restrict_self(2).
    93 Restrict {}
    /// Leaves every supplementary group, unless the user namespace, which is not of our making, denies setgroups(2).
    110 DropGroups {}
}
