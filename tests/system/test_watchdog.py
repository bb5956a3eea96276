"""A daemon that hangs is started anew, and one that only has much to do is not."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from boxes import HERE, answer_of, wait_until


def with_watchdog(service, seconds):
    service.drop_in("upstreamd.service", f"[Service]\nWatchdogSec={seconds}s\n")
    service.systemctl("start", "upstreamd.service")


@contextmanager
def wedged(service, thread):
    """One thread of the daemon stands still, until the daemon is gone."""
    tids = service.box.threads(service.pid())
    command = [sys.executable, HERE / "wedge.py", str(tids[thread])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stdout.readline() == "stopped\n"
            yield
        finally:
            tracer.kill()


def restarts(service):
    return int(service.show("NRestarts"))


def journal(service):
    return service.box.journal("-u", "upstreamd.service", "--since", service.since)


@pytest.mark.parametrize("thread", ["worker-0", "worker-1", "upstreamd"])
def test_a_daemon_with_a_thread_that_hangs_is_started_anew(service, thread):
    with_watchdog(service, 2)
    before = service.pid()
    with wedged(service, thread):
        wait_until(lambda: restarts(service) == 1, "the restart")
    assert service.is_served()
    assert service.pid() != before
    said = journal(service)
    assert "Failed with result 'watchdog'" in said
    # The daemon names a worker; of a main thread that hangs, systemd alone can tell.
    assert ("watchdog_missed" in said and thread in said) == (thread != "upstreamd")


def test_clients_who_wait_while_the_daemon_hangs_are_served_by_the_next_start(service):
    with_watchdog(service, 2)
    before = service.pid()
    with wedged(service, "upstreamd"):
        # Nobody accepts, so they wait in the sockets.
        waiting = [service.ask(unix=unix) for unix in (False, True) for _ in range(10)]
        assert [answer_of(each)[0] for each in waiting] == [200] * 20
    assert service.pid() != before
    assert restarts(service) == 1


def test_a_worker_that_hangs_gets_no_new_clients(service):
    with_watchdog(service, 12)
    before = service.pid()
    with wedged(service, "worker-0"):
        # Said after three quarters of the time at the latest.
        wait_until(lambda: "watchdog_missed" in journal(service), "the event")
        for _ in range(10):
            assert service.is_served()
        assert service.pid() == before
        wait_until(lambda: restarts(service) == 1, "the restart")
    assert journal(service).count("watchdog_missed") == 1
    assert service.is_served()


def test_a_daemon_with_much_to_do_is_left_alone(service):
    with_watchdog(service, 1)
    before = service.pid()
    load = 'while test -e /run/load; do curl -sS -Z --parallel-max 50 -o /dev/null "$1"; done'
    service.box.sh("touch /run/load")
    loading = service.box.start("sh", "-c", load, "sh", "http://127.0.0.1:4000/v1/models?[1-500]", stderr=subprocess.DEVNULL)
    try:
        begun = uptime(service)
        while uptime(service) < begun + 6:
            assert service.is_served()
    finally:
        service.box.sh("rm /run/load")
        loading.wait()
    assert (service.pid(), restarts(service)) == (before, 0)
    assert "watchdog_missed" not in journal(service)


def test_a_drain_that_takes_longer_than_the_watchdog_is_left_alone(service):
    with_watchdog(service, 1)
    stream = service.ask(stream=True, words=80)
    assert stream.stdout.readline()
    service.systemctl("stop", "upstreamd.service")
    status, body = answer_of(stream)
    assert status == 200 and "data: [DONE]" in body
    assert service.show("Result") == "success"


def test_a_reload_that_takes_longer_than_the_watchdog_is_left_alone(service):
    with_watchdog(service, 1)
    before = service.pid()
    config = service.config()
    service.box.sh("cd /etc/upstreamd; rm upstreamd.toml; mkfifo upstreamd.toml")
    reload = service.box.start("systemctl", "reload", "upstreamd.service")
    begun = uptime(service)
    while uptime(service) < begun + 3:
        assert service.is_served()
    # As often as it is read; with notify-reload twice.
    service.box.sh(
        """
        printf %s "$1" >/etc/upstreamd/upstreamd.toml
        mv /etc/upstreamd/upstreamd.toml /etc/upstreamd/old
        printf %s "$1" >/etc/upstreamd/upstreamd.toml
        rm /etc/upstreamd/old
        """,
        config,
    )
    assert reload.wait() == 0
    assert (service.pid(), restarts(service)) == (before, 0)


def uptime(service):
    return float(service.box.sh("cat /proc/uptime").split()[0])
