// SPDX-License-Identifier: GPL-2.0

//! The generic netlink family: what devices there are and what they do, and news about them.
//!
//! Asking and listening need no privilege, as little as reading the attributes does.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    device::Device,
    health::State,
    ioctl,
    registry::Registry,
    sys::compat::{
        this_module,
        MulticastGroup, //
    },
    sys::netlink::{
        Command,
        Family,
        Message,
        Operation,
        Policy,
        Registration,
        Request, //
    },
    uapi::{
        netlink::{
            self,
            attribute,
            command,
            group, //
        },
        ABI_VERSION, //
    }, //
};

static GROUPS: [MulticastGroup; 1] = [MulticastGroup::const_new(c_name!(group::EVENTS))];
/// The index of [`group::EVENTS`] in [`GROUPS`].
const EVENTS: u8 = 0;

static OPERATIONS: [Operation; 2] = Operation::both::<GetDevice>();

static FAMILY: Family = Family::new(
    this_module(),
    c_name!(netlink::FAMILY),
    netlink::VERSION,
    &GROUPS,
    &OPERATIONS,
);

/// Makes the family known to user space.
pub(crate) fn register() -> Result<Registration> {
    FAMILY.register()
}

/// Tells who listens that a device has come.
pub(crate) fn device_added(device: &Device) {
    FAMILY.multicast(EVENTS, command::DEVICE_ADDED, |message| {
        put_identity(device, message)
    });
}

/// Tells who listens that a device has gone.
pub(crate) fn device_removed(device: &Device) {
    FAMILY.multicast(EVENTS, command::DEVICE_REMOVED, |message| {
        put_identity(device, message)
    });
}

/// Tells who listens of the new state of an engine.
pub(crate) fn state_changed(number: u32, state: State, sequence: u64) {
    FAMILY.multicast(EVENTS, command::STATE_CHANGED, |message| {
        message.put_u32(attribute::NUMBER, number)?;
        message.put_u32(attribute::STATE, state.number())?;
        message.put_uint(attribute::SEQUENCE, sequence)
    });
}

/// [`command::GET_DEVICE`].
struct GetDevice;

impl Command for GetDevice {
    const NUMBER: u8 = command::GET_DEVICE;

    const POLICY: &'static [Policy] = &{
        // CAST: Widening, in a constant.
        const NUMBER: usize = attribute::NUMBER as usize;
        let mut policy = [Policy::REFUSED; NUMBER + 1];
        policy[NUMBER] = Policy::U32;
        policy
    };

    fn answer(request: &Request<'_>, reply: &mut Message<'_>) -> Result {
        let number = request.u32(attribute::NUMBER)?;
        let device = Registry::current()?
            .first_from(number)
            .filter(|device| device.number() == number)
            .ok_or_else(|| {
                request.refuse(
                    Some(attribute::NUMBER),
                    c"there is no device with this number",
                    ENODEV,
                )
            })?;
        put(&device, reply)
    }

    fn next(position: u32, message: &mut Message<'_>) -> Result<Option<u32>> {
        // With no lock held until the next one is asked for.
        let Some(device) = Registry::current()?.first_from(position) else {
            return Ok(None);
        };
        put(&device, message)?;
        // OVERFLOW: There are fewer devices than numbers, and the lowest free one is taken.
        Ok(Some(device.number() + 1))
    }

    fn generation() -> u32 {
        Registry::current().map_or(0, |registry| registry.generation())
    }
}

fn put_identity(device: &Device, message: &mut Message<'_>) -> Result {
    message.put_u32(attribute::NUMBER, device.number())?;
    message.put_string(attribute::NAME, device.name())
}

fn put(device: &Device, message: &mut Message<'_>) -> Result {
    let counters = device.queue().counters();
    put_identity(device, message)?;
    message.put_u32(attribute::ABI_VERSION, ABI_VERSION)?;
    message.put_u32(attribute::ENGINE, device.engine().id())?;
    message.put_u32(attribute::STATE, device.queue().state().number())?;
    message.put_uint(attribute::CAPABILITIES, ioctl::CAPABILITIES)?;
    // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
    message.put_uint(attribute::SESSIONS, device.sessions() as u64)?;
    message.put_uint(attribute::TRANSFERS, counters.transfers.load(Relaxed))?;
    message.put_uint(attribute::BYTES, counters.bytes.load(Relaxed))?;
    message.put_uint(attribute::ERRORS, counters.errors.load(Relaxed))?;
    // CAST: As above.
    message.put_uint(attribute::BUFFER_BYTES, device.buffer_bytes() as u64)?;
    message.put_uint(
        attribute::MAX_TRANSFER_BYTES,
        device.engine().max_transfer_bytes(),
    )?;
    message.put_u32(attribute::TIMEOUT_MS, device.timeout_ms())
}
