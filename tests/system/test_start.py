"""From a listening socket to a daemon that serves."""

import pytest

from boxes import wait_until


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_the_first_connection_starts_the_service(service, unix):
    assert service.state() == "inactive"
    assert service.is_served(unix=unix)
    assert service.state() == "active"


def test_the_service_starts_without_a_connection(service):
    service.systemctl("start", "upstreamd.service")
    assert service.state() == "active"
    assert service.is_served()


def test_enabling_the_service_enables_its_socket(service):
    service.systemctl("enable", "upstreamd.service")
    try:
        assert service.systemctl("is-enabled", "upstreamd.socket").strip() == "enabled"
    finally:
        service.systemctl("disable", "upstreamd.service", "upstreamd.socket")


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
    assert "serving upstream test on 2 sockets, 0 requests running" in service.systemctl("status", "upstreamd.service")
