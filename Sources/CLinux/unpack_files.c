#include "unpack.h"

#include "include/clinux.h"
#include "include/disk_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Nothing resolves out of the root, whatever links the archive made before.
static int open_below(int root, const char *path, int flags) {
    const uint64_t resolve = RKT_RESOLVE_IN_ROOT | RKT_RESOLVE_NO_MAGICLINKS | RKT_RESOLVE_NO_XDEV;
    return rkt_openat2(root, path, (uint64_t)(unsigned)(flags | O_CLOEXEC), 0, resolve);
}

static int open_unlinked(int root, const char *path, int flags) {
    const uint64_t resolve = RKT_RESOLVE_BENEATH | RKT_RESOLVE_NO_SYMLINKS | RKT_RESOLVE_NO_XDEV;
    return rkt_openat2(root, path, (uint64_t)(unsigned)(flags | O_CLOEXEC), 0, resolve);
}

static bool is_whiteout(const struct stat *status) {
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

// Makes a directory that the archive has no entry for (yet): root's, whatever the one above hands down.
static int make_implied(struct unpacking *unpacking, int above, const char *name) {
    bool is_plain = unpacking->mode == RKT_UNPACK_PLAIN;
    if (mkdirat(above, name, is_plain ? 0700 : 0755) < 0)
        return -1;
    if (is_plain)
        return 0;
    if (fchownat(above, name, 0, 0, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return fchmodat(above, name, 0755, 0);
}

// A whiteout hides what lower layers have at its name; what the same layer has below that name stays visible.
static int replace_whiteout(struct unpacking *unpacking, int above, const char *name, const char *path) {
    struct stat status;
    if (unpacking->mode != RKT_UNPACK_LAYER || fstatat(above, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !is_whiteout(&status)) {
        errno = ENOTDIR;
        return -1;
    }
    if (unlinkat(above, name, 0) < 0 || make_implied(unpacking, above, name) < 0)
        return -1;
    return unpack_opaque(unpacking, path);
}

// Opens a directory, making the missing part of its path, component by component.
static int open_directory(struct unpacking *unpacking, const char *path) {
    int directory = open_below(unpacking->root, path, O_PATH | O_DIRECTORY);
    if (directory >= 0 || (errno != ENOENT && errno != ENOTDIR))
        return directory;
    char prefix[PATH_LIMIT];
    int above = open_below(unpacking->root, ".", O_PATH | O_DIRECTORY);
    for (size_t start = 0, end; above >= 0; start = end + 1) {
        end = start + strcspn(path + start, "/");
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        directory = open_below(unpacking->root, prefix, O_PATH | O_DIRECTORY);
        if (directory < 0 && errno == ENOENT) {
            if (make_implied(unpacking, above, prefix + start) == 0)
                directory = open_below(unpacking->root, prefix, O_PATH | O_DIRECTORY);
            else if (errno == EEXIST)
                errno = ELOOP;  // a link that leads nowhere
        } else if (directory < 0 && errno == ENOTDIR) {
            if (replace_whiteout(unpacking, above, prefix + start, prefix) == 0)
                directory = open_below(unpacking->root, prefix, O_PATH | O_DIRECTORY);
        }
        int number = errno;
        close(above);
        errno = number;
        above = directory;
        if (path[end] == '\0')
            break;
    }
    return above;
}

// Sets where the open parent really is. Links can lead to a place that is deeper than any path in the archive, level by
// level; whoever walks such a tree later (to measure or remove it) relies on the limit. 1 when it is over the limit.
static int find_real_path(struct unpacking *unpacking) {
    // Seen from the process's root, which is the directory that is unpacked to, or above it.
    char path[PATH_LIMIT];
    if (fchdir(unpacking->parent) < 0)
        return -1;
    if (getcwd(path, sizeof path) == NULL)
        return errno == ERANGE || errno == ENAMETOOLONG ? 1 : -1;
    uint32_t depth = 0;
    for (const char *next = path; *next != '\0'; next++)
        depth += *next == '/';
    if (depth > unpacking->limits->path_depth || strlen(path) > unpacking->limits->path_length)
        return 1;
    strcpy(unpacking->parent_real, path[1] != '\0' ? path + 1 : ".");
    return 0;
}

static int open_parent(struct unpacking *unpacking, const char *directory) {
    if (unpacking->parent >= 0)
        close(unpacking->parent);
    // Most paths have no links in them.
    unpacking->parent = open_unlinked(unpacking->root, directory, O_PATH | O_DIRECTORY);
    if (unpacking->parent >= 0) {
        strcpy(unpacking->parent_real, directory);
        return 0;
    }
    unpacking->parent = open_directory(unpacking, directory);
    if (unpacking->parent < 0) {
        if (errno == ENOTDIR || errno == ELOOP || errno == ENOENT || errno == EXDEV)
            return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "its directory is not a directory");
        return unpack_system(unpacking, "opening its directory");
    }
    int result = find_real_path(unpacking);
    if (result > 0)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "links make its path too deep");
    return result < 0 ? unpack_system(unpacking, "finding its directory") : 0;
}

// The open directory cannot become stale: what would replace a part of its path lies in another directory, and that
// one is then the open one.
int unpack_place(struct unpacking *unpacking, const char *path, struct place *place) {
    const char *slash = strrchr(path, '/');
    char directory[PATH_LIMIT] = ".";
    if (slash != NULL) {
        memcpy(directory, path, (size_t)(slash - path));
        directory[slash - path] = '\0';
    }
    *place = (struct place){.name = slash != NULL ? slash + 1 : path, .path = path};
    if (unpacking->parent < 0 || strcmp(directory, unpacking->parent_path) != 0) {
        if (open_parent(unpacking, directory) < 0)
            return -1;
        strcpy(unpacking->parent_path, directory);
    }
    place->parent = unpacking->parent;
    return 0;
}

int unpack_real_path(struct unpacking *unpacking, const struct place *place, char path[PATH_LIMIT]) {
    const char *directory = unpacking->parent_real;
    bool is_root = strcmp(directory, ".") == 0;
    size_t length = is_root ? 0 : strlen(directory), size = strlen(place->name);
    if (length + size + 2 > PATH_LIMIT)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its path is too long");
    memcpy(path, directory, length);
    if (!is_root && strcmp(place->name, ".") != 0)
        path[length++] = '/';
    if (is_root || strcmp(place->name, ".") != 0)
        memcpy(path + length, place->name, size + 1);
    else
        path[length] = '\0';
    return 0;
}

static int remove_tree(int parent, const char *name) {
    if (unlinkat(parent, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0)
        return -1;
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL) {
        close(descriptor);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = remove_tree(dirfd(directory), entry->d_name);
    closedir(directory);
    return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

int unpack_remove(struct unpacking *unpacking, const struct place *place) {
    if (strcmp(place->name, ".") == 0)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "the root of the image must be a directory");
    if (remove_tree(place->parent, place->name) < 0)
        return unpack_system(unpacking, "replacing an earlier entry");
    return 0;
}

// Whether there is something at the place, and if so removes it: the later entry of an archive counts. -1 on failure.
static int make_way(struct unpacking *unpacking, const struct place *place) {
    if (errno != EEXIST)
        return unpack_system(unpacking, "making it");
    return unpack_remove(unpacking, place);
}

static int owner_of(struct unpacking *unpacking, struct archive_entry *entry, uid_t *uid, gid_t *gid) {
    la_int64_t user = rkt_archive.archive_entry_uid(entry), group = rkt_archive.archive_entry_gid(entry);
    if (user < 0 || user >= UINT32_MAX || group < 0 || group >= UINT32_MAX)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "its owner or group is not a valid number");
    *uid = (uid_t)user;
    *gid = (gid_t)group;
    return 0;
}

// libarchive reads the fraction of a time before 1970 without its sign. (From -1 to 0 it loses the sign of all.)
static struct timespec time_of(struct archive_entry *entry) {
    struct timespec time = {
        .tv_sec = rkt_archive.archive_entry_mtime(entry), .tv_nsec = rkt_archive.archive_entry_mtime_nsec(entry)};
    if (time.tv_sec < 0 && time.tv_nsec > 0)
        time = (struct timespec){.tv_sec = time.tv_sec - 1, .tv_nsec = 1000000000 - time.tv_nsec};
    return time;
}

// Owner before mode (a change of owner takes the set-uid bit), both before the attributes' last word, time last.
static int finish(struct unpacking *unpacking, int file, struct archive_entry *entry, bool is_directory) {
    uid_t uid;
    gid_t gid;
    if (unpacking->mode == RKT_UNPACK_PLAIN)
        return 0;
    if (owner_of(unpacking, entry, &uid, &gid) < 0)
        return -1;
    if (fchown(file, uid, gid) < 0)
        return unpack_system(unpacking, "fchown");
    if (fchmod(file, rkt_archive.archive_entry_perm(entry) & 07777) < 0)
        return unpack_system(unpacking, "fchmod");
    if (unpack_attributes(unpacking, file, entry) < 0)
        return -1;
    if (is_directory)
        return 0;
    struct timespec modified = time_of(entry), times[2] = {modified, modified};
    if (futimens(file, times) < 0 && errno != EINVAL)
        return unpack_system(unpacking, "futimens");
    return 0;
}

static int write_at(int file, const char *bytes, size_t size, off_t offset) {
    while (size > 0) {
        ssize_t written = pwrite(file, bytes, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
        offset += written;
    }
    return 0;
}

// Sends what is written on its way to the disk, so that syncing finds little left to do; small files are not worth a call.
static void start_writeback(int file, off_t *from, off_t end) {
    const off_t chunk = 8 << 20;
    if (end - *from < chunk)
        return;
    rkt_start_writeback(file, *from, end - *from);
    *from = end;
}

// Pieces at growing offsets, with holes between them for a sparse file.
int unpack_content(struct unpacking *unpacking, int file, off_t start, struct archive_entry *entry) {
    struct rkt_unpack_report *report = &unpacking->report;
    la_int64_t size = rkt_archive.archive_entry_size(entry);
    off_t sent = start;
    const void *bytes;
    size_t count;
    la_int64_t offset, end = 0;
    int result;
    if (size < 0 || (uint64_t)size > unpacking->limits->bytes - report->bytes)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "the unpacked files are too large");
    report->bytes += (uint64_t)size;
    while ((result = rkt_archive.archive_read_data_block(unpacking->archive, &bytes, &count, &offset)) == ARCHIVE_OK) {
        if (offset < end || offset > size || (la_int64_t)count > size - offset)
            return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "its content does not fit its size");
        if (write_at(file, bytes, count, start + offset) < 0)
            return unpack_system(unpacking, "writing it");
        end = offset + (la_int64_t)count;
        start_writeback(file, &sent, start + end);
    }
    if (result != ARCHIVE_EOF) {
        const char *error = rkt_archive.archive_error_string(unpacking->archive);
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, error != NULL ? error : "its content cannot be read");
    }
    if (end < size && ftruncate(file, start + size) < 0)
        return unpack_system(unpacking, "ftruncate");
    return 0;
}

