"""The .rpm through its life. This is no Fedora: it is rpm 4.18 and 4.20 on Debian's
files, so dependencies are not looked at, and what Fedora's own triggers would add is
not there. Shown is what the package's own scripts do, under systemd 252 and 257.
"""

import pytest

from boxes import answer_of, wait_until

# A directory that a package of Fedora's has, and none of Debian's.
FEDORAS = {"/usr/share/licenses"}


@pytest.fixture
def rpm(machine):
    def rpm(*command):
        return machine.box.sh('rpm $force "$@" 2>&1'.replace("$force", force), *command)

    # Debian 12 wants to be asked twice.
    force = "--force-debian" if machine.box.systemd == 252 else ""

    # An empty data base, and the test's alone.
    machine.box.sh("rpm --initdb")
    yield rpm
    machine.box.sh(f"! rpm -q upstreamd || rpm {force} -e upstreamd")
    machine.box.sh("rm -rf /etc/upstreamd; ! getent passwd upstreamd || userdel upstreamd; systemctl reset-failed")


@pytest.fixture
def installed(machine, rpm, rpms):
    rpm("-i", "--nodeps", rpms[0])
    machine.configure()
    # A preset of Debian enables what Fedora's leaves alone.
    machine.service.systemctl("enable", "--now", "upstreamd.socket")
    return machine


def test_an_installation_starts_nothing(machine, rpm, rpms):
    rpm("-i", "--nodeps", rpms[0])
    assert machine.active() == set()
    assert rpm("-q", "upstreamd").startswith("upstreamd-0.1.0")
    key = machine.box.sh("stat -c '%a %U %G' /etc/upstreamd/clients/local")
    assert key.strip() == "640 root upstreamd"


def test_a_preset_decides_what_is_enabled(machine, rpm, rpms):
    machine.box.write("/etc/systemd/system-preset/00-fedora.preset", "disable *\n")
    try:
        rpm("-i", "--nodeps", rpms[0])
        assert machine.box.run("systemctl", "is-enabled", "upstreamd.socket").stdout.strip() == "disabled"
    finally:
        machine.box.sh("rm /etc/systemd/system-preset/00-fedora.preset")


def test_the_files_are_those_of_the_package(installed, rpm):
    # "c": the configuration, which was changed by hand.
    changed = installed.box.run("rpm", "-V", "--nodeps", "upstreamd").stdout.splitlines()
    assert [line.split()[1:] for line in changed] == [["c", "/etc/upstreamd/upstreamd.toml"]]


def test_the_first_request_is_served(installed):
    assert installed.service.is_served()


def test_another_version_keeps_the_sockets_and_replaces_the_daemon(installed, rpm, rpms):
    assert installed.service.is_served()
    pid, sockets = installed.service.pid(), installed.sockets()
    stream = installed.service.ask(stream=True, words=100)
    assert stream.stdout.readline()
    rpm("-U", "--nodeps", rpms[1])
    assert stream.poll() is None
    assert "[DONE]" in answer_of(stream)[1]
    wait_until(lambda: installed.service.pid() not in (0, pid) and installed.service.state() == "active", "the new daemon")
    assert installed.sockets() == sockets
    assert installed.service.is_served()


def test_a_configuration_changed_by_hand_is_kept(installed, rpm, rpms):
    before = installed.box.sh("cat /etc/upstreamd/upstreamd.toml; ls -l /etc/upstreamd/keys; cat /etc/upstreamd/clients/local")
    rpm("-U", "--nodeps", rpms[1])
    rpm("-U", "--nodeps", "--oldpackage", rpms[0])
    assert installed.box.sh("cat /etc/upstreamd/upstreamd.toml; ls -l /etc/upstreamd/keys; cat /etc/upstreamd/clients/local") == before
    assert installed.service.is_served()


def test_a_removal_stops_everything_and_leaves_the_keys(machine, rpm, rpms):
    before = machine.paths()
    rpm("-i", "--nodeps", rpms[0])
    machine.configure()
    machine.service.systemctl("start", "upstreamd.socket")
    assert machine.service.is_served()
    rpm("-e", "upstreamd")
    assert machine.active() == set()
    assert machine.service.answer()[0] == 0
    left = machine.paths() - before - FEDORAS
    # The user, and what was changed.
    outside = {path for path in left if not path.startswith("/etc/upstreamd")}
    assert {line.split(":")[0] for line in outside} == {"upstreamd"}
    assert {"/etc/upstreamd/upstreamd.toml.rpmsave", "/etc/upstreamd/keys/test", "/etc/upstreamd/clients/local"} <= left
