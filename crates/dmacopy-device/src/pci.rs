// SPDX-License-Identifier: MIT OR Apache-2.0

//! The function's configuration space: header, MSI, PCI Express.
//!
//! # References
//!
//! - PCI Local Bus Specification 3.0, 6.1 (header), 6.8 (MSI)
//! - PCI Express Base Specification, 7.5.3 (PCI Express capability)
//! - names as in `include/uapi/linux/pci_regs.h`

use crate::registers::pci;

/// The size of the configuration space: a function without extended capabilities.
pub const CONFIG_BYTES: usize = 256;

const COMMAND: usize = 0x04;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_PARITY: u16 = 1 << 6;
const COMMAND_SERR: u16 = 1 << 8;
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const STATUS: usize = 0x06;
const STATUS_CAP_LIST: u16 = 1 << 4;
const CLASS_REVISION: usize = 0x08;
const REVISION: u32 = 1;
const CACHE_LINE_SIZE: usize = 0x0c;
const BASE_ADDRESS_0: usize = 0x10;
const SUBSYSTEM_VENDOR_ID: usize = 0x2c;
const SUBSYSTEM_ID: usize = 0x2e;
const CAPABILITY_LIST: usize = 0x34;
const INTERRUPT_LINE: usize = 0x3c;

const MSI: usize = 0x40;
const MSI_ID: u8 = 0x05;
const MSI_FLAGS: usize = MSI + 2;
const MSI_FLAGS_ENABLE: u16 = 1 << 0;
const MSI_FLAGS_QSIZE: u16 = 7 << 4;
const MSI_FLAGS_64BIT: u16 = 1 << 7;
const MSI_ADDRESS_LO: usize = MSI + 4;
const MSI_ADDRESS_HI: usize = MSI + 8;
const MSI_DATA: usize = MSI + 12;

const EXP: usize = 0x60;
const EXP_ID: u8 = 0x10;
const EXP_FLAGS: usize = EXP + 0x02;
/// Version 2, endpoint.
const EXP_FLAGS_ENDPOINT: u16 = 2;
const EXP_DEVCAP: usize = EXP + 0x04;
const EXP_DEVCAP_RBER: u32 = 1 << 15;
const EXP_DEVCAP_FLR: u32 = 1 << 28;
const EXP_DEVCTL: usize = EXP + 0x08;
/// Error reporting, relaxed ordering, payload size, no snoop, read request size.
const EXP_DEVCTL_WRITABLE: u16 = 0x78ff;
const EXP_DEVCTL_FLR: u16 = 1 << 15;
const EXP_LNKCAP: usize = EXP + 0x0c;
const EXP_LNKSTA: usize = EXP + 0x12;
const EXP_LNKCAP2: usize = EXP + 0x2c;
/// 2.5 GT/s, one lane: as a maximum, and as what the link has come to.
const EXP_LINK: u16 = 1 | (1 << 4);
const EXP_LNKCAP2_2_5_GT: u32 = 1 << 1;

/// The configuration space.
#[derive(Clone, Debug)]
pub struct Config {
    bytes: [u8; CONFIG_BYTES],
    writable: [u8; CONFIG_BYTES],
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            bytes: [0; CONFIG_BYTES],
            writable: [0; CONFIG_BYTES],
        };
        config.put(0, &pci::VENDOR_ID.to_le_bytes());
        config.put(2, &pci::DEVICE_ID.to_le_bytes());
        config.put(STATUS, &STATUS_CAP_LIST.to_le_bytes());
        config.put(
            CLASS_REVISION,
            &((pci::CLASS << 8) | REVISION).to_le_bytes(),
        );
        config.put(SUBSYSTEM_VENDOR_ID, &pci::VENDOR_ID.to_le_bytes());
        config.put(SUBSYSTEM_ID, &pci::DEVICE_ID.to_le_bytes());
        let command =
            COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_INTX_DISABLE;
        config.allow(COMMAND, &command.to_le_bytes());
        config.allow(CACHE_LINE_SIZE, &[0xff]);
        config.allow(INTERRUPT_LINE, &[0xff]);
        // CAST: a BAR has as many writable bits as its size leaves.
        let base = !(pci::REGISTERS_BYTES as u32 - 1);
        config.allow(BASE_ADDRESS_0, &base.to_le_bytes());

        // CAST: the places of capabilities are in the first 256 bytes.
        config.put(CAPABILITY_LIST, &[MSI as u8]);
        config.put(MSI, &[MSI_ID, EXP as u8]);
        config.put(MSI_FLAGS, &MSI_FLAGS_64BIT.to_le_bytes());
        let flags = MSI_FLAGS_ENABLE | MSI_FLAGS_QSIZE;
        config.allow(MSI_FLAGS, &flags.to_le_bytes());
        config.allow(MSI_ADDRESS_LO, &(!3u32).to_le_bytes());
        config.allow(MSI_ADDRESS_HI, &u32::MAX.to_le_bytes());
        config.allow(MSI_DATA, &u16::MAX.to_le_bytes());

        config.put(EXP, &[EXP_ID, 0]);
        config.put(EXP_FLAGS, &EXP_FLAGS_ENDPOINT.to_le_bytes());
        let capabilities = EXP_DEVCAP_RBER | EXP_DEVCAP_FLR;
        config.put(EXP_DEVCAP, &capabilities.to_le_bytes());
        config.allow(EXP_DEVCTL, &EXP_DEVCTL_WRITABLE.to_le_bytes());
        config.put(EXP_LNKCAP, &u32::from(EXP_LINK).to_le_bytes());
        config.put(EXP_LNKSTA, &EXP_LINK.to_le_bytes());
        config.put(EXP_LNKCAP2, &EXP_LNKCAP2_2_5_GT.to_le_bytes());
        config
    }
}

