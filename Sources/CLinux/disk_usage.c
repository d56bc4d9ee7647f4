#define _GNU_SOURCE
#include "disk_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t rkt_disk_usage(int directory) {
    int again = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0)
        return -1;
    DIR *stream = fdopendir(again);
    if (stream == NULL) {
        close(again);
        return -1;
    }
    int64_t total = 0;
    struct stat status;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(again, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;  // gone since
        if (!S_ISDIR(status.st_mode)) {
            total += (int64_t)status.st_blocks * 512 / (int64_t)(status.st_nlink > 0 ? status.st_nlink : 1);
            continue;
        }
        int below = openat(again, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int64_t size = below < 0 ? -1 : rkt_disk_usage(below);
        if (below >= 0)
            close(below);
        if (size < 0 && errno != ENOENT) {
            total = -1;
            break;
        }
        total += (int64_t)status.st_blocks * 512 + (size < 0 ? 0 : size);
    }
    int number = errno;
    closedir(stream);
    errno = number;
    return total;
}

int rkt_syncfs(int file) {
    return syncfs(file);
}

void rkt_start_writeback(int file, int64_t offset, int64_t size) {
    sync_file_range(file, offset, size, SYNC_FILE_RANGE_WRITE);
}
