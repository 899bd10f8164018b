// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's messages, from `/dev/kmsg`.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Longer than any record: the kernel prints one into a buffer of 2 KiB today, of 8 KiB before.
const LONGEST_RECORD: usize = 8 << 10;

/// More text than this is left out, so that a storm of messages still fits into a frame.
const LIMIT: usize = 128 << 10;

/// A position in the kernel's log.
#[derive(Debug)]
pub(super) struct KernelLog {
    /// None where the log must not be read: a program is run all the same.
    file: Option<File>,
}

impl KernelLog {
    /// Begins after the last message so far.
    pub(super) fn from_now() -> Self {
        Self::from_end_of(Path::new("/dev/kmsg"))
    }

    /// Begins where `path` ends now.
    pub(super) fn from_end_of(path: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file));
        Self { file: file.ok() }
    }

    /// The messages since, as text with a line each.
    pub(super) fn drain(&mut self) -> String {
        self.file.as_mut().map_or_else(String::new, read_all)
    }
}

/// The records that `log` hands out, one for each read, as text with a line each.
fn read_all(log: &mut impl Read) -> String {
    let mut text = String::new();
    let mut record = [0; LONGEST_RECORD];
    loop {
        match log.read(&mut record) {
            Ok(0) => return text,
            Ok(length) => append(&mut text, &String::from_utf8_lossy(&record[..length])),
            Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {
                text.push_str("[messages were overwritten before they were read]\n");
            }
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            // EAGAIN: that was the last.
            Err(_) => return text,
        }
        if text.len() > LIMIT {
            text.push_str("[further messages left out]\n");
            return text;
        }
    }
}

/// Appends a record as `dmesg` shows it, if it is one: `priority,sequence,microseconds,flags;text`
/// and lines with variables, which are left out.
fn append(text: &mut String, record: &str) {
    let message = record.lines().next().unwrap_or_default();
    let Some((prefix, message)) = message.split_once(';') else {
        return;
    };
    let time = prefix.split(',').nth(2).and_then(|t| t.parse::<u64>().ok());
    let time = time.unwrap_or(0);
    let (seconds, microseconds) = (time / 1_000_000, time % 1_000_000);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "[{seconds:5}.{microseconds:06}] {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(record: &str) -> String {
        let mut text = String::new();
        append(&mut text, record);
        text
    }

    #[test]
    fn a_record_is_shown_as_dmesg_shows_it() {
        let record = "6,339,5140900,-;NET: Registered; PF_ALG\n SUBSYSTEM=net\n DEVICE=n1\n";
        assert_eq!(shown(record), "[    5.140900] NET: Registered; PF_ALG\n");
    }

    #[test]
    fn fields_to_come_are_passed_over() {
        assert_eq!(shown("4,1,1000000,c,caller=T1;x\n"), "[    1.000000] x\n");
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        assert_eq!(shown(""), "");
        assert_eq!(shown("no semicolon"), "");
    }

    /// Hands out what `/dev/kmsg` would, one result for each read.
    struct Records(std::vec::IntoIter<Result<&'static str, i32>>);

    impl Read for Records {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            match self.0.next() {
                Some(Ok(record)) => (&mut record.as_bytes()).read(to),
                Some(Err(errno)) => Err(std::io::Error::from_raw_os_error(errno)),
                None => Err(std::io::Error::from_raw_os_error(libc::EAGAIN)),
            }
        }
    }

    fn read(records: Vec<Result<&'static str, i32>>) -> String {
        read_all(&mut Records(records.into_iter()))
    }

    #[test]
    fn every_record_is_read_and_what_was_overwritten_is_said() {
        let (a, b) = ("6,1,1000000,-;a\n", "6,9,2000000,-;b\n");
        let text = read(vec![Ok(a), Err(libc::EINTR), Err(libc::EPIPE), Ok(b)]);
        let lines: Vec<_> = text.lines().collect();
        let expected = [
            "[    1.000000] a",
            "[messages were overwritten before they were read]",
            "[    2.000000] b",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_storm_of_messages_is_cut_short() {
        let text = read(vec![Ok("6,1,1000000,-;storm\n"); LIMIT]);
        assert!(text.ends_with("[further messages left out]\n"));
        assert!(text.len() < LIMIT * 2);
    }

    #[test]
    fn only_what_comes_after_the_beginning_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "6,1,1000000,-;before\n").unwrap();
        let mut log = KernelLog::from_end_of(file.path());
        let mut writer = OpenOptions::new().append(true).open(file.path()).unwrap();
        std::io::Write::write_all(&mut writer, b"6,2,2000000,-;after\n").unwrap();
        assert_eq!(log.drain(), "[    2.000000] after\n");
    }

    #[test]
    fn where_there_is_no_log_there_are_no_messages() {
        assert_eq!(KernelLog { file: None }.drain(), "");
    }
}
