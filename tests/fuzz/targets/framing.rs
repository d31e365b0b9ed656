//! Bytes to lines: however the network cuts them, they make the same lines and the same telnet answers, within the bounds.

use linechat::limits::{FLOOD_BYTES, LINE_BYTES};
use linechat::wire::{Back, LineDecoder, Next};

/// A telnet peer is answered at most this many bytes, whatever it sends (three for each of 256 refusals).
const TELNET_BYTES: usize = 768;

/// Everything that the decoder says about the bytes, given in pieces of these lengths, again and again.
fn decode(bytes: &[u8], pieces: &[usize]) -> (Vec<String>, Vec<u8>) {
    let (mut decoder, mut seen, mut telnet) = (LineDecoder::default(), Vec::new(), Vec::new());
    let mut pieces = pieces.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (mut input, after) = rest.split_at((*pieces.next().expect("there is a length")).min(rest.len()));
        rest = after;
        loop {
            let mut back = Back::default();
            let next = decoder.next(&mut input, &mut back);
            let said = match next {
                Next::Line(line) => {
                    assert!(line.len() < LINE_BYTES, "a line of {} bytes", line.len());
                    assert!(!line.contains(&b'\n'), "a line within a line");
                    format!("{} {line:?}", back.crlf)
                }
                Next::TooLong => "too long".to_owned(),
                Next::Flood => "flood".to_owned(),
                Next::End => "end".to_owned(),
                Next::More => String::new(),
            };
            telnet.append(&mut back.telnet);
            if said.is_empty() {
                break;
            }
            let is_last = said == "flood" || said == "end";
            seen.push(said);
            if is_last {
                return (seen, telnet);
            }
        }
    }
    (seen, telnet)
}

/// The first bytes say how to cut the others.
pub fn check(data: &[u8]) {
    let (cuts, bytes) = data.split_at(data.len().min(4));
    let pieces: Vec<usize> = cuts.iter().map(|&cut| 1 + usize::from(cut)).chain([1]).collect();
    let whole = decode(bytes, &[bytes.len().max(1)]);
    assert_eq!(decode(bytes, &pieces), whole, "cut in pieces of {pieces:?}");
    assert!(whole.1.len() <= TELNET_BYTES, "{} bytes of telnet answers", whole.1.len());
    let longest = bytes.split(|&byte| byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
    assert!(longest > FLOOD_BYTES || whole.0.last().is_none_or(|last| last != "flood"), "no line was that long");
}
