/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The ABI of dmacopy, a driver of DMA copy engines: /dev/dmacopyN.
 *
 * Written by `cargo xtask header` from crates/dmacopy-uapi/src/abi. Do not edit.
 */
#ifndef DMACOPY_H
#define DMACOPY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* What a device is and what it can do, the answer to DMACOPY_IOCTL_INFO. */
struct dmacopy_info {
	/* The driver's DMACOPY_ABI_VERSION. */
	__u32 abi_version;
	/* Which engine moves the bytes: one of the ENGINE_ constants. */
	__u32 engine;
	/* A combination of the CAP_ constants. */
	__u64 capabilities;
	/* Size of this session's buffer, in bytes; the length to pass to mmap(2). */
	__u64 buffer_bytes;
	/* The longest transfer the engine takes in one descriptor, in bytes. */
	__u64 max_transfer_bytes;
	/* Number of this session, unique as long as the module is loaded. */
	__u64 session;
	/* Where the session's rings begin in its mapping, in bytes: behind the buffer. */
	__u64 rings_offset;
	/* Entries of each of its rings; see DMACOPY_RING_*. */
	__u32 ring_entries;
	/* Zero. */
	__u32 reserved0;
	/* Zero. */
	__u64 reserved;
};

/*
 * One copy within or between buffers of the session, the argument of DMACOPY_IOCTL_COPY.
 *
 * Both ranges lie within their buffer and, if that is the same one, do not overlap. The call
 * returns when the engine has completed the transfer. Errors: EINVAL (a buffer that is none, a
 * range outside of it, an overlap, a length of zero, an unknown flag or a reserved field that
 * is not zero), EBUSY (the session has as many transfers under way as it may), EINTR: the
 * destination is unchanged. ENOMEM, ETIMEDOUT (the engine has completed nothing for the length
 * of the timeout_ms attribute), EIO (the engine has failed, or has refused the transfer),
 * ECANCELED (a signal, and then a DMACOPY_IOCTL_RESET, while the engine had it), ENODEV (the
 * device is gone): the engine may have done some of it, and does no more.
 */
struct dmacopy_copy {
	/* Where to read, in bytes from the start of the buffer. */
	__u64 source_offset;
	/* Where to write, in bytes from the start of the buffer. */
	__u64 destination_offset;
	/* How many bytes. */
	__u64 length;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* The number of the buffer to read from; 0 is the one that each session has. */
	__u8 source_buffer;
	/* The number of the buffer to write to. */
	__u8 destination_buffer;
	/* Zero. */
	__u16 reserved;
	/* Returned: the transfer's number on this device, counted from 1. */
	__u64 sequence;
	/* Returned: from submission to completion, in nanoseconds of CLOCK_MONOTONIC. */
	__u64 duration_ns;
};

/*
 * A doorbell, the argument of DMACOPY_IOCTL_SUBMIT.
 *
 * The driver takes descriptors until there are no more, count have been taken, or there is no
 * room for another completion. Then it waits until wait completions are there to be read, or
 * all descriptors that were taken have been completed. Errors: EINVAL (a flag or a reserved
 * field that is not zero, indices that are none), ENODEV (the device is gone), EINTR (a signal,
 * before anything was taken; after that the call succeeds and waits no longer).
 */
struct dmacopy_submit {
	/* How many descriptors to take at most. */
	__u32 count;
	/* How many completions to wait for. */
	__u32 wait;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Returned: how many descriptors were taken. Zero when passed in. */
	__u32 taken;
};

/*
 * Who is told of the session's completions, the argument of DMACOPY_IOCTL_EVENTFD.
 *
 * From now on, the driver adds 1 to the counter of that eventfd when there is something to
 * read: completions in the ring, subject to DMACOPY_IOCTL_COALESCE, or bytes or a failure in
 * the stream. The same when the device goes. An eventfd that was there before is told no more.
 * Errors: EINVAL (a flag or a reserved field that is not zero, a file that is no eventfd),
 * EBADF (no open file), ENODEV (the device is gone), ENOMEM.
 */
struct dmacopy_eventfd {
	/* The descriptor of an eventfd(2); -1 for none. */
	__s32 descriptor;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Zero. */
	__u64 reserved;
};

/*
 * When the client of a session is told of completions in its ring, the argument of
 * DMACOPY_IOCTL_COALESCE.
 *
 * Who polls, has an eventfd or wants signals is told when there are count completions that it
 * has not been told of, or microseconds after the first of them, whichever comes first. At
 * once, if count is 0 or 1, or microseconds is 0. Calls that wait for something by themselves
 * do not wait for this. Errors: EINVAL (a flag or a reserved field that is not zero, more than
 * DMACOPY_MAX_COALESCE_COUNT or DMACOPY_MAX_COALESCE_MICROSECONDS), ENODEV (the device is
 * gone).
 */
