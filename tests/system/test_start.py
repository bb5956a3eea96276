"""From a listening socket to a daemon that serves."""

import pytest

from boxes import wait_until

SOCKETS = ["upstreamd.socket", "upstreamd-admin.socket"]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_the_first_connection_starts_the_service(service, unix):
    assert service.state() == "inactive"
    assert service.is_served(unix=unix)
    assert service.state() == "active"


def test_the_service_starts_without_a_connection(service):
    service.systemctl("start", "upstreamd.service")
    assert service.state() == "active"
    assert service.is_served()


def test_enabling_the_service_enables_its_sockets(service):
    service.systemctl("enable", "upstreamd.service")
    try:
        for socket in SOCKETS:
            assert service.systemctl("is-enabled", socket).strip() == "enabled"
    finally:
        service.systemctl("disable", "upstreamd.service", *SOCKETS)


def test_it_is_ready_only_when_it_serves(service):
    # A start that waits for its configuration until somebody writes it.
    service.box.sh("cd /etc/upstreamd; rm upstreamd.toml; mkfifo upstreamd.toml")
    service.systemctl("start", "--no-block", "upstreamd.service")
    wait_until(service.pid, "a process")
    waiting = service.ask()
    assert service.state() == "activating"
    service.box.sh("cat >/etc/upstreamd/upstreamd.toml", input=service.config())
    service.wait_for_state("active")
    assert waiting.communicate()[0].endswith("200")


def test_a_start_that_fails_is_said_to_systemctl(service):
    service.configure("nonsense\n")
    started = service.box.run("systemctl", "start", "upstreamd.service")
    assert started.returncode != 0
    assert "upstreamd.toml:1:" in service.box.journal("-u", "upstreamd.service", "-n", "20")


def test_its_status_is_a_sentence(service):
    service.systemctl("start", "upstreamd.service")
    assert "serving 1 upstream on 2 sockets, 0 requests running" in service.systemctl("status", "upstreamd.service")


def test_its_status_counts_the_requests_that_run(service):
    streams = [service.ask(stream=True, words=100) for _ in range(2)]
    wait_until(lambda: service.show("StatusText") == "serving 1 upstream on 2 sockets, 2 requests running", "the count")
    for stream in streams:
        stream.kill()
    wait_until(lambda: service.show("StatusText") == "serving 1 upstream on 2 sockets, 0 requests running", "none")