int unpack_file(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int file = openat(place->parent, place->name, flags, 0600);
    if (file < 0) {
        if (make_way(unpacking, place) < 0)
            return -1;
        file = openat(place->parent, place->name, flags, 0600);
        if (file < 0)
            return unpack_system(unpacking, "making it");
    }
    int result = unpack_content(unpacking, file, 0, entry);
    if (result == 0)
        result = finish(unpacking, file, entry, false);
    if (close(file) < 0 && result == 0)
        return unpack_system(unpacking, "close");
    return result;
}

// What is set on a directory when all is in it: its time, and the ACL that its entries would inherit.
static int remember(struct unpacking *unpacking, const struct place *place, int file, struct archive_entry *entry) {
    char path[PATH_LIMIT];
    struct stat status;
    if (unpack_real_path(unpacking, place, path) < 0)
        return -1;
    if (fstat(file, &status) < 0)
        return unpack_system(unpacking, "fstat");
    size_t length = strlen(path) + 1;
    struct directory_end *end = malloc(sizeof *end + length);
    if (end == NULL)
        return unpack_fail(unpacking, RKT_UNPACK_SYSTEM, ENOMEM, "malloc");
    *end = (struct directory_end){.modified = time_of(entry), .inode = status.st_ino};
    memcpy(end->path, path, length);
    if (unpack_default_acl(unpacking, entry, &end->acl, &end->acl_size) < 0) {
        free(end);
        return -1;
    }
    // At the end, so that the last entry of a directory named twice has the last word.
    if (unpacking->last_end != NULL)
        unpacking->last_end->next = end;
    else
        unpacking->ends = end;
    unpacking->last_end = end;
    return 0;
}

