//! Snapshots, liveness and credentials, tried through the crate with real brokers.

mod support;

use std::fs;
use std::time::Duration;

use async_nats::jetstream;
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use futures_util::TryStreamExt;
use linechat::event::NodeId;
use linechat::order::nats::{self, Here, NatsError, Options, Snapshots};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use support::cluster::{Brokers, Cluster, answer};
use support::jetstream as seen;
use support::server::PATIENCE;
use support::wait::until;

fn options(brokers: &Brokers, stream: &str) -> Options {
    let servers = brokers.urls().split(',').map(|url| url.parse().expect("an address")).collect();
    let (stream, name) = (stream.to_owned(), "test".to_owned());
    Options { servers, credentials: None, authority: None, stream, stream_bytes: 1 << 20, name }
}

async fn read(snapshots: &Snapshots, place: u64) -> Result<Vec<u8>, String> {
    let file = NamedTempFile::new().expect("a file");
    snapshots.get(place, &mut File::create(&file).await.expect("it can be written")).await?;
    Ok(fs::read(&file).expect("it can be read"))
}

/// What somebody has begun to store as a snapshot, and died.
#[tokio::test]
async fn what_is_left_of_snapshots_is_cleared_up() {
    let Some(brokers) = Brokers::start(1) else { return };
    let nats = nats::connect(&options(&brokers, "left")).await.expect("a stream");
    let snapshots = nats.snapshots().await.expect("a place for snapshots");
    for place in [10, 20, 30] {
        snapshots.put(place, &b"a copy"[..]).await.expect("it is stored");
    }
    assert_eq!(snapshots.forget_old().await, Ok(Some(20)));
    let stored = || seen::messages(&brokers, "OBJ_left-snapshots");
    seen::publish(&brokers, "$O.left-snapshots.C.half", "half of a copy").expect("it is stored");
    assert_eq!(stored(), 5, "two pieces with their marks, and one without");
    snapshots.clear_up(Duration::from_secs(3600)).await.expect("it is cleared up");
    assert_eq!(stored(), 5, "the half may be on its way");
    snapshots.clear_up(Duration::ZERO).await.expect("it is cleared up");
    assert_eq!(stored(), 4);
    assert_eq!(snapshots.places().await, Ok(vec![20, 30]));
    assert_eq!(read(&snapshots, 20).await, Ok(b"a copy".to_vec()));
    read(&snapshots, 10).await.expect_err("it is forgotten");
}

#[tokio::test]
async fn whether_a_process_is_here_is_known_at_once() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = options(&brokers, "here");
    let ash = nats::connect(&options).await.expect("a stream");
    let birch = nats::connect(&options).await.expect("the same stream");
    assert_eq!(birch.is_here(NodeId(7)).await, Here::Nobody);
    let mut asked = ash.answer_for(NodeId(7)).await.expect("the broker takes it");
    let answering = tokio::spawn(async move { ash.answer(&mut asked).await });
    let becomes = async |here| {
        let told = async { while birch.is_here(NodeId(7)).await != here {} };
        tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("not in time: {here:?}"));
    };
    becomes(Here::Answers).await;
    answering.abort();
    becomes(Here::Nobody).await;
}

