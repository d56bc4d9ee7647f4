#include "unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

// Of the attributes in an image only those that mean the same everywhere are set: file capabilities and the user's
// own. The rest would steer this host (overlayfs, security modules) or means nothing here.
static bool is_allowed(const char *name) {
    return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

static int set(struct unpacking *unpacking, int file, const char *name, const void *value, size_t size) {
    if (fsetxattr(file, name, value, size, 0) == 0)
        return 0;
    // A file system without attributes loses the user's own, which run without; without capabilities programs fail.
    if (errno == EOPNOTSUPP && strcmp(name, "security.capability") != 0)
        return 0;
    return unpack_system(unpacking, name);
}

static int set_attributes(struct unpacking *unpacking, int file, struct archive_entry *entry) {
    const char *name;
    const void *value;
    size_t size;
    uint64_t total = 0;
    if (rkt_archive.archive_entry_xattr_reset(entry) <= 0)
        return 0;
    while (rkt_archive.archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (name == NULL || !is_allowed(name))
            continue;
        size_t length = strlen(name);
        total += length + size;
        if (length > 255 || total > unpacking->limits->xattr_bytes)
            return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its extended attributes are too large");
        if (set(unpacking, file, name, value, size) < 0)
            return -1;
    }
    return 0;
}

// The kernel's form of a POSIX ACL: a version, then entries by growing tag and number.
struct acl_entry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
};

struct acl {
    uint32_t version;
    struct acl_entry entries[];
};

static uint16_t acl_tag(int tag) {
    switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
        return 0x01;
    case ARCHIVE_ENTRY_ACL_USER:
        return 0x02;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
        return 0x04;
    case ARCHIVE_ENTRY_ACL_GROUP:
        return 0x08;
    case ARCHIVE_ENTRY_ACL_MASK:
        return 0x10;
    case ARCHIVE_ENTRY_ACL_OTHER:
        return 0x20;
    default:
        return 0;
    }
}

static int compare_entries(const void *left, const void *right) {
    const struct acl_entry *a = left, *b = right;
    if (a->tag != b->tag)
        return a->tag < b->tag ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static int set_acl(struct unpacking *unpacking, int file, struct archive_entry *entry, int type, const char *name) {
    const int most = 4096;
    if ((rkt_archive.archive_entry_acl_types(entry) & type) == 0)
        return 0;
    int count = rkt_archive.archive_entry_acl_reset(entry, type);
    if (count <= 0)
        return 0;
    if (count > most)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its access control list is too long");
    size_t size = sizeof(struct acl) + (size_t)count * sizeof(struct acl_entry);
    struct acl *acl = malloc(size);
    if (acl == NULL)
        return unpack_fail(unpacking, RKT_UNPACK_SYSTEM, ENOMEM, "malloc");
    acl->version = 2;
    int used = 0, found, permissions, tag, id;
    const char *who;
    while (used < count && rkt_archive.archive_entry_acl_next(entry, type, &found, &permissions, &tag, &id, &who) ==
                               ARCHIVE_OK) {
        uint16_t kernel_tag = acl_tag(tag);
        bool named = kernel_tag == 0x02 || kernel_tag == 0x08;
        if (kernel_tag == 0 || (named && id < 0))
            continue;  // only by a name, and names mean nothing here
        acl->entries[used++] = (struct acl_entry){
            .tag = kernel_tag, .permissions = (uint16_t)(permissions & 7), .id = named ? (uint32_t)id : UINT32_MAX};
    }
    qsort(acl->entries, (size_t)used, sizeof *acl->entries, compare_entries);
    int result = set(unpacking, file, name, acl, sizeof(struct acl) + (size_t)used * sizeof(struct acl_entry));
    free(acl);
    return result;
}

int unpack_attributes(struct unpacking *unpacking, int file, struct archive_entry *entry) {
    if (set_attributes(unpacking, file, entry) < 0)
        return -1;
    if (set_acl(unpacking, file, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access") < 0)
        return -1;
    return set_acl(unpacking, file, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
}
