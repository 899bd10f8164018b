// SPDX-License-Identifier: GPL-2.0

//! One transfer, from its submission to its outcome.

use kernel::{
    list::{
        define_list_arc_field_getter,
        impl_list_arc_safe,
        impl_list_item,
        ListArc,
        ListArcField,
        ListLinks, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    dma::Buffer,
    lane::Place, //
};

/// Where the bytes of a transfer come from.
pub(crate) enum Source {
    /// From the same buffer, in bytes from its start.
    Offset(usize),
    /// From another buffer, in bytes from its start.
    Buffer(Buffer, usize),
    /// These, repeated.
    Pattern([u8; 8]),
}

/// What is to be moved, within one buffer or from another one.
pub(crate) struct Request {
    /// The number of the session that wants it.
    pub(crate) session: u64,
    /// The memory to write to.
    pub(crate) buffer: Buffer,
    /// Where to read.
    pub(crate) source: Source,
    /// Where to write, in bytes from the start of the buffer.
    pub(crate) destination: usize,
    /// How many bytes.
    pub(crate) length: usize,
}

/// Is told when a transfer is done.
pub(crate) trait Observer: Send + Sync {
    /// [`Transfer::outcome`] is there now.
    ///
    /// Called in process context, with none of the queue's locks held.
    fn transfer_done(&self);
}

/// Who wants a transfer.
pub(crate) struct Client {
    /// Its place in the lane that it waits in.
    pub(crate) place: Place,
    /// Who is told of its outcome.
    pub(crate) observer: Arc<dyn Observer>,
}

/// A [`Request`] that has been submitted, or is about to be.
#[pin_data]
pub(crate) struct Transfer {
    request: Request,
    /// 0 until it has been submitted.
    sequence: Atomic<u64>,
    submitted: Instant<Monotonic>,
    outcome: SetOnce<Result<Delta>>,
    /// Nobody wants it any more, so it need not be given to the engine once more.
    is_abandoned: Atomic<bool>,
    /// Gone when it is done: the client has references to its transfers.
    client: ListArcField<Option<Client>>,
    #[pin]
    links: ListLinks,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Transfer { untracked; }
}

impl_list_item! {
    impl ListItem<0> for Transfer { using ListLinks { self.links }; }
}

impl Transfer {
    /// A transfer that `client` is about to submit.
    pub(crate) fn new(request: Request, client: Client) -> Result<ListArc<Self>> {
        ListArc::pin_init(
            try_pin_init!(Self {
                request,
                sequence: Atomic::new(0),
                submitted: Instant::now(),
                outcome: SetOnce::new(),
                is_abandoned: Atomic::new(false),
                client: ListArcField::new(Some(client)),
                links <- ListLinks::new(),
            }),
            GFP_KERNEL,
        )
    }

    // Who wants it, until it is done.
    define_list_arc_field_getter! {
        pub(crate) fn client(&mut self<0>) -> &mut Option<Client> { client }
    }

    /// What is to be moved.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The transfer's number on its device, counted from 1.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Relaxed)
    }

    /// Gives it its number; for the queue.
    pub(crate) fn set_sequence(&self, sequence: u64) {
        self.sequence.store(sequence, Relaxed);
    }

    /// When it was submitted.
    pub(crate) fn submitted(&self) -> Instant<Monotonic> {
        self.submitted
    }

    /// How the transfer ended and, if well, how long it took; [`None`] as long as it is under way.
    pub(crate) fn outcome(&self) -> Option<Result<Delta>> {
        self.outcome.copy()
    }

    /// Says how the transfer ended; for the queue. Only the first time counts.
    pub(crate) fn end(&self, outcome: Result<Delta>) {
        self.outcome.populate(outcome);
    }

    /// Whether anybody wants it still.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Relaxed)
    }

    /// Says that nobody does.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Relaxed);
    }
}
