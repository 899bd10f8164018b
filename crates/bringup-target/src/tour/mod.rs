// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tour: visits one room after the other and checks it from both sides of the border.
//!
//! A room passes when what the program has sent or done is what the kernel says it has received,
//! and the other way round. What was compared is the room's evidence, which is shown. Whatever a
//! room changes it puts back, also when it fails.

mod bpf;
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
mod signal;
mod sysfs;
mod tracepoint;
mod uevent;
mod upcall;

use std::process::ExitCode;

use agent_wire::report::{self, Status, Tour};
use dmacopy_client::Device;

use self::evidence::Evidence;
use crate::exit;

/// What is done in a room: it collects evidence until it is through or something is wrong.
type Room = fn(&Device, &mut Evidence) -> anyhow::Result<()>;

/// All rooms, in the order of the tour.
const ROOMS: [(&str, Room); 14] = [
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
    ("debugfs", debugfs::visit),
];

/// Visits all rooms, or only one, and prints what was found there.
pub(crate) fn run(only: Option<&str>, json: bool) -> ExitCode {
    let printed = tour(only).and_then(|tour| {
        if json {
            println!("{}", serde_json::to_string_pretty(&tour)?);
        } else {
            print!("{}", document::text(&tour));
        }
        Ok(tour)
    });
    match printed {
        Ok(tour) if tour.passed() => ExitCode::SUCCESS,
        Ok(_) => exit::FAILED.into(),
        Err(error) => exit::report(&error),
    }
}

fn tour(only: Option<&str>) -> anyhow::Result<Tour> {
    let device = Device::first()?;
    let engine = device.attributes().engine()?;
    let rooms = ROOMS
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .map(|(name, room)| visit(name, *room, &device))
        .collect();
    Ok(Tour { engine, rooms })
}

fn visit(name: &str, room: Room, device: &Device) -> report::Room {
    let mut evidence = Evidence::default();
    let result = room(device, &mut evidence);
    let (status, error) = match result {
        Ok(()) => (Status::Passed, None),
        Err(error) if is_unavailable(&error) => (Status::Ignored, Some(format!("{error:#}"))),
        Err(error) => (Status::Failed, Some(format!("{error:#}"))),
    };
    report::Room {
        name: name.to_owned(),
        status,
        evidence: evidence.into_facts(),
        error,
    }
}

/// Whether a room could not be visited because the kernel was built or started without it.
fn is_unavailable(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(kernel_channels::Error::NotMounted { .. })
        )
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_tour_visits_every_room_in_its_order() {
        let names: Vec<_> = ROOMS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, kernel_channels::ROOMS);
    }

    #[test]
    fn only_a_missing_file_system_makes_a_room_unavailable() {
        let filesystem = "debugfs";
        let missing = anyhow::Error::new(kernel_channels::Error::NotMounted { filesystem });
        assert!(is_unavailable(&missing.context("cannot stall the engine")));
        let failed = Err::<(), _>(dmacopy_client::Error::NoDevice).context("no");
        assert!(!is_unavailable(&failed.unwrap_err()));
    }
}
