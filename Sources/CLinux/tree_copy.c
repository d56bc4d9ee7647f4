#define _GNU_SOURCE
#include "tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

// A file with several names, by the one it was copied under first.
struct known {
    uint64_t device;
    uint64_t inode;
    char *path;
};

struct copying {
    int root;
    rkt_tree_filter filter;
    void *context;
    char *path;
    struct known *known;  // a hash table, a power of two large
    size_t room;
    size_t count;
};

static struct known *find(struct known *table, size_t room, uint64_t device, uint64_t inode) {
    size_t index = (size_t)((inode * 0x9e3779b97f4a7c15u) ^ device) & (room - 1);
    while (table[index].path != NULL && (table[index].device != device || table[index].inode != inode))
        index = (index + 1) & (room - 1);
    return &table[index];
}

static int grow(struct copying *copying) {
    size_t room = copying->room == 0 ? 64 : copying->room * 2;
    struct known *table = calloc(room, sizeof *table);
    if (table == NULL)
        return -1;
    for (size_t index = 0; index < copying->room; index++)
        if (copying->known[index].path != NULL)
            *find(table, room, copying->known[index].device, copying->known[index].inode) = copying->known[index];
    free(copying->known);
    copying->known = table;
    copying->room = room;
    return 0;
}

// Makes another name of what was copied already: 1, or 0 when it was not, -1 on failure.
static int copy_link(struct copying *copying, const struct stat *status, int to, const char *name) {
    if (status->st_nlink < 2)
        return 0;
    if (copying->count * 2 >= copying->room && grow(copying) < 0)
        return -1;
    struct known *known = find(copying->known, copying->room, status->st_dev, status->st_ino);
    if (known->path != NULL)
        return linkat(copying->root, known->path, to, name, 0) < 0 ? -1 : 1;
    *known = (struct known){.device = status->st_dev, .inode = status->st_ino, .path = strdup(copying->path)};
    if (known->path == NULL)
        return -1;
    copying->count++;
    return 0;
}

static int copy_attributes(int from, int to) {
    struct tree_attributes attributes;
    int result = 0;
    if (tree_attributes(from, &attributes) < 0)
        return -1;
    for (size_t index = 0; result == 0 && index < attributes.count; index++) {
        const struct rkt_tree_attribute *attribute = &attributes.list[index];
        if (strncmp(attribute->name, "trusted.", 8) == 0)
            continue;
        result = fsetxattr(to, attribute->name, attribute->value, attribute->size, 0);
        // A file system without attributes loses the user's own; without capabilities programs fail.
        if (result < 0 && errno == EOPNOTSUPP && strncmp(attribute->name, "user.", 5) == 0)
            result = 0;
    }
    int number = errno;
    tree_attributes_free(&attributes);
    errno = number;
    return result;
}

// Owner before mode (a change of owner takes the set-uid bit), both before the attributes' last word, time last.
static int finish(int from, int to, const struct stat *status) {
    struct timespec times[2] = {status->st_mtim, status->st_mtim};
    if (fchown(to, status->st_uid, status->st_gid) < 0 || fchmod(to, status->st_mode & 07777) < 0)
        return -1;
    return copy_attributes(from, to) < 0 ? -1 : futimens(to, times);
}

static int copy_range(int from, int to, off_t start, off_t end) {
    static const size_t most = 1 << 30;
    char buffer[64 << 10];
    off_t at = start;
    int by_hand = 0;
    while (at < end) {
        size_t left = (size_t)(end - at) < most ? (size_t)(end - at) : most;
        off_t in = at, out = at;
        ssize_t count = by_hand ? -1 : copy_file_range(from, &in, to, &out, left, 0);
        if (count <= 0) {
            // Not between these two file systems, or not on this kernel.
            by_hand = 1;
            count = pread(from, buffer, left < sizeof buffer ? left : sizeof buffer, at);
            if (count < 0 && errno == EINTR)
                continue;
            if (count == 0)
                errno = EIO;  // shorter than it was
            if (count <= 0)
                return -1;
            for (ssize_t done = 0, written; done < count; done += written) {
                written = pwrite(to, buffer + done, (size_t)(count - done), at + done);
                if (written < 0 && errno == EINTR)
                    written = 0;
                if (written < 0)
                    return -1;
            }
        }
        at += count;
    }
    return 0;
}

