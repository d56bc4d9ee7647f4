#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int rkt_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    int result;
    // A rename or mount anywhere on the host while the kernel goes through a ".." makes it give up: it cannot tell then
    // whether that led out of the directory. Somebody who renames all the time must not hold us for ever.
    int tries = 1000;
    do
        result = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    while (result < 0 && errno == EAGAIN && --tries > 0);
    return result;
}

int rkt_renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags) {
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
}

int rkt_pidfd_open(pid_t pid, unsigned int flags) {
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

int rkt_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int rkt_close_range(unsigned int first, unsigned int last, unsigned int flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}

int rkt_set_cloexec(int fd, bool on) {
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

int rkt_pipe(int *ends) {
    return pipe2(ends, O_CLOEXEC);
}

int rkt_eventfd(unsigned int initial) {
    return eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK);
}

int rkt_open_nameless(int directory, unsigned int mode) {
    return openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
}

int rkt_mark(int fd) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int rkt_is_marked(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

int rkt_range_lock(int fd, int kind, int64_t start, int64_t length, bool wait) {
    const short kinds[] = {F_UNLCK, F_RDLCK, F_WRLCK};
    struct flock lock = {.l_type = kinds[kind], .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
}

int rkt_errno(void) {
    return errno;
}

struct thread_body {
    void (*body)(void *context);
    void *context;
};

static void *thread_main(void *argument) {
    struct thread_body *thread = argument;
    thread->body(thread->context);
    return NULL;
}

int rkt_run_on_thread(void (*body)(void *context), void *context) {
    struct thread_body argument = {.body = body, .context = context};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, thread_main, &argument);
    if (error != 0)
        return error;
    return pthread_join(thread, NULL);
}

int rkt_unshare_mounts(void) {
    if (unshare(CLONE_NEWNS) < 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}
