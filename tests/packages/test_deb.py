"""The .deb through its life, on Debian 12 and 13."""

import pytest

from boxes import UPSTREAM_KEY, answer_of, wait_until


def test_an_installation_opens_the_port_and_starts_nothing_else(machine, debs):
    machine.install(debs[0])
    assert machine.service.state() == "inactive"
    assert machine.active() == {"upstreamd.socket", "upstreamd-admin.socket", "upstreamd-upgrade.path"}
    for unit in machine.active():
        assert machine.box.run("systemctl", "is-enabled", unit).stdout.strip() == "enabled"


def test_right_after_the_installation_a_request_is_told_what_to_do(machine, debs):
    machine.install(debs[0])
    assert machine.service.answer()[0] == 401
    machine.box.sh("usermod -aG upstreamd member")
    status, body = machine.service.answer(unix=True, user="member", key="none")
    assert status == 503 and "not_configured" in body and "upstreamd key set openai" in body
    assert machine.service.state() == "active"


def test_what_the_configuration_says_to_do_leads_to_the_first_answer(machine, debs):
    machine.install(debs[0])
    # A key, as its first lines say; and the upstream of the tests in place of OpenAI's.
    machine.box.sh("upstreamd key set openai", input=UPSTREAM_KEY)
    machine.box.sh(
        """
        install -m 644 "$1" /etc/upstreamd/ca.pem
        sed -i "s|^base_url = .*|base_url = \\"$2\\"|" /etc/upstreamd/upstreamd.toml
        printf '[upstream.openai.tls]\nca_file = "ca.pem"\n' >>/etc/upstreamd/upstreamd.toml
        usermod -aG upstreamd member
        """,
        machine.service.upstream["ca_file"], machine.service.upstream["base_url"],
    )
    local = machine.box.sh("cat /etc/upstreamd/clients/local").strip()
    assert machine.service.is_served(key=local, user="outsider")
    assert machine.service.is_served(unix=True, key="none", user="member")
    assert machine.service.answer(key="sk-guessed")[0] == 401


def test_a_reload_works(machine, debs):
    machine.install_configured(debs[0])
    assert machine.service.is_served()
    machine.service.systemctl("reload", "upstreamd.service")
    assert machine.service.is_served()


def test_the_journal_can_explain_the_records_until_the_package_goes(machine, debs):
    def explained():
        return "upstreamd" in machine.box.sh("journalctl --no-pager --list-catalog")

    machine.install(debs[0])
    assert explained()
    machine.apt("remove", "upstreamd")
    assert not explained()


def test_the_files_are_those_of_the_package(machine, debs):
    machine.install(debs[0])
    assert machine.box.sh("dpkg --verify upstreamd") == ""


def test_the_units_have_what_this_systemd_can_do(machine, debs):
    machine.install(debs[0])
    machine.service.drop_in("upstreamd.service", "[Service]\nNice=1\n")
    for unit in ("upstreamd.service", "upstreamd@cover.service"):
        drop_ins = machine.service.show("DropInPaths", unit).split()
        assert len(drop_ins) == 1 + {252: 0, 257: 2}[machine.box.systemd]
        # The cover has the administrator's too.
        assert machine.service.show("Nice", unit) == "1"
    # An older systemd complains of what it does not know.
    said = machine.box.journal("_PID=1").splitlines()
    assert [line for line in said if "/upstreamd" in line and "ignoring" in line] == []


def test_the_local_client_key_is_for_root_and_the_group_alone(machine, debs):
    machine.install(debs[0])
    machine.box.sh("usermod -aG upstreamd member")
    key = "/etc/upstreamd/clients/local"
    assert machine.box.sh("stat -c '%a %U %G' $1", key).strip() == "640 root upstreamd"
    assert len(machine.box.sh("runuser -u member cat $1", key).strip()) == len("sk-local-") + 43
    assert machine.box.run("runuser", "-u", "outsider", "cat", key).returncode != 0


def test_each_installation_makes_its_own_client_key_and_shows_it_nowhere(machine, debs):
    keys = set()
    for _ in range(2):
        printed = machine.install(debs[0])
        key = machine.box.sh("cat /etc/upstreamd/clients/local").strip()
        assert key not in printed
        assert machine.box.run("grep", "-rF", key, "/var", "/run").returncode == 1
        keys.add(key)
        machine.apt("purge", "upstreamd")
    assert len(keys) == 2


@pytest.fixture(params=["upgrade", "downgrade"])
def change(request, debs):
    """From one version to the other."""
    return debs if request.param == "upgrade" else debs[::-1]


def test_another_version_keeps_the_sockets_and_replaces_the_daemon(machine, change):
    before, after = change
    machine.install_configured(before)
    assert machine.service.is_served()
    pid, sockets = machine.service.pid(), machine.sockets()
    stream = machine.service.ask(stream=True, words=100)
    assert stream.stdout.readline()
    machine.install(after, "-o", "Dpkg::Options::=--force-confold")
    # apt did not wait for the stream's five seconds.
    assert stream.poll() is None
    assert after.name.split("_")[1] in machine.status()
    assert "[DONE]" in answer_of(stream)[1]
    wait_until(lambda: machine.service.pid() not in (0, pid) and machine.service.state() == "active", "the new daemon")
    assert machine.sockets() == sockets
    assert machine.service.is_served()


