/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Copies within a session's buffer, from C: a batch of three descriptors, one system call.
 *
 *	cc -I crates/dmacopy-uapi/include -o batch crates/dmacopy-uapi/examples/batch.c
 *	./batch /dev/dmacopy0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dmacopy.h>

#define LENGTH 1000
#define DESTINATION 2048

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	const struct dmacopy_descriptor batch[] = {
		{ .opcode = DMACOPY_RING_NOP, .user_data = 1 },
		{
			.opcode = DMACOPY_RING_COPY,
			.length = LENGTH,
			.destination = DESTINATION,
			.user_data = 2,
		},
		/* A length of zero is refused, and nothing else with it. */
		{ .opcode = DMACOPY_RING_FILL, .user_data = 3 },
	};
	const __u32 count = sizeof(batch) / sizeof(batch[0]);
	struct dmacopy_submit submit = { .count = count, .wait = count };
	struct dmacopy_info info;
	unsigned char *buffer;
	__u32 head, tail, i;
	size_t bytes, page;
	void *rings;
	int file;

	if (argc != 2) {
		fprintf(stderr, "usage: %s /dev/dmacopyN\n", argv[0]);
		return 2;
	}
	file = open(argv[1], O_RDWR | O_CLOEXEC);
	if (file < 0)
		return fail(argv[1]);
	if (ioctl(file, DMACOPY_IOCTL_INFO, &info))
		return fail("INFO");
	if (!(info.capabilities & DMACOPY_CAP_RINGS)) {
		fprintf(stderr, "there are no rings\n");
		return 1;
	}

	/* The buffer, and the rings behind it. */
	page = (size_t)sysconf(_SC_PAGESIZE);
	bytes = info.rings_offset + dmacopy_ring_bytes(info.ring_entries);
	bytes = (bytes + page - 1) / page * page;
	buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (buffer == MAP_FAILED)
		return fail("mmap");
	rings = buffer + info.rings_offset;
	for (i = 0; i < LENGTH; i++)
		buffer[i] = (unsigned char)(i * 7 + 1);

	tail = dmacopy_ring_load(rings, DMACOPY_RING_INDEX_SUBMISSION_TAIL);
	for (i = 0; i < count; i++)
		*dmacopy_ring_descriptor(rings, info.ring_entries, tail + i) = batch[i];
	dmacopy_ring_store(rings, DMACOPY_RING_INDEX_SUBMISSION_TAIL, tail + count);
	if (ioctl(file, DMACOPY_IOCTL_SUBMIT, &submit))
		return fail("SUBMIT");
	printf("taken %u\n", submit.taken);

	head = dmacopy_ring_load(rings, DMACOPY_RING_INDEX_COMPLETION_HEAD);
	tail = dmacopy_ring_load(rings, DMACOPY_RING_INDEX_COMPLETION_TAIL);
	for (; head != tail; head++) {
		const struct dmacopy_completion *completion;

		completion = dmacopy_ring_completion(rings, info.ring_entries, head);
		printf("completion %llu: %d\n", (unsigned long long)completion->user_data,
		       (int)completion->result);
	}
	dmacopy_ring_store(rings, DMACOPY_RING_INDEX_COMPLETION_HEAD, head);

	i = memcmp(buffer, buffer + DESTINATION, LENGTH) != 0 || buffer[DESTINATION + LENGTH] != 0;
	printf("the copy is %s\n", i ? "wrong" : "right");
	munmap(buffer, bytes);
	close(file);
	return i ? 1 : 0;
}
