"""The image from scratch, as its archive has it, run in plain namespaces.

There is no engine here, neither Docker nor Podman, so this does by hand what one
would: the image's files as the root directory, read-only; a network, processes and
mounts of its own; the image's user, without a capability. What an engine reads
(HEALTHCHECK, compose.yaml) is compared with what was run, and not run itself.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from boxes import BUILT, PATIENCE, ROOT, UPSTREAM_KEY, wait_until
from conftest import PACKAGES

CLIENT_KEY = "sk-client-key-of-the-container"
CONTAINER = ROOT / "packaging" / "container"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """(what engines are told, the root directory)."""
    if not (archives := sorted(PACKAGES.glob("*-container.tar"), key=lambda file: file.stat().st_mtime)):
        pytest.skip("there is no image; `make container` makes it, with buildah")
    root = tmp_path_factory.mktemp("image")
    root.chmod(0o755)
    with tarfile.open(archives[-1]) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))["config"]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as files:
                files.extractall(root, filter="tar")
    return config, root


@pytest.fixture(scope="module")
def network():
    """A command that runs others in a network of their own."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    with holder:
        assert holder.stdout.readline() == "up\n"
        yield ["nsenter", f"--net=/proc/{holder.pid}/ns/net", "--"]
        holder.stdin.close()


@pytest.fixture(scope="module")
def upstream(network):
    with listening(*network, BUILT / "examples" / "loopback-upstream") as line:
        yield json.loads(line)


@pytest.fixture(scope="module")
def resolver(network):
    """Without it the upstream's name would not resolve: the image has no /etc/hosts."""
    with listening(*network, sys.executable, Path(__file__).with_name("resolver.py")) as line:
        yield line.strip()


class listening:
    """A process that says a line when it is ready, and ends with its input."""

    def __init__(self, *command):
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.process.stdout.readline()

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=PATIENCE)


class Container:
    def __init__(self, image, network, root):
        self.config, self.network, self.root = image[0], network, root
        self.process = self.start(*self.config["Entrypoint"])

    def start(self, *command):
        user, group = self.config["User"].split(":")
        inside = [
            *("setpriv", "--no-new-privs", "--clear-groups", "--inh-caps=-all"),
            *("env", "-i", *self.config["Env"]),
            # By its path: the PATH is the image's by now.
            *("/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--root", self.root, "--wd=/"),
            *(f"--setgid={group}", f"--setuid={user}", "--", *command),
        ]
        read_only = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
        return subprocess.Popen(
            [*self.network, "unshare", "--mount", "--ipc", "--uts", "sh", "-c", read_only, "sh", self.root, *inside],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def pid(self):
        """Of upstreamd, outside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        running = children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "upstreamd"
        return int(children[0]) if running else 0

    def health(self):
        """What the image's own probe exits with."""
        probe = self.config["Healthcheck"]["Test"]
        assert probe[0] == "CMD"
        process = self.start(*probe[1:])
        process.communicate(timeout=PATIENCE)
        return process.returncode

    def ask(self, key=CLIENT_KEY):
        command = [*self.network, "curl", "-sS", "-m", "20", "-w", "\n%{http_code}", "-H", f"authorization: Bearer {key}"]
        done = subprocess.run([*command, "http://127.0.0.1:4000/v1/models"], capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body or done.stderr


@pytest.fixture
def container(image, network, upstream, resolver, tmp_path):
    # The image, and what an engine mounts into it.
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", image[1], root], check=True)
    (root / "run/secrets").mkdir(parents=True)
    for name, secret in {"openai": UPSTREAM_KEY, "local": CLIENT_KEY}.items():
        (root / "run/secrets" / name).write_text(secret)
        os.chmod(root / "run/secrets" / name, 0o400)
        os.chown(root / "run/secrets" / name, 65532, 65532)
    (root / "etc/resolv.conf").write_text(f"nameserver {resolver}\n")
    config = (CONTAINER / "upstreamd.toml").read_text()
    (root / "etc/upstreamd/upstreamd.toml").write_text(config.replace("https://api.openai.com/v1", upstream["base_url"]))
    # In place of the public authorities; so it is from there that they are read.
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(Path(upstream["ca_file"]).read_bytes())
    container = Container(image, network, root)
    wait_until(lambda: container.pid() or container.process.poll() is not None, "the daemon")
    assert container.process.poll() is None, container.process.communicate()[0]
    yield container
    # Itself, for what started it is no longer allowed to end it with it.
    if container.process.poll() is None and (pid := container.pid()):
        os.kill(pid, 9)
    container.process.wait(timeout=PATIENCE)


def test_the_image_has_no_shell_and_no_library(image):
    files = {str(path.relative_to(image[1])) for path in image[1].rglob("*") if not path.is_dir()}
    assert files - {f"usr/share/licenses/upstreamd/{name}" for name in ("LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY")} == {
        "usr/bin/upstreamd", "etc/upstreamd/upstreamd.toml", "etc/ssl/certs/ca-certificates.crt",
        "etc/nsswitch.conf", "etc/passwd", "etc/group",
    }
    # No interpreter that would load libraries.
    segments = subprocess.run(["readelf", "--program-headers", image[1] / "usr/bin/upstreamd"], capture_output=True, text=True)
    assert "LOAD" in segments.stdout and "INTERP" not in segments.stdout


def test_it_resolves_names_trusts_authorities_and_serves(container):
    assert wait_until(lambda: container.ask()[0], "an answer") == 200
    assert container.ask(key="sk-guessed")[0] == 401


def test_it_runs_as_nobody_in_particular_and_can_do_nothing(container):
    status = Path(f"/proc/{container.pid()}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65532"] * 4 and fields["Gid"].split() == ["65532"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert fields["NoNewPrivs"] == "1"


def test_the_probe_says_whether_it_serves(container):
    wait_until(lambda: container.ask()[0], "an answer")
    assert container.health() == 0
    os.kill(container.pid(), 15)
    container.process.wait(timeout=PATIENCE)
    assert container.health() == 69


def test_it_stops_in_time_and_says_goodbye(container):
    wait_until(lambda: container.ask()[0], "an answer")
    os.kill(container.pid(), 15)
    out, _ = container.process.communicate(timeout=20)
    assert container.process.returncode == 0
    assert '"event":"stopped"' in out and UPSTREAM_KEY not in out and CLIENT_KEY not in out


def test_the_image_and_the_compose_file_agree(image):
    compose = (CONTAINER / "compose.yaml").read_text()
    config = image[0]
    assert config["User"] == "65532:65532" and list(config["ExposedPorts"]) == ["4000/tcp"]
    assert f"test: {json.dumps(config['Healthcheck']['Test'])}" in compose
    for name in ("openai", "local"):
        assert f"file: ./secrets/{name}" in compose and f'"{name}"' in (CONTAINER / "upstreamd.toml").read_text()
    for setting in ("read_only: true", "cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]'):
        assert setting in compose