struct dmacopy_coalesce {
	/* How many completions; returned: what it was before. */
	__u32 count;
	/* How late at most; returned: what it was before. */
	__u32 microseconds;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Zero. */
	__u32 reserved;
};

/*
 * A buffer of ordinary, cached memory, the argument of DMACOPY_IOCTL_CREATE_BUFFER.
 *
 * It is zero, and mmap(2) maps it cached, from 2^32 times its number on. What a program writes
 * there the engine sees after a DMACOPY_IOCTL_SYNC, and the other way round. The memory stays
 * as long as it is mapped, also when the device goes. Errors: EINVAL (a size of zero or not in
 * whole pages, a flag, or a field that is not zero), ENOSPC (the session has
 * DMACOPY_MAX_BUFFERS), ENOMEM, ENODEV.
 */
struct dmacopy_create_buffer {
	/*
	 * Its size in bytes: whole pages, at most as much as a session's first buffer can have.
	 */
	__u64 bytes;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Returned: its number. Zero when passed in. */
	__u32 buffer;
};

/*
 * The memory of a dma-buf as a buffer, the argument of DMACOPY_IOCTL_IMPORT_BUFFER.
 *
 * The dma-buf is attached to the device and kept until the buffer is given up, the file is
 * closed or the device goes. It is mapped by its own file, not by the session's. Errors: EBADF,
 * EACCES (not open for reading and writing), EINVAL (not a dma-buf, a flag, or a field that is
 * not zero), ENOSPC (the session has DMACOPY_MAX_BUFFERS), what the exporter returns, ENOMEM,
 * ENODEV.
 */
struct dmacopy_import_buffer {
	/* The file descriptor of the dma-buf. */
	__s32 fd;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Returned: its size. Zero when passed in. */
	__u64 bytes;
	/* Returned: its number. Zero when passed in. */
	__u32 buffer;
	/* Zero. */
	__u32 reserved;
};

/*
 * A dma-buf of a buffer's memory, the argument of DMACOPY_IOCTL_EXPORT_BUFFER.
 *
 * The memory stays as long as there is a file descriptor or a mapping of the dma-buf, or a
 * device that has attached it, also when the session ends and when the device goes. Of an
 * imported buffer, it is the dma-buf itself. Errors: EINVAL (a buffer that is none, or number
 * 0, whose memory belongs to the device; a flag, or a field that is not zero), EMFILE, ENOMEM,
 * ENODEV.
 */
struct dmacopy_export_buffer {
	/* The number of the buffer. */
	__u32 buffer;
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Returned: the file descriptor, with FD_CLOEXEC. Zero when passed in. */
	__s32 fd;
	/* Zero. */
	__u32 reserved;
};

/*
 * Which buffer to give up, the argument of DMACOPY_IOCTL_FREE_BUFFER.
 *
 * Its number is free at once. Transfers that use it are still completed, and mappings and
 * dma-bufs of it keep their memory. Errors: EINVAL (a buffer that is none, number 0, a flag),
 * ENODEV.
 */
struct dmacopy_free_buffer {
	/* The number of the buffer. */
	__u32 buffer;
	/* Zero; no flag is defined. */
	__u32 flags;
};

/*
 * Which part of a buffer passes from one side to the other, the argument of DMACOPY_IOCTL_SYNC.
 *
 * For the device, before a transfer reads or overwrites what the program has written; for the
 * processor, before the program reads what a transfer has written. Of number 0, which is
 * coherent, nothing has to be done; of an imported buffer it is done for all of it. Errors:
 * EINVAL (a buffer that is none, a range outside of it, a length of zero, an unknown direction,
 * side or flag), what the exporter returns, ENODEV.
 */
struct dmacopy_sync {
	/* Where the part begins, in bytes from the start of the buffer. */
	__u64 offset;
	/* How many bytes. */
	__u64 length;
	/* The number of the buffer. */
	__u32 buffer;
	/* Who has written or will write: one of the DIRECTION_ constants. */
	__u32 direction;
	/* Whose turn it is now: DMACOPY_SYNC_FOR_CPU or DMACOPY_SYNC_FOR_DEVICE. */
	__u32 side;
	/* Zero; no flag is defined. */
	__u32 flags;
};

