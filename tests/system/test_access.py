"""Who of this host may come in."""

import json
import re

import pytest

from boxes import ROOT, UPSTREAM_KEY, wait_until

LOCAL_KEY = "sk-local-key-that-the-package-made"
LOCAL_KEY_FILE = "/etc/upstreamd/clients/local"
NOT_CONFIGURED = "upstreamd key set openai"
CI_SOCKET = "/run/upstreamd/ci.sock"


@pytest.fixture
def installed(service):
    """As the package leaves it, but for where the upstream is; it has no key yet."""
    shipped = (ROOT / "packaging" / "upstreamd.toml").read_text()
    real = 'base_url = "https://api.openai.com/v1"'
    assert real in shipped
    tls = 'tls = { ca_file = "/etc/upstreamd/ca.pem", platform_roots = false }'
    service.configure(shipped.replace(real, f'base_url = "{service.upstream["base_url"]}"\n{tls}'))
    service.box.sh("rm -f /etc/upstreamd/keys/*")
    service.box.write(LOCAL_KEY_FILE, LOCAL_KEY + "\n", 0o640)
    service.box.sh('chgrp upstreamd "$1"', LOCAL_KEY_FILE)
    return service


@pytest.fixture
def configured(installed):
    installed.key("openai", UPSTREAM_KEY)
    return installed


@pytest.fixture
def peers(service):
    """Users are seen by their numbers: as shipped from 257 on, else as the manual says."""
    if service.box.systemd < 257:
        service.drop_in("upstreamd.service", "[Service]\nPrivateUsers=no\n")
    return service


def remote_of(service, client):
    """Where the last request of `client` came from, by its event."""
    events = service.records(f"UPSTREAMD_CLIENT={client}")
    return events[-1]["UPSTREAMD_REMOTE"] if events else None


def test_as_installed_members_of_the_group_need_no_key_and_others_are_kept_out(configured):
    status, message = configured.answer(unix=True, user="outsider", key=LOCAL_KEY)
    assert status == 0, message
    # Not even start the service with it.
    assert configured.state() == "inactive"
    assert configured.is_served(unix=True, user="member", key=None)
    # SDKs send some key always.
    assert configured.is_served(unix=True, user="member", key="sk-any")


def test_as_installed_tcp_needs_the_client_key_that_only_the_group_can_read(configured):
    for key in (None, "sk-guessed"):
        assert configured.answer(user="member", key=key)[0] == 401
    read = configured.box.run("runuser", "-u", "outsider", "--", "cat", LOCAL_KEY_FILE)
    assert read.returncode != 0 and "denied" in read.stderr
    read = configured.box.run("runuser", "-u", "member", "--", "cat", LOCAL_KEY_FILE)
    assert configured.is_served(user="member", key=read.stdout.strip())


def test_before_it_has_a_key_it_says_what_to_run_and_does_not_crash(installed):
    status, body = installed.answer(user="outsider", key="sk-guessed")
    assert status == 401
    pid = installed.pid()
    for way in [{"unix": True, "user": "member", "key": None}, {"key": LOCAL_KEY}]:
        status, body = installed.answer(**way)
        assert status == 503, body
        error = json.loads(body)["error"]
        assert error["code"] == "not_configured" and NOT_CONFIGURED in error["message"]
    assert installed.box.sh("curl -sS -m 60 http://127.0.0.1:4000/health") == '{"status":"ok"}\n'
    assert NOT_CONFIGURED in installed.show("StatusText")
    assert NOT_CONFIGURED in installed.box.journal("-u", "upstreamd.service")
    assert (installed.state(), installed.pid(), installed.show("NRestarts")) == ("active", pid, "0")

    reloaded = installed.box.run("systemctl", "reload", "upstreamd.service")
    assert reloaded.returncode != 0
    wait_until(lambda: NOT_CONFIGURED in installed.show("StatusText"), "the status")

    installed.key("openai", UPSTREAM_KEY)
    installed.systemctl("restart", "upstreamd.service")
    assert installed.is_served(key=LOCAL_KEY)
    assert "not configured" not in installed.show("StatusText")


