/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The rings lie behind the buffer in the same mapping, from rings_offset of struct dmacopy_info on:
 * four indices, the descriptors, the completions. Indices wrap at 2^32. To submit, write descriptors,
 * store SUBMISSION_TAIL behind the last of them, and call DMACOPY_IOCTL_SUBMIT. A completion is there
 * when COMPLETION_TAIL is behind it; store COMPLETION_HEAD when it has been read.
 */

/* What rings with so many entries take, in bytes. */
static inline __u64 dmacopy_ring_bytes(__u32 entries)
{
	return DMACOPY_RING_INDEX_BYTES +
	       (__u64)entries * (sizeof(struct dmacopy_descriptor) + sizeof(struct dmacopy_completion));
}

/* The descriptor of an index, in rings with so many entries. */
static inline struct dmacopy_descriptor *dmacopy_ring_descriptor(void *rings, __u32 entries,
								 __u32 index)
{
	char *first = (char *)rings + DMACOPY_RING_INDEX_BYTES;

	return (struct dmacopy_descriptor *)(void *)first + (index & (entries - 1));
}

/* The completion of an index, in rings with so many entries. */
static inline struct dmacopy_completion *dmacopy_ring_completion(void *rings, __u32 entries,
								 __u32 index)
{
	char *first = (char *)rings + DMACOPY_RING_INDEX_BYTES +
		      entries * sizeof(struct dmacopy_descriptor);

	return (struct dmacopy_completion *)(void *)first + (index & (entries - 1));
}

/* Reads an index, DMACOPY_RING_INDEX_*, and sees what was written before it was. */
static inline __u32 dmacopy_ring_load(const void *rings, unsigned int index)
{
	return __atomic_load_n((const __u32 *)(const void *)((const char *)rings + index),
			       __ATOMIC_ACQUIRE);
}

/* Writes an index, behind what was written before. */
static inline void dmacopy_ring_store(void *rings, unsigned int index, __u32 value)
{
	__atomic_store_n((__u32 *)(void *)((char *)rings + index), value, __ATOMIC_RELEASE);
}