/*
 * The argument of DMACOPY_IOCTL_RESET.
 *
 * What the engine has done is completed. It forgets the rest of what it has taken, which is
 * given to it once more: no transfer is lost, of no session. Errors: EPERM (no CAP_SYS_ADMIN in
 * the initial user namespace), EINVAL (a flag or a reserved field that is not zero), EIO (the
 * engine cannot be reset), ENODEV.
 */
struct dmacopy_reset {
	/* Zero; no flag is defined. */
	__u32 flags;
	/* Zero. */
	__u32 reserved;
};

/* What is to be done. */
struct dmacopy_descriptor {
	/* DMACOPY_RING_NOP, DMACOPY_RING_COPY or DMACOPY_RING_FILL. */
	__u8 opcode;
	/* Zero; no flag is defined. */
	__u8 flags;
	/*
	 * DMACOPY_RING_COPY: the number of the buffer to read from; 0 is the one that each
	 * session has. Else zero.
	 */
	__u8 source_buffer;
	/* The number of the buffer to write to; zero for a DMACOPY_RING_NOP. */
	__u8 destination_buffer;
	/* How many bytes; zero for a DMACOPY_RING_NOP. */
	__u32 length;
	/*
	 * DMACOPY_RING_COPY: where to read, in bytes from the start of the buffer.
	 * DMACOPY_RING_FILL: eight bytes, which are repeated from the first byte of the
	 * destination on, lowest first. Zero for a DMACOPY_RING_NOP.
	 */
	__u64 source;
	/*
	 * Where to write, in bytes from the start of the buffer; zero for a DMACOPY_RING_NOP.
	 */
	__u64 destination;
	/* Comes back with the completion. */
	__u64 user_data;
};

/* How it ended. */
struct dmacopy_completion {
	/* The descriptor's. */
	__u64 user_data;
	/*
	 * 0, or a negative error number: EINVAL (a descriptor that is none, or whose ranges are
	 * not in their buffers or overlap), ENOMEM, or, when the engine may have done some of
	 * it, ETIMEDOUT (the engine has stalled), EIO (it has failed, or has refused the
	 * transfer) and ENODEV (the device has gone). Not EBUSY: a descriptor that is too many
	 * stays in the ring.
	 */
	__s32 result;
	/* Zero. */
	__u32 flags;
};

/* The "type" byte of all request codes of this driver. */
#define DMACOPY_MAGIC 0xdc
/* Fills in an dmacopy_info: what this device is and can do. */
#define DMACOPY_IOCTL_INFO _IOR(DMACOPY_MAGIC, 0, struct dmacopy_info)
/* Copies within the session's buffer and waits for the completion; see dmacopy_copy. */
#define DMACOPY_IOCTL_COPY _IOWR(DMACOPY_MAGIC, 1, struct dmacopy_copy)
/*
 * Has the driver take descriptors from the session's ring, and waits for completions; see
 * dmacopy_submit.
 */
#define DMACOPY_IOCTL_SUBMIT _IOWR(DMACOPY_MAGIC, 2, struct dmacopy_submit)
/* Resets the device's engine; see dmacopy_reset. Takes CAP_SYS_ADMIN. */
#define DMACOPY_IOCTL_RESET _IOW(DMACOPY_MAGIC, 8, struct dmacopy_reset)
/* Has an eventfd told of what there is to read; see dmacopy_eventfd. */
#define DMACOPY_IOCTL_EVENTFD _IOW(DMACOPY_MAGIC, 3, struct dmacopy_eventfd)
/* Sets of how many completions the client is told together; see dmacopy_coalesce. */
#define DMACOPY_IOCTL_COALESCE _IOWR(DMACOPY_MAGIC, 4, struct dmacopy_coalesce)
/* Makes a cached buffer; see dmacopy_create_buffer. */
#define DMACOPY_IOCTL_CREATE_BUFFER _IOWR(DMACOPY_MAGIC, 16, struct dmacopy_create_buffer)
/* Makes the memory of a dma-buf a buffer of the session; see dmacopy_import_buffer. */
#define DMACOPY_IOCTL_IMPORT_BUFFER _IOWR(DMACOPY_MAGIC, 17, struct dmacopy_import_buffer)
/* Makes a dma-buf of a buffer of the session; see dmacopy_export_buffer. */
#define DMACOPY_IOCTL_EXPORT_BUFFER _IOWR(DMACOPY_MAGIC, 18, struct dmacopy_export_buffer)
/* Gives a buffer of the session up; see dmacopy_free_buffer. */
#define DMACOPY_IOCTL_FREE_BUFFER _IOW(DMACOPY_MAGIC, 19, struct dmacopy_free_buffer)
/* Makes what one side has written to a buffer visible to the other; see dmacopy_sync. */
#define DMACOPY_IOCTL_SYNC _IOW(DMACOPY_MAGIC, 20, struct dmacopy_sync)
/* A kernel worker moves the bytes. */
#define DMACOPY_ENGINE_SOFTWARE 0
/* A channel of the system-on-chip's DMA controller moves the bytes. */
#define DMACOPY_ENGINE_DMAENGINE 1
/* A PCI function, the kit's own peripheral, moves the bytes. */
#define DMACOPY_ENGINE_PCI 2
/* The session's buffer can be mapped with mmap(2). */
#define DMACOPY_CAP_MMAP (1ULL << 0)
/* write(2) and read(2) copy a stream through the engine. */
#define DMACOPY_CAP_STREAM (1ULL << 1)
/* DMACOPY_IOCTL_COPY is offered. */
#define DMACOPY_CAP_COPY (1ULL << 2)
/* There are rings, and DMACOPY_IOCTL_SUBMIT is offered. */
#define DMACOPY_CAP_RINGS (1ULL << 3)
/* DMACOPY_IOCTL_RESET is offered. */
#define DMACOPY_CAP_RESET (1ULL << 12)
/* DMACOPY_IOCTL_EVENTFD, DMACOPY_IOCTL_COALESCE and signals (O_ASYNC) are offered. */
#define DMACOPY_CAP_NOTIFY (1ULL << 4)
/*
 * One can DMACOPY_IOCTL_CREATE_BUFFER, DMACOPY_IOCTL_FREE_BUFFER and DMACOPY_IOCTL_SYNC, and
 * transfers name buffers.
 */