def test_a_check_by_hand_counts_a_key_that_only_systemd_can_read_as_right(installed):
    assert installed.box.run("upstreamd", "check").returncode == 78
    installed.box.sh("systemd-creds encrypt --with-key=host --name=enc_openai - /etc/upstreamd/keys.encrypted/openai", input=UPSTREAM_KEY)
    checked = installed.box.run("upstreamd", "check")
    assert checked.returncode == 0 and checked.stdout.strip().endswith("only systemd can look at it: openai"), checked.stderr
    assert installed.is_served(key=LOCAL_KEY)


def test_over_tcp_every_user_needs_a_client_key(service):
    assert service.answer(user="outsider", key="sk-guessed")[0] == 401
    assert service.is_served(user="outsider")


@pytest.mark.parametrize("known_by", ['user = "builder"', 'group = "ci"', "uid = {uid}", "gid = {gid}", "gid = {primary}"])
def test_a_client_is_known_by_user_and_group_on_the_unix_socket(peers, known_by):
    uid, primary, gid = peers.box.sh("id -u builder; id -g builder; getent group ci | cut -d: -f3").split()
    known_by = known_by.format(uid=uid, gid=gid, primary=primary)
    peers.configure(peers.config() + f'\n[client.builders]\n{known_by}\n')
    assert peers.is_served(unix=True, user="builder", key=None)
    wait_until(lambda: remote_of(peers, "builders"), "its event")
    assert re.fullmatch(f"unix:{uid}/[0-9]+", remote_of(peers, "builders"))
    assert peers.answer(unix=True, user="member", key=None)[0] == 401
    assert peers.answer(user="builder", key=None)[0] == 401


def test_who_joins_a_group_comes_in_after_a_reload(peers):
    peers.configure(peers.config() + '\n[client.builders]\ngroup = "ci"\n')
    try:
        assert peers.answer(unix=True, user="member", key=None)[0] == 401
        peers.box.sh("usermod -aG ci member")
        assert peers.answer(unix=True, user="member", key=None)[0] == 401
        peers.systemctl("reload", "upstreamd.service")
        assert peers.is_served(unix=True, user="member", key=None)
    finally:
        peers.box.sh("gpasswd -d member ci")


def test_a_client_more_is_a_file_and_a_reload_as_the_manual_says(configured):
    page = (ROOT / "man" / "upstreamd.8").read_text()
    commands = re.search(r"^cd /etc/upstreamd/clients$.*?^systemctl reload upstreamd$", page, re.MULTILINE | re.DOTALL).group()
    assert configured.is_served(key=LOCAL_KEY)
    shipped = configured.box.sh("cat /etc/upstreamd/upstreamd.toml")
    configured.configure(shipped + '\n[client.litellm]\nkey = "litellm"\n')
    configured.box.sh(commands.replace(r"\e", "\\"))
    key = configured.box.sh("runuser -u member -- cat /etc/upstreamd/clients/litellm")
    assert len(key) == 64
    assert configured.is_served(key=key)
    assert configured.is_served(key=LOCAL_KEY)


@pytest.mark.parametrize("mode, said", [(0o600, "can't read"), (0o644, "is open to other users")])
def test_a_client_key_that_too_few_or_too_many_can_read_fails_the_start(configured, mode, said):
    configured.box.sh('chmod "$1" "$2"', f"{mode:o}", LOCAL_KEY_FILE)
    assert configured.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    assert said in configured.box.journal("-u", "upstreamd.service")


def test_a_user_that_is_not_there_fails_the_start_with_its_place(service):
    service.configure(service.config() + '\n[client.builders]\nuser = "nobody-here"\n')
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    journal = service.box.journal("-u", "upstreamd.service")
    assert 'client.builders.user: found "nobody-here"' in journal and "upstreamd.toml:" in journal


