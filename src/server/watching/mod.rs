//! Being watched: what was counted and what can be looked up, for Prometheus and for whoever asks whether the server works. It
//! speaks HTTP at an address of its own.
//!
//! It owns its few connections, of which each has one request and little time. It must never keep the server from working: what it
//! shows is looked up when it is asked for.

mod facts;
mod process;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::limits::{WATCHING_CONNECTIONS, WATCHING_HEADER_BYTES};
use crate::order::nats::Nats;
use crate::server::admission::Admission;
use crate::server::supervisor::Ended;
use crate::session::Shared;
use crate::tls::Certificates;

use facts::Facts;

/// How long a request's header may take to come.
const HEADER: Duration = Duration::from_secs(5);
/// How long a connection may last: all metrics are some 20 KiB.
const WHOLE: Duration = Duration::from_secs(10);
/// How long the accept loop rests when the system refuses another connection.
const REST: Duration = Duration::from_millis(100);
const TEXT: &str = "text/plain; charset=utf-8";

/// What is watched.
pub struct Watched {
    pub shared: Arc<Shared>,
    pub admission: Arc<Admission>,
    pub nats: Option<Arc<Nats>>,
    pub certificates: Option<Arc<Certificates>>,
}

impl Watched {
    /// All metrics, in Prometheus's text format.
    pub async fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Facts::gather(self).await));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).expect("invariant: memory takes it");
        text
    }

    /// Why nothing that people say can be ordered now, if that is so.
    fn obstacle(&self) -> Option<&'static str> {
        let shared = &self.shared;
        if shared.stopping.is_cancelled() || shared.failed.is_cancelled() {
            return Some("stopping");
        }
        if shared.membership.as_ref().is_some_and(|membership| membership.is_cut_off()) {
            return Some("cut off from the cluster");
        }
        if shared.metrics.is_full() {
            return Some("the disk is full");
        }
        shared.lives.newest().is_over().then_some("entering the cluster again")
    }
}

/// Never ends: when the system refuses, it is asked again.
pub async fn accept(watched: Arc<Watched>, listener: TcpListener) -> Ended {
    let mut serving = JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        // Whoever comes while there are enough waits to be accepted.
        if serving.len() >= WATCHING_CONNECTIONS {
            serving.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => drop(serving.spawn(timeout(WHOLE, serve(Arc::clone(&watched), stream)))),
            Err(error) => {
                tracing::debug!(%error, "nobody is let in to read metrics");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn serve(watched: Arc<Watched>, stream: TcpStream) {
    let service = service_fn(|request| answer(&watched, request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(WATCHING_HEADER_BYTES).keep_alive(false);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a request for metrics came to nothing");
    }
}

async fn answer(watched: &Watched, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD are what is answered here\n");
        refused.headers_mut().insert(ALLOW, const { hyper::header::HeaderValue::from_static("GET, HEAD") });
        return Ok(refused);
    }
    Ok(match request.uri().path() {
        "/metrics" => said(StatusCode::OK, prometheus_text::CONTENT_TYPE, watched.text().await),
        "/healthz" => said(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => match watched.obstacle() {
            None => said(StatusCode::OK, TEXT, "ready\n"),
            Some(why) => said(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        _ => said(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /metrics, /healthz and /readyz here; to chat, connect to another port\n",
        ),
    })
}

fn said(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
