//! A line that parses costs no memory: from the bytes that came to the command, nothing is allocated.

use std::alloc::System;
use std::hint::black_box;

use linechat::wire::{Back, Command, LineDecoder, Next, parse};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The only test of this file: the allocator counts for the whole process.
#[test]
fn decoding_and_parsing_a_message_allocates_nothing() {
    let input =
        "MSG bob hi there\nMSG @key #rust hi there\r\nSAY #rust ¡olá!\nmsg nina:8763 x\r\nPING\nINBOX 10\nACK 42\n".repeat(100);
    // The test's own runner may still be starting in another thread: what parsing allocates, it would allocate each time.
    let counts: Vec<_> = (0..5).map(|_| allocated_for(&input)).collect();
    assert!(counts.contains(&(0, 0)), "allocations and reallocations: {counts:?}");
}

fn allocated_for(input: &str) -> (usize, usize) {
    let (mut decoder, mut back) = (LineDecoder::default(), Back::default());
    let mut rest = input.as_bytes();
    let (mut commands, mut messages) = (0, 0);
    let region = Region::new(ALLOCATOR);
    while let Next::Line(line) = decoder.next(&mut rest, &mut back) {
        let command = parse(black_box(line)).expect("it parses").expect("it is not empty");
        commands += 1;
        messages += usize::from(matches!(command, Command::Msg { .. } | Command::Say { .. }));
    }
    let counted = region.change();
    assert_eq!((commands, messages), (700, 400));
    (counted.allocations, counted.reallocations)
}
