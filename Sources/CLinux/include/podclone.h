// Starting a pod's init: a clone that cannot be written in Swift, as the child must not touch the runtime.
#pragma once

#include <sys/types.h>

#pragma clang assume_nonnull begin

enum {
    RKT_NAMESPACE_MOUNT = 0x00020000,
    RKT_NAMESPACE_UTS = 0x04000000,
    RKT_NAMESPACE_IPC = 0x08000000,
    RKT_NAMESPACE_PID = 0x20000000,
    RKT_NAMESPACE_NETWORK = 0x40000000,
};

// Clones the calling process into new namespaces as a *sibling* (CLONE_PARENT: the supervisor of the caller is the
// child's parent and reaps it), and executes `path` there. `descriptors[i]` becomes descriptor 3+i of the program;
// standard streams stay. Returns the child's pid, or -1 with errno set when the clone failed. A failed execution makes
// the child exit with 127.
pid_t rkt_clone_init(int namespaces, const char *path, char *_Nullable const *_Nonnull arguments,
                     const int *descriptors, int count);

#pragma clang assume_nonnull end
