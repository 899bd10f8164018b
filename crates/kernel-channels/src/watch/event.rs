// SPDX-License-Identifier: MIT OR Apache-2.0

//! Events of fanotify as the kernel writes them, see `linux/fanotify.h`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The bytes of an event without what follows it.
const HEADER_BYTES: usize = 24;
/// The only version that there has been since 2.6.37.
const VERSION: u8 = 3;
/// Records that may follow: which entry of which folder, and a descriptor of the process.
const ENTRY: u8 = 2;
const PIDFD: u8 = 4;
/// The bytes of an event with a descriptor of its process, and nothing else.
pub(super) const WITH_PROCESS: usize = HEADER_BYTES + 8;

/// An event, whose descriptors are numbers yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) mask: u64,
    pub(super) file: Option<i32>,
    pub(super) process: i32,
    pub(super) pidfd: Option<i32>,
    pub(super) name: Option<OsString>,
}

impl Raw {
    /// The first event in some bytes, and what is left of them; `None` when it is none, or cut.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let length = word(bytes, 0)?;
        let (event, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        let header = usize::from(u16::from_ne_bytes(event.get(6..8)?.try_into().ok()?));
        if event.get(4) != Some(&VERSION) || header < HEADER_BYTES {
            return None;
        }
        let mut raw = Self {
            mask: u64::from_ne_bytes(event.get(8..16)?.try_into().ok()?),
            file: descriptor(event, 16)?,
            process: number(event, 20)?,
            ..Self::default()
        };
        let mut more = event.get(header..)?;
        while let [kind, _, low, high, ..] = *more {
            let (record, following) =
                more.split_at_checked(u16::from_ne_bytes([low, high]).into())?;
            match kind {
                PIDFD => raw.pidfd = descriptor(record, 4)?,
                ENTRY => raw.name = name(record)?,
                _ => {}
            }
            // A record that has no length would never end.
            if record.len() < 4 {
                return None;
            }
            more = following;
        }
        Some((raw, rest))
    }
}

/// The name in a record about an entry of a folder: behind the number of the file system and a
/// handle of the folder. That of the folder itself is `.`.
fn name(record: &[u8]) -> Option<Option<OsString>> {
    let handle_bytes = usize::try_from(word(record, 12)?).ok()?;
    let name = record.get(20_usize.checked_add(handle_bytes)?..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    let name = &name[..end];
    Some((name != b".").then(|| OsString::from_vec(name.to_vec())))
}

/// A descriptor; negative numbers say that there is none.
fn descriptor(bytes: &[u8], at: usize) -> Option<Option<i32>> {
    let number = number(bytes, at)?;
    Some((number >= 0).then_some(number))
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(version: u8, mask: u64, file: i32, process: i32, records: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_BYTES + records.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([version, 0]);
        bytes.extend(24_u16.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(file.to_ne_bytes());
        bytes.extend(process.to_ne_bytes());
        bytes.extend(records);
        bytes
    }

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + content.len()).unwrap();
        [&[kind, 0], &length.to_ne_bytes()[..], content].concat()
    }

    #[test]
    fn an_event_tells_who_and_what() {
        let handle = [&[0; 8], &4_u32.to_ne_bytes()[..], &[0; 4], &[7; 4]].concat();
        let named = record(ENTRY, &[&handle, &b"dmacopy0\0\0\0\0"[..]].concat());
        let records = [named, record(PIDFD, &9_i32.to_ne_bytes())].concat();
        let bytes = [
            event(3, 0x100, -1, 42, &records),
            event(3, 0x20, 8, 43, &[]),
        ]
        .concat();
        let (first, rest) = Raw::parse(&bytes).unwrap();
        let expected = Raw {
            mask: 0x100,
            file: None,
            process: 42,
            pidfd: Some(9),
            name: Some("dmacopy0".into()),
        };
        assert_eq!(first, expected);
        let (second, rest) = Raw::parse(rest).unwrap();
        assert_eq!(
            (second.file, second.process, second.pidfd),
            (Some(8), 43, None)
        );
        assert!(rest.is_empty());
    }

    #[test]
    fn a_process_that_has_gone_has_no_descriptor_and_a_folder_itself_no_name() {
        let folder = [&[0; 8], &0_u32.to_ne_bytes()[..], &[0; 4], b".\0\0\0"].concat();
        let gone = [
            record(ENTRY, &folder),
            record(PIDFD, &(-1_i32).to_ne_bytes()),
        ]
        .concat();
        let bytes = event(3, 0x20, -1, 1, &gone);
        let (raw, _) = Raw::parse(&bytes).unwrap();
        assert_eq!((raw.pidfd, raw.name), (None, None));
    }

    #[test]
    fn what_is_cut_or_of_another_version_is_no_event() {
        let whole = event(3, 0x20, 5, 1, &record(PIDFD, &9_i32.to_ne_bytes()));
        assert_eq!(whole.len(), WITH_PROCESS);
        for length in 0..whole.len() {
            assert_eq!(Raw::parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Raw::parse(&event(2, 0x20, 5, 1, &[])), None);
        // A record that says it has no bytes at all.
        assert_eq!(Raw::parse(&event(3, 0x20, 5, 1, &[PIDFD, 0, 0, 0])), None);
        assert_eq!(Raw::parse(&event(3, 0x20, 5, 1, &record(PIDFD, &[]))), None);
    }
}
