// SPDX-License-Identifier: MIT OR Apache-2.0

//! The agent as a bench talks to it: over pipes, and over a pseudo-terminal for a serial line.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use agent_wire::connection::{Inbox, Incoming, Outbox, start};
use agent_wire::link::{Line, Side};
use agent_wire::message::{
    Answer, Call, Ended, Failure, PROTOCOL, Program, Reply, Request, Stream, decode, encode,
};
use agent_wire::{Content, FATAL, Plan, Port, PortKind};
use sha2::{Digest, Sha256};

const PATIENCE: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An agent that runs on this machine.
struct Agent {
    child: Child,
    outbox: Outbox,
    inbox: Inbox,
    number: u32,
}

impl Agent {
    fn start() -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bringup-target"))
            .args(["agent", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (reader, writer) = (child.stdout.take(), child.stdin.take());
        let (reader, writer) = (reader.ok_or("no pipe")?, writer.ok_or("no pipe")?);
        let (outbox, inbox) = start(reader, writer, Line::STREAM, Side::Caller);
        Ok(Self {
            child,
            outbox,
            inbox,
            number: 0,
        })
    }

    fn ask(&mut self, request: Request) -> Result<u32> {
        self.number += 1;
        self.ask_again(self.number, request)?;
        Ok(self.number)
    }

    fn ask_again(&self, number: u32, request: Request) -> Result<()> {
        Ok(self.outbox.send(encode(&Call { number, request })?)?)
    }

    fn answer(&self) -> Result<Answer> {
        loop {
            match self.inbox.receive(PATIENCE)? {
                Incoming::Message(bytes) => return Ok(decode(&bytes)?),
                Incoming::Connected | Incoming::Text(_) => {}
                other => return Err(format!("instead of an answer: {other:?}").into()),
            }
        }
    }

    /// The answer to a request, when there is one.
    fn call(&mut self, request: Request) -> Result<Reply> {
        let number = self.ask(request)?;
        let answer = self.answer()?;
        assert_eq!(answer.number, number);
        Ok(answer.reply)
    }

    /// What a program with this number writes, and how it ends.
    fn attend(&self, number: u32) -> Result<(Vec<u8>, Vec<u8>, Ended)> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            let answer = self.answer()?;
            assert_eq!(answer.number, number);
            match answer.reply {
                Reply::Started { pid } => assert!(pid > 1),
                Reply::Output { stream, bytes } => match stream {
                    Stream::Stdout => stdout.extend(bytes),
                    Stream::Stderr => stderr.extend(bytes),
                },
                Reply::Ended(ended) => return Ok((stdout, stderr, ended)),
                other => return Err(format!("{other:?}").into()),
            }
        }
    }

    fn run(&mut self, program: Program) -> Result<(Vec<u8>, Vec<u8>, Ended)> {
        let number = self.ask(Request::Run(program))?;
        self.attend(number)
    }

    fn put(&mut self, path: &str, content: &[u8]) -> Result<Reply> {
        self.put_as(path, content, |rest| Content::pack(rest.to_vec()))
    }

    /// The same, with the file's only part made by `pack`.
    fn put_as(&mut self, path: &str, content: &[u8], pack: fn(&[u8]) -> Content) -> Result<Reply> {
        let number = self.ask(Request::Put {
            path: path.to_owned(),
            mode: 0o644,
            length: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        })?;
        let offset = match self.answer()?.reply {
            Reply::Continue { offset } => offset,
            other => return Ok(other),
        };
        let content = pack(&content[usize::try_from(offset)?..]);
        self.ask_again(number, Request::Data { offset, content })?;
        Ok(self.answer()?.reply)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shell(script: &str) -> Program {
    Program {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        ..Program::default()
    }
}

#[test]
fn it_says_who_it_is() {
    let mut agent = Agent::start().unwrap();
    let hello = Request::Hello { protocol: PROTOCOL };
    let Reply::Welcome {
        protocol,
        kernel,
        uptime_us,
        boot,
        is_init,
        refused,
        ..
    } = agent.call(hello).unwrap()
    else {
        panic!("no welcome");
    };
    assert_eq!((protocol, is_init, refused), (PROTOCOL, false, None));
    assert!(!kernel.is_empty() && uptime_us > 0 && boot.len() == 36);
}

#[test]
fn output_environment_and_status_come_back() {
    let mut agent = Agent::start().unwrap();
    let script = "echo $GREETING; echo $PATH >&2; pwd; cat; exit 3";
    let (stdout, stderr, ended) = agent.run(shell(script)).unwrap();
    assert_eq!(stdout, b"hello\n/\n");
    assert_eq!(stderr, b"/usr/sbin:/usr/bin:/sbin:/bin\n");
    assert_eq!((ended.code, ended.signal), (Some(3), None));
    assert!(!ended.timed_out && ended.duration_us > 0);
}

#[test]
fn long_output_is_whole() {
    let mut agent = Agent::start().unwrap();
    let program = shell("head -c 3000000 /dev/zero");
    assert_eq!(agent.run(program).unwrap().0, vec![0; 3_000_000]);
}

#[test]
fn input_is_passed_on_to_its_end() {
    let mut agent = Agent::start().unwrap();
    let mut program = shell("cat; echo end");
    program.has_input = true;
    let number = agent.ask(Request::Run(program)).unwrap();
    for bytes in [b"one".to_vec(), b"two".to_vec(), Vec::new()] {
        agent.ask_again(number, Request::Input { bytes }).unwrap();
    }
    assert_eq!(agent.attend(number).unwrap().0, b"onetwoend\n");
}

#[test]
fn a_signal_reaches_the_program_and_is_told_from_a_status() {
    let mut agent = Agent::start().unwrap();
    let number = agent.ask(Request::Run(shell("sleep 60"))).unwrap();
    let signal = Request::Signal { signal: 15 };
    agent.ask_again(number, signal).unwrap();
    let ended = agent.attend(number).unwrap().2;
    assert_eq!((ended.code, ended.signal), (None, Some(15)));
}

#[test]
fn two_programs_run_at_once() {
    let mut agent = Agent::start().unwrap();
    let mut waits = shell("cat");
    waits.has_input = true;
    let first = agent.ask(Request::Run(waits)).unwrap();
    assert!(matches!(
        agent.answer().unwrap().reply,
        Reply::Started { .. }
    ));
    assert_eq!(agent.run(shell("echo second")).unwrap().0, b"second\n");
    let bytes = Vec::new();
    agent.ask_again(first, Request::Input { bytes }).unwrap();
    assert_eq!(agent.attend(first).unwrap().2.code, Some(0));
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let mut agent = Agent::start().unwrap();
    let program = Program {
        command: vec!["/no/such/program".into(), "argument".into()],
        ..Program::default()
    };
    let Reply::Failed(failure) = agent.call(Request::Run(program)).unwrap() else {
        panic!("it was started");
    };
    assert_eq!(failure.errno, Some(libc::ENOENT));
    let text = failure.to_string();
    assert!(text.contains("/no/such/program argument"), "{text}");
}

#[test]
fn a_program_whose_time_is_up_is_killed_with_its_children() {
    let mut agent = Agent::start().unwrap();
    let begun = Instant::now();
    let program = Program {
        limit_ms: Some(300),
        ..shell("echo begun; sleep 60 & sleep 60")
    };
    let (stdout, _, ended) = agent.run(program).unwrap();
    assert_eq!(stdout, b"begun\n");
    assert!(ended.timed_out);
    assert_eq!(ended.signal, Some(9));
    // Had a child survived, its pipe would be open for longer.
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_child_left_behind_does_not_keep_its_parent_from_ending_and_restore_ends_it() {
    let mut agent = Agent::start().unwrap();
    let begun = Instant::now();
    let script = "setsid sleep 61 >/dev/null 2>&1 & echo $!";
    let (stdout, _, ended) = agent.run(shell(script)).unwrap();
    assert_eq!(ended.code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4));
    let pid: u32 = String::from_utf8(stdout).unwrap().trim().parse().unwrap();
    let stat = format!("/proc/{pid}/stat");
    assert!(fs::read_to_string(&stat).is_ok());
    let restore = Request::Restore {
        reload_modules: false,
    };
    let Reply::Restored { done, left } = agent.call(restore).unwrap() else {
        panic!("not restored");
    };
    assert!(left.is_empty(), "{left:?}");
    assert!(
        done.iter()
            .any(|d| d.starts_with(&format!("process {pid} ("))),
        "{done:?}"
    );
    let state = fs::read_to_string(&stat).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[test]
fn a_child_left_behind_that_does_not_stop_writing_is_not_listened_to_for_ever() {
    let mut agent = Agent::start().unwrap();
    let begun = Instant::now();
    let chatter = "(for i in $(seq 400); do echo x; sleep 0.02; done) & echo parent";
    let (stdout, _, ended) = agent.run(shell(chatter)).unwrap();
    assert!(stdout.starts_with(b"parent\n") || stdout.starts_with(b"x\n"));
    assert_eq!(ended.code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[test]
fn a_file_goes_there_and_comes_back() {
    let mut agent = Agent::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b");
    let path = path.to_str().unwrap();
    // The last is deflated on its way.
    for content in [b"hello".as_slice(), b"", &[7; 20_000]] {
        assert_eq!(agent.put(path, content).unwrap(), Reply::Done);
        assert_eq!(fs::read(path).unwrap(), content);
        // It is there already.
        assert_eq!(agent.put(path, content).unwrap(), Reply::Done);
    }
    fs::write(path, b"hello world").unwrap();
    let get = Request::Get {
        path: path.to_owned(),
        offset: 6,
    };
    let Reply::Length { length, sha256, .. } = agent.call(get).unwrap() else {
        panic!("no length");
    };
    assert_eq!(length, 11);
    assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(b"hello world")));
    let data = Reply::Data {
        offset: 6,
        bytes: b"world".to_vec(),
    };
    assert_eq!(agent.answer().unwrap().reply, data);
    assert_eq!(agent.answer().unwrap().reply, Reply::Done);
}

#[test]
fn files_of_the_kernel_are_read_too() {
    let mut agent = Agent::start().unwrap();
    let get = Request::Get {
        path: "/proc/sys/kernel/ostype".into(),
        offset: 0,
    };
    let reply = agent.call(get).unwrap();
    assert!(
        matches!(reply, Reply::Length { length: 6, .. }),
        "{reply:?}"
    );
    let data = Reply::Data {
        offset: 0,
        bytes: b"Linux\n".to_vec(),
    };
    assert_eq!(agent.answer().unwrap().reply, data);
}

#[test]
fn what_cannot_be_done_is_said_with_the_reason() {
    let mut agent = Agent::start().unwrap();
    let failed = |reply| match reply {
        Reply::Failed(failure) => failure,
        other => panic!("done: {other:?}"),
    };
    let get = Request::Get {
        path: "/no/such/file".into(),
        offset: 0,
    };
    let failure: Failure = failed(agent.call(get).unwrap());
    assert_eq!(failure.errno, Some(libc::ENOENT));
    assert!(failure.to_string().contains("/no/such/file"), "{failure}");
    let load = Request::LoadModule {
        path: "/no/such/module.ko".into(),
        parameters: String::new(),
    };
    let failure = failed(agent.call(load).unwrap());
    assert!(failure.to_string().contains("/no/such/module.ko"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let path = path.to_str().unwrap();
    let garbage = |_: &[u8]| Content::Deflated(vec![0xff; 9]);
    let failure = failed(agent.put_as(path, b"content", garbage).unwrap());
    assert!(
        failure.to_string().contains("cannot be inflated"),
        "{failure}"
    );
    assert_eq!(agent.put(path, b"content").unwrap(), Reply::Done);
    let failure = failed(agent.put("relative", b"x").unwrap());
    assert!(failure.to_string().contains("not absolute"), "{failure}");
    let failure = failed(agent.put("/proc/nonsense/file", b"x").unwrap());
    assert!(failure.errno.is_some(), "{failure:?}");
}

#[test]
fn the_kernels_log_is_numbered_and_the_end_is_told() {
    let mut agent = Agent::start().unwrap();
    let log = |from| Request::KernelLog { from };
    let Reply::KernelLog { records, next, .. } = agent.call(log(u64::MAX)).unwrap() else {
        panic!("no log");
    };
    assert!(records.is_empty());
    let Reply::KernelLog { records, .. } = agent.call(log(next.saturating_sub(1))).unwrap() else {
        panic!("no log");
    };
    assert!(records.len() <= 1 || records[0].sequence + 1 >= next);
}

#[test]
fn it_ends_with_its_line_and_takes_its_programs_along() {
    let mut agent = Agent::start().unwrap();
    let number = agent.ask(Request::Run(shell("sleep 62"))).unwrap();
    let Reply::Started { pid } = agent.answer().unwrap().reply else {
        panic!("not started {number}");
    };
    let (nobody, _inbox) = start(
        std::io::empty(),
        std::io::sink(),
        Line::STREAM,
        Side::Caller,
    );
    // Closes the line.
    agent.outbox = nobody;
    let deadline = Instant::now() + PATIENCE;
    while agent.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on");
        thread::sleep(Duration::from_millis(5));
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn a_terminal_that_was_not_raw_is_made_so() {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let link = format!("/proc/self/fd/{}", terminal.slave.as_raw_fd());
    let node = fs::read_link(link).unwrap();
    let plan = Plan {
        port: Some(Port {
            name: node.strip_prefix("/dev").unwrap().to_str().unwrap().into(),
            kind: PortKind::Serial,
        }),
        ..Plan::default()
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), serde_json::to_vec(&plan).unwrap()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_bringup-target"))
        .args(["agent", "--plan"])
        .arg(file.path())
        .spawn()
        .unwrap();
    let line = File::from(terminal.master);
    let reader = line.try_clone().unwrap();
    let (outbox, inbox) = start(reader, line, Line::SERIAL, Side::Caller);
    let mut agent = Agent {
        child,
        outbox,
        inbox,
        number: 0,
    };
    let (stdout, _, ended) = agent.run(shell("printf 'one\\ntwo\\r\\n\\003'")).unwrap();
    assert_eq!(stdout, b"one\ntwo\r\n\x03");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_plan_that_is_missing_ends_the_agent_with_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_bringup-target"))
        .args(["agent", "--plan", "/no/such/plan.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with(&format!("{FATAL} cannot read /no/such/plan.json")),
        "{errors}"
    );
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let code = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bringup-target"));
        program.args(arguments).output().unwrap().status.code()
    };
    assert_eq!(code(&["tour", "--nonsense"]), Some(2));
    assert_eq!(code(&["channel", "cellar"]), Some(2));
}
