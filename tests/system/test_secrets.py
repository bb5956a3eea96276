"""Keys come as credentials, and nobody else sees them."""

import pytest

from boxes import CLIENT_KEY, UPSTREAM_KEY, wait_until

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


# As if nothing but the daemon itself kept it.
OPEN = """
[Service]
LimitCORE=infinity
PrivateUsers=no
ProtectProc=default
WorkingDirectory=/var/lib/cores
ReadWritePaths=/var/lib/cores
"""


@pytest.fixture
def opened(service):
    """The service without what a unit does against looking into it, and a
    directory in which it could leave a core."""
    service.box.sh("rm -rf /var/lib/cores; install -d -o upstreamd /var/lib/cores")
    service.drop_in("upstreamd.service", OPEN)
    assert service.is_served()
    return service


@pytest.fixture
def other(opened):
    """The id of another process of the same user, started in the same way."""
    opened.box.sh(
        """
        systemd-run -q --unit=other -p User=upstreamd -p LimitCORE=infinity \
            -p WorkingDirectory=/var/lib/cores sleep infinity
        """
    )
    yield opened.show("MainPID", "other.service")
    opened.box.sh("systemctl stop other.service; systemctl reset-failed other.service 2>/dev/null || true")


@pytest.mark.parametrize("file", ["mem", "environ", "maps"])
def test_no_process_of_the_same_user_can_read_its_memory(opened, other, file):
    def read(pid):
        return opened.box.run("runuser", "-u", "upstreamd", "--", "head", "-c", "1", f"/proc/{pid}/{file}").stderr

    assert "Permission denied" in read(opened.pid())
    # Of another one it can, as far as there is something to read.
    assert "Permission denied" not in read(other)


def test_no_core_is_written_whatever_the_limit(opened, other):
    limits = opened.box.sh('cat "/proc/$1/limits"', str(opened.pid()))
    assert "Max core file size        unlimited" in limits
    opened.systemctl("kill", "--signal=ABRT", "other.service")
    wait_until(lambda: opened.show("ActiveState", "other.service") != "active", "the end of the other")
    if not cores(opened):
        pytest.skip("cores go elsewhere on this machine (kernel.core_pattern)")
    opened.box.sh("rm /var/lib/cores/*")
    before = opened.pid()
    opened.systemctl("kill", "--kill-whom=main", "--signal=ABRT", "upstreamd.service")
    assert opened.is_served()
    assert opened.pid() != before
    assert not cores(opened)


def cores(service):
    return service.box.sh("ls /var/lib/cores").split()


def test_the_unit_allows_no_core_either(service):
    assert service.is_served()
    limits = service.box.sh('cat "/proc/$1/limits"', str(service.pid()))
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
