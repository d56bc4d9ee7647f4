#include "include/confine.h"
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int unpack_fail(struct unpacking *unpacking, int status, int number, const char *message) {
    struct rkt_unpack_report *report = &unpacking->report;
    if (report->status == RKT_UNPACKED) {
        report->status = status;
        report->number = number;
        strncpy(report->message, message, sizeof report->message - 1);
    }
    return -1;
}

int unpack_system(struct unpacking *unpacking, const char *call) {
    return unpack_fail(unpacking, RKT_UNPACK_SYSTEM, errno, call);
}

int unpack_normalize(struct unpacking *unpacking, const char *path, char normal[PATH_LIMIT]) {
    size_t length = 0;
    uint32_t depth = 0;
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (size == 2 && path[0] == '.' && path[1] == '.')
            return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "its path leads upwards ('..')");
        if (size > 0 && !(size == 1 && path[0] == '.')) {
            if (length + size + 2 > PATH_LIMIT || length + size > unpacking->limits->path_length)
                return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its path is too long");
            if (++depth > unpacking->limits->path_depth)
                return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "its path is too deep");
            if (length > 0)
                normal[length++] = '/';
            memcpy(normal + length, path, size);
            length += size;
        }
        path += size;
        path += *path == '/';
    }
    if (length == 0)
        normal[length++] = '.';
    normal[length] = '\0';
    return 0;
}

// The path below rootfs/ of an appc image; NULL for what is not there.
static const char *below_rootfs(const char *path) {
    if (strcmp(path, "rootfs") == 0)
        return ".";
    return strncmp(path, "rootfs/", 7) == 0 ? path + 7 : NULL;
}

static int unpack_link(struct unpacking *unpacking, const struct place *place, const char *target) {
    char normal[PATH_LIMIT];
    if (unpack_normalize(unpacking, target, normal) < 0)
        return -1;
    const char *path = normal;
    if (unpacking->mode == RKT_UNPACK_ACI) {
        path = below_rootfs(normal);
        if (path == NULL)
            return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is a hard link to something outside rootfs/");
    }
    return unpack_hardlink(unpacking, place, path);
}

// What an entry of an OCI layer whose name starts with .wh. does; 1 when the name has no such meaning.
static int unpack_marker(struct unpacking *unpacking, const struct place *place) {
    if (unpacking->mode != RKT_UNPACK_LAYER || strncmp(place->name, ".wh.", 4) != 0)
        return 1;
    const char *name = place->name + 4;
    if (strcmp(name, ".wh..opq") == 0)
        return unpack_opaque(unpacking, unpacking->parent_real);
    if (strncmp(name, ".wh.", 4) == 0)
        return 0;  // bookkeeping of aufs
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is a whiteout of no name");
    struct place hidden = {.parent = place->parent, .name = name, .path = place->path};
    return unpack_whiteout(unpacking, &hidden);
}

static int unpack_at(struct unpacking *unpacking, const char *path, struct archive_entry *entry) {
    struct place place;
    if (unpack_place(unpacking, path, &place) < 0)
        return -1;
    int marker = unpack_marker(unpacking, &place);
    if (marker <= 0)
        return marker;

    const char *target = rkt_archive.archive_entry_hardlink(entry);
    if (target != NULL)
        return unpack_link(unpacking, &place, target);
    switch (rkt_archive.archive_entry_filetype(entry)) {
    case AE_IFREG:
        return unpack_file(unpacking, &place, entry);
    case AE_IFDIR:
        return unpack_directory(unpacking, &place, entry);
    case AE_IFLNK:
        return unpack_symlink(unpacking, &place, entry);
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
        return unpacking->mode == RKT_UNPACK_PLAIN ? 0 : unpack_special(unpacking, &place, entry);
    default:
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is of a kind that a file system does not have");
    }
}

