// SPDX-License-Identifier: MIT OR Apache-2.0

//! The DMA copy engine as hardware: a PCI function, described in `DATASHEET.md`.

pub mod registers;
