"""Boxes from Python: a booted Debian, and the upstreamd in it."""

import json
import os
import re
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BOX = HERE / "box"
# What tests/system/run has built.
BUILT = Path(os.environ.get("UPSTREAMD_BUILT", ""))

# Debian's name -> the systemd that it has.
SUITES = {"bookworm": 252, "trixie": 257}

UPSTREAM_KEY = "sk-upstream-key-that-no-log-may-show"
CLIENT_KEY = "sk-client-key-of-the-system-tests"
TCP = "127.0.0.1:4000"
UNIX = "/run/upstreamd/upstreamd.sock"

# For a condition that holds at once if all is well; the machine may be busy.
PATIENCE = 60


def a_process_for_each_debian(items):
    """With --numprocesses: it boots a box for itself."""
    # tests/system/run takes from here too, with a Python that has no pytest.
    import pytest

    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        item.add_marker(pytest.mark.xdist_group(parameters.get("box", parameters.get("suite", "none"))))


def create(suite):
    subprocess.run([BOX, "create", suite], check=True)


@contextmanager
def booted(suite, *directories):
    name = f"{suite}-{time.monotonic_ns()}"
    subprocess.run([BOX, "start", suite, name, *directories], check=True)
    try:
        yield Box(name, SUITES[suite])
    finally:
        subprocess.run([BOX, "stop", name], check=True)


def wait_until(holds, what="it"):
    """What `holds` gives once that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)
    return found


class Box:
    """A booted Debian."""

    def __init__(self, name, systemd):
        self.name, self.systemd = name, systemd

    def run(self, *command, **options):
        """Runs it inside and gives what came of it, whatever that is."""
        options = {"capture_output": True, "text": True, "timeout": PATIENCE} | options
        return subprocess.run([BOX, "exec", self.name, *command], **options)

    def is_off(self):
        init = Path(f"/run/upstreamd-boxes/{self.name}/init").read_text().strip()
        return not Path(f"/proc/{init}").exists()

    def sh(self, script, *arguments, **options):
        """Runs a shell script that has to succeed; gives what it printed."""
        done = self.run("sh", "-euc", script, "sh", *arguments, **options)
        assert done.returncode == 0, f"{script}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def threads(self, pid):
        """Ids, as this machine counts, of the threads of a process inside, by name."""
        init = Path(f"/run/upstreamd-boxes/{self.name}/init").read_text().strip()
        inside = os.readlink(f"/proc/{init}/ns/pid")
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                numbers = re.search(r"^NSpid:(.*)$", (process / "status").read_text(), re.M)[1].split()
                if numbers[-1] == str(pid) and os.readlink(process / "ns/pid") == inside:
                    return {(task / "comm").read_text().strip(): int(task.name) for task in (process / "task").iterdir()}
        raise AssertionError(f"there is no process {pid} in {self.name}")

    def start(self, *command, **options):
        """Starts it inside; ends with the box at the latest."""
        return subprocess.Popen([BOX, "exec", self.name, *command], text=True, **options)

    def write(self, path, content, mode=0o644):
        self.sh('mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', path, f"{mode:o}", input=content)

    def journal(self, *options):
        return self.sh('journalctl --sync 2>/dev/null || true; journalctl "$@"', "--no-pager", "-o", "cat", *options)


def text(value):
    """journalctl writes a value with a control character in it as its bytes."""
    return bytes(value).decode() if isinstance(value, list) else value


class Service:
    """upstreamd in a box."""

    def __init__(self, box, upstream):
        self.box, self.upstream = box, upstream

    def config(self, user_agent="system-tests/1.0", drain_timeout="15s"):
        return f"""
[server]
drain_timeout = "{drain_timeout}"

[upstream.test]
base_url = "{self.upstream["base_url"]}"
keys = ["test"]
user_agent = "{user_agent}"
connect_timeout = "2s"

[upstream.test.tls]
ca_file = "/etc/upstreamd/ca.pem"
platform_roots = false

[client.test]
key = "client.test"
"""

    def reset(self):
        """As freshly installed and configured; the socket listens, the daemon does not run."""
        self.box.sh(
            """
            # The socket first, or a waiting connection starts the service again.
            systemctl stop upstreamd-upgrade.path upstreamd-upgrade.service
            systemctl stop upstreamd.socket upstreamd.service upstreamd@cover.service
            cd /etc/systemd/system
            rm -rf upstreamd.* upstreamd-admin.* upstreamd-upgrade.* system-upstreamd.slice.d /run/systemd/system/upstreamd@cover.service.d
            rm -rf /etc/upstreamd/upstreamd.toml /etc/upstreamd/keys/* /etc/upstreamd/keys.encrypted/* /etc/upstreamd/clients/*
            systemctl daemon-reload
            systemctl reset-failed
            """
        )
        self.since = self.box.sh("date '+%F %T.%6N'").strip()
        # It lies in a /tmp that the service does not see.
        self.box.sh('install -m 644 "$1" /etc/upstreamd/ca.pem', self.upstream["ca_file"])
        self.configure(self.config())
        self.key("test", UPSTREAM_KEY)
        self.key("client.test", CLIENT_KEY)
        self.systemctl("start", "upstreamd.socket", "upstreamd-upgrade.path")

    def configure(self, text):
        self.box.write("/etc/upstreamd/upstreamd.toml", text)

    def key(self, name, secret):
        self.box.write(f"/etc/upstreamd/keys/{name}", secret, 0o600)

    def drop_in(self, unit, text):
        self.box.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    def systemctl(self, *command):
        return self.box.sh('systemctl "$@"', *command)

    def show(self, name, unit="upstreamd.service"):
        return self.systemctl("show", "--value", "-p", name, unit).strip()

    def state(self):
        return self.show("ActiveState")

    def pid(self):
        """Of the daemon; 0 if there is none."""
        return int(self.show("MainPID"))

    def wait_for_state(self, wanted):
        wait_until(lambda: self.state() == wanted, f"state {wanted}")

    def records(self, *matches, unit="upstreamd.service"):
        """What is in the journal since the test began, each as its fields."""
        of_unit = ["-u", unit] if unit else []
        found = self.box.journal("-o", "json", "--all", "--since", self.since, *of_unit, *matches)
        return [{name: text(value) for name, value in json.loads(line).items()} for line in found.splitlines()]

    def ask(self, *, unix=False, words=None, stream=False, path="chat/completions", key=CLIENT_KEY, user=None, at=TCP):
        """A request by curl, as a running process; `unix` may be the path of another socket."""
        options = ["--unix-socket", UNIX if unix is True else unix] if unix else []
        options += ["-H", f"authorization: Bearer {key}"] if key else []
        if path == "chat/completions":
            body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
            if words:
                body["max_tokens"] = words
            options += ["-H", "content-type: application/json", "-d", json.dumps(body)]
        command = [
            *("curl", "-sSN", "-m", str(PATIENCE), "-w", "\n%{http_code}"), *options,
            f"http://{at}/v1/{path}",
        ]
        if user:
            command = ["runuser", "-u", user, "--", *command]
        return self.box.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def answer(self, **how):
        """Status and body of a request."""
        return answer_of(self.ask(**how))

    def is_served(self, **how):
        status, body = self.answer(**how)
        assert status == 200, body
        return True

    def seen(self):
        """The last request as the upstream saw it."""
        status, body = self.answer(path="__seen")
        assert status == 200, body
        return json.loads(body)["last"]


def answer_of(curl):
    """Status and body, once the request has ended; status 0 if no answer came."""
    out, err = curl.communicate(timeout=PATIENCE + 10)
    body, _, status = out.rpartition("\n")
    return int(status or 0), body or err
