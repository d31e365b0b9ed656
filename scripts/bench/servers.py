"""Starts the servers that are measured, each in a directory of its own, and stops what it started.

Owns nothing beyond a `Server`: one process, pinned to core 0 or to both, with its flood control off.
"""

import contextlib
import dataclasses
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

SERVER_CORE, LOAD_CORE = "0", "1"
BOTH_CORES = "0,1"
START_SECONDS = 20
START_TRIES = 3
# What `linechat tls self-signed` makes; all servers that speak TLS show such a certificate.
CERTIFICATE, KEY = "cert.pem", "key.pem"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A server: how people call it, the dialect of the load, the program with its Debian package, if it is a peer, the journal, if
    it is linechat, where it runs, and whether the load speaks TLS to it."""

    label: str
    dialect: str
    program: str | None = None
    package: str | None = None
    journal: str | None = None
    cores: str = SERVER_CORE
    tls: bool = False

    @property
    def is_ours(self):
        return self.dialect == "linechat"

    @property
    def is_peer(self):
        return self.program is not None


SERVERS = {
    "memory": Kind("linechat, memory", "linechat", journal="memory"),
    "disk": Kind("linechat, disk", "linechat", journal="disk"),
    "memory-two": Kind("linechat, memory, two cores", "linechat", journal="memory", cores=BOTH_CORES),
    "disk-two": Kind("linechat, disk, two cores", "linechat", journal="disk", cores=BOTH_CORES),
    "redis": Kind("Redis", "redis", "redis-server", "redis-server"),
    "memory-tls": Kind("linechat, memory, TLS", "linechat", journal="memory", tls=True),
    "redis-tls": Kind("Redis, TLS", "redis", "redis-server", "redis-server", tls=True),
    "streams": Kind("Redis Streams", "streams", "redis-server", "redis-server"),
    "stream-readers": Kind("Redis Streams", "stream-readers", "redis-server", "redis-server"),
    "nats": Kind("NATS", "nats", "nats-server", "nats-server"),
    "jetstream": Kind("NATS JetStream", "jetstream", "nats-server", "nats-server"),
    "mosquitto": Kind("Mosquitto", "mqtt", "mosquitto", "mosquitto"),
    "inspircd": Kind("InspIRCd", "irc", "inspircd", "inspircd"),
    "ngircd": Kind("ngIRCd", "irc", "ngircd", "ngircd"),
    "floor": Kind("floor", "floor"),
}

NGIRCD = """
[Global]
Name = irc.bench
Info = bench
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hi
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
"""

INSPIRCD = """
<server name="irc.bench" description="bench" network="bench" id="001">
<admin name="a" nick="a" email="a@irc.bench">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect allow="*" timeout="60" fakelag="no" commandrate="100000000" threshold="100000000" hardsendq="1G" softsendq="512M"
         recvq="64M" localmax="100000" globalmax="100000" maxchans="100" limit="100000" maxconnwarn="no" resolvehostnames="no"
         useconnectban="no" useconnflood="no">
