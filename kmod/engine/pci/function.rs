// SPDX-License-Identifier: GPL-2.0

//! The PCI function: its registers, and what is done by them.
//!
//! See `crates/dmacopy-device/DATASHEET.md`.

use kernel::{
    device::{
        Bound,
        Core, //
    },
    io::{
        poll::read_poll_timeout,
        Io, //
    },
    pci,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    time::Delta, //
};

use super::ring::Ring;
use crate::{
    registers::{
        control,
        interrupt,
        limits,
        offset,
        pci::{
            REGISTERS_BAR,
            REGISTERS_BYTES, //
        },
        status,
        ID,
        MIN_RING_SIZE,
        VERSION_MAJOR, //
    },
    sys::{
        self,
        binding::Binding,
        compat::DevresBar, //
    },
};

/// What is read from a function that is gone.
const GONE: u32 = u32::MAX;
/// How long a function may take to reset itself, or to stop, in milliseconds.
const LIMIT_MS: i64 = 100;
/// How long to wait before looking again whether it has, in microseconds.
const LOOK_US: i64 = 200;
/// Entries of the rings, if the function can have so many.
const RING_ENTRIES: u32 = 256;

/// When the function sends a message for completions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Coalescing {
    /// After so many.
    pub(crate) count: u32,
    /// So long after the first at the latest.
    pub(crate) microseconds: u32,
}

/// The registers of a function, as long as it is bound.
struct Registers(DevresBar<REGISTERS_BYTES>);

impl Registers {
    /// The register at `OFFSET`; all ones if the function is gone, or is not bound any more.
    fn read<const OFFSET: usize>(&self) -> u32 {
        let value = self.0.try_access_with(|bar| bar.read32(OFFSET));
        value.unwrap_or(GONE)
    }

    /// Writes a register, after what was written to memory before. Lost if the function is gone.
    fn write<const OFFSET: usize>(&self, value: u32) {
        let _ = self.0.try_access_with(|bar| bar.write32(value, OFFSET));
    }

    /// Waits until `is_reached` says so of the register at `OFFSET`.
    fn wait<const OFFSET: usize>(&self, is_reached: impl Fn(u32) -> bool) -> Result<u32> {
        read_poll_timeout(
            || match self.read::<OFFSET>() {
                GONE => Err(ENODEV),
                value => Ok(value),
            },
            |value| is_reached(*value),
            Delta::from_micros(LOOK_US),
            Delta::from_millis(LIMIT_MS),
        )
    }
}

/// A PCI function that copies.
pub(crate) struct Function {
    registers: Registers,
    binding: Arc<Binding>,
    ring_entries: u32,
    max_length: u32,
}

impl Function {
    /// Enables the function of a device that is being probed, if it is one that this driver knows.
    pub(crate) fn enable(device: &pci::Device<Core<'_>>) -> Result<Self> {
        sys::pci::enable(device)?;
        let bar = device.iomap_region_sized(REGISTERS_BAR, crate::MODULE_NAME)?;
        let registers = Registers(bar.into_devres()?);

        let id = registers.read::<{ offset::ID }>();
        let version = registers.read::<{ offset::VERSION }>();
        if id != ID || version >> 16 != VERSION_MAJOR {
            dev_err!(device, "unknown function {id:#x}, version {version:#x}\n");
            return Err(ENODEV);
        }
        let limits = registers.read::<{ offset::LIMITS }>();
        let most = 1_u32.checked_shl(limits::ring_size_log2(limits));
        let ring_entries = most.unwrap_or(0).min(RING_ENTRIES);
        let max_length = registers.read::<{ offset::MAX_LENGTH }>();
        if ring_entries < MIN_RING_SIZE || max_length == 0 {
            dev_err!(device, "impossible limits {limits:#x}, {max_length:#x}\n");
            return Err(ENODEV);
        }
        sys::pci::set_address_bits(device, limits::address_bits(limits))?;
        Ok(Self {
            registers,
            binding: Binding::new(device.as_ref(), None)?,
            ring_entries,
            max_length,
        })
    }

    /// Entries of each of the two rings.
    pub(super) fn ring_entries(&self) -> u32 {
        self.ring_entries
    }

    /// The longest piece that a descriptor can move, in bytes.
    pub(super) fn max_length(&self) -> u32 {
        self.max_length
    }

