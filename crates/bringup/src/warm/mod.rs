// SPDX-License-Identifier: MIT OR Apache-2.0

//! Boards that stay on between runs.
//!
//! A server of its own holds the board and serves one run after the other; see [`hil::server`]. A
//! run that finds none starts one, and one that finds a server whose board was made of something
//! else ends that first. A driver that has changed is put on the board and loaded anew, which takes
//! a moment where a boot takes seconds.

mod claim;
mod driver;
mod made_of;
mod served;

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use hil::server::socket;
use hil::{Bench, State, bench};

use crate::benches::Chosen;
use crate::emulation::{Content, Emulation};
use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::lock::Lock;
use crate::module::Built;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::{Choices, Setup};
use crate::{module, target_programs};

pub(crate) use driver::bring_up_to_date;
use made_of::MadeOf;
pub(crate) use served::serve;
use served::{OnDesk, Order, Wired};

/// How long a server may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether a server has ended.
const LOOK: Duration = Duration::from_millis(100);

/// How often a server that is about to end is tried again.
const TRIES: u32 = 50;

/// How long a board stays on without a run.
const IDLE: Duration = Duration::from_secs(300);

/// This very program, also after cargo has built another in its place (`proc_pid_exe(5)`).
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where the server of a bench is reached.
pub(crate) fn socket_of(repository: &Repository, chosen: &Chosen) -> PathBuf {
    folder(repository, chosen).join("bench.socket")
}

fn folder(repository: &Repository, chosen: &Chosen) -> PathBuf {
    let kind = match chosen.description {
        None => "emulated",
        Some(_) => "described",
    };
    repository
        .output()
        .join("bench")
        .join(kind)
        .join(&chosen.name)
}

/// A board that is held, ready, and has the driver as it is in the checkout.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) bench: Bench,
}

/// Holds the board, warm or booted for this. `programs` are packed into an emulated one if it has to
/// be booted.
pub(crate) fn hold(
    chosen: &Chosen,
    programs: Vec<PathBuf>,
    choices: Choices,
    progress: &Progress,
) -> Result<Ready> {
    let setup = Setup::new(choices, progress)?;
    let built = module::build(&setup, progress)?;
    let mut bench = take(&setup, &built, chosen, programs, progress)?;
    // From here on other runs may build; the server relies on toolbox and kernel.
    drop(setup.finish_building());
    make_ready(&mut bench, &built, chosen, progress)?;
    Ok(Ready { bench })
}

/// Holds the board, in whatever state it is.
pub(crate) fn take(
    setup: &Setup,
    built: &Built,
    chosen: &Chosen,
    programs: Vec<PathBuf>,
    progress: &Progress,
) -> Result<Bench> {
    let repository = &setup.tools.repository;
    let path = socket_of(repository, chosen);
    let made_of = MadeOf {
        root: repository.root(),
        kernel: setup.kernel.folder(),
        board: &chosen.board.folder,
        description: chosen.description.as_ref(),
    };
    // Another build of this program may serve differently.
    let program = std::fs::metadata(THIS_PROGRAM).and_then(|file| file.modified());
    let key = made_of.stamp()?.text(&format!("{program:?}")).key();
    let mut tries = 0;
    loop {
        if !is_served(&path, &key, progress)? {
            serve_anew(setup, chosen, built, programs.clone(), &key, progress)?;
        }
        tries += 1;
        match hold_at(&path, progress) {
            // A server that is about to end: it had a user who just went.
            Err(hil::Error::Socket { .. } | hil::Error::Trouble(_)) if tries < TRIES => {
                std::thread::sleep(LOOK);
            }
            held => return held.map_err(|error| trouble(chosen, error)),
        }
    }
}

fn hold_at(path: &Path, progress: &Progress) -> std::result::Result<Bench, hil::Error> {
    let who = format!("pid {}, {}", std::process::id(), command_line());
    Bench::hold(path, &who, &mut waiting(progress))
}

/// Says for whom is waited, once for each.
pub(crate) fn waiting(progress: &Progress) -> impl FnMut(&str) {
    let mut told = String::new();
    move |holder| {
        if told != holder {
            holder.clone_into(&mut told);
            progress.note(&format!("the board is held by {holder}; waiting for it"));
        }
    }
}

/// Boots the board if it is off, and puts the checkout's driver on it.
pub(crate) fn make_ready(
    bench: &mut Bench,
    built: &Built,
    chosen: &Chosen,
    progress: &Progress,
) -> Result<()> {
    if bench.state().map_err(|error| trouble(chosen, error))? != State::Ready {
        let step = progress.step("boot", &chosen.title())?;
        bench
            .reach(State::Ready)
            .map_err(|error| trouble(chosen, error))?;
        step.done("ready");
    }
    driver::bring_up_to_date(bench, built, &|text| progress.note(text))
        .map_err(|e| trouble(chosen, e))
}

/// Gives a board back that was lent to the programs that have run meanwhile.
pub(crate) fn give_back(mut bench: Bench, chosen: &Chosen) -> Result<()> {
    let settled = bench.settle().and_then(|()| bench.release(false));
    settled.map_err(|error| trouble(chosen, error))
}

