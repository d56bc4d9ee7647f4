#define _GNU_SOURCE
#include "unix_sockets.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int ask(int fd) {
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = 1u << TCP_ESTABLISHED | 1u << TCP_LISTEN,
                    .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN},
    };
    return send(fd, &message, sizeof message, 0) < 0 ? -1 : 0;
}

static void look(const struct nlmsghdr *header, const char *path, struct rkt_unread_streams *streams) {
    const struct unix_diag_msg *found = NLMSG_DATA(header);
    bool has_path = false, is_closed = false;
    unsigned unread = 0;
    int length = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *found));
    for (const struct rtattr *attribute = (const struct rtattr *)(found + 1); RTA_OK(attribute, length);
         attribute = RTA_NEXT(attribute, length)) {
        const void *value = RTA_DATA(attribute);
        size_t size = RTA_PAYLOAD(attribute);
        if (attribute->rta_type == UNIX_DIAG_NAME) {
            // The name may or may not end with the NUL.
            has_path = size >= strlen(path) && memcmp(value, path, strlen(path)) == 0 &&
                       (size == strlen(path) || ((const char *)value)[strlen(path)] == 0);
        } else if (attribute->rta_type == UNIX_DIAG_RQLEN && size >= sizeof(struct unix_diag_rqlen)) {
            unread = ((const struct unix_diag_rqlen *)value)->udiag_rqueue;
        } else if (attribute->rta_type == UNIX_DIAG_SHUTDOWN && size >= 1) {
            // RCV_SHUTDOWN: no more will come.
            is_closed = *(const unsigned char *)value & 1;
        }
    }
    if (!has_path || found->udiag_type != SOCK_STREAM)
        return;
    if (found->udiag_state == TCP_LISTEN) {
        streams->is_listening = true;
        // Of a socket that listens, the length of the queue is that of its connections.
        streams->waiting = unread;
    } else if (is_closed && unread > 0)
        streams->unread++;
}

static int read_answers(int fd, const char *path, struct rkt_unread_streams *streams) {
    _Alignas(struct nlmsghdr) char buffer[32768];
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        int length = (int)got;
        for (const struct nlmsghdr *header = (const struct nlmsghdr *)buffer; NLMSG_OK(header, length);
             header = NLMSG_NEXT(header, length)) {
            if (header->nlmsg_type == NLMSG_DONE)
                return 0;
            if (header->nlmsg_type == NLMSG_ERROR) {
                errno = -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
                return -1;
            }
            if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY)
                look(header, path, streams);
        }
    }
}

int rkt_unix_streams(const char *path, struct rkt_unread_streams *streams) {
    *streams = (struct rkt_unread_streams){false, 0, 0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return -1;
    int result = ask(fd) < 0 ? -1 : read_answers(fd, path, streams);
    int problem = errno;
    close(fd);
    errno = problem;
    return result;
}

// Fills in the address of a path; its length, or 0 when the path does not fit.
static socklen_t address_of(const char *path, struct sockaddr_un *address) {
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->sun_path) {
        errno = length == 0 ? EINVAL : ENAMETOOLONG;
        return 0;
    }
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    if (path[0] != '@')
        return sizeof *address;
    address->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int close_failed(int fd) {
    int problem = errno;
    close(fd);
    errno = problem;
    return -1;
}

int rkt_listen_for_datagrams(const char *path) {
    struct sockaddr_un address;
    socklen_t length = address_of(path, &address);
    if (length == 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(path);
    // The mode that the name gets is the socket's own.
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, length) < 0)
        return close_failed(fd);
    return fd;
}

ssize_t rkt_receive_datagram(int socket, void *bytes, size_t size, int *descriptor) {
    *descriptor = -1;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)];
    struct iovec piece = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (count < 0)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t offset = 0; CMSG_LEN(offset + sizeof(int)) <= header->cmsg_len; offset += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + offset, sizeof fd);
            if (*descriptor < 0)
                *descriptor = fd;
            else
                close(fd);
        }
    }
    return count;
}

int rkt_send_datagram(const char *path, const void *bytes, size_t size, int descriptor) {
    struct sockaddr_un address;
    socklen_t length = address_of(path, &address);
    if (length == 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_name = &address, .msg_namelen = length, .msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
        return close_failed(fd);
    close(fd);
    return 0;
}
