// SPDX-License-Identifier: GPL-2.0

//! Channels of a DMA controller, that copy from memory to memory.
//!
//! The kernel's bindings for Rust leave dmaengine out. What is inline in C is in `shim/dmaengine.c`.
//!
//! C header: [`include/linux/dmaengine.h`](srctree/include/linux/dmaengine.h)

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    devres,
    error::{
        from_err_ptr,
        to_result, //
    },
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};

use super::raw_device;

/// `struct dma_chan`, which only C looks into.
#[repr(C)]
struct DmaChan {
    _opaque: [u8; 0],
}

#[expect(
    improper_ctypes,
    reason = "a device has a lock class, which is empty without lockdep"
)]
extern "C" {
    fn dma_request_chan(device: *mut bindings::device, name: *const c_char) -> *mut DmaChan;
    fn dma_release_channel(chan: *mut DmaChan);

    // What `shim/dmaengine.h` declares.
    fn dmacopy_dma_controller(chan: *mut DmaChan) -> *mut bindings::device;
    fn dmacopy_dma_keep_bound(chan: *mut DmaChan, consumer: *mut bindings::device) -> bool;
    fn dmacopy_dma_can_copy(chan: *mut DmaChan) -> bool;
    fn dmacopy_dma_alignment(chan: *mut DmaChan) -> usize;
    fn dmacopy_dma_max_bytes(chan: *mut DmaChan) -> usize;
    fn dmacopy_dma_copy(
        chan: *mut DmaChan,
        to: bindings::dma_addr_t,
        from: bindings::dma_addr_t,
        bytes: usize,
        param: *mut c_void,
    ) -> c_int;
    fn dmacopy_dma_issue(chan: *mut DmaChan);
    fn dmacopy_dma_status(chan: *mut DmaChan, cookie: c_int) -> c_int;
    fn dmacopy_dma_terminate(chan: *mut DmaChan) -> c_int;
    fn dmacopy_dma_keep_module();
}

/// Is told when a copy is done.
pub(crate) trait Listener: Send + Sync {
    /// [`Channel::outcome`] may have something new.
    ///
    /// Called in interrupt context.
    fn copy_done(&self);
}

/// A copy that a channel has been given.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(usize);

/// The device that does the DMA of another one, its *client*.
///
/// # Invariants
///
/// As long as `client` is bound to its driver, `device` is bound to its own.
pub(crate) struct Controller {
    client: ARef<device::Device>,
    device: ARef<device::Device>,
    channel: Arc<Channel>,
}

impl Controller {
    /// The device that DMA memory is to be allocated or mapped for.
    ///
    /// It is bound as long as `client` is: [`None`] if it is not known to be so.
    pub(super) fn of(&self, client: &device::Device<Bound>) -> Option<&ARef<device::Device>> {
        ptr::eq(raw_device(client), raw_device(&self.client)).then_some(&self.device)
    }

    /// Its channel.
    pub(super) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }
}

/// Where the outcome of a copy is noted.
struct Slot {
    state: Atomic<u32>,
    /// By what dmaengine knows the copy.
    cookie: Atomic<i32>,
    /// The state that the copy had when it was terminated.
    left: Atomic<u32>,
    listener: Arc<dyn Listener>,
}

/// The slot has no copy.
const FREE: u32 = 0;
/// The channel has the copy, and calls back.
const BUSY: u32 = 1;
/// The copy has been done.
const DONE: u32 = 2;
/// The copy has failed.
const FAILED: u32 = 3;

/// A channel that has been requested.
///
/// # Invariants
///
/// - `chan` has been requested and not released.
/// - The parameter of each copy that `chan` has been given, and that may still call back, comes from
///   one of `slots`, which owns it.
struct Requested {
    chan: NonNull<DmaChan>,
    slots: KVec<Arc<Slot>>,
}

// SAFETY: The functions on a channel can be called on any thread.
unsafe impl Send for Requested {}

