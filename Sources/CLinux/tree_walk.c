#define _GNU_SOURCE
#include "tree_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void tree_names_free(struct tree_names *names) {
    for (size_t index = 0; index < names->count; index++)
        free(names->names[index]);
    free(names->names);
    *names = (struct tree_names){0};
}

static int add_name(struct tree_names *names, const char *name) {
    if ((names->count & (names->count - 1)) == 0) {
        size_t room = names->count == 0 ? 1 : names->count * 2;
        char **more = realloc(names->names, room * sizeof *more);
        if (more == NULL)
            return -1;
        names->names = more;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -1;
    names->names[names->count++] = copy;
    return 0;
}

int tree_names(int directory, struct tree_names *names) {
    *names = (struct tree_names){0};
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = again < 0 ? NULL : fdopendir(again);
    if (stream == NULL) {
        if (again >= 0)
            close(again);
        return -1;
    }
    int result = 0;
    errno = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(stream)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = add_name(names, entry->d_name);
    int number = errno;
    closedir(stream);
    if (result < 0 || number != 0) {
        tree_names_free(names);
        errno = number;
        return -1;
    }
    if (names->count > 0)
        qsort(names->names, names->count, sizeof *names->names, compare_names);
    return 0;
}

static int compare_attributes(const void *left, const void *right) {
    return strcmp(
        ((const struct rkt_tree_attribute *)left)->name, ((const struct rkt_tree_attribute *)right)->name);
}

// What security modules and file systems keep for themselves is no part of the tree.
static int is_content(const char *name) {
    return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0 ||
           strncmp(name, "system.posix_acl_", 17) == 0 || strncmp(name, "trusted.overlay.", 16) == 0;
}

void tree_attributes_free(struct tree_attributes *attributes) {
    free(attributes->list);
    free(attributes->bytes);
    *attributes = (struct tree_attributes){0};
}

// The names lie at the start of `bytes`, the values behind them.
static int read_attributes(int file, struct tree_attributes *attributes, ssize_t names) {
    const size_t most = 1 << 20;
    size_t used = (size_t)names;
    for (char *name = attributes->bytes; name < attributes->bytes + names; name += strlen(name) + 1) {
        if (!is_content(name))
            continue;
        ssize_t size = fgetxattr(file, name, attributes->bytes + used, most - used);
        if (size < 0)
            return -1;
        struct rkt_tree_attribute *list =
            realloc(attributes->list, (attributes->count + 1) * sizeof *attributes->list);
        if (list == NULL)
            return -1;
        attributes->list = list;
        list[attributes->count++] =
            (struct rkt_tree_attribute){.name = name, .value = attributes->bytes + used, .size = (size_t)size};
        used += (size_t)size;
    }
    return 0;
}

int tree_attributes(int file, struct tree_attributes *attributes) {
    const size_t most = 1 << 20;
    *attributes = (struct tree_attributes){0};
    ssize_t names = flistxattr(file, NULL, 0);
    if (names == 0 || (names < 0 && errno == EOPNOTSUPP))
        return 0;
    attributes->bytes = malloc(most);
    if (attributes->bytes == NULL)
        return -1;
    names = flistxattr(file, attributes->bytes, most);
    if (names < 0 || read_attributes(file, attributes, names) < 0) {
        int number = errno;
        tree_attributes_free(attributes);
        errno = number;
        return -1;
    }
    if (attributes->count > 1)
        qsort(attributes->list, attributes->count, sizeof *attributes->list, compare_attributes);
    return 0;
}

int tree_open(int parent, const char *name, int flags) {
    flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int file = openat(parent, name, flags | O_NOATIME);
    return file < 0 && errno == EPERM ? openat(parent, name, flags) : file;
}

long tree_push(char *path, const char *name) {
    size_t length = strlen(path), size = strlen(name);
    if (length + size + 2 > RKT_TREE_PATH) {
        errno = ENAMETOOLONG;
        return -1;
    }
    char *end = path + length;
    if (length > 0)
        *end++ = '/';
    memcpy(end, name, size + 1);
    return (long)length;
}

void tree_pop(char *path, long length) {
    path[length] = '\0';
}

struct walk {
    rkt_tree_visitor visitor;
    void *context;
    char *path;
};

static int visit(const struct walk *walk, const struct stat *status, int file, const char *target) {
    struct tree_attributes attributes = {0};
    if (file >= 0 && tree_attributes(file, &attributes) < 0)
        return -1;
    struct rkt_tree_entry entry = {
        .path = walk->path[0] == '\0' ? "." : walk->path,
        .mode = status->st_mode,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .major = major(status->st_rdev),
        .minor = minor(status->st_rdev),
        .nanoseconds = (uint32_t)status->st_mtim.tv_nsec,
        .seconds = status->st_mtim.tv_sec,
        .size = status->st_size,
        .device = status->st_dev,
        .inode = status->st_ino,
        .links = status->st_nlink,
        .target = target,
        .file = S_ISREG(status->st_mode) ? file : -1,
        .attributes = attributes.list,
        .attribute_count = attributes.count,
    };
    int result = walk->visitor(walk->context, &entry);
    tree_attributes_free(&attributes);
    return result;
}

static int walk_directory(const struct walk *walk, int directory);

static int walk_entry(const struct walk *walk, int parent, const char *name) {
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISLNK(status.st_mode)) {
        char target[PATH_MAX + 1];
        ssize_t length = readlinkat(parent, name, target, sizeof target - 1);
        if (length < 0)
            return -1;
        target[length] = '\0';
        return visit(walk, &status, -1, target);
    }
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return visit(walk, &status, -1, NULL);
    int file = tree_open(parent, name, S_ISDIR(status.st_mode) ? O_DIRECTORY : 0);
    if (file < 0)
        return -1;
    // What was looked at and what was opened must be the same thing.
    int result = fstat(file, &status);
    if (result == 0)
        result = S_ISDIR(status.st_mode) ? walk_directory(walk, file) : visit(walk, &status, file, NULL);
    int number = errno;
    close(file);
    errno = number;
    return result;
}

static int walk_directory(const struct walk *walk, int directory) {
    struct stat status;
    struct tree_names names;
    if (fstat(directory, &status) < 0)
        return -1;
    int result = visit(walk, &status, directory, NULL);
    if (result != 0)
        return result;
    if (tree_names(directory, &names) < 0)
        return -1;
    for (size_t index = 0; result == 0 && index < names.count; index++) {
        long length = tree_push(walk->path, names.names[index]);
        result = length < 0 ? -1 : walk_entry(walk, directory, names.names[index]);
        // After a failure the path says where it was.
        if (result == 0)
            tree_pop(walk->path, length);
    }
    int number = errno;
    tree_names_free(&names);
    errno = number;
    return result;
}

int rkt_tree_walk(int root, rkt_tree_visitor visitor, void *context, char *place) {
    place[0] = '\0';
    struct walk walk = {.visitor = visitor, .context = context, .path = place};
    return walk_directory(&walk, root);
}
