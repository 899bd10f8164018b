// SPDX-License-Identifier: GPL-2.0

//! `/sys/class/misc/dmacopyN/`: one value per file.

use kernel::{
    fmt,
    prelude::*,
    sync::atomic::Relaxed, //
};

use crate::{
    chardev::CharDevice,
    registry::Listed,
    sys::attribute::{
        Attribute,
        AttributeGroup,
        AttributeList,
        Entry, //
    },
    uapi::{
        names::attribute,
        ABI_VERSION, //
    }, //
};

static LIST: AttributeList<CharDevice, { attribute::ALL.len() }> = AttributeList::new([
    Entry::new::<AbiVersion>(),
    Entry::new::<Engine>(),
    Entry::new::<State>(),
    Entry::new::<BufferBytes>(),
    Entry::new::<RingEntries>(),
    Entry::new::<TimeoutMs>(),
    Entry::new::<InterruptCount>(),
    Entry::new::<InterruptMicroseconds>(),
    Entry::new::<Sessions>(),
    Entry::new::<Transfers>(),
    Entry::new::<Bytes>(),
    Entry::new::<Errors>(),
]);

/// All attributes of a device.
pub(crate) static ATTRIBUTES: AttributeGroup<CharDevice> = AttributeGroup::new(&LIST);

/// Declares a read-only attribute: its type, its name and its value.
macro_rules! read_only {
    ($type:ident, $name:ident, $device:ident => $value:expr) => {
        struct $type;

        #[vtable]
        impl Attribute for $type {
            type Device = CharDevice;
            const NAME: &'static CStr = c_name!(attribute::$name);

            fn show(listed: &Listed) -> impl fmt::Display {
                let $device = listed.device();
                $value
            }
        }
    };
}

/// Declares an attribute that can be written, too: with a function that takes the parsed number.
macro_rules! read_write {
    ($type:ident, $name:ident, $device:ident => $value:expr, $set:ident) => {
        struct $type;

        #[vtable]
        impl Attribute for $type {
            type Device = CharDevice;
            const NAME: &'static CStr = c_name!(attribute::$name);

            fn show(listed: &Listed) -> impl fmt::Display {
                let $device = listed.device();
                $value
            }

            fn store(listed: &Listed, value: &str) -> Result {
                listed.device().$set(value.parse().map_err(|_| EINVAL)?)
            }
        }
    };
}

read_only!(AbiVersion, ABI_VERSION, _device => ABI_VERSION);
read_only!(Engine, ENGINE, device => device.engine().name());
read_only!(State, STATE, device => device.queue().state().name());
read_write!(BufferBytes, BUFFER_BYTES, device => device.buffer_bytes(), set_buffer_bytes);
read_write!(RingEntries, RING_ENTRIES, device => device.ring_entries(), set_ring_entries);
read_write!(TimeoutMs, TIMEOUT_MS, device => device.timeout_ms(), set_timeout_ms);
read_write!(
    InterruptCount, INTERRUPT_COUNT,
    device => device.engine().coalescing().count, set_interrupt_count
);
read_write!(
    InterruptMicroseconds, INTERRUPT_MICROSECONDS,
    device => device.engine().coalescing().microseconds, set_interrupt_microseconds
);
read_only!(Sessions, SESSIONS, device => device.sessions());
read_only!(Transfers, TRANSFERS, device => device.queue().counters().transfers.load(Relaxed));
read_only!(Bytes, BYTES, device => device.queue().counters().bytes.load(Relaxed));
read_only!(Errors, ERRORS, device => device.queue().counters().errors.load(Relaxed));
