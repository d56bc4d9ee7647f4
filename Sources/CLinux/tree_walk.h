// Shared by what walks over a tree and what copies one.
#pragma once

#include "include/trees.h"

#include <sys/stat.h>

struct tree_names {
    char **names;
    size_t count;
};

// The names in an open directory, sorted. 0, or -1 with errno.
int tree_names(int directory, struct tree_names *names);
void tree_names_free(struct tree_names *names);

// The extended attributes of an open file, sorted by name: those an image can have, and overlayfs' own.
struct tree_attributes {
    struct rkt_tree_attribute *list;
    size_t count;
    char *bytes;
};
int tree_attributes(int file, struct tree_attributes *attributes);
void tree_attributes_free(struct tree_attributes *attributes);

// Opens an entry for reading, leaving no trace of that.
int tree_open(int parent, const char *name, int flags);

// Adds a name to a path of RKT_TREE_PATH bytes; returns the length the path had, or -1 with errno.
long tree_push(char *path, const char *name);
void tree_pop(char *path, long length);
