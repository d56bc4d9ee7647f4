// Shutting a process into one directory before it looks at bytes that others wrote.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// How far a process is confined.
enum {
    RKT_CONFINED_MOUNTS = 1,  // a mount namespace of its own whose root is the directory
    RKT_CONFINED_CHROOT = 2,  // chroot only: the host forbids new mount namespaces
    RKT_CONFINED_NONE = 3,    // no other root: the caller is not root and has no rights to take
};

struct rkt_confinement {
    int root;              // the directory that becomes the process's root
    int input;             // kept, as descriptor 0
    int output;            // kept, as descriptor 1
    uint64_t memory;       // RLIMIT_DATA, bytes
    uint64_t file_size;    // RLIMIT_FSIZE, bytes
    uint64_t cpu_seconds;  // RLIMIT_CPU
};

// Confines the calling process, which must be single-threaded (a fresh child): a root of its own that is the directory,
// only descriptors 0 and 1, only the capabilities to make files with any owner and kind, no new privileges, limits, and
// a list of system calls that are about files. Returns one of RKT_CONFINED_*, or -1 with errno set and *step naming the
// call that failed; the process must then end.
int rkt_confine(const struct rkt_confinement *confinement, const char *_Nullable *_Nonnull step);

#pragma clang assume_nonnull end
