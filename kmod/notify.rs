// SPDX-License-Identifier: GPL-2.0

//! How a client is told that something has happened to its session: it sleeps in a call, or polls,
//! or has an eventfd, or wants signals.
//!
//! Who sleeps in a call has said what for, and is woken up at once. The others are *told*, which
//! costs them a system call or two each time. So a client can have that *coalesced*: then it is told
//! of completions in its ring when there are so many that it has not been told of, or so long after
//! the first of them. What else there is, the client is told at once, and with it of all that.
//!
//! Who polls is noted, and told once: to be told makes it look again, and so be noted again. So as
//! long as nobody waits, telling is a look for who does.
//!
//! Telling takes no lock that is slept for, so the timer does it by itself. A timer that is set
//! although all has been told meanwhile finds nothing, or is early; what has not been told always
//! has a timer set, because whoever adds the first of it sets one.

use kernel::{
    impl_has_hr_timer,
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        poll::PollCondVar,
        rcu,
        Arc,
        ArcBorrow,
        Mutex, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeSoftMode, //
        },
        Delta,
        Monotonic, //
    }, //
};

use crate::{
    session::Session,
    sys::{
        compat::{
            smp_mb,
            PollCondVarBox, //
        },
        eventfd::EventFd,
        fasync::{
            AsyncQueue,
            Band, //
        },
        rcu::RcuOption, //
    },
    uapi::ioctl::{
        MAX_COALESCE_COUNT,
        MAX_COALESCE_MICROSECONDS, //
    }, //
};

/// Completions that have been written into a ring.
#[derive(Clone, Copy, Default)]
pub(crate) struct Posted {
    count: u32,
    failed: bool,
}

impl Posted {
    /// One more, with its result.
    pub(crate) fn add(&mut self, result: i32) {
        // OVERFLOW: No more than a ring has entries.
        self.count += 1;
        self.failed |= result < 0;
    }

    /// So many more, none of which has failed.
    pub(crate) fn add_done(&mut self, count: u32) {
        // OVERFLOW: As in `add`.
        self.count += count;
    }
}

/// How many completions a client wants to be told of together, and how late at most.
#[derive(Clone, Copy)]
pub(crate) struct Coalescing {
    count: u32,
    microseconds: u32,
}

impl Coalescing {
    /// `EINVAL` if that is too many or too long.
    pub(crate) fn new(count: u32, microseconds: u32) -> Result<Self> {
        if count > MAX_COALESCE_COUNT || microseconds > MAX_COALESCE_MICROSECONDS {
            return Err(EINVAL);
        }
        Ok(Self {
            count,
            microseconds,
        })
    }

    /// How many.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// How late.
    pub(crate) fn microseconds(self) -> u32 {
        self.microseconds
    }

    fn is_at_once(self) -> bool {
        self.count <= 1 || self.microseconds == 0
    }
}

/// A [`Coalescing`] that can be set while others go by it.
struct AtomicCoalescing(Atomic<u64>);

impl AtomicCoalescing {
    /// With a first value.
    fn new(coalescing: Coalescing) -> Self {
        Self(Atomic::new(Self::pack(coalescing)))
    }

    /// The value.
    fn load(&self) -> Coalescing {
        Self::unpack(self.0.load(Relaxed))
    }

    /// Sets it, and returns what it was.
    fn replace(&self, coalescing: Coalescing) -> Coalescing {
        Self::unpack(self.0.xchg(Self::pack(coalescing), Full))
    }

    fn pack(coalescing: Coalescing) -> u64 {
        u64::from(coalescing.count) | u64::from(coalescing.microseconds) << 32
    }

    fn unpack(packed: u64) -> Coalescing {
        Coalescing {
            // CAST: The lower half.
            count: packed as u32,
            // CAST: The upper half.
            microseconds: (packed >> 32) as u32,
        }
    }
}

/// Tells the client of one session.
#[pin_data]
pub(crate) struct Notifier {
    /// Where threads sleep, and what they poll.
    changed: PollCondVarBox,
    /// Threads that sleep in a call, or are about to.
    sleepers: Atomic<u32>,
    /// Somebody has polled who has not been told of anything since.
    has_pollers: Atomic<bool>,
    signals: Arc<AsyncQueue>,
    eventfd: RcuOption<EventFd>,
    coalescing: AtomicCoalescing,
    /// Completions that the client has not been told of.
    untold: Atomic<u32>,
    /// Whether one of them has failed.
    failed: Atomic<bool>,
    #[pin]
    timer: HrTimer<Self>,
    #[pin]
    set: Mutex<Set>,
}

/// Whether the timer of a [`Notifier`] is set.
enum Set {
    /// It never was.
    No,
    /// It was; owns a reference to the notifier.
    Yes {
        /// Takes the timer back when it is dropped.
        _handle: ArcHrTimerHandle<Notifier>,
    },
    /// It will not be any more.
    Never,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Notifier {
        mode: RelativeSoftMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Notifier {
    type Pointer<'a> = Arc<Self>;

    fn run(this: ArcBorrow<'_, Self>, _: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        if this.untold.load(Relaxed) > 0 {
            this.tell();
        }
        HrTimerRestart::NoRestart
    }
}

/// A thread that sleeps, or is about to.
pub(crate) struct Sleeper<'a>(&'a Notifier);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.sleepers.fetch_sub(1, Relaxed);
    }
}

