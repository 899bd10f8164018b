// SPDX-License-Identifier: GPL-2.0

//! Coherent memory that can be mapped into user space and taken away again.
//!
//! C headers: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)

use core::{
    mem,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    dma::Coherent,
    error::to_result,
    mm::{
        virt::VmaNew,
        Mm,
        MmWithUser, //
    },
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};

use super::{
    binding::Binding,
    compat::dma_address,
    miscdevice::Closed,
    raw_device, //
};

/// Zeroed coherent memory, allocated when it is used for the first time.
///
/// The memory belongs to a device that has to be bound not only when it is allocated, but also when
/// it is freed. So it does not live as long as its users: [`Self::revoke`] takes it away from them
/// while the device is bound, unless [`Self::free`] does when they are gone. Whoever asks for it
/// afterwards gets `ENODEV`.
///
/// # Invariants
///
/// - The memory in `state` was allocated for the device of `binding`, with no DMA attributes.
/// - Each page table entry for that memory belongs to an area of `state.file`; each area whose
///   setup may still be under way belongs to one of `state.users`.
#[pin_data(PinnedDrop)]
pub(crate) struct RevocableMemory {
    bytes: usize,
    binding: Arc<Binding>,
    #[pin]
    state: Mutex<State>,
}

struct State {
    memory: Option<Coherent<[u8]>>,
    revoked: bool,
    /// The file that the memory has been mapped by.
    file: Option<Arc<MappedFile>>,
    /// The address spaces that the memory has been mapped to.
    users: KVec<ARef<Mm>>,
}

impl State {
    /// The memory; allocated if it was not before.
    #[inline]
    fn memory(&mut self, binding: &Binding, bytes: usize) -> Result<&Coherent<[u8]>> {
        if self.revoked {
            return Err(ENODEV);
        }
        match self.memory {
            Some(ref memory) => Ok(memory),
            // INVARIANT: It is allocated for the device of `binding`, with no attributes.
            ref mut empty => Ok(empty.insert(allocate(binding, bytes)?)),
        }
    }

    /// Notes that `area`, of which the setup by a file is under way, is about to map the memory.
    fn note(&mut self, area: &VmaNew) -> Result {
        if self.file.is_none() {
            self.file = Some(Arc::new(MappedFile::of(area), GFP_KERNEL)?);
        }
        let user: &Mm = area.mm();
        // An address space that nobody uses any more sets up no area. This is called with the lock
        // of another one held, so the last user must not be dropped here.
        self.users.retain(|user| {
            let user = user.mmget_not_zero().map(MmWithUser::into_mmput_async);
            user.is_some()
        });
        let is_known = |known: &ARef<Mm>| known.as_raw() == user.as_raw();
        if !self.users.iter().any(is_known) {
            self.users.push(user.into(), GFP_KERNEL)?;
        }
        Ok(())
    }
}

/// Zeroed memory for the device of `binding`, with no DMA attributes.
#[cold]
fn allocate(binding: &Binding, bytes: usize) -> Result<Coherent<[u8]>> {
    let device = binding.hold().ok_or(ENODEV)?;
    Coherent::<u8>::zeroed_slice(&device, bytes, GFP_KERNEL)
}

impl RevocableMemory {
    /// Memory of `bytes` bytes, for the device of `binding`.
    pub(crate) fn new(binding: Arc<Binding>, bytes: usize) -> Result<Arc<Self>> {
        // INVARIANT: There is no memory and no page table entry.
        Arc::pin_init(
            pin_init!(Self {
                bytes,
                binding,
                state <- new_mutex!(State {
                    memory: None,
                    revoked: false,
                    file: None,
                    users: KVec::new(),
                }),
            }),
            GFP_KERNEL,
        )
    }

    /// The size of the memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Allocates the memory, unless that has been done.
    pub(crate) fn allocate(&self) -> Result {
        self.access(|_| Ok(()))
    }

    /// Calls `f` with the memory, which cannot be revoked meanwhile.
    ///
    /// User space may write to the memory at any time. `f` must not access user memory.
    pub(crate) fn access<R>(&self, f: impl FnOnce(&Coherent<[u8]>) -> Result<R>) -> Result<R> {
        let mut state = self.state.lock();
        f(state.memory(&self.binding, self.bytes)?)
    }

    /// Where the device finds the byte at `offset`, and how many bytes are contiguous from there on.
    /// It is valid until the memory is revoked or freed.
    pub(crate) fn segment(&self, offset: usize) -> Result<(u64, usize)> {
        self.access(|memory| {
            let length = memory.size().checked_sub(offset).filter(|&left| left > 0);
            // CAST: `usize` is at most 64 bits wide on all architectures of Linux.
            // OVERFLOW: All of the memory has addresses, and `offset` lies in it, or is refused.
            let address = dma_address(memory) + offset as u64;
            Ok((address, length.ok_or(EINVAL)?))
        })
    }

