// SPDX-License-Identifier: GPL-2.0

/*
 * What TRACE_EVENT() makes of events.h: the tracepoints, and functions by which Rust calls them.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "events.h"
