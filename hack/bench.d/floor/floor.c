// floor: the system calls that a container of the default configuration needs, and nothing else.
//
//   floor run ROOTFS CGROUP NAME PROGRAM...      makes the container, waits for its end, removes its cgroup
//   floor kill ROOTFS CGROUP NAME PROGRAM...     the same, but it is killed as soon as it has been executed
//   floor exec PID CGROUP NAME PROGRAM...        runs a program in the container whose first process is PID
//
// It is what runtimes are measured against: one process, one call after the other, nothing parsed, stored, checked twice
// or explained. What the container can observe is what orlop gives it (`hack/bench --check` compares); how it is done may be
// shorter, as nobody attacks this one. ROOTFS and CGROUP are absolute; NAME is the cgroup's below CGROUP.
#include "kernel.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <linux/stat.h>

#include "device.h"
#include "steps.h"

enum { SLAVE = 1 << 19, DETACH = 2, NAMESPACES = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS };
enum { KEPT = 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE | 1 << CAP_AUDIT_WRITE };
enum { SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };

// The new processes run on their parent's stack, which sleeps until they have executed their program (vfork(2)): nothing
// that starts them may return in them.
INLINE long start(int cgroup, unsigned long namespaces) {
    struct clone_args how = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | namespaces,
        .exit_signal = 17,
        .cgroup = cgroup,
    };
    return must(clone3, &how, sizeof how);
}

static void attach(int mount, int directory, const char *path) {
    must(move_mount, mount, "", directory, path, MOVE_MOUNT_F_EMPTY_PATH);
}

static void change(int mount, unsigned long attributes) {
    struct mount_attr change = {.attr_set = attributes};
    must(mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change);
}

