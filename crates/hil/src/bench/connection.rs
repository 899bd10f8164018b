// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a user's connection with a bench's server begins.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::Error;
use crate::server::greeting::{DIALECT, Greeting, Wish};
use crate::server::{Answer, Request, receive, send, socket};

/// How long a server may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to talk with a server of this build.
pub(super) fn connect(path: &Path) -> Result<UnixStream, Error> {
    let (line, greeting) = greeted(path)?;
    if greeting.dialect != DIALECT {
        return Err(Error::OtherServer {
            path: path.to_owned(),
            pid: greeting.pid,
        });
    }
    let wish = Wish::Talk(DIALECT);
    wish.send(&line)
        .map_err(|source| socket_error(path, source))?;
    Ok(line)
}

/// Has a server of any build end; whether it does.
pub(super) fn end(path: &Path, wish: Wish) -> Result<bool, Error> {
    let failed = |source| socket_error(path, source);
    let (mut line, _) = greeted(path)?;
    wish.send(&line).map_err(failed)?;
    let mut answer = [0];
    line.read_exact(&mut answer).map_err(failed)?;
    Ok(answer == [1])
}

fn greeted(path: &Path) -> Result<(UnixStream, Greeting), Error> {
    let failed = |source| socket_error(path, source);
    let line = socket::connect(path).map_err(failed)?;
    line.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let greeting = Greeting::receive(&line).map_err(failed)?;
    line.set_read_timeout(None).map_err(failed)?;
    Ok((line, greeting))
}

/// Asks one question.
pub(super) fn ask(path: &Path, request: &Request) -> Result<Answer, Error> {
    let line = connect(path)?;
    send(&line, request).map_err(|source| socket_error(path, source))?;
    answer(path, &line)
}

/// The next answer.
pub(super) fn answer(path: &Path, line: &UnixStream) -> Result<Answer, Error> {
    let failed = |source| socket_error(path, source);
    let answer = receive(line).map_err(failed)?;
    answer.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))
}

pub(super) fn socket_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Socket { path, source }
}
