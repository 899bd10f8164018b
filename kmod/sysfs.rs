// SPDX-License-Identifier: GPL-2.0

//! `/sys/class/misc/dmacopyN/`: one value per file.

use core::str::FromStr;

use kernel::{
    fmt,
    prelude::*,
    str::{
        kstrtobool_bytes,
        CString, //
    },
    sync::atomic::Relaxed, //
};

use crate::{
    chardev::CharDevice,
    registry::Listed,
    sys::attribute::{
        Attribute,
        AttributeGroup,
        AttributeList,
        Entry,
        GroupList, //
    },
    sys::capability::require_admin,
    uapi::{
        names::{
            attribute,
            limits,
            upcall, //
        },
        ABI_VERSION,
        DRIVER_VERSION, //
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
    Entry::new::<CoalesceCount>(),
    Entry::new::<CoalesceUs>(),
    Entry::new::<Sessions>(),
    Entry::new::<Transfers>(),
    Entry::new::<Bytes>(),
    Entry::new::<CpuBytes>(),
    Entry::new::<Errors>(),
    Entry::new::<Stalls>(),
    Entry::new::<Resets>(),
    Entry::new::<LostInterrupts>(),
    Entry::new::<DriverVersion>(),
]);

static LIMITS: AttributeList<CharDevice, { limits::ALL.len() }> = AttributeList::new([
    Entry::new::<MaxSessions>(),
    Entry::new::<MaxDeviceBytes>(),
    Entry::new::<MaxSessionBytes>(),
    Entry::new::<MaxSessionTransfers>(),
    Entry::new::<UsedBytes>(),
]);

static UPCALL: AttributeList<CharDevice, { upcall::ALL.len() }> = AttributeList::new([
    Entry::new::<UpcallPath>(),
    Entry::new::<UpcallEnabled>(),
    Entry::new::<UpcallInterval>(),
    Entry::new::<UpcallRuns>(),
    Entry::new::<UpcallFailures>(),
    Entry::new::<UpcallSuppressed>(),
]);

static OWN_GROUP: AttributeGroup<CharDevice> = AttributeGroup::new(&LIST);
static LIMITS_GROUP: AttributeGroup<CharDevice> =
    AttributeGroup::named(c_name!(limits::GROUP), &LIMITS);
static UPCALL_GROUP: AttributeGroup<CharDevice> =
    AttributeGroup::named(c_name!(upcall::GROUP), &UPCALL);

/// All attributes of a device.
pub(crate) static GROUPS: GroupList<CharDevice, 3> =
    GroupList::new([&OWN_GROUP, &LIMITS_GROUP, &UPCALL_GROUP]);

/// Declares a read-only attribute: its type, its name and its value.
macro_rules! read_only {
    ($type:ident, $name:expr, $device:ident => $value:expr) => {
        struct $type;

        #[vtable]
        impl Attribute for $type {
            type Device = CharDevice;
            const NAME: &'static CStr = c_name!($name);

            fn show(listed: &Listed) -> impl fmt::Display {
                let $device = listed.device();
                $value
            }
        }
    };
}

