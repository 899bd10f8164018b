// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's messages since a moment, from `/dev/kmsg`.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use agent_wire::Record;

const PATH: &str = "/dev/kmsg";

/// Longer than any record: the kernel prints one into a buffer of 2 KiB today, of 8 KiB before.
const LONGEST_RECORD: usize = 8 << 10;

/// The kernel's log from a moment on. Where it must not be read, that is only told to who wants
/// to read it.
#[derive(Debug)]
pub(super) struct KernelLog<R = File> {
    source: io::Result<R>,
    records: Vec<Record>,
    overwritten: bool,
}

impl KernelLog {
    /// Begins with the next message.
    pub(super) fn from_now() -> Self {
        let open = || {
            let mut options = OpenOptions::new();
            let mut file = options
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(PATH)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        Self::new(open())
    }
}

impl<R: Read> KernelLog<R> {
    fn new(source: io::Result<R>) -> Self {
        Self {
            source,
            records: Vec::new(),
            overwritten: false,
        }
    }

    /// All messages so far.
    pub(super) fn read(&mut self) -> io::Result<&[Record]> {
        let about = |error: &io::Error| io::Error::new(error.kind(), format!("{PATH}: {error}"));
        let source = self.source.as_mut().map_err(|error| about(error))?;
        let mut buffer = [0; LONGEST_RECORD];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let record = String::from_utf8_lossy(&buffer[..length]);
                    self.records.extend(Record::parse(&record));
                }
                // That was the last.
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It goes on with the oldest that is left.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => self.overwritten = true,
                Err(error) => return Err(about(&error)),
            }
        }
        if self.overwritten {
            let text = format!("{PATH}: messages were overwritten before they were read");
            return Err(io::Error::other(text));
        }
        Ok(&self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// What the kernel answers, one by one; `Err` is an error number.
    struct Answers(VecDeque<Result<&'static str, i32>>);

    impl Read for Answers {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let text = self.0.pop_front().unwrap_or(Err(libc::EAGAIN));
            let text = text.map_err(io::Error::from_raw_os_error)?;
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }

    fn log(answers: &[Result<&'static str, i32>]) -> KernelLog<Answers> {
        KernelLog::new(Ok(Answers(answers.iter().copied().collect())))
    }

    fn texts(log: &mut KernelLog<Answers>) -> Vec<String> {
        let records = log.read().unwrap().iter();
        records.map(|record| record.text.clone()).collect()
    }

    #[test]
    fn messages_add_up() {
        let mut log = log(&[
            Ok("6,1,1,-;a\n"),
            Err(libc::EINTR),
            Ok("6,2,1,-;b\n"),
            Err(libc::EAGAIN),
            Ok("6,3,1,-;c\n"),
        ]);
        assert_eq!(texts(&mut log), ["a", "b"]);
        assert_eq!(texts(&mut log), ["a", "b", "c"]);
        assert_eq!(texts(&mut log), ["a", "b", "c"]);
    }

    #[test]
    fn messages_that_are_lost_are_told_from_then_on() {
        let mut log = log(&[Ok("6,1,1,-;a\n"), Err(libc::EPIPE), Ok("6,9,1,-;b\n")]);
        for _ in 0..2 {
            let error = log.read().unwrap_err().to_string();
            assert!(error.ends_with("were overwritten before they were read"));
        }
    }

    #[test]
    fn a_log_that_must_not_be_read_is_told_with_its_name() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let mut log = KernelLog::<Answers>::new(Err(refused));
        for _ in 0..2 {
            let error = log.read().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.to_string().starts_with("/dev/kmsg: "));
        }
    }
}
