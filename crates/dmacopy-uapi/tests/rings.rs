// SPDX-License-Identifier: MIT OR Apache-2.0

//! The arithmetic of the rings, compared with models that cannot overflow, and what is no
//! descriptor.

use std::collections::VecDeque;

use dmacopy_uapi::ring::{
    bytes, check, completion_offset, descriptor_offset, filled, is_nop, is_size, slot, Descriptor,
    Work, COPY, FILL, MAX_ENTRIES, MIN_ENTRIES, NOP,
};
use dmacopy_uapi::transfer::Refusal;
use proptest::prelude::*;

const BUFFER: u64 = 4096;
const MOST: u64 = 1024;
/// The size of another buffer.
const OTHER: u64 = 2048;

fn entries() -> impl Strategy<Value = u32> {
    (MIN_ENTRIES.trailing_zeros()..=MAX_ENTRIES.trailing_zeros()).prop_map(|log| 1 << log)
}

proptest! {
    #[test]
    fn the_number_of_entries_is_their_distance_wherever_the_indices_wrap(
        entries in entries(), head: u32, distance: u32,
    ) {
        let tail = head.wrapping_add(distance);
        let expected = (distance <= entries).then_some(distance);
        prop_assert_eq!(filled(head, tail, entries), expected);
    }

    #[test]
    fn a_ring_is_a_queue_over_the_wrap_of_its_indices(
        entries in entries(), start in prop_oneof![Just(u32::MAX - 3), any::<u32>()],
        steps in proptest::collection::vec(any::<bool>(), 1..400),
    ) {
        let (mut head, mut tail) = (start, start);
        let mut ring = vec![0_u32; entries as usize];
        let mut queue = VecDeque::new();
        for (number, puts) in (0_u32..).zip(steps) {
            let count = filled(head, tail, entries);
            prop_assert_eq!(count, u32::try_from(queue.len()).ok());
            if puts && count < Some(entries) {
                ring[slot(tail, entries)] = number;
                tail = tail.wrapping_add(1);
                queue.push_back(number);
            } else if !puts && count > Some(0) {
                prop_assert_eq!(Some(ring[slot(head, entries)]), queue.pop_front());
                head = head.wrapping_add(1);
            }
        }
    }

    #[test]
    fn no_two_entries_share_a_byte_and_all_lie_within(entries in entries(), start: u32) {
        let mut places: Vec<_> = (0..entries)
            .flat_map(|n| {
                let index = start.wrapping_add(n);
                [(descriptor_offset(index, entries), 32), (completion_offset(index, entries), 16)]
            })
            .collect();
        places.sort_unstable();
        let mut end = dmacopy_uapi::ring::index::BYTES;
        for (place, bytes) in places {
            prop_assert_eq!(place, end);
            end = place + bytes;
        }
        prop_assert_eq!(end, bytes(entries));
    }

    #[test]
    fn what_is_accepted_lies_within_the_buffer_and_the_engines_limit(
        opcode in 0_u8..4, flags in 0_u8..2, source_buffer in 0_u8..2, destination_buffer in 0_u8..2,
        length in prop_oneof![0_u32..2048, any::<u32>()],
        source in prop_oneof![0_u64..8192, any::<u64>()],
        destination in prop_oneof![0_u64..8192, any::<u64>()],
    ) {
        let user_data = 7;
        let descriptor = Descriptor {
            opcode, flags, source_buffer, destination_buffer, length, source, destination, user_data,
        };
        let bytes = |buffer: u8| if buffer == 0 { BUFFER } else { OTHER };
        let (from, to) = (bytes(source_buffer), bytes(destination_buffer));
        let end = |offset: u64| u128::from(offset) + u128::from(length);
        let fits = |offset: u64, bytes: u64| end(offset) <= u128::from(bytes);
        let is_length = length > 0 && u64::from(length) <= MOST;
        let apart = source_buffer != destination_buffer
            || end(source) <= u128::from(destination)
            || end(destination) <= u128::from(source);
        let has_none = source_buffer == 0 && destination_buffer == 0;
        let is_good = flags == 0 && match opcode {
            NOP => length == 0 && source == 0 && destination == 0 && has_none,
            COPY => is_length && fits(source, from) && fits(destination, to) && apart,
            FILL => is_length && fits(destination, to) && source_buffer == 0,
            _ => false,
        };
        prop_assert_eq!(check(&descriptor, from, to, MOST).is_ok(), is_good);
    }
}

