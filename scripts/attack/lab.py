"""What every attack needs: a server of its own, people who talk to it, and what the system says about its process.

A `Server` is one process on a port and in a directory of its own; it ends with the attack, however that ends. Nothing here judges
a figure, waits without a deadline, or connects beyond 127.0.0.0/8.
"""

import contextlib
import json
import ctypes
import itertools
import multiprocessing
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE = 30
DESCRIPTORS = 20_000
PASSWORD = "correct horse battery"
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
FORK = multiprocessing.get_context("fork")


class CannotRun(Exception):
    """This machine lacks what the attack needs; says what."""


class Broken(Exception):
    """The server did what it must never do, so that nothing could be measured; says what."""


def end_with_parent():
    """Called in a child: whoever kills its parent ends it too."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_descriptors():
    """Thousands of connections need thousands of descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS), hard))


def percentile(numbers, share):
    """The smallest number that this share of them does not exceed."""
    ordered = sorted(numbers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def addresses(first=1):
    """Source addresses, each of which counts for itself."""
    for number in itertools.count(first):
        yield f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


class Client:
    """Somebody at a socket. Keeps every byte that the server sent in `seen`."""

    def __init__(self, port, source=None, greeted=True, receive=None, host="127.0.0.1"):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if source:
            # Otherwise a port is taken from all addresses together.
            self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.seen = 0
        self.hello = self.line() if greeted else b""

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def more(self):
        """Waits for bytes; false at the end."""
        data = self.socket.recv(65536)
        self.buffer += data
        self.seen += len(data)
        return bool(data)

    def line(self):
        """The next line, without its ending; Broken when the connection ends first."""
        while (end := self.buffer.find(b"\n")) < 0:
            if not self.more():
                raise Broken(f"the connection ended: {bytes(self.buffer[-200:])!r}")
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 1]
        return line.rstrip(b"\r")

    def answer(self):
        """The next OK or ERR; what comes before it is dropped."""
        while not (line := self.line()).startswith((b"OK ", b"ERR ")):
            pass
        return line.decode()

    def lines(self, command):
        """A command's data and answer, without events."""
        self.send(command + "\n")
        found = []
        while True:
            line = self.line()
            if not line.startswith(b"* "):
                found.append(line.decode())
            if line.startswith((b"OK ", b"ERR ")):
                return found

    def ask(self, command):
        """A command's OK or ERR."""
        self.send(command + "\n")
        return self.answer()

    def ok(self, command):
        answer = self.ask(command)
        if not answer.startswith("OK "):
            raise Broken(f"{command[:80]}: {answer}")
        return answer

    def rest(self):
        """Everything up to the end of the connection; a reset ends it too."""
        with contextlib.suppress(ConnectionError):
            while self.more():
                pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server:
    """`linechat serve` with its default limits, but for the options given."""

    def __init__(self, binary, *options, data=None, environment=None, nofile=None):
        self.binary, self.options, self.nofile = binary, list(options), nofile
        self.environment = {**os.environ, "NO_COLOR": "1", **(environment or {})}
        self.environment.pop("RUST_LOG", None) if "RUST_LOG" not in (environment or {}) else None
        self.home = tempfile.mkdtemp(prefix="linechat-attack-")
        self.data = data or f"{self.home}/data"
        self.log = pathlib.Path(self.home, "log")
        self.process = None
        try:
            self.start()
        except Broken:
            shutil.rmtree(self.home, ignore_errors=True)
            raise

    def start(self):
        """Starts it, again if need be; Broken when it says why it does not."""
        def before():
            end_with_parent()
            if self.nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

        command = [self.binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.data, *self.options]
        with self.log.open("ab") as log:
            written = log.tell()
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=self.environment, preexec_fn=before)
        if "json" in self.options:
            self.ports = self.serving(written)
            self.port = self.ports[0]
            return
        greeting = []
        for line in self.process.stdout:
            greeting.append(line.decode())
            if "type HELP" in greeting[-1]:
                break
        else:
            self.process.wait()
            raise Broken(f"it does not start: {self.logged()[-300:]}")
        self.greeting = "".join(greeting)
        self.ports = [int(port) for port in re.findall(r"listens on \S+:(\d+)", self.greeting)]
        self.port = self.ports[0]

    def serving(self, written):
        """The ports that a log of JSON objects tells of, behind what was written there before."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends and self.process.poll() is None:
            lines = self.log.read_bytes()[written:].split(b"\n")[:-1]
            for event in map(json.loads, lines):
                if event.get("message") == "serving":
                    return [int(address.rsplit(":")[-1]) for address in event["listen"].split(",")]
            time.sleep(0.01)
        raise Broken(f"it does not start: {self.logged()[-300:]}")

    def listening(self):
        """The ports on which this process listens, as the system knows them."""
        inodes = set()
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                inodes |= set(re.findall(r"^socket:\[(\d+)\]", os.readlink(f"/proc/{self.pid}/fd/{name}")))
        lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [int(line[1].split(":")[1], 16) for line in lines if line[3] == "0A" and line[9] in inodes]

    @property
    def pid(self):
        return self.process.pid

    def client(self, name=None, **options):
        client = Client(self.port, **options)
        if name:
            client.ok(f"NAME {name}")
        return client

    def account(self, name, **options):
        client = Client(self.port, **options)
        client.ok(f"REGISTER {name} {PASSWORD}")
        return client

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def terminate(self, patience=PATIENCE):
        """SIGTERM; how long it took to end."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(patience)
        self.process.stdout.close()
        return time.monotonic() - began

    def status(self, field):
        """A field of /proc/PID/status in bytes."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", text, re.M)[1]) * 1024

    def rss(self):
        return self.status("VmRSS")

    def peak(self):
        """The most memory since `forget_peak`."""
        return self.status("VmHWM")

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self):
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def logged(self):
        return self.log.read_text(errors="replace")

    def is_well(self):
        """Why it is not well, or None: a server that is dead loses no line of anybody."""
        if self.process.poll() is not None:
            return f"it ended with {self.process.returncode}: {self.logged()[-300:]}"
        if "panicked" in self.logged():
            return "something panicked: " + self.logged()[-300:]
        try:
            with Client(self.port, source="127.250.250.250") as late, Client(self.port, source="127.250.250.250") as other:
                them = late.ok("WHOAMI").split()[2]
                other.ok(f"MSG {them} are you there?")
                while b"are you there?" not in late.line():
                    pass
        except (OSError, Broken) as why:
            return f"a newcomer is not served: {why}"
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Beside:
    """A function in a process of its own, beside whoever measures. It gives its result when it ends."""

    def __init__(self, function, *arguments):
        self.receiver, sender = FORK.Pipe(False)
        self.stopping = FORK.Event()

        def run():
            end_with_parent()
            try:
                sender.send(function(self.stopping, *arguments))
            except BaseException as why:  # noqa: BLE001  It is told to whoever waits.
                sender.send(why)

        self.process = FORK.Process(target=run, daemon=True)
        self.process.start()
        sender.close()

    def result(self, patience=PATIENCE):
        self.stopping.set()
        if not self.receiver.poll(patience):
            self.process.kill()
            raise Broken("the load does not end")
        result = self.receiver.recv()
        self.process.join()
        if isinstance(result, BaseException):
            raise result
        return result

    @property
    def is_done(self):
        return self.receiver.poll(0)


def pings(client, seconds, command="PING", pause=0.002):
    """How long each answer took, in ms."""
    times, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        client.ok(command)
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(pause)
    return times


def until(condition, what, patience=PATIENCE):
    """Waits until it holds; Broken if it never does. Returns what it gave."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > ends:
            raise Broken(f"never: {what}")
        time.sleep(0.005)
    return found


def limits(binary, *words):
    """The limits of this server whose names hold one of the words and that can be switched off."""
    text = subprocess.run([binary, "limits"], check=True, capture_output=True, text=True).stdout
    named = re.findall(r"^  (\S+) = .* or none\)$", text, re.M)
    return [name for name in named if any(word in name for word in words)]


def folder():
    """A folder that only this attack has."""
    return tempfile.TemporaryDirectory(prefix="linechat-attack-")


def password_limits(binary):
    """Options that let everybody try as many passwords and keys as they like."""
    return [option for name in limits(binary, "password", "channel-keys", "hash") for option in ("--limit", f"{name}=none")]
