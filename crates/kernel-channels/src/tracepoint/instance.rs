// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records as text, from a buffer of one's own.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::line::{Entry, entries};
use super::{Event, Line, mount_point};
use crate::{Error, Interest, Operation, poll, text_file};

/// A buffer of tracefs that nobody else uses, which goes when this is dropped.
///
/// Its records carry the time of `CLOCK_MONOTONIC`, so that they are in order on all processors.
///
/// What a process calls itself cannot make a record look like another. What a tracepoint prints can,
/// if it prints a text from elsewhere, such as the name of a file: then take [`Sampler`].
///
/// [`Sampler`]: super::Sampler
#[derive(Debug)]
pub struct Instance {
    // Closed before the directory is removed, which fails otherwise.
    pipe: Option<File>,
    directory: PathBuf,
    /// Read already, but not handed out.
    entries: VecDeque<Entry>,
}

impl Instance {
    /// Creates an instance with a name that no other has.
    ///
    /// # Errors
    ///
    /// As [`mount_point`], and [`Error::Path`] when there is one of this name (`EEXIST`) or tracefs
    /// refuses.
    pub fn create(name: &str) -> Result<Self, Error> {
        let directory = mount_point()?.join("instances").join(name);
        fs::create_dir(&directory).map_err(|e| Error::path(Operation::Create, &directory, e))?;
        let mut instance = Self {
            pipe: None,
            directory,
            entries: VecDeque::new(),
        };
        text_file::write(&instance.directory.join("trace_clock"), "mono")?;
        let path = instance.directory.join("trace_pipe");
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .map_err(|e| Error::path(Operation::Open, &path, e))?;
        instance.pipe = Some(pipe);
        Ok(instance)
    }

    /// Begins to collect the records of a tracepoint.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] when the tracepoint has gone.
    pub fn enable(&self, event: &Event) -> Result<(), Error> {
        self.switch(event, "1")
    }

    /// Ends that.
    ///
    /// # Errors
    ///
    /// As [`Self::enable`].
    pub fn disable(&self, event: &Event) -> Result<(), Error> {
        self.switch(event, "0")
    }

    fn switch(&self, event: &Event, value: &str) -> Result<(), Error> {
        let events = self.directory.join("events");
        let path = events.join(&event.system).join(&event.name).join("enable");
        text_file::write(&path, value)
    }

    /// Waits for the next record, and takes it out of the buffer; `None` when the time ran out.
    ///
    /// # Errors
    ///
    /// [`Error::RecordsLost`] when this program was too slow, after which it may go on;
    /// [`Error::Path`] when the buffer cannot be read, and [`Error::Value`] when it holds a line
    /// that is no record.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Line>, Error> {
        // A timeout too far away for the clock is as good as none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return self.handed_out(entry).map(Some);
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let Some(pipe) = &mut self.pipe else {
                return Ok(None);
            };
            if poll(&*pipe, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
            // A read gives whole entries, as many as fit.
            let mut bytes = vec![0; 16 << 10];
            match pipe.read(&mut bytes) {
                Ok(length) => self.entries.extend(entries(&bytes[..length])),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => {
                    let path = self.directory.join("trace_pipe");
                    return Err(Error::path(Operation::Read, &path, e));
                }
            }
        }
    }

    fn handed_out(&self, entry: Entry) -> Result<Line, Error> {
        match entry {
            Entry::Record(line) => Ok(line),
            Entry::Lost { cpu, count } => Err(Error::RecordsLost {
                count,
                cpu,
                instance: self.directory.clone(),
            }),
            Entry::Other(text) => Err(Error::Value {
                path: self.directory.join("trace_pipe"),
                text,
                expected: "a record of a tracepoint",
            }),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.pipe = None;
        // Nobody is left to tell.
        let _ = fs::remove_dir(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has read this already.
    fn holding(text: &str) -> Instance {
        Instance {
            pipe: None,
            directory: "/no/such/instance".into(),
            entries: entries(text.as_bytes()).into(),
        }
    }

    #[test]
    fn the_longest_timeout_is_none() {
        let mut instance = holding("          task-1       [000] .....     1.500000: a: b\n");
        let line = instance.next(Duration::MAX).unwrap().unwrap();
        assert_eq!(line.event, "a");
    }

    #[test]
    fn what_was_lost_is_told_with_its_number_and_then_it_goes_on() {
        let mut instance = holding(
            "CPU:3 [LOST 276 EVENTS]\n\
             \x20         task-1       [003] .....     1.500000: a: b\n\
             CPU:0 [LOST EVENTS]\n",
        );
        let error = instance.next(Duration::ZERO).unwrap_err();
        let Error::RecordsLost { count, cpu, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((count, cpu), (Some(276), 3));
        assert_eq!(
            error.to_string(),
            "276 records of /no/such/instance were lost because the buffer of processor 3 was full"
        );
        assert_eq!(instance.next(Duration::ZERO).unwrap().unwrap().event, "a");
        let error = instance.next(Duration::ZERO).unwrap_err();
        assert!(matches!(
            error,
            Error::RecordsLost {
                count: None,
                cpu: 0,
                ..
            }
        ));
        assert_eq!(instance.next(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn what_is_no_record_is_named() {
        let mut instance = holding("nonsense\n");
        let error = instance.next(Duration::ZERO).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/no/such/instance/trace_pipe holds \"nonsense\" instead of a record of a tracepoint"
        );
    }
}