impl Requested {
    /// Forgets all copies but those that have been done.
    ///
    /// A driver may drop the callbacks of those, so it is asked for them, and before it is stopped:
    /// some count as done what they stop. What it finds done between the two is taken for not done,
    /// unless it calls back in time; there is no way to ask for that which all drivers offer.
    fn terminate(&mut self) -> Result {
        for slot in &self.slots {
            // SAFETY: By the type invariants, the channel is requested. Any cookie can be asked for.
            let status =
                unsafe { dmacopy_dma_status(self.chan.as_ptr(), slot.cookie.load(Relaxed)) };
            let left = match status {
                0 => FREE,
                1.. => DONE,
                _ => FAILED,
            };
            slot.left.store(left, Relaxed);
        }
        // SAFETY: By the type invariants, the channel is requested. No callback waits for the lock
        // that whoever calls this holds.
        to_result(unsafe { dmacopy_dma_terminate(self.chan.as_ptr()) })?;
        // No copy that has been given before calls back any more.
        for slot in &self.slots {
            if slot.state.load(Relaxed) == BUSY {
                slot.state.store(slot.left.load(Relaxed), Relaxed);
            }
        }
        Ok(())
    }
}

impl Drop for Requested {
    fn drop(&mut self) {
        // A controller that cannot be stopped may go on to call back, and uses what the channel has.
        if self.terminate().is_err() {
            core::mem::forget(core::mem::take(&mut self.slots));
            // SAFETY: This can be called at any time that code of the module runs.
            unsafe { dmacopy_dma_keep_module() };
            return;
        }
        // SAFETY: By the type invariants, the channel is requested, and not released by anyone else.
        unsafe { dma_release_channel(self.chan.as_ptr()) };
    }
}

/// A channel of a DMA controller; requested until it is released or its client is unbound.
#[pin_data]
pub(crate) struct Channel {
    alignment: usize,
    max_bytes: usize,
    controller: ARef<device::Device>,
    /// The controller could not be stopped, and may access memory that it should not.
    is_stuck: Atomic<bool>,
    #[pin]
    requested: Mutex<Option<Requested>>,
}

