// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! Every name that both sides must agree on.
//!
//! Devices are numbered from 0 in the order of their probe; a device's own name is
//! [`DRIVER`] followed by its number, as in `/dev/dmacopy0` and `/sys/class/misc/dmacopy0`.

/// The module, its drivers and the stem of each device's name.
pub const DRIVER: &str = "dmacopy";

/// The device-tree compatible string of a node that this driver binds to.
pub const COMPATIBLE: &str = "bringup,dmacopy";

/// The property of such a node that says which DMA channel it has: with one, the engine is
/// [`engine::DMAENGINE`].
pub const DMAS: &str = "dmas";

/// What the node calls that channel, in `dma-names`.
pub const DMA: &str = "copy";

/// Module parameter: create a device with the software engine if the device tree has none. On by
/// default.
pub const PARAMETER_SOFTWARE: &str = "software";

/// Module parameter: create that device even then. Off by default.
pub const PARAMETER_ALWAYS_SOFTWARE: &str = "always_software";

/// The class that the character device belongs to.
pub const CLASS: &str = "misc";

/// Path below `/proc` of the human-readable summary of all devices.
pub const PROC_SUMMARY: &str = "driver/dmacopy";

/// Attributes in `/sys/class/misc/dmacopyN/`, one value per file.
pub mod attribute {
    /// Read-only: [`super::super::ABI_VERSION`], decimal.
    pub const ABI_VERSION: &str = "abi_version";
    /// Read-only: which engine moves the bytes, for example `software`.
    pub const ENGINE: &str = "engine";
    /// Read-only: one of [`super::state`].
    pub const STATE: &str = "state";
    /// Read-write: size in bytes of the buffer that a new session gets; a multiple of the page size.
    pub const BUFFER_BYTES: &str = "buffer_bytes";
    /// Read-write: entries of each ring that a new session gets; a power of two.
    pub const RING_ENTRIES: &str = "ring_entries";
    /// Read-write: how long the engine may complete nothing while a transfer is there, before it
    /// counts as stalled, milliseconds.
    pub const TIMEOUT_MS: &str = "timeout_ms";
    /// Read-write: after how many completions the hardware interrupts; 0 for each at once, which is
    /// all there is for hardware that cannot wait.
    pub const INTERRUPT_COUNT: &str = "interrupt_count";
    /// Read-write: how long after a completion the hardware interrupts at the latest, microseconds;
    /// 0 for each at once.
    pub const INTERRUPT_MICROSECONDS: &str = "interrupt_microseconds";
    /// Read-write: of how many completions the client of a new session is told together.
    pub const COALESCE_COUNT: &str = "coalesce_count";
    /// Read-write: how late it is told at most, microseconds.
    pub const COALESCE_US: &str = "coalesce_us";
    /// Read-only: sessions that are open now.
    pub const SESSIONS: &str = "sessions";
    /// Read-only: transfers completed since probe.
    pub const TRANSFERS: &str = "transfers";
    /// Read-only: bytes moved by the engine since probe.
    pub const BYTES: &str = "bytes";
    /// Read-only: those of them that the processor moved, because the engine's hardware cannot.
    pub const CPU_BYTES: &str = "cpu_bytes";
    /// Read-only: transfers that failed or timed out since probe.
    pub const ERRORS: &str = "errors";
    /// Read-only: how often the engine has stalled since probe.
    pub const STALLS: &str = "stalls";
    /// Read-only: how often the engine was reset since probe.
    pub const RESETS: &str = "resets";
    /// Read-only: completions since probe that no interrupt has told of, found by looking.
    pub const LOST_INTERRUPTS: &str = "lost_interrupts";
    /// Read-only: [`super::super::DRIVER_VERSION`].
    pub const DRIVER_VERSION: &str = "driver_version";
    /// All of the above.
    pub const ALL: [&str; 19] = [
        ABI_VERSION,
        ENGINE,
        STATE,
        BUFFER_BYTES,
        RING_ENTRIES,
        TIMEOUT_MS,
        INTERRUPT_COUNT,
        INTERRUPT_MICROSECONDS,
        COALESCE_COUNT,
        COALESCE_US,
        SESSIONS,
        TRANSFERS,
        BYTES,
        CPU_BYTES,
        ERRORS,
        STALLS,
        RESETS,
        LOST_INTERRUPTS,
        DRIVER_VERSION,
    ];
}

/// Attributes in the directory `limits` of a device: what its sessions may have of it. To write
/// them takes `CAP_SYS_ADMIN`.
pub mod limits {
    /// The directory.
    pub const GROUP: &str = "limits";
    /// Read-write: sessions that can be open at the same time.
    pub const SESSIONS: &str = "sessions";
    /// Read-write: bytes of DMA memory that all sessions together can have.
    pub const DEVICE_BYTES: &str = "device_bytes";
    /// Read-write: bytes of DMA memory that one session can have.
    pub const SESSION_BYTES: &str = "session_bytes";
    /// Read-write: transfers that one session can have under way.
    pub const SESSION_TRANSFERS: &str = "session_transfers";
    /// Read-only: bytes of DMA memory that all sessions together are charged for.
    pub const USED_BYTES: &str = "used_bytes";
    /// All of the above but the directory.
    pub const ALL: [&str; 5] = [
        SESSIONS,
        DEVICE_BYTES,
        SESSION_BYTES,
        SESSION_TRANSFERS,
        USED_BYTES,
    ];
}

