// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lets a user talk to the board's agent as if it were his own line.
//!
//! Numbers of requests are the user's own, so those of two users, or of one who has gone, never
//! meet on the board: each request goes on as another one.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use agent_wire::connection::{Incoming, Outbox, start};
use agent_wire::link::{Line, Side};
use agent_wire::message::{Answer, Call, PROTOCOL, Reply, Request, decode, encode};

use super::socket::split;
use crate::Agent;
use crate::agent::{Answers, Asking};

/// How often a pump looks whether the user is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Serves one user until he, or the agent, has gone, or the board is not his any more.
pub(super) fn serve(
    agent: &Agent,
    user: UnixStream,
    is_his: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let (reader, writer) = split(user)?;
    let (outbox, inbox) = start(reader, writer, Line::STREAM, Side::Answerer);
    let gone = Arc::new(AtomicBool::new(false));
    let mut under_way: HashMap<u32, Asking> = HashMap::new();
    while !gone.load(Ordering::Relaxed) {
        let bytes = match inbox.receive(LOOK) {
            Ok(Incoming::Message(bytes)) => bytes,
            Ok(Incoming::Closed(_) | Incoming::Restarted) => break,
            Ok(Incoming::Connected | Incoming::Text(_)) => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => continue,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
        };
        let Ok(Call { number, request }) = decode(&bytes) else {
            break;
        };
        // The connection's own: the agent has been greeted already.
        if let Request::Hello { .. } = request {
            let reply = welcome(agent);
            if !answer(&outbox, number, reply) {
                break;
            }
            continue;
        }
        if !is_his() {
            break;
        }
        under_way.retain(|_, call| !call.is_over());
        if let Some(call) = under_way.get(&number) {
            if call.send(request).is_err() {
                break;
            }
            continue;
        }
        if is_part(&request) {
            // Of a call that is over.
            continue;
        }
        let Ok((asking, answers)) = agent.forward(request) else {
            break;
        };
        under_way.insert(number, asking);
        let (outbox, gone) = (outbox.clone(), gone.clone());
        thread::spawn(move || pump(&answers, number, &outbox, &gone));
    }
    gone.store(true, Ordering::Relaxed);
    outbox.flush(Duration::from_secs(1));
    // What he has started ends with him.
    for call in under_way.into_values().filter(|call| !call.is_over()) {
        // A board that is lost has ended it too.
        let _ = call.send(Request::Signal { signal: 9 });
    }
    Ok(())
}

/// Hands on the replies to one request until the last.
fn pump(answers: &Answers, number: u32, outbox: &Outbox, gone: &AtomicBool) {
    while !gone.load(Ordering::Relaxed) {
        match answers.next(LOOK) {
            Ok(Some((reply, is_last))) => {
                if !answer(outbox, number, reply) || is_last {
                    return;
                }
            }
            Ok(None) => {}
            Err(_) => {
                // The board is lost: why, the user asks the bench.
                gone.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn answer(outbox: &Outbox, number: u32, reply: Reply) -> bool {
    let bytes = encode(&Answer { number, reply });
    bytes.is_ok_and(|bytes| outbox.send(bytes).is_ok())
}

fn welcome(agent: &Agent) -> Reply {
    let about = agent.about();
    let uptime = about.started.elapsed().as_micros();
    Reply::Welcome {
        protocol: PROTOCOL,
        version: about.version.clone(),
        kernel: about.kernel.clone(),
        uptime_us: u64::try_from(uptime).unwrap_or(u64::MAX),
        boot: about.boot.clone(),
        compatible: about.compatible.clone(),
        is_init: about.is_init,
        refused: about.refused.clone(),
    }
}

/// Whether a request only goes on with one under way.
fn is_part(request: &Request) -> bool {
    matches!(
        request,
        Request::Data { .. } | Request::Input { .. } | Request::Signal { .. }
    )
}
