#include "include/sha512.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>

#define FUNCTIONS(X)                                                                                                  \
    X(EVP_sha512)                                                                                                     \
    X(EVP_MD_CTX_new)                                                                                                 \
    X(EVP_MD_CTX_free)                                                                                                \
    X(EVP_MD_CTX_copy_ex)                                                                                             \
    X(EVP_DigestInit_ex)                                                                                              \
    X(EVP_DigestUpdate)                                                                                               \
    X(EVP_DigestFinal_ex)

static struct {
#define DECLARE(name) __typeof__(name) *name;
    FUNCTIONS(DECLARE)
#undef DECLARE
} library;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static bool is_loaded;

static void load(void) {
    void *handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    is_loaded = handle != NULL;
#define BIND(name)                                                                                                    \
    if (is_loaded) {                                                                                                  \
        library.name = (__typeof__(library.name))dlsym(handle, #name);                                                \
        is_loaded = library.name != NULL;                                                                             \
    }
    FUNCTIONS(BIND)
#undef BIND
}

static EVP_MD_CTX *context_of(const struct rkt_sha512 *hash) {
    return (EVP_MD_CTX *)hash;
}

struct rkt_sha512 *rkt_sha512_new(void) {
    pthread_once(&load_once, load);
    EVP_MD_CTX *context = is_loaded ? library.EVP_MD_CTX_new() : NULL;
    if (context != NULL && library.EVP_DigestInit_ex(context, library.EVP_sha512(), NULL) != 1) {
        library.EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct rkt_sha512 *)context;
}

int rkt_sha512_update(struct rkt_sha512 *hash, const void *bytes, size_t count) {
    return library.EVP_DigestUpdate(context_of(hash), bytes, count) == 1 ? 0 : -1;
}

int rkt_sha512_digest(const struct rkt_sha512 *hash, uint8_t digest[64]) {
    EVP_MD_CTX *copy = library.EVP_MD_CTX_new();
    bool is_done = copy != NULL && library.EVP_MD_CTX_copy_ex(copy, context_of(hash)) == 1 &&
                   library.EVP_DigestFinal_ex(copy, digest, NULL) == 1;
    library.EVP_MD_CTX_free(copy);
    return is_done ? 0 : -1;
}

void rkt_sha512_free(struct rkt_sha512 *hash) {
    library.EVP_MD_CTX_free(context_of(hash));
}
