//! What a line costs from bytes to command.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use linechat::wire::{Back, LineDecoder, Next, parse};

fn line(start: &str, length: usize) -> Vec<u8> {
    let mut line = start.as_bytes().to_vec();
    line.resize(length, b'x');
    line
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.measurement_time(Duration::from_secs(3));
    let accents: Vec<u8> = "MSG bob ".bytes().chain("é".repeat(28).bytes()).collect();
    for (name, line) in [
        ("MSG bob, 64 bytes", line("MSG bob ", 64)),
        ("MSG @key #channel, 64 bytes", line("MSG @0123456789abcdef #rust ", 64)),
        ("SAY #channel, 64 bytes", line("SAY #rust ", 64)),
        ("MSG name:id, 64 bytes", line("MSG nina:8763 ", 64)),
        ("MSG bob, 64 bytes, not ASCII", accents),
        ("MSG bob, 3,600 bytes", line("MSG bob ", 3600)),
        ("PING", line("PING", 4)),
    ] {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(name, |b| b.iter(|| parse(black_box(&line)).expect("it parses").is_some()));
    }
    group.finish();
}

fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode and parse 16 KiB");
    group.measurement_time(Duration::from_secs(3));
    for (name, ending) in [("LF", "\n"), ("CR LF", "\r\n"), ("CR NUL", "\r\0")] {
        let mut one = line("MSG bob ", 64 - ending.len());
        one.extend(ending.bytes());
        let input = one.repeat(256);
        group.throughput(Throughput::Elements(256));
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut decoder, mut rest, mut back) = (LineDecoder::default(), black_box(&input[..]), Back::default());
                let mut commands = 0;
                while let Next::Line(line) = decoder.next(&mut rest, &mut back) {
                    commands += usize::from(parse(line).expect("it parses").is_some());
                }
                assert_eq!(commands, 256);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commands, lines);
criterion_main!(benches);
