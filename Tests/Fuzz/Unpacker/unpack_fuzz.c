// libFuzzer over the unpacker, in this process: what it does with a tar, and that it stays in its directory. The first
// byte chooses what the tar is to it. RKT_FUZZ_TREE is a directory for the trees, best a tmpfs; everything else should
// be mounted read-only, as scripts/fuzz.sh does.
#define _GNU_SOURCE
#include "../../../Sources/CLinux/unpack.c"
#include "../../../Sources/CLinux/unpack_files.c"

#include <stdio.h>
#include <sys/resource.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t limit);

enum { BLOCK = 512 };
static const uint32_t most_levels = 32;
static int tree = -1;

static void stop(const char *what) {
    perror(what);
    abort();
}

// The sentinel, beside which the unpacked tree is made.
static void make_sentinel(void) {
    if (mkdirat(tree, "outside", 0700) < 0 && errno != EEXIST)
        stop("mkdir");
    int file = openat(tree, "outside/file", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, "untouched", 9) != 9)
        stop("the sentinel");
    close(file);
}

// How many names a directory has, not counting `.` and `..`.
static int count_names(const char *name) {
    int descriptor = openat(tree, name, O_RDONLY | O_DIRECTORY), count = 0;
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL)
        stop("opendir");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

static void check_sentinel(void) {
    char text[16] = "";
    int file = openat(tree, "outside/file", O_RDONLY | O_NOFOLLOW);
    struct stat status;
    if (file < 0 || read(file, text, sizeof text) != 9 || memcmp(text, "untouched", 9) != 0)
        abort();
    if (fstat(file, &status) < 0 || status.st_nlink != 1 || (status.st_mode & 07777) != 0600 || status.st_uid != 0)
        abort();
    close(file);
    if (count_names(".") != 2 || count_names("outside") != 1)
        abort();
}

// No deeper than the limit, however the archive's links lead; of what was refused there is at most one path more.
static void check_depth(int parent, const char *name, uint32_t level, uint32_t most) {
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (descriptor < 0)
        return;
    if (level > most)
        abort();
    DIR *directory = fdopendir(descriptor);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            check_depth(descriptor, entry->d_name, level + 1, most);
    closedir(directory);
}

static void give_back(struct unpacking *unpacking) {
    if (unpacking->archive != NULL)
        rkt_archive.archive_read_free(unpacking->archive);
    if (unpacking->parent >= 0)
        close(unpacking->parent);
    for (struct directory_end *end = unpacking->ends, *next; end != NULL; end = next) {
        next = end->next;
        free(end->acl);
        free(end);
    }
    close(unpacking->root);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    const char *directory = getenv("RKT_FUZZ_TREE");
    if (directory == NULL || (tree = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        stop("RKT_FUZZ_TREE");
    if (rkt_archives_load() != NULL)
        stop("libarchive");
    umask(0);
    uselocale(rkt_archive.locale);
    int input = rkt_memfd("input");
    if (input < 0 || dup2(input, 0) < 0)
        stop("memfd");
    make_sentinel();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct rkt_unpack_limits limits = {.bytes = 1 << 20, .entries = 500, .path_length = 1000,
        .path_depth = 32, .xattr_bytes = 4096, .file_bytes = 65536};
    static struct unpacking unpacking;
    if (size < 1)
        return 0;
    // One piece, and behind its length the end: what gives it back is written there, and not read.
    uint32_t length = (uint32_t)(size - 1 < RKT_PIECE_SIZE ? size - 1 : RKT_PIECE_SIZE);
    if (ftruncate(0, 0) < 0 || pwrite(0, &length, sizeof length, 0) != sizeof length || lseek(0, 0, SEEK_SET) != 0)
        stop("the input");
    int output = rkt_memfd("report");
    if (mkdirat(tree, "root", 0755) < 0 || output < 0)
        stop("the root");
    unpacking = (struct unpacking){.mode = 1 + data[0] % 5, .limits = &limits, .output = output, .parent = -1};
    unpacking.pieces = (const char *)data + 1;
    unpacking.root = openat(tree, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unpack_all(&unpacking);
    if (unpacking.report.entries > limits.entries + 1 || unpacking.report.bytes > limits.bytes)
        abort();
    give_back(&unpacking);
    close(output);
    check_depth(tree, "root", 0, unpacking.report.status == RKT_UNPACKED ? most_levels + 1 : 2 * most_levels + 1);
    check_sentinel();
    if (fchdir(tree) < 0 || remove_tree(tree, "root") < 0)
        stop("removing the tree");
    return 0;
}

// Without right checksums nothing behind a changed header is ever read.
static void mend_checksum(uint8_t *block) {
    char digits[8];
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int index = 0; index < BLOCK; index++)
        sum += block[index];
    snprintf(digits, sizeof digits, "%06o", sum);
    memcpy(block + 148, digits, 7);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t limit, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, limit);
    if (seed % 8 != 0)
        for (size_t start = 1; start + BLOCK <= size; start += BLOCK)
            if (memcmp(data + start + 257, "ustar", 5) == 0)
                mend_checksum(data + start);
    return size;
}