impl Channel {
    /// Requests the channel that `client`, which is being probed, calls by `name`.
    ///
    /// Also returns the device that memory for the channel has to be allocated for. The error is
    /// `EPROBE_DEFER` if the controller is not there yet, and `ENODEV` if it cannot copy.
    #[doc(alias = "dma_request_chan")]
    pub(crate) fn request(
        client: &device::Device<Bound>,
        name: &'static CStr,
    ) -> Result<(Arc<Self>, Controller)> {
        // SAFETY: `client` is a device, and the name is a C string.
        let chan = unsafe { dma_request_chan(raw_device(client), name.as_char_ptr()) };
        // INVARIANT: The channel has just been requested, and been given no copy.
        let requested = Requested {
            chan: NonNull::new(from_err_ptr(chan)?).ok_or(ENODEV)?,
            slots: KVec::new(),
        };
        let chan = requested.chan.as_ptr();
        // SAFETY: The channel is requested, here and below.
        if !unsafe { dmacopy_dma_can_copy(chan) } {
            return Err(ENODEV);
        }
        // SAFETY: As above, and `client` is a device.
        if !unsafe { dmacopy_dma_keep_bound(chan, raw_device(client)) } {
            return Err(EPROBE_DEFER);
        }
        // SAFETY: As above.
        let device = unsafe { dmacopy_dma_controller(chan) };
        // SAFETY: The controller of a requested channel is a device, and registered.
        let device = unsafe { device::Device::get_device(device) };
        let controller = device.clone();
        let this = Arc::pin_init(
            pin_init!(Self {
                // SAFETY: As above.
                alignment: unsafe { dmacopy_dma_alignment(chan) },
                // SAFETY: As above.
                max_bytes: unsafe { dmacopy_dma_max_bytes(chan) },
                controller,
                is_stuck: Atomic::new(false),
                requested <- new_mutex!(Some(requested)),
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: A managed link makes the driver core unbind `client` before it unbinds the
        // controller, which is bound now: it has been found in the state of a link whose consumer
        // is being probed.
        let controller = Controller {
            client: client.into(),
            device,
            channel: this.clone(),
        };
        // The channel does not outlive the binding, and so not its controller's either.
        devres::register(client, End(this.clone()), GFP_KERNEL)?;
        Ok((this, controller))
    }

    /// What addresses and lengths must be multiples of, in bytes: a power of two.
    pub(crate) fn alignment(&self) -> usize {
        self.alignment
    }

    /// The longest copy, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Makes room for one more copy at a time, of which `listener` is told.
    pub(crate) fn make_room(&self, listener: Arc<dyn Listener>) -> Result {
        let slot = Arc::new(
            Slot {
                state: Atomic::new(FREE),
                cookie: Atomic::new(0),
                left: Atomic::new(FREE),
                listener,
            },
            GFP_KERNEL,
        )?;
        match &mut *self.requested.lock() {
            Some(requested) => Ok(requested.slots.push(slot, GFP_KERNEL)?),
            None => Err(ENODEV),
        }
    }

    /// Has the channel copy `bytes` bytes, after the copies that it has already.
    ///
    /// The addresses are those of the controller. As with a register that a driver writes them to,
    /// it is up to the caller that they lead where it may write and read, until the copy is done or
    /// the channel is terminated. `EBUSY` if there is no room.
    #[doc(alias = "dmaengine_prep_dma_memcpy")]
    pub(crate) fn copy(&self, to: u64, from: u64, bytes: usize) -> Result<Ticket> {
        let requested = self.requested.lock();
        let requested = requested.as_ref().ok_or(ENODEV)?;
        let is_free = |slot: &Arc<Slot>| slot.state.load(Relaxed) == FREE;
        let index = requested.slots.iter().position(is_free).ok_or(EBUSY)?;
        let slot = &requested.slots[index];
        slot.state.store(BUSY, Relaxed);
        let param = Arc::as_ptr(slot).cast_mut().cast();
        let chan = requested.chan.as_ptr();
        // SAFETY: By the type invariants, the channel is requested. This can sleep, in process
        // context with a mutex held.
        // INVARIANT: The parameter comes from one of `slots`.
        let cookie = unsafe { dmacopy_dma_copy(chan, to, from, bytes, param) };
        if let Err(error) = to_result(cookie) {
            // It does not call back.
            slot.state.store(FREE, Relaxed);
            return Err(error);
        }
        slot.cookie.store(cookie, Relaxed);
        // SAFETY: As above.
        unsafe { dmacopy_dma_issue(chan) };
        Ok(Ticket(index))
    }

    /// How a copy has ended, told once; [`None`] as long as it has not.
    ///
    /// What the controller has written can be read then.
    pub(crate) fn outcome(&self, ticket: Ticket) -> Option<Result> {
        let requested = self.requested.lock();
        let slot = requested.as_ref()?.slots.get(ticket.0)?;
        let outcome = match slot.state.load(Acquire) {
            DONE => Ok(()),
            FAILED => Err(EIO),
            _ => return None,
        };
        slot.state.store(FREE, Relaxed);
        Some(outcome)
    }

    /// Forgets all copies; when this has returned [`Ok`], no memory is accessed for them any more.
    /// Of those that have been done, [`Self::outcome`] tells still.
    ///
    /// After an error, [`Self::is_stuck`] until it succeeds.
    #[doc(alias = "dmaengine_terminate_sync")]
    pub(crate) fn terminate(&self) -> Result {
        let terminated = match &mut *self.requested.lock() {
            Some(requested) => requested.terminate(),
            None if self.is_stuck() => Err(EIO),
            None => Ok(()),
        };
        let was_stuck = self.is_stuck.xchg(terminated.is_err(), Relaxed);
        if terminated.is_err() && !was_stuck {
            dev_err!(
                self.controller,
                "cannot be stopped, so the memory that it may access is not freed\n"
            );
        }
        terminated
    }

    /// Whether the controller may access memory of copies that have been given up.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Relaxed)
    }

    /// Terminates and gives the channel back; everything fails with `ENODEV` then.
    #[doc(alias = "dma_release_channel")]
    pub(crate) fn release(&self) {
        // Notes it if the controller cannot be stopped.
        let _ = self.terminate();
        let requested = self.requested.lock().take();
        // With the lock released: it may be the last to refer to a listener.
        drop(requested);
    }
}

/// Ends the use of a channel; owned by the devres of its client.
struct End(Arc<Channel>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Called by C in interrupt context, once for each copy that is not terminated before.
///
/// # Safety
///
/// `param` must be that of a copy which has not called back yet, and is not waited for in vain: that
/// is, not terminated.
#[no_mangle]
unsafe extern "C" fn dmacopy_dma_done(param: *mut c_void, ok: bool) {
    // SAFETY: By the invariants of `Requested`, it comes from an `Arc<Slot>` in its `slots`, which
    // is not dropped before no copy can call back any more.
    let slot = unsafe { &*param.cast_const().cast::<Slot>() };
    slot.state.store(if ok { DONE } else { FAILED }, Release);
    slot.listener.copy_done();
}
