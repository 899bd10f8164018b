/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust calls uring.c by. sys/uring.rs must agree.
 */

#ifndef _DMACOPY_URING_H
#define _DMACOPY_URING_H

#include <linux/types.h>

struct file;
struct io_uring_cmd;

/* What a command says. */
struct dmacopy_uring_entry {
	/* Which command. */
	u32 operation;
	/* Not zero if there is something in a field that no command has. */
	u32 others;
	u64 address;
	/* What every entry has room for. */
	u32 argument[4];
};

/* The file that a command is for; valid until the command is completed. */
struct file *dmacopy_uring_file(const struct io_uring_cmd *cmd);

/* Reads the entry, once. Called when the command is issued, and not later. */
void dmacopy_uring_read(const struct io_uring_cmd *cmd, struct dmacopy_uring_entry *entry);

/* Whether a pending command is cancelled, rather than one issued. */
bool dmacopy_uring_is_cancellation(unsigned int issue_flags);

/*
 * Has a command told when it is to be cancelled. Called when it is issued; it is completed by
 * dmacopy_uring_complete() then, and by nothing else. May sleep.
 */
void dmacopy_uring_pend(struct io_uring_cmd *cmd, unsigned int issue_flags);

/* Completes a command that is pending, once. Can be called in any context. */
void dmacopy_uring_complete(struct io_uring_cmd *cmd, s32 result);

#endif /* _DMACOPY_URING_H */
