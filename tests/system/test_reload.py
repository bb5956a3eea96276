"""systemctl reload, with a good file and with a bad one."""

import pytest

from boxes import wait_until


@pytest.fixture
def running(service):
    service.systemctl("start", "upstreamd.service")
    return service


TYPO = "\n[upstream.test.typo]\n"


def reload_fails(service):
    return service.box.run("systemctl", "reload", "upstreamd.service").returncode != 0


def position(service, line):
    """Where this line stands in the configuration file, as errors say it."""
    text = service.box.sh("cat /etc/upstreamd/upstreamd.toml").splitlines()
    return f"upstreamd.toml:{text.index(line) + 1}:"


def user_agent(service):
    return dict(service.seen()["fields"])["user-agent"]


def test_the_service_is_of_the_type_that_its_systemd_can(running):
    assert running.show("Type") == ("notify-reload" if running.box.systemd >= 253 else "notify")


def test_a_good_file_is_in_use_after_a_reload(running):
    before = running.pid()
    running.configure(running.config(user_agent="after-the-reload/2.0"))
    running.systemctl("reload", "upstreamd.service")
    assert running.is_served()
    assert user_agent(running) == "after-the-reload/2.0"
    assert running.pid() == before
    assert running.show("StatusText").startswith("serving")


def test_a_bad_file_fails_the_reload_and_the_service_runs_on(running):
    before = running.pid()
    running.configure(running.config(user_agent="unused/3.0") + TYPO)
    assert reload_fails(running)
    at = position(running, "[upstream.test.typo]")
    # The reload's outcome is known when the command ends, in all three places.
    status = running.show("StatusText")
    assert status.startswith("serving 1 upstream on 2 sockets") and "the last reload failed" in status
    assert at in status
    assert at in running.box.journal("-u", "upstreamd.service", "-n", "20")
    assert running.state() == "active" and running.pid() == before
    assert running.is_served()
    assert user_agent(running) == "system-tests/1.0"


def test_no_bad_file_is_ever_taken_for_a_good_one(running):
    for _ in range(15):
        running.configure(running.config() + TYPO)
        assert reload_fails(running)
        running.configure(running.config())
        running.systemctl("reload", "upstreamd.service")
        assert running.show("StatusText").startswith("serving")
        assert "failed" not in running.show("StatusText")


def test_a_reload_is_one_reload(running):
    running.systemctl("reload", "upstreamd.service")
    reloaded = lambda: running.box.journal("-u", "upstreamd.service", "--since", running.since, "-q", "UPSTREAMD_EVENT=reloaded")
    wait_until(reloaded, "the record")
    running.systemctl("stop", "upstreamd.service")
    assert len(reloaded().splitlines()) == 1


def test_where_systemd_sends_a_signal_beside_a_bad_file_is_not_taken_for_a_good_one(running):
    if running.box.systemd < 254:
        pytest.skip("ReloadSignal= came with systemd 253")
    # As an operator may have it: SIGHUP, and ExecReload= after that.
    running.drop_in("upstreamd.service", "[Service]\nReloadSignal=SIGHUP\n")
    for _ in range(15):
        running.configure(running.config() + TYPO)
        assert reload_fails(running)
        running.configure(running.config())
        running.systemctl("reload", "upstreamd.service")


def test_reloads_that_are_asked_for_at_once_all_have_their_outcome(running):
    before = running.pid()
    asked = [
        *[running.box.start("systemctl", "reload", "upstreamd.service") for _ in range(3)],
        *[running.box.start("upstreamd", "reload") for _ in range(3)],
    ]
    running.systemctl("kill", "--kill-whom=main", "--signal=HUP", "upstreamd.service")
    assert [each.wait() for each in asked] == [0] * 6
    assert (running.state(), running.show("SubState"), running.pid()) == ("active", "running", before)


def test_the_subcommand_says_what_is_wrong(running):
    assert running.box.run("upstreamd", "reload").returncode == 0
    running.configure(running.config() + TYPO)
    asked = running.box.run("upstreamd", "reload")
    assert asked.returncode == 78
    assert position(running, "[upstream.test.typo]") in asked.stderr


def test_the_subcommand_starts_a_service_that_does_not_run(service):
    service.systemctl("start", "upstreamd-admin.socket")
    assert service.state() == "inactive"
    assert service.box.run("upstreamd", "reload").returncode == 0
    assert service.state() == "active"
    service.systemctl("stop", "upstreamd.socket")
    asked = service.box.run("upstreamd", "reload")
    assert asked.returncode == 69
    assert "no such socket" in asked.stderr


def test_a_reload_works_after_a_daemon_reload(running):
    running.systemctl("daemon-reload")
    running.systemctl("reload", "upstreamd.service")
    running.configure("nonsense\n")
    assert reload_fails(running)


def test_a_reload_works_after_one_that_failed(running):
    running.configure("nonsense\n")
    assert running.box.run("systemctl", "reload", "upstreamd.service").returncode != 0
    running.configure(running.config(user_agent="mended/4.0"))
    running.systemctl("reload", "upstreamd.service")
    assert running.is_served()
    assert user_agent(running) == "mended/4.0"


def test_a_stream_runs_on_over_reloads(running):
    stream = running.ask(stream=True, words=30)
    stream.stdout.readline()
    for _ in range(3):
        running.systemctl("reload", "upstreamd.service")
    out, _ = stream.communicate()
    assert "data: [DONE]" in out and out.endswith("200")


def test_a_cover_is_reloaded_too_if_somebody_wants_it(running):
    cover = "upstreamd@cover.service"
    running.systemctl("start", cover)
    running.systemctl("reload", cover)
    assert (running.state(), running.show("ActiveState", cover)) == ("active", "active")
    wait_until(lambda: "reloaded" in running.box.journal("-u", cover, "--since", running.since), "the record")
