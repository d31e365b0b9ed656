//! The metrics: their names, what they mean, and their values at one moment. `scripts/package/OPERATING.md` lists them.
//!
//! It owns the values that it has gathered. It must never give a metric a label whose values people can make up.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::code::Code;
use crate::limits::NONE;
use crate::metrics::{Histogram, Metrics};
use crate::server::watching::Watched;
use crate::server::watching::process::Process;
use crate::session::Shared;
use crate::state::Counts;
use crate::wire::Word;
use crate::wire::verbs::VERBS;

/// What is so at one moment.
#[derive(Debug)]
pub struct Facts {
    metrics: Arc<Metrics>,
    counts: Counts,
    connections: u64,
    buffered: u64,
    buffered_limit: Option<u64>,
    order_queue: usize,
    hashes_waiting: usize,
    durability: &'static str,
    is_ready: bool,
    /// In a cluster: whether this server is cut off, and how many batches it has still to take.
    cluster: Option<(bool, u64)>,
    search_lag: Option<u64>,
    /// Until when the certificate is valid, in seconds since 1970.
    certificate_expiry: Option<i64>,
    process: Process,
}

impl Facts {
    /// Looks them up.
    pub async fn gather(watched: &Watched) -> Self {
        let Watched { shared, admission, nats, certificates } = watched;
        let (counts, order) = {
            let state = shared.state.read().await;
            (state.counts(), state.order())
        };
        let lag = nats.as_ref().map_or(0, |nats| nats.space().end().saturating_sub(order.map_or(0, |(_, place)| place)));
        Self {
            metrics: Arc::clone(&shared.metrics),
            connections: admission.connections(),
            buffered: shared.hub.buffered(),
            buffered_limit: Some(shared.limits.buffered_bytes).filter(|bytes| *bytes != NONE),
            order_queue: shared.order.waiting(),
            hashes_waiting: shared.passwords.waiting(),
            durability: shared.durability,
            is_ready: watched.obstacle().is_none(),
            cluster: shared.membership.as_ref().map(|membership| (membership.is_cut_off(), lag)),
            search_lag: search_lag(shared).await,
            certificate_expiry: certificates.as_ref().and_then(|certificates| certificates.expiry()),
            counts,
            // Older systems have the descriptors counted, of which there is one for each connection.
            process: tokio::task::spawn_blocking(Process::look).await.unwrap_or_default(),
        }
    }
}

/// How many seqs lie between what the index has taken and what is stored: what is not stored is never taken.
async fn search_lag(shared: &Shared) -> Option<u64> {
    let reached = shared.search.reached()?;
    let stretch = shared.reader.stretch(reached, 1).await.ok()?;
    Some(stretch.newest.0.saturating_sub(reached.0))
}

/// Writes metrics.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn begin(&mut self, name: &'static str, help: &'static str, kind: MetricType) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.begin(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// Its name gets `_total` at its end.
    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) -> fmt::Result {
        count(self.begin(name, help, MetricType::Counter)?, value)
    }

    /// A constant with words in its labels.
    fn info(&mut self, name: &'static str, help: &'static str, label: [(&str, &str); 1]) -> fmt::Result {
        self.begin(name, help, MetricType::Gauge)?.encode_family(&label)?.encode_gauge(&1i64)
    }

    fn histogram(&mut self, name: &'static str, help: &'static str, values: &Histogram, unit: f64) -> fmt::Result {
        let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 / unit);
        let buckets: Vec<_> = values.counts().map(|(at_most, count)| (bound(at_most), count)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut encoder = self.begin(name, help, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(values.sum() as f64 / unit, count, &buckets, None)
    }
}

fn count(mut encoder: MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
}

impl Collector for Facts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.people(&mut writer)?;
        self.work(&mut writer)?;
        self.health(&mut writer)?;
        self.process(&mut writer)
    }
}

impl Facts {
    fn people(&self, to: &mut Writer<'_>) -> fmt::Result {
        let Self { metrics, counts, .. } = self;
        to.gauge("linechat_connections", "Connections to this server.", self.connections)?;
        to.counter("linechat_connections", "Connections that this server has let in.", metrics.connections.get())?;
        let mut away = to.begin("linechat_turned_away", "Connections that were not let in, by why.", MetricType::Counter)?;
        for code in [Code::Quota, Code::Unavailable, Code::NotAllowed, Code::RateLimited] {
            count(away.encode_family(&[("reason", code.word().to_ascii_lowercase())])?, metrics.were_turned_away(code))?;
        }
        to.gauge("linechat_users_online", "Users who are connected, to any server of a cluster.", counts.online as u64)?;
        to.gauge("linechat_accounts", "Accounts.", counts.accounts)?;
        to.gauge("linechat_channels", "Channels.", counts.channels as u64)
    }

