// SPDX-License-Identifier: MIT OR Apache-2.0

//! A browser without a window, and what it makes of a page.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser that has not ended by then never will.
const LIMIT: Duration = Duration::from_secs(120);

/// What the page has become, and what the browser had to say about it.
pub(crate) struct Shown {
    pub(crate) page: String,
    pub(crate) messages: Vec<String>,
}

pub(crate) fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut folders = std::env::split_paths(&path);
    folders.find_map(|folder| {
        let mut programs = BROWSERS.iter().map(|name| folder.join(name));
        programs.find(|program| program.is_file())
    })
}

pub(crate) fn show(browser: &PathBuf, html: &str, address: &str) -> Result<Shown, Failed> {
    let folder = tempfile::tempdir()?;
    let (page, dump) = (folder.path().join("page.html"), folder.path().join("dump"));
    let messages = folder.path().join("messages");
    fs::write(&page, html)?;
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
        ])
        .args([
            "--disable-component-update",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}{address}", page.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&dump)?)
        .stderr(fs::File::create(&messages)?)
        .spawn()?;
    let begin = Instant::now();
    while child.try_wait()?.is_none() {
        if begin.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(format!("the browser did not end within {LIMIT:?}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let messages = String::from_utf8_lossy(&fs::read(messages)?).into_owned();
    let of_page = messages.lines().filter(|line| line.contains("CONSOLE"));
    Ok(Shown {
        page: String::from_utf8_lossy(&fs::read(dump)?).into_owned(),
        messages: of_page.map(str::to_owned).collect(),
    })
}

pub(crate) fn opening_tags<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let pieces = page
        .split(&*format!("<{name} "))
        .skip(1)
        .collect::<Vec<_>>();
    pieces
        .into_iter()
        .filter_map(|piece| piece.split_once('>').map(|(tag, _)| tag))
}
