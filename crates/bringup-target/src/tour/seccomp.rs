// SPDX-License-Identifier: MIT OR Apache-2.0

//! A client confines itself to its copies and is ended by anything else, and a BPF program refuses a
//! request to all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use dmacopy_client::{Counters, Device};
use dmacopy_uapi::ioctl;
use kernel_channels::bpf::programs::Refused;
use kernel_channels::bpf::{Array, Refusal};
use kernel_channels::seccomp;
use kernel_channels::syscall::{self, Call};
use nix::errno::Errno;

use super::Unavailable;
use super::evidence::{Evidence, errno_name, signal_name};
use crate::client::{Client, LENGTH};

/// How long the kernel may take to log something, on the slowest emulated board.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(5);
/// `AUDIT_SECCOMP`, see `linux/audit.h`.
const AUDIT_SECCOMP: &str = "type=1326";
const REFUSALS: u64 = 3;
/// Of who may not read the kernel's log.
const FORBIDDEN: &str = "cannot open /dev/kmsg, to read why the kernel has ended a client; \
    `sudo bringup-target channel seccomp` can";

pub(super) fn visit(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    if let Ok(modules) = seccomp::modules() {
        let has_bpf = modules.iter().any(|module| module == "bpf");
        ensure!(has_bpf, Unavailable("BPF as a security module"));
    }
    sandbox(device, evidence)?;
    hook(device, evidence)
}

/// A client gives up all that it does not need, can do what it is for, and nothing else.
fn sandbox(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let version = seccomp::version()?.ok_or(Unavailable("Landlock"))?;
    evidence.asked(
        "ask which Landlock there is",
        "landlock_create_ruleset(2)",
        format_args!("version {version}"),
    );
    let before = device.attributes().counters()?;
    let mut log = KernelLog::open()?;
    let mut client = Client::start("sandbox", device.node(), &[])?;
    let (other, asked) = (errno_name(client.number()?), errno_name(client.number()?));
    evidence.gave(
        "a client allows itself the node, and no requests",
        "landlock_restrict_self(2)",
        "it can open it once more",
    );
    let refused = errno_name(libc::EACCES);
    evidence.equal("open of /proc/version", &refused, &other, "the client")?;
    evidence.equal("INFO on a new session", &refused, &asked, "the client")?;

    let (copied, same) = (errno_name(client.number()?), client.number()?);
    evidence.gave(
        "and SUBMIT on the old one, and what Rust needs",
        "seccomp(2) SECCOMP_SET_MODE_FILTER",
        format_args!("{LENGTH} bytes copied by the rings: {copied}"),
    );
    evidence.equal(
        "a copy after that",
        &errno_name(0),
        &copied,
        "the client's ring",
    )?;
    evidence.equal("its bytes are the same", 1, same, "the client's buffer")?;
    let expected = Counters {
        transfers: 1,
        bytes: LENGTH as u64,
        errors: 0,
    };
    evidence.grown(before, device.attributes().counters()?, expected)?;

    let process = client.id();
    client.go()?;
    let status = client.end()?;
    evidence.got(
        "it asks the old session for INFO, and that is its end",
        "waitpid(2)",
        status,
    );
    let ended = status.signal().map(signal_name).unwrap_or_default();
    let expected = signal_name(libc::SIGSYS);
    evidence.equal("ended by signal", expected, ended, "its parent")?;
    let record = log.wait(&[AUDIT_SECCOMP, &format!(" pid={process} ")])?;
    let call = record
        .split(' ')
        .find_map(|word| word.strip_prefix("syscall="));
    let call = call.context("no number of a call")?;
    evidence.got("why", "read(2) of /dev/kmsg", format_args!("call {call}"));
    let expected = Call::IOCTL.number().to_string();
    evidence.equal(
        "forbidden call",
        expected.as_str(),
        call,
        "the kernel's audit",
    )
}

/// A program refuses one request to this device, as a security module of the kernel.
fn hook(device: &Device, evidence: &mut Evidence) -> anyhow::Result<()> {
    let session = device.session()?;
    let number = syscall::identify(&session)?.device;
    let array = Array::new("refusals", 1)?;
    let refused = Refused {
        device: number,
        request: ioctl::COPY,
        except: None,
    };
    let refusal = Refusal::load("refuse", &refused, &array)?;
    evidence.gave(
        "load a program that refuses COPY",
        "bpf(2) BPF_PROG_LOAD of a BPF_PROG_TYPE_LSM",
        format_args!("for device {}:{}, hook file_ioctl", number.0, number.1),
    );
    let before = device.attributes().counters()?;
    let answering = refusal.answer()?;
    for _ in 0..REFUSALS {
        let attempt = session.copy(0, 2048, 64);
        evidence.refused("COPY", attempt, Errno::EPERM)?;
    }
    let info = session.info()?.buffer_bytes;
    let expected = device.attributes().buffer_bytes()?;
    evidence.equal(
        "INFO, which is another request",
        expected,
        info,
        "sysfs buffer_bytes",
    )?;
    let counted = array.read()?;
    evidence.got(
        "what the program has counted",
        "bpf(2) BPF_MAP_LOOKUP_ELEM",
        format_args!("{counted:?}"),
    );
    let counted = counted.first().copied().unwrap_or(0);
    evidence.equal("requests refused", REFUSALS, counted, "BPF array")?;
    drop(answering);
    session.copy(0, 2048, 64)?;
    let expected = Counters {
        transfers: 1,
        bytes: 64,
        errors: 0,
    };
    evidence.asked("COPY without the program", "ioctl(2) COPY", "done");
    evidence.grown(before, device.attributes().counters()?, expected)
}

/// What the kernel says from now on.
struct KernelLog {
    file: File,
}

impl KernelLog {
    fn open() -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut file = options
            .open("/dev/kmsg")
            .map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => anyhow!(error).context(FORBIDDEN),
                _ => anyhow!(error).context("cannot open /dev/kmsg"),
            })?;
        let sought = file.seek(SeekFrom::End(0));
        sought.context("cannot go to the end of /dev/kmsg")?;
        Ok(Self { file })
    }

    /// Waits for a record with all of these texts.
    fn wait(&mut self, texts: &[&str]) -> anyhow::Result<String> {
        let start = Instant::now();
        loop {
            // A read gives one record.
            let mut bytes = [0; 8192];
            match self.file.read(&mut bytes) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    if texts.iter().all(|text| record.contains(text)) {
                        return Ok(record);
                    }
                }
                // Nothing yet; or some were overwritten before they were read.
                Err(e) if e.kind() == ErrorKind::WouldBlock => thread::sleep(SHORT),
                Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
                Err(e) => return Err(e).context("cannot read /dev/kmsg"),
            }
            let waited = start.elapsed();
            ensure!(waited < PATIENCE, "the kernel has not logged {texts:?}");
        }
    }
}
