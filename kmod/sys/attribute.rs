// SPDX-License-Identifier: GPL-2.0

//! Sysfs attributes of misc devices.
//!
//! C headers: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h),
//! [`include/linux/device.h`](srctree/include/linux/device.h)

use core::{
    marker::PhantomData,
    ptr,
    slice,
    str, //
};

use kernel::{
    bindings,
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fmt,
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

use super::miscdevice::{
    self,
    MiscDevice, //
};

/// A file with one value, in the directory of a class device.
///
/// It is world-readable. If it implements [`Attribute::store`], its owner can write to it.
#[vtable]
pub(crate) trait Attribute: 'static {
    /// The kind of device that the attribute belongs to.
    type Device: MiscDevice;

    /// The name of the file.
    const NAME: &'static CStr;

    /// The value that a reader gets; a newline is added.
    fn show(data: &<Self::Device as MiscDevice>::Data) -> impl fmt::Display;

    /// Takes a value that was written, without white space around it.
    fn store(_data: &<Self::Device as MiscDevice>::Data, _value: &str) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The C side of attribute `A`.
struct Adapter<A>(PhantomData<A>);

impl<A: Attribute> Adapter<A> {
    const ATTRIBUTE: bindings::device_attribute = bindings::device_attribute {
        attr: {
            // There are more fields with lockdep.
            let mut attribute: bindings::attribute = pin_init::zeroed();
            attribute.name = as_char_ptr_in_const_context(A::NAME);
            attribute.mode = if A::HAS_STORE { 0o644 } else { 0o444 };
            attribute
        },
        __bindgen_anon_1: bindings::device_attribute__bindgen_ty_1 {
            show: Some(Self::show),
        },
        __bindgen_anon_2: bindings::device_attribute__bindgen_ty_2 {
            store: if A::HAS_STORE {
                Some(Self::store)
            } else {
                None
            },
        },
    };

    /// # Safety
    ///
    /// `device` must be the class device of a registered `A::Device`, and `page` a page to write
    /// to.
    unsafe extern "C" fn show(
        device: *mut bindings::device,
        _attribute: *mut bindings::device_attribute,
        page: *mut c_char,
    ) -> isize {
        // SAFETY: The caller promises that this is the class device of an `A::Device`. It stays
        // registered during the call: deregistering removes the file, which waits for its users.
        let data = unsafe { miscdevice::data::<A::Device>(device) };
        let value = A::show(data);
        // SAFETY: The caller promises that `page` is one, and `%pA` takes a pointer to `Arguments`.
        let length = unsafe {
            bindings::sysfs_emit(
                page,
                c"%pA".as_char_ptr(),
                ptr::from_ref(&fmt!("{value}\n")).cast::<c_void>(),
            )
        };
        // CAST: The length is at most that of a page.
        length as isize
    }

    /// # Safety
    ///
    /// `device` must be the class device of a registered `A::Device`, and `bytes` be valid for
    /// reads of `length` bytes.
    unsafe extern "C" fn store(
        device: *mut bindings::device,
        _attribute: *mut bindings::device_attribute,
        bytes: *const c_char,
        length: usize,
    ) -> isize {
        // SAFETY: As in `show`.
        let data = unsafe { miscdevice::data::<A::Device>(device) };
        // SAFETY: The caller promises that the bytes can be read; nobody writes to them meanwhile,
        // since they are the kernel's copy.
        let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), length) };
        from_result(|| {
            let value = str::from_utf8(bytes).map_err(|_| EINVAL)?;
            A::store(data, value.trim())?;
            Ok(isize::try_from(length)?)
        })
    }
}

/// An attribute of a device of kind `T`, in an [`AttributeList`].
///
/// # Invariants
///
/// The pointer is that of a `struct attribute` which lives forever, in a `struct device_attribute`
/// whose functions expect the class device of a `T`.
#[repr(transparent)]
pub(crate) struct Entry<T: MiscDevice>(*const bindings::attribute, PhantomData<fn(T)>);

impl<T: MiscDevice> Entry<T> {
    /// The entry for `A`.
    pub(crate) const fn new<A: Attribute<Device = T>>() -> Self {
        let attribute: &'static bindings::device_attribute = &Adapter::<A>::ATTRIBUTE;
        // INVARIANT: The reference is `'static`, and `A::Device` is `T`.
        Self(&attribute.attr, PhantomData)
    }
}

