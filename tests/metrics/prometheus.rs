//! A real Prometheus: what it makes of the metrics, of the alerts and of the dashboard in `scripts/package`. It must never leave a
//! process behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::support::clients::installed;
use super::support::server::Server;
use super::support::wait::until;
use super::support::watched::{WATCHED, get, try_ask, watched_at};
use super::two_in_a_channel;

const ALERTS: &str = "scripts/package/prometheus/alerts.yml";
const OPERATING: &str = "scripts/package/OPERATING.md";
const DASHBOARD: &str = "scripts/package/grafana/linechat.json";
/// What only some servers have: those of a cluster, and those that speak TLS.
const OF_SOME: [&str; 3] = ["linechat_cut_off", "linechat_replica_lag", "linechat_certificate_expiry_seconds"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of metrics in an expression.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("linechat_") || word.starts_with("process_")).collect()
}

/// What the dashboard asks.
fn questions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels").clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let questions: Vec<_> = targets.map(|target| target["expr"].as_str().expect("it asks something").to_owned()).collect();
    assert!(questions.len() > 20, "{}", questions.len());
    questions
}

/// Whatever the dashboard and the alerts look at must be there.
pub fn assert_names_are_in(metrics: &str, has_all: bool) {
    let there: BTreeSet<_> =
        metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split([' ', '{']).next()).collect();
    let expressions: Vec<_> = read(ALERTS).lines().filter_map(|line| Some(line.split_once("expr: ")?.1.to_owned())).collect();
    assert!(expressions.len() >= 10, "{expressions:?}");
    for alert in read(ALERTS).lines().filter_map(|line| line.split_once("- alert: ")) {
        assert!(read(OPERATING).contains(&format!("| {} |", alert.1)), "OPERATING.md says nothing of {}", alert.1);
    }
    for expression in expressions.iter().chain(&questions()) {
        for name in names(expression).into_iter().filter(|name| has_all || !OF_SOME.contains(name)) {
            assert!(there.contains(name), "{name} of {expression} is no metric");
        }
    }
}

/// The table of all metrics, as OPERATING.md has it.
fn table(metrics: &str) -> String {
    let mut table = String::from("| metric | type | meaning |\n|---|---|---|\n");
    let mut meaning = "";
    for line in metrics.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", _, help] => meaning = help,
            ["#", "TYPE", name, kind] => table += &format!("| `{name}` | {kind} | {meaning} |\n"),
            _ => {}
        }
    }
    table
}

/// What is written of the metrics is what a server of a cluster, which has all of them, says of them itself.
pub fn assert_table_is_theirs(metrics: &str) {
    let (written, path, table) = (read(OPERATING), file(OPERATING), table(metrics));
    let (head, rest) = written.split_once(" writes it -->\n").expect("there is a mark before the table");
    let (listed, tail) = rest.split_once("<!-- end of metrics").expect("there is a mark behind it");
    if std::env::var_os("LINECHAT_RECORD").is_some() {
        return fs::write(path, format!("{head} writes it -->\n{table}<!-- end of metrics{tail}")).expect("it can be written");
    }
    assert_eq!(listed, table);
}

fn promtool(arguments: &[&str], input: Option<&str>) -> Option<String> {
    let mut command = Command::new(installed("promtool", "prometheus")?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    Some(said)
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics_and_the_alerts() {
    let server = Server::start(&WATCHED);
    let _people = two_in_a_channel(&server);
    let metrics = get(watched_at(&server), "/metrics").body;
    assert_names_are_in(&metrics, false);
    let Some(said) = promtool(&["check", "metrics"], Some(&metrics)) else { return };
    assert_eq!(said, "");
    let alerts = file(ALERTS);
    let said = promtool(&["check", "rules", alerts.to_str().expect("a path")], None).expect("it is there");
    assert!(said.contains("SUCCESS: 11 rules found"), "{said}");
    promtool(&["test", "rules", file("tests/metrics/alerts.yml").to_str().expect("a path")], None);
}

/// Killed when it is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that scrapes this server again and again; `None` where there is none, which is said.
    fn start(watched: SocketAddr) -> Option<Self> {
        let program = installed("prometheus", "prometheus")?;
        let directory = TempDir::new().expect("a temporary directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = free.local_addr().expect("it listens");
        let config = directory.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 200ms, evaluation_interval: 1s }}\nrule_files: [{}]\nscrape_configs:\n\
             - {{ job_name: linechat, static_configs: [{{ targets: [\"{watched}\"] }}] }}\n",
            file(ALERTS).display()
        );
        fs::write(&config, text).expect("it can be written");
        let log = fs::File::create(directory.path().join("log")).expect("it can be written");
        drop(free);
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus runs");
        Some(Self { child, address, _directory: directory })
    }

    /// What it answers, once it does.
    fn api(&self, path: &str) -> Option<Value> {
        let page = try_ask(self.address, "GET", path).filter(|page| page.status == 200)?;
        // What it has much to say about comes in chunks.
        let json = &page.body[page.body.find('{')?..=page.body.rfind('}')?];
        serde_json::from_str(json).ok()
    }

    /// The values of what is asked.
    fn asks(&self, question: &str) -> Option<Vec<f64>> {
        let encoded: String = question.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.api(&format!("/api/v1/query?query={encoded}"))?;
        assert_eq!(answer["status"], "success", "{question}: {answer}");
        let values = answer["data"]["result"].as_array()?.iter();
        values.map(|sample| sample["value"][1].as_str()?.parse().ok()).collect()
    }
}

#[test]
fn a_real_prometheus_reads_what_is_counted() {
    let server = Server::start(&WATCHED);
    let Some(prometheus) = Prometheus::start(watched_at(&server)) else { return };
    let (mut ana, mut bob) = two_in_a_channel(&server);
    for _ in 0..7 {
        ana.ok("SAY #rust hi");
        bob.event("MSG ");
    }
    let is = |question: &str, value: f64| {
        until(question, || prometheus.asks(question).filter(|values| *values == [value]).map(drop));
    };
    is("up{job=\"linechat\"}", 1.0);
    is("linechat_commands_total{verb=\"SAY\",result=\"ok\"}", 7.0);
    is("linechat_users_online", 2.0);
    is("linechat_channels", 1.0);
    is("linechat_ready", 1.0);
    // Talk goes on, so that there are rates.
    let rate = "sum(rate(linechat_commands_total{verb=\"SAY\"}[1m])) > bool 0";
    until("there is a rate", || {
        ana.ok("SAY #rust hi");
        prometheus.asks(rate).filter(|values| *values == [1.0]).map(drop)
    });
    let p99 = "histogram_quantile(0.99, sum by (le) (rate(linechat_commit_seconds_bucket[1m]))) > bool 0";
    is(p99, 1.0);
    for question in questions() {
        let asked = question.replace("$instance", ".*").replace("$__rate_interval", "1m");
        let values = prometheus.asks(&asked).unwrap_or_else(|| panic!("{asked} is not understood"));
        let may_be_empty = names(&question).iter().any(|name| OF_SOME.contains(name)) || question.ends_with("> 0");
        assert!(!values.is_empty() || may_be_empty, "{asked} shows nothing");
    }
    let rules = prometheus.api("/api/v1/rules").expect("it has rules").to_string();
    assert!(rules.contains("LinechatCutOff") && !rules.contains("\"health\":\"err\""), "{rules}");
}
