/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of dmacopy. Their fields are described in ABI/tracepoint-dmacopy; Rust calls
 * them through sys/tracepoint.rs, which must agree on the arguments.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM dmacopy

#if !defined(_DMACOPY_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _DMACOPY_EVENTS_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(dmacopy_transfer,
	TP_PROTO(u32 device, u64 session, u64 sequence, u64 length),
	TP_ARGS(device, session, sequence, length),
	TP_STRUCT__entry(
		__field(u64, session)
		__field(u64, sequence)
		__field(u64, length)
		__field(u32, device)
	),
	TP_fast_assign(
		__entry->session = session;
		__entry->sequence = sequence;
		__entry->length = length;
		__entry->device = device;
	),
	TP_printk("device=%u session=%llu sequence=%llu length=%llu",
		  __entry->device, __entry->session, __entry->sequence, __entry->length)
);

/* A transfer has been put into the queue. */
DEFINE_EVENT(dmacopy_transfer, dmacopy_submit,
	TP_PROTO(u32 device, u64 session, u64 sequence, u64 length),
	TP_ARGS(device, session, sequence, length));

/* The engine has taken it out. */
DEFINE_EVENT(dmacopy_transfer, dmacopy_start,
	TP_PROTO(u32 device, u64 session, u64 sequence, u64 length),
	TP_ARGS(device, session, sequence, length));

/* The engine has moved its bytes; latency_ns counts from the submission. */
TRACE_EVENT(dmacopy_complete,
	TP_PROTO(u32 device, u64 session, u64 sequence, u64 length, u64 latency_ns),
	TP_ARGS(device, session, sequence, length, latency_ns),
	TP_STRUCT__entry(
		__field(u64, session)
		__field(u64, sequence)
		__field(u64, length)
		__field(u64, latency_ns)
		__field(u32, device)
	),
	TP_fast_assign(
		__entry->session = session;
		__entry->sequence = sequence;
		__entry->length = length;
		__entry->latency_ns = latency_ns;
		__entry->device = device;
	),
	TP_printk("device=%u session=%llu sequence=%llu length=%llu latency_ns=%llu",
		  __entry->device, __entry->session, __entry->sequence, __entry->length,
		  __entry->latency_ns)
);

/* It has ended without that, for the reason errno, a positive error number. */
TRACE_EVENT(dmacopy_error,
	TP_PROTO(u32 device, u64 session, u64 sequence, u64 length, u64 latency_ns, int errno),
	TP_ARGS(device, session, sequence, length, latency_ns, errno),
	TP_STRUCT__entry(
		__field(u64, session)
		__field(u64, sequence)
		__field(u64, length)
		__field(u64, latency_ns)
		__field(u32, device)
		__field(int, errno)
	),
	TP_fast_assign(
		__entry->session = session;
		__entry->sequence = sequence;
		__entry->length = length;
		__entry->latency_ns = latency_ns;
		__entry->device = device;
		__entry->errno = errno;
	),
	TP_printk("device=%u session=%llu sequence=%llu length=%llu latency_ns=%llu errno=%d",
		  __entry->device, __entry->session, __entry->sequence, __entry->length,
		  __entry->latency_ns, __entry->errno)
);

#endif /* _DMACOPY_EVENTS_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE events
#include <trace/define_trace.h>