// The manifest of an appc image goes into the report: nothing that the image has below rootfs/ can be in its way.
static int take_manifest(struct unpacking *unpacking, struct archive_entry *entry) {
    struct rkt_unpack_report *report = &unpacking->report;
    if (rkt_archive.archive_entry_filetype(entry) != AE_IFREG || rkt_archive.archive_entry_hardlink(entry) != NULL)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "the manifest is not a regular file");
    if (rkt_archive.archive_entry_size(entry) > (la_int64_t)unpacking->limits->file_bytes)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "the manifest is too large");
    if (report->has_manifest)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "the manifest is there twice");
    report->has_manifest = 1;
    return unpack_content(unpacking, unpacking->output, sizeof *report, entry);
}

// An appc image has nothing but its manifest and rootfs/.
static int unpack_appc(struct unpacking *unpacking, const char *path, struct archive_entry *entry) {
    if (strcmp(path, ".") == 0)
        return 0;
    if (strcmp(path, "manifest") == 0)
        return take_manifest(unpacking, entry);
    const char *below = below_rootfs(path);
    if (below == NULL)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "an appc image has only 'manifest' and 'rootfs'");
    if (strcmp(below, ".") == 0 && rkt_archive.archive_entry_filetype(entry) != AE_IFDIR)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "rootfs is not a directory");
    unpacking->report.probe = 1;
    return unpacking->mode == RKT_UNPACK_ACI ? unpack_at(unpacking, below, entry) : 0;
}

static int unpack_entry(struct unpacking *unpacking, const char *path, struct archive_entry *entry) {
    bool is_appc = unpacking->mode == RKT_UNPACK_ACI || unpacking->mode == RKT_UNPACK_MANIFEST;
    return is_appc ? unpack_appc(unpacking, path, entry) : unpack_at(unpacking, path, entry);
}

// The length of the next piece, 0 at the end.
static ssize_t next_length(void) {
    uint32_t length;
    size_t taken = 0;
    while (taken < sizeof length) {
        ssize_t count = read(0, (char *)&length + taken, sizeof length - taken);
        if (count < 0 && errno == EINTR)
            continue;
        // Who has put in all there is leaves, and may leave bytes of ours unread: after the last piece that is the end too.
        if (count < 0 && errno == ECONNRESET)
            return 0;
        if (count <= 0)
            return count;
        taken += (size_t)count;
    }
    if (length <= RKT_PIECE_SIZE)
        return length;
    errno = EPROTO;
    return -1;
}

static la_ssize_t read_input(struct archive *archive, void *context, const void **bytes) {
    (void)archive;
    struct unpacking *unpacking = context;
    // Who asks for the next piece is done with the one before. That nobody waits for it any more is no failure.
    if (unpacking->taken > 0)
        (void)!write(0, "", 1);
    *bytes = unpacking->pieces + (size_t)(unpacking->taken++ % RKT_PIECES) * RKT_PIECE_SIZE;
    return next_length();
}

static int open_archive(struct unpacking *unpacking) {
    unpacking->archive = rkt_archive.archive_read_new();
    if (unpacking->archive == NULL)
        return unpack_fail(unpacking, RKT_UNPACK_SYSTEM, ENOMEM, "malloc");
    rkt_archive.archive_read_support_format_tar(unpacking->archive);
    rkt_archive.archive_read_support_format_empty(unpacking->archive);
    if (rkt_archive.archive_read_open(unpacking->archive, unpacking, NULL, read_input, NULL) != ARCHIVE_OK)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "it is not a tar archive");
    return 0;
}