#define DMACOPY_CAP_BUFFERS (1ULL << 8)
/* One can DMACOPY_IOCTL_IMPORT_BUFFER and DMACOPY_IOCTL_EXPORT_BUFFER. */
#define DMACOPY_CAP_DMA_BUF (1ULL << 9)
/* The most completions that DMACOPY_IOCTL_COALESCE takes. */
#define DMACOPY_MAX_COALESCE_COUNT DMACOPY_RING_MAX_ENTRIES
/* The longest delay that DMACOPY_IOCTL_COALESCE takes, in microseconds. */
#define DMACOPY_MAX_COALESCE_MICROSECONDS 1000000
/* The program writes, transfers read. */
#define DMACOPY_DIRECTION_TO_DEVICE 1
/* Transfers write, the program reads. */
#define DMACOPY_DIRECTION_FROM_DEVICE 2
/* Both write. */
#define DMACOPY_DIRECTION_BIDIRECTIONAL 3
/* The program accesses it next. */
#define DMACOPY_SYNC_FOR_CPU 1
/* Transfers access it next. */
#define DMACOPY_SYNC_FOR_DEVICE 2
/*
 * The most buffers that a session can have besides number 0. Their numbers fit into eight bits.
 */
#define DMACOPY_MAX_BUFFERS 255

/*
 * Version of this ABI, reported by DMACOPY_IOCTL_INFO and by the abi_version attribute.
 *
 * It grows when something is added; nothing that exists ever changes its meaning.
 */
#define DMACOPY_ABI_VERSION 3
/* Version of the driver, reported by the driver_version attribute. */
#define DMACOPY_DRIVER_VERSION "0.1.0"

/* The module, its drivers and the stem of each device's name. */
#define DMACOPY_NAME_DRIVER "dmacopy"
/* The device-tree compatible string of a node that this driver binds to. */
#define DMACOPY_NAME_COMPATIBLE "bringup,dmacopy"
/*
 * The property of such a node that says which DMA channel it has: with one, the engine is
 * DMACOPY_NAME_ENGINE_DMAENGINE.
 */
#define DMACOPY_NAME_DMAS "dmas"
/* What the node calls that channel, in dma-names. */
#define DMACOPY_NAME_DMA "copy"
/*
 * Module parameter: create a device with the software engine if the device tree has none. On by
 * default.
 */
#define DMACOPY_NAME_PARAMETER_SOFTWARE "software"
/* Module parameter: create that device even then. Off by default. */
#define DMACOPY_NAME_PARAMETER_ALWAYS_SOFTWARE "always_software"
/* The class that the character device belongs to. */
#define DMACOPY_NAME_CLASS "misc"
/* Path below /proc of the human-readable summary of all devices. */
#define DMACOPY_NAME_PROC_SUMMARY "driver/dmacopy"

/* Attributes in /sys/class/misc/dmacopyN/, one value per file. */

