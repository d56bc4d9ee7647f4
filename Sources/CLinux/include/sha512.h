// SHA-512 by OpenSSL's libcrypto, loaded when first used: on many processors it is faster than what is linked in.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

struct rkt_sha512;

// A running digest, or NULL where libcrypto is not there or does not offer it.
struct rkt_sha512 *_Nullable rkt_sha512_new(void);

// Takes in the next bytes. Returns 0, or -1.
int rkt_sha512_update(struct rkt_sha512 *hash, const void *_Nullable bytes, size_t count);

// The digest of all bytes; more may follow. Returns 0, or -1.
int rkt_sha512_digest(const struct rkt_sha512 *hash, uint8_t digest[_Nonnull 64]);

void rkt_sha512_free(struct rkt_sha512 *hash);

#pragma clang assume_nonnull end
