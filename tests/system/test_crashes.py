"""Whatever the daemon dies of, the port stays open and who waits is served."""

import pytest

from boxes import answer_of, wait_until

CRASHING = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -KILL $$$$'\n"


def kill(service):
    service.systemctl("kill", "--kill-whom=main", "--signal=KILL", "upstreamd.service")


def restarts(service):
    return int(service.show("NRestarts"))


def the_port_is_open(service):
    return service.show("ActiveState", "upstreamd.socket") == "active"


def test_a_request_after_a_kill_is_served_by_the_next_start(service):
    assert service.is_served()
    for _ in range(3):
        before = service.pid()
        kill(service)
        waiting = [service.ask(unix=unix) for unix in (False, True)]
        assert [answer_of(each)[0] for each in waiting] == [200, 200]
        assert service.pid() != before


def test_requests_that_wait_are_served_after_a_kill_during_the_start(service):
    service.box.sh("cd /etc/upstreamd; rm upstreamd.toml; mkfifo upstreamd.toml")
    waiting = [service.ask(unix=unix) for unix in (False, True)]
    # Killed while it reads its configuration.
    wait_until(service.pid, "a start")
    kill(service)
    service.box.sh("cd /etc/upstreamd; rm upstreamd.toml")
    service.configure(service.config())
    # A start that is reading the old file is killed as well.
    if service.state() == "activating" and service.pid():
        kill(service)
    assert [answer_of(each)[0] for each in waiting] == [200, 200]


def test_a_kill_in_the_middle_of_a_stream_does_not_end_it_cleanly(service):
    stream = service.ask(stream=True, words=100)
    stream.stdout.readline()
    kill(service)
    out, _ = stream.communicate()
    assert stream.returncode != 0 and "[DONE]" not in out
    assert service.is_served()


def test_ten_crashes_in_a_row_do_not_close_the_port(service):
    service.drop_in("upstreamd.service", CRASHING)
    waiting = service.ask()
    wait_until(lambda: restarts(service) >= 10, "the tenth crash")
    assert the_port_is_open(service)
    service.box.sh("rm /etc/systemd/system/upstreamd.service.d/test.conf; systemctl daemon-reload")
    assert answer_of(waiting)[0] == 200
    assert service.is_served()


def test_delays_between_restarts_grow_where_systemd_can(service):
    if service.box.systemd < 254:
        pytest.skip("RestartSteps= came with systemd 254")
    service.drop_in("upstreamd.service", CRASHING)
    service.systemctl("start", "--no-block", "upstreamd.service")
    delays = set()

    def grown():
        delays.add(service.show("RestartUSecNext"))
        return len(delays) >= 4

    wait_until(grown, "four different delays")


def test_a_wrong_configuration_is_not_started_again(service):
    service.configure("nonsense\n")
    assert service.box.run("systemctl", "start", "upstreamd.service").returncode != 0
    service.wait_for_state("failed")
    # A restart that is to come would show as "auto-restart".
    assert service.show("SubState") == "failed"
    assert (service.show("ExecMainStatus"), restarts(service)) == ("78", 0)
    assert the_port_is_open(service)


def test_a_request_that_waits_for_a_right_configuration_is_served(service):
    service.configure("nonsense\n")
    waiting = service.ask()
    wait_until(lambda: starts(service) >= 2, "a second try")
    assert the_port_is_open(service)
    service.configure(service.config())
    assert answer_of(waiting)[0] == 200


def test_a_request_that_waits_for_a_right_configuration_keeps_no_processor_busy(service):
    service.configure("nonsense\n")
    waiting = service.ask()
    before = starts(service)
    # Each try takes two seconds or more: three of them more than four.
    begun = uptime(service)
    wait_until(lambda: starts(service) >= before + 3, "three tries")
    assert uptime(service) - begun > 4
    waiting.kill()


def test_a_wrong_configuration_never_closes_the_port(service):
    # As fast as tries can come: without the pause that upstreamd.service makes.
    service.drop_in("upstreamd.service", "[Service]\nExecStopPost=\n")
    service.configure("nonsense\n")
    waiting = service.ask()
    wait_until(lambda: starts(service) >= 50, "fifty tries")
    assert the_port_is_open(service)
    service.configure(service.config())
    assert answer_of(waiting)[0] == 200


def starts(service):
    """How often systemd has started the daemon in this test."""
    return service.box.journal("-u", "upstreamd.service", "--since", service.since).count("Starting upstreamd")


def uptime(service):
    return float(service.box.sh("cat /proc/uptime").split()[0])