def test_users_that_the_daemon_cannot_see_are_nobody(service):
    if service.box.systemd >= 257:
        pytest.skip("from 257 on, users keep their numbers")
    service.configure(service.config() + '\n[client.builders]\nuser = "builder"\ngroup = "ci"\n')
    status, body = service.answer(unix=True, user="builder", key=None)
    assert status == 401 and "(65534," in body
    # Nor can anybody be made to be known by that number.
    service.configure(service.config() + "\n[client.builders]\nuid = 65534\n")
    checked = service.box.run("upstreamd", "check")
    assert checked.returncode == 78 and "PrivateUsers=" in checked.stderr


@pytest.fixture
def ci_socket(service):
    """The unit of the manual, for the group ci."""
    page = (ROOT / "man" / "upstreamd.8").read_text()
    unit = re.search(r"^\[Socket\]$.*?^WantedBy=sockets.target$", page, re.MULTILINE | re.DOTALL).group()
    service.box.write("/etc/systemd/system/upstreamd-ci.socket", unit + "\n")
    service.systemctl("daemon-reload")
    yield service
    service.box.sh(
        """
        systemctl disable --now upstreamd-ci.socket
        systemctl stop upstreamd.socket upstreamd.service
        rm /etc/systemd/system/upstreamd-ci.socket
        """
    )


def test_a_socket_of_its_own_name_has_its_own_rules(ci_socket):
    service = ci_socket
    service.configure(service.config() + '\n[listener.ci]\nrequire_key = "never"\n')
    service.systemctl("enable", "--now", "upstreamd-ci.socket")
    # Each of the sockets starts the service, with all of them.
    assert service.is_served(unix=CI_SOCKET, user="builder", key=None)
    assert "on 3 sockets" in service.show("StatusText")
    status, message = service.answer(unix=CI_SOCKET, user="member", key=None)
    assert status == 0, message
    assert service.answer(unix=True, user="builder", key=None)[0] == 401
    assert service.answer(user="builder", key=None)[0] == 401
    # The rule is read again.
    service.configure(service.config() + '\n[listener.ci]\nrequire_key = "always"\n')
    service.systemctl("reload", "upstreamd.service")
    assert service.answer(unix=CI_SOCKET, user="builder", key=None)[0] == 401


def test_a_socket_that_the_configuration_does_not_know_is_refused_by_name(ci_socket):
    service = ci_socket
    service.systemctl("enable", "--now", "upstreamd-ci.socket")
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    journal = service.box.journal("-u", "upstreamd.service")
    assert 'the socket "ci"' in journal and "[listener.NAME]" in journal


def test_a_socket_that_comes_later_is_opened_as_the_manual_says(ci_socket):
    service = ci_socket
    service.configure(service.config() + '\n[listener.ci]\nrequire_key = "never"\n')
    assert service.is_served()
    refused = service.box.run("systemctl", "start", "upstreamd-ci.socket")
    assert refused.returncode != 0
    service.box.sh(
        """
        systemctl stop upstreamd.service
        systemctl enable --now upstreamd-ci.socket
        systemctl start upstreamd.service
        """
    )
    assert service.is_served(unix=CI_SOCKET, user="builder", key=None)


def test_the_service_runs_as_its_own_user_without_capabilities(service):
    assert service.is_served()
    pid = str(service.pid())
    assert service.box.sh('ps -o user:20=,group:20= -p "$1"', pid).split() == ["upstreamd", "upstreamd"]
    status = service.box.sh('grep ^Cap "/proc/$1/status"', pid)
    assert {line.split()[1] for line in status.splitlines()} == {"0" * 16}


def test_the_admin_socket_is_for_members_of_the_group(service):
    assert service.is_served()
    for user, exit_code in [("outsider", 69), ("member", 0)]:
        asked = service.box.run("runuser", "-u", user, "--", "upstreamd", "reload")
        assert asked.returncode == exit_code, asked.stderr
