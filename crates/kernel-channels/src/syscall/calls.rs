// SPDX-License-Identifier: MIT OR Apache-2.0

//! The calls that have a constant: those that this room makes, and those that programs make most.

use super::Call;

macro_rules! calls {
    ($($constant:ident $name:literal $number:ident)*) => {
        impl Call {
            $(
                #[doc = concat!("`", $name, "(2)`")]
                pub const $constant: Self = Self::new($name, libc::$number);
            )*

            /// All of these.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];
        }
    };
}

calls! {
    BRK "brk" SYS_brk
    CLOCK_GETTIME "clock_gettime" SYS_clock_gettime
    CLOCK_NANOSLEEP "clock_nanosleep" SYS_clock_nanosleep
    CLOSE "close" SYS_close
    CLOSE_RANGE "close_range" SYS_close_range
    COPY_FILE_RANGE "copy_file_range" SYS_copy_file_range
    EPOLL_CREATE1 "epoll_create1" SYS_epoll_create1
    EPOLL_CTL "epoll_ctl" SYS_epoll_ctl
    EPOLL_PWAIT "epoll_pwait" SYS_epoll_pwait
    EVENTFD2 "eventfd2" SYS_eventfd2
    EXECVE "execve" SYS_execve
    EXIT "exit" SYS_exit
    EXIT_GROUP "exit_group" SYS_exit_group
    FCNTL "fcntl" SYS_fcntl
    FSTAT "fstat" SYS_fstat
    FUTEX "futex" SYS_futex
    GETPID "getpid" SYS_getpid
    GETPPID "getppid" SYS_getppid
    GETRANDOM "getrandom" SYS_getrandom
    GETTID "gettid" SYS_gettid
    IOCTL "ioctl" SYS_ioctl
    KILL "kill" SYS_kill
    LSEEK "lseek" SYS_lseek
    MADVISE "madvise" SYS_madvise
    MMAP "mmap" SYS_mmap
    MPROTECT "mprotect" SYS_mprotect
    MREMAP "mremap" SYS_mremap
    MUNMAP "munmap" SYS_munmap
    OPENAT "openat" SYS_openat
    PIDFD_GETFD "pidfd_getfd" SYS_pidfd_getfd
    PIDFD_OPEN "pidfd_open" SYS_pidfd_open
    PPOLL "ppoll" SYS_ppoll
    PREADV2 "preadv2" SYS_preadv2
    PWRITEV2 "pwritev2" SYS_pwritev2
    READ "read" SYS_read
    READV "readv" SYS_readv
    RESTART_SYSCALL "restart_syscall" SYS_restart_syscall
    RT_SIGACTION "rt_sigaction" SYS_rt_sigaction
    RT_SIGPROCMASK "rt_sigprocmask" SYS_rt_sigprocmask
    RT_SIGRETURN "rt_sigreturn" SYS_rt_sigreturn
    SCHED_YIELD "sched_yield" SYS_sched_yield
    SIGALTSTACK "sigaltstack" SYS_sigaltstack
    SOCKET "socket" SYS_socket
    STATX "statx" SYS_statx
    UNAME "uname" SYS_uname
    WRITE "write" SYS_write
    WRITEV "writev" SYS_writev
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_calls_have_one_number() {
        let numbers: HashSet<_> = Call::ALL.iter().map(|call| call.number()).collect();
        assert_eq!(numbers.len(), Call::ALL.len());
    }
}
