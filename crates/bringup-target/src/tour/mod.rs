// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tour: visits one room after the other and checks it from both sides of the border.
//!
//! A room passes when what the program has sent or done is what the kernel says it has received,
//! and the other way round. What was compared is the room's evidence, which is shown. Whatever a
//! room changes it puts back, also when it fails.

mod bpf;
mod channel;
mod chardev;
mod debugfs;
mod document;
mod eventfd;
mod evidence;
mod futex;
mod ioctl;
mod mmap;
mod netlink;
mod pattern;
mod procfs;
mod seccomp;
mod signal;
mod stall;
mod step;
mod syscall;
mod sysfs;
mod tracepoint;
mod uevent;
mod upcall;
mod watch;

use std::process::ExitCode;

use agent_wire::report::{self, Status, Tour};
use anyhow::Context as _;
use dmacopy_client::Device;

use self::channel::Channel;
use self::evidence::Evidence;
pub(crate) use self::pattern::pattern;
use crate::{exit, output};

/// What is done in a room: it collects evidence until it is through or something is wrong.
type Room = fn(&Device, &mut Evidence) -> anyhow::Result<()>;

/// All rooms, in the order of the tour.
const ROOMS: [(&str, Room); 17] = [
    ("syscall", syscall::visit),
    ("chardev", chardev::visit),
    ("ioctl", ioctl::visit),
    ("mmap", mmap::visit),
    ("futex", futex::visit),
    ("signal", signal::visit),
    ("eventfd", eventfd::visit),
    ("sysfs", sysfs::visit),
    ("uevent", uevent::visit),
    ("netlink", netlink::visit),
    ("upcall", upcall::visit),
    ("procfs", procfs::visit),
    ("tracepoint", tracepoint::visit),
    ("bpf", bpf::visit),
    ("seccomp", seccomp::visit),
    ("watch", watch::visit),
    ("debugfs", debugfs::visit),
];

/// What came of a visit.
struct Visit {
    evidence: Evidence,
    status: Status,
    error: Option<String>,
}

/// Visits all rooms, and prints what was checked there.
pub(crate) fn run(json: bool) -> ExitCode {
    let toured = tour().and_then(|tour| {
        output::print(json, &tour, || document::text(&tour))?;
        Ok(tour.passed())
    });
    exit::end(json, toured)
}

/// Visits one room, and prints each step.
pub(crate) fn channel(name: &str, json: bool) -> ExitCode {
    let visited = find(name).and_then(|room| {
        let device = Device::first()?;
        let channel = Channel::new(name, &device, visit(room, &device))?;
        output::print(json, &channel, || channel.text())?;
        Ok(channel.has_passed())
    });
    exit::end(json, visited)
}

fn tour() -> anyhow::Result<Tour> {
    let device = Device::first()?;
    let engine = device.attributes().engine()?;
    let rooms = ROOMS.iter().map(|(name, room)| {
        let visit = visit(*room, &device);
        report::Room {
            name: (*name).to_owned(),
            status: visit.status,
            evidence: visit.evidence.into_facts(),
            error: visit.error,
        }
    });
    let rooms = rooms.collect();
    Ok(Tour { engine, rooms })
}

fn find(name: &str) -> anyhow::Result<Room> {
    let found = ROOMS.iter().find(|(room, _)| *room == name);
    let (_, room) = found.with_context(|| format!("there is no room {name}"))?;
    Ok(*room)
}

fn visit(room: Room, device: &Device) -> Visit {
    let mut evidence = Evidence::default();
    let (status, error) = match room(device, &mut evidence) {
        Ok(()) => (Status::Passed, None),
        Err(error) if is_unavailable(&error) => (Status::Ignored, Some(format!("{error:#}"))),
        Err(error) => (Status::Failed, Some(format!("{error:#}"))),
    };
    Visit {
        evidence,
        status,
        error,
    }
}

/// What the kernel was built or started without.
#[derive(Debug, thiserror::Error)]
#[error("the kernel was built or started without {0}")]
struct Unavailable(&'static str);

/// Whether a room could not be visited because the kernel was built or started without it.
fn is_unavailable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let is_not_mounted = matches!(
            cause.downcast_ref(),
            Some(kernel_channels::Error::NotMounted { .. })
        );
        is_not_mounted || cause.is::<Unavailable>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_visits_every_room_in_its_order() {
        let names: Vec<_> = ROOMS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, kernel_channels::ROOMS);
    }

    #[test]
    fn only_what_the_kernel_lacks_makes_a_room_unavailable() {
        let filesystem = "debugfs";
        let missing = anyhow::Error::new(kernel_channels::Error::NotMounted { filesystem });
        assert!(is_unavailable(&missing.context("cannot stall the engine")));
        assert!(is_unavailable(&Unavailable("Landlock").into()));
        let failed = Err::<(), _>(dmacopy_client::Error::NoDevice).context("no");
        assert!(!is_unavailable(&failed.unwrap_err()));
    }
}
