// SPDX-License-Identifier: MIT OR Apache-2.0

//! A list of the netlink family that is read packet by packet, and as slowly as a test wants.

use std::os::fd::{AsRawFd, OwnedFd};

use dmacopy_uapi::netlink::command;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::Result;

/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST: u16 = 0x301;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `struct nlmsghdr` and `struct genlmsghdr`.
const HEADER: usize = 20;

/// A list that has been asked for. The kernel composes a packet when the one before is read, the
/// first one at once, and makes it as short as it ever does, because nobody has read from this socket before.
#[derive(Debug)]
pub struct Dump {
    socket: OwnedFd,
}

/// What one packet of a [`Dump`] has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The numbers of the devices.
    pub numbers: Vec<u32>,
    /// Whether the kernel says that what is listed has changed meanwhile.
    pub interrupted: bool,
    /// Whether this is the last packet.
    pub done: bool,
}

impl Dump {
    /// Asks for all devices.
    ///
    /// # Errors
    ///
    /// What `socket(2)` or `send(2)` returned.
    pub fn of_devices(family: u16) -> Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkGeneric,
        )?;
        let mut request = u32::try_from(HEADER)?.to_ne_bytes().to_vec();
        request.extend(family.to_ne_bytes());
        request.extend(REQUEST.to_ne_bytes());
        request.resize(HEADER, 0);
        request[16] = command::GET_DEVICE;
        send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
        Ok(Self { socket })
    }

    /// Reads the next packet.
    ///
    /// # Errors
    ///
    /// What `recv(2)` returned, or when the packet is cut short.
    pub fn packet(&mut self) -> Result<Packet> {
        let mut bytes = [0; 4096];
        let length = recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
        let mut rest = &bytes[..length];
        let mut packet = Packet::default();
        while let Some(header) = rest.first_chunk::<8>() {
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let flags = u16::from_ne_bytes([header[6], header[7]]);
            packet.interrupted |= flags & INTERRUPTED != 0;
            packet.done |= kind == DONE;
            let length = usize::try_from(length)?.next_multiple_of(4);
            let message = rest.get(..length).ok_or("a message is cut short")?;
            // The number is the first attribute, behind its own header.
            let number = message.get(HEADER + 4..).and_then(<[u8]>::first_chunk);
            if let (false, Some(number)) = (kind == DONE, number) {
                packet.numbers.push(u32::from_ne_bytes(*number));
            }
            rest = &rest[length..];
        }
        Ok(packet)
    }

    /// Reads all packets that are left.
    ///
    /// # Errors
    ///
    /// As [`Dump::packet`].
    pub fn rest(&mut self) -> Result<Vec<Packet>> {
        let mut packets = Vec::new();
        loop {
            let packet = self.packet()?;
            let done = packet.done;
            packets.push(packet);
            if done {
                return Ok(packets);
            }
        }
    }
}
