// gzip by isa-l, which is loaded when first used; where it is missing, libarchive does the same at half the speed.
#pragma once

#include "include/archives.h"

#include <stdbool.h>

struct rkt_inflater;

// Whether isa-l is there. Called once, before the first use of the others.
bool rkt_inflate_load(void);

// An inflater of a stream of one or more gzip members, or NULL with errno set.
struct rkt_inflater *rkt_inflater_new(rkt_source source, void *context);

// As rkt_decoder_next. What follows the last member and does not begin another one is no part of the stream.
ssize_t rkt_inflater_next(struct rkt_inflater *inflater, const void **bytes);

// What is wrong with the stream after an error; NULL when the source has failed.
const char *rkt_inflater_error(const struct rkt_inflater *inflater);

void rkt_inflater_free(struct rkt_inflater *inflater);