def test_another_version_starts_no_daemon_that_did_not_run(machine, change):
    machine.install_configured(change[0])
    machine.install(change[1], "-o", "Dpkg::Options::=--force-confold")
    assert machine.service.state() == "inactive"
    assert machine.box.run("test", "-e", "/run/upstreamd-upgrade").returncode == 1
    assert machine.service.is_served()


def test_a_configuration_changed_by_hand_is_kept(machine, debs):
    machine.install_configured(debs[0])
    before = machine.box.sh("cat /etc/upstreamd/upstreamd.toml")
    machine.install(debs[1], "-o", "Dpkg::Options::=--force-confold")
    assert machine.box.sh("cat /etc/upstreamd/upstreamd.toml") == before
    assert "Of the second version" in machine.box.sh("cat /etc/upstreamd/upstreamd.toml.dpkg-dist")
    # The package's own has not changed since, so nothing is to be asked.
    machine.install(debs[1], "--reinstall")
    assert machine.box.sh("cat /etc/upstreamd/upstreamd.toml") == before


def test_a_configuration_left_alone_is_renewed(machine, debs):
    machine.install(debs[0])
    machine.install(debs[1])
    assert "Of the second version" in machine.box.sh("cat /etc/upstreamd/upstreamd.toml")


def test_keys_and_the_client_key_are_kept(machine, debs):
    machine.install_configured(debs[0])
    listing = "cd /etc/upstreamd; ls -l keys keys.encrypted clients; cat clients/local keys/test"
    before = machine.box.sh(listing)
    machine.install(debs[1], "-o", "Dpkg::Options::=--force-confold")
    assert machine.box.sh(listing) == before


def test_a_socket_that_was_disabled_stays_disabled(machine, debs):
    machine.install(debs[0])
    machine.service.systemctl("disable", "--now", "upstreamd.socket")
    machine.install(debs[1])
    assert machine.box.run("systemctl", "is-enabled", "upstreamd.socket").stdout.strip() == "disabled"
    assert "upstreamd.socket" not in machine.active()


def test_a_policy_that_forbids_starts_is_obeyed(machine, debs):
    machine.box.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    machine.install(debs[0])
    assert machine.active() == set()
    assert machine.box.run("systemctl", "is-enabled", "upstreamd.socket").stdout.strip() == "enabled"


def test_a_policy_that_forbids_restarts_is_obeyed(machine, debs):
    machine.install_configured(debs[0])
    assert machine.service.is_served()
    pid = machine.service.pid()
    machine.box.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    machine.install(debs[1], "-o", "Dpkg::Options::=--force-confold")
    assert machine.box.run("test", "-e", "/run/upstreamd-upgrade").returncode == 1
    assert machine.service.is_served() and machine.service.pid() == pid


def test_a_port_that_is_taken_fails_no_installation(machine, debs):
    machine.box.sh("systemd-run --unit=taker --socket-property=ListenStream=127.0.0.1:4000 cat")
    try:
        machine.install(debs[0])
        assert "install ok installed" in machine.status()
        assert machine.service.show("ActiveState", "upstreamd.socket") == "failed"
    finally:
        machine.service.systemctl("stop", "taker.socket")


def test_a_removal_stops_everything_and_keeps_the_configuration(machine, debs):
    before = machine.paths()
    machine.install_configured(debs[0])
    assert machine.service.is_served()
    machine.apt("remove", "upstreamd")
    assert "deinstall ok config-files" in machine.status()
    assert machine.active() == set()
    assert machine.box.run("pgrep", "upstreamd").returncode == 1
    assert machine.service.answer()[0] == 0
    left = machine.paths() - before
    outside = {path for path in left if not path.startswith(("/etc/upstreamd", "/var/lib/dpkg/info/upstreamd."))}
    # Enabled units stay enabled for a reinstallation.
    outside = {path for path in outside if "/etc/systemd/system/" not in path and "deb-systemd-helper" not in path}
    assert {line.split(":")[0] for line in outside} == {"upstreamd"}
    assert {"/etc/upstreamd/upstreamd.toml", "/etc/upstreamd/keys/test", "/etc/upstreamd/clients/local"} <= left


def test_a_reinstallation_goes_on_where_the_removal_stopped(machine, debs):
    machine.install_configured(debs[0])
    key = machine.box.sh("cat /etc/upstreamd/clients/local")
    machine.apt("remove", "upstreamd")
    machine.install(debs[0])
    assert machine.service.is_served()
    assert machine.box.sh("cat /etc/upstreamd/clients/local") == key


@pytest.mark.parametrize("removed_first", [False, True], ids=["at-once", "after-a-removal"])
def test_a_purge_leaves_nothing(machine, debs, removed_first):
    before = machine.paths()
    machine.install_configured(debs[0])
    machine.box.sh("usermod -aG upstreamd member")
    machine.service.systemctl("enable", "upstreamd.service")
    assert machine.service.is_served()
    if removed_first:
        machine.apt("remove", "upstreamd")
    machine.apt("purge", "upstreamd")
    assert machine.status() == ""
    assert machine.active() == set()
    assert machine.paths() - before == set()
    assert before - machine.paths() == set()