// What replaced a directory since then has its own time, and is not touched.
int unpack_finish_directories(struct unpacking *unpacking) {
    for (struct directory_end *end = unpacking->ends; end != NULL; end = end->next) {
        struct stat status;
        int directory = open_unlinked(unpacking->root, end->path, O_RDONLY | O_DIRECTORY);
        if (directory < 0)
            continue;
        int result = 0;
        if (fstat(directory, &status) == 0 && status.st_ino == end->inode) {
            struct timespec times[2] = {end->modified, end->modified};
            result = unpack_set_default_acl(unpacking, directory, end->acl, end->acl_size);
            if (result == 0 && futimens(directory, times) < 0 && errno != EINVAL)
                result = unpack_system(unpacking, "futimens");
        }
        close(directory);
        if (result < 0)
            return -1;
    }
    return 0;
}

// A directory in the place of something else of the same layer: that had hidden what lower layers have below the name.
static int replace_by_directory(struct unpacking *unpacking, const struct place *place) {
    char path[PATH_LIMIT];
    if (unpack_remove(unpacking, place) < 0)
        return -1;
    if (mkdirat(place->parent, place->name, 0700) < 0)
        return unpack_system(unpacking, "mkdirat");
    if (unpacking->mode != RKT_UNPACK_LAYER)
        return 0;
    return unpack_real_path(unpacking, place, path) < 0 ? -1 : unpack_opaque(unpacking, path);
}

