// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's messages, from `/dev/kmsg`.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use agent_wire::Record;

/// Longer than any record: the kernel prints one into a buffer of 2 KiB today, of 8 KiB before.
const LONGEST_RECORD: usize = 8 << 10;

/// More text than this is not kept, in bytes, so that a storm of messages still fits into a reply.
const KEPT: usize = 256 << 10;

/// The kernel's log as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct KernelLog {
    /// None where the log must not be read: a program is run all the same.
    file: Option<File>,
    records: VecDeque<Record>,
    bytes: usize,
    /// The number that the next message will have.
    next: u64,
}

/// A part of the kernel's log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The messages, oldest first.
    pub(super) records: Vec<Record>,
    /// The number that the next message will have.
    pub(super) next: u64,
    /// How many were overwritten before they could be read.
    pub(super) lost: u64,
}

impl KernelLog {
    /// Begins with the oldest message that the kernel still has.
    pub(super) fn open() -> Self {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg");
        Self {
            file: file.ok(),
            ..Self::default()
        }
    }

    /// The messages from number `from` on.
    pub(super) fn part(&mut self, from: u64) -> Part {
        self.catch_up();
        let wanted = |record: &&Record| record.sequence >= from;
        let records: Vec<_> = self.records.iter().filter(wanted).cloned().collect();
        let there = self.next - from.min(self.next);
        Part {
            lost: there - records.len() as u64,
            records,
            next: self.next,
        }
    }

    fn catch_up(&mut self) {
        let mut buffer = [0; LONGEST_RECORD];
        while let Some(length) = self.file.as_mut().and_then(|file| next(file, &mut buffer)) {
            self.take(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    fn take(&mut self, record: &str) {
        let Some(record) = Record::parse(record) else {
            return;
        };
        self.next = record.sequence + 1;
        self.bytes += record.text.len();
        self.records.push_back(record);
        while self.bytes > KEPT {
            let Some(oldest) = self.records.pop_front() else {
                return;
            };
            self.bytes -= oldest.text.len();
        }
    }
}

fn next(file: &mut File, buffer: &mut [u8]) -> Option<usize> {
    loop {
        match file.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            // The oldest were overwritten before they were read: it goes on with the oldest now.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPIPE | libc::EINTR)) => {}
            // EAGAIN: that was the last.
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: &[&str]) -> KernelLog {
        let mut log = KernelLog::default();
        records.iter().for_each(|record| log.take(record));
        log
    }

    #[test]
    fn only_messages_from_the_wanted_one_on_are_returned() {
        let mut log = log(&["6,7,1,-;a", "6,8,2,-;b", "6,9,3,-;c"]);
        let part = log.part(8);
        let texts: Vec<_> = part.records.iter().map(|r| r.text.as_str()).collect();
        assert_eq!((texts, part.next, part.lost), (vec!["b", "c"], 10, 0));
        let part = log.part(u64::MAX);
        assert_eq!((part.records.len(), part.next, part.lost), (0, 10, 0));
        assert_eq!(log.part(7).records.len(), 3);
    }

    #[test]
    fn messages_that_were_overwritten_are_counted() {
        let mut log = log(&["6,107,1,-;a", "6,109,2,-;b"]);
        let part = log.part(100);
        assert_eq!((part.records.len(), part.lost), (2, 8));
        assert_eq!(log.part(108).lost, 1);
        assert_eq!(log.part(110).lost, 0);
    }

    #[test]
    fn of_a_storm_the_last_are_kept_and_the_others_counted() {
        let storm: Vec<_> = (0..100)
            .map(|n| format!("6,{n},1,-;{}", "x".repeat(8000)))
            .collect();
        let storm: Vec<_> = storm.iter().map(String::as_str).collect();
        let part = log(&storm).part(0);
        assert_eq!(part.records.len() as u64 + part.lost, 100);
        assert_eq!(part.records.last().unwrap().sequence, 99);
        assert!((30..40).contains(&part.records.len()));
    }

    #[test]
    fn where_there_is_no_log_there_are_no_messages() {
        assert_eq!(KernelLog::default().part(0), Part::default());
    }
}