/// The library has an object store of its own; each reads what the other has stored.
#[tokio::test]
async fn snapshots_are_objects_like_those_of_others() {
    let Some(brokers) = Brokers::start(1) else { return };
    let nats = nats::connect(&options(&brokers, "objects")).await.expect("a stream");
    let snapshots = nats.snapshots().await.expect("a place for snapshots");
    let client = async_nats::connect(brokers.urls()).await.expect("a broker");
    let others = jetstream::new(client).get_object_store("objects-snapshots").await.expect("it is there");
    // Two whole pieces and a bit.
    let bytes: Vec<u8> = (0..75_000_u32).flat_map(u32::to_le_bytes).collect();
    snapshots.put(10, &bytes[..]).await.expect("it is stored");
    let listed: Vec<_> = others.list().await.expect("a list").try_collect().await.expect("a list");
    let name = &listed[0].name;
    let (mut object, mut got) = (others.get(name).await.expect("it is there"), Vec::new());
    object.read_to_end(&mut got).await.expect("its sum is right");
    assert!(got == bytes);

    let newer = format!("{}20", name.strip_suffix("10").expect("it ends with its place"));
    others.put(&*newer, &mut &bytes[..]).await.expect("it is stored");
    assert_eq!(snapshots.places().await, Ok(vec![10, 20]));
    assert!(read(&snapshots, 20).await.as_ref() == Ok(&bytes));

    // Somebody says that it should have another sum.
    let mark = format!("$O.objects-snapshots.M.{}", URL_SAFE.encode(&newer));
    let mut info = others.info(&newer).await.expect("it is there");
    info.digest = Some(format!("SHA-256={}", URL_SAFE.encode([7; 32])));
    seen::publish(&brokers, &mark, &serde_json::to_string(&info).expect("it is JSON")).expect("it is stored");
    let wrong = read(&snapshots, 20).await.expect_err("it is not so");
    assert!(
        wrong.starts_with("its sum is SHA-256=")
            && wrong.ends_with(" and was SHA-256=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
        "{wrong}"
    );

    // It is deleted as others do it, with a mark that says so.
    others.delete(&newer).await.expect("it is deleted");
    assert_eq!(snapshots.places().await, Ok(vec![10]));
    assert_eq!(read(&snapshots, 20).await, Err("the NATS servers do not have it any more".to_owned()));
    let stored = || seen::messages(&brokers, "OBJ_objects-snapshots");
    assert_eq!(stored(), 5, "three pieces, their mark, and the one of what is deleted");
    snapshots.clear_up(Duration::ZERO).await.expect("it is cleared up");
    assert_eq!(stored(), 4);
}

#[tokio::test]
async fn a_snapshot_that_lacks_something_is_not_taken() {
    let Some(mut brokers) = Brokers::start(1) else { return };
    let nats = nats::connect(&options(&brokers, "lacking")).await.expect("a stream");
    let snapshots = nats.snapshots().await.expect("a place for snapshots");
    let (one, other) = (vec![1; 300_000], vec![2; 300_000]);
    let (stored, empty) = tokio::join!(
        async { tokio::join!(snapshots.put(10, &one[..]), snapshots.put(20, &other[..])) },
        snapshots.put(30, &b""[..])
    );
    assert_eq!((stored, empty), ((Ok(()), Ok(())), Ok(())));
    // Their pieces lie among each other.
    assert!(read(&snapshots, 10).await == Ok(one) && read(&snapshots, 20).await == Ok(other));
    assert_eq!(read(&snapshots, 30).await, Ok(Vec::new()));

    // Brokers may be away for a moment.
    brokers.kill(0);
    let back = tokio::task::spawn_blocking(move || {
        brokers.start_one(0);
        brokers
    });
    assert_eq!(read(&snapshots, 30).await, Ok(Vec::new()));
    let brokers = back.await.expect("it runs again");

    let whole = seen::ask(&brokers, "STREAM.MSG.GET.OBJ_lacking-snapshots", r#"{"seq":1}"#);
    let place = if whole["message"]["data"].as_str().expect("a piece").starts_with("AQ") { 10 } else { 20 };
    seen::ask(&brokers, "STREAM.MSG.DELETE.OBJ_lacking-snapshots", r#"{"seq":1}"#);
    assert_eq!(read(&snapshots, place).await, Err("the NATS servers do not have its piece 3 of 3 any more".to_owned()));
}

/// The lines of a broker's configuration by which it lets this key in, and nobody else.
fn only(key: &KeyPair) -> String {
    format!("authorization {{ users: [{{ nkey: {} }}] }}\n", key.public_key())
}

#[test]
fn credentials_may_change_while_a_server_runs() {
    let (old, new) = (KeyPair::new_user(), KeyPair::new_user());
    let Some(mut brokers) = Brokers::start_with(1, &only(&old)) else { return };
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("linechat.nk");
    let write = |text: &str| fs::write(&path, text).expect("it can be written");
    write(&old.seed().expect("a seed"));
    let server = Cluster::join(&brokers, "keys", "node0", &["--nats-creds", path.to_str().expect("a path")]);
    let mut ana = server.connect();
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");

    brokers.kill(0);
    write(&format!("{}\n", new.seed().expect("a seed")));
    brokers.configure(&only(&new));
    brokers.start_one(0);
    until("it is taken", || answer(&mut ana, "SAY #rust by another key").starts_with("OK SAY ").then_some(()));
}

/// What an account or its operator has signed: that `subject` may do so, in the way of NATS (version 2 of its JWTs).
fn jwt(issuer: &KeyPair, subject: &KeyPair, allowed: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let subject = subject.public_key();
    let body = json!({"jti": subject, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": "test", "sub": subject, "nats": allowed});
    let said = format!("{head}.{}", part(&body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(said.as_bytes()).expect("a signature"));
    format!("{said}.{signature}")
}

#[tokio::test]
async fn who_has_the_operators_jwt_is_let_in_and_who_has_anothers_key_is_not() {
    let (operator, system, account) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
        "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1});
    let of_account = json!({"type": "account", "version": 2, "limits": limits});
    let more = format!(
        "operator: {}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{ {system}: {}, {}: {} }}\n",
        jwt(&operator, &operator, &json!({"type": "operator", "version": 2, "system_account": system.public_key()})),
        jwt(&operator, &system, &json!({"type": "account", "version": 2})),
        account.public_key(),
        jwt(&operator, &account, &of_account),
        system = system.public_key(),
    );
    let Some(brokers) = Brokers::start_with(1, &more) else { return };
    let credentials = |user: &KeyPair, seed: &KeyPair| {
        let jwt = jwt(&account, user, &json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}));
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n************************* IMPORTANT \
             *************************\nNKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            seed.seed().expect("a seed")
        )
    };
    let file = NamedTempFile::new().expect("a file");
    let mut options = options(&brokers, "signed");
    options.credentials = Some(file.path().to_owned());
    let (user, another) = (KeyPair::new_user(), KeyPair::new_user());
    fs::write(&file, credentials(&user, &user)).expect("it can be written");
    nats::connect(&options).await.expect("it is let in");
    fs::write(&file, credentials(&user, &another)).expect("it can be written");
    assert!(matches!(nats::connect(&options).await, Err(NatsError::Refused(_))));
}

#[tokio::test]
async fn what_are_no_credentials_is_said_before_anybody_is_asked() {
    let Some(brokers) = Brokers::start(1) else { return };
    let mut options = options(&brokers, "wrong");
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("linechat.creds");
    fs::write(&file, "a key").expect("it can be written");
    let absent = directory.path().join("absent.creds");
    for (path, why) in [
        (file, "there is no seed of a user's key in it"),
        (absent, "No such file or directory (os error 2)"),
        (directory.path().to_owned(), "it is read at each connection, and has to be a file for that"),
    ] {
        let told = format!("cannot use the file {}: {why}; give another --nats-creds or --nats-tls-ca", path.display());
        options.credentials = Some(path);
        assert_eq!(nats::connect(&options).await.expect_err("it cannot be used").to_string(), told);
    }
}