impl Notifier {
    /// For a session whose file has this queue.
    pub(crate) fn new(signals: Arc<AsyncQueue>, coalescing: Coalescing) -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                changed: PollCondVarBox::new(c"dmacopy::Notifier::changed", static_lock_class!())?,
                sleepers: Atomic::new(0),
                has_pollers: Atomic::new(false),
                signals,
                eventfd: RcuOption::none(),
                coalescing: AtomicCoalescing::new(coalescing),
                untold: Atomic::new(0),
                failed: Atomic::new(false),
                timer <- HrTimer::new(),
                set <- new_mutex!(Set::No),
            }),
            GFP_KERNEL,
        )
    }

    /// Where threads sleep, and what they poll.
    pub(crate) fn changed(&self) -> &PollCondVar {
        &self.changed
    }

    /// Counts the calling thread as one that sleeps.
    ///
    /// Taken before it looks for what it waits for, so that whoever has that happen afterwards
    /// knows of it.
    pub(crate) fn sleeper(&self) -> Sleeper<'_> {
        self.sleepers.fetch_add(1, Relaxed);
        Sleeper(self)
    }

    /// Notes that somebody polls, which is done before it is seen what for.
    ///
    /// Whoever polls by [`Self::changed`], be it a thread, an epoll or an io_uring, does so again
    /// when that wakes it up, because it is not told what has happened: no key goes with it.
    pub(crate) fn polled(&self) {
        // Before the look at what there is: `tell` looks here when that is written.
        self.has_pollers.xchg(true, Full);
    }

    /// Whether somebody sleeps.
    pub(crate) fn has_sleepers(&self) -> bool {
        self.sleepers.load(Relaxed) > 0
    }

    /// Has an eventfd told from now on, and no other.
    pub(crate) fn set_eventfd(&self, eventfd: EventFd) -> Result {
        self.eventfd.replace(Some(KBox::new(eventfd, GFP_KERNEL)?));
        Ok(())
    }

    /// Sets how completions are coalesced, tells of those before, and returns what it was.
    pub(crate) fn set_coalescing(&self, coalescing: Coalescing) -> Coalescing {
        let before = self.coalescing.replace(coalescing);
        if self.untold.load(Relaxed) > 0 {
            self.tell();
        }
        before
    }

    /// Tells of completions in the ring, now or when it is time.
    ///
    /// Called with no lock held that may be slept for.
    pub(crate) fn posted(self: &Arc<Self>, posted: Posted) {
        if posted.count == 0 {
            return;
        }
        if posted.failed {
            self.failed.store(true, Relaxed);
        }
        let coalescing = self.coalescing.load();
        if coalescing.is_at_once() {
            return self.tell();
        }
        // OVERFLOW: What is not told is soon, at `MAX_COALESCE_COUNT` at the latest.
        let before = self.untold.fetch_add(posted.count, Full);
        if before.saturating_add(posted.count) >= coalescing.count {
            self.tell();
        } else if before == 0 {
            self.set_timer(coalescing.microseconds);
        }
    }

    fn set_timer(self: &Arc<Self>, microseconds: u32) {
        let mut set = self.set.lock();
        if matches!(*set, Set::Never) {
            return;
        }
        // Dropping a handle takes the timer back, so this comes first.
        *set = Set::No;
        *set = Set::Yes {
            _handle: self
                .clone()
                .start(Delta::from_micros(i64::from(microseconds))),
        };
    }

    /// Tells that there is something to read, be it a failure; except to who sleeps in a call.
    pub(crate) fn tell_input(&self, failed: bool) {
        if failed {
            self.failed.store(true, Relaxed);
        }
        self.tell();
    }

    /// Tells of all that there is, except who sleeps in a call. Can be called in any context.
    fn tell(&self) {
        if self.untold.load(Relaxed) > 0 {
            self.untold.xchg(0, Full);
        }
        // What there is to tell of is written by now, and is seen by those who begin to wait too late
        // to be found here.
        smp_mb();
        if self.has_pollers.load(Relaxed) && self.has_pollers.xchg(false, Full) {
            self.changed.notify_all();
        }
        self.signal_eventfd();
        if self.failed.load(Relaxed) && self.failed.xchg(false, Full) {
            self.signals.signal(Band::Error);
        }
        self.signals.signal(Band::Input);
    }

    fn signal_eventfd(&self) {
        if self.eventfd.is_none() {
            return;
        }
        let guard = rcu::read_lock();
        if let Some(eventfd) = self.eventfd.read(&guard) {
            eventfd.signal();
        }
    }

    /// Tells that the device has gone, which is the last that there is to tell.
    ///
    /// After that, [`Self::forget`] can be called.
    pub(crate) fn gone(&self) {
        self.stop();
        self.changed.notify_all();
        self.signal_eventfd();
        self.signals.signal(Band::HangUp);
    }

    /// Has no eventfd told.
    pub(crate) fn forget(&self) {
        self.eventfd.replace(None);
    }

    /// Takes the timer back for good. Who posts after that tells nobody any more.
    pub(crate) fn stop(&self) {
        *self.set.lock() = Set::Never;
    }
}

impl Session {
    /// A transfer is done, and `posted` is what that has made of the ring.
    pub(crate) fn tell(&self, posted: Posted) {
        // A thread that has looked before the change still holds the lock or sleeps already.
        let (has_input, has_failure) = {
            let stream = self.stream().lock();
            (stream.has_input(), stream.has_failure())
        };
        let notifier = self.notifier();
        // What is not of the ring may have ended with its thread awake, which counts as no sleeper.
        // Others poll for its place.
        if posted.count == 0 || notifier.has_sleepers() {
            self.changed().notify_all();
        }
        if has_input {
            notifier.tell_input(has_failure);
        }
        notifier.posted(posted);
    }

    /// A doorbell has posted completions by itself.
    pub(crate) fn tell_posted(&self, posted: Posted) {
        self.notifier().posted(posted);
        // They have looked before, or hold the lock of the stream until they sleep.
        if posted.count > 0 && self.notifier().has_sleepers() {
            self.wake();
        }
    }
}
