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


def journal(service, *matches):
    return service.box.journal("-u", "upstreamd.service", "--since", service.since, *matches)


def missed(service):
    """The records of what hangs."""
    return journal(service, "-q", "UPSTREAMD_EVENT=watchdog_missed").splitlines()


@pytest.mark.parametrize("thread", ["worker-0", "worker-1", "upstreamd"])
def test_a_daemon_with_a_thread_that_hangs_is_started_anew(service, thread):
    with_watchdog(service, 2)
    before = service.pid()
    with wedged(service, thread):
        wait_until(lambda: restarts(service) == 1, "the restart")
    assert service.is_served()
    assert service.pid() != before
    assert "Failed with result 'watchdog'" in journal(service)
    # The daemon names a worker; of a main thread that hangs, systemd alone can tell.
    assert [thread in each for each in missed(service)] == ([] if thread == "upstreamd" else [True])


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
        wait_until(lambda: missed(service), "the event")
        for _ in range(10):
            assert service.is_served()
        assert service.pid() == before
        wait_until(lambda: restarts(service) == 1, "the restart")
    assert len(missed(service)) == 1
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
    assert not missed(service)


def test_a_drain_that_takes_longer_than_the_watchdog_is_left_alone(service):
    with_watchdog(service, 1)
    stream = service.ask(stream=True, words=80)
    assert stream.stdout.readline()
    service.systemctl("stop", "upstreamd.service")
    status, body = answer_of(stream)
    assert status == 200 and "data: [DONE]" in body
    assert service.show("Result") == "success"


def test_a_reload_that_hangs_fails_and_the_daemon_serves_on(service):
    with_watchdog(service, 1)
    before = service.pid()
    service.box.sh("cd /etc/upstreamd; rm upstreamd.toml; mkfifo upstreamd.toml")
    reload = service.box.start("systemctl", "reload", "upstreamd.service", stderr=subprocess.DEVNULL)
    while reload.poll() is None:
        assert service.is_served()
    assert reload.returncode != 0
    assert "could not be read within" in service.show("StatusText")
    service.box.sh("rm /etc/upstreamd/upstreamd.toml")
    service.configure(service.config())
    service.systemctl("reload", "upstreamd.service")
    assert service.show("StatusText").startswith("serving") and "failed" not in service.show("StatusText")
    assert (service.state(), service.pid(), restarts(service)) == ("active", before, 0)


def uptime(service):
    return float(service.box.sh("cat /proc/uptime").split()[0])
