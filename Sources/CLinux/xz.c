// xz with a limit on memory: libarchive has none, and a stream may ask for a dictionary of 4 GiB.
#include "archives.h"

#include <dlfcn.h>
#include <lzma.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static struct {
    __typeof__(lzma_stream_decoder) *lzma_stream_decoder;
    __typeof__(lzma_code) *lzma_code;
    __typeof__(lzma_end) *lzma_end;
} library;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static bool is_loaded;

static void load(void) {
    void *handle = dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return;
    library.lzma_stream_decoder = (__typeof__(library.lzma_stream_decoder))dlsym(handle, "lzma_stream_decoder");
    library.lzma_code = (__typeof__(library.lzma_code))dlsym(handle, "lzma_code");
    library.lzma_end = (__typeof__(library.lzma_end))dlsym(handle, "lzma_end");
    is_loaded = library.lzma_stream_decoder != NULL && library.lzma_code != NULL && library.lzma_end != NULL;
}

// xz -9 takes 65 MiB; the most that any of its presets wants.
static const uint64_t memory_limit = 256 << 20;
enum { OUTPUT_SIZE = 256 << 10 };

struct rkt_xz {
    lzma_stream stream;
    rkt_source source;
    void *context;
    bool has_ended;  // the source
    bool is_done;
    const char *error;
    uint8_t output[OUTPUT_SIZE];
};

struct rkt_xz *rkt_xz_new(rkt_source source, void *context) {
    pthread_once(&load_once, load);
    struct rkt_xz *xz = is_loaded ? calloc(1, sizeof *xz) : NULL;
    if (xz == NULL)
        return NULL;
    xz->source = source;
    xz->context = context;
    if (library.lzma_stream_decoder(&xz->stream, memory_limit, LZMA_CONCATENATED) == LZMA_OK)
        return xz;
    free(xz);
    return NULL;
}

static ssize_t fail(struct rkt_xz *xz, lzma_ret result) {
    switch (result) {
    case LZMA_MEMLIMIT_ERROR:
        xz->error = "decompressing it takes more than 256 MiB of memory";
        break;
    case LZMA_BUF_ERROR:
        xz->error = "it is cut off";
        break;
    case LZMA_MEM_ERROR:
        xz->error = "there is not enough memory to decompress it";
        break;
    default:
        xz->error = "it is not a valid xz stream";
    }
    return -1;
}

ssize_t rkt_xz_next(void *context, const void **bytes) {
    struct rkt_xz *xz = context;
    if (xz->error != NULL)
        return -1;
    xz->stream.next_out = xz->output;
    xz->stream.avail_out = OUTPUT_SIZE;
    while (!xz->is_done && xz->stream.avail_out > 0) {
        if (xz->stream.avail_in == 0 && !xz->has_ended) {
            const void *piece = NULL;
            ssize_t count = xz->source(xz->context, &piece);
            if (count < 0) {
                xz->error = "it cannot be read";
                return -1;
            }
            xz->has_ended = count == 0;
            xz->stream.next_in = piece;
            xz->stream.avail_in = (size_t)count;
        }
        lzma_ret result = library.lzma_code(&xz->stream, xz->has_ended ? LZMA_FINISH : LZMA_RUN);
        if (result == LZMA_STREAM_END)
            xz->is_done = true;
        else if (result != LZMA_OK)
            return fail(xz, result);
    }
    *bytes = xz->output;
    return OUTPUT_SIZE - (ssize_t)xz->stream.avail_out;
}

const char *rkt_xz_error(const struct rkt_xz *xz) {
    return xz->error;
}

void rkt_xz_free(struct rkt_xz *xz) {
    library.lzma_end(&xz->stream);
    free(xz);
}
