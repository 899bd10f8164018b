// SPDX-License-Identifier: MIT OR Apache-2.0

//! Request codes, compared with the encoding of `include/uapi/asm-generic/ioctl.h`.

use std::mem::size_of;

use dmacopy_uapi::ioctl::{self, command, size, Copy, Info};

// The header's own names, widths and sums.
const NR_BITS: u32 = 8;
const TYPE_BITS: u32 = 8;
const SIZE_BITS: u32 = 14;
const DIR_BITS: u32 = 2;
const NR_SHIFT: u32 = 0;
const TYPE_SHIFT: u32 = NR_SHIFT + NR_BITS;
const SIZE_SHIFT: u32 = TYPE_SHIFT + TYPE_BITS;
const DIR_SHIFT: u32 = SIZE_SHIFT + SIZE_BITS;
const WRITE: u32 = 1;
const READ: u32 = 2;

/// `_IOC(dir, type, nr, size)`.
fn ioc(dir: u32, kind: u32, nr: u32, size: u32) -> u32 {
    assert!(dir < 1 << DIR_BITS && kind < 1 << TYPE_BITS);
    assert!(nr < 1 << NR_BITS && size < 1 << SIZE_BITS);
    (dir << DIR_SHIFT) | (kind << TYPE_SHIFT) | (nr << NR_SHIFT) | (size << SIZE_SHIFT)
}

#[test]
fn the_fields_fill_a_word() {
    assert_eq!(DIR_SHIFT + DIR_BITS, u32::BITS);
}

#[test]
fn request_codes_are_those_of_the_generic_encoding() {
    let magic = u32::from(ioctl::MAGIC);
    let info = u32::try_from(size_of::<Info>()).unwrap();
    let copy = u32::try_from(size_of::<Copy>()).unwrap();
    assert_eq!(ioctl::INFO, ioc(READ, magic, 0, info));
    assert_eq!(ioctl::COPY, ioc(READ | WRITE, magic, 1, copy));
    assert_eq!(ioctl::SYNC, ioc(WRITE, magic, 20, 32));
}

#[test]
fn command_and_size_take_a_code_apart() {
    for request in [ioctl::INFO, ioctl::COPY] {
        let announced = u32::try_from(size(request)).unwrap();
        assert_eq!(command(request) | (announced << SIZE_SHIFT), request);
        assert_eq!(command(request) & (announced << SIZE_SHIFT), 0);
    }
    assert_eq!(size(ioctl::INFO), size_of::<Info>());
    assert_eq!(size(ioctl::COPY), size_of::<Copy>());
}

/// A structure may grow: a code with any other size selects the same command.
#[test]
fn the_size_does_not_select_the_command() {
    for dir in 0..1 << DIR_BITS {
        for nr in [0, 1, 2, 0xff] {
            let first = ioc(dir, 0xdc, nr, 0);
            for bytes in [0, 1, 8, 48, 64, (1 << SIZE_BITS) - 1] {
                let request = ioc(dir, 0xdc, nr, bytes);
                assert_eq!(command(request), first);
                assert_eq!(u32::try_from(size(request)), Ok(bytes));
            }
        }
    }
}

#[test]
fn another_number_direction_or_magic_is_another_command() {
    let code = |dir, magic, nr| command(ioc(dir, magic, nr, 64));
    let info = command(ioctl::INFO);
    assert_eq!(code(READ, 0xdc, 0), info);
    assert_ne!(code(READ | WRITE, 0xdc, 0), info);
    assert_ne!(code(READ, 0xdd, 0), info);
    assert_ne!(code(READ, 0xdc, 1), info);
}

/// Number 0 is where it was before there were others, and each number has room for what its buffer
/// can be.
#[test]
fn buffers_lie_apart_in_the_mapping() {
    let offsets: Vec<_> = (0..=u8::MAX).map(ioctl::map_offset).collect();
    assert_eq!(offsets[0], 0);
    assert!(offsets.windows(2).all(|pair| pair[1] - pair[0] == 1 << 32));
    assert_eq!(offsets.len() - 1, ioctl::MAX_BUFFERS as usize);
}
