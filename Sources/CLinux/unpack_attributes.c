#include "unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

// Of the attributes in an image only those that mean the same everywhere are set: file capabilities and the user's
// own. The rest would steer this host (overlayfs, security modules) or means nothing here.
static bool is_allowed(const char *name) {
    if (strncmp(name, "user.", 5) == 0)
        return strncmp(name, "user.overlay.", 13) != 0;
    return strcmp(name, "security.capability") == 0;
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

// The entries of one kind in the kernel's form, allocated; NULL when there are none.
static int make_acl(
    struct unpacking *unpacking, struct archive_entry *entry, int type, void **result, size_t *result_size) {
    const int most = 4096;
    *result = NULL;
    *result_size = 0;
    if ((rkt_archive.archive_entry_acl_types(entry) & type) == 0)
        return 0;
    int count = rkt_archive.archive_entry_acl_reset(entry, type);
    if (count <= 0)
        return 0;
    if (count > most)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its access control list is too long");
    struct acl *acl = malloc(sizeof(struct acl) + (size_t)count * sizeof(struct acl_entry));
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
    *result = acl;
    *result_size = sizeof(struct acl) + (size_t)used * sizeof(struct acl_entry);
    return 0;
}

static const char access_name[] = "system.posix_acl_access", default_name[] = "system.posix_acl_default";

int unpack_attributes(struct unpacking *unpacking, int file, struct archive_entry *entry) {
    void *acl;
    size_t size;
    if (set_attributes(unpacking, file, entry) < 0)
        return -1;
    if (make_acl(unpacking, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, &acl, &size) < 0)
        return -1;
    int result = acl == NULL ? 0 : set(unpacking, file, access_name, acl, size);
    free(acl);
    return result;
}

int unpack_default_acl(struct unpacking *unpacking, struct archive_entry *entry, void **acl, size_t *size) {
    return make_acl(unpacking, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, acl, size);
}

int unpack_set_default_acl(struct unpacking *unpacking, int file, const void *acl, size_t size) {
    return acl == NULL ? 0 : set(unpacking, file, default_name, acl, size);
}

// By its name in the directory that it has just been made in, as it cannot be opened: a driver would be asked.
int unpack_special_acl(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    void *acl;
    size_t size;
    if (make_acl(unpacking, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, &acl, &size) < 0)
        return -1;
    if (acl == NULL)
        return 0;
    int result = 0;
    if (fchdir(place->parent) < 0 || lsetxattr(place->name, access_name, acl, size, 0) < 0)
        result = errno == EOPNOTSUPP ? 0 : unpack_system(unpacking, access_name);
    free(acl);
    return result;
}

int unpack_clear_attributes(struct unpacking *unpacking, int file) {
    static char names[64 << 10];
    ssize_t size = flistxattr(file, names, sizeof names);
    if (size < 0)
        return errno == EOPNOTSUPP ? 0 : unpack_system(unpacking, "flistxattr");
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        bool is_acl = strcmp(name, access_name) == 0 || strcmp(name, default_name) == 0;
        if ((is_acl || is_allowed(name)) && fremovexattr(file, name) < 0)
            return unpack_system(unpacking, name);
    }
    return 0;
}