// Next entry with its plain path; 1 at the end of the archive.
static int next_entry(struct unpacking *unpacking, struct archive_entry **entry, char path[PATH_LIMIT]) {
    struct rkt_unpack_report *report = &unpacking->report;
    int result = rkt_archive.archive_read_next_header(unpacking->archive, entry);
    if (result == ARCHIVE_EOF)
        return 1;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
        const char *error = rkt_archive.archive_error_string(unpacking->archive);
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, error != NULL ? error : "malformed tar archive");
    }
    const char *name = rkt_archive.archive_entry_pathname(*entry);
    memset(report->entry, 0, sizeof report->entry);
    if (name == NULL)
        return unpack_fail(unpacking, RKT_UNPACK_INVALID, 0, "an entry has no readable name");
    strncpy(report->entry, name, sizeof report->entry - 1);
    if (++report->entries > unpacking->limits->entries)
        return unpack_fail(unpacking, RKT_UNPACK_LIMIT, 0, "the archive has too many entries");
    return unpack_normalize(unpacking, name, path);
}

static int unpack_all(struct unpacking *unpacking) {
    struct archive_entry *entry;
    char path[PATH_LIMIT];
    int result;
    if (open_archive(unpacking) < 0)
        return -1;
    while ((result = next_entry(unpacking, &entry, path)) == 0) {
        if (unpacking->mode == RKT_UNPACK_PROBE) {
            if (strcmp(path, ".") == 0)
                continue;
            bool is_aci = strcmp(path, "manifest") == 0 || below_rootfs(path) != NULL;
            unpacking->report.probe = is_aci ? RKT_PROBE_ACI : RKT_PROBE_OTHER;
            return 0;
        }
        if (unpack_entry(unpacking, path, entry) < 0)
            return -1;
    }
    if (result < 0)
        return -1;
    memset(unpacking->report.entry, 0, sizeof unpacking->report.entry);
    if (unpack_finish_directories(unpacking) < 0)
        return -1;
    // Whoever feeds us hashes all of the stream, also what follows the archive's end.
    const void *rest;
    while (read_input(NULL, unpacking, &rest) > 0) {}
    return 0;
}

static int run_child(
    int mode, int pieces, const struct rkt_confinement *confinement, const struct rkt_unpack_limits *limits) {
    static struct unpacking unpacking;
    const char *step = "";
    unpacking = (struct unpacking){.mode = mode, .limits = limits, .output = 1, .parent = -1};
    unpacking.report.magic = RKT_UNPACK_MAGIC;
    // The descriptor does not outlive the confinement.
    unpacking.pieces = mmap(NULL, (size_t)RKT_PIECES * RKT_PIECE_SIZE, PROT_READ, MAP_SHARED, pieces, 0);
    int map_error = unpacking.pieces == MAP_FAILED ? errno : 0;
    int kind = rkt_confine(confinement, &step);
    if (kind < 0) {
        // The report's descriptor is 1 from the first step on.
        unpack_fail(&unpacking, RKT_UNPACK_SYSTEM, errno, step);
    } else if (map_error != 0) {
        unpack_fail(&unpacking, RKT_UNPACK_SYSTEM, map_error, "mmap");
    } else {
        unpacking.report.confinement = kind;
        if (rkt_archive.locale != (locale_t)0)
            uselocale(rkt_archive.locale);
        unpacking.root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (unpacking.root < 0)
            unpack_system(&unpacking, "open");
        else
            unpack_all(&unpacking);
    }
    ssize_t written = pwrite(1, &unpacking.report, sizeof unpacking.report, 0);
    return written == (ssize_t)sizeof unpacking.report ? 0 : 1;
}

pid_t rkt_unpack_start(
    int mode, int directory, int input, int pieces, int report, const struct rkt_unpack_limits *limits) {
    struct rkt_unpack_limits copy = *limits;
    struct rkt_confinement confinement = {
        .root = directory,
        .input = input,
        .output = report,
        .memory = copy.memory,
        .file_size = copy.bytes,
        .cpu_seconds = copy.cpu_seconds,
    };
    // fork, not clone: the C library then leaves its memory allocator in order, which is all that the child needs.
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    _exit(run_child(mode, pieces, &confinement, &copy));
}

int rkt_unpack_wait(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