/* Read-only: DMACOPY_ABI_VERSION, decimal. */
#define DMACOPY_NAME_ATTRIBUTE_ABI_VERSION "abi_version"
/* Read-only: which engine moves the bytes, for example software. */
#define DMACOPY_NAME_ATTRIBUTE_ENGINE "engine"
/* Read-only: one of DMACOPY_NAME_STATE_*. */
#define DMACOPY_NAME_ATTRIBUTE_STATE "state"
/*
 * Read-write: size in bytes of the buffer that a new session gets; a multiple of the page size.
 */
#define DMACOPY_NAME_ATTRIBUTE_BUFFER_BYTES "buffer_bytes"
/* Read-write: entries of each ring that a new session gets; a power of two. */
#define DMACOPY_NAME_ATTRIBUTE_RING_ENTRIES "ring_entries"
/*
 * Read-write: how long the engine may complete nothing while a transfer is there, before it
 * counts as stalled, milliseconds.
 */
#define DMACOPY_NAME_ATTRIBUTE_TIMEOUT_MS "timeout_ms"
/*
 * Read-write: after how many completions the hardware interrupts; 0 for each at once, which is
 * all there is for hardware that cannot wait.
 */
#define DMACOPY_NAME_ATTRIBUTE_INTERRUPT_COUNT "interrupt_count"
/*
 * Read-write: how long after a completion the hardware interrupts at the latest, microseconds;
 * 0 for each at once.
 */
#define DMACOPY_NAME_ATTRIBUTE_INTERRUPT_MICROSECONDS "interrupt_microseconds"
/* Read-write: of how many completions the client of a new session is told together. */
#define DMACOPY_NAME_ATTRIBUTE_COALESCE_COUNT "coalesce_count"
/* Read-write: how late it is told at most, microseconds. */
#define DMACOPY_NAME_ATTRIBUTE_COALESCE_US "coalesce_us"
/* Read-only: sessions that are open now. */
#define DMACOPY_NAME_ATTRIBUTE_SESSIONS "sessions"
/* Read-only: transfers completed since probe. */
#define DMACOPY_NAME_ATTRIBUTE_TRANSFERS "transfers"
/* Read-only: bytes moved by the engine since probe. */
#define DMACOPY_NAME_ATTRIBUTE_BYTES "bytes"
/* Read-only: those of them that the processor moved, because the engine's hardware cannot. */
#define DMACOPY_NAME_ATTRIBUTE_CPU_BYTES "cpu_bytes"
/* Read-only: transfers that failed or timed out since probe. */
#define DMACOPY_NAME_ATTRIBUTE_ERRORS "errors"
/* Read-only: how often the engine has stalled since probe. */
#define DMACOPY_NAME_ATTRIBUTE_STALLS "stalls"
/* Read-only: how often the engine was reset since probe. */
#define DMACOPY_NAME_ATTRIBUTE_RESETS "resets"
/* Read-only: completions since probe that no interrupt has told of, found by looking. */
#define DMACOPY_NAME_ATTRIBUTE_LOST_INTERRUPTS "lost_interrupts"
/* Read-only: DMACOPY_DRIVER_VERSION. */
#define DMACOPY_NAME_ATTRIBUTE_DRIVER_VERSION "driver_version"

/*
 * Attributes in the directory limits of a device: what its sessions may have of it. To write
 * them takes CAP_SYS_ADMIN.
 */

/* The directory. */
#define DMACOPY_NAME_LIMITS_GROUP "limits"
/* Read-write: sessions that can be open at the same time. */
#define DMACOPY_NAME_LIMITS_SESSIONS "sessions"
/* Read-write: bytes of DMA memory that all sessions together can have. */
#define DMACOPY_NAME_LIMITS_DEVICE_BYTES "device_bytes"
/* Read-write: bytes of DMA memory that one session can have. */
#define DMACOPY_NAME_LIMITS_SESSION_BYTES "session_bytes"
/* Read-write: transfers that one session can have under way. */
#define DMACOPY_NAME_LIMITS_SESSION_TRANSFERS "session_transfers"
/* Read-only: bytes of DMA memory that all sessions together are charged for. */
#define DMACOPY_NAME_LIMITS_USED_BYTES "used_bytes"

/*
 * Attributes in the directory upcall of a device: the program that is started when the engine
 * stalls. To write them takes CAP_SYS_ADMIN.
 */

