// SPDX-License-Identifier: MIT OR Apache-2.0

//! The function as an emulator sees it, by the vfio-user protocol.
//!
//! No callback fails: the protocol's implementation would lose track of the stream, and hardware
//! has no other way to complain than its registers.
//!
//! # References
//!
//! - QEMU, `docs/interop/vfio-user.rst`
//! - `include/uapi/linux/vfio.h` for the numbers of regions and interrupts

use std::fs::File;
use std::io;

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_NORESIZE, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, ServerBackend, ServerRegion};

use crate::device::Device;
use crate::model::Shared;
use crate::pci::CONFIG_BYTES;
use crate::registers::pci;

const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
const REGISTERS: u32 = VFIO_PCI_BAR0_REGION_INDEX + pci::REGISTERS_BAR;

/// The regions that the function has.
pub(crate) fn regions() -> Vec<ServerRegion> {
    let region = |index| {
        let size = match index {
            REGISTERS => pci::REGISTERS_BYTES,
            CONFIG => CONFIG_BYTES,
            _ => 0,
        };
        let flags = if size == 0 {
            0
        } else {
            VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE
        };
        let region_info = vfio_region_info {
            // CAST: the size of a structure of some bytes.
            argsz: size_of::<vfio_region_info>() as u32,
            flags,
            index,
            size: size as u64,
            ..Default::default()
        };
        ServerRegion {
            region_info,
            sparse_areas: Vec::new(),
            mmap_fd: None,
        }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

/// The interrupts that the function has.
pub(crate) fn interrupts() -> Vec<IrqInfo> {
    let interrupt = |index| {
        let is_there = index == VFIO_PCI_MSI_IRQ_INDEX;
        let flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
        IrqInfo {
            index,
            flags: if is_there { flags } else { 0 },
            count: if is_there { pci::MESSAGES } else { 0 },
        }
    };
    (0..VFIO_PCI_NUM_IRQS).map(interrupt).collect()
}

/// What an emulator calls.
#[derive(Debug)]
pub(crate) struct Backend<'a> {
    shared: &'a Shared,
    /// It has called before.
    is_connected: bool,
}

impl<'a> Backend<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            is_connected: false,
        }
    }

    /// The first call is that there is power.
    fn connect(&mut self) {
        if !std::mem::replace(&mut self.is_connected, true) {
            self.shared.change(|device| device.set_connected(true));
        }
    }

    fn change(&mut self, how: impl FnOnce(&mut Device)) {
        self.connect();
        self.shared.change(how);
    }
}

impl ServerBackend for Backend<'_> {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.connect();
        let mut device = self.shared.lock();
        match region {
            REGISTERS => device.read_registers(offset, data),
            CONFIG => device.read_config(offset, data),
            _ => data.fill(0xff),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|device| match region {
            REGISTERS => device.write_registers(offset, data),
            CONFIG => device.write_config(offset, data),
            _ => {}
        });
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        // Memory that comes without a file is not shared with this process: it stays out of reach.
        if let Some(file) = fd {
            let is_writable = flags.contains(DmaMapFlags::WRITE);
            self.change(|device| device.map(address, size, file, offset, is_writable));
        }
        Ok(())
    }

    fn dma_unmap(&mut self, _flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        self.change(|device| match (address, size) {
            // QEMU's number of the flag for this is another than the crate's.
            (0, 0) => device.memory().unmap_all(),
            _ => device.memory().unmap(address, size),
        });
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.change(|device| device.reset());
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        _start: u32,
        _count: u32,
        mut fds: Vec<File>,
    ) -> io::Result<()> {
        // With an eventfd it is where messages go; without one, and with no data, they go nowhere.
        let is_message = index == VFIO_PCI_MSI_IRQ_INDEX;
        if is_message && flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            let message = fds.pop().filter(|_| flags & VFIO_IRQ_SET_DATA_EVENTFD != 0);
            self.change(|device| device.set_message(message));
        }
        Ok(())
    }
}