int unpack_directory(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    bool is_old = false;
    if (mkdirat(place->parent, place->name, 0700) < 0) {
        struct stat status;
        if (errno != EEXIST || fstatat(place->parent, place->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return unpack_system(unpacking, "mkdirat");
        is_old = S_ISDIR(status.st_mode);
        if (!is_old && replace_by_directory(unpacking, place) < 0)
            return -1;
    }
    if (unpacking->mode == RKT_UNPACK_PLAIN)
        return 0;
    int directory = openat(place->parent, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return unpack_system(unpacking, "opening it");
    int result = is_old ? unpack_clear_attributes(unpacking, directory) : 0;
    if (result == 0)
        result = finish(unpacking, directory, entry, true);
    if (result == 0)
        result = remember(unpacking, place, directory, entry);
    close(directory);
    return result;
}

// Owner, mode and time of what is not opened: a link or a special file that was just made here.
static int finish_unopened(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    uid_t uid;
    gid_t gid;
    if (unpacking->mode == RKT_UNPACK_PLAIN)
        return 0;
    if (owner_of(unpacking, entry, &uid, &gid) < 0)
        return -1;
    if (fchownat(place->parent, place->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_system(unpacking, "fchownat");
    if (rkt_archive.archive_entry_filetype(entry) != AE_IFLNK &&
        fchmodat(place->parent, place->name, rkt_archive.archive_entry_perm(entry) & 07777, 0) < 0)
        return unpack_system(unpacking, "fchmodat");
    if (rkt_archive.archive_entry_filetype(entry) != AE_IFLNK && unpack_special_acl(unpacking, place, entry) < 0)
        return -1;
    struct timespec modified = time_of(entry), times[2] = {modified, modified};
    if (utimensat(place->parent, place->name, times, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL)
        return unpack_system(unpacking, "utimensat");
    return 0;
}

int unpack_symlink(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    const char *target = rkt_archive.archive_entry_symlink(entry);
    if (target == NULL || target[0] == '\0')
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is a link without a target");
    if (symlinkat(target, place->parent, place->name) < 0) {
        if (make_way(unpacking, place) < 0)
            return -1;
        if (symlinkat(target, place->parent, place->name) < 0)
            return unpack_system(unpacking, "symlinkat");
    }
    return finish_unopened(unpacking, place, entry);
}

int unpack_special(struct unpacking *unpacking, const struct place *place, struct archive_entry *entry) {
    mode_t mode = (mode_t)rkt_archive.archive_entry_filetype(entry) | 0600;
    dev_t device = S_ISFIFO(mode) ? 0
                                  : makedev(
                                        (unsigned)rkt_archive.archive_entry_rdevmajor(entry),
                                        (unsigned)rkt_archive.archive_entry_rdevminor(entry));
    if (mknodat(place->parent, place->name, mode, device) < 0) {
        if (make_way(unpacking, place) < 0)
            return -1;
        if (mknodat(place->parent, place->name, mode, device) < 0)
            return unpack_system(unpacking, "mknodat");
    }
    return finish_unopened(unpacking, place, entry);
}

// The target is looked up without following it: a hard link to a symbolic link is another name of that link.
int unpack_hardlink(struct unpacking *unpacking, const struct place *place, const char *target) {
    const char *slash = strrchr(target, '/');
    char directory[PATH_LIMIT] = ".";
    if (slash != NULL) {
        memcpy(directory, target, (size_t)(slash - target));
        directory[slash - target] = '\0';
    }
    int parent = open_below(unpacking->root, directory, O_PATH | O_DIRECTORY);
    const char *name = slash != NULL ? slash + 1 : target;
    struct stat from, to;
    int result = -1;
    if (parent < 0 || fstatat(parent, name, &from, AT_SYMLINK_NOFOLLOW) < 0)
        unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is a hard link to something that is not there");
    else if (S_ISDIR(from.st_mode))
        unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is a hard link to a directory");
    else if (fstatat(place->parent, place->name, &to, AT_SYMLINK_NOFOLLOW) == 0 && from.st_ino == to.st_ino)
        result = 0;
    else if (linkat(parent, name, place->parent, place->name, 0) == 0)
        result = 0;
    else if (make_way(unpacking, place) == 0) {
        result = linkat(parent, name, place->parent, place->name, 0);
        if (result < 0)
            unpack_system(unpacking, "linkat");
    }
    if (parent >= 0)
        close(parent);
    return result;
}

// A whiteout hides what lower layers have, not what this one has.
int unpack_whiteout(struct unpacking *unpacking, const struct place *place) {
    struct stat status;
    if (mknodat(place->parent, place->name, S_IFCHR, makedev(0, 0)) == 0)
        return 0;
    if (errno != EEXIST || fstatat(place->parent, place->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_system(unpacking, "making a whiteout");
    if (!S_ISDIR(status.st_mode))
        return 0;
    char path[PATH_LIMIT];
    return unpack_real_path(unpacking, place, path) < 0 ? -1 : unpack_opaque(unpacking, path);
}

// The attribute itself needs rights that this process does not have: its starter sets it afterwards.
int unpack_opaque(struct unpacking *unpacking, const char *path) {
    size_t size = strlen(path) + 1;
    off_t end = lseek(unpacking->output, 0, SEEK_END);
    const off_t start = sizeof(struct rkt_unpack_report);
    if (end < 0 || write_at(unpacking->output, path, size, end < start ? start : end) < 0)
        return unpack_system(unpacking, "reporting");
    return 0;
}
