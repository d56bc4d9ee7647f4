// bpf(2), as far as pod-init uses it: a program that decides which devices the processes of a cgroup may use.
#pragma once

static inline int bpf_call(int command, void *attributes, unsigned size) {
    long syscall(long, ...);
#if defined(__x86_64__)
    return (int)syscall(321, command, attributes, size);
#else
    return (int)syscall(280, command, attributes, size);
#endif
}

static const unsigned BPF_CGROUP_DEVICE = 6;

// BPF_PROG_LOAD of a BPF_PROG_TYPE_CGROUP_DEVICE.
static inline int load_device_program(const unsigned long *instructions, unsigned count) {
    struct {
        unsigned type, count;
        const void *instructions, *license;
        unsigned log_level, log_size;
        void *log;
        unsigned kernel_version, flags;
    } attributes = {15, count, instructions, "", 0, 0, 0, 0, 0};
    return bpf_call(5, &attributes, sizeof attributes);
}

// BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI: beside those of the cgroups above, which hold too.
static inline int attach_device_program(int cgroup, int program) {
    struct {
        unsigned cgroup, program, type, flags;
    } attributes = {(unsigned)cgroup, (unsigned)program, BPF_CGROUP_DEVICE, 2};
    return bpf_call(8, &attributes, sizeof attributes);
}

// BPF_PROG_QUERY: how many a cgroup itself has; -1 for an error.
static inline int count_device_programs(int cgroup) {
    struct {
        unsigned cgroup, type, query_flags, attach_flags;
        void *ids;
        unsigned count, padding;
        void *rest[4];
    } attributes = {(unsigned)cgroup, BPF_CGROUP_DEVICE, 0, 0, 0, 0, 0, {0}};
    return bpf_call(16, &attributes, sizeof attributes) < 0 ? -1 : (int)attributes.count;
}