    /// Resets the function, so that it accesses no memory, whatever it was doing.
    pub(super) fn reset(&self) -> Result {
        self.registers.write::<{ offset::CONTROL }>(control::RESET);
        self.registers
            .wait::<{ offset::CONTROL }>(|control| control & control::RESET == 0)
            .map(drop)
    }

    /// Starts the function, which has been reset, at the beginning of the rings.
    pub(super) fn start(&self, ring: &Ring, coalescing: Coalescing) -> Result {
        self.set_master(true);
        let (low, high) = halves(ring.descriptors());
        self.registers.write::<{ offset::RING_BASE_LO }>(low);
        self.registers.write::<{ offset::RING_BASE_HI }>(high);
        let (low, high) = halves(ring.completions());
        self.registers.write::<{ offset::COMPLETION_BASE_LO }>(low);
        self.registers.write::<{ offset::COMPLETION_BASE_HI }>(high);
        self.registers
            .write::<{ offset::RING_SIZE }>(self.ring_entries);
        self.set_coalescing(coalescing);
        self.registers
            .write::<{ offset::IRQ_ENABLE }>(interrupt::ALL);
        self.registers.write::<{ offset::CONTROL }>(control::ENABLE);
        let reached = status::RUNNING | status::FATAL;
        let status = self
            .registers
            .wait::<{ offset::STATUS }>(|status| status & reached != 0)?;
        if status & status::FATAL != 0 {
            return Err(EIO);
        }
        Ok(())
    }

    /// Makes sure that the function accesses no memory, be it by stopping it, by resetting it or, at
    /// last, by taking the bus from it.
    pub(super) fn halt(&self) {
        self.registers.write::<{ offset::CONTROL }>(0);
        let active = status::RUNNING | status::BUSY;
        let stopped = self
            .registers
            .wait::<{ offset::STATUS }>(|status| status & active == 0);
        if stopped.is_err() {
            // Whatever comes of it, the next step suffices.
            let _ = self.reset();
        }
        self.set_master(false);
    }

    /// Lets the function access memory and send messages, or keeps it from that.
    pub(super) fn set_master(&self, is_master: bool) {
        // One that is not bound any more has no memory to access.
        let Some(device) = self.binding.hold() else {
            return;
        };
        if let Ok(device) = <&pci::Device<Bound>>::try_from(&*device) {
            sys::pci::set_master(device, is_master);
        }
    }

    /// Tells the function up to where there are descriptors.
    pub(super) fn ring_doorbell(&self, tail: u32) {
        self.registers.write::<{ offset::TAIL }>(tail);
    }

    /// Sets when the function sends a message for completions; zero for each at once.
    pub(super) fn set_coalescing(&self, coalescing: Coalescing) {
        self.registers
            .write::<{ offset::COALESCE_COUNT }>(coalescing.count);
        self.registers
            .write::<{ offset::COALESCE_MICROSECONDS }>(coalescing.microseconds);
    }

    /// Whether the function does nothing until it is reset, or is gone.
    pub(super) fn has_fault(&self) -> bool {
        // All ones have that bit, too.
        if self.registers.read::<{ offset::STATUS }>() & status::FATAL == 0 {
            return false;
        }
        let reason = self.registers.read::<{ offset::ERROR_INFO }>();
        dev_warn!(self.registers.0.device(), "fatal error {reason:#x}\n");
        true
    }

    /// Says that the function does not obey.
    pub(super) fn report_failure(&self) {
        dev_err!(
            self.registers.0.device(),
            "cannot be reset, and loses the bus\n"
        );
    }

    /// Prints all registers. Reading them has no effect.
    pub(super) fn show(&self, file: &SeqFile) {
        macro_rules! show {
            ($($register:ident)*) => {
                $(
                    let value = self.registers.read::<{ offset::$register }>();
                    seq_print!(file, "{}: {:#010x}\n", stringify!($register), value);
                )*
            };
        }
        show!(
            ID VERSION LIMITS MAX_LENGTH CONTROL STATUS ERROR_INFO
            RING_BASE_LO RING_BASE_HI RING_SIZE COMPLETION_BASE_LO COMPLETION_BASE_HI
            TAIL HEAD IRQ_STATUS IRQ_ENABLE COALESCE_COUNT COALESCE_MICROSECONDS
        );
    }
}

/// Bits 31 to 0 of an address, and bits 63 to 32.
fn halves(address: u64) -> (u32, u32) {
    // CAST: The rest is in the other half.
    (address as u32, (address >> 32) as u32)
}
