/// Names of system calls for a pod that is a machine: what a whole systemd may call, as systemd-nspawn's own filter has
/// it for the capabilities that it gives (systemd 262), but for `@keyring`, as keys are the host's, and with
/// `@memlock`, as the apps' filter has it. Older kernels and libseccomps lack some.
enum MachineSystemCalls {
    /// What is allowed; beside it `socket`, but for the kernel's audit.
    static let allowed = words(
        """
        _llseek _newselect accept accept4 access alarm arch_prctl arm_fadvise64_64 bind brk cacheflush cachestat
        capget capset chdir chmod chown chown32 chroot clock_getres clock_getres_time64 clock_gettime
        clock_gettime64 clock_nanosleep clock_nanosleep_time64 clone clone3 close close_range connect
        copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
        epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
        fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
        fdatasync fgetxattr file_getattr file_setattr flistxattr flock fork fremovexattr fsconfig fsetxattr fsmount
        fsopen fspick fstat fstat64 fstatat fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex
        futex_time64 futex_waitv futimesat get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents
        getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername
        getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit
        getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
        inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
        io_pgetevents io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl
        ioprio_get ioprio_set ipc kcmp kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
        lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr llseek lremovexattr lseek
        lsetxattr lsm_get_self_attr lsm_list_modules lstat lstat64 madvise mbind membarrier memfd_create
        migrate_pages mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mount mount_setattr
        move_mount move_pages mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
        mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall
        munmap name_to_handle_at nanosleep newfstat newfstatat nice oldfstat oldlstat oldolduname oldstat olduname
        open open_tree open_tree_attr openat openat2 pause personality pidfd_open pidfd_send_signal pipe pipe2
        pivot_root poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_madvise process_vm_readv
        process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink
        readlinkat readv reboot recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
        removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe rmdir rseq
        rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
        rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
        sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
        sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget
        semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy
        set_mempolicy_home_node set_robust_list set_thread_area set_tid_address set_tls setdomainname setfsgid
        setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 sethostname setitimer setns setpgid
        setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit
        setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaction
        sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair
        splice stat stat64 statfs statfs64 statmount statx swapcontext symlink symlinkat sync sync_file_range
        sync_file_range2 syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
        timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
        timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask umount umount2 uname
        unlink unlinkat unshare uretprobe userfaultfd utime utimensat utimensat_time64 utimes vfork vhangup vmsplice
        wait4 waitid waitpid write writev
        """
    )

    /// What exists and is refused: it is about the whole host, or not kept apart by namespaces.
    static let refused = words(
        """
        _sysctl acct add_key adjtimex afs_syscall bdflush bpf break clock_adjtime clock_adjtime64 clock_settime
        clock_settime64 create_module delete_module fanotify_init fanotify_mark finit_module ftime get_kernel_syms
        getpmsg gtty idle init_module ioperm iopl kexec_file_load kexec_load keyctl lock lookup_dcookie memfd_secret
        modify_ldt mpx nfsservctl open_by_handle_at pciconfig_iobase pciconfig_read pciconfig_write perf_event_open
        pidfd_getfd pkey_alloc pkey_free pkey_mprotect prof profil putpmsg query_module quotactl quotactl_fd request_key
        security settimeofday sgetmask ssetmask stime stty subpage_prot swapoff swapon switch_endian sysfs syslog
        tuxcall ulimit uselib ustat vm86 vm86old vserver
        """
    )

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }
}
