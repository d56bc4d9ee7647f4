#include "archives.h"
#include "inflate.h"

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
    __typeof__(isal_inflate_init) *isal_inflate_init;
    __typeof__(isal_inflate_reset) *isal_inflate_reset;
    __typeof__(isal_inflate) *isal_inflate;
} library;

bool rkt_inflate_load(void) {
    void *handle = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return false;
    library.isal_inflate_init = (__typeof__(library.isal_inflate_init))dlsym(handle, "isal_inflate_init");
    library.isal_inflate_reset = (__typeof__(library.isal_inflate_reset))dlsym(handle, "isal_inflate_reset");
    library.isal_inflate = (__typeof__(library.isal_inflate))dlsym(handle, "isal_inflate");
    return library.isal_inflate_init != NULL && library.isal_inflate_reset != NULL && library.isal_inflate != NULL;
}

// As much as fits into a core's cache with the piece that comes in: what follows hashes and copies it at once.
enum { OUTPUT_SIZE = 256 << 10, MAGIC_SIZE = 4 };

struct rkt_inflater {
    struct inflate_state state;
    rkt_source source;
    void *context;
    uint8_t *rest;  // of the piece that the source gave last
    size_t rest_size;
    uint8_t magic[MAGIC_SIZE];  // the beginning of what may be another member
    bool has_ended;             // the source
    bool is_done;
    bool has_failed;
    const char *error;
    uint8_t output[OUTPUT_SIZE];
};

struct rkt_inflater *rkt_inflater_new(rkt_source source, void *context) {
    struct rkt_inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater == NULL)
        return NULL;
    inflater->source = source;
    inflater->context = context;
    library.isal_inflate_init(&inflater->state);
    inflater->state.crc_flag = ISAL_GZIP;
    return inflater;
}

void rkt_inflater_free(struct rkt_inflater *inflater) {
    free(inflater);
}

const char *rkt_inflater_error(const struct rkt_inflater *inflater) {
    return inflater->error;
}

static ssize_t fail(struct rkt_inflater *inflater, const char *error) {
    inflater->has_failed = true;
    inflater->error = error;
    return -1;
}

// Makes sure that there is a rest, unless the source has ended; -1 when it failed.
static int get_rest(struct rkt_inflater *inflater) {
    if (inflater->rest_size > 0 || inflater->has_ended)
        return 0;
    const void *bytes = NULL;
    ssize_t count = inflater->source(inflater->context, &bytes);
    if (count < 0)
        return (int)fail(inflater, NULL);
    inflater->has_ended = count == 0;
    inflater->rest = (uint8_t *)bytes;
    inflater->rest_size = (size_t)count;
    return 0;
}

// Hands the rest to isa-l, when that has nothing left.
static int refill(struct rkt_inflater *inflater) {
    struct inflate_state *state = &inflater->state;
    if (state->avail_in > 0)
        return 0;
    if (get_rest(inflater) < 0)
        return -1;
    state->next_in = inflater->rest;
    state->avail_in = (uint32_t)inflater->rest_size;
    inflater->rest_size = 0;
    return 0;
}

// Behind a member: begins the next one if there is one, else the stream is done.
static int begin_next(struct rkt_inflater *inflater) {
    struct inflate_state *state = &inflater->state;
    size_t size = 0;
    while (size < MAGIC_SIZE) {
        if (refill(inflater) < 0)
            return -1;
        if (state->avail_in == 0)
            break;
        size_t count = state->avail_in < MAGIC_SIZE - size ? state->avail_in : MAGIC_SIZE - size;
        memcpy(inflater->magic + size, state->next_in, count);
        size += count;
        state->next_in += count;
        state->avail_in -= (uint32_t)count;
    }
    // RFC 1952, 2.3: two bytes of magic, deflate, and three flags that must be zero.
    const uint8_t *magic = inflater->magic;
    if (size < MAGIC_SIZE || magic[0] != 0x1f || magic[1] != 0x8b || magic[2] != 8 || (magic[3] & 0xe0) != 0) {
        inflater->is_done = true;
        return 0;
    }
    inflater->rest = state->next_in;
    inflater->rest_size = state->avail_in;
    uint8_t *next_out = state->next_out;
    uint32_t avail_out = state->avail_out;
    library.isal_inflate_reset(state);
    state->crc_flag = ISAL_GZIP;
    state->next_out = next_out;
    state->avail_out = avail_out;
    state->next_in = inflater->magic;
    state->avail_in = MAGIC_SIZE;
    return 0;
}

static const char *words(int result) {
    switch (result) {
    case ISAL_INCORRECT_CHECKSUM:
        return "a checksum of its gzip stream is wrong";
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
        return "its gzip header is malformed";
    default:
        return "its gzip stream is malformed";
    }
}

// Inflates once; -1 for an error.
static int step(struct rkt_inflater *inflater) {
    struct inflate_state *state = &inflater->state;
    if (state->block_state == ISAL_BLOCK_FINISH)
        return begin_next(inflater);
    if (refill(inflater) < 0)
        return -1;
    uint32_t before = state->avail_out;
    int result = library.isal_inflate(state);
    if (result < 0 || result == ISAL_NEED_DICT)
        return (int)fail(inflater, words(result));
    bool is_stuck = inflater->has_ended && state->avail_in == 0 && state->avail_out == before;
    if (is_stuck && state->block_state != ISAL_BLOCK_FINISH)
        return (int)fail(inflater, "its gzip stream is cut off");
    return 0;
}

ssize_t rkt_inflater_next(struct rkt_inflater *inflater, const void **bytes) {
    struct inflate_state *state = &inflater->state;
    if (inflater->has_failed)
        return -1;
    state->next_out = inflater->output;
    state->avail_out = OUTPUT_SIZE;
    while (state->avail_out > 0 && !inflater->is_done)
        if (step(inflater) < 0)
            return -1;
    *bytes = inflater->output;
    return OUTPUT_SIZE - (ssize_t)state->avail_out;
}