/* The directory. */
#define DMACOPY_NAME_UPCALL_GROUP "upcall"
/* Read-write: the absolute path of the program; empty for none. */
#define DMACOPY_NAME_UPCALL_PATH "path"
/* Read-write: 1 when the program is started, else 0. */
#define DMACOPY_NAME_UPCALL_ENABLED "enabled"
/* Read-write: for how long after a start there is no other, milliseconds. */
#define DMACOPY_NAME_UPCALL_INTERVAL_MS "interval_ms"
/* Read-only: programs that have been started. */
#define DMACOPY_NAME_UPCALL_RUNS "runs"
/* Read-only: programs that could not be started. */
#define DMACOPY_NAME_UPCALL_FAILURES "failures"
/* Read-only: stalls for which no program was started, because that was too soon. */
#define DMACOPY_NAME_UPCALL_SUPPRESSED "suppressed"

/* The arguments of the program that is started when the engine stalls. */

/* The first one. The name of the device, its state and the number of the transfer follow. */
#define DMACOPY_NAME_ARGUMENT_UPCALL "upcall"

/*
 * The environment of the program that is started when the engine stalls, besides HOME and PATH.
 */

/* The name of the device. */
#define DMACOPY_NAME_ENVIRONMENT_DEVICE "DMACOPY_DEVICE"
/* As DMACOPY_NAME_UEVENT_STATE. */
#define DMACOPY_NAME_ENVIRONMENT_STATE DMACOPY_NAME_UEVENT_STATE
/* As DMACOPY_NAME_UEVENT_SEQUENCE. */
#define DMACOPY_NAME_ENVIRONMENT_SEQUENCE DMACOPY_NAME_UEVENT_SEQUENCE

/* What is left of a stall in /sys/class/devcoredump/devcd* /data. */

/* The first line is DMACOPY_NAME_DRIVER, coredump and this. */
#define DMACOPY_NAME_COREDUMP_VERSION 1

/* Values of DMACOPY_NAME_ATTRIBUTE_ENGINE. */

/* A kernel worker. */
#define DMACOPY_NAME_ENGINE_SOFTWARE "software"
/* A channel of the system-on-chip's DMA controller. */
#define DMACOPY_NAME_ENGINE_DMAENGINE "dmaengine"
/* A PCI function, the kit's own peripheral. */
#define DMACOPY_NAME_ENGINE_PCI "pci"

/* Values of DMACOPY_NAME_ATTRIBUTE_STATE and of DMACOPY_NAME_UEVENT_STATE. */

/* The engine completes transfers. */
#define DMACOPY_NAME_STATE_RUNNING "running"
/* Nothing has completed for DMACOPY_NAME_ATTRIBUTE_TIMEOUT_MS although a transfer was there. */
#define DMACOPY_NAME_STATE_STALLED "stalled"
/* The engine cannot even be reset; that is tried again and again. */
#define DMACOPY_NAME_STATE_FAILED "failed"

/* Keys that the driver adds to its change uevents. */

/* The engine's new state, one of DMACOPY_NAME_STATE_*. */
#define DMACOPY_NAME_UEVENT_STATE "DMACOPY_STATE"
/* The number of the transfer that stalled, or of the first that completed afterwards. */
#define DMACOPY_NAME_UEVENT_SEQUENCE "DMACOPY_SEQUENCE"
/* How often the engine was reset; in an event of its own, when that was on demand. */
#define DMACOPY_NAME_UEVENT_RESETS "DMACOPY_RESETS"

/* Tracepoints, in the order in which a transfer passes them. */

/* The system that they belong to. */
#define DMACOPY_NAME_TRACEPOINT_SYSTEM DMACOPY_NAME_DRIVER
/* A transfer has been put into the queue. */
#define DMACOPY_NAME_TRACEPOINT_SUBMIT "dmacopy_submit"
/* The engine has taken it. */
#define DMACOPY_NAME_TRACEPOINT_START "dmacopy_start"
/* The engine has moved its bytes. */
#define DMACOPY_NAME_TRACEPOINT_COMPLETE "dmacopy_complete"
/* It has ended without that. */
#define DMACOPY_NAME_TRACEPOINT_ERROR "dmacopy_error"

/* Fields of the DMACOPY_NAME_TRACEPOINT_*s. */

/* The number of the device. */
#define DMACOPY_NAME_FIELD_DEVICE "device"
/* The number of the session, as in dmacopy_info. */
#define DMACOPY_NAME_FIELD_SESSION "session"
/* The number of the transfer on its device, from 1. */
#define DMACOPY_NAME_FIELD_SEQUENCE "sequence"
/* Bytes to copy. */
#define DMACOPY_NAME_FIELD_LENGTH "length"
/*
 * Nanoseconds since the submission; of DMACOPY_NAME_TRACEPOINT_COMPLETE and
 * DMACOPY_NAME_TRACEPOINT_ERROR.
 */
