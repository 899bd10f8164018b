// SPDX-License-Identifier: MIT OR Apache-2.0

//! A login gets its agent onto the board and says why if it cannot. A shell script plays ssh, and
//! runs on this PC what would be run on the board.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hil::ssh::{Login, Settings};
use hil::wiring::{AgentLine, Duplex};
use hil::{Console, Error, Fate};

/// Runs the script in a folder of the board's own, and counts the logins.
const WORKING: &str = r#"
echo x >> "$0.logins"
for last; do :; done
last=$(printf %s "$last" | sed "s#/run/bringup /tmp/bringup /var/tmp/bringup#$(dirname "$0")/board#")
echo 'Welcome to a board that greets' 
exec sh -c "$last"
"#;

/// An agent that says back what it hears, but not who it is.
const ECHO: &str = "#!/bin/sh\n[ \"$*\" = 'agent --stdio' ] && exec cat\n";

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Played {
    folder: tempfile::TempDir,
    log: Console,
    login: Login,
}

impl Played {
    /// A board at which ssh does as the script says.
    fn new(script: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let agent = folder.path().join("agent");
        // Larger than a pipe holds.
        let rest = "#\n".repeat(200_000);
        fs::write(&agent, format!("{ECHO}{rest}"))?;
        let program = folder.path().join("ssh");
        write_program(&program, script)?;
        let settings = Settings {
            program: vec![program.display().to_string()],
            user: Some("root".into()),
            port: Some(2022),
            ..Settings::new("pi.example")
        };
        let log = Console::new(Fate::default(), None);
        let login = Login::new(settings, agent, log.clone()).patience(Duration::from_secs(3));
        Ok(Self { folder, log, login })
    }

    fn ssh_does(&self, script: &str) -> Result {
        write_program(&self.folder.path().join("ssh"), script)
    }

    fn logins(&self) -> usize {
        let text = fs::read_to_string(self.folder.path().join("ssh.logins"));
        text.unwrap_or_default().lines().count()
    }

    /// What is in the board's folder.
    fn on_board(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("board")).into_iter();
        entries.flatten().flatten().map(|e| e.path()).collect()
    }

    fn line(&mut self) -> Result<Duplex> {
        match self.login.agent()? {
            AgentLine::Own(duplex, line) => {
                assert_eq!(line, agent_wire::link::Line::STREAM);
                Ok(duplex)
            }
            other => Err(format!("{other:?}: {:?}", self.log.last()).into()),
        }
    }
}

fn write_program(path: &Path, script: &str) -> Result {
    // A program that runs must not be written.
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, format!("#!/bin/sh\n{script}"))?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
    Ok(fs::rename(fresh, path)?)
}

fn says_back(duplex: &mut Duplex, words: &[u8]) -> Result {
    duplex.writer.write_all(words)?;
    duplex.writer.flush()?;
    let mut back = vec![0; words.len()];
    duplex.reader.read_exact(&mut back)?;
    assert_eq!(back, words);
    Ok(())
}