static int copy_content(int from, int to, off_t size) {
    for (off_t at = 0; at < size;) {
        off_t start = lseek(from, at, SEEK_DATA);
        if (start < 0 && errno == ENXIO)
            break;  // all that is left is a hole
        if (start < 0)
            return -1;
        off_t end = lseek(from, start, SEEK_HOLE);
        if (end < 0 || copy_range(from, to, start, end < size ? end : size) < 0)
            return -1;
        at = end;
    }
    return ftruncate(to, size);
}

static int copy_file(int from, const struct stat *status, int to, const char *name) {
    int file = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return -1;
    int result = copy_content(from, file, status->st_size);
    if (result == 0)
        result = finish(from, file, status);
    int number = errno;
    if (close(file) < 0)
        return -1;
    errno = number;
    return result;
}

static int copy_unopened(int from, const struct stat *status, int to, const char *name) {
    struct timespec times[2] = {status->st_mtim, status->st_mtim};
    if (S_ISLNK(status->st_mode)) {
        char target[PATH_MAX + 1];
        ssize_t length = readlinkat(from, name, target, sizeof target - 1);
        if (length < 0)
            return -1;
        target[length] = '\0';
        if (symlinkat(target, to, name) < 0)
            return -1;
    } else if (mknodat(to, name, (status->st_mode & S_IFMT) | 0600, status->st_rdev) < 0)
        return -1;
    if (fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (!S_ISLNK(status->st_mode) && fchmodat(to, name, status->st_mode & 07777, 0) < 0)
        return -1;
    return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_directory(struct copying *copying, int from, int to);

static int copy_opened(struct copying *copying, int from, const struct stat *status, int to, const char *name) {
    if (!S_ISDIR(status->st_mode))
        return copy_file(from, status, to, name);
    if (mkdirat(to, name, 0700) < 0)
        return -1;
    int directory = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return -1;
    int result = copy_directory(copying, from, directory);
    int number = errno;
    close(directory);
    errno = number;
    return result;
}

static int copy_entry(struct copying *copying, int from, int to, const char *name) {
    struct stat status;
    if (copying->filter != NULL && !copying->filter(copying->context, copying->path))
        return 0;
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0))
        return 0;  // a whiteout
    if (!S_ISDIR(status.st_mode)) {
        int linked = copy_link(copying, &status, to, name);
        if (linked != 0)
            return linked < 0 ? -1 : 0;
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return copy_unopened(from, &status, to, name);
    int file = tree_open(from, name, S_ISDIR(status.st_mode) ? O_DIRECTORY : 0);
    if (file < 0)
        return -1;
    int result = fstat(file, &status);
    if (result == 0)
        result = copy_opened(copying, file, &status, to, name);
    int number = errno;
    close(file);
    errno = number;
    return result;
}

static int copy_directory(struct copying *copying, int from, int to) {
    struct stat status;
    struct tree_names names;
    if (fstat(from, &status) < 0 || tree_names(from, &names) < 0)
        return -1;
    int result = 0;
    for (size_t index = 0; result == 0 && index < names.count; index++) {
        long length = tree_push(copying->path, names.names[index]);
        result = length < 0 ? -1 : copy_entry(copying, from, to, names.names[index]);
        if (result == 0)
            tree_pop(copying->path, length);
    }
    int number = errno;
    tree_names_free(&names);
    errno = number;
    return result < 0 ? -1 : finish(from, to, &status);
}

int rkt_tree_copy(int from, int to, rkt_tree_filter filter, void *context, char *place) {
    place[0] = '\0';
    struct copying copying = {.root = to, .filter = filter, .context = context, .path = place};
    int result = copy_directory(&copying, from, to);
    int number = errno;
    for (size_t index = 0; index < copying.room; index++)
        free(copying.known[index].path);
    free(copying.known);
    errno = number;
    return result;
}
