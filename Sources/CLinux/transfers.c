#define _GNU_SOURCE
#include "include/transfers.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUNCTIONS(X)                                                                                                  \
    X(curl_version_info)                                                                                              \
    X(curl_global_init)                                                                                               \
    X(curl_easy_init)                                                                                                 \
    X(curl_easy_cleanup)                                                                                              \
    X(curl_easy_reset)                                                                                                \
    X(curl_easy_setopt)                                                                                               \
    X(curl_multi_init)                                                                                                \
    X(curl_multi_cleanup)                                                                                             \
    X(curl_multi_add_handle)                                                                                          \
    X(curl_multi_remove_handle)                                                                                       \
    X(curl_multi_perform)                                                                                             \
    X(curl_multi_poll)                                                                                                \
    X(curl_multi_info_read)                                                                                           \
    X(curl_multi_strerror)                                                                                            \
    X(curl_easy_strerror)                                                                                             \
    X(curl_slist_append)                                                                                              \
    X(curl_slist_free_all)                                                                                            \
    X(curl_url)                                                                                                       \
    X(curl_url_cleanup)                                                                                               \
    X(curl_url_set)                                                                                                   \
    X(curl_url_get)                                                                                                   \
    X(curl_free)

#undef curl_easy_setopt
static struct {
#define DECLARE(name) __typeof__(name) *name;
    FUNCTIONS(DECLARE)
#undef DECLARE
} library;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static const char *load_error;
static bool has_authorities_by_name;

// How many certificates a directory has by the hashes of their names (c_rehash).
static size_t count_hashed(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 0;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t digits = 0;
        while (isxdigit((unsigned char)entry->d_name[digits]))
            digits++;
        count += digits == 8 && entry->d_name[8] == '.' && isdigit((unsigned char)entry->d_name[9]);
    }
    closedir(directory);
    return count;
}

// How many certificates a file has.
static size_t count_listed(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t count = 0;
    char line[128];
    while (fgets(line, sizeof line, file) != NULL)
        count += strncmp(line, "-----BEGIN ", 11) == 0;
    fclose(file);
    return count;
}

// Whether OpenSSL finds all of the system's authorities one by one, by the hashes of their names: to read all of them takes
// longer than to fetch what is small. An authority that somebody has only written into the file of all is not among them.
static bool find_authorities(void) {
    const curl_version_info_data *info = library.curl_version_info(CURLVERSION_NOW);
    if (info->age < CURLVERSION_SEVENTH || info->capath == NULL || info->ssl_version == NULL ||
        strncmp(info->ssl_version, "OpenSSL/", 8) != 0)
        return false;
    size_t hashed = count_hashed(info->capath);
    return hashed > 0 && (info->cainfo == NULL || hashed >= count_listed(info->cainfo));
}

static const char soname[] = "libcurl.so.4";

void rkt_transfers_preload(void) {
    // Never closed: whoever needs it opens it again.
    (void)!dlopen(soname, RTLD_NOW | RTLD_LOCAL);
}

static void load(void) {
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        load_error = "libcurl.so.4 (Debian: libcurl4)";
        return;
    }
