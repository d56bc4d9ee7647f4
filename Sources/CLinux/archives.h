// Shared by the files that use libarchive: the functions they need, bound at run time.
#pragma once

#define _GNU_SOURCE
#include "include/archives.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#define RKT_ARCHIVE_FUNCTIONS(X)                                                                                      \
    X(archive_read_new)                                                                                               \
    X(archive_read_free)                                                                                              \
    X(archive_read_append_filter)                                                                                     \
    X(archive_read_support_format_raw)                                                                                \
    X(archive_read_support_format_tar)                                                                                \
    X(archive_read_support_format_empty)                                                                              \
    X(archive_read_open)                                                                                              \
    X(archive_read_next_header)                                                                                       \
    X(archive_read_data_block)                                                                                        \
    X(archive_errno)                                                                                                  \
    X(archive_error_string)                                                                                           \
    X(archive_entry_pathname)                                                                                         \
    X(archive_entry_hardlink)                                                                                         \
    X(archive_entry_symlink)                                                                                          \
    X(archive_entry_filetype)                                                                                         \
    X(archive_entry_perm)                                                                                             \
    X(archive_entry_uid)                                                                                              \
    X(archive_entry_gid)                                                                                              \
    X(archive_entry_size)                                                                                             \
    X(archive_entry_rdevmajor)                                                                                        \
    X(archive_entry_rdevminor)                                                                                        \
    X(archive_entry_mtime)                                                                                            \
    X(archive_entry_mtime_nsec)                                                                                       \
    X(archive_entry_xattr_reset)                                                                                      \
    X(archive_entry_xattr_next)                                                                                       \
    X(archive_entry_acl_types)                                                                                        \
    X(archive_entry_acl_reset)                                                                                        \
    X(archive_entry_acl_next)

struct rkt_archive_library {
#define DECLARE(name) __typeof__(name) *name;
    RKT_ARCHIVE_FUNCTIONS(DECLARE)
#undef DECLARE
    locale_t locale;  // UTF-8, so that names pass through libarchive unchanged
};

extern struct rkt_archive_library rkt_archive;

// An xz stream as a source of what it holds. NULL when liblzma is not there.
struct rkt_xz;
struct rkt_xz *rkt_xz_new(rkt_source source, void *context);
ssize_t rkt_xz_next(void *context, const void **bytes);
const char *rkt_xz_error(const struct rkt_xz *xz);
void rkt_xz_free(struct rkt_xz *xz);
