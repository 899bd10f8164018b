// SPDX-License-Identifier: MIT OR Apache-2.0

//! The socket: bytes to the kernel, and bytes that only the kernel can have sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use neli::consts::socket::NlFamily;
use neli::socket::NlSocket;
use neli::utils::Groups;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, recvfrom, send};

use super::Failure;
use crate::{Error, Interest, Operation, poll};

/// More than the kernel puts into one packet: 32 KiB of a dump.
const LONGEST_PACKET: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
}

impl Socket {
    /// A socket that is a member of these multicast groups.
    pub(super) fn open(groups: &[u32]) -> Result<Self, Failure> {
        let socket = NlSocket::connect(NlFamily::Generic, None, Groups::empty())
            .map_err(failed(Operation::Open))?;
        socket.nonblock().map_err(failed(Operation::Open))?;
        socket
            .enable_ext_ack(true)
            .map_err(failed(Operation::Open))?;
        socket
            .add_mcast_membership(Groups::new_groups(groups))
            .map_err(failed(Operation::Join))?;
        // SAFETY: the socket is open, and has just been given away, so nobody else closes it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) };
        Ok(Self { descriptor })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Failure> {
        send(self.descriptor.as_raw_fd(), bytes, MsgFlags::empty())
            .map(drop)
            .map_err(|errno| failed(Operation::Write)(errno.into()))
    }

    /// Waits for the next packet of the kernel; `None` when the time ran out.
    pub(super) fn receive(&self, timeout: Option<Duration>) -> Result<Option<Vec<u8>>, Failure> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut packet = vec![0; LONGEST_PACKET];
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if poll(self, Interest::READABLE, left)
                .map_err(not_polled)?
                .is_none()
            {
                return Ok(None);
            }
            match recvfrom::<NetlinkAddr>(self.descriptor.as_raw_fd(), &mut packet) {
                Ok((length, Some(sender))) if sender.pid() == 0 => {
                    if length == packet.len() {
                        return Err(Failure::Malformed("a packet is too long".to_owned()));
                    }
                    packet.truncate(length);
                    return Ok(Some(packet));
                }
                // Not from the kernel; or gone before it was read.
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Err(Failure::Lost),
                Err(errno) => return Err(failed(Operation::Read)(errno.into())),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn failed(operation: Operation) -> impl Fn(io::Error) -> Failure {
    move |source| Failure::Socket { operation, source }
}

fn not_polled(error: Error) -> Failure {
    let source = match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::other(error),
    };
    failed(Operation::Poll)(source)
}
