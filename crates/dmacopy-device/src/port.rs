// SPDX-License-Identifier: MIT OR Apache-2.0

//! The fault port: commands and answers as lines of JSON, over a socket.
//!
//! ```text
//! > {"lose_messages": 1}
//! < {"ok": {"is_connected": true, "status": 1, …}}
//! > {"lose_massages": 1}
//! < {"error": "unknown variant `lose_massages`, expected one of …"}
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::device::State;
use crate::faults::Command;
use crate::model::Model;

/// What a command is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was obeyed, and this is the state afterwards.
    Ok(Box<State>),
    /// It was not understood.
    Error(String),
}

/// Obeys one line.
pub fn answer(model: &Model, line: &str) -> Answer {
    match serde_json::from_str::<Command>(line) {
        Ok(command) => Answer::Ok(Box::new(model.command(&command))),
        Err(error) => Answer::Error(error.to_string()),
    }
}

/// Obeys everybody who connects with a socket, in threads that end with the process.
///
/// # Errors
///
/// When no thread can be started.
pub fn listen(model: Arc<Model>, listener: UnixListener) -> io::Result<()> {
    let listen = move || {
        for stream in listener.incoming().flatten() {
            let model = model.clone();
            // Who is not answered sees the end of the connection.
            thread::spawn(move || converse(&model, &stream));
        }
    };
    thread::Builder::new()
        .name("faults".to_owned())
        .spawn(listen)
        .map(drop)
}

fn converse(model: &Model, stream: &UnixStream) -> io::Result<()> {
    let mut writer = stream;
    for line in BufReader::new(stream).lines() {
        let mut answer = serde_json::to_string(&answer(model, &line?))?;
        answer.push('\n');
        writer.write_all(answer.as_bytes())?;
    }
    Ok(())
}
