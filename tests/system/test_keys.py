"""upstreamd key: a key comes to the service without a unit edit, and without being shown."""

import os
import pty
import termios

import pytest

from boxes import BOX, UPSTREAM_KEY, wait_until

ENCRYPTED = "/etc/upstreamd/keys.encrypted/test"
PLAIN = "/etc/upstreamd/keys/test"


def key(service, *words, **options):
    return service.box.run("upstreamd", "key", *words, **options)


@pytest.fixture
def keyless(service):
    """Without the upstream's key."""
    service.box.sh("rm /etc/upstreamd/keys/test")
    return service


def test_a_key_from_standard_input_is_encrypted_and_used(keyless):
    done = key(keyless, "set", "test", input=UPSTREAM_KEY + "\n")
    assert done.returncode == 0, done.stderr
    assert ENCRYPTED in done.stdout and "its next start takes it up" in done.stdout
    assert UPSTREAM_KEY not in done.stdout + done.stderr
    assert keyless.box.run("grep", "-rF", UPSTREAM_KEY, "/etc", "/var").returncode == 1
    # The loopback upstream answers 401 to any other key.
    assert keyless.is_served()


def test_a_plain_key_is_used_too(keyless):
    key(keyless, "set", "test", input="sk-another-key")
    done = key(keyless, "set", "test", "--plain", input=UPSTREAM_KEY)
    assert done.returncode == 0, done.stderr
    assert keyless.box.run("test", "-e", ENCRYPTED).returncode == 1
    assert keyless.box.sh('stat -c "%a %U" "$1"', PLAIN).split() == ["600", "root"]
    assert keyless.is_served()


def test_where_nothing_can_encrypt_the_key_is_stored_as_it_is_and_that_is_said(keyless):
    done = keyless.box.run("env", "PATH=/nowhere", "/usr/bin/upstreamd", "key", "set", "test", input=UPSTREAM_KEY)
    assert done.returncode == 0, done.stderr
    assert "can't be encrypted here: there is no systemd-creds" in done.stdout
    assert keyless.is_served()


def test_a_key_that_is_typed_is_not_shown(keyless):
    child, terminal = pty.fork()
    if child == 0:
        os.execv(BOX, [str(BOX), "exec", keyless.box.name, "upstreamd", "key", "set", "test"])
    shown = b""
    while b"(it is not shown): " not in shown:
        shown += os.read(terminal, 1024)
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "a terminal without echo")
    os.write(terminal, UPSTREAM_KEY.encode() + b"\n")
    try:
        while more := os.read(terminal, 1024):
            shown += more
    except OSError:
        pass  # how a terminal says that its last process has gone
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert UPSTREAM_KEY.encode() not in shown
    assert keyless.is_served()


def test_the_list_shows_how_keys_are_stored_and_who_uses_them(keyless):
    key(keyless, "set", "test", input=UPSTREAM_KEY)
    listed = key(keyless, "list").stdout
    assert ["test", "encrypted", "upstream.test"] in [line.split() for line in listed.splitlines()]
    assert ["client.test", "plain", "client.test"] in [line.split() for line in listed.splitlines()]


def test_a_removed_key_is_gone_in_every_form(keyless):
    key(keyless, "set", "test", input=UPSTREAM_KEY)
    done = key(keyless, "remove", "test")
    assert done.returncode == 0 and "upstream.test still names it" in done.stdout, done.stderr
    assert keyless.box.run("ls", PLAIN, ENCRYPTED).returncode == 2


def test_only_root_stores_keys(service):
    done = service.box.run("runuser", "-u", "member", "--", "upstreamd", "key", "set", "test", input="sk-theirs")
    assert done.returncode == 69 and "as root" in done.stderr, done.stderr
    assert service.is_served()
