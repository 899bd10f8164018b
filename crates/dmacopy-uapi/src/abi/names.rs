// SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT

//! Every name that both sides must agree on.
//!
//! Devices are numbered from 0 in the order of their probe; a device's own name is
//! [`DRIVER`] followed by its number, as in `/dev/dmacopy0` and `/sys/class/misc/dmacopy0`.

/// The module, its drivers and the stem of each device's name.
pub const DRIVER: &str = "dmacopy";

/// The device-tree compatible string of a node that this driver binds to.
pub const COMPATIBLE: &str = "bringup,dmacopy";

/// Module parameter: create a device with the software engine although no hardware asks for it.
pub const PARAMETER_SOFTWARE: &str = "software";

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
    /// Read-only: sessions that are open now.
    pub const SESSIONS: &str = "sessions";
    /// Read-only: transfers completed since probe.
    pub const TRANSFERS: &str = "transfers";
    /// Read-only: bytes moved by the engine since probe.
    pub const BYTES: &str = "bytes";
    /// Read-only: transfers that failed or timed out since probe.
    pub const ERRORS: &str = "errors";
    /// All of the above.
    pub const ALL: [&str; 12] = [
        ABI_VERSION,
        ENGINE,
        STATE,
        BUFFER_BYTES,
        RING_ENTRIES,
        TIMEOUT_MS,
        INTERRUPT_COUNT,
        INTERRUPT_MICROSECONDS,
        SESSIONS,
        TRANSFERS,
        BYTES,
        ERRORS,
    ];
}

/// Values of [`attribute::ENGINE`].
pub mod engine {
    /// A kernel worker.
    pub const SOFTWARE: &str = "software";
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
}