#define DMACOPY_NAME_FIELD_LATENCY_NS "latency_ns"
/* Why, as a positive error number; of DMACOPY_NAME_TRACEPOINT_ERROR. */
#define DMACOPY_NAME_FIELD_ERRNO "errno"

/* Functions for BPF programs, each from the number of a device to a count or -ENODEV. */

/* As DMACOPY_NAME_ATTRIBUTE_TRANSFERS. */
#define DMACOPY_NAME_KFUNC_TRANSFERS "dmacopy_transfers"
/* As DMACOPY_NAME_ATTRIBUTE_BYTES. */
#define DMACOPY_NAME_KFUNC_BYTES "dmacopy_bytes"
/* As DMACOPY_NAME_ATTRIBUTE_ERRORS. */
#define DMACOPY_NAME_KFUNC_ERRORS "dmacopy_errors"

/* Files in debugfs, below dmacopy/dmacopyN/. For developers only: no ABI promise. */

/* Read-write: Y keeps the engine from completing anything, N lets it go on. */
#define DMACOPY_NAME_DEBUGFS_STALL "stall"
/* Read-only: the engine's queue and counters, one name: value per line. */
#define DMACOPY_NAME_DEBUGFS_ENGINE "engine"
/* Read-only: the registers of the hardware, one NAME: value per line. */
#define DMACOPY_NAME_DEBUGFS_REGISTERS "registers"
/* Read-only: a block of lines name: value for each open session, with its rings. */
#define DMACOPY_NAME_DEBUGFS_SESSIONS "sessions"
/* Read-write: how many of the next transfers end with EIO. Of the engine software only. */
#define DMACOPY_NAME_DEBUGFS_FAIL_NEXT "fail_next"
/* Read-write: microseconds that each transfer takes longer. Of the engine software only. */
#define DMACOPY_NAME_DEBUGFS_DELAY_US "delay_us"

/* The name of the family. */
#define DMACOPY_NETLINK_FAMILY "dmacopy"
/* The version of the family. It grows when something is added. */
#define DMACOPY_NETLINK_VERSION 1

/* Multicast groups. */

/* The events: DMACOPY_NETLINK_COMMAND_DEVICE_ADDED and those after it. */
#define DMACOPY_NETLINK_GROUP_EVENTS "events"

/* Commands. */

/*
 * Asks for the device with DMACOPY_NETLINK_ATTRIBUTE_NUMBER or, as a dump without attributes,
 * for all; each is told by a message with this command.
 */
#define DMACOPY_NETLINK_COMMAND_GET_DEVICE 1
/* Event: a device has come. */
#define DMACOPY_NETLINK_COMMAND_DEVICE_ADDED 2
/* Event: a device has gone, and all that it was doing has ended. */
#define DMACOPY_NETLINK_COMMAND_DEVICE_REMOVED 3
/* Event: a device's engine has stalled, or goes on. */
#define DMACOPY_NETLINK_COMMAND_STATE_CHANGED 4

/* Attributes. */

/* u32: the device's number, N in /dev/dmacopyN. */
#define DMACOPY_NETLINK_ATTRIBUTE_NUMBER 1
/* String: the device's name, as in dmacopy0. */
#define DMACOPY_NETLINK_ATTRIBUTE_NAME 2
/* u32: the driver's DMACOPY_ABI_VERSION. */
#define DMACOPY_NETLINK_ATTRIBUTE_ABI_VERSION 3
/* u32: which engine moves the bytes, one of the ENGINE_ constants of DMACOPY_IOCTL_*. */
#define DMACOPY_NETLINK_ATTRIBUTE_ENGINE 4
/* u32: one of DMACOPY_NETLINK_STATE_*. */
#define DMACOPY_NETLINK_ATTRIBUTE_STATE 5
/* uint: what the device offers, the CAP_ constants of DMACOPY_IOCTL_*. */
#define DMACOPY_NETLINK_ATTRIBUTE_CAPABILITIES 6
/* uint: sessions that are open now. */
#define DMACOPY_NETLINK_ATTRIBUTE_SESSIONS 7
/* uint: transfers completed since probe. */
#define DMACOPY_NETLINK_ATTRIBUTE_TRANSFERS 8
/* uint: bytes moved by the engine since probe. */
#define DMACOPY_NETLINK_ATTRIBUTE_BYTES 9
/* uint: transfers that failed or timed out since probe. */
#define DMACOPY_NETLINK_ATTRIBUTE_ERRORS 10
/* uint: size in bytes of the buffer that a new session gets. */
#define DMACOPY_NETLINK_ATTRIBUTE_BUFFER_BYTES 11
/* uint: the longest transfer that the engine takes, in bytes. */
#define DMACOPY_NETLINK_ATTRIBUTE_MAX_TRANSFER_BYTES 12
/* u32: how long the engine may complete nothing while a transfer is there, milliseconds. */
#define DMACOPY_NETLINK_ATTRIBUTE_TIMEOUT_MS 13
/*
 * uint, in DMACOPY_NETLINK_COMMAND_STATE_CHANGED: the number of the transfer that stalled, or
 * of the first that completed afterwards.
 */