#[test]
fn sizes_are_powers_of_two_within_the_limits() {
    let sizes: Vec<_> = (0..=8192).filter(|entries| is_size(*entries)).collect();
    let powers: Vec<_> = (1..=12).map(|log| 1 << log).collect();
    assert_eq!(sizes, powers);
}

#[test]
fn what_a_descriptor_asks_for_is_passed_on() {
    let copy = Descriptor {
        opcode: COPY,
        length: 16,
        source: 32,
        destination: 64,
        ..Descriptor::default()
    };
    let work = Work::Copy {
        source: 32,
        destination: 64,
        length: 16,
    };
    assert_eq!(check(&copy, BUFFER, BUFFER, MOST), Ok(work));
    let fill = Descriptor {
        opcode: FILL,
        source: u64::from_le_bytes(*b"abcdefgh"),
        ..copy
    };
    let work = Work::Fill {
        pattern: *b"abcdefgh",
        destination: 64,
        length: 16,
    };
    assert_eq!(check(&fill, BUFFER, BUFFER, MOST), Ok(work));
    let nop = Descriptor::default();
    assert_eq!(check(&nop, BUFFER, BUFFER, MOST), Ok(Work::Nop));
}

#[test]
fn what_has_nothing_to_move_says_nothing_but_that() {
    let nop = Descriptor {
        user_data: u64::MAX,
        ..Descriptor::default()
    };
    assert!(is_nop(&nop));
    for opcode in 1..=u8::MAX {
        assert!(!is_nop(&Descriptor { opcode, ..nop }), "{opcode}");
    }
    for bit in 0..64 {
        let (byte, word, long) = (1_u8 << (bit % 8), 1_u32 << (bit % 32), 1_u64 << bit);
        let others = [
            Descriptor { flags: byte, ..nop },
            Descriptor {
                source_buffer: byte,
                ..nop
            },
            Descriptor {
                destination_buffer: byte,
                ..nop
            },
            Descriptor {
                length: word,
                ..nop
            },
            Descriptor {
                source: long,
                ..nop
            },
            Descriptor {
                destination: long,
                ..nop
            },
        ];
        for other in others {
            assert!(!is_nop(&other), "{other:?}");
            assert_eq!(check(&other, BUFFER, BUFFER, MOST), Err(Refusal::Undefined));
        }
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let copy = Descriptor {
        opcode: COPY,
        length: 16,
        destination: 64,
        ..Descriptor::default()
    };
    for (descriptor, refusal) in [
        (Descriptor { opcode: 3, ..copy }, Refusal::Undefined),
        (Descriptor { flags: 1, ..copy }, Refusal::Undefined),
        (
            Descriptor {
                opcode: FILL,
                source_buffer: 1,
                ..copy
            },
            Refusal::Undefined,
        ),
        (
            Descriptor {
                destination_buffer: 1,
                ..Descriptor::default()
            },
            Refusal::Undefined,
        ),
        (
            Descriptor {
                opcode: NOP,
                ..copy
            },
            Refusal::Undefined,
        ),
        (Descriptor { length: 0, ..copy }, Refusal::Empty),
        (
            Descriptor {
                length: 1025,
                ..copy
            },
            Refusal::Length,
        ),
        (
            Descriptor {
                source: 4081,
                ..copy
            },
            Refusal::Source,
        ),
        (
            Descriptor {
                destination: 4081,
                ..copy
            },
            Refusal::Destination,
        ),
        (
            Descriptor {
                destination: 15,
                ..copy
            },
            Refusal::Overlap,
        ),
        (
            Descriptor {
                opcode: FILL,
                destination: 4081,
                ..copy
            },
            Refusal::Destination,
        ),
        (
            Descriptor {
                opcode: FILL,
                length: 0,
                ..copy
            },
            Refusal::Empty,
        ),
    ] {
        assert_eq!(
            check(&descriptor, BUFFER, BUFFER, MOST),
            Err(refusal),
            "{descriptor:?}"
        );
    }
}
