// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lines of the board, as its kernel hands them to user space: `include/uapi/linux/gpio.h`, and
//! `Documentation/userspace-api/gpio/chardev.rst`.

use hil::agent::{Event, Process};
use hil::{Agent, Level};

use agent_wire::message::Stream;

use crate::{Call, LOSS, call_with_memory, start_calls};

const GET_CHIPINFO: u32 = 0x8044_B401;
const GET_LINEINFO: u32 = 0xC100_B405;
const GET_LINE: u32 = 0xC250_B407;
const GET_VALUES: u32 = 0xC010_B40E;

/// Sizes and places in `gpiochip_info`.
const CHIP_INFO: u32 = 68;
const CHIP_LABEL: usize = 32;
const CHIP_LINES: usize = 64;

/// Sizes and places in `gpio_v2_line_info`.
const LINE_INFO: u32 = 256;
const LINE_OFFSET: usize = 64;

/// Sizes and places in `gpio_v2_line_request`.
const REQUEST: u32 = 592;
const REQUEST_FLAGS: usize = 288;
const REQUEST_ATTRIBUTES: usize = 296;
const REQUEST_ATTRIBUTE: usize = 320;
const REQUEST_LINES: usize = 560;

/// `gpio_v2_line_values`: bits and mask. In a request, mask is that of one attribute.
const VALUES: u32 = 16;

/// `gpio_v2_line_event`, and where it says which edge it was.
const EVENT: u32 = 48;
const EVENT_ID: usize = 8;

const INPUT: u64 = 1 << 2;
const OUTPUT: u64 = 1 << 3;
const BOTH_EDGES: u64 = (1 << 4) | (1 << 5);

/// `GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES`
const OUTPUT_VALUES: u8 = 2;

/// The first file that a program opens, and what it gets for a line of it.
const CHIP: u32 = 3;
const LINE: u32 = 4;

/// The most chips that a board is taken to have.
const CHIPS: u32 = 8;

/// How long a text in these structures is.
const NAME: usize = 32;

/// A line of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    chip: String,
    offset: u32,
}

impl Line {
    /// The line with a name of the bench's: its own, or the label of its chip, a colon, its offset.
    ///
    /// # Errors
    ///
    /// When the kernel has no such line.
    pub fn find(agent: &Agent, name: &str) -> hil::Result<Self> {
        for number in 0..CHIPS {
            let chip = format!("/dev/gpiochip{number}");
            let calls = [
                Call::open(&chip),
                Call::ioctl(CHIP, GET_CHIPINFO, 0),
                Call::write_memory(1, 0, CHIP_INFO),
            ];
            // There may be no such chip, and others behind it.
            let Ok(info) = call_with_memory(agent, &calls, &[0; CHIP_INFO as usize]) else {
                continue;
            };
            let (label, lines) = (text(&info[CHIP_LABEL..]), number_at(&info, CHIP_LINES));
            let offset = match name.split_once(':') {
                Some((wanted, offset)) if wanted == label => Some(offset.parse()?),
                Some(_) => None,
                None => named(agent, &chip, lines, name)?,
            };
            if let Some(offset) = offset {
                return Ok(Self { chip, offset });
            }
        }
        Err(format!("the board's kernel has no line {name}").into())
    }

    /// The level that the board reads.
    ///
    /// # Errors
    ///
    /// When the line is in use, or the board is lost.
    pub fn read(&self, agent: &Agent) -> hil::Result<Level> {
        let mut memory = self.request(INPUT);
        // Bits, and the mask: the only line that was asked for.
        memory.extend([0_u64, 1].map(u64::to_le_bytes).concat());
        let calls = [
            Call::open(&self.chip),
            Call::ioctl(CHIP, GET_LINE, 0),
            Call::ioctl(LINE, GET_VALUES, REQUEST),
            Call::write_memory(1, REQUEST, VALUES),
        ];
        let values = call_with_memory(agent, &calls, &memory)?;
        let is_high = values.first() == Some(&1);
        Ok(if is_high { Level::High } else { Level::Low })
    }