/// Starts the server of a bench.
fn serve_anew(
    setup: &Setup,
    chosen: &Chosen,
    built: &Built,
    programs: Vec<PathBuf>,
    key: &str,
    progress: &Progress,
) -> Result<()> {
    let folder = folder(&setup.tools.repository, chosen);
    std::fs::create_dir_all(&folder)
        .or_environment(|| format!("cannot make the folder {}", folder.display()))?;
    let agent = target_programs::build_program(&setup.tools, progress)?;
    let (wired, idle, claims) = match &chosen.description {
        None => {
            let content = Content {
                board: &chosen.board,
                module: &built.stripped,
                agent: &agent,
                programs,
                kernel_arguments: Vec::new(),
                folder: format!("bench/emulated/{}", chosen.name),
                login: None,
            };
            let step = progress.step("boot", &chosen.title())?;
            let emulation = Emulation::assemble(setup, &content, &step)?;
            (Wired::Emulated(emulation), IDLE, Vec::new())
        }
        Some(description) => {
            let on_desk = OnDesk {
                board: chosen.board.folder.clone(),
                description: description.clone(),
                agent,
                console: folder.join("console.log"),
            };
            let claims = claim::all(&chosen.name, description, progress)?;
            (
                Wired::Described(Box::new(on_desk)),
                description.idle(),
                claims,
            )
        }
    };
    let order = Order {
        name: chosen.name.clone(),
        key: key.to_owned(),
        idle_seconds: idle.as_secs(),
        wired,
    };
    start(&folder, &order, &claims)
}

/// Whether a server with such a board is there. One with another is ended when nobody uses it any
/// more.
fn is_served(path: &Path, key: &str, progress: &Progress) -> Result<bool> {
    match bench::about(path) {
        Ok(about) if about.key == key => return Ok(true),
        Ok(_) | Err(hil::Error::OtherServer { .. }) => end_when_free(path, progress),
        Err(_) => {}
    }
    let deadline = Instant::now() + PATIENCE;
    let unusable = || format!("cannot use {}", path.display());
    // One that listens and does not answer is about to end.
    while !socket::remove_if_dead(path).or_environment(unusable)? {
        if Instant::now() >= deadline {
            let what = format!(
                "the server at {} does not answer, and stays",
                path.display()
            );
            return Err(Failure::new(Exit::Timeout, what));
        }
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

/// Ends a server of any build as soon as nobody holds its board.
fn end_when_free(path: &Path, progress: &Progress) {
    let mut tell = waiting(progress);
    // One that does not answer any more has ended.
    while let Ok(false) = bench::stop_if_free(path) {
        let about = bench::about(path);
        let holder = about.ok().and_then(|about| about.holder);
        tell(holder.as_deref().unwrap_or("a run of another build"));
        std::thread::sleep(LOOK);
    }
}

/// Ends a server, if there is one, and waits until its board is off; whether there was one.
pub(crate) fn stop(path: &Path) -> Result<bool> {
    if bench::stop(path).is_err() {
        return Ok(false);
    }
    let deadline = Instant::now() + PATIENCE;
    while path.exists() {
        if Instant::now() >= deadline {
            let what = format!("the server at {} does not end", path.display());
            return Err(Failure::new(Exit::Timeout, what));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// Starts a server in a process of its own, which outlives this one and keeps the claims.
fn start(folder: &Path, order: &Order, claims: &[Lock]) -> Result<()> {
    let path = folder.join("bench.json");
    let text = serde_json::to_vec_pretty(order).or_environment(|| "cannot describe the bench")?;
    std::fs::write(&path, text).or_environment(|| format!("cannot write {}", path.display()))?;
    let log = folder.join("server.log");
    let unwritable = || format!("cannot write {}", log.display());
    let output = File::create(&log).or_environment(unwritable)?;
    let errors = output.try_clone().or_environment(unwritable)?;
    let mut server = Command::new(THIS_PROGRAM)
        .args(["bench", "serve"])
        .arg(folder)
        // Ctrl-C in this run's terminal is not for the server: it learns of it by the socket.
        .process_group(0)
        .stdin(claim::hand_on(claims)?)
        .stdout(output)
        .stderr(errors)
        .spawn()
        .or_environment(|| "cannot start the bench's server")?;
    wait_until_served(&mut server, &folder.join("bench.socket"), &log)
}

fn wait_until_served(server: &mut Child, path: &Path, log: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while bench::about(path).is_err() {
        let status = server.try_wait().or_environment(|| "cannot wait")?;
        if status.is_some() || Instant::now() >= deadline {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            let what = "the bench's server did not start";
            return Err(Failure::new(Exit::Infrastructure, what).evidence(lines));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Why a bench did not do what was asked.
pub(crate) fn trouble(chosen: &Chosen, error: hil::Error) -> Failure {
    use hil::server::TroubleKind;

    let exit = match &error {
        error if error.is_timeout() => Exit::Timeout,
        hil::Error::Trouble(trouble) if trouble.kind == TroubleKind::Target => Exit::TestFailed,
        hil::Error::Refused(_) => Exit::TestFailed,
        _ => Exit::Infrastructure,
    };
    let evidence = error.evidence();
    Failure::new(
        exit,
        format!("{} did not get through its work", chosen.name),
    )
    .because(error)
    .evidence(evidence)
}

fn command_line() -> String {
    let words: Vec<_> = std::env::args().skip(1).take(4).collect();
    format!("bringup {}", words.join(" "))
}
