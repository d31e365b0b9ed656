//! The dates of a certificate: it is used whatever they are, and the operator hears of them.

mod support;

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use support::server::{Server, data_dir};
use support::tls::{certify, linechat};
use support::wait::until;
use support::watched::{WATCHED, sample, watched_at};

/// Makes a pair in `dir` that is valid from the first day of one year until that of another.
fn certify_for(dir: &Path, from: i32, until: i32) {
    let mut wanted = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
    (wanted.not_before, wanted.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().expect("there is a key");
    let certificate = wanted.self_signed(&key).expect("it can be signed");
    for (name, text) in [("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())] {
        fs::write(dir.join(name), text).expect("it can be written");
    }
}

#[test]
fn whoever_shows_one_that_is_too_old_or_too_new_is_told() {
    let dir = data_dir();
    let path = |name: &str| dir.path().join(name).to_str().expect("its path is UTF-8").to_owned();
    let (cert, key, data) = (path("cert.pem"), path("key.pem"), path("data"));
    let tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let old = format!("the certificate in {cert} has expired, at 2020-01-01T00:00:00Z; most clients refuse it");
    let new = format!("the certificate in {cert} is valid only from 2120-01-01T00:00:00Z; most clients refuse it until then");
    let expiry = "linechat_certificate_expiry_seconds";

    certify_for(dir.path(), 2010, 2020);
    let options = ["config", "check", "--config", "", "--listen", "127.0.0.1:0", "--data-dir", &data];
    let checked = linechat(&[&options[..], &tls].concat());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.ends_with(&format!("but note: {old}\n")), "{checked:?}");

    let server = Server::start_logging(&[&tls[..], &WATCHED].concat());
    until("it is told", || server.log().contains(&format!("WARN linechat: {old}")).then_some(()));
    assert_eq!(sample(watched_at(&server), expiry), 1_577_836_800.0);

    certify_for(dir.path(), 2120, 2130);
    server.signal("HUP");
    until("it is told", || server.log().contains(&format!("WARN linechat: {new}")).then_some(()));
    assert_eq!(sample(watched_at(&server), expiry), 5_049_129_600.0);

    // One that the server makes itself is good for ten years, also where a clock is a little behind.
    fs::remove_file(&cert).and_then(|()| fs::remove_file(&key)).expect("they can be removed");
    certify(dir.path());
    let warned = || server.log().matches("WARN").count();
    let before = warned();
    server.signal("HUP");
    let again = || server.log().matches("the configuration was read again").count() == 2;
    until("it is read", || again().then_some(()));
    assert_eq!(warned(), before, "{}", server.log());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs_f64();
    let days = (sample(watched_at(&server), expiry) - now) / 86_400.0;
    assert!((3651.0..=3652.0).contains(&days), "{days}");
}
