"""systemctl reload, with a good file and with a bad one."""

import pytest

from boxes import wait_until


@pytest.fixture
def running(service):
    service.systemctl("start", "upstreamd.service")
    return service


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
    running.configure(running.config(user_agent="unused/3.0") + "\n[upstream.test.typo]\n")
    reloaded = running.box.run("systemctl", "reload", "upstreamd.service")
    assert reloaded.returncode != 0
    wait_until(lambda: running.show("StatusText").startswith("still on the configuration before"), "the status")
    assert "upstreamd.toml:" in running.box.journal("-u", "upstreamd.service", "-n", "20")
    assert running.state() == "active" and running.pid() == before
    assert running.is_served()
    assert user_agent(running) == "system-tests/1.0"


def test_a_reload_works_after_a_daemon_reload(running):
    running.systemctl("daemon-reload")
    running.systemctl("reload", "upstreamd.service")


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
