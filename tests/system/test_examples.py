"""systemd/examples/: each does what it says, as its first lines say."""

import json
import re

import pytest

from boxes import ROOT, UNIX, wait_until
from conftest import loopback_upstream

EXAMPLES = ROOT / "systemd" / "examples"
CLIENTS = "/etc/upstreamd/clients"
# The documentation's network of several-hosts, and an address that is not in it.
SERVER, FRIEND, STRANGER = "192.0.2.10", "192.0.2.21", "198.51.100.21"


def commands(file):
    """The commands of its first lines, without those that need a network."""
    lines = (EXAMPLES / file).read_text().splitlines()
    found = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    return "\n".join(line for line in found if "pip install" not in line)


def follow(service, directory, file):
    """What its first lines say, done in its directory."""
    service.box.sh(f"cd {EXAMPLES / directory}\n" + commands(f"{directory}/{file}"))


def event_of(service, client):
    """The last event of a request of `client`."""
    events = service.box.journal("-u", "upstreamd.service", "--since", service.since).splitlines()
    events = [json.loads(line) for line in events if line.startswith("{")]
    return next((event for event in reversed(events) if event.get("client") == client), None)


def key(service, client):
    return service.box.sh('cat "$1"', f"{CLIENTS}/{client}")


def test_every_unit_of_the_examples_verifies(service):
    service.box.write("/opt/litellm/bin/litellm", "#!/bin/sh\n", 0o755)
    units = [*EXAMPLES.glob("*/*.service"), *EXAMPLES.glob("*/*.socket")]
    assert len(units) >= 2
    verified = service.box.run("systemd-analyze", "verify", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    # Drop-ins with the unit that they are for.
    for drop_in in EXAMPLES.glob("*/*.d/*.conf"):
        service.drop_in(drop_in.parent.name.removesuffix(".d"), drop_in.read_text())
    verified = service.box.run("systemd-analyze", "verify", "upstreamd.service", "upstreamd.socket")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@pytest.fixture
def litellm(service):
    """A stand-in for LiteLLM, which asks once through upstreamd, and once elsewhere."""
    service.configure(service.config() + '\n[log]\nformat = "json"\n')
    stand_in = """#!/bin/sh
    cd "$HOME"
    id -u >user
    ask() { curl -sS -m 5 -o "$2" -w '%{http_code}' -H "authorization: Bearer $UPSTREAMD_KEY" "$1" >"$2.status"; }
    ask http://127.0.0.1:4000/v1/models inside
    ask http://192.0.2.10:4000/v1/models outside
    cat /etc/upstreamd/clients/litellm >key 2>/dev/null
    echo "$LITELLM_MASTER_KEY" >master
    echo "$@" >arguments
    sleep 1000
    """
    service.box.write("/opt/litellm/bin/litellm", stand_in, 0o755)
    # Elsewhere, as far as the filter of addresses is concerned.
    service.box.sh(f"ip address add {SERVER}/24 dev lo")
    service.drop_in("upstreamd.socket", f"[Socket]\nListenStream={SERVER}:4000\n")
    service.systemctl("restart", "upstreamd.socket")
    service.systemctl("start", "upstreamd.service")
    yield service
    service.box.sh(
        f"""
        systemctl disable --now litellm
        rm -r /etc/systemd/system/litellm.service /opt/litellm /etc/litellm
        ip address del {SERVER}/24 dev lo
        """
    )


def test_litellm_reaches_upstreamd_with_a_key_of_its_own_and_nothing_else(litellm):
    follow(litellm, "litellm", "litellm.service")
    home = "/var/cache/litellm"
    wait_until(lambda: litellm.box.run("test", "-e", f"{home}/arguments").returncode == 0, "the stand-in's requests")

    def wrote(name):
        return litellm.box.sh(f"cat {home}/{name}").strip()

    assert (wrote("inside.status"), wrote("outside.status")) == ("200", "000")
    wait_until(lambda: event_of(litellm, "litellm"), "its event")
    # A dynamic user (systemd.exec(5)).
    assert 61184 <= int(wrote("user")) <= 65519
    # Nor can it read the file that its key came from.
    assert wrote("key") == ""
    # What its own users need.
    assert wrote("master") == litellm.box.sh("cat /etc/litellm/master").strip() and len(wrote("master")) == 67
    assert litellm.box.run("runuser", "-u", "member", "--", "cat", "/etc/litellm/master").returncode != 0
    assert wrote("arguments").startswith("--config /etc/litellm/config.yaml ")
    config = litellm.box.sh("cat /etc/litellm/config.yaml")
    assert "api_base: http://127.0.0.1:4000/v1\n" in config and "api_key: os.environ/UPSTREAMD_KEY\n" in config
    assert "master_key: os.environ/LITELLM_MASTER_KEY\n" in config
    litellm.box.sh("systemd-analyze security --no-pager --threshold=25 litellm.service")


def test_a_service_that_joins_the_group_uses_the_unix_socket_without_a_key(service):
    service.configure(service.config() + '\n[listener.upstreamd]\nrequire_key = "tcp"\n')
    curl = ("curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "--unix-socket", UNIX, "http://localhost/v1/models")
    run = ("systemd-run", "--quiet", "--pipe", "--wait", "-p", "DynamicUser=yes")
    asked = service.box.run(*run, "-p", "SupplementaryGroups=upstreamd", *curl)
    assert asked.stdout == "200", asked.stderr
    assert service.box.run(*run, *curl).stdout == "000"


@pytest.fixture
def ci_socket(service):
    service.configure(service.config() + '\n[log]\nformat = "json"\n')
    assert service.is_served()
    follow(service, "socket-for-a-group", "upstreamd-ci.socket")
    yield service
    service.systemctl("disable", "--now", "upstreamd-ci.socket")
    service.systemctl("stop", "upstreamd.socket", "upstreamd.service")
    service.box.sh("rm /etc/systemd/system/upstreamd-ci.socket; systemctl daemon-reload")


def test_a_socket_for_a_group_is_open_to_that_group_alone(ci_socket):
    at = "/run/upstreamd/ci.sock"
    assert ci_socket.is_served(unix=at, user="builder", key=None)
    assert ci_socket.answer(unix=at, user="member", key=None)[0] == 0
    # The other sockets are as before.
    assert ci_socket.answer(unix=True, user="builder", key=None)[0] == 401
    journal = ci_socket.box.journal("-u", "upstreamd.service", "--since", ci_socket.since)
    assert '"listener":"ci"' in journal


def test_the_socket_for_a_group_is_the_one_of_the_manual():
    page = (ROOT / "man" / "upstreamd.8").read_text()
    unit = re.search(r"^\[Socket\]$.*?^WantedBy=sockets.target$", page, re.MULTILINE | re.DOTALL).group()
    example = (EXAMPLES / "socket-for-a-group" / "upstreamd-ci.socket").read_text().splitlines()
    assert {line for line in unit.splitlines() if line} <= set(example)


@pytest.fixture
def mutual(box, service):
    """Before an upstream that asks for a certificate, configured as the example says."""
    with loopback_upstream(box, "mutual") as upstream:
        example = (EXAMPLES / "mutual-tls" / "upstreamd.toml").read_text()
        real = re.search(r'^base_url = "(.*)"$', example, re.MULTILINE)[1]
        # The loopback upstream wants a key as well.
        example = example.replace(real, upstream["base_url"]).replace("keys = []", 'keys = ["test"]')
        service.configure(example.replace('key = "local"', 'key = "client.test"'))
        box.sh('mkdir -p /root/tls; cd /root/tls; cp "$1" ca.pem; cp "$2" client.pem; cp "$3" client.key', upstream["ca_file"], *upstream["clients"][0].values())
        service.systemctl("start", "upstreamd.socket")
        yield service, upstream
        box.sh("rm -r /etc/upstreamd/tls /root/tls")


def test_mutual_tls_shows_the_certificate_and_renews_it_by_a_reload(mutual):
    service, upstream = mutual
    service.box.sh("cd /root/tls\n" + commands("mutual-tls/upstreamd.toml").replace("systemctl reload upstreamd", "systemctl start upstreamd"))
    assert service.is_served() and service.is_served(unix=True, key=None, user="member")
    read = service.box.run("runuser", "-u", "member", "--", "cat", "/etc/upstreamd/tls/client.key")
    assert read.returncode != 0 and "denied" in read.stderr
    # A certificate that does not go with the key is not taken into use.
    other = upstream["clients"][1]
    service.box.sh('cat "$1" >/etc/upstreamd/tls/client.pem', other["cert"])
    assert service.box.run("systemctl", "reload", "upstreamd").returncode != 0
    assert service.is_served()
    service.box.sh('cat "$1" >/etc/upstreamd/tls/client.key; systemctl reload upstreamd', other["key"])
    assert service.is_served()


def test_without_the_certificate_the_upstream_of_mutual_tls_refuses(mutual):
    service, _ = mutual
    service.box.sh("install -D -m 644 /root/tls/ca.pem /etc/upstreamd/tls/ca.pem; sed -i /^client_/d /etc/upstreamd/upstreamd.toml")
    status, body = service.answer()
    assert status == 502 and "upstream_tls_error" in body


@pytest.fixture
def hosts(service):
    """A network with a host in it, which has an address of another network too."""
    service.box.sh(
        f"""
        ip netns add friend
        ip link add to-friend type veth peer name eth0 netns friend
        ip address add {SERVER}/24 dev to-friend
        ip address add 198.51.100.1/24 dev to-friend
        ip link set to-friend up
        ip -n friend address add {FRIEND}/24 dev eth0
        ip -n friend address add {STRANGER}/24 dev eth0
        ip -n friend link set eth0 up
        """
    )
    service.configure(service.config() + '\n[log]\nformat = "json"\n')
    follow(service, "several-hosts", "upstreamd.socket.d/several-hosts.conf")
    yield service
    service.systemctl("stop", "upstreamd.socket")
    service.box.sh("ip link del to-friend; ip netns del friend")


def ask_from(service, address, key, seconds=60):
    """The status of a request from the other host; 000 if none comes."""
    curl = ("curl", "-s", "-m", str(seconds), "-o", "/dev/null", "-w", "%{http_code}", "--interface", address)
    asked = service.box.run("ip", "netns", "exec", "friend", *curl, "-H", f"authorization: Bearer {key}", f"http://{SERVER}:4000/v1/models")
    return asked.stdout


def test_several_hosts_come_in_with_a_key_each_from_their_network_alone(hosts):
    keys = [key(hosts, name) for name in ("build-1", "build-2")]
    assert len(set(keys)) == 2
    for own in keys:
        assert ask_from(hosts, FRIEND, own) == "200"
    for name in ("build-1", "build-2"):
        wait_until(lambda: event_of(hosts, name), "its event")
        assert event_of(hosts, name)["remote"].startswith(FRIEND)
    assert ask_from(hosts, FRIEND, "sk-guessed") == "401"
    assert hosts.is_served()
    # Its packets are dropped; it is the filter that does so.
    assert ask_from(hosts, STRANGER, keys[0], seconds=2) == "000"
    hosts.box.sh("sed -i /^IPAddress/d /etc/systemd/system/upstreamd.socket.d/several-hosts.conf; systemctl daemon-reload; systemctl restart upstreamd.socket")
    assert ask_from(hosts, STRANGER, keys[0]) == "200"
