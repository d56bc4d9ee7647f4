// Directory trees that nobody else writes to: walked entry by entry, and copied. Names are bytes, and each is used only
// in the open directory it was read from: no link is ever followed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Bytes of a path below the root, its end included.
enum { RKT_TREE_PATH = 8192 };

struct rkt_tree_attribute {
    const char *name;
    const void *value;
    size_t size;
};

struct rkt_tree_entry {
    const char *path;  // relative to the root, "." for the root itself
    uint32_t mode;     // with the kind
    uint32_t uid;
    uint32_t gid;
    uint32_t major;  // of a device
    uint32_t minor;
    uint32_t nanoseconds;  // of the last modification
    int64_t seconds;
    int64_t size;
    uint64_t device;  // that the tree is on
    uint64_t inode;
    uint64_t links;
    const char *_Nullable target;  // of a symbolic link
    int file;                      // a regular file, open for reading; else -1
    const struct rkt_tree_attribute *_Nullable attributes;  // extended attributes, by name
    size_t attribute_count;
};

// What a walk calls for each entry, a directory before what is in it. Returns 0, or another number to end the walk.
typedef int (*rkt_tree_visitor)(void *_Nullable context, const struct rkt_tree_entry *entry);

// Walks over a tree, names in the order of their bytes. Returns 0, what the visitor has ended it with, or -1 with errno
// and the entry's path in `place`.
int rkt_tree_walk(int root, rkt_tree_visitor visitor, void *_Nullable context, char *place);

// Whether a path is to be copied.
typedef int (*rkt_tree_filter)(void *_Nullable context, const char *path);

// Copies the content of a directory into an empty one, with owners, modes, times, extended attributes, links and holes;
// not the marks that overlayfs has in a layer. The target's own owner and mode come last. Returns 0, or -1 with errno and
// the entry's path in `place`.
int rkt_tree_copy(int from, int to, rkt_tree_filter _Nullable filter, void *_Nullable context, char *place);

#pragma clang assume_nonnull end
