// Shared by the two halves of the unpacker: the walk over the archive and the making of files.
#pragma once

#include "archives.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096 };

// What a directory gets when nothing is written into it any more.
struct directory_end {
    struct directory_end *next;
    struct timespec modified;
    ino_t inode;
    size_t acl_size;
    void *acl;
    char path[];
};

struct unpacking {
    int mode;
    const struct rkt_unpack_limits *limits;
    int root;
    int output;
    const char *pieces;  // the memory that the archive comes through
    unsigned taken;      // how many of its pieces have come
    int parent;  // the directory of the last entry, kept open: most entries share it with the one before
    char parent_path[PATH_LIMIT];
    char parent_real[PATH_LIMIT];  // the same without links in it, relative to the root
    struct archive *archive;
    struct directory_end *ends;
    struct directory_end *last_end;
    struct rkt_unpack_report report;
};

// One entry's place: its directory, open, and its name there.
struct place {
    int parent;
    const char *name;
    const char *path;
};

// Each returns 0, or -1 after having filled the report.
int unpack_fail(struct unpacking *unpacking, int status, int number, const char *message);
int unpack_system(struct unpacking *unpacking, const char *call);

// Makes a path of an archive relative and plain (`a/b`, `.` for the root), refusing `..` and what is over the limits.
int unpack_normalize(struct unpacking *unpacking, const char *path, char normal[PATH_LIMIT]);

// Opens the directory that `path` lies in, making what is missing.
int unpack_place(struct unpacking *unpacking, const char *path, struct place *place);

// The path of a place without links in it, relative to the root.
int unpack_real_path(struct unpacking *unpacking, const struct place *place, char path[PATH_LIMIT]);

// Removes what is at a place, with all below it.
int unpack_remove(struct unpacking *unpacking, const struct place *place);

// The content of an entry, to a file from an offset on.
int unpack_content(struct unpacking *unpacking, int file, off_t start, struct archive_entry *entry);

int unpack_file(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_directory(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_symlink(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_special(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_hardlink(struct unpacking *unpacking, const struct place *place, const char *target);
int unpack_whiteout(struct unpacking *unpacking, const struct place *place);

// Reports a directory that hides all that lower layers have below it.
int unpack_opaque(struct unpacking *unpacking, const char *path);

// Sets times and default ACLs of all directories, once everything is in them.
int unpack_finish_directories(struct unpacking *unpacking);

// Sets the extended attributes and the access ACL that an image may set on an open file.
int unpack_attributes(struct unpacking *unpacking, int file, struct archive_entry *entry);

// Removes all that unpack_attributes can set.
int unpack_clear_attributes(struct unpacking *unpacking, int file);

// Sets the access ACL of a device or pipe, which are not opened.
int unpack_special_acl(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);

// The default ACL of a directory in the kernel's form, allocated; NULL when it has none.
int unpack_default_acl(struct unpacking *unpacking, struct archive_entry *entry, void **acl, size_t *size);
int unpack_set_default_acl(struct unpacking *unpacking, int file, const void *acl, size_t size);