    /// Has the board drive the line as long as the process runs.
    ///
    /// # Errors
    ///
    /// When the line is in use, or the board is lost.
    pub fn drive(&self, agent: &Agent, level: Level) -> hil::Result<Process> {
        let mut memory = self.request(OUTPUT);
        put(&mut memory, REQUEST_ATTRIBUTES, &[1]);
        put(&mut memory, REQUEST_ATTRIBUTE, &[OUTPUT_VALUES]);
        put(
            &mut memory,
            REQUEST_ATTRIBUTE + 8,
            &[u8::from(level == Level::High)],
        );
        put(&mut memory, REQUEST_ATTRIBUTE + 16, &[1]);
        let calls = [
            Call::open(&self.chip),
            Call::ioctl(CHIP, GET_LINE, 0),
            Call::write(1, "ready"),
            Call::read(0, 0, 1),
        ];
        ready(start_calls(agent, &calls, &memory)?)
    }

    /// Has a process wait for edges, that many, and write each as it comes.
    ///
    /// # Errors
    ///
    /// When the line is in use or cannot tell of edges, or the board is lost.
    pub fn watch(&self, agent: &Agent, edges: usize) -> hil::Result<Process> {
        let mut memory = self.request(INPUT | BOTH_EDGES);
        memory.resize(memory.len() + EVENT as usize, 0);
        let mut calls = vec![
            Call::open(&self.chip),
            Call::ioctl(CHIP, GET_LINE, 0),
            Call::write(1, "ready"),
        ];
        for _ in 0..edges {
            calls.push(Call::read(LINE, REQUEST, EVENT));
            calls.push(Call::write_memory(1, REQUEST, EVENT));
        }
        ready(start_calls(agent, &calls, &memory)?)
    }

    /// A `gpio_v2_line_request` for this line alone.
    fn request(&self, flags: u64) -> Vec<u8> {
        let mut request = vec![0; REQUEST as usize];
        put(&mut request, 0, &self.offset.to_le_bytes());
        put(&mut request, REQUEST_FLAGS, &flags.to_le_bytes());
        put(&mut request, REQUEST_LINES, &[1]);
        request
    }
}

/// The level after each edge that a process has written.
pub fn levels(events: &[u8]) -> Vec<Level> {
    let events = events.chunks_exact(EVENT as usize);
    // GPIO_V2_LINE_EVENT_RISING_EDGE is 1, FALLING_EDGE 2.
    events
        .map(|event| match number_at(event, EVENT_ID) {
            1 => Level::High,
            _ => Level::Low,
        })
        .collect()
}

/// Waits until a process has what it is about, and says so.
///
/// # Errors
///
/// When it says something else, or the board is lost.
pub fn ready(process: Process) -> hil::Result<Process> {
    match process.next(LOSS)? {
        Some(Event::Output(Stream::Stdout, bytes)) if bytes == b"ready" => Ok(process),
        other => Err(format!("the line is not to be had: {other:?}").into()),
    }
}

/// The offset of the line of this name on a chip.
fn named(agent: &Agent, chip: &str, lines: u32, name: &str) -> hil::Result<Option<u32>> {
    let mut memory = Vec::new();
    let mut calls = vec![Call::open(chip)];
    for offset in 0..lines {
        let at = offset * LINE_INFO;
        memory.resize((at + LINE_INFO) as usize, 0);
        put(
            &mut memory,
            at as usize + LINE_OFFSET,
            &offset.to_le_bytes(),
        );
        calls.push(Call::ioctl(CHIP, GET_LINEINFO, at));
    }
    for offset in 0..lines {
        calls.push(Call::write_memory(
            1,
            offset * LINE_INFO,
            u32::try_from(NAME)?,
        ));
    }
    let names = call_with_memory(agent, &calls, &memory)?;
    let found = names
        .chunks_exact(NAME)
        .position(|found| text(found) == name);
    Ok(found.map(u32::try_from).transpose()?)
}

/// A text of at most 32 bytes that ends with a zero if it is shorter.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.iter().take(NAME).take_while(|byte| **byte != 0);
    String::from_utf8_lossy(&bytes.copied().collect::<Vec<_>>()).into_owned()
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
    memory[at..at + bytes.len()].copy_from_slice(bytes);
}
