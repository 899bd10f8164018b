// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writes a sample of each document into a folder, to be looked at:
//! `cargo run -p hil-report --example sample_report -- target/sample-report`.
//!
//! With a number behind the folder, the report has about so many tests on each bench.

#![expect(clippy::print_stdout, reason = "it says where the documents are")]

mod sample;

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;

use hil_report::EventWriter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().ok_or("name the folder to write to")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let mut report = sample::report();
    if let Some(count) = arguments.next() {
        let count = count.to_string_lossy().parse()?;
        sample::add_many(&mut report, count);
    }
    fs::write(folder.join("report.html"), report.to_html())?;
    fs::write(folder.join("report.xml"), report.to_junit()?)?;
    let mut events = EventWriter::new(File::create(folder.join("report.jsonl"))?);
    for event in report.into_events() {
        events.write(&event)?;
    }
    println!(
        "wrote report.html, report.xml and report.jsonl to {}",
        folder.display()
    );
    Ok(())
}
