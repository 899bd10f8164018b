// SPDX-License-Identifier: MIT OR Apache-2.0

//! Records as text, from a buffer of one's own.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Event, mount_point};
use crate::{Error, Interest, Operation, poll, text_file};

/// A buffer of tracefs that nobody else uses, which goes when this is dropped.
///
/// Its records carry the time of `CLOCK_MONOTONIC`, so that they are in order on all processors.
#[derive(Debug)]
pub struct Instance {
    // Closed before the directory is removed, which fails otherwise.
    pipe: Option<File>,
    directory: PathBuf,
    /// Read already, but not handed out.
    lines: VecDeque<String>,
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
            lines: VecDeque::new(),
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
    /// [`Error::Path`] when the buffer cannot be read, and [`Error::Value`] when it holds a line
    /// that is no record.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Line>, Error> {
        // A timeout too far away for the clock is as good as none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Line::parse(&line).map(Some).ok_or_else(|| Error::Value {
                    path: self.directory.join("trace_pipe"),
                    text: line,
                    expected: "a record of a tracepoint",
                });
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let Some(pipe) = &mut self.pipe else {
                return Ok(None);
            };
            if poll(&*pipe, Interest::READABLE, left)?.is_none() {
                return Ok(None);
            }
            // A read gives whole lines, as many as fit.
            let mut bytes = vec![0; 16 << 10];
            match pipe.read(&mut bytes) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&bytes[..length]);
                    self.lines.extend(text.lines().map(str::to_owned));
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(e) => {
                    let path = self.directory.join("trace_pipe");
                    return Err(Error::path(Operation::Read, &path, e));
                }
            }
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

/// A record as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What ran at that moment: the task's name and number, as `name-number`.
    pub task: String,
    /// On which processor.
    pub cpu: u32,
    /// When, by `CLOCK_MONOTONIC`, to the microsecond.
    pub time: Duration,
    /// The name of the tracepoint.
    pub event: String,
    /// What the tracepoint prints.
    pub text: String,
    /// Its fields, as far as the tracepoint prints them as `name=value`.
    pub fields: HashMap<String, String>,
}

impl Line {
    /// A field's text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    /// A field that is a decimal number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.text(field)?.parse().ok()
    }

    /// Reads `kworker/u8:2-41 [001] .....  12.345678: name: key=value key=value`.
    fn parse(line: &str) -> Option<Self> {
        // The task's name may hold anything, even brackets, so the last ` [` before the time counts.
        let (head, rest) = line.split_once(": ")?;
        let (event, text) = rest
            .split_once(": ")
            .or(rest.strip_suffix(':').zip(Some("")))?;
        let (task, head) = head.rsplit_once(" [")?;
        let (cpu, head) = head.split_once(']')?;
        let (seconds, microseconds) = head.split_whitespace().last()?.split_once('.')?;
        let micros = Duration::from_micros(microseconds.parse().ok()?);
        let pairs = text.split_whitespace().filter_map(|w| w.split_once('='));
        Some(Self {
            task: task.trim().to_owned(),
            cpu: cpu.parse().ok()?,
            time: Duration::from_secs(seconds.parse().ok()?) + micros,
            event: event.trim().to_owned(),
            text: text.trim().to_owned(),
            fields: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has read these lines already.
    fn holding(lines: &[&str]) -> Instance {
        Instance {
            pipe: None,
            directory: "/no/such/instance".into(),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn the_longest_timeout_is_none() {
        let mut instance = holding(&["task-1 [000] ..... 1.500000: a: b"]);
        let line = instance.next(Duration::MAX).unwrap().unwrap();
        assert_eq!(line.event, "a");
    }

    #[test]
    fn a_line_is_read_whole() {
        let text = "   kworker/u8:2 [x]-41      [001] .....   12.000678: copier_start: \
                    device=0 length=4096 name=a=b";
        let line = Line::parse(text).unwrap();
        assert_eq!(line.task, "kworker/u8:2 [x]-41");
        assert_eq!(line.cpu, 1);
        assert_eq!(line.time, Duration::from_micros(12_000_678));
        assert_eq!(line.event, "copier_start");
        assert_eq!(line.text, "device=0 length=4096 name=a=b");
        assert_eq!(line.number("length"), Some(4096));
        assert_eq!(line.text("name"), Some("a=b"));
        assert_eq!(line.number("name"), None);
    }

    #[test]
    fn what_is_no_record_is_not_taken_for_one() {
        for text in [
            "",
            "CPU:1 [LOST 12 EVENTS]",
            "task-1 [000] ..... 1.5",
            "task-1 [x] ..... 1.5: a: b",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
