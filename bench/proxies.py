"""The proxies under test: how each is configured and started, and what the
kernel says about its CPU time and memory.

All of them get two workers, keep-alive pools to the upstream over verified
TLS, HTTP/1.1 upstream, no buffering of answers, the upstream's key put in
place of the client's, and one log line per request written to a file.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import cores

WORKERS = 2
UPSTREAM_KEY = "sk-upstream"  # messages.rs: UPSTREAM_AUTHORIZATION
START_LIMIT_S = 10
STOP_LIMIT_S = 10


class Failed(Exception):
    """The run ends: what was measured could not be trusted."""


class Proxy:
    """One proxy's name, configuration and command."""

    def __init__(self, name, log, describe, command, environment=None):
        self.name = name
        self.log = log  # which of its files gets the line per request
        self.describe = describe  # () -> its version
        self.command = command  # (Place) -> argv; writes its configuration
        self.environment = environment or {}

    def start(self, place):
        """Executes the proxy; it may not answer yet."""
        argv = self.command(place)
        with open(place.file("stdout"), "wb") as out, open(place.file("stderr"), "wb") as err:
            with cores.on(cores.PROXIES):
                process = subprocess.Popen(
                    argv,
                    cwd=place.directory,
                    env={**os.environ, **self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                )
        return Running(self, place, process)

    @contextlib.contextmanager
    def running(self, place):
        """A fresh instance that has answered one request, stopped at the end."""
        running = self.start(place)
        try:
            running.wait_for_answer(place.probe)
            yield running
        finally:
            running.stop()


class Place:
    """Where one instance lives: its directory, its port, its upstream's port."""

    def __init__(self, directory, upstream_port, streams, probe):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.upstream_port = upstream_port
        self.port = free_port()
        self.connections = 2 * streams + 1000  # both sides of every stream, and some
        self.probe = probe  # bytes of a request

    def file(self, name, text=None):
        path = self.directory / name
        if text is not None:
            path.write_text(text)
        return path

    @property
    def ca(self):
        return self.directory.parent / "ca.pem"


class Running:
    """A started proxy: all its processes together."""

    def __init__(self, proxy, place, process):
        self.proxy, self.place, self.process = proxy, place, process
        self.address = f"127.0.0.1:{place.port}"

    def wait_for_answer(self, request):
        """Asks from the moment of the start until the answer is there."""
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            if self.process.poll() is not None:
                raise Failed(f"{self.proxy.name} ended at its start:\n{self.said()}")
            try:
                answer = ask(self.place.port, request)
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise Failed(f"{self.proxy.name} does not listen:\n{self.said()}") from None
                time.sleep(50e-6)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"{self.proxy.name} answers {answer!r}:\n{self.said()}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            for pid in reversed(self.pids()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def pids(self):
        """The process and its children, nginx's workers."""
        pids = [self.process.pid]
        for pid in pids:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
        return pids

    def cpu_ns(self):
        """User and system time of all threads, ended ones too, in ns."""
        return sum(time.clock_gettime_ns(process_clock(pid)) for pid in self.pids())

    def memory(self):
        """RSS and PSS in KiB. Pages that nginx's processes share count once in PSS.
        Only root may see the PSS of upstreamd, which is one process: its RSS then."""
        sums = {"Rss": 0, "Pss": 0}
        for pid in self.pids():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except PermissionError:
                rss = re.search(r"VmRSS:.*", Path(f"/proc/{pid}/status").read_text())[0].partition(":")[2]
                rollup = f"Rss:{rss}\nPss:{rss}\n"
            for line in rollup.splitlines():
                key, _, value = line.partition(":")
                if key in sums:
                    sums[key] += int(value.split()[0])
        return sums

    def logged(self):
        """How many lines its log has."""
        with open(self.place.file(self.proxy.log), "rb") as log:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b""))

    def said(self):
        return "\n".join(
            self.place.file(name).read_text(errors="replace")[-1500:]
            for name in ("stdout", "stderr")
        ).strip()


def haproxy():
    """Without http-no-delay it sends with MSG_MORE, and the kernel holds each
    chunk of a stream back for up to 200 ms: cheap, and no streaming."""

    def command(place):
        configuration = place.file(
            "haproxy.cfg",
            f"""\
global
    nbthread {WORKERS}
    maxconn {place.connections // 2}
    log stdout format raw local0 info
    ssl-server-verify required
defaults
    mode http
    log global
    option httplog
    option http-no-delay
    http-reuse always
    timeout connect 10s
    timeout client 300s
    timeout server 300s
frontend clients
    bind 127.0.0.1:{place.port}
    default_backend upstream
backend upstream
    http-request set-header Host localhost
    http-request set-header Authorization "Bearer {UPSTREAM_KEY}"
    server upstream 127.0.0.1:{place.upstream_port} ssl verify required ca-file {place.ca} sni str(localhost) verifyhost localhost alpn http/1.1
""",
        )
        return [find("haproxy"), "-db", "-f", str(configuration)]

    return Proxy("haproxy", "stdout", lambda: version("haproxy", "-v"), command)


