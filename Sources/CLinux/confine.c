#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// sys/mount.h and linux/mount.h cannot be included together.
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
enum { MOUNT_REC = 16384, MOUNT_PRIVATE = 1 << 18, UNMOUNT_DETACH = 2 };

// Makes the directory the root of a mount namespace of our own. The clone is made first: the descriptor belongs to the
// old namespace, of which the new one accepts nothing. It is carried by descriptor, so no path can be swapped.
static int enter_mounts(int root, const char **step) {
    *step = "open_tree";
    int tree = (int)syscall(SYS_open_tree, root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return -1;
    // Devices of an image can be made, not used: whoever takes this process over does not reach the host's disks.
    *step = "mount_setattr";
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
        return -1;
    *step = "unshare";
    if (unshare(CLONE_NEWNS) < 0)
        return -1;
    *step = "mount";
    if (mount(NULL, "/", NULL, MOUNT_REC | MOUNT_PRIVATE, NULL) < 0)
        return -1;
    *step = "move_mount";
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return -1;
    *step = "pivot_root";
    if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return -1;
    *step = "umount2";
    if (umount2(".", UNMOUNT_DETACH) < 0 || chdir("/") < 0)
        return -1;
    return close(tree);
}

static int enter_root(int root, const char **step) {
    if (geteuid() != 0)
        return fchdir(root) < 0 ? -1 : RKT_CONFINED_NONE;
    if (enter_mounts(root, step) == 0)
        return RKT_CONFINED_MOUNTS;
    // In a container without CAP_SYS_ADMIN, on an initramfs (no pivot_root) and before Linux 5.2 a chroot is what is
    // left: with the capabilities dropped (no CAP_SYS_CHROOT) and no descriptor from outside it has no way out either.
    if (errno != EPERM && errno != EINVAL && errno != ENOSYS)
        return -1;
    *step = "chroot";
    if (fchdir(root) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return -1;
    return RKT_CONFINED_CHROOT;
}

static int set_limit(int resource, uint64_t value) {
    struct rlimit old, new = {.rlim_cur = value, .rlim_max = value};
    if (getrlimit(resource, &old) < 0)
        return -1;
    if (old.rlim_max < new.rlim_max)
        new.rlim_cur = new.rlim_max = old.rlim_max;
    return setrlimit(resource, &new);
}

static int drop_capabilities(void) {
    const uint32_t kept = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER | 1U << CAP_FSETID |
                          1U << CAP_MKNOD | 1U << CAP_SETFCAP;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    data[0].permitted &= kept;
    data[0].effective = data[0].permitted;
    data[1].permitted = data[1].effective = 0;
    data[0].inheritable = data[1].inheritable = 0;
    return (int)syscall(SYS_capset, &header, data);
}

#if defined(__x86_64__)
#define RKT_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define RKT_AUDIT_ARCH AUDIT_ARCH_AARCH64
#endif

// What reading what comes in and making files needs, and what the C library needs for memory and for dying. All else
// (sockets, signals to others, processes, mounts) fails with EPERM.
static int filter_calls(void) {
#ifdef RKT_AUDIT_ARCH
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RKT_AUDIT_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read), ALLOW(write), ALLOW(pread64), ALLOW(pwrite64), ALLOW(lseek), ALLOW(close), ALLOW(ftruncate),
        ALLOW(sync_file_range), ALLOW(openat), ALLOW(openat2), ALLOW(mkdirat), ALLOW(mknodat), ALLOW(symlinkat), ALLOW(linkat),
        ALLOW(unlinkat), ALLOW(fchown), ALLOW(fchownat), ALLOW(fchmod), ALLOW(fchmodat), ALLOW(utimensat),
        ALLOW(fsetxattr), ALLOW(lsetxattr), ALLOW(setxattr), ALLOW(fstat), ALLOW(newfstatat), ALLOW(statx),
        ALLOW(getdents64), ALLOW(fchdir), ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mremap),
        ALLOW(mprotect), ALLOW(madvise), ALLOW(futex), ALLOW(getrandom), ALLOW(clock_gettime), ALLOW(gettimeofday),
        ALLOW(getpid), ALLOW(gettid), ALLOW(rt_sigprocmask), ALLOW(rt_sigaction), ALLOW(rt_sigreturn), ALLOW(getcwd),
        ALLOW(flistxattr), ALLOW(fremovexattr), ALLOW(restart_syscall), ALLOW(exit), ALLOW(exit_group), ALLOW(geteuid), ALLOW(getuid),
        // Of a descriptor's flags what reading directories needs: by others a signal can be sent to anybody (F_SETOWN).
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFD, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETFD, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_GETFL, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_DUPFD_CLOEXEC, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        // Dying (abort), but no signal to another process.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
#undef ALLOW
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#else
    return 0;
#endif
}

// The two descriptors become 0 and 1; the root waits above them until it has been entered.
static int arrange_descriptors(const struct rkt_confinement *confinement, int *root) {
    *root = fcntl(confinement->root, F_DUPFD_CLOEXEC, 16);
    int input = fcntl(confinement->input, F_DUPFD_CLOEXEC, 16);
    int output = fcntl(confinement->output, F_DUPFD_CLOEXEC, 16);
    if (*root < 0 || input < 0 || output < 0)
        return -1;
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0)
        return -1;
    return 0;
}

int rkt_confine(const struct rkt_confinement *confinement, const char *_Nullable *_Nonnull step) {
    int root;
    *step = "dup";
    if (arrange_descriptors(confinement, &root) < 0)
        return -1;
    int kind = enter_root(root, step);
    if (kind < 0)
        return -1;
    *step = "close_range";
    if (syscall(SYS_close_range, 2, ~0U, 0) < 0)
        return -1;
    umask(0);
    *step = "setrlimit";
    if (set_limit(RLIMIT_DATA, confinement->memory) < 0 || set_limit(RLIMIT_FSIZE, confinement->file_size) < 0 ||
        set_limit(RLIMIT_CPU, confinement->cpu_seconds) < 0 || set_limit(RLIMIT_CORE, 0) < 0 ||
        set_limit(RLIMIT_NOFILE, 1024) < 0)
        return -1;
    *step = "prctl";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -1;
    *step = "capset";
    if (drop_capabilities() < 0)
        return -1;
    *step = "seccomp";
    if (filter_calls() < 0)
        return -1;
    return kind;
}
