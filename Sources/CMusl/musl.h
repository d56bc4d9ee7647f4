// The declarations of the C library and kernel that pod-init uses. Embedded Swift cannot import Glibc's module, and the
// program is linked against musl; types and numbers are those of the kernel's 64-bit ABI, the same on all 64-bit Linux.
#pragma once

#include <stdarg.h>

typedef unsigned long size_t;
typedef long ssize_t;
typedef unsigned int mode_t;
typedef int pid_t;

// Errors.
int *__errno_location(void);
char *strerror(int number);
static const int ENOENT = 2, EINTR = 4, EEXIST = 17, EAGAIN = 11;

// Processes.
pid_t getpid(void);
pid_t getppid(void);
pid_t fork(void);
void _exit(int status) __attribute__((noreturn));
int execve(const char *path, char *const argv[], char *const envp[]);
int posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                char *const envp[]);
pid_t waitpid(pid_t pid, int *status, int options);
int kill(pid_t pid, int signal);
char *getenv(const char *name);
int unsetenv(const char *name);
// All of the environment, with a NULL behind it.
static inline char **whole_environment(void) {
    extern char **environ;
    return environ;
}
static const int WNOHANG = 1;

static inline int set_process_option(int option, unsigned long value) {
    int prctl(int, ...);
    return prctl(option, value, 0UL, 0UL, 0UL);
}
static const int PR_SET_PDEATHSIG = 1, PR_SET_DUMPABLE = 4, PR_SET_NO_NEW_PRIVS = 38;

struct resource_limit {
    unsigned long soft, hard;
};
int getrlimit(int resource, struct resource_limit *limit);

// Gives up all capabilities but CAP_KILL, for good.
static inline int keep_only_kill(void) {
    long syscall(long, ...);
    int prctl(int, ...);
    for (unsigned long capability = 0; capability < 64; capability++)
        if (capability != 5)
            prctl(24, capability, 0UL, 0UL, 0UL); // PR_CAPBSET_DROP; there are fewer than 64
    struct {
        unsigned version;
        int pid;
    } header = {0x20080522, 0};
    struct {
        unsigned effective, permitted, inheritable;
    } sets[2] = {{1u << 5, 1u << 5, 0}, {0, 0, 0}};
#if defined(__x86_64__)
    return (int)syscall(126, &header, sets);
#else
    return (int)syscall(91, &header, sets);
#endif
}

// seccomp(2) with SECCOMP_SET_MODE_FILTER: puts a filter of system calls into force, for good; `size` bytes of instructions,
// eight each.
static inline int filter_calls(const void *instructions, size_t size) {
    long syscall(long, ...);
    struct {
        unsigned short count;
        const void *instructions;
    } program = {(unsigned short)(size / 8), instructions};
#if defined(__x86_64__)
    return (int)syscall(317, 1, 0, &program);
#else
    return (int)syscall(277, 1, 0, &program);
#endif
}

// Signals. musl's set is 1024 bits.
typedef struct {
    unsigned long bits[16];
} signal_set;
int sigfillset(signal_set *set);
int sigemptyset(signal_set *set);
int sigaddset(signal_set *set, int signal);
int sigprocmask(int how, const signal_set *set, signal_set *old);
int signalfd(int fd, const signal_set *set, int flags);
static const int SIG_SETMASK = 2, SFD_CLOEXEC = 02000000, SFD_NONBLOCK = 04000;
static const int SIGHUP = 1, SIGINT = 2, SIGPIPE = 13, SIGKILL = 9, SIGTERM = 15, SIGCHLD = 17, SIGRTMIN = 34;
struct signal_information {
    unsigned number;
    int error;
    int code;
    unsigned sender;
    unsigned char rest[112];
};