/// Attributes in the directory `upcall` of a device: the program that is started when the engine
/// stalls. To write them takes `CAP_SYS_ADMIN`.
pub mod upcall {
    /// The directory.
    pub const GROUP: &str = "upcall";
    /// Read-write: the absolute path of the program; empty for none.
    pub const PATH: &str = "path";
    /// Read-write: `1` when the program is started, else `0`.
    pub const ENABLED: &str = "enabled";
    /// Read-write: for how long after a start there is no other, milliseconds.
    pub const INTERVAL_MS: &str = "interval_ms";
    /// Read-only: programs that have been started.
    pub const RUNS: &str = "runs";
    /// Read-only: programs that could not be started.
    pub const FAILURES: &str = "failures";
    /// Read-only: stalls for which no program was started, because that was too soon.
    pub const SUPPRESSED: &str = "suppressed";
    /// All of the above but the directory.
    pub const ALL: [&str; 6] = [PATH, ENABLED, INTERVAL_MS, RUNS, FAILURES, SUPPRESSED];
}

/// The arguments of the program that is started when the engine stalls.
pub mod argument {
    /// The first one. The name of the device, its state and the number of the transfer follow.
    pub const UPCALL: &str = "upcall";
}

/// The environment of the program that is started when the engine stalls, besides `HOME` and
/// `PATH`.
pub mod environment {
    /// The name of the device.
    pub const DEVICE: &str = "DMACOPY_DEVICE";
    /// As [`super::uevent::STATE`].
    pub const STATE: &str = super::uevent::STATE;
    /// As [`super::uevent::SEQUENCE`].
    pub const SEQUENCE: &str = super::uevent::SEQUENCE;
}

/// What is left of a stall in `/sys/class/devcoredump/devcd*/data`.
pub mod coredump {
    /// The first line is [`super::DRIVER`], `coredump` and this.
    pub const VERSION: u32 = 1;
}

/// Values of [`attribute::ENGINE`].
pub mod engine {
    /// A kernel worker.
    pub const SOFTWARE: &str = "software";
    /// A channel of the system-on-chip's DMA controller.
    pub const DMAENGINE: &str = "dmaengine";
    /// A PCI function, the kit's own peripheral.
    pub const PCI: &str = "pci";
}

/// Values of [`attribute::STATE`] and of [`uevent::STATE`].
pub mod state {
    /// The engine completes transfers.
    pub const RUNNING: &str = "running";
    /// Nothing has completed for [`super::attribute::TIMEOUT_MS`] although a transfer was there.
    pub const STALLED: &str = "stalled";
    /// The engine cannot even be reset; that is tried again and again.
    pub const FAILED: &str = "failed";
}

/// Keys that the driver adds to its `change` uevents.
pub mod uevent {
    /// The engine's new state, one of [`super::state`].
    pub const STATE: &str = "DMACOPY_STATE";
    /// The number of the transfer that stalled, or of the first that completed afterwards.
    pub const SEQUENCE: &str = "DMACOPY_SEQUENCE";
    /// How often the engine was reset; in an event of its own, when that was on demand.
    pub const RESETS: &str = "DMACOPY_RESETS";
}

/// Tracepoints, in the order in which a transfer passes them.
pub mod tracepoint {
    /// The system that they belong to.
    pub const SYSTEM: &str = super::DRIVER;
    /// A transfer has been put into the queue.
    pub const SUBMIT: &str = "dmacopy_submit";
    /// The engine has taken it.
    pub const START: &str = "dmacopy_start";
    /// The engine has moved its bytes.
    pub const COMPLETE: &str = "dmacopy_complete";
    /// It has ended without that.
    pub const ERROR: &str = "dmacopy_error";
}

/// Fields of the [`tracepoint`]s.
pub mod field {
    /// The number of the device.
    pub const DEVICE: &str = "device";
    /// The number of the session, as in [`super::super::ioctl::Info`].
    pub const SESSION: &str = "session";
    /// The number of the transfer on its device, from 1.
    pub const SEQUENCE: &str = "sequence";
    /// Bytes to copy.
    pub const LENGTH: &str = "length";
    /// Nanoseconds since the submission; of [`tracepoint::COMPLETE`] and [`tracepoint::ERROR`].
    ///
    /// [`tracepoint::COMPLETE`]: super::tracepoint::COMPLETE
    /// [`tracepoint::ERROR`]: super::tracepoint::ERROR
    pub const LATENCY_NS: &str = "latency_ns";
    /// Why, as a positive error number; of [`super::tracepoint::ERROR`].
    pub const ERRNO: &str = "errno";
}

/// Functions for BPF programs, each from the number of a device to a count or `-ENODEV`.
pub mod kfunc {
    /// As [`super::attribute::TRANSFERS`].
    pub const TRANSFERS: &str = "dmacopy_transfers";
    /// As [`super::attribute::BYTES`].
    pub const BYTES: &str = "dmacopy_bytes";
    /// As [`super::attribute::ERRORS`].
    pub const ERRORS: &str = "dmacopy_errors";
}

/// Files in `debugfs`, below `dmacopy/dmacopyN/`. For developers only: no ABI promise.
pub mod debugfs {
    /// Read-write: `Y` keeps the engine from completing anything, `N` lets it go on.
    pub const STALL: &str = "stall";
    /// Read-only: the engine's queue and counters, one `name: value` per line.
    pub const ENGINE: &str = "engine";
    /// Read-only: the registers of the hardware, one `NAME: value` per line.
    pub const REGISTERS: &str = "registers";
    /// Read-only: a block of lines `name: value` for each open session, with its rings.
    pub const SESSIONS: &str = "sessions";
    /// Read-write: how many of the next transfers end with `EIO`. Of the engine `software` only.
    pub const FAIL_NEXT: &str = "fail_next";
    /// Read-write: microseconds that each transfer takes longer. Of the engine `software` only.
    pub const DELAY_US: &str = "delay_us";
}
