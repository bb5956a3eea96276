"""A loopback upstream with TLS, upstreamd before it, LiteLLM before that.

LiteLLM runs on what `upstreamd litellm-config` prints, once through upstreamd and
once past it.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sdk"))

from stand import bound_socket, loopback_upstream, secret

PROGRAMS = json.loads(os.environ["PROGRAMS"])

CLIENT_KEY = "sk-client-of-upstreamd"
MASTER_KEY = "sk-client-of-litellm"
USER_AGENT = "last-hop/1.0"

# LiteLLM takes ten seconds to start, and the machine may be busy.
PATIENCE = 120

CONFIG = """
[server]
listen = ["unix:{directory}/upstreamd.sock", "127.0.0.1:{port}"]

[upstream.loopback]
base_url = "{base_url}"
keys = ["loopback"]
user_agent = "{user_agent}"

[upstream.loopback.tls]
ca_file = "{ca_file}"
platform_roots = false

[model."fast"]
name = "openai/gpt-5-mini"
set = {{ reasoning_effort = "low" }}
drop = ["reasoning"]

[model."team-*"]

[client.litellm]
key = "client.litellm"
"""


class Daemon:
    """The running upstreamd: where it is, and the events that it wrote."""

    def __init__(self, directory, port):
        self.directory = directory
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def events(self):
        """Of the requests that come by LiteLLM, and not of those by `seen`."""
        lines = (self.directory / "events").read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event.get("method") == "POST"]

    def config(self, *flags):
        """What `upstreamd litellm-config` prints."""
        command = [PROGRAMS["upstreamd"], "litellm-config", "--config", self.directory / "upstreamd.toml", *flags]
        return subprocess.run(command, env={}, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="session")
def upstream():
    with loopback_upstream(PROGRAMS["loopback"]) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def upstreamd(upstream, tmp_path_factory):
    directory, port = tmp_path_factory.mktemp("upstreamd"), free_port()
    keys = directory / "keys"
    keys.mkdir()
    secret(keys / "loopback", upstream["key"])
    secret(keys / "client.litellm", CLIENT_KEY)
    config = CONFIG.format(directory=directory, port=port, user_agent=USER_AGENT, **upstream)
    (directory / "upstreamd.toml").write_text(config)
    command = [PROGRAMS["upstreamd"], "--config", directory / "upstreamd.toml", "--log-format", "json"]
    with running(command, {}, directory / "events"):
        wait_until(lambda: '"ready"' in (directory / "events").read_text())
        yield Daemon(directory, port)


@pytest.fixture(scope="session")
def through(upstreamd, tmp_path_factory):
    """A client of the LiteLLM that goes through upstreamd."""
    keys = {"UPSTREAMD_CLIENT_KEY": CLIENT_KEY}
    with litellm(upstreamd.config(), keys, tmp_path_factory.mktemp("through")) as client:
        yield client


@pytest.fixture(scope="session")
def direct(upstreamd, upstream, tmp_path_factory):
    """A client of the LiteLLM that goes past it."""
    keys = {"UPSTREAMD_KEY_LOOPBACK": upstream["key"], "SSL_CERT_FILE": upstream["ca_file"]}
    with litellm(upstreamd.config("--direct"), keys, tmp_path_factory.mktemp("direct")) as client:
        yield client


@pytest.fixture
def seen(upstreamd):
    """What the upstream saw last: its own account of it."""

    def ask():
        fields = {"authorization": f"Bearer {CLIENT_KEY}"}
        return httpx2.get(f"{upstreamd.base_url}/__seen", headers=fields).json()["last"]

    return ask


@contextmanager
def litellm(config, keys, directory):
    """Gives an OpenAI client of a LiteLLM proxy that runs on `config`."""
    (directory / "config.yaml").write_text(config)
    port = free_port()
    environment = keys | {
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # the list of prices that it would fetch
        "LITELLM_MODE": "PRODUCTION",  # reads no .env
        "HOME": str(directory),
    }
    command = [PROGRAMS["litellm"], "--config", directory / "config.yaml", "--telemetry", "False"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with running(command, environment, directory / "log") as process:
        address = f"http://127.0.0.1:{port}"

        def lives():
            assert process.poll() is None, (directory / "log").read_text()
            try:
                return httpx2.get(f"{address}/health/liveliness").is_success
            except httpx2.TransportError:
                return False

        wait_until(lives)
        with client_of(address, MASTER_KEY) as client:
            yield client


def client_of(address, key):
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=PATIENCE)


@contextmanager
def running(command, environment, log):
    environment = environment | {"PATH": os.environ["PATH"]}
    with log.open("w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.terminate()


def free_port():
    with bound_socket() as bound:
        return bound.getsockname()[1]


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
