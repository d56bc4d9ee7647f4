// Unix sockets: as the kernel lists them (sock_diag(7)), and datagrams with descriptors.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

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

// A datagram socket at a path, for root alone; what was there is removed. Close-on-exec, never blocks. Returns it, or -1
// with errno.
int rkt_listen_for_datagrams(const char *_Nonnull path);

// Receives a datagram and a descriptor that came with it, close-on-exec; -1 is stored for none, and further ones are closed.
// Returns the datagram's length, cut to `size`, or -1 with errno.
ssize_t rkt_receive_datagram(int socket, void *_Nonnull bytes, size_t size, int *_Nonnull descriptor);

// Sends a datagram to a path, with a descriptor if that is not -1; a leading @ stands for the abstract name space. Returns
// 0, or -1 with errno.
int rkt_send_datagram(const char *_Nonnull path, const void *_Nonnull bytes, size_t size, int descriptor);
