"""Keys come as credentials, and nobody else sees them."""

import pytest

from boxes import CLIENT_KEY, UPSTREAM_KEY

CREDENTIALS = "/run/credentials/upstreamd.service"


def encrypt(service):
    """The upstream's key encrypted, in place of the plain one."""
    service.box.sh(
        """
        systemd-creds encrypt --with-key=host --name=enc_test - /etc/upstreamd/keys.encrypted/test
        rm /etc/upstreamd/keys/test
        """,
        input=UPSTREAM_KEY,
    )


@pytest.fixture(params=["plain", "encrypted"])
def form(request, service):
    if request.param == "encrypted":
        encrypt(service)
    return request.param


def test_a_key_in_a_directory_needs_no_unit_edit(service, form):
    # The loopback upstream answers 401 to any other key.
    assert service.is_served()


def test_an_encrypted_key_is_nowhere_on_the_disk(service):
    encrypt(service)
    found = service.box.run("grep", "-rF", UPSTREAM_KEY, "/etc", "/var")
    assert found.returncode == 1, found.stdout


def test_no_key_is_in_the_environment_or_the_arguments(service, form):
    assert service.is_served()
    texts = service.box.sh('cat "/proc/$1/environ" "/proc/$1/cmdline"; systemctl show upstreamd.service', str(service.pid()))
    assert "CREDENTIALS_DIRECTORY" in texts
    assert UPSTREAM_KEY not in texts and CLIENT_KEY not in texts


def test_no_key_is_in_the_journal(service, form):
    assert service.is_served()
    service.answer(key="sk-wrong")
    # Of the unit: runuser writes the arguments of a test's curl.
    values = [value for record in service.records() for value in record.values()]
    leaks = [value for value in values if UPSTREAM_KEY in value or CLIENT_KEY in value]
    assert {"request_completed", "request_failed"} <= set(values) and not leaks


@pytest.mark.parametrize("user", ["outsider", "member"])
def test_no_other_user_can_read_a_key(service, form, user):
    assert service.is_served()
    name = {"plain": "key_test", "encrypted": "enc_test"}[form]
    service.box.sh('test -s "$1"', f"{CREDENTIALS}/{name}")
    for path in [f"{CREDENTIALS}/{name}", "/etc/upstreamd/keys/client.test", f"/proc/{service.pid()}/environ"]:
        read = service.box.run("runuser", "-u", user, "--", "cat", path)
        assert read.returncode != 0 and "denied" in read.stderr, path


def test_no_core_holds_a_key(service):
    assert service.is_served()
    limits = service.box.sh('cat "/proc/$1/limits"', str(service.pid()))
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
