"""What the SDK tests talk to: the real upstreamd before the loopback upstream.

Five instances, each on ports of the kernel's choosing:

- `proxy` (and the Unix socket `socket`): before the loopback upstream, TLS
  verified, with a client key; JSON bodies up to 1 MiB;
- `models`: before the same upstream, with models of its own and no others;
- `asking`: before the same upstream, which it asks for the usage of streams;
- `limited`: before the same upstream, with 30 requests a minute;
- `dead`: its upstream refuses connections;
- `silent`: its upstream accepts connections and never says a word.
"""

import json
import os
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

CLIENT_KEY = "sk-client-of-the-sdk-tests"
USER_AGENT = "sdk-tests/1.0"

CONFIG = """
[server]
listen = ["127.0.0.1:0", "unix:{directory}/upstreamd.sock"]
max_body = "1MiB"
{server}

[upstream.loopback]
base_url = "{base_url}"
keys = ["loopback"]
user_agent = "{user_agent}"
connect_timeout = "{connect_timeout}"
{settings}

[upstream.loopback.tls]
ca_file = "{ca_file}"
platform_roots = false

[client.sdk]
key = "client.sdk"
"""

MODELS = """
[model.house]
name = "gpt-5-mini"
set = { reasoning_effort = "low" }
drop = ["reasoning"]
"""


@contextmanager
def stand(upstreamd, loopback):
    """Starts all of it, gives what the tests have to know, and stops it."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="upstreamd-sdk-")))
        upstream = stack.enter_context(loopback_upstream(loopback))

        def daemon(name, base_url, connect_timeout, **more):
            return stack.enter_context(
                running_daemon(upstreamd, directory / name, upstream, base_url, connect_timeout, **more)
            )

        # Bound, so that nobody else gets the port; the one does not listen.
        refusing = stack.enter_context(bound_socket())
        accepting = stack.enter_context(bound_socket())
        accepting.listen()

        yield {
            "proxy": daemon("proxy", upstream["base_url"], "10s"),
            "socket": str(directory / "proxy" / "upstreamd.sock"),
            "models": daemon("models", upstream["base_url"], "10s", server="strict_models = true", tables=MODELS),
            "asking": daemon("asking", upstream["base_url"], "10s", settings="include_usage = true"),
            "limited": daemon("limited", upstream["base_url"], "10s", tables="requests_per_minute = 30\n"),
            "dead": daemon("dead", at(refusing), "10s"),
            "silent": daemon("silent", at(accepting), "200ms"),
            "client_key": CLIENT_KEY,
            "upstream_key": upstream["key"],
            "user_agent": USER_AGENT,
        }


@contextmanager
def loopback_upstream(binary):
    """It says where it is on its first line, and ends with its standard input."""
    with subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


@contextmanager
def running_daemon(binary, directory, upstream, base_url, connect_timeout, server="", settings="", tables=""):
    """Gives `http://HOST:PORT` of its TCP listener."""
    credentials = directory / "credentials"
    credentials.mkdir(parents=True)
    secret(credentials / "loopback", upstream["key"])
    secret(credentials / "client.sdk", CLIENT_KEY)
    config = directory / "upstreamd.toml"
    config.write_text(
        CONFIG.format(
            directory=directory,
            server=server,
            base_url=base_url,
            user_agent=USER_AGENT,
            connect_timeout=connect_timeout,
            settings=settings,
            ca_file=upstream["ca_file"],
        )
        + tables
    )
    command = [binary, "--config", config, "--log-format", "json"]
    environment = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(credentials)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            listeners = ready(process)["listeners"].split()
            # Read on, so that the daemon never waits for us.
            events = threading.Thread(target=process.stderr.read, daemon=True)
            events.start()
            yield "http://" + next(place for place in listeners if place.startswith("127.0.0.1:"))
        finally:
            process.terminate()


def ready(process):
    """The event that says that it serves; until then its lines are shown if it fails."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("{") and (event := json.loads(line)).get("event") == "ready":
            return event
    raise SystemExit("upstreamd did not start:\n" + "".join(lines))


def bound_socket():
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


def at(bound):
    return f"https://localhost:{bound.getsockname()[1]}/v1"


def secret(path, content):
    path.write_text(content)
    path.chmod(0o600)