// Files.
static inline int open_at(int directory, const char *path, int flags, mode_t mode) {
    int openat(int, const char *, int, ...);
    return openat(directory, path, flags, mode);
}
// openat2(2) with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS; again when a rename elsewhere on the host made the kernel
// unsure where a ".." led.
static inline int open_in_root(int root, const char *path, int flags, mode_t mode) {
    long syscall(long, ...);
    struct {
        unsigned long flags, mode, resolve;
    } how = {(unsigned)flags, mode, 0x10 | 0x02};
    int result, tries = 1000;
    do
        result = (int)syscall(437, root, path, &how, sizeof how);
    while (result < 0 && *__errno_location() == EAGAIN && --tries > 0);
    return result;
}
int close(int fd);
int dup2(int from, int to);
int pipe2(int fds[2], int flags);
ssize_t read(int fd, void *buffer, size_t size);
ssize_t write(int fd, const void *buffer, size_t size);
ssize_t pwrite(int fd, const void *buffer, size_t size, long offset);
int ftruncate(int fd, long size);
int mkdirat(int directory, const char *path, mode_t mode);
int unlinkat(int directory, const char *path, int flags);
int renameat(int from_directory, const char *from, int to_directory, const char *to);
// renameat2(2) with RENAME_NOREPLACE.
static inline int rename_exclusively(int from_directory, const char *from, int to_directory, const char *to) {
    long syscall(long, ...);
#if defined(__x86_64__)
    return (int)syscall(316, from_directory, from, to_directory, to, 1);
#else
    return (int)syscall(276, from_directory, from, to_directory, to, 1);
#endif
}
int utimensat(int directory, const char *path, const void *times, int flags);
int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags);
int symlinkat(const char *target, int directory, const char *path);
ssize_t readlinkat(int directory, const char *path, char *buffer, size_t size);
int mkfifoat(int directory, const char *path, mode_t mode);
int faccessat(int directory, const char *path, int mode, int flags);
int chdir(const char *path);
int fchdir(int directory);
int chroot(const char *path);
int lchown(const char *path, unsigned user, unsigned group);
int flock(int fd, int operation);

struct file_owner {
    unsigned user, group;
    unsigned short mode;
};

// Whose an open file is, and its mode: statx(2), the same on all architectures.
static inline int get_owner(int fd, struct file_owner *owner) {
    long syscall(long, ...);
    struct {
        unsigned mask, block_size;
        unsigned long attributes;
        unsigned links, user, group;
        unsigned short mode, padding;
        unsigned long rest[28];
    } status;
    const unsigned empty_path = 0x1000, user_group_and_mode = 0x2 | 0x8 | 0x10;
#if defined(__x86_64__)
    int result = (int)syscall(332, fd, "", empty_path, user_group_and_mode, &status);
#else
    int result = (int)syscall(291, fd, "", empty_path, user_group_and_mode, &status);
#endif
    if (result == 0) {
        owner->user = status.user;
        owner->group = status.group;
        owner->mode = status.mode;
    }
    return result;
}

// Whether another open file of the same directory carries the mark of a holder (F_OFD_GETLK).
static inline int is_marked(int fd) {
    int fcntl(int, int, ...);
    struct {
        short type, whence;
        long start, length;
        int pid;
    } lock = {1, 0, 0, 0, 0};
    return fcntl(fd, 36, &lock) == 0 && lock.type != 2;
}

// Puts that mark on an open file; it ends with it (F_OFD_SETLK).
static inline int put_mark(int fd) {
    int fcntl(int, int, ...);
    struct {
        short type, whence;
        long start, length;
        int pid;
    } lock = {0, 0, 0, 0, 0};
    return fcntl(fd, 37, &lock);
}

// A descriptor's duplicate with a number that is at least `least`, close-on-exec (F_DUPFD_CLOEXEC).
static inline int duplicate(int fd, int least) {
    int fcntl(int, int, ...);
    return fcntl(fd, 1030, least);
}

mode_t umask(mode_t mask);
static const int LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8;
static const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_EXCL = 0200, O_TRUNC = 01000,
                 O_NONBLOCK = 04000, O_CLOEXEC = 02000000, O_PATH = 010000000;
#if defined(__aarch64__)
static const int O_DIRECTORY = 040000, O_NOFOLLOW = 0100000, O_TMPFILE = 020040000;
#else
static const int O_DIRECTORY = 0200000, O_NOFOLLOW = 0400000, O_TMPFILE = 020200000;
#endif
static const int AT_FDCWD = -100, AT_SYMLINK_FOLLOW = 0x400;

// Directories.
typedef struct directory_stream directory_stream;
struct directory_entry {
    unsigned long inode;
    long offset;
    unsigned short length;
    unsigned char type;
    char name[256];
};
directory_stream *fdopendir(int fd);
struct directory_entry *readdir(directory_stream *stream);
int closedir(directory_stream *stream);

// Time, in microseconds of a clock that only goes on.
static inline unsigned long monotonic_time(void) {
    int clock_gettime(int, void *);
    struct {
        long seconds, nanoseconds;
    } now;
    clock_gettime(1, &now);
    return (unsigned long)now.seconds * 1000000 + (unsigned long)now.nanoseconds / 1000;
}

