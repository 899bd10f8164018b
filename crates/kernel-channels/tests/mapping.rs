// SPDX-License-Identifier: MIT OR Apache-2.0

//! The bounds of a mapping, and that copies of any alignment move the right bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::File;

use kernel_channels::Error;
use kernel_channels::mmap::{Mapping, View};

const BYTES: usize = 4096;

fn mapped_file() -> (File, Mapping) {
    let file = tempfile::tempfile().unwrap();
    file.set_len(BYTES as u64).unwrap();
    let mapping = Mapping::map(&file, 0, BYTES).unwrap();
    (file, mapping)
}

fn pattern(length: usize) -> Vec<u8> {
    (1..=length).map(|n| (n % 251) as u8).collect()
}

#[test]
fn every_alignment_and_length_moves_exactly_its_bytes() {
    let (_file, mut mapping) = mapped_file();
    for offset in 0..17 {
        for length in 0..40 {
            mapping.fill(0, 64, 0xee).unwrap();
            let sent = pattern(length);
            mapping.write(offset, &sent).unwrap();
            let mut expected = vec![0xee; 64];
            expected[offset..offset + length].copy_from_slice(&sent);
            assert_eq!(mapping.copy_to_vec(0, 64).unwrap(), expected);
            assert_eq!(mapping.copy_to_vec(offset, length).unwrap(), sent);
        }
    }
}

#[test]
fn a_fill_leaves_its_neighbours_alone() {
    let (_file, mut mapping) = mapped_file();
    mapping.fill(3, 20, 0x5a).unwrap();
    let content = mapping.copy_to_vec(0, 32).unwrap();
    assert_eq!(content[..3], [0; 3]);
    assert_eq!(content[3..23], [0x5a; 20]);
    assert_eq!(content[23..], [0; 9]);
}

#[test]
fn the_last_byte_can_be_accessed_and_the_one_after_cannot() {
    let (_file, mut mapping) = mapped_file();
    mapping.write(BYTES - 1, &[7]).unwrap();
    assert_eq!(mapping.copy_to_vec(BYTES - 1, 1).unwrap(), [7]);
    let error = mapping.write(BYTES, &[7]).unwrap_err();
    assert!(matches!(
        error,
        Error::Range {
            offset: BYTES,
            length: 1,
            mapped: BYTES
        }
    ));
    assert!(mapping.copy_to_vec(BYTES - 1, 2).is_err());
    assert!(mapping.fill(0, BYTES + 1, 0).is_err());
}

#[test]
fn a_range_that_wraps_around_is_refused() {
    let (_file, mut mapping) = mapped_file();
    assert!(mapping.write(usize::MAX, &[1, 2]).is_err());
    assert!(mapping.copy_to_vec(8, usize::MAX).is_err());
    assert!(mapping.fill(usize::MAX - 3, 8, 1).is_err());
}

#[test]
fn a_refused_write_changes_nothing() {
    let (_file, mut mapping) = mapped_file();
    mapping.write(BYTES - 4, &[1; 8]).unwrap_err();
    assert_eq!(mapping.copy_to_vec(0, BYTES).unwrap(), [0; BYTES]);
}

#[test]
fn two_mappings_of_one_file_share_their_memory() {
    let (file, mut first) = mapped_file();
    let second = Mapping::map(&file, 0, BYTES).unwrap();
    first.write(100, b"seen").unwrap();
    assert_eq!(second.copy_to_vec(100, 4).unwrap(), b"seen");
}

#[test]
fn a_length_of_zero_is_invalid() {
    let (file, _mapping) = mapped_file();
    let error = Mapping::map(&file, 0, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_view_sees_what_a_mapping_writes() {
    let (file, mut mapping) = mapped_file();
    let view = View::map(&file, 0, BYTES).unwrap();
    assert_eq!(view.len(), BYTES);
    mapping.write(3, &pattern(21)).unwrap();
    assert_eq!(view.copy_to_vec(3, 21).unwrap(), pattern(21));
    assert!(view.copy_to_vec(BYTES - 1, 2).is_err());
}

#[test]
fn a_file_for_reading_can_be_viewed_and_not_mapped_for_writing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(BYTES as u64).unwrap();
    let reading = File::open(file.path()).unwrap();
    View::map(&reading, 0, BYTES).unwrap();
    let error = Mapping::map(&reading, 0, BYTES).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
}

#[test]
fn threads_may_use_two_mappings_of_one_file_at_once() {
    let (file, mut mapping) = mapped_file();
    let view = View::map(&file, 0, BYTES).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in (0..=255).cycle().take(2000) {
                mapping.fill(5, 100, byte).unwrap();
            }
        });
        for _ in 0..2000 {
            assert_eq!(view.copy_to_vec(0, 5).unwrap(), [0; 5]);
            assert_eq!(view.copy_to_vec(105, 5).unwrap(), [0; 5]);
        }
    });
}

#[test]
fn a_directory_cannot_be_mapped() {
    let directory = File::open("/").unwrap();
    let error = Mapping::map(&directory, 0, BYTES).unwrap_err();
    assert!(error.raw_os_error().is_some());
    assert!(error.to_string().starts_with("cannot map file descriptor"));
}

#[test]
fn words_and_indices_lie_where_they_are_aligned() {
    let (_file, mut mapping) = mapped_file();
    let misfit = |error| matches!(error, Error::Range { mapped: BYTES, .. });
    for offset in [4, 1, BYTES - 4, BYTES] {
        assert!(misfit(mapping.load_words::<1>(offset).unwrap_err()));
        assert!(misfit(mapping.store_words(offset, [1]).unwrap_err()));
    }
    for offset in [2, 1, BYTES - 2, BYTES] {
        assert!(misfit(mapping.load_acquire(offset).unwrap_err()));
        assert!(misfit(mapping.store_release(offset, 1).unwrap_err()));
    }
    assert_eq!(mapping.copy_to_vec(0, BYTES).unwrap(), [0; BYTES]);
    mapping.store_words(BYTES - 8, [7]).unwrap();
    assert_eq!(mapping.load_words::<1>(BYTES - 8).unwrap(), [7]);
    mapping.store_release(4, 9).unwrap();
    assert_eq!(mapping.load_acquire(4).unwrap(), 9);
}
