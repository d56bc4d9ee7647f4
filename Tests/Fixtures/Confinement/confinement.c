#define _GNU_SOURCE
#include "confinement.h"

#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s\n", what);
    if (write(1, line, (size_t)length) != length)
        _exit(2);
}

static void expect_failure(const char *what, long result) {
    if (result >= 0)
        say(what);
}

// A call that must not even be looked at.
static void expect_refusal(const char *what, long number) {
    if (syscall(number, 0L, 0L, 0L, 0L, 0L, 0L) >= 0 || errno != EPERM)
        say(what);
}

static void try_files(void) {
    expect_failure("open /etc/passwd", open("/etc/passwd", O_RDONLY));
    expect_failure("open ../etc/passwd", open("../../../../../../../../etc/passwd", O_RDONLY));
    expect_failure("open /proc/self/mem", open("/proc/self/mem", O_RDONLY));
    expect_failure("open /dev/null", open("/dev/null", O_RDONLY));
    // Devices can be made, as images have them, but not used: 1:1 is the memory, 1:3 is /dev/null.
    if (mknodat(AT_FDCWD, "device", S_IFCHR | 0666, makedev(1, 3)) == 0)
        expect_failure("open a device", open("device", O_RDONLY));
    for (int descriptor = 2; descriptor < 1024; descriptor++)
        expect_failure("a descriptor from outside", fcntl(descriptor, F_GETFD));
}

static void try_others(pid_t parent) {
    expect_failure("a signal to its parent", kill(parent, 0));
    expect_failure("a signal to a thread of its parent", syscall(SYS_tgkill, parent, parent, 0));
    // These order a signal for when something comes.
    expect_failure("an owner of a descriptor", fcntl(0, F_SETOWN, parent));
    expect_failure("the signal of a descriptor", fcntl(0, F_SETSIG, SIGKILL));
    expect_failure("a descriptor that sends signals", fcntl(0, F_SETFL, O_ASYNC));
    expect_failure("a socket", socket(AF_UNIX, SOCK_STREAM, 0));
    char *const nothing[] = {NULL};
    expect_failure("a program", execve("/program", nothing, nothing));
    expect_failure("much memory", mmap(NULL, 2UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                                          MAP_FAILED
                                      ? -1
                                      : 0);
}

static void try_calls(void) {
#define CALL(name) expect_refusal(#name, SYS_##name)
    CALL(socket), CALL(connect), CALL(execve), CALL(execveat), CALL(clone), CALL(clone3), CALL(kill), CALL(tkill);
    CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(pidfd_open), CALL(pidfd_getfd);
    CALL(mount), CALL(umount2), CALL(open_tree), CALL(move_mount), CALL(pivot_root), CALL(chroot), CALL(unshare);
    CALL(setns), CALL(open_by_handle_at), CALL(bpf), CALL(keyctl), CALL(io_uring_setup), CALL(userfaultfd);
    CALL(perf_event_open), CALL(setuid), CALL(capset), CALL(prctl), CALL(init_module), CALL(reboot), CALL(swapon);
    CALL(memfd_create), CALL(sendmsg), CALL(recvmsg), CALL(ioctl), CALL(setrlimit), CALL(prlimit64);
#undef CALL
}

static int run(int directory, int report, uint64_t memory, pid_t parent) {
    const char *step = "";
    struct rkt_confinement confinement = {
        .root = directory,
        .input = report,
        .output = report,
        .memory = memory,
        .file_size = 1 << 20,
        .cpu_seconds = 60,
    };
    int kind = rkt_confine(&confinement, &step);
    if (kind < 0)
        return 3;
    say(kind == RKT_CONFINED_MOUNTS ? "confined mounts" : "confined otherwise");
    try_files();
    try_others(parent);
    try_calls();
    return 0;
}

int confinement_try(int directory, int report, uint64_t memory) {
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        return -1;
    if (child == 0)
        _exit(run(directory, report, memory, parent));
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}
