#include "archives.h"
#include "inflate.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

struct rkt_archive_library rkt_archive;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static const char *load_error;
static bool has_inflate;

static void load(void) {
    void *library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        load_error = "libarchive.so.13 (Debian: libarchive13)";
        return;
    }
#define BIND(name)                                                                                                    \
    rkt_archive.name = (__typeof__(rkt_archive.name))dlsym(library, #name);                                           \
    if (rkt_archive.name == NULL)                                                                                     \
        load_error = "the function " #name " of libarchive.so.13";
    RKT_ARCHIVE_FUNCTIONS(BIND)
#undef BIND
    has_inflate = rkt_inflate_load();
    rkt_archive.locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

const char *rkt_archives_load(void) {
    pthread_once(&load_once, load);
    return load_error;
}

struct rkt_decoder {
    struct archive *archive;
    struct rkt_inflater *inflater;  // instead, for gzip
    rkt_source source;
    void *context;
    int compression;
    const char *error;
    struct rkt_xz *xz;  // the source, for xz
};

static la_ssize_t read_source(struct archive *archive, void *context, const void **bytes) {
    (void)archive;
    struct rkt_decoder *decoder = context;
    return decoder->source(decoder->context, bytes);
}

static int filter_code(int compression) {
    switch (compression) {
    case RKT_COMPRESSION_GZIP:
        return ARCHIVE_FILTER_GZIP;
    case RKT_COMPRESSION_BZIP2:
        return ARCHIVE_FILTER_BZIP2;
    case RKT_COMPRESSION_XZ:
        return ARCHIVE_FILTER_XZ;
    case RKT_COMPRESSION_ZSTD:
        return ARCHIVE_FILTER_ZSTD;
    default:
        return -1;
    }
}

struct rkt_decoder *rkt_decoder_new(int compression, rkt_source source, void *context) {
    struct rkt_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return NULL;
    *decoder = (struct rkt_decoder){.source = source, .context = context, .compression = compression};
    if (compression == RKT_COMPRESSION_XZ && (decoder->xz = rkt_xz_new(source, context)) != NULL) {
        decoder->source = rkt_xz_next;
        decoder->context = decoder->xz;
        decoder->compression = compression = RKT_COMPRESSION_NONE;
    }
    if (compression == RKT_COMPRESSION_NONE)
        return decoder;
    if (compression == RKT_COMPRESSION_GZIP && has_inflate) {
        decoder->inflater = rkt_inflater_new(source, context);
        if (decoder->inflater != NULL)
            return decoder;
    }

    int filter = filter_code(compression);
    decoder->archive = rkt_archive.archive_read_new();
    // The one filter is named, not guessed: guessing would also take off a second compression inside the first.
    if (filter < 0 || decoder->archive == NULL ||
        rkt_archive.archive_read_append_filter(decoder->archive, filter) != ARCHIVE_OK ||
        rkt_archive.archive_read_support_format_raw(decoder->archive) != ARCHIVE_OK ||
        rkt_archive.archive_read_support_format_empty(decoder->archive) != ARCHIVE_OK) {
        rkt_decoder_free(decoder);
        errno = ENOSYS;
        return NULL;
    }
    return decoder;
}

static ssize_t fail(struct rkt_decoder *decoder) {
    const char *error = rkt_archive.archive_error_string(decoder->archive);
    decoder->error = error != NULL ? error : "it cannot be decompressed";
    return -1;
}

// Opening reads the first bytes, so it waits until the first piece is asked for.
static int open_stream(struct rkt_decoder *decoder) {
    struct archive_entry *entry;
    if (rkt_archive.archive_read_open(decoder->archive, decoder, NULL, read_source, NULL) != ARCHIVE_OK)
        return -1;
    int result = rkt_archive.archive_read_next_header(decoder->archive, &entry);
    if (result == ARCHIVE_EOF)
        return 0;
    return result == ARCHIVE_OK ? 1 : -1;
}

ssize_t rkt_decoder_next(struct rkt_decoder *decoder, const void **bytes) {
    if (decoder->compression == RKT_COMPRESSION_NONE)
        return decoder->source(decoder->context, bytes);
    if (decoder->inflater != NULL) {
        ssize_t count = rkt_inflater_next(decoder->inflater, bytes);
        decoder->error = rkt_inflater_error(decoder->inflater);
        return count;
    }
    if (decoder->error != NULL)
        return -1;
    if (decoder->compression > 0) {
        int opened = open_stream(decoder);
        if (opened < 0)
            return fail(decoder);
        decoder->compression = -1;
        if (opened == 0)
            return 0;
    }
    size_t size = 0;
    la_int64_t offset;
    int result;
    do
        result = rkt_archive.archive_read_data_block(decoder->archive, bytes, &size, &offset);
    while (result == ARCHIVE_OK && size == 0);
    if (result == ARCHIVE_EOF)
        return 0;
    return result == ARCHIVE_OK ? (ssize_t)size : fail(decoder);
}

const char *rkt_decoder_error(struct rkt_decoder *decoder) {
    if (decoder->xz != NULL && rkt_xz_error(decoder->xz) != NULL)
        return rkt_xz_error(decoder->xz);
    return decoder->error != NULL ? decoder->error : "it cannot be read";
}

void rkt_decoder_free(struct rkt_decoder *decoder) {
    if (decoder->xz != NULL)
        rkt_xz_free(decoder->xz);
    if (decoder->archive != NULL)
        rkt_archive.archive_read_free(decoder->archive);
    if (decoder->inflater != NULL)
        rkt_inflater_free(decoder->inflater);
    free(decoder);
}

int rkt_fsetxattr(int file, const char *name, const void *value, size_t size) {
    return fsetxattr(file, name, value, size, 0);
}

ssize_t rkt_lgetxattr(const char *path, const char *name, void *value, size_t size) {
    return lgetxattr(path, name, value, size);
}

int rkt_memfd(const char *name) {
    return memfd_create(name, MFD_CLOEXEC);
}