impl Config {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, offset: usize, bits: &[u8]) {
        self.writable[offset..offset + bits.len()].copy_from_slice(bits);
    }

    fn word(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.bytes[offset], self.bytes[offset + 1]])
    }

    /// Reads; what is behind the end reads zero.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = self.bytes.get(offset + index).copied().unwrap_or(0);
        }
    }

    /// Writes what can be written; returns whether the function is to be reset by it.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let mut resets = false;
        for (place, byte) in (offset..).zip(bytes) {
            let Some(writable) = self.writable.get(place) else {
                break;
            };
            self.bytes[place] = (self.bytes[place] & !writable) | (byte & writable);
            let [_, flr] = EXP_DEVCTL_FLR.to_le_bytes();
            resets |= place == EXP_DEVCTL + 1 && byte & flr != 0;
        }
        resets
    }

    /// Whether the function may access memory and send messages.
    pub fn is_master(&self) -> bool {
        self.word(COMMAND) & COMMAND_MASTER != 0
    }

    /// Whether the registers answer.
    pub fn is_memory_enabled(&self) -> bool {
        self.word(COMMAND) & COMMAND_MEMORY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &Config, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        config.read(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    #[test]
    fn the_size_of_the_registers_is_found_by_writing_ones() {
        let mut config = Config::default();
        config.write(BASE_ADDRESS_0, &[0xff; 4]);
        assert_eq!(read(&config, BASE_ADDRESS_0), 0xffff_f000);
        for bar in 1..6 {
            config.write(BASE_ADDRESS_0 + 4 * bar, &[0xff; 4]);
            assert_eq!(read(&config, BASE_ADDRESS_0 + 4 * bar), 0, "BAR {bar}");
        }
    }

    #[test]
    fn the_list_of_capabilities_ends() {
        let config = Config::default();
        let mut found = Vec::new();
        let mut place = read(&config, CAPABILITY_LIST) & 0xff;
        while place != 0 && found.len() < 48 {
            let header = read(&config, place as usize);
            found.push(header & 0xff);
            place = (header >> 8) & 0xff;
        }
        assert_eq!(found, [u32::from(MSI_ID), u32::from(EXP_ID)]);
    }

    #[test]
    fn identity_is_not_writable() {
        let mut config = Config::default();
        let before = [0, CLASS_REVISION, SUBSYSTEM_VENDOR_ID].map(|place| read(&config, place));
        assert_eq!(before[..2], [0x10f0_1af4, 0x0880_0001]);
        config.write(0, &[0; 64]);
        let after = [0, CLASS_REVISION, SUBSYSTEM_VENDOR_ID].map(|place| read(&config, place));
        assert_eq!(before, after);
    }

    #[test]
    fn master_and_memory_follow_the_command_register() {
        let mut config = Config::default();
        assert!(!config.is_master() && !config.is_memory_enabled());
        config.write(COMMAND, &[0x02, 0]);
        assert!(!config.is_master() && config.is_memory_enabled());
        config.write(COMMAND, &[0x04]);
        assert!(config.is_master() && !config.is_memory_enabled());
    }

    #[test]
    fn a_function_level_reset_is_asked_for_by_its_bit_only() {
        let mut config = Config::default();
        assert!(!config.write(EXP_DEVCTL, &0x7fff_u16.to_le_bytes()));
        assert!(config.write(EXP_DEVCTL, &0x8000_u16.to_le_bytes()));
        assert_eq!(read(&config, EXP_DEVCTL) & 0x8000, 0);
        assert!(!config.write(CONFIG_BYTES - 1, &[0xff; 4]));
    }
}
