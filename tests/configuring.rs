//! How a server is configured: by the command line over the environment over a file, and again while it runs.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use linechat::limits::Limits;
use support::server::Server;
use support::wait::until;
use tempfile::TempDir;

/// A folder with a configuration.
struct Configured(TempDir);

impl Configured {
    fn new(text: &str) -> Self {
        let configured = Self(TempDir::new().expect("a temporary directory"));
        configured.write(text);
        configured
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("it can be written");
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("linechat.toml")
    }

    fn name(&self) -> String {
        self.file().to_str().expect("its path is UTF-8").to_owned()
    }

    /// What `linechat config …` says with this file, these variables and options.
    fn config(&self, what: &str, variables: &[(&str, &str)], options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(["config", what, "--config"]).arg(self.file()).args(options);
        command.env_remove("RUST_LOG").envs(variables.iter().copied()).output().expect("the binary runs")
    }

    fn prints(&self, variables: &[(&str, &str)], options: &[&str]) -> String {
        let output = self.config("print", variables, options);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// What is said of a file that is refused, without its name.
    fn refuses(&self, text: &str) -> String {
        self.write(text);
        let output = self.config("check", &[], &[]);
        assert_eq!(output.status.code(), Some(1), "{text}: {output:?}");
        String::from_utf8(output.stderr).expect("it is text").replace(&self.name(), "FILE")
    }
}

/// The settings that were printed, each with where its value comes from.
fn settings(printed: &str) -> BTreeMap<&str, (&str, &str)> {
    let lines = printed.lines().filter_map(|line| line.split_once(" = "));
    lines.map(|(name, rest)| (name, rest.split_once("  # ").expect("it says where it comes from"))).collect()
}

#[test]
fn options_are_stronger_than_the_environment_and_that_than_the_file() {
    let file = "listen = [\"127.0.0.1:1\", \"[::1]:2\"]\nregistration = \"closed\"\nno-search = true\n\n[limits]\ninbox = 5\nmembers = 6\nchannels = 7\n";
    let configured = Configured::new(file);
    let variables = [
        ("LINECHAT_REGISTRATION", "invite"),
        ("LINECHAT_LIMIT", "members=60, channels=70"),
        ("LINECHAT_PROXY_FROM", "10.0.0.1,10.1.0.0/16"),
    ];
    let printed = configured.prints(&variables, &["--limit", "channels=700", "--log", "debug"]);
    let settings = settings(&printed);
    let line = |number: u64| format!("{}:{number}", configured.name());
    assert_eq!(settings["listen"], (r#"["127.0.0.1:1", "[::1]:2"]"#, &*line(1)));
    assert_eq!(settings["registration"], (r#""invite""#, "LINECHAT_REGISTRATION"));
    assert_eq!(settings["no-search"], ("true", &*line(3)));
    assert_eq!(settings["proxy-from"], (r#"["10.0.0.1", "10.1.0.0/16"]"#, "LINECHAT_PROXY_FROM"));
    assert_eq!(settings["log"], (r#""debug""#, "the command line"));
    assert_eq!(settings["journal"], (r#""disk""#, "default"));
    assert_eq!(settings["inbox"], ("5", &*line(6)));
    assert_eq!(settings["members"], ("60", "LINECHAT_LIMIT"));
    assert_eq!(settings["channels"], ("700", "the command line"));
    assert_eq!(settings["keep-days"], (r#""none""#, "default"));

    // What was printed says the same.
    let again = Configured::new(&printed).prints(&[], &[]);
    let values = |printed: &str| -> Vec<(String, String)> {
        let settings = self::settings(printed);
        settings.into_iter().map(|(name, (value, _))| (name.to_owned(), value.to_owned())).collect()
    };
    assert_eq!(values(&again), values(&printed));
    assert_eq!(settings_off(&configured), ("false".to_owned(), "LINECHAT_NO_SEARCH".to_owned()));
}

/// A switch of the file, switched off in the environment.
fn settings_off(configured: &Configured) -> (String, String) {
    let printed = configured.prints(&[("LINECHAT_NO_SEARCH", "off")], &[]);
    let (value, origin) = settings(&printed)["no-search"];
    (value.to_owned(), origin.to_owned())
}

#[test]
fn the_file_that_is_written_explains_everything_and_changes_nothing() {
    let configured = Configured::new("");
    let output = configured.config("default", &[], &[]);
    assert!(!output.status.success(), "it takes no options");
    let output = Command::new(env!("CARGO_BIN_EXE_linechat")).args(["config", "default"]).output().expect("the binary runs");
    let written = String::from_utf8(output.stdout).expect("it is text");
    let nothing = configured.prints(&[], &[]);
    configured.write(&written);
    assert_eq!(configured.prints(&[], &[]), nothing);
    // With what can be switched on as it stands there, it says what is usual.
    let usual = settings(&nothing);
    let mut lines = String::new();
    for line in written.lines() {
        let setting = line.strip_prefix('#').and_then(|line| line.split_once(" = "));
        let is_usual = setting.is_some_and(|(name, value)| usual.get(name).is_some_and(|(usual, _)| *usual == value));
        lines += if is_usual { &line[1..] } else { line };
        lines.push('\n');
    }
    configured.write(&lines);
    let printed = configured.prints(&[], &[]);
    let from_file = settings(&printed).values().filter(|(_, origin)| *origin != "default").count();
    let limits = Limits::default().rows().iter().filter(|row| row.range.is_some()).count();
    assert!(from_file >= limits + 6, "{from_file}");
    for row in Limits::default().rows().iter().filter(|row| row.range.is_some()) {
        assert!(written.contains(&format!("\n#{} = ", row.name)), "{}", row.name);
    }
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let configured = Configured::new("");
    for (text, said) in [
        ("listn = 3\n", "FILE:1: there is no setting 'listn' (is 'listen' meant?)"),
        ("\nlimit = 3\n", "FILE:2: there is no setting 'limit' (is 'limits' meant?)"),
        ("[limits]\ninbx = 3\n", "FILE:2: there is no limit 'inbx' (is 'inbox' meant?)"),
        ("[limits]\ninbox = 0\n", "FILE:2: '0' is not a value for the limit 'inbox': give 1 to 10000000 messages, or none"),
        ("[limits]\nline-length = 9\n", "FILE:2: the limit 'line-length' is fixed"),
        ("limits = 3\n", "FILE:1: limits is a table; write [limits]"),
        ("journal = \"dsk\"\n", "FILE:1: invalid value 'dsk' for '--journal <JOURNAL>' [possible values: disk, memory, nats]"),
        ("journal = [\"disk\"]\n", "FILE:1: journal is one value"),
        ("no-search = 7\n", "FILE:1: no-search is true or false"),
        ("log = 1.5\n", "FILE:1: log is a text or a number"),
        ("config = \"another\"\n", "FILE:1: there is no setting 'config'"),
        ("\n\nlisten = [\n", "FILE:3: unclosed array"),
        (
            "\nlisten = \"12000\"\n",
            "FILE:2: invalid value '12000' for '--listen <ADDR:PORT>': that is not an address to listen on",
        ),
        ("data-dir = \"~/chat\"\n", "FILE:1: invalid value '~/chat' for '--data-dir <DIR>': only a shell knows what ~ is"),
        ("log = \"linechat=loud\"\n", "FILE:1: --log 'linechat=loud' is not understood"),
        (
            "log = \"warning\"\n",
            "FILE:1: --log 'warning' is not understood ('warning' is no level; is 'warn' meant?); give error, warn",
        ),
        ("log = 3\n", "FILE:1: --log '3' is not understood ('3' is no level); give error, warn"),
        ("node = \"a\"\n", "--nats-creds, --nats-tls-ca and --node are for --journal nats"),
    ] {
        let came = configured.refuses(text);
        assert!(came.starts_with(&format!("linechat: {said}")), "{text:?}: {came}");
    }
    let with = |variable: &str, value: &str| {
        configured.write("");
        String::from_utf8(configured.config("check", &[(variable, value)], &[]).stderr).expect("it is text")
    };
    assert!(with("LINECHAT_JOURNAL", "dsk").starts_with("linechat: LINECHAT_JOURNAL: invalid value 'dsk'"));
    assert!(with("LINECHAT_LIMIT", "inbox=5,x=3").starts_with("linechat: LINECHAT_LIMIT: there is no limit 'x'"));
    assert!(
        with("LINECHAT_LISEN", "x").contains("LINECHAT_LISEN: there is no setting of that name (is 'LINECHAT_LISTEN' meant?)")
    );
    assert!(with("RUST_LOG", "verbose").starts_with("linechat: RUST_LOG 'verbose' is not understood"));
    // It may name spans for other programs: they are passed over.
    for spans in ["[request{id=1,of=2,at=3}]=trace", "[request{id,of,at}]=trace,warn"] {
        assert_eq!(with("RUST_LOG", spans), "");
    }
    assert!(with("LINECHAT_NO_SEARCH", "perhaps").contains("\"perhaps\" is neither true nor false"));
    fs::remove_file(configured.file()).expect("it can be removed");
    let output = configured.config("check", &[], &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("name another with --config FILE"), "{output:?}");
}

#[test]
fn what_can_be_is_read_again_and_what_cannot_is_said() {
    let configured = Configured::new("plain-passwords = \"allow\"\n");
    let server = Server::start_logging(&["--config", &configured.name()]);
    let mut early = server.connect();
    early.ok("REGISTER ana correct horse battery");

    configured.write("plain-passwords = \"refuse\"\n[limits]\ninbox = 5\n");
    server.signal("HUP");
    until("it was read again", || server.log().contains("the configuration was read again").then_some(()));
    let log = server.log();
    assert!(log.contains("the setting was read again") && log.contains("plain-passwords"), "{log}");
    assert!(log.contains("the setting has changed, which takes a restart") && log.contains("the limit inbox"), "{log}");
    // For those who come from now on.
    early.ok("PASSWD correct horse battery -> another horse battery");
    let mut late = server.connect();
    late.err("LOGIN ana another horse battery", "NOT_ALLOWED");

    // A level that is none would switch the whole log off.
    configured.write("plain-passwords = \"refuse\"\nlog = \"warning\"\n");
    server.signal("HUP");
    until("it was refused", || server.log().contains("'warning' is no level; is 'warn' meant?").then_some(()));
    late.err("LOGIN ana another horse battery", "NOT_ALLOWED");

    configured.write("plain-passwords = \"sometimes\"\n");
    server.signal("HUP");
    until("it was refused", || server.log().contains("invalid value 'sometimes'").then_some(()));
    assert!(server.log().contains("ERROR linechat: the configuration could not be read again, and all stays as it was"));
    server.connect().err("LOGIN ana another horse battery", "NOT_ALLOWED");
}

#[test]
fn a_variable_that_is_another_programs_is_told_and_changes_nothing() {
    let configured = Configured::new("");
    let variables = [("LINECHAT_SERVICE_HOST", "10.0.0.7"), ("LINECHAT_LOGIN", "lct_abc")];
    let said = "LINECHAT_SERVICE_HOST is no setting, and changes nothing; 'linechat config default' lists them\n";
    let printed = configured.prints(&variables, &[]);
    assert!(printed.contains(&format!("# {said}")) && !printed.contains("LINECHAT_LOGIN"), "{printed}");
    let checked = configured.config("check", &variables, &[]);
    let checked = String::from_utf8(checked.stdout).expect("it is text");
    assert!(checked.ends_with(&format!("but note: {said}")) && !checked.contains("LINECHAT_LOGIN"), "{checked}");
    // One that starts says so, too, whatever comes of it.
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    command.args([
        "serve",
        "--config",
        "",
        "--listen",
        "127.0.0.1:0",
        "--journal",
        "memory",
        "--admin-socket",
        "/nowhere/here",
    ]);
    let output = command.envs(variables).env_remove("RUST_LOG").output().expect("the binary runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains(&format!("WARN linechat: {said}")) && !log.contains("LINECHAT_LOGIN"), "{log}");
}

#[test]
fn what_a_start_would_fail_at_is_found_without_one() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it listens").to_string();
    let configured = Configured::new("");
    let new = configured.0.path().join("new/deep/in");
    let new = new.to_str().expect("its path is UTF-8");
    let usual = ["--listen", "127.0.0.1:0", "--data-dir", new];
    let check = |options: &[&str]| configured.config("check", &[], options);
    for (options, why) in [
        (&["--data-dir", "/etc/passwd"][..], "the data directory /etc/passwd cannot be written (not a directory)"),
        (&["--data-dir", "/etc/passwd/x"], "the data directory /etc/passwd/x cannot be written (Not a directory"),
        (&["--data-dir", "/proc/x"], "the data directory /proc/x cannot be written ("),
        (
            &["--listen", "127.0.0.1:1", "--listen", "127.0.0.1:1"],
            "--listen 127.0.0.1:1 and --listen 127.0.0.1:1 exclude each other",
        ),
        (&["--listen", &taken, "--metrics-listen", &taken], "exclude each other; give each a port of its own"),
        (&["--listen", "192.0.2.1:9"], "cannot listen on 192.0.2.1:9: "),
        (&["--metrics-listen", "192.0.2.1:9"], "cannot listen on 192.0.2.1:9 for metrics: "),
    ] {
        let ours: &[&str] = if options[0] == "--data-dir" { &usual[..2] } else { &usual[2..] };
        let output = check(&[ours, options].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{options:?}: {output:?}");
    }
    let fine = |options: &[&str]| {
        let output = check(&[&usual[..], options].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let said = fine(&[]);
    assert!(said.starts_with("a server would start with these settings (") && said.lines().count() == 1, "{said}");
    // The server that is asked for may be the one that runs there.
    for option in ["--listen", "--metrics-listen"] {
        let said = fine(&[option, &taken]);
        assert!(said.ends_with(&format!("but note: {taken} is in use, by this server if it runs already\n")), "{said}");
    }
    assert_eq!(fs::read_dir(configured.0.path()).expect("it can be read").count(), 1, "nothing is left but the file");
}

#[test]
fn limits_are_shown_as_they_would_be_here() {
    let configured = Configured::new("[limits]\ninbox = 5\nmembers = 6\nchannels = 7\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
    command.args(["limits", "--limit", "channels=700"]).env("LINECHAT_CONFIG", configured.file());
    let output = command.env("LINECHAT_LIMIT", "members=60").output().expect("the binary runs");
    let said = String::from_utf8(output.stdout).expect("it is text");
    for shown in ["  inbox = 5 messages", "  members = 60 users", "  channels = 700 channels"] {
        assert!(said.contains(shown), "{shown}: {said}");
    }
}
