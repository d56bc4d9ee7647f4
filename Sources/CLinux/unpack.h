// Shared by the two halves of the unpacker: the walk over the archive and the making of files.
#pragma once

#include "archives.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096 };

// A directory's time, set when nothing is written into it any more.
struct directory_time {
    struct directory_time *next;
    struct timespec modified;
    char path[];
};

struct unpacking {
    int mode;
    const struct rkt_unpack_limits *limits;
    int root;
    int output;
    int parent;  // the directory of the last entry, kept open: most entries share it with the one before
    char parent_path[PATH_LIMIT];
    struct archive *archive;
    struct directory_time *times;
    struct directory_time *last_time;
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

// Removes what is at a place, with all below it.
int unpack_remove(struct unpacking *unpacking, const struct place *place);

int unpack_file(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_directory(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_symlink(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_special(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry);
int unpack_hardlink(struct unpacking *unpacking, const struct place *place, const char *target);
int unpack_whiteout(struct unpacking *unpacking, const struct place *place);
int unpack_opaque(struct unpacking *unpacking, const char *path);

// Sets the extended attributes and ACLs that an image may set on an open file.
int unpack_attributes(struct unpacking *unpacking, int file, struct archive_entry *entry);