def nginx():
    def command(place):
        configuration = place.file(
            "nginx.conf",
            f"""\
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
pid {place.directory}/nginx.pid;
worker_processes {WORKERS};
worker_rlimit_nofile {place.connections + 100};
error_log stderr warn;
events {{ worker_connections {place.connections}; }}
http {{
    access_log {place.directory}/access.log combined;
    client_body_temp_path {place.directory}/body;
    proxy_temp_path {place.directory}/proxy;
    fastcgi_temp_path {place.directory}/fastcgi;
    uwsgi_temp_path {place.directory}/uwsgi;
    scgi_temp_path {place.directory}/scgi;
    keepalive_requests 100000000;
    upstream upstream {{
        server 127.0.0.1:{place.upstream_port};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{place.port} reuseport backlog=4096;
        location / {{
            proxy_pass https://upstream;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_read_timeout 300s;
            proxy_set_header Connection "";
            proxy_set_header Host localhost;
            proxy_set_header Authorization "Bearer {UPSTREAM_KEY}";
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {place.ca};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_protocols TLSv1.3;
        }}
    }}
}}
""",
        )
        return [find("nginx"), "-e", "stderr", "-p", str(place.directory), "-c", str(configuration)]

    return Proxy("nginx", "access.log", lambda: version("nginx", "-v"), command)


# All that upstreamd can know of what it carries, where a plain request needs
# none of it: limits far off, a model that is called the same, nothing to retry.
EVERYTHING = """
[client.bench]
key = "client.bench"
models = ["gpt-*"]
endpoints = ["/chat/completions"]
requests_per_minute = 10000000
tokens_per_minute = 1000000000
max_running = 100000

[model."gpt-4*"]
upstream = "bench"
drop = ["reasoning"]

[model."gpt-5"]
upstream = ["bench", "spare"]

[retry]
attempts = 3

[upstream.spare]
base_url = "https://localhost:{port}/v2"
keys = ["bench"]

[upstream.spare.tls]
ca_file = "{ca}"
platform_roots = false
"""
CLIENT_KEY = "sk-client"  # messages.rs: CLIENT_AUTHORIZATION


def upstreamd(binary, name="upstreamd", everything=False):
    def command(place):
        keys, more, further = '["bench"]', "", ""
        if everything:
            keys, more = '["bench", "other"]', "max_running = 100000"
            further = EVERYTHING.format(port=place.upstream_port, ca=place.ca)
        configuration = place.file(
            "upstreamd.toml",
            f"""\
[server]
listen = ["127.0.0.1:{place.port}"]
workers = {WORKERS}
max_connections = {place.connections}
drain_timeout = "1s"
{'default_upstream = "bench"' if everything else ""}

[upstream.bench]
base_url = "https://localhost:{place.upstream_port}/v1"
keys = {keys}
{more}

[upstream.bench.tls]
ca_file = "{place.ca}"
platform_roots = false
{further}""",
        )
        return [str(binary), "--config", str(configuration), "--log-format", "json"]

    secrets = {"UPSTREAMD_KEY_BENCH": UPSTREAM_KEY}
    if everything:
        secrets |= {"UPSTREAMD_KEY_OTHER": UPSTREAM_KEY, "UPSTREAMD_KEY_CLIENT_BENCH": CLIENT_KEY}
    return Proxy(name, "stderr", lambda: version(binary, "--version"), command, secrets)


def ask(port, request):
    """Sends one request on a connection of its own; the bytes of the answer's head."""
    with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S) as client:
        client.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            read = client.recv(4096)
            if not read:
                break
            answer += read
        return answer


def process_clock(pid):
    """The CPU clock of another process, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def free_port():
    """A free port outside the range from which the kernel takes clients' ports."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(max(low - 12000, 2000), low), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Failed("no free port")


def find(program):
    """Debian keeps daemons in /usr/sbin, which is not in every user's path."""
    for directory in [*os.get_exec_path(), "/usr/sbin"]:
        path = os.path.join(directory, program)
        if os.access(path, os.X_OK):
            return path
    return None


def version(program, flag):
    path = find(program) if isinstance(program, str) else program
    said = subprocess.run([path, flag], capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).splitlines()[0].strip()
