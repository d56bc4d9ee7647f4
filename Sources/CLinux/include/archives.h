// libarchive and isa-l, loaded when first used: decompressing a stream, and unpacking a tar in a confined child.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Loads libarchive (needed) and isa-l (for gzip, if it is there). Returns NULL or what is missing.
const char *_Nullable rkt_archives_load(void);

// Compressions of a stream, one of them at a time.
enum {
    RKT_COMPRESSION_NONE = 0,
    RKT_COMPRESSION_GZIP = 1,
    RKT_COMPRESSION_BZIP2 = 2,
    RKT_COMPRESSION_XZ = 3,
    RKT_COMPRESSION_ZSTD = 4,
};

// Gives the next piece of a stream: sets *bytes and returns its length, 0 at the end, or -1 for an error that the
// caller remembers.
typedef ssize_t (*rkt_source)(void *_Nullable context, const void *_Nullable *_Nonnull bytes);

struct rkt_decoder;

// A decoder of one compression, or NULL with errno set.
struct rkt_decoder *_Nullable rkt_decoder_new(int compression, rkt_source source, void *_Nullable context);

// The next piece of the decompressed stream: sets *bytes and returns its length, 0 at the end, -1 for an error.
ssize_t rkt_decoder_next(struct rkt_decoder *decoder, const void *_Nullable *_Nonnull bytes);

// What is wrong with the stream after an error.
const char *rkt_decoder_error(struct rkt_decoder *decoder);

void rkt_decoder_free(struct rkt_decoder *decoder);

// What a tar is to its reader.
enum {
    RKT_UNPACK_LAYER = 1,     // an OCI layer: whiteouts, everything a file can have
    RKT_UNPACK_ACI = 2,       // an appc image: what is below rootfs/ becomes the root; its manifest, into the report
    RKT_UNPACK_PLAIN = 3,     // only the names and the content of files, directories and links
    RKT_UNPACK_MANIFEST = 4,  // the manifest alone; of all else only the names are checked
    RKT_UNPACK_PROBE = 5,     // nothing: only tells an appc image from other archives
};

struct rkt_unpack_limits {
    uint64_t bytes;        // of all files together
    uint64_t entries;      // of the archive
    uint32_t path_length;  // bytes of a path
    uint32_t path_depth;   // components of a path
    uint32_t xattr_bytes;  // of all extended attributes of an entry
    uint64_t file_bytes;   // of an appc image's manifest
    uint64_t memory;       // of the child, over what it starts with
    uint64_t cpu_seconds;  // of the child
};

// How an unpacking ended.
enum {
    RKT_UNPACKED = 0,
    RKT_UNPACK_INVALID = 1,  // the archive is malformed or hostile
    RKT_UNPACK_LIMIT = 2,    // a limit was reached
    RKT_UNPACK_SYSTEM = 3,   // a system call failed: see number
};

// Probe results.
enum { RKT_PROBE_OTHER = 0, RKT_PROBE_ACI = 1 };

// What the child says at the start of the report file. Of a layer, the paths of opaque directories follow, each with a NUL;
// of an appc image its manifest.
struct rkt_unpack_report {
    uint32_t magic;
    int32_t status;
    int32_t number;  // errno
    int32_t probe;
    int32_t confinement;
    uint32_t has_manifest;
    uint64_t entries;
    uint64_t bytes;
    char message[256];
    char entry[1024];
};
static const uint32_t RKT_UNPACK_MAGIC = 0x726b7431;

// The memory that a tar goes through to the child: pieces, used in turn.
enum {
    RKT_PIECE_SIZE = 256 << 10,
    RKT_PIECES = 4,
};

// Starts a child that confines itself to `directory` and unpacks a tar, reporting to the file `report`. The tar comes in
// the memory `pieces`, opened for reading: the length of each (a uint32_t) through the socket `input`, and
// a byte back when it is free again. Returns the child's process ID or -1. Everything it uses is loaded before it starts.
pid_t rkt_unpack_start(
    int mode, int directory, int input, int pieces, int report, const struct rkt_unpack_limits *limits);

// Waits for the child; returns 0 when it ended by itself with success, a signal's number when one killed it, or -1.
int rkt_unpack_wait(pid_t child);

// Extended attributes; their header does not import.
int rkt_fsetxattr(int file, const char *name, const void *value, size_t size);
ssize_t rkt_lgetxattr(const char *path, const char *name, void *value, size_t size);

// A file in memory.
int rkt_memfd(const char *name);

#pragma clang assume_nonnull end