#[test]
fn the_agent_is_stored_once_and_talks_from_its_first_byte_on() {
    let mut played = Played::new(WORKING).unwrap();
    says_back(&mut played.line().unwrap(), b"\x01bringup-login: ready\n").unwrap();
    assert_eq!(played.logins(), 2, "one stores it, one runs it");
    let stored = played.on_board();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let mode = fs::metadata(&stored[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    says_back(&mut played.line().unwrap(), b"again").unwrap();
    assert_eq!(played.logins(), 3);
}

#[test]
fn another_agent_takes_the_place_of_the_one_before() {
    let mut played = Played::new(WORKING).unwrap();
    drop(played.line().unwrap());
    let before = played.on_board();
    let agent = played.folder.path().join("agent");
    fs::write(&agent, format!("{ECHO}# another one\n")).unwrap();
    says_back(&mut played.line().unwrap(), b"new").unwrap();
    let after = played.on_board();
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

#[test]
fn an_agent_that_does_not_arrive_whole_never_gets_its_name() {
    let mut played = Played::new(&WORKING.replace("exec sh", "head -c 100000 | sh")).unwrap();
    let error = played.login.agent().unwrap_err().to_string();
    assert!(error.contains("root@pi.example, port 2022"), "{error}");
    assert!(error.contains("did not arrive whole"), "{error}");
    assert_eq!(played.on_board(), [""; 0].map(PathBuf::from));
    played.ssh_does(WORKING).unwrap();
    says_back(&mut played.line().unwrap(), b"whole").unwrap();
}

#[test]
fn a_board_on_its_way_is_asked_again_and_told_about_once() {
    let refused =
        "echo 'ssh: connect to host pi.example port 2022: Connection refused' >&2; exit 255";
    let mut played = Played::new(refused).unwrap();
    for _ in 0..2 {
        assert!(matches!(played.login.agent(), Ok(AgentLine::NotYet)));
    }
    let told = played.log.last();
    let told: Vec<_> = told.iter().filter(|l| l.starts_with("[bench]")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("Connection refused"), "{told:?}");
    assert!(told[0].contains("does the board serve logins"), "{told:?}");
    played.ssh_does(WORKING).unwrap();
    says_back(&mut played.line().unwrap(), b"there").unwrap();
}

#[test]
fn what_does_not_pass_is_an_error_at_once() {
    for (said, hint) in [
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
            "ssh-keygen -R",
        ),
        (
            "root@pi.example: Permission denied (publickey).",
            "authorized_keys",
        ),
    ] {
        let mut played = Played::new(&format!("echo '{said}' >&2; exit 255")).unwrap();
        let error = played.login.agent().unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(hint), "{error}");
        assert!(error.contains("root@pi.example, port 2022"), "{error}");
    }
}

#[test]
fn an_ssh_that_is_not_there_is_named() {
    let settings = Settings {
        program: vec!["/no/such/ssh".into()],
        ..Settings::new("pi")
    };
    let log = Console::new(Fate::default(), None);
    let mut login = Login::new(settings, "/dev/null".into(), log);
    let error = login.agent().unwrap_err();
    assert!(matches!(error, Error::Login { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/ssh"), "{error}");
}

#[test]
fn a_board_that_says_nothing_is_given_up_in_time_and_ssh_is_ended() {
    let mut played =
        Played::new("echo $$ > \"$0.pid\"; sleep 600 & echo $! >> \"$0.pid\"; wait").unwrap();
    let begun = Instant::now();
    assert!(matches!(played.login.agent(), Ok(AgentLine::NotYet)));
    assert!(begun.elapsed() < Duration::from_secs(15));
    let pids = fs::read_to_string(played.folder.path().join("ssh.pid")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        let deadline = Instant::now() + Duration::from_secs(5);
        while lives(pid) {
            assert!(Instant::now() < deadline, "{pid} lives");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !stat.is_empty() && !state.starts_with('Z')
}

#[test]
fn why_a_line_has_ended_is_told_in_the_words_of_ssh() {
    let mut played = Played::new(WORKING).unwrap();
    drop(played.line().unwrap());
    let ending = "echo bringup-login: ready; read -r line; \
                  echo 'Timeout, server pi.example not responding.' >&2; exit 255";
    played.ssh_does(ending).unwrap();
    let mut duplex = played.line().unwrap();
    duplex.writer.write_all(b"now\n").unwrap();
    assert_eq!(duplex.reader.read(&mut [0]).unwrap(), 0);
    let error = played.login.ended().unwrap().to_string();
    assert!(
        error.contains("server pi.example not responding"),
        "{error}"
    );
    assert!(error.contains("pi.example, port 2022"), "{error}");
    let told = played.log.last().join("\n");
    assert!(told.contains("not responding"), "{told}");
}

#[test]
fn a_login_that_goes_on_has_not_ended() {
    let mut played = Played::new(WORKING).unwrap();
    let mut duplex = played.line().unwrap();
    assert!(played.login.ended().is_none());
    says_back(&mut duplex, b"still here").unwrap();
    played.login.close();
    assert!(played.login.ended().is_none());
    assert_eq!(duplex.reader.read(&mut [0]).unwrap(), 0);
}