    /// Maps the memory to `area`, from the area's offset on.
    ///
    /// The mapping lasts until the memory is revoked; an access after that is a `SIGBUS`. Until
    /// then user space may write to the memory, also while the processor or a device accesses it.
    /// All areas must be of one file, `EBUSY` otherwise.
    #[doc(alias = "dma_mmap_attrs")]
    pub(crate) fn map(&self, area: &VmaNew) -> Result {
        self.allocate()?;

        let mut state = self.state.lock();
        if state.revoked {
            return Err(ENODEV);
        }
        state.note(area)?;
        if !state.file.as_ref().is_some_and(|file| file.is_of(area)) {
            return Err(EBUSY);
        }
        let memory = state.memory.as_ref().ok_or(ENODEV)?;
        let device = self.binding.hold().ok_or(ENODEV)?;
        // SAFETY: `raw_device` returns a valid pointer, since `device` is borrowed. `area` is
        // undergoing its setup, by the type invariants of `VmaNew`. By the type invariants of
        // `Self`, the addresses, the size and the (empty) attributes are those of an allocation for
        // this device. `dma_mmap_attrs` refuses an area that reaches beyond the allocation.
        // INVARIANT: The area is of `state.file`, as has just been checked, and its address space
        // is in `state.users`, by `note`. With no functions of its own, the area gets page table
        // entries for the memory by no other way than this and the moving of existing ones, and
        // those of a copy are of the same file. `revoke` has not begun, and waits for the lock that
        // is held here.
        to_result(unsafe {
            bindings::dma_mmap_attrs(
                raw_device(&device),
                area.as_ptr(),
                memory.as_mut_ptr().cast(),
                dma_address(memory),
                memory.size(),
                0,
            )
        })
    }

    /// Takes the memory away from everyone and frees it; the device must still be bound.
    ///
    /// When this returns, whoever called it first or at the same time, nobody has access any more,
    /// and an access to a mapping is a `SIGBUS`. Whatever else is mapped from the same device node
    /// goes as well. Must be called with no lock held that is taken while memory is mapped, that
    /// is, with an mmap lock held.
    #[doc(alias = "unmap_mapping_range")]
    pub(crate) fn revoke(&self) {
        self.unmap_and_free(None);
    }

    /// Frees the memory, which was mapped by `closed` at most; the device must still be bound.
    ///
    /// Must be called with no lock held, as [`Self::revoke`].
    pub(crate) fn free(&self, closed: &Closed<'_>) {
        self.unmap_and_free(Some(closed));
    }

    fn unmap_and_free(&self, closed: Option<&Closed<'_>>) {
        let is_mapped = {
            let mut state = self.state.lock();
            // From here on, nobody gets at the memory through `state`.
            state.revoked = true;
            // A file that has been closed has no areas any more, and gets none.
            let is_closed = |file: &MappedFile| closed.is_some_and(|closed| file.is(closed));
            state.file.as_ref().is_some_and(|file| !is_closed(file))
        };
        if is_mapped {
            self.unmap();
        }

        // No page table entry is left. Who else may be in here has come as far, or finds nothing to
        // free; nobody empties `users` before that.
        let mut state = self.state.lock();
        let left = (state.file.take(), mem::take(&mut state.users));
        if let Some(memory) = state.memory.take() {
            match self.binding.hold() {
                Some(_device) => drop(memory),
                // Freeing it now could free something else.
                None => mem::forget(memory),
            }
        }
        drop(state);
        drop(left);
    }

    /// Removes all page table entries, after `revoked` has been set.
    fn unmap(&self) {
        // An area gets its page table entries before it can be found through its file. Whoever was
        // setting one up before `revoked` was set holds the lock of the address space until it can.
        let mut index = 0;
        loop {
            let user = self.state.lock().users.get(index).cloned();
            let Some(user) = user else { break };
            if let Some(user) = user.mmget_not_zero().map(MmWithUser::into_mmput_async) {
                drop(user.mmap_read_lock());
            }
            index += 1;
        }
        let file = self.state.lock().file.clone();
        if let Some(file) = file {
            file.unmap();
        }
    }
}

#[pinned_drop]
impl PinnedDrop for RevocableMemory {
    fn drop(self: Pin<&mut Self>) {
        self.revoke();
    }
}

/// A file that memory has been mapped by.
///
/// # Invariants
///
/// `pages` is the address space of an inode, `host`, of which this owns a reference.
struct MappedFile {
    /// Tells the file from others. Not to be accessed: the file may be gone.
    file: *const bindings::file,
    pages: NonNull<bindings::address_space>,
}

// SAFETY: A reference to an inode can be dropped on any thread, and the file is not accessed.
unsafe impl Send for MappedFile {}
// SAFETY: `unmap_mapping_range` can be called in parallel, and the file is not accessed.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// The file that `area` maps.
    fn of(area: &VmaNew) -> Self {
        let file = Self::raw(area);
        // SAFETY: The file is open, because an area refers to it. So it has a mapping.
        let pages = unsafe { NonNull::new_unchecked((*file).f_mapping) };
        // SAFETY: The address space is valid, because the file is open, and has a host, because it
        // is that of an inode.
        unsafe { bindings::ihold(pages.as_ref().host) };
        // INVARIANT: A reference to the inode has just been taken.
        Self { file, pages }
    }

    /// Whether this is the file that `area` maps.
    fn is_of(&self, area: &VmaNew) -> bool {
        self.file == Self::raw(area)
    }

    /// Whether this is the file that has been closed.
    ///
    /// Or one that was in its place before, and has been closed even earlier.
    fn is(&self, closed: &Closed<'_>) -> bool {
        self.file == closed.file().as_ptr().cast_const()
    }

    fn raw(area: &VmaNew) -> *const bindings::file {
        // SAFETY: `area` is undergoing its setup, by the type invariants of `VmaNew`.
        unsafe { (*area.as_ptr()).vm_file }
    }

    /// Removes all page table entries of all areas that map the file, wherever they are, and of
    /// those that map another file of the same inode.
    fn unmap(&self) {
        // SAFETY: By the type invariants, the address space is valid. A length of 0 stands for all
        // of it.
        unsafe { bindings::unmap_mapping_range(self.pages.as_ptr(), 0, 0, 1) };
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: By the type invariants, the address space is valid, and this owns a reference to
        // its host, which is given up.
        unsafe { bindings::iput(self.pages.as_ref().host) };
    }
}