/// Declares an attribute that can be written, too: with a function that takes the parsed number.
macro_rules! read_write {
    ($type:ident, $name:expr, $device:ident => $value:expr, $set:ident) => {
        struct $type;

        #[vtable]
        impl Attribute for $type {
            type Device = CharDevice;
            const NAME: &'static CStr = c_name!($name);

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

read_only!(AbiVersion, attribute::ABI_VERSION, _device => ABI_VERSION);
read_only!(DriverVersion, attribute::DRIVER_VERSION, _device => DRIVER_VERSION);
read_only!(Engine, attribute::ENGINE, device => device.engine().name());
read_only!(State, attribute::STATE, device => device.queue().state().name());
read_write!(BufferBytes, attribute::BUFFER_BYTES, device => device.buffer_bytes(), set_buffer_bytes);
read_write!(RingEntries, attribute::RING_ENTRIES, device => device.ring_entries(), set_ring_entries);
read_write!(TimeoutMs, attribute::TIMEOUT_MS, device => device.timeout_ms(), set_timeout_ms);
read_write!(
    InterruptCount, attribute::INTERRUPT_COUNT,
    device => device.engine().coalescing().count, set_interrupt_count
);
read_write!(
    InterruptMicroseconds, attribute::INTERRUPT_MICROSECONDS,
    device => device.engine().coalescing().microseconds, set_interrupt_microseconds
);
read_write!(CoalesceCount, attribute::COALESCE_COUNT, device => device.coalesce_count(), set_coalesce_count);
read_write!(CoalesceUs, attribute::COALESCE_US, device => device.coalesce_us(), set_coalesce_us);
read_only!(Sessions, attribute::SESSIONS, device => device.sessions());
read_only!(Transfers, attribute::TRANSFERS, device => device.queue().counters().transfers.load(Relaxed));
read_only!(Bytes, attribute::BYTES, device => device.queue().counters().bytes.load(Relaxed));
read_only!(CpuBytes, attribute::CPU_BYTES,
    device => device.queue().counters().cpu_bytes.load(Relaxed));
read_only!(Stalls, attribute::STALLS, device => device.queue().counters().stalls.load(Relaxed));
read_only!(Resets, attribute::RESETS, device => device.queue().counters().resets.load(Relaxed));
read_only!(LostInterrupts, attribute::LOST_INTERRUPTS,
    device => device.queue().counters().missed.load(Relaxed));
read_only!(Errors, attribute::ERRORS, device => device.queue().counters().errors.load(Relaxed));

/// Declares an attribute that an administrator can write: with a function from the device and the
/// text.
macro_rules! administered {
    ($type:ident, $name:expr, $device:ident => $value:expr, $text:ident => $set:expr) => {
        struct $type;

        #[vtable]
        impl Attribute for $type {
            type Device = CharDevice;
            const NAME: &'static CStr = c_name!($name);

            fn show(listed: &Listed) -> impl fmt::Display {
                let $device = listed.device();
                $value
            }

            fn store(listed: &Listed, $text: &str) -> Result {
                // Whoever has opened the file, or owns it.
                require_admin()?;
                let $device = listed.device();
                $set
            }
        }
    };
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| EINVAL)
}

administered!(MaxSessions, limits::SESSIONS,
    device => device.limits().sessions.get(),
    text => device.limits().sessions.set(number(text)?));
administered!(MaxDeviceBytes, limits::DEVICE_BYTES,
    device => device.limits().device_bytes.get(),
    text => device.limits().device_bytes.set(number(text)?));
administered!(MaxSessionBytes, limits::SESSION_BYTES,
    device => device.limits().session_bytes.get(),
    text => device.limits().session_bytes.set(number(text)?));
administered!(MaxSessionTransfers, limits::SESSION_TRANSFERS,
    device => device.limits().session_transfers.get(),
    text => device.limits().session_transfers.set(number(text)?));
read_only!(UsedBytes, limits::USED_BYTES, device => device.limits().used_bytes());

administered!(UpcallPath, upcall::PATH,
    device => Path(device.aftermath().upcall().path()),
    text => device.aftermath().upcall().set_path(text));
administered!(UpcallEnabled, upcall::ENABLED,
    device => u8::from(device.aftermath().upcall().is_enabled()),
    text => device.aftermath().upcall().set_enabled(kstrtobool_bytes(text.as_bytes())?));
administered!(UpcallInterval, upcall::INTERVAL_MS,
    device => device.aftermath().upcall().interval_ms(),
    text => device.aftermath().upcall().set_interval_ms(number(text)?));
read_only!(UpcallRuns, upcall::RUNS, device => device.aftermath().upcall().runs.load(Relaxed));
read_only!(UpcallFailures, upcall::FAILURES,
    device => device.aftermath().upcall().failures.load(Relaxed));
read_only!(UpcallSuppressed, upcall::SUPPRESSED,
    device => device.aftermath().upcall().suppressed.load(Relaxed));

/// A path, or nothing.
struct Path(Option<CString>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().map_or(Ok(()), |path| path.fmt(f))
    }
}
