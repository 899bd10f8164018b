// SPDX-License-Identifier: GPL-2.0

/*
 * What io_uring offers to drivers in inline functions and structures only.
 */

#include <linux/fs.h>
#include <linux/io_uring/cmd.h>

#include "uring.h"

/* sys/miscdevice.rs has these as numbers. */
static_assert((__force u32)FMODE_NOWAIT == 1U << 27);
static_assert((__force u32)IOCB_NOWAIT == 8);

struct file *dmacopy_uring_file(const struct io_uring_cmd *cmd)
{
	return cmd->file;
}

/*
 * User space can write to the entry at any time, so each field is read once.
 */
void dmacopy_uring_read(const struct io_uring_cmd *cmd, struct dmacopy_uring_entry *entry)
{
	const struct io_uring_sqe *sqe = cmd->sqe;
	const u32 *words = (const u32 *)sqe->cmd;
	int i;

	entry->operation = cmd->cmd_op;
	entry->others = (cmd->flags & IORING_URING_CMD_MASK) | READ_ONCE(sqe->len) |
			READ_ONCE(sqe->file_index);
	entry->address = READ_ONCE(sqe->addr);
	for (i = 0; i < ARRAY_SIZE(entry->argument); i++)
		entry->argument[i] = READ_ONCE(words[i]);
}

bool dmacopy_uring_is_cancellation(unsigned int issue_flags)
{
	return issue_flags & IO_URING_F_CANCEL;
}

void dmacopy_uring_pend(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
}

static void dmacopy_uring_done(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_uring_cmd *cmd = io_uring_cmd_from_tw(tw_req);
	s32 *result = io_uring_cmd_to_pdu(cmd, s32);

	io_uring_cmd_done(cmd, *result, IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);
}

void dmacopy_uring_complete(struct io_uring_cmd *cmd, s32 result)
{
	*io_uring_cmd_to_pdu(cmd, s32) = result;
	io_uring_cmd_complete_in_task(cmd, dmacopy_uring_done);
}