// Waiting.
struct pollfd {
    int fd;
    short events;
    short revents;
};
int poll(struct pollfd *fds, unsigned long count, int timeout);
static const int POLLIN = 1, POLLOUT = 4;

// A system call made right here: no function of the C library, whose page would be needed for it.
static inline __attribute__((always_inline)) long call_kernel(long number, long a, long b, long c, long d, long e) {
#if defined(__aarch64__)
    register long call __asm__("x8") = number, first __asm__("x0") = a, second __asm__("x1") = b, third __asm__("x2") = c;
    register long fourth __asm__("x3") = d, fifth __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(first) : "r"(call), "r"(second), "r"(third), "r"(fourth), "r"(fifth) : "memory");
    return first;
#else
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return number;
#endif
}

// poll(2) without a limit of time, for what waits as long as a pod lives: first lets go (MADV_DONTNEED) of the program's
// pages, which come back from its file when they are needed, and of the stack below what is in use. From then on no page
// but the caller's is touched: each would bring its neighbours along.
static inline __attribute__((always_inline)) int poll_released(struct pollfd *fds, unsigned long count) {
    extern const char __executable_start[], etext[];
    const unsigned long page = 4096, deepest = 128 * 1024, red_zone = 128;
    unsigned long first = (unsigned long)__executable_start, last = (unsigned long)etext & ~(page - 1), stack;
#if defined(__aarch64__)
    const long madvise = 233, ppoll = 73;
    __asm__ volatile("mov %0, sp" : "=r"(stack));
#else
    const long madvise = 28, ppoll = 271;
    __asm__ volatile("mov %%rsp, %0" : "=r"(stack));
#endif
    stack = (stack - red_zone) & ~(page - 1);
    call_kernel(madvise, (long)(stack - deepest), (long)deepest, 4, 0, 0);
    call_kernel(madvise, (long)first, (long)(last - first), 4, 0, 0);
    long ready = call_kernel(ppoll, (long)fds, (long)count, 0, 0, 0);
    if (ready >= 0)
        return (int)ready;
    *__errno_location() = (int)-ready;
    return -1;
}

// Namespaces and mounts.
int unshare(int flags);
int memfd_create(const char *name, unsigned flags);
static const unsigned MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;
// Nobody can change a file in memory any more (F_ADD_SEALS): neither its content, its size nor this.
static inline int seal(int fd) {
    int fcntl(int, int, ...);
    return fcntl(fd, 1033, 0xf);
}
int setns(int fd, int kinds);
int setuid(unsigned user);
int setgid(unsigned group);
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
int sethostname(const char *name, size_t length);
static inline int pivot_root(const char *new_root, const char *put_old) {
    long syscall(long, ...);
#if defined(__x86_64__)
    return (int)syscall(155, new_root, put_old);
#else
    return (int)syscall(41, new_root, put_old);
#endif
}
// open_tree(2) with OPEN_TREE_CLONE: a directory as a mount of its own that is nowhere attached; `..` ends at it.
static inline int detached_tree(int directory, const char *path) {
    long syscall(long, ...);
    return (int)syscall(428, directory, path, 1 | 02000000);
}
// The same with all that is mounted below it (AT_RECURSIVE); then ours to change before it is attached.
static inline int detached_trees(int directory, const char *path) {
    long syscall(long, ...);
    return (int)syscall(428, directory, path, 1 | 02000000 | 0x8000);
}
// mount_setattr(2) on a detached tree and all below it: attributes to set, and a user namespace by which ids are mapped,
// or -1.
static inline int change_mounts(int tree, unsigned long set, int user_namespace) {
    long syscall(long, ...);
    struct {
        unsigned long set, clear, propagation, user_namespace;
    } change = {set | (user_namespace >= 0 ? 0x00100000 : 0), 0, 0, user_namespace >= 0 ? (unsigned)user_namespace : 0};
    return (int)syscall(442, tree, "", 0x1000 | 0x8000, &change, sizeof change);
}
static const unsigned long MOUNT_ATTR_RDONLY = 1, MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_NOEXEC = 8;
// move_mount(2): attaches a detached tree.
static inline int attach_tree(int tree, const char *target) {
    long syscall(long, ...);
    return (int)syscall(429, tree, "", -100, target, 4);
}
static inline int close_range(unsigned first, unsigned last, unsigned flags) {
    long syscall(long, ...);
    return (int)syscall(436, first, last, flags);
}
static inline int process_descriptor(pid_t pid) {
    long syscall(long, ...);
    return (int)syscall(434, pid, 0);
}
static inline int signal_process(int process, int signal) {
    long syscall(long, ...);
    return (int)syscall(424, process, signal, 0L, 0);
}
// fork(2) into new namespaces, as a sibling: a child of this process's own parent.
static inline int fork_sibling(unsigned long namespaces) {
    long syscall(long, ...);
    const unsigned long parent = 0x00008000;
#if defined(__x86_64__)
    return (int)syscall(56, namespaces | parent | 17, 0L, 0L, 0L, 0L);
#else
    return (int)syscall(220, namespaces | parent | 17, 0L, 0L, 0L, 0L);
#endif
}
// The same, in this process's own namespaces; `process` gets a descriptor of the child (CLONE_PIDFD).
static inline int fork_sibling_held(int *process) {
    long syscall(long, ...);
    const unsigned long parent = 0x00008000, pidfd = 0x00001000;
#if defined(__x86_64__)
    return (int)syscall(56, parent | pidfd | 17, 0L, process, 0L, 0L);
#else
    return (int)syscall(220, parent | pidfd | 17, 0L, process, 0L, 0L);
#endif
}
// Whose the files are that this process makes; it keeps root's rights (SECBIT_NO_SETUID_FIXUP) until it is root again.
static inline void make_files_as(unsigned user, unsigned group) {
    int setfsuid(unsigned);
    int setfsgid(unsigned);
    int prctl(int, ...);
    if (user != 0)
        prctl(28, 4UL, 0UL, 0UL, 0UL);
    setfsgid(group);
    setfsuid(user);
    if (user == 0)
        prctl(28, 0UL, 0UL, 0UL, 0UL);
}
static const int CLONE_NEWUSER = 0x10000000, CLONE_NEWNS = 0x00020000, CLONE_NEWUTS = 0x04000000, CLONE_NEWIPC = 0x08000000,
                 CLONE_NEWPID = 0x20000000, CLONE_NEWNET = 0x40000000;