    /// Of the many pairs of a verb and a result only those that may come, and those that came in spite of that.
    fn commands(&self, to: &mut Writer<'_>) -> fmt::Result {
        let help = "Commands that were answered, by verb (- for lines that are none) and by ok or the code of the refusal.";
        let mut commands = to.begin("linechat_commands", help, MetricType::Counter)?;
        for word in Word::all() {
            let usual = VERBS.get(word.place()).map_or(&[][..], |verb| verb.codes);
            let results = std::iter::once(Ok(())).chain(Code::ALL.iter().map(|code| Err(*code)));
            for result in results {
                let answers = self.metrics.answers(word, result);
                let is_usual = result.map_or_else(|code| usual.contains(&code), |()| word != Word::NONE);
                if is_usual || answers > 0 {
                    let result = result.map_or_else(|code| code.word().to_ascii_lowercase(), |()| "ok".to_owned());
                    count(commands.encode_family(&[("verb", word.name()), ("result", &result)])?, answers)?;
                }
            }
        }
        Ok(())
    }

    fn work(&self, to: &mut Writer<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        self.commands(to)?;
        to.counter("linechat_deliveries", "Lines of events that were given to readers.", metrics.deliveries.get())?;
        to.counter("linechat_received_bytes", "Bytes that came from peers.", metrics.received_bytes.get())?;
        to.counter("linechat_sent_bytes", "Bytes that peers have taken.", metrics.sent_bytes.get())?;
        let help = "How long the store took to make a batch of entries durable.";
        to.histogram("linechat_commit_seconds", help, &metrics.commits, 1e6)?;
        to.histogram("linechat_batch_entries", "How many entries a batch had.", &metrics.batches, 1.0)?;
        let help = "Pages that were read from the store for readers who had fallen behind what is in memory.";
        to.counter("linechat_catch_up_reads", help, metrics.catch_up_reads.get())?;
        to.gauge("linechat_order_queue", "Lots of proposals that wait to be ordered.", self.order_queue as u64)?;
        to.gauge("linechat_hashes_waiting", "Passwords and keys that wait to be hashed.", self.hashes_waiting as u64)?;
        to.gauge("linechat_buffered_bytes", "Bytes that are buffered for people.", self.buffered)?;
        if let Some(limit) = self.buffered_limit {
            to.gauge("linechat_buffered_limit_bytes", "How many may be (limit buffered).", limit)?;
        }
        Ok(())
    }

    fn health(&self, to: &mut Writer<'_>) -> fmt::Result {
        let is_full = u64::from(self.metrics.is_full());
        to.gauge("linechat_disk_full", "Whether there is no room for messages on the disk.", is_full)?;
        to.gauge("linechat_ready", "Whether what people say can be ordered, as /readyz has it.", u64::from(self.is_ready))?;
        let help = "Damaged entries that were met when people read, once each time.";
        to.counter("linechat_damaged_entries", help, self.metrics.damaged.get())?;
        let help = "What an entry that was answered OK survives: fsync, memory, or replicas in a cluster.";
        to.info("linechat_journal_info", help, [("class", self.durability)])?;
        if let Some((is_cut_off, lag)) = self.cluster {
            to.gauge("linechat_cut_off", "Whether this server is cut off from its cluster.", u64::from(is_cut_off))?;
            let help = "Batches of the cluster that this server has not taken yet, as of the last second.";
            to.gauge("linechat_replica_lag", help, lag)?;
        }
        if let Some(lag) = self.search_lag {
            to.gauge("linechat_search_lag", "Entries that the index of messages has not taken yet.", lag)?;
        }
        if let Some(seconds) = self.certificate_expiry {
            to.gauge("linechat_certificate_expiry_seconds", "Until when the certificate is valid, since 1970.", seconds)?;
        }
        to.info("linechat_build_info", "The version of this server.", [("version", env!("CARGO_PKG_VERSION"))])
    }

    fn process(&self, to: &mut Writer<'_>) -> fmt::Result {
        let Process { resident_bytes, open_fds, max_fds, cpu_seconds, start_seconds } = self.process;
        if let Some(bytes) = resident_bytes {
            to.gauge("process_resident_memory_bytes", "Memory of the process.", bytes)?;
        }
        if let Some(open) = open_fds {
            to.gauge("process_open_fds", "Open file descriptors; each connection has one.", open)?;
        }
        if let Some(most) = max_fds {
            to.gauge("process_max_fds", "How many there may be.", most as f64)?;
        }
        if let Some(seconds) = cpu_seconds {
            let mut encoder = to.begin("process_cpu_seconds", "Time that the process has computed.", MetricType::Counter)?;
            encoder.encode_counter::<NoLabelSet, f64, f64>(&seconds, None)?;
        }
        if let Some(seconds) = start_seconds {
            to.gauge("process_start_time_seconds", "When the process was started, since 1970.", seconds)?;
        }
        Ok(())
    }
}
