// The devices that every container may use, as the eBPF program that a cgroup of version 2 needs for it.
#include <linux/bpf.h>
#include <linux/bpf_common.h>

enum { KIND = BPF_REG_2, ACCESS = BPF_REG_3, MAJOR = BPF_REG_4, MINOR = BPF_REG_5, ANY = -1, ALL = 7, MAKE = 1 };

struct filter {
    struct bpf_insn code[80];
    int length;
};

static void add(struct filter *filter, int code, int to, int from, int offset, int value) {
    filter->code[filter->length++] = (struct bpf_insn){code, to, from, offset, value};
}

static void end(struct filter *filter, int verdict) {
    add(filter, BPF_ALU | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict);
    add(filter, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void allow(struct filter *filter, int kind, int access, int major, int minor) {
    int left = 1 + (access != ALL) + (major != ANY) + (minor != ANY) + 2;
    add(filter, BPF_JMP32 | BPF_JNE | BPF_K, KIND, 0, --left, kind);
    if (access != ALL) add(filter, BPF_JMP32 | BPF_JSET | BPF_K, ACCESS, 0, --left, ALL & ~access);
    if (major != ANY) add(filter, BPF_JMP32 | BPF_JNE | BPF_K, MAJOR, 0, --left, major);
    if (minor != ANY) add(filter, BPF_JMP32 | BPF_JNE | BPF_K, MINOR, 0, --left, minor);
    end(filter, 1);
}

static void filter_devices(int cgroup) {
    static const signed char nodes[][2] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}};
    struct filter filter;
    filter.length = 0;
    add(&filter, BPF_LDX | BPF_MEM | BPF_W, KIND, BPF_REG_1, 0, 0);
    add(&filter, BPF_ALU | BPF_AND | BPF_K, KIND, 0, 0, 0xffff);
    add(&filter, BPF_LDX | BPF_MEM | BPF_W, ACCESS, BPF_REG_1, 0, 0);
    add(&filter, BPF_ALU | BPF_RSH | BPF_K, ACCESS, 0, 0, 16);
    add(&filter, BPF_LDX | BPF_MEM | BPF_W, MAJOR, BPF_REG_1, 4, 0);
    add(&filter, BPF_LDX | BPF_MEM | BPF_W, MINOR, BPF_REG_1, 8, 0);
    allow(&filter, BPF_DEVCG_DEV_BLOCK, MAKE, ANY, ANY);
    allow(&filter, BPF_DEVCG_DEV_CHAR, MAKE, ANY, ANY);
    for (int i = 0; i < 7; i++) allow(&filter, BPF_DEVCG_DEV_CHAR, ALL, nodes[i][0], nodes[i][1]);
    allow(&filter, BPF_DEVCG_DEV_CHAR, ALL, 136, ANY);
    end(&filter, 0);
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = filter.length,
        .insns = (unsigned long)filter.code,
        .license = (unsigned long)"Apache",
    };
    union bpf_attr attach = {
        .target_fd = cgroup,
        .attach_bpf_fd = must(bpf, BPF_PROG_LOAD, &load, sizeof load),
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    must(bpf, BPF_PROG_ATTACH, &attach, sizeof attach);
}
