"""Gets the programs: installs the peers and matplotlib from Debian, builds linechat and the loads, and says what all of them and the
machine are."""

import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess

from bench.servers import SERVERS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCHES = ["peers", "floor", "growth", "boot"]


def install(kinds):
    """Installs what is missing of the peers, and what draws, where it may."""
    # Debian keeps servers where a user's PATH does not look.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    needed = {kind: SERVERS[kind] for kind in kinds if SERVERS[kind].is_peer}
    packages = sorted({server.package for server in needed.values() if not shutil.which(server.program)})
    if not importlib.util.find_spec("matplotlib"):
        packages.append("python3-matplotlib")
    if packages and os.geteuid() != 0:
        raise SystemExit(f"install first: {' '.join(packages)}")
    if packages:
        # The services that come with them stay off: each server is started here, on a port of its own.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=environment)
        subprocess.run(["apt-get", "-qq", "-y", "install", "--no-install-recommends", *packages], check=True, env=environment)
        importlib.invalidate_caches()


def build():
    """Builds all programs; returns the path of each by its name."""
    def executables(*arguments):
        output = subprocess.run(["cargo", *arguments, "--message-format=json"], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                                text=True).stdout
        items = [json.loads(line) for line in output.splitlines()]
        return {item["target"]["name"]: item["executable"] for item in items if item.get("executable")}

    programs = executables("build", "--release")
    programs |= executables("bench", "--no-run", *[word for name in BENCHES for word in ("--bench", name)])
    return programs


def work_dir():
    """Where servers keep their data: beside the build, on a disk and not in memory."""
    output = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True,
                            text=True).stdout
    path = pathlib.Path(json.loads(output)["target_directory"]) / "bench-peers"
    path.mkdir(parents=True, exist_ok=True)
    return path


def machine():
    """What the measurements are of, for people."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB, Linux {kernel}"


def versions(kinds):
    """The versions of linechat and of the peers."""
    def said(*command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else "unknown"

    sources = ["src", "Cargo.toml", "Cargo.lock", ".cargo"]
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *sources], cwd=ROOT).returncode != 0
    found = {"linechat": said("git", "log", "-1", "--format=%h", "--", *sources) + (" with changes" if changed else "")}
    for kind in kinds:
        if SERVERS[kind].is_peer:
            version = said("dpkg-query", "-W", "-f", "${Version}", SERVERS[kind].package)
            found[SERVERS[kind].label.replace(",", "").split()[0]] = re.sub(r"^\d+:|-.*$", "", version)
    return found