<performance softlimit="100000" somaxconn="1024" netbuffersize="10240">
<options modesinlist="yes">
<dns server="127.0.0.1" timeout="1">
<pid file="{dir}/inspircd.pid">
"""

MOSQUITTO = """
listener {port} 127.0.0.1
allow_anonymous true
max_connections -1
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
persistence false
set_tcp_nodelay true
log_type error
user root
"""

LINECHAT_LIMITS = ["commands-per-second", "commands-per-address", "stored-per-address", "connections-per-address",
                   "connections", "tls-handshakes-per-address"]


class CannotStart(Exception):
    """A server did not start; says why."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(kind, port, directory, programs):
    """What starts a server of this kind."""
    address = f"127.0.0.1:{port}"
    if SERVERS[kind].is_ours:
        listens = ["--listen", "127.0.0.1:0", "--tls-listen", address, "--tls-cert", f"{directory}/{CERTIFICATE}",
                   "--tls-key", f"{directory}/{KEY}"] if SERVERS[kind].tls else ["--listen", address]
        return [programs["linechat"], "serve", *listens, "--data-dir", f"{directory}/data",
                "--journal", SERVERS[kind].journal, *[word for name in LINECHAT_LIMITS for word in ("--limit", f"{name}=none")]]
    if kind == "floor":
        return [programs["floor"], address]
    if SERVERS[kind].program == "redis-server":
        # A rewrite of the log would fork in the middle of a measurement.
        keeps = ["--appendonly", "no"] if SERVERS[kind].dialect == "redis" else ["--appendonly", "yes", "--appendfsync", "always",
                                                                "--auto-aof-rewrite-percentage", "0"]
        listens = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY, "--tls-ca-cert-file",
                   CERTIFICATE, "--tls-auth-clients", "no"] if SERVERS[kind].tls else ["--port", str(port)]
        return ["redis-server", "--bind", "127.0.0.1", *listens, "--save", "", *keeps, "--maxclients", "20000",
                "--tcp-backlog", "4096", "--client-output-buffer-limit", "pubsub 0 0 0", "--dir", directory]
    if SERVERS[kind].program == "nats-server":
        stores = ["-js", "-sd", directory] if kind == "jetstream" else []
        return ["nats-server", "-a", "127.0.0.1", "-p", str(port), *stores]
    template, start = {
        "ngircd": (NGIRCD, ["ngircd", "-n", "-f"]),
        "inspircd": (INSPIRCD, ["inspircd", "--nofork", "--runasroot", "--config"]),
        "mosquitto": (MOSQUITTO, ["mosquitto", "-c"]),
    }[kind]
    path = pathlib.Path(directory) / f"{kind}.conf"
    path.write_text(template.format(port=port, dir=directory))
    return [*start, str(path)]


class Server:
    """One running server; its directory goes with it."""

    def __init__(self, kind, programs, work_dir):
        self.kind, self.port = kind, free_port()
        self.dir = tempfile.mkdtemp(prefix=f"{kind}-", dir=work_dir)
        if SERVERS[kind].tls:
            make = [programs["linechat"], "tls", "self-signed", "--name", "127.0.0.1", "--out", self.dir]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        with open(f"{self.dir}/log", "w") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", SERVERS[kind].cores, *command(kind, self.port, self.dir, programs)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir)
        try:
            self._wait()
        except BaseException:
            self._kill()
            raise

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise CannotStart(f"{self.kind} ended at once: {self._last_words()}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                # Whoever answered may be another process on a port that was taken meanwhile: then ours ends now.
                time.sleep(0.1)
                if self.process.poll() is None:
                    return
            time.sleep(0.02)
        raise CannotStart(f"{self.kind} does not listen after {START_SECONDS} s: {self._last_words()}")

    def _last_words(self):
        return " / ".join(pathlib.Path(f"{self.dir}/log").read_text(errors="replace").splitlines()[-3:])

    def died(self):
        """Why it is not there any more, or nothing."""
        code = self.process.poll()
        return f"the server ended with {code}: {self._last_words()}" if code is not None else ""

    def trusted(self):
        """What tells the load which certificate to trust, where it is to speak TLS."""
        return ["--tls-ca", f"{self.dir}/{CERTIFICATE}"] if SERVERS[self.kind].tls else []

    def pid(self):
        return self.process.pid

    def _kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self._kill()
        shutil.rmtree(self.dir, ignore_errors=True)


@contextlib.contextmanager
def running(kind, programs, work_dir):
    """A server for as long as the block runs. A port that was taken meanwhile is tried again with another."""
    for attempt in range(START_TRIES):
        try:
            server = Server(kind, programs, work_dir)
            break
        except CannotStart:
            if attempt + 1 == START_TRIES:
                raise
    try:
        yield server
    finally:
        server.stop()