#define BIND(name)                                                                                                    \
    library.name = (__typeof__(library.name))dlsym(handle, #name);                                                    \
    if (library.name == NULL)                                                                                         \
        load_error = "the function " #name " of libcurl.so.4";
    FUNCTIONS(BIND)
#undef BIND
    if (load_error == NULL && library.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        load_error = "a libcurl that works";
    if (load_error == NULL)
        has_authorities_by_name = find_authorities();
}

const char *rkt_transfers_load(void) {
    pthread_once(&load_once, load);
    return load_error;
}

// --- URLs

static char *part(CURLU *handle, CURLUPart which, unsigned flags) {
    char *text = NULL, *copy = NULL;
    if (library.curl_url_get(handle, which, &text, flags) == CURLUE_OK) {
        copy = strdup(text);
        library.curl_free(text);
    }
    return copy;
}

int rkt_url_parse(const char *base, const char *text, struct rkt_url *url) {
    *url = (struct rkt_url){0};
    CURLU *handle = library.curl_url();
    if (handle == NULL)
        return -1;
    int result = -1;
    if ((base == NULL || library.curl_url_set(handle, CURLUPART_URL, base, 0) == CURLUE_OK) &&
        library.curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK) {
        // Nothing that is only for browsers goes to a server.
        library.curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
        char *user = part(handle, CURLUPART_USER, 0), *password = part(handle, CURLUPART_PASSWORD, 0);
        url->whole = part(handle, CURLUPART_URL, 0);
        url->scheme = part(handle, CURLUPART_SCHEME, 0);
        url->host = part(handle, CURLUPART_HOST, 0);
        url->port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        if (user == NULL && password == NULL && url->whole && url->scheme && url->host && url->port &&
            (strcmp(url->scheme, "https") == 0 || strcmp(url->scheme, "http") == 0))
            result = 0;
        free(user);
        free(password);
    }
    library.curl_url_cleanup(handle);
    if (result != 0)
        rkt_url_free(url);
    return result;
}

void rkt_url_free(struct rkt_url *url) {
    free(url->whole);
    free(url->scheme);
    free(url->host);
    free(url->port);
    *url = (struct rkt_url){0};
}

// --- exchanges

struct rkt_connection {
    CURL *handle;
    CURLM *driver;  // drives the handle alone, and keeps its connections
    const struct rkt_exchange *exchange;
    char error[CURL_ERROR_SIZE];
};

struct rkt_connection *rkt_connection_new(void) {
    struct rkt_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    connection->handle = library.curl_easy_init();
    connection->driver = library.curl_multi_init();
    if (connection->handle == NULL || connection->driver == NULL) {
        rkt_connection_free(connection);
        return NULL;
    }
    return connection;
}

void rkt_connection_free(struct rkt_connection *connection) {
    if (connection->handle != NULL)
        library.curl_easy_cleanup(connection->handle);
    if (connection->driver != NULL)
        library.curl_multi_cleanup(connection->driver);
    free(connection);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    struct rkt_connection *connection = context;
    return connection->exchange->header(connection->exchange->context, bytes, size * count) == 0 ? size * count : 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct rkt_connection *connection = context;
    return connection->exchange->body(connection->exchange->context, bytes, size * count) == 0 ? size * count : 0;
}

static int outcome(CURLcode code) {
    switch (code) {
    case CURLE_OK:
        return RKT_EXCHANGE_DONE;
    case CURLE_WRITE_ERROR:
        return RKT_EXCHANGE_REFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return RKT_EXCHANGE_BROKEN;
    case CURLE_OPERATION_TIMEDOUT:
        return RKT_EXCHANGE_SLOW;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return RKT_EXCHANGE_NO_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return RKT_EXCHANGE_UNTRUSTED;
    default:
        return RKT_EXCHANGE_IMPOSSIBLE;
    }
}

// Makes the exchange; ends it when `watched` can be read from, which is when nobody wants it any more.
static CURLcode perform(struct rkt_connection *connection, int watched) {
    CURLMcode problem = library.curl_multi_add_handle(connection->driver, connection->handle);
    CURLcode code = CURLE_FAILED_INIT;
    for (int running = 1; problem == CURLM_OK;) {
        problem = library.curl_multi_perform(connection->driver, &running);
        if (problem != CURLM_OK || running == 0)
            break;
        struct curl_waitfd reader = {.fd = watched, .events = CURL_WAIT_POLLIN};
        problem = library.curl_multi_poll(connection->driver, &reader, watched >= 0, 1000, NULL);
        if (problem == CURLM_OK && watched >= 0 && reader.revents != 0) {
            library.curl_multi_remove_handle(connection->driver, connection->handle);
            return CURLE_WRITE_ERROR;
        }
    }
    int left;
    for (CURLMsg *message; (message = library.curl_multi_info_read(connection->driver, &left)) != NULL;)
        if (message->msg == CURLMSG_DONE)
            code = message->data.result;
    library.curl_multi_remove_handle(connection->driver, connection->handle);
    if (problem != CURLM_OK && connection->error[0] == 0)
        strncpy(connection->error, library.curl_multi_strerror(problem), sizeof connection->error - 1);
    return code;
}

int rkt_connection_run(struct rkt_connection *connection, const struct rkt_exchange *exchange) {
    CURL *handle = connection->handle;
    // Connections stay, and what has been looked up.
    library.curl_easy_reset(handle);
    connection->exchange = exchange;
    connection->error[0] = 0;

    struct curl_slist *headers = NULL;
    for (const char *const *header = exchange->headers; *header != NULL; header++) {
        struct curl_slist *longer = library.curl_slist_append(headers, *header);
        if (longer == NULL) {
            library.curl_slist_free_all(headers);
            strcpy(connection->error, "no memory left");
            return RKT_EXCHANGE_IMPOSSIBLE;
        }
        headers = longer;
    }
    const char *schemes = exchange->allows_http ? "http,https" : "https";
    // No file and no variable but those of proxies has a say: no .netrc, no cookies. What is compressed stays so.
    int failed = 0;
#define SET(option, value) failed |= library.curl_easy_setopt(handle, option, value) != CURLE_OK
    SET(CURLOPT_URL, exchange->url);
    SET(CURLOPT_PROTOCOLS_STR, schemes);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, exchange->user_agent);
    SET(CURLOPT_ERRORBUFFER, connection->error);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, (void *)connection);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, (void *)connection);
    SET(CURLOPT_BUFFERSIZE, 256L << 10);
    SET(CURLOPT_CONNECTTIMEOUT, 20L);
    SET(CURLOPT_TIMEOUT, exchange->seconds);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    // Endless is only what comes.
    SET(CURLOPT_LOW_SPEED_LIMIT, exchange->least_bytes);
    SET(CURLOPT_LOW_SPEED_TIME, exchange->least_seconds);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, exchange->ignores_certificates ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, exchange->ignores_certificates ? 0L : 2L);
    // The system's authorities are in a directory, too (CURLOPT_CAPATH), which stays.
    if (has_authorities_by_name || exchange->ignores_certificates)
        SET(CURLOPT_CAINFO, NULL);
    if (exchange->ignores_certificates)
        SET(CURLOPT_CAPATH, NULL);
    if (exchange->authorities != NULL) {
        struct curl_blob blob = {
            .data = (void *)exchange->authorities, .len = exchange->authorities_size, .flags = CURL_BLOB_NOCOPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    if (exchange->is_direct)
        SET(CURLOPT_PROXY, "");
    if (exchange->form != NULL) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->form_size);
        SET(CURLOPT_POSTFIELDS, exchange->form);
    }
    if (exchange->certificate != NULL) {
        SET(CURLOPT_SSLCERT, exchange->certificate);
        SET(CURLOPT_SSLKEY, exchange->key != NULL ? exchange->key : exchange->certificate);
    }
    CURLcode code = CURLE_FAILED_INIT;
    if (!failed) {
        // Without signals libcurl leaves it to others that a peer which has hung up does not end the program.
        sigset_t pipe, before;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, &before);
        code = perform(connection, exchange->watched);
        if (!sigismember(&before, SIGPIPE)) {
            sigtimedwait(&pipe, NULL, &(struct timespec){0});
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
    }
    SET(CURLOPT_HTTPHEADER, NULL);
#undef SET
    library.curl_slist_free_all(headers);
    connection->exchange = NULL;
    if (connection->error[0] == 0 && code != CURLE_OK)
        strncpy(connection->error, library.curl_easy_strerror(code), sizeof connection->error - 1);
    return outcome(code);
}

const char *rkt_connection_error(struct rkt_connection *connection) { return connection->error; }
