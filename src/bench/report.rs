//! What was measured, for people and for scripts.
//!
//! It owns its rows, and must never round what a script reads.

use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::bench::load::Measured;
use crate::bench::{Options, Work};

/// Rows of a name, a number and its unit.
#[derive(Debug, Clone)]
pub struct Report {
    work: String,
    rows: Vec<(&'static str, f64, &'static str)>,
}

const PERCENTILES: [(&str, f64); 5] =
    [("latency p50", 0.5), ("latency p90", 0.9), ("latency p99", 0.99), ("latency p99.9", 0.999), ("latency max", 1.0)];

impl Report {
    /// Without rows.
    pub fn new(options: &Options) -> Self {
        let work = options.work.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        Self { work, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, name: &'static str, number: f64, unit: &'static str) {
        self.rows.push((name, number, unit));
    }

    /// The report of a load.
    pub fn of_load(options: &Options, measured: &Measured) -> Self {
        let mut report = Self::new(options);
        let (messages, deliveries) = (measured.messages as f64, measured.deliveries as f64);
        report.add("connections", options.connections as f64, "");
        report.add("messages a second", messages / measured.seconds, "1/s");
        if options.work == Work::Fanout {
            report.add("deliveries a second", deliveries / measured.seconds, "1/s");
        }
        for (name, quantile) in PERCENTILES {
            report.add(name, measured.latencies.value_at_quantile(quantile) as f64 / 1000.0, "µs");
        }
        for (name, quantile) in [("all have it p50", 0.5), ("all have it max", 1.0)] {
            report.add(name, measured.completions.value_at_quantile(quantile) as f64 / 1000.0, "µs");
        }
        if options.rate.is_some() {
            report.add("sent late p90", measured.delays.value_at_quantile(0.9) as f64 / 1000.0, "µs");
        }
        let [servers, beside] = measured.usage;
        if let Some(usage) = servers {
            report.add("processor", usage.cpu_seconds / measured.seconds * 100.0, "%");
            report.add("processor per delivery", usage.cpu_seconds / deliveries * 1e6, "µs");
            report.add("memory", usage.rss_kib as f64 / 1024.0, "MiB");
        }
        if let Some(usage) = beside {
            report.add("processor beside", usage.cpu_seconds / measured.seconds * 100.0, "%");
            report.add("processor beside per delivery", usage.cpu_seconds / deliveries * 1e6, "µs");
        }
        report
    }

    /// A row's number.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// For people.
    pub fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.0.len()).max().unwrap_or_default();
        let line = |&(name, number, unit): &(&str, f64, &str)| {
            let number = if number.abs() >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") };
            format!("{name:width$}  {number:>12} {unit}")
        };
        format!("{}\n{}", self.work, self.rows.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    /// For scripts: names in snake case, the unit at the end.
    pub fn json(&self) -> Value {
        let key = |name: &str, unit: &str| {
            let unit = match unit {
                "" => "",
                "1/s" => "_per_s",
                "%" => "_percent",
                "µs" => "_us",
                "KiB" => "_kib",
                _ => "_mib",
            };
            format!("{}{unit}", name.replace([' ', '.'], "_"))
        };
        let rows: Map<_, _> = self.rows.iter().map(|(name, number, unit)| (key(name, unit), json!(number))).collect();
        json!({ "work": self.work, "measured": rows })
    }
}

/// A bar that fills while the load runs; nothing where nobody looks.
pub fn progress(options: &Options) -> ProgressBar {
    let all = Duration::from_secs_f64(options.seconds + options.warm_up);
    let bar = if options.json { ProgressBar::hidden() } else { ProgressBar::new(all.as_millis() as u64) };
    let style = ProgressStyle::with_template("{elapsed} {bar:40} {msg}").expect("invariant: the template is valid");
    bar.set_style(style);
    bar.set_message("connections enter, then the load runs");
    let moving = bar.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while !moving.is_finished() {
            ticks.tick().await;
            moving.inc(100);
        }
    });
    bar
}

#[cfg(test)]
mod tests {
    use super::{Report, Work};
    use crate::bench::Options;

    #[test]
    fn scripts_find_units_in_the_names() {
        let options = Options {
            work: Work::Idle,
            server: String::new(),
            tls_ca: None,
            connections: 1,
            senders: 1,
            in_flight: 1,
            rate: None,
            size: 1,
            seconds: 1.0,
            warm_up: 0.0,
            pid: Vec::new(),
            beside: Vec::new(),
            json: true,
        };
        let mut report = Report::new(&options);
        report.add("memory each", 2.5, "KiB");
        report.add("latency p99.9", 1234.0, "µs");
        let json = report.json();
        assert_eq!((json["work"].as_str(), json["measured"]["memory_each_kib"].as_f64()), (Some("idle"), Some(2.5)));
        assert_eq!(json["measured"]["latency_p99_9_us"].as_f64(), Some(1234.0));
        assert!(report.table().contains("memory each            2.50 KiB"));
    }
}