/// Attributes of devices of kind `T`, with the null pointer behind the last that C asks for.
#[repr(C)]
pub(crate) struct AttributeList<T: MiscDevice, const N: usize> {
    entries: [Entry<T>; N],
    end: *const bindings::attribute,
}

// SAFETY: What the pointers point to is never written to.
unsafe impl<T: MiscDevice, const N: usize> Sync for AttributeList<T, N> {}

impl<T: MiscDevice, const N: usize> AttributeList<T, N> {
    /// Makes a list of `entries`.
    pub(crate) const fn new(entries: [Entry<T>; N]) -> Self {
        Self {
            entries,
            end: ptr::null(),
        }
    }
}

/// A group of attributes of devices of kind `T`.
///
/// # Invariants
///
/// The group's name is null or lives forever. It has no attributes but those of an
/// [`AttributeList`] for `T` that lives forever, and no other functions.
#[repr(transparent)]
pub(crate) struct AttributeGroup<T: MiscDevice>(bindings::attribute_group, PhantomData<fn(T)>);

// SAFETY: What the pointers point to is never written to.
unsafe impl<T: MiscDevice> Sync for AttributeGroup<T> {}

impl<T: MiscDevice> AttributeGroup<T> {
    /// Makes a group of the attributes in `list`, in the directory of the device itself.
    pub(crate) const fn new<const N: usize>(list: &'static AttributeList<T, N>) -> Self {
        Self::build(ptr::null(), list)
    }

    /// Makes a group of the attributes in `list`, in the directory `name` of the device.
    pub(crate) const fn named<const N: usize>(
        name: &'static CStr,
        list: &'static AttributeList<T, N>,
    ) -> Self {
        Self::build(as_char_ptr_in_const_context(name), list)
    }

    /// The name is null or that of a `&'static CStr`.
    const fn build<const N: usize>(
        name: *const c_char,
        list: &'static AttributeList<T, N>,
    ) -> Self {
        // INVARIANT: Only the name and the list are set, and both are `'static`.
        Self(
            bindings::attribute_group {
                name,
                __bindgen_anon_2: bindings::attribute_group__bindgen_ty_2 {
                    // CAST: An `AttributeList` is laid out like a null-terminated array of
                    // pointers. C does not write to it, although it lacks the `const`.
                    attrs: ptr::from_ref(list).cast_mut().cast(),
                },
                ..pin_init::zeroed()
            },
            PhantomData,
        )
    }
}

/// Groups of attributes of devices of kind `T`, with the null pointer behind the last that C asks
/// for.
#[repr(C)]
pub(crate) struct GroupList<T: MiscDevice, const N: usize> {
    groups: [&'static AttributeGroup<T>; N],
    end: *const bindings::attribute_group,
}

// SAFETY: What the pointers point to is never written to.
unsafe impl<T: MiscDevice, const N: usize> Sync for GroupList<T, N> {}

impl<T: MiscDevice, const N: usize> GroupList<T, N> {
    /// Makes a list of `groups`.
    pub(crate) const fn new(groups: [&'static AttributeGroup<T>; N]) -> Self {
        Self {
            groups,
            end: ptr::null(),
        }
    }

    /// All groups of a kind of device.
    pub(crate) const fn all(&'static self) -> AttributeGroups<T> {
        // INVARIANT: The list is `'static`, and ends with a null pointer.
        // CAST: `AttributeGroup` is a transparent wrapper of `struct attribute_group`, so that a
        // `GroupList` is laid out like a null-terminated array of pointers to it.
        AttributeGroups(ptr::from_ref(self).cast(), PhantomData)
    }
}

/// All groups of attributes that devices of kind `T` have.
///
/// # Invariants
///
/// The pointer is that of a null-terminated array of groups for `T` that lives forever.
pub(crate) struct AttributeGroups<T: MiscDevice>(
    *const *const bindings::attribute_group,
    PhantomData<fn(T)>,
);

impl<T: MiscDevice> AttributeGroups<T> {
    /// The groups as C has them. It does not write to them, although it lacks the `const`.
    pub(super) fn as_raw(&self) -> *mut *const bindings::attribute_group {
        self.0.cast_mut()
    }
}
