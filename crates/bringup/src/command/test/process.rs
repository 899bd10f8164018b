// SPDX-License-Identifier: MIT OR Apache-2.0

//! A test on this PC, in a process of its own.

use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::message::Ended;

/// How much longer than its own limit a test may run before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked whether a test has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Runs a test of a test program: how that ended, and all it wrote. After `bound` it is killed.
pub(super) fn run_test(
    mut program: Command,
    name: &str,
    bound: Duration,
) -> io::Result<(Ended, String)> {
    // A file takes whatever the test writes, read or not.
    let mut written = tempfile::tempfile()?;
    let mut child = program
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .stdin(Stdio::null())
        .stdout(written.try_clone()?)
        .stderr(written.try_clone()?)
        .spawn()?;
    let deadline = Instant::now() + bound;
    let mut ended = Ended::default();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            ended.timed_out = true;
            child.kill()?;
            break child.wait()?;
        }
        thread::sleep(LOOK);
    };
    (ended.code, ended.signal) = (status.code(), status.signal());
    let mut output = Vec::new();
    written.rewind()?;
    written.read_to_end(&mut output)?;
    Ok((ended, String::from_utf8_lossy(&output).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that takes a test's name and does what a script says.
    fn run(script: &str, bound: Duration) -> (Ended, String) {
        let mut program = Command::new("sh");
        program.args(["-c", script, "sh"]);
        run_test(program, "the_test", bound).unwrap()
    }

    #[test]
    fn all_that_a_test_writes_is_kept_and_its_end_known() {
        let minute = Duration::from_secs(60);
        let (ended, output) = run("echo $1; echo $2 >&2; exit 3", minute);
        assert_eq!((ended.code, ended.signal), (Some(3), None));
        assert_eq!(output, "the_test\n--exact\n");
        let (ended, _) = run("kill -SEGV $$", minute);
        assert_eq!((ended.code, ended.signal), (None, Some(11)));
        assert!(!ended.timed_out);
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let (ended, output) = run("echo begun; exec sleep 600", Duration::from_millis(300));
        assert!(ended.timed_out && ended.signal == Some(9), "{ended:?}");
        assert_eq!(output, "begun\n");
    }
}
