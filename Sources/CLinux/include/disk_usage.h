// What a directory tree takes on its file system.
#pragma once

#include <stdint.h>

#pragma clang assume_nonnull begin

// Adds up the space that is allocated below an open directory, a file with several names counted once for each name's
// share. Never leaves the directory. Returns bytes, or -1 with errno set.
int64_t rkt_disk_usage(int directory);

// syncfs(2): waits until all of the file system that the descriptor is on has reached the disk.
int rkt_syncfs(int file);

// Begins to write a part of a file to the disk, without waiting for it.
void rkt_start_writeback(int file, int64_t offset, int64_t size);

#pragma clang assume_nonnull end
