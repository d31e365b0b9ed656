//! What metrics come to: how much of everything there is, and how much of it comes in a second.
//!
//! It owns the last two looks at each server and the course of its messages. It must never trust that a metric is there: a server may
//! be of another version.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Seconds of which the course is kept: as wide as screens are.
const COURSE: usize = 400;
const COMMANDS: &str = "linechat_commands_total";

/// The metrics of a server at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    at: Instant,
    samples: BTreeMap<String, f64>,
}

impl Look {
    /// What a text says. Lines that are no samples are left out.
    pub fn new(at: Instant, text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { at, samples: lines.filter_map(sample).collect() }
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.samples.get(name).copied()
    }

    /// All samples of a metric that has labels, each with what they are.
    fn all<'a>(&'a self, name: &'static str) -> impl Iterator<Item = (&'a str, f64)> {
        let labels = move |sample: &'a str| sample.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}');
        self.samples.iter().filter_map(move |(sample, value)| Some((labels(sample)?, *value)))
    }
}

/// The value of one label.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|one| one.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

/// A server, as it was seen until now.
#[derive(Debug)]
pub struct Server {
    /// What it is called here.
    pub name: String,
    now: Option<Look>,
    before: Option<Look>,
    error: Option<String>,
    /// Messages in each second, the newest last.
    pub course: VecDeque<u64>,
}

impl Server {
    pub fn new(name: String) -> Self {
        Self { name, now: None, before: None, error: None, course: VecDeque::new() }
    }

    /// What a look has found, or why it has found nothing.
    pub fn add(&mut self, look: Result<Look, String>) {
        self.before = self.now.take();
        match look {
            Ok(look) => (self.now, self.error) = (Some(look), None),
            Err(error) => self.error = Some(error),
        }
        self.course.push_back(self.messages().map_or(0, |messages| messages.round() as u64));
        if self.course.len() > COURSE {
            self.course.pop_front();
        }
    }

    /// Why nothing is known of it, if nothing is.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Whether the newest look has found nothing.
    pub fn is_gone(&self) -> bool {
        self.now.is_none()
    }

    /// How much of this there is now.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.now.as_ref()?.get(name)
    }

    /// The one label of a metric that has no value but 1.
    pub fn word(&self, name: &'static str, of: &str) -> Option<&str> {
        let (labels, _) = self.now.as_ref()?.all(name).next()?;
        label(labels, of)
    }

    /// How much came from one look to the next, in a second; of a server that was started between them, nothing.
    fn rate_of(&self, value: impl Fn(&Look) -> f64) -> Option<f64> {
        let (now, before) = self.now.as_ref().zip(self.before.as_ref())?;
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        (seconds > 0.0).then(|| (value(now) - value(before)).max(0.0) / seconds)
    }

    /// How much more there was of this in a second.
    pub fn rate(&self, name: &str) -> Option<f64> {
        self.rate_of(|look| look.get(name).unwrap_or(0.0))
    }

    fn commands_if(&self, is_meant: impl Fn(&str, &str) -> bool) -> Option<f64> {
        let is_meant = |labels: &str| {
            label(labels, "verb").zip(label(labels, "result")).is_some_and(|(verb, result)| is_meant(verb, result))
        };
        self.rate_of(|look| look.all(COMMANDS).filter(|(labels, _)| is_meant(labels)).map(|(_, count)| count).sum())
    }

    /// Commands in a second.
    pub fn commands(&self) -> Option<f64> {
        self.commands_if(|_, _| true)
    }

    /// Messages in a second.
    pub fn messages(&self) -> Option<f64> {
        self.commands_if(|verb, result| matches!(verb, "MSG" | "SAY") && result == "ok")
    }

    /// Refusals in a second.
    pub fn refusals(&self) -> Option<f64> {
        self.commands_if(|_, result| result != "ok")
    }

    /// Refusals since the server was started, the most frequent code first.
    pub fn refusals_by_code(&self) -> Vec<(&str, f64)> {
        let mut codes = BTreeMap::new();
        let samples = self.now.iter().flat_map(|look| look.all(COMMANDS));
        for (labels, count) in samples.filter(|(_, count)| *count > 0.0) {
            if let Some(code) = label(labels, "result").filter(|result| *result != "ok") {
                *codes.entry(code).or_insert(0.0) += count;
            }
        }
        let mut codes: Vec<_> = codes.into_iter().collect();
        codes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        codes
    }

    /// Up to how many seconds this part of the commits took between the two looks.
    pub fn commit(&self, part: f64) -> Option<f64> {
        let (now, before) = self.now.as_ref().zip(self.before.as_ref())?;
        let name = "linechat_commit_seconds_bucket";
        let mut buckets = Vec::new();
        for (labels, count) in now.all(name) {
            let bound = label(labels, "le")?;
            let more = count - before.get(&format!("{name}{{{labels}}}")).unwrap_or(0.0);
            buckets.push((bound.parse::<f64>().unwrap_or(f64::INFINITY), more));
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let wanted = buckets.last().map(|(_, all)| all * part).filter(|wanted| *wanted > 0.0)?;
        // Beyond the last bound it is that, as Prometheus has it.
        let last = buckets.iter().rposition(|(bound, _)| bound.is_finite())?;
        let place = buckets.iter().position(|(_, count)| *count >= wanted)?;
        Some(buckets[place.min(last)].0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Look, Server};

    fn text(said: u64, refused: u64, slow: u64) -> String {
        let all = said + slow;
        format!(
            "# TYPE linechat_commands_total counter\nlinechat_commands_total{{verb=\"SAY\",result=\"ok\"}} {said}\n\
             linechat_commands_total{{verb=\"SAY\",result=\"not_member\"}} {refused}\n\
             linechat_commands_total{{verb=\"PING\",result=\"ok\"}} 7\nlinechat_connections 3\n\
             linechat_journal_info{{class=\"fsync\"}} 1\n\
             linechat_commit_seconds_bucket{{le=\"0.001\"}} {said}\nlinechat_commit_seconds_bucket{{le=\"0.01\"}} {all}\n\
             linechat_commit_seconds_bucket{{le=\"+Inf\"}} {all}\n"
        )
    }

    #[test]
    fn what_came_in_a_second_is_known_after_two_looks() {
        let (mut server, began) = (Server::new("ash".to_owned()), Instant::now());
        server.add(Ok(Look::new(began, &text(100, 1, 0))));
        assert_eq!((server.gauge("linechat_connections"), server.commands()), (Some(3.0), None));
        server.add(Ok(Look::new(began + Duration::from_secs(2), &text(160, 5, 4))));
        assert_eq!((server.messages(), server.refusals(), server.commands()), (Some(30.0), Some(2.0), Some(32.0)));
        assert_eq!((server.commit(0.5), server.commit(0.99)), (Some(0.001), Some(0.01)));
        assert_eq!((server.word("linechat_journal_info", "class"), server.gauge("linechat_else")), (Some("fsync"), None));
        assert_eq!((server.refusals_by_code(), &server.course), (vec![("not_member", 5.0)], &[0, 30].into()));
        // It was started again.
        server.add(Ok(Look::new(began + Duration::from_secs(3), &text(1, 0, 0))));
        assert_eq!((server.messages(), server.commit(0.5)), (Some(0.0), None));
        server.add(Err("it is gone".to_owned()));
        assert_eq!((server.error(), server.is_gone(), server.commands()), (Some("it is gone"), true, None));
    }
}
