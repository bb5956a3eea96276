"""Stopping and restarting: what runs may finish, who comes meanwhile waits."""

from boxes import answer_of, wait_until


def streaming(service, words):
    stream = service.ask(stream=True, words=words)
    assert stream.stdout.readline()
    return stream


def test_a_stop_lets_a_running_stream_finish(service):
    stream = streaming(service, words=30)
    service.systemctl("stop", "upstreamd.service")
    status, body = answer_of(stream)
    assert status == 200 and "data: [DONE]" in body
    assert service.show("Result") == "success"


def test_the_status_says_that_it_drains(service):
    stream = streaming(service, words=30)
    service.systemctl("stop", "--no-block", "upstreamd.service")
    wait_until(lambda: "draining, 1 request running" in service.show("StatusText"), "the status")
    assert answer_of(stream)[0] == 200


def test_a_drain_may_last_longer_than_the_unit_says(service):
    # Longer too than what the daemon asks for at a time, 15 s.
    service.configure(service.config(drain_timeout="60s"))
    service.drop_in("upstreamd.service", "[Service]\nTimeoutStopSec=1s\n")
    stream = streaming(service, words=400)
    service.systemctl("stop", "upstreamd.service")
    status, body = answer_of(stream)
    assert status == 200 and "data: [DONE]" in body


def test_a_drain_ends_at_its_own_deadline(service):
    service.configure(service.config(drain_timeout="1s"))
    stream = streaming(service, words=1000)
    service.systemctl("stop", "upstreamd.service")
    assert "[DONE]" not in answer_of(stream)[1]
    assert service.show("Result") == "success"


def test_a_request_that_comes_during_a_restart_waits_and_is_served(service):
    stream = streaming(service, words=30)
    service.systemctl("restart", "--no-block", "upstreamd.service")
    wait_until(lambda: service.state() == "deactivating", "the drain")
    assert service.is_served()
    assert answer_of(stream)[0] == 200


def test_a_restart_of_the_socket_resets_who_waits_in_it(service):
    stream = streaming(service, words=30)
    service.systemctl("restart", "--no-block", "upstreamd.socket")
    wait_until(lambda: service.state() == "deactivating", "the drain")
    waiting = service.ask()
    assert answer_of(stream)[0] == 200
    status, message = answer_of(waiting)
    assert status == 0, message
    wait_until(lambda: service.show("ActiveState", "upstreamd.socket") == "active", "the socket's start")
    assert service.is_served()


def test_the_socket_can_be_restarted_again_and_again(service):
    # One of some twenty failed while both sockets started at the same moment.
    for _ in range(20):
        service.systemctl("start", "upstreamd.service")
        # systemd's own limit is five in ten seconds.
        service.systemctl("reset-failed", "upstreamd.socket", "upstreamd-admin.socket")
        service.systemctl("restart", "upstreamd.socket")
    assert service.is_served()


def test_stopping_the_socket_closes_every_address(service):
    assert service.is_served()
    service.systemctl("stop", "upstreamd.socket")
    assert service.state() == "inactive"
    assert service.answer()[0] == 0
    for socket in ["upstreamd.sock", "admin.sock"]:
        assert service.box.run("test", "-e", f"/run/upstreamd/{socket}").returncode == 1