#define DMACOPY_NETLINK_ATTRIBUTE_SEQUENCE 14

/* Values of DMACOPY_NETLINK_ATTRIBUTE_STATE. */

/* The engine completes transfers. */
#define DMACOPY_NETLINK_STATE_RUNNING 0
/*
 * Nothing has completed for DMACOPY_NETLINK_ATTRIBUTE_TIMEOUT_MS although a transfer was there.
 */
#define DMACOPY_NETLINK_STATE_STALLED 1
/* The engine cannot even be reset; that is tried again and again. */
#define DMACOPY_NETLINK_STATE_FAILED 2

/*
 * Where the indices are, in bytes from the start of the rings: each is an u32 in a cache line
 * of its own.
 */

/* Behind the last descriptor, written by user space. */
#define DMACOPY_RING_INDEX_SUBMISSION_TAIL 0
/* The next completion to read, written by user space. */
#define DMACOPY_RING_INDEX_COMPLETION_HEAD 64
/* The next descriptor to take, written by the driver. */
#define DMACOPY_RING_INDEX_SUBMISSION_HEAD 128
/* Behind the last completion, written by the driver. */
#define DMACOPY_RING_INDEX_COMPLETION_TAIL 192
/* What all of them take. */
#define DMACOPY_RING_INDEX_BYTES 256

/* Does nothing, in its turn. */
#define DMACOPY_RING_NOP 0
/* Copies within a buffer, or from one to another. */
#define DMACOPY_RING_COPY 1
/* Fills a part of a buffer. */
#define DMACOPY_RING_FILL 2
/* The fewest entries that rings can have. */
#define DMACOPY_RING_MIN_ENTRIES 2
/* The most entries that rings can have. */
#define DMACOPY_RING_MAX_ENTRIES 4096

/*
 * The rings lie behind the buffer in the same mapping, from rings_offset of struct dmacopy_info on:
 * four indices, the descriptors, the completions. Indices wrap at 2^32. To submit, write descriptors,
 * store SUBMISSION_TAIL behind the last of them, and call DMACOPY_IOCTL_SUBMIT. A completion is there
 * when COMPLETION_TAIL is behind it; store COMPLETION_HEAD when it has been read.
 */

/* What rings with so many entries take, in bytes. */
static inline __u64 dmacopy_ring_bytes(__u32 entries)
{
	return DMACOPY_RING_INDEX_BYTES +
	       (__u64)entries * (sizeof(struct dmacopy_descriptor) + sizeof(struct dmacopy_completion));
}

/* The descriptor of an index, in rings with so many entries. */
static inline struct dmacopy_descriptor *dmacopy_ring_descriptor(void *rings, __u32 entries,
								 __u32 index)
{
	char *first = (char *)rings + DMACOPY_RING_INDEX_BYTES;

	return (struct dmacopy_descriptor *)(void *)first + (index & (entries - 1));
}

/* The completion of an index, in rings with so many entries. */
static inline struct dmacopy_completion *dmacopy_ring_completion(void *rings, __u32 entries,
								 __u32 index)
{
	char *first = (char *)rings + DMACOPY_RING_INDEX_BYTES +
		      entries * sizeof(struct dmacopy_descriptor);

	return (struct dmacopy_completion *)(void *)first + (index & (entries - 1));
}

/* Reads an index, DMACOPY_RING_INDEX_*, and sees what was written before it was. */
static inline __u32 dmacopy_ring_load(const void *rings, unsigned int index)
{
	return __atomic_load_n((const __u32 *)(const void *)((const char *)rings + index),
			       __ATOMIC_ACQUIRE);
}

/* Writes an index, behind what was written before. */
static inline void dmacopy_ring_store(void *rings, unsigned int index, __u32 value)
{
	__atomic_store_n((__u32 *)(void *)((char *)rings + index), value, __ATOMIC_RELEASE);
}

#endif
