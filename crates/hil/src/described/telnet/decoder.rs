// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tells telnet's commands from the bytes that it carries.

/// "Interpret as command".
pub(super) const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
pub(super) const WONT: u8 = 252;
pub(super) const WILL: u8 = 251;
/// Begins and ends what belongs to an option.
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
pub(super) const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// Where in a command the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Data,
    Command,
    /// The option that this verb is about comes next.
    Negotiation(u8),
    /// What belongs to an option is passed over.
    Option,
    OptionCommand,
}

/// Takes commands out of what is received, and says what is to be answered.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    within: Within,
    /// What both sides have agreed on; nothing is agreed on twice, or both would go on for ever.
    agreed: Vec<(u8, u8)>,
    pub(super) is_greeted: bool,
}

impl Decoder {
    pub(super) fn decode(&mut self, bytes: &[u8], data: &mut Vec<u8>, answer: &mut Vec<u8>) {
        for &byte in bytes {
            self.within = match (self.within, byte) {
                (Within::Data, IAC) => Within::Command,
                (Within::Data, byte) => {
                    data.push(byte);
                    Within::Data
                }
                (Within::Command, IAC) => {
                    data.push(IAC);
                    Within::Data
                }
                (Within::Command, SB) => Within::Option,
                (Within::Command, verb @ (WILL | WONT | DO | DONT)) => Within::Negotiation(verb),
                (Within::Command, _) | (Within::OptionCommand, SE) => Within::Data,
                (Within::Negotiation(verb), option) => {
                    self.is_greeted = true;
                    answer.extend(self.answer(verb, option));
                    Within::Data
                }
                (Within::Option, IAC) => Within::OptionCommand,
                (Within::Option | Within::OptionCommand, _) => Within::Option,
            };
        }
    }

    fn answer(&mut self, verb: u8, option: u8) -> Vec<u8> {
        let (yes, no, is_wanted) = match verb {
            DO => (WILL, WONT, matches!(option, BINARY | SUPPRESS_GO_AHEAD)),
            WILL => {
                let wanted = matches!(option, BINARY | SUPPRESS_GO_AHEAD | ECHO);
                (DO, DONT, wanted)
            }
            // Taken back: only what had been agreed on needs a word.
            other => {
                let (agreed, answer) = if other == DONT {
                    (WILL, WONT)
                } else {
                    (DO, DONT)
                };
                let before = self.agreed.len();
                self.agreed.retain(|entry| *entry != (agreed, option));
                let had = self.agreed.len() < before;
                return if had {
                    vec![IAC, answer, option]
                } else {
                    Vec::new()
                };
            }
        };
        if !is_wanted {
            return vec![IAC, no, option];
        }
        if self.agreed.contains(&(yes, option)) {
            return Vec::new();
        }
        self.agreed.push((yes, option));
        vec![IAC, yes, option]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What lets a client set up the port, RFC 2217.
    pub(in super::super) const COM_PORT: u8 = 44;

    /// What ser2net 4 says first.
    pub(in super::super) const SER2NET: [u8; 21] = [
        IAC,
        WILL,
        SUPPRESS_GO_AHEAD,
        IAC,
        DO,
        SUPPRESS_GO_AHEAD,
        IAC,
        WILL,
        ECHO,
        IAC,
        DONT,
        ECHO,
        IAC,
        DO,
        BINARY,
        IAC,
        WILL,
        BINARY,
        IAC,
        DO,
        COM_PORT,
    ];

    fn decoded(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut decoder, mut data, mut answer) = (Decoder::default(), Vec::new(), Vec::new());
        for piece in pieces {
            decoder.decode(piece, &mut data, &mut answer);
        }
        (data, answer)
    }

    #[test]
    fn what_makes_the_line_transparent_is_agreed_on_and_nothing_else() {
        let (data, answer) = decoded(&[&SER2NET]);
        assert!(data.is_empty());
        let expected = [
            [IAC, DO, SUPPRESS_GO_AHEAD],
            [IAC, WILL, SUPPRESS_GO_AHEAD],
            [IAC, DO, ECHO],
            [IAC, WILL, BINARY],
            [IAC, DO, BINARY],
            [IAC, WONT, COM_PORT],
        ];
        assert_eq!(answer, expected.concat());
        // A server that says it once more is not answered for ever.
        let (_, twice) = decoded(&[&SER2NET[..18], &SER2NET[..18]]);
        assert_eq!(twice, expected[..5].concat());
        let (_, taken_back) = decoded(&[&SER2NET, &[IAC, WONT, ECHO], &[IAC, WONT, ECHO]]);
        assert_eq!(taken_back[18..], [IAC, DONT, ECHO]);
    }

    #[test]
    fn every_byte_passes_however_it_is_cut() {
        let all: Vec<u8> = (0..=255).collect();
        let mut sent = vec![IAC, SB, COM_PORT, 107, IAC, IAC, SE, IAC, SE];
        for &byte in &all {
            sent.push(byte);
            if byte == IAC {
                sent.push(IAC);
            }
        }
        for cut in 0..sent.len() {
            let (data, _) = decoded(&[&sent[..cut], &sent[cut..]]);
            assert_eq!(data, all, "cut at {cut}");
        }
    }
}
