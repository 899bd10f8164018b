// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files that go to a board or come from it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use agent_wire::Content;
use agent_wire::message::{CHUNK, Reply, Request};
use sha2::{Digest, Sha256};

use super::Agent;
use crate::Error;

/// How long the agent may take to answer in a transfer. It may have to hash what it has, and it
/// answers the last part when all parts before have come over a slow line.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where programs are put on a board whose first program is the agent, each under its hash, so that
/// it goes there once: its top folder is in memory anyway.
const PROGRAMS: &str = "/bringup/programs";

/// The same on a board with a system of its own.
const PROGRAMS_AS_GUEST: &str = "/run/bringup/programs";

impl Agent {
    /// Puts a file on the board, under an absolute path. One that is there already with this
    /// content is left alone; a transfer that broke off earlier goes on where it was. `progress`
    /// is told how much is there, and how much is to be, in bytes. Returns whether anything had to
    /// be transferred.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or not be written there.
    pub fn put(
        &self,
        from: &Path,
        to: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, Error> {
        let unreadable = |source| Error::File {
            path: from.to_owned(),
            source,
        };
        let mut file = File::open(from).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let (sha256, length) = hash(&mut file).map_err(unreadable)?;
        let mode = metadata.permissions().mode() & 0o7777;
        self.transfer(&mut file, sha256, length, mode, to, progress)
            .map_err(|error| match error {
                Error::File { source, .. } => unreadable(source),
                other => other,
            })
    }

    /// Writes a file on the board that its owner may write and all may read.
    ///
    /// # Errors
    ///
    /// When it cannot be written there.
    pub fn write(&self, to: &str, content: &[u8]) -> Result<(), Error> {
        let sha256 = Sha256::digest(content).into();
        let length = content.len() as u64;
        let mut content = std::io::Cursor::new(content);
        self.transfer(&mut content, sha256, length, 0o644, to, &mut |_, _| {})
            .map(drop)
    }

    /// Puts a program on the board, where it stays until the board restarts, and returns its path
    /// there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or not be written there.
    pub fn install(
        &self,
        program: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<String, Error> {
        let unreadable = |source| Error::File {
            path: program.to_owned(),
            source,
        };
        let mut file = File::open(program).map_err(unreadable)?;
        let (sha256, length) = hash(&mut file).map_err(unreadable)?;
        let folder = if self.about().is_init {
            PROGRAMS
        } else {
            PROGRAMS_AS_GUEST
        };
        let path = installed_path(folder, program, &sha256);
        self.transfer(&mut file, sha256, length, 0o755, &path, progress)?;
        Ok(path)
    }

    fn transfer<R: Read + Seek>(
        &self,
        content: &mut R,
        sha256: [u8; 32],
        length: u64,
        mode: u32,
        to: &str,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, Error> {
        let unreadable = |source| Error::File {
            path: to.into(),
            source,
        };
        let call = self.begin(Request::Put {
            path: to.to_owned(),
            mode,
            length,
            sha256,
        })?;
        let mut offset = match call.reply(PATIENCE)? {
            Reply::Done => return Ok(false),
            Reply::Continue { offset } => offset,
            other => return Err(Error::unexpected(format!("putting {to}"), &other)),
        };
        content.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        loop {
            progress(offset, length);
            let mut bytes = vec![0; CHUNK];
            let read = content.read(&mut bytes).map_err(unreadable)?;
            bytes.truncate(read);
            let is_last = read == 0 || offset + read as u64 == length;
            let content = Content::pack(bytes);
            call.send(Request::Data { offset, content })?;
            offset += read as u64;
            // A failure is not waited for, but it ends the transfer.
            let early = call.reply_by_now().transpose()?;
            if is_last || early.is_some() {
                progress(offset, length);
                return match early.map_or_else(|| call.reply(PATIENCE), Ok)? {
                    Reply::Done => Ok(true),
                    other => Err(Error::unexpected(format!("putting {to}"), &other)),
                };
            }
        }
    }

    /// Reads a file on the board; those of procfs and sysfs too.
    ///
    /// # Errors
    ///
    /// When it cannot be read there.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let call = self.begin(Request::Get {
            path: path.to_owned(),
            offset: 0,
        })?;
        let attempt = || format!("reading {path}");
        let Reply::Length { sha256, .. } = call.reply(PATIENCE)? else {
            return Err(Error::OutOfOrder { attempt: attempt() });
        };
        let mut content = Vec::new();
        loop {
            match call.reply(PATIENCE)? {
                Reply::Data { offset, bytes } if offset == content.len() as u64 => {
                    content.extend(bytes);
                }
                Reply::Done if Sha256::digest(&content) == sha256.into() => return Ok(content),
                _ => return Err(Error::OutOfOrder { attempt: attempt() }),
            }
        }
    }
}

/// Where [`Agent::install`] puts a program on a board whose first program is the agent. One that is
/// packed there into the initramfs need not go over the line.
///
/// # Errors
///
/// When the file cannot be read.
pub fn place_in_initramfs(program: &Path) -> std::io::Result<String> {
    let (sha256, _) = hash(&mut File::open(program)?)?;
    Ok(installed_path(PROGRAMS, program, &sha256))
}

fn installed_path(folder: &str, program: &Path, sha256: &[u8; 32]) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let hash = hexadecimal(&sha256[..8]);
    format!("{folder}/{hash}/{name}")
}

/// Hash and length of a file, which is then at its end.
fn hash(file: &mut File) -> std::io::Result<([u8; 32], u64)> {
    let mut hasher = Sha256::new();
    let length = std::io::copy(file, &mut hasher)?;
    Ok((hasher.finalize().into(), length))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