static int clone_of(const char *path, int flags) {
    return call(open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

// A new file system; options are name and value in turn, without a value for a flag.
static int file_system(const char *type, unsigned long attributes, const char *const *options) {
    int context = must(fsopen, type, FSOPEN_CLOEXEC);
    for (; *options; options += 2)
        must(fsconfig, context, options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[0], options[1], 0);
    must(fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    return must(fsmount, context, FSMOUNT_CLOEXEC, attributes);
}

#define OPTIONS(...) ((const char *const[]){__VA_ARGS__, 0})

static void fill_dev(int dev) {
    static const struct {
        const char *name;
        int number;
    } nodes[] = {{"null", 0x103}, {"zero", 0x105}, {"full", 0x107}, {"random", 0x108}, {"urandom", 0x109}, {"tty", 0x500}};
    static const char *const links[][2] = {{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"},
        {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}};
    for (int i = 0; i < 6; i++) must(mknodat, dev, nodes[i].name, S_IFCHR | 0666, nodes[i].number);
    for (int i = 0; i < 5; i++) must(symlinkat, links[i][0], dev, links[i][1]);
    if (call(faccessat, AT_FDCWD, "/proc/kcore", 0) == 0) must(symlinkat, "/proc/kcore", dev, "core");
}

static void mounts(int root) {
    attach(file_system("proc", 0, OPTIONS("source", "proc")), root, "proc");
    step("mount: proc");
    int dev = file_system("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME,
        OPTIONS("source", "tmpfs", "mode", "755", "size", "65536k"));
    attach(dev, root, "dev");
    must(mkdirat, dev, "pts", 0755);
    must(mkdirat, dev, "shm", 0755);
    must(mkdirat, dev, "mqueue", 0755);
    step("mount: tmpfs on /dev");
    attach(file_system("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
               OPTIONS("source", "devpts", "newinstance", 0, "ptmxmode", "0666", "mode", "0620", "gid", "5")),
        dev, "pts");
    step("mount: devpts");
    attach(file_system("tmpfs", SAFE, OPTIONS("source", "shm", "mode", "1777", "size", "65536k")), dev, "shm");
    step("mount: tmpfs on /dev/shm");
    attach(file_system("mqueue", SAFE, OPTIONS("source", "mqueue")), dev, "mqueue");
    step("mount: mqueue");
    int sys = file_system("sysfs", SAFE | MOUNT_ATTR_RDONLY, OPTIONS("source", "sysfs", "ro", 0));
    attach(sys, root, "sys");
    step("mount: sysfs");
    attach(file_system("cgroup2", SAFE | MOUNT_ATTR_RDONLY, OPTIONS("source", "cgroup", "ro", 0)), sys, "fs/cgroup");
    step("mount: cgroup2");
    fill_dev(dev);
}

static void switch_root(int root) {
    must(fchdir, root);
    must(pivot_root, ".", ".");
    must(umount2, ".", DETACH);
    must(chdir, "/");
}

static void protect_paths(void) {
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
    static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"};
    for (int i = 0; i < 5; i++) {
        int tree = clone_of(read_only[i], AT_RECURSIVE);
        if (tree == -ENOENT) continue;
        change(tree, MOUNT_ATTR_RDONLY);
        attach(tree, AT_FDCWD, read_only[i]);
    }
    int empty = -1;
    for (int i = 0; i < 10; i++) {
        struct statx about;
        if (call(statx, AT_FDCWD, masked[i], 0, STATX_TYPE, &about) == -ENOENT) continue;
        int cover;
        if ((about.stx_mode & S_IFMT) != S_IFDIR)
            cover = clone_of("/dev/null", 0);
        else if (empty < 0)
            cover = empty = file_system("tmpfs", MOUNT_ATTR_RDONLY, (const char *const[]){0});
        else
            cover = must(open_tree, empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        attach(cover, AT_FDCWD, masked[i]);
    }
}

static void loopback_up(void) {
    int socket = must(socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0);
    struct {
        char name[16];
        short flags;
        char rest[22];
    } lo = {.name = "lo", .flags = 0x41 /* IFF_UP | IFF_RUNNING */}; // struct ifreq, whose header is a C library's
    must(ioctl, socket, SIOCSIFFLAGS, &lo);
}

static void own_session(void) {
    static const unsigned long usual[4]; // struct sigaction: SIG_DFL. What the caller ignores would stay ignored.
    for (int signal = 1; signal <= 64; signal++) call(rt_sigaction, signal, usual, 0, 8);
    must(setsid);
    must(keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
}

// Standard input is the host's /dev/null, which the container should not hold.
static void own_null(void) {
    int null = must(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
    must(dup3, null, 0, 0);
}

// Privileges are given up, last of all, and the program takes over.
__attribute__((noreturn)) static void become(char **command) {
    static unsigned long all_cpus[16] = {[0 ... 15] = ~0UL};
    must(close_range, 3, ~0U, 0);
    must(sched_setaffinity, 0, sizeof all_cpus, all_cpus);
    must(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int i = 0; i <= CAP_LAST_CAP; i++)
        if (!(i < 32 && KEPT >> i & 1)) must(prctl, PR_CAPBSET_DROP, i);
    must(setgroups, 0, 0);
    must(umask, 022);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[2] = {{.effective = KEPT, .permitted = KEPT}};
    must(capset, &header, kept);
    step("descriptors, privileges");
    static char *variables[] = {"PATH=/bin", "HOME=/", 0};
    fail("execve", call(execve, command[0], command, variables));
}

__attribute__((noreturn)) static void be_container(const char *rootfs, char **command) {
    step("clone3, with five namespaces and into the cgroup");
    own_session();
    must(unshare, CLONE_NEWCGROUP);
    step("session, keyring, cgroup namespace");
    loopback_up();
    step("loopback up");
    must(umask, 0);
    struct mount_attr slave = {.propagation = SLAVE};
    must(mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof slave);
    int root = clone_of(rootfs, AT_RECURSIVE);
    attach(root, AT_FDCWD, rootfs);
    step("root bound, propagation");
    mounts(root);
    step("device nodes and links");
    switch_root(root);
    step("pivot_root and unmounting the host's tree");
    own_null();
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    must(mount_setattr, root, "", AT_EMPTY_PATH, &read_only, sizeof read_only);
    must(sethostname, "bench", 5);
    step("read-only root, host name");
    protect_paths();
    step("read-only and masked paths");
    struct rlimit64 files = {1024, 1024};
    must(prlimit64, 0, RLIMIT_NOFILE, &files, 0);
    call(openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
    step("limits");
    become(command);
}

static int wait_for(long pid) {
    int status = 0;
    must(wait4, pid, &status, 0, 0);
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8;
}

// The last process may leave its cgroup a moment after it has been waited for.
static void remove_cgroup(int above, const char *name, int cgroup) {
    while (call(unlinkat, above, name, AT_REMOVEDIR) == -EBUSY) {
        char state[64];
        struct pollfd events = {.fd = must(openat, cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC), .events = POLLPRI};
        long size = must(read, events.fd, state, sizeof state);
        if (size > 10 && state[10] == '1') must(ppoll, &events, 1, 0, 0, 0); // "populated 1"
        must(close, events.fd);
    }
}

static int run(int killed, char **arguments) {
    step("");
    int above = must(openat, AT_FDCWD, arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(mkdirat, above, arguments[2], 0755);
    int cgroup = must(openat, above, arguments[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    step("cgroup made");
    filter_devices(cgroup);
    step("device program loaded and attached");
    long pid = start(cgroup, NAMESPACES);
    if (pid == 0) be_container(arguments[0], arguments + 3);
    if (killed) must(kill, pid, 9);
    int status = wait_for(pid);
    step("execve, the program, its end and that of its namespaces");
    remove_cgroup(above, arguments[2], cgroup);
    step("cgroup removed");
    tell_steps();
    return killed ? 0 : status;
}

static int execute(char **arguments) {
    int above = must(openat, AT_FDCWD, arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int cgroup = must(openat, above, arguments[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int container = must(pidfd_open, number_of(arguments[0]), 0);
    must(setns, container, NAMESPACES | CLONE_NEWCGROUP);
    long pid = start(cgroup, 0);
    if (pid == 0) {
        own_session();
        own_null();
        struct rlimit64 files = {1024, 1024};
        must(prlimit64, 0, RLIMIT_NOFILE, &files, 0);
        call(openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC);
        become(arguments + 3);
    }
    return wait_for(pid);
}

int program(int count, char **arguments) {
    if (count >= 6 && same(arguments[1], "run")) return run(0, arguments + 2);
    if (count >= 6 && same(arguments[1], "kill")) return run(1, arguments + 2);
    if (count >= 6 && same(arguments[1], "exec")) return execute(arguments + 2);
    fail("usage: floor run|kill|exec ROOTFS|PID CGROUP NAME PROGRAM...", -EINVAL);
}