static const unsigned long MS_RDONLY = 1, MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_REMOUNT = 32, MS_BIND = 4096,
                           MS_REC = 16384, MS_PRIVATE = 1 << 18, MS_SLAVE = 1 << 19;
static const int MNT_DETACH = 2;

// Sockets.
struct unix_address {
    unsigned short family;
    char path[108];
};
struct memory_piece {
    void *base;
    size_t length;
};
struct socket_message {
    void *name;
    unsigned name_length;
    struct memory_piece *pieces;
    size_t piece_count;
    void *control;
    size_t control_length;
    int flags;
};
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, unsigned length);
int bind(int fd, const void *address, unsigned length);
static inline ssize_t send_message(int fd, const struct socket_message *message, int flags) {
    ssize_t sendmsg(int, const void *, int);
    return sendmsg(fd, message, flags);
}
static inline ssize_t send_bytes(int fd, const void *bytes, size_t count, int flags) {
    ssize_t sendto(int, const void *, size_t, int, const void *, unsigned);
    return sendto(fd, bytes, count, flags, (const void *)0, 0);
}
// How long a connect(2) or send(2) may block, in seconds (SO_SNDTIMEO).
static inline int limit_sending(int fd, long seconds) {
    int setsockopt(int, int, int, const void *, unsigned);
    struct {
        long seconds, microseconds;
    } limit = {seconds, 0};
    return setsockopt(fd, 1, 21, &limit, sizeof limit);
}
// Makes the buffer of what is sent as small as can be (SO_SNDBUF).
static inline int shrink_sending(int fd) {
    int setsockopt(int, int, int, const void *, unsigned);
    int least = 0;
    return setsockopt(fd, 1, 7, &least, sizeof least);
}
// How much memory what was sent takes that has not been read yet (SIOCOUTQ).
static inline int unread_bytes(int fd) {
    int ioctl(int, int, ...);
    int count = 0;
    return ioctl(fd, 0x5411, &count) < 0 ? -1 : count;
}
static const int AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_CLOEXEC = 02000000;
static const int MSG_NOSIGNAL = 0x4000;

// Brings an interface up (SIOCSIFFLAGS): the loopback of a fresh network namespace is down.
static inline int set_interface_up(int socket, const char *name) {
    int ioctl(int, int, ...);
    struct {
        char name[16];
        short flags;
        char padding[22];
    } request = {{0}, 0x1 | 0x40, {0}};
    for (int i = 0; i < 15 && name[i]; i++)
        request.name[i] = name[i];
    return ioctl(socket, 0x8914, &request);
}
