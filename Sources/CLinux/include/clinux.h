// What Swift's Glibc module cannot express: variadic system calls, newer calls without a wrapper, and a clone that
// runs on in C until it has become another program. Each returns what the system call returns, with errno set.
#pragma once

#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Flags of openat2(2), from linux/openat2.h.
enum {
    RKT_RESOLVE_NO_XDEV = 0x01,
    RKT_RESOLVE_NO_MAGICLINKS = 0x02,
    RKT_RESOLVE_NO_SYMLINKS = 0x04,
    RKT_RESOLVE_BENEATH = 0x08,
    RKT_RESOLVE_IN_ROOT = 0x10,
};

// O_PATH of open(2), hidden without _GNU_SOURCE.
static const int RKT_O_PATH = 010000000;

int rkt_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int rkt_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags);
int rkt_pidfd_open(pid_t pid, unsigned int flags);
int rkt_pidfd_send_signal(int pidfd, int signal);
int rkt_close_range(unsigned int first, unsigned int last, unsigned int flags);
int rkt_set_cloexec(int fd, bool on);
// pipe2(2), close-on-exec.
int rkt_pipe(int *ends);
int rkt_eventfd(unsigned int initial);

// Opens a file in a directory that has no name yet, for writing, close-on-exec (O_TMPFILE).
int rkt_open_nameless(int directory, unsigned int mode);

// A read lock on the whole open file (F_OFD_SETLK), and whether another open file has one (F_OFD_GETLK: 1, 0 or -1):
// a lock that can be looked at without taking it. Works on directories.
int rkt_mark(int fd);
int rkt_is_marked(int fd);

// A lock on a range of the open file (F_OFD_SETLK, F_OFD_SETLKW); a length of 0 is to the end of all numbers.
enum { RKT_RANGE_FREE = 0, RKT_RANGE_SHARED = 1, RKT_RANGE_EXCLUSIVE = 2 };
int rkt_range_lock(int fd, int kind, int64_t start, int64_t length, bool wait);

// errno as a function: the macro does not import.
int rkt_errno(void);

// Runs `body(context)` on a thread of its own and waits for it. What the thread unshares is gone with it, and the
// process's other threads never see it. Returns 0 or an errno.
int rkt_run_on_thread(void (*body)(void *_Nullable context), void *_Nullable context);

// unshare(2) of the mount namespace for the calling thread, with all mounts made recursively slave.
int rkt_unshare_mounts(void);

#pragma clang assume_nonnull end
