// libcurl, loaded when first used: one HTTP exchange at a time on a connection that is kept for the next one, and URLs as
// libcurl reads them, so that what is checked is what is asked.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#pragma clang assume_nonnull begin

// Loads libcurl. Returns NULL or what is missing.
const char *_Nullable rkt_transfers_load(void);

// Loads libcurl and what it needs, which takes longer than a small fetch, and calls none of it: a program that ends meanwhile
// waits for it.
void rkt_transfers_preload(void);

// The parts of an absolute URL; free with rkt_url_free.
struct rkt_url {
    char *_Nullable whole;
    char *_Nullable scheme;
    char *_Nullable host;
    char *_Nullable port;  // the scheme's own where the URL has none
};

// Reads a URL, or one relative to `base`. Returns 0, or -1 when it is none, has another scheme than http and https, or a
// user name in it.
int rkt_url_parse(const char *_Nullable base, const char *text, struct rkt_url *url);

void rkt_url_free(struct rkt_url *url);

// Takes a piece of a header or a body. Returns 0, or 1 to end the exchange.
typedef int (*rkt_sink)(void *_Nullable context, const void *bytes, size_t count);

struct rkt_exchange {
    const char *url;
    const char *_Nullable const *_Nonnull headers;  // `Name: value`, a NULL behind the last one
    const char *user_agent;
    int allows_http;
    int ignores_certificates;
    long seconds;  // the most it may take; 0 for no limit but that something comes
    long least_bytes;    // a second: less than this,
    long least_seconds;  // for so long, is too slow
    int is_direct;  // whatever the environment says of proxies
    int watched;    // a descriptor that can be read from once nobody wants the answer any more; -1 for none
    const void *_Nullable form;  // what to send (`application/x-www-form-urlencoded`): then it is a POST
    size_t form_size;
    const void *_Nullable authorities;  // certificates as PEM, besides the system's
    size_t authorities_size;
    const char *_Nullable certificate;  // of the client, and its key
    const char *_Nullable key;
    rkt_sink header;                    // whole lines
    rkt_sink body;
    void *_Nullable context;
};

// How an exchange failed.
enum {
    RKT_EXCHANGE_DONE = 0,
    RKT_EXCHANGE_REFUSED = 1,     // by a sink
    RKT_EXCHANGE_BROKEN = 2,      // by the network: again is worth a try
    RKT_EXCHANGE_UNTRUSTED = 3,   // the server's certificate
    RKT_EXCHANGE_IMPOSSIBLE = 4,  // whatever else: again would be the same
    RKT_EXCHANGE_NO_TLS = 5,      // nobody there speaks TLS, or nobody is there
    RKT_EXCHANGE_SLOW = 6,        // too slow, or not done in time
};

struct rkt_connection;

struct rkt_connection *_Nullable rkt_connection_new(void);
void rkt_connection_free(struct rkt_connection *connection);

// Makes an exchange, without following redirects. Returns one of the above; then rkt_connection_error says more.
int rkt_connection_run(struct rkt_connection *connection, const struct rkt_exchange *exchange);

const char *rkt_connection_error(struct rkt_connection *connection);

#pragma clang assume_nonnull end
