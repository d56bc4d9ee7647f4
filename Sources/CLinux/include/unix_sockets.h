// Unix sockets as the kernel lists them (sock_diag(7)).
#pragma once

#include <stdbool.h>

struct rkt_unread_streams {
    // Whether a socket with the path listens in this network namespace.
    bool is_listening;
    // Connections to it that nobody has accepted yet.
    unsigned waiting;
    // Accepted ones whose other side has closed and that hold bytes nobody has read yet.
    unsigned unread;
};

// Looks at the stream sockets with a path. Returns 0, or -1 with errno.
int rkt_unix_streams(const char *_Nonnull path, struct rkt_unread_streams *_Nonnull streams);
