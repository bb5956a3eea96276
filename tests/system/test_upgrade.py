"""upstreamd-upgrade.service: another version in place of the running one, and nobody notices."""

import json

import pytest

from boxes import BUILT, SUITES, UPSTREAM_KEY, Service, answer_of, wait_until
from conftest import loopback_upstream, with_upstreamd

MAIN, COVER, UPGRADE = "upstreamd.service", "upstreamd@cover.service", "upstreamd-upgrade.service"
REQUEST = "/run/upstreamd-upgrade"
# As /proc shows it (octal 4000).
O_NONBLOCK = 0o4000


@pytest.fixture
def running(service):
    install(service, "old")
    service.systemctl("start", MAIN)
    yield service
    install(service, "old")


def install(service, version):
    """Puts another version in place, as a package does."""
    service.box.sh(
        """
        { cat "$1/upstreamd"; printf "version %s" "$2"; } >/usr/bin/upstreamd.new
        chmod 755 /usr/bin/upstreamd.new
        mv /usr/bin/upstreamd.new /usr/bin/upstreamd
        """,
        BUILT, version,
    )


def install_broken(service, script):
    service.box.write("/usr/bin/upstreamd.new", f"#!/bin/sh\n{script}\n", 0o755)
    service.box.sh("mv /usr/bin/upstreamd.new /usr/bin/upstreamd")


def version(service, unit=MAIN):
    """The one that runs."""
    tail = service.box.run("tail", "-c", "20", f"/proc/{service.show('MainPID', unit)}/exe", errors="replace")
    return tail.stdout.rpartition("version ")[2]


def request(service):
    service.box.sh(f": >{REQUEST}")


def upgrades(service):
    """How many have begun in this test."""
    return service.box.journal("-u", UPGRADE, "--since", service.since).count("Starting upstreamd-upgrade")


def is_over(service):
    return service.show("ActiveState", UPGRADE) in ("inactive", "failed")


def upgrade_begins(service):
    before = upgrades(service)
    request(service)
    wait_until(lambda: upgrades(service) > before, "an upgrade")


def upgrade(service):
    """Asks for one, and waits for its end."""
    upgrade_begins(service)
    wait_until(lambda: is_over(service), "the end of the upgrade")


def streaming(service, words=60):
    """A stream of three seconds, begun."""
    stream = service.ask(stream=True, words=words)
    assert stream.stdout.readline()
    return stream


def is_whole(stream):
    status, body = answer_of(stream)
    return status == 200 and "data: [DONE]" in body


def break_the_next_start(service):
    """Of upstreamd.service alone: the cover has the same drop-ins, but another name."""
    service.drop_in(MAIN, "[Service]\nExecStartPre=/bin/sh -c '[ %N != upstreamd ]'\n")
    assert service.show("RestartUSec", UPGRADE) == "10s"
    service.drop_in(UPGRADE, "[Service]\nRestartSec=1s\n")


def hands_over(service, unit=MAIN):
    return service.show("StatusText", unit).startswith("handing over")


def in_the_middle(service):
    """An upgrade in which the old daemon still has a stream; the stream."""
    stream = streaming(service)
    request(service)
    wait_until(lambda: hands_over(service), "the hand-over")
    return stream


def flags_of_sockets(service):
    """Of what systemd has passed: descriptors from 3 on."""
    lines = service.box.sh('cd "/proc/$1/fdinfo"; grep ^flags: 3 4', str(service.pid())).splitlines()
    return [(line, int(line.split()[1], 8)) for line in lines]


def said(service):
    return service.box.journal("-u", UPGRADE, "--since", service.since, "-p", "err")


def test_another_version_takes_the_place_of_the_running_one(running):
    install(running, "new")
    upgrade(running)
    assert version(running) == "new"
    assert (running.show("Result", UPGRADE), running.show("ActiveState", COVER)) == ("success", "inactive")
    assert running.is_served()


def test_it_can_be_asked_for_by_systemctl_too(running):
    install(running, "new")
    running.systemctl("start", UPGRADE)
    assert version(running) == "new"


def test_the_new_version_serves_while_the_old_one_has_a_stream(running):
    install(running, "new")
    stream = in_the_middle(running)
    assert version(running, COVER) == "new"
    assert running.is_served() and running.is_served(unix=True)
    assert hands_over(running)
    assert is_whole(stream)
    events = running.box.journal("-t", "upstreamd", "--since", running.since, "-o", "json").splitlines()
    assert {json.loads(event)["_SYSTEMD_UNIT"] for event in events} == {MAIN, COVER}
    wait_until(lambda: is_over(running), "the end of the upgrade")


def test_a_stream_may_last_longer_than_drain_timeout(running):
    running.configure(running.config(drain_timeout="0s"))
    running.systemctl("reload", MAIN)
    stream = in_the_middle(running)
    wait_until(lambda: running.show("StatusText", COVER).startswith("serving"), "the cover")
    # One on the cover as well.
    other = streaming(running)
    assert is_whole(stream) and is_whole(other)
    wait_until(lambda: is_over(running), "the end of the upgrade")


def test_what_a_drop_in_sets_for_the_service_holds_for_its_cover(running):
    running.drop_in(MAIN, "[Service]\nEnvironment=SET_BY=drop-in\n")
    stream = in_the_middle(running)
    environment = running.box.sh('cat "/proc/$1/environ"', running.show("MainPID", COVER))
    assert "SET_BY=drop-in" in environment.split("\0")
    assert running.show("Type", COVER) == running.show("Type", MAIN)
    assert is_whole(stream)
    wait_until(lambda: is_over(running), "the end of the upgrade")


def test_sockets_of_the_administrators_own_are_covered_too_if_they_are_open(service):
    unit = "[Socket]\nListenStream=/run/upstreamd/{0}.sock\nFileDescriptorName={0}\nService=upstreamd.service\nRemoveOnStop=yes\n"
    for name in ("open", "closed"):
        service.box.write(f"/etc/systemd/system/upstreamd-{name}.socket", unit.format(name))
    listeners = [f'[listener.{name}]\nrequire_key = "never"\n' for name in ("open", "closed")]
    service.configure("\n".join([service.config(), *listeners]))
    service.systemctl("daemon-reload")
    service.systemctl("start", "upstreamd-open.socket")
    try:
        service.systemctl("start", MAIN)
        stream = in_the_middle(service)
        assert service.is_served(unix="/run/upstreamd/open.sock", key=None)
        assert hands_over(service)
        assert service.show("ActiveState", "upstreamd-closed.socket") == "inactive"
        assert is_whole(stream)
        wait_until(lambda: is_over(service), "the end of the upgrade")
        assert service.is_served(unix="/run/upstreamd/open.sock", key=None)
    finally:
        service.systemctl("stop", "upstreamd-open.socket", "upstreamd.socket", MAIN, COVER)
        service.box.sh("rm -r /etc/systemd/system/upstreamd-*.socket")


def test_what_does_not_run_is_not_started(service):
    upgrade(service)
    assert (service.state(), service.show("ActiveState", COVER)) == ("inactive", "inactive")
    assert service.show("Result", UPGRADE) == "success"
    assert service.is_served()


@pytest.mark.parametrize("script", ["echo this is no upstreamd >&2; exit 1", "kill -SEGV $$"], ids=["exits", "crashes"])
def test_a_version_that_does_not_start_leaves_the_old_one_serving_and_says_so(running, script):
    before = running.pid()
    install_broken(running, script)
    assert running.box.run("systemctl", "start", UPGRADE).returncode != 0
    assert "the running one serves on" in said(running)
    assert running.show("ActiveState", UPGRADE) == "failed"
    assert running.show("ActiveState", COVER) != "active"
    assert running.pid() == before and running.is_served()
    # And the next one is none the worse for it.
    install(running, "mended")
    upgrade(running)
    assert version(running) == "mended"


def test_a_wrong_configuration_leaves_the_old_one_serving(running):
    before = running.pid()
    running.configure("nonsense\n")
    upgrade(running)
    assert "the running one serves on" in said(running)
    assert running.pid() == before and running.is_served()


def test_a_cover_that_did_not_start_leaves_the_sockets_of_the_daemon_as_they_were(running):
    running.configure("nonsense\n")
    upgrade(running)
    for descriptor, flags in flags_of_sockets(running):
        assert flags & O_NONBLOCK, descriptor
    # With a blocking one it would wait in accept(2) and hear no signal.
    assert running.is_served()
    running.systemctl("stop", MAIN)
    assert running.show("Result") == "success"


def test_the_cover_serves_on_while_the_daemon_does_not_start_again(running):
    break_the_next_start(running)
    stream = in_the_middle(running)
    assert is_whole(stream)
    wait_until(lambda: "serves in its place" in said(running), "the message")
    assert running.show("Result", UPGRADE) == "exit-code"
    assert running.show("ActiveState", COVER) == "active"
    for unix in (False, True):
        assert running.is_served(unix=unix)
    # Once it is mended nobody has to do anything.
    running.box.sh("rm /etc/systemd/system/upstreamd.service.d/test.conf; systemctl daemon-reload")
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert (running.state(), running.show("ActiveState", COVER)) == ("active", "inactive")
    assert running.is_served()


def test_a_cover_that_serves_alone_stops_with_the_socket(running):
    break_the_next_start(running)
    upgrade_begins(running)
    wait_until(lambda: "serves in its place" in said(running), "the message")
    running.systemctl("stop", "upstreamd.socket")
    assert running.show("ActiveState", COVER) == "inactive"
    assert running.answer()[0] == 0
    # And the upgrade is not tried again for ever.
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert running.show("ActiveState", COVER) == "inactive"


def test_a_request_during_an_upgrade_is_served_after_it(running):
    install(running, "new")
    stream = in_the_middle(running)
    install(running, "newer")
    request(running)
    assert running.box.run("test", "-e", REQUEST).returncode == 0
    assert is_whole(stream)
    wait_until(lambda: upgrades(running) == 2 and is_over(running), "a second upgrade")
    assert version(running) == "newer"
    assert running.box.run("test", "-e", REQUEST).returncode == 1


def test_more_requests_in_a_row_than_systemd_starts_other_services(running):
    for number in range(8):
        install(running, str(number))
        upgrade(running)
        assert version(running) == str(number)
    assert running.show("ActiveState", "upstreamd-upgrade.path") == "active"


def test_a_request_that_cannot_be_removed_keeps_no_processor_busy(running):
    before = running.pid()
    running.box.sh(f": >{REQUEST}; mount --bind /dev/null {REQUEST}")
    wait_until(lambda: "cannot be removed" in said(running), "the message")
    assert upgrades(running) == 1 and running.pid() == before
    running.box.sh(f"umount {REQUEST}")
    running.systemctl("stop", UPGRADE)
    wait_until(lambda: running.pid() not in (0, before) and is_over(running), "the upgrade")


def test_a_key_that_is_set_is_in_use_at_once_and_cuts_no_stream(running):
    stream = streaming(running)
    for secret, status in [("sk-not-the-upstreams", 401), (UPSTREAM_KEY, 200)]:
        before = upgrades(running)
        said = running.box.sh("upstreamd key set test", input=secret)
        assert "without a cut" in said
        wait_until(lambda: upgrades(running) > before and running.answer()[0] == status, "the new key")
    assert is_whole(stream)
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert running.is_served()


def test_a_stop_of_the_service_meanwhile_stops_all_of_it(running):
    stream = in_the_middle(running)
    running.systemctl("stop", MAIN)
    # With a drain.
    assert is_whole(stream)
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert (running.state(), running.show("ActiveState", COVER)) == ("inactive", "inactive")
    assert running.show("Result", UPGRADE) == "success"
    # The socket stays, as after any stop.
    assert running.is_served()


def test_a_stop_of_the_socket_meanwhile_stops_all_of_it(running):
    stream = in_the_middle(running)
    running.systemctl("stop", "upstreamd.socket")
    assert is_whole(stream)
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert (running.state(), running.show("ActiveState", COVER)) == ("inactive", "inactive")
    assert running.answer()[0] == 0


def test_a_reload_meanwhile_succeeds_and_the_new_configuration_is_in_use_afterwards(running):
    stream = in_the_middle(running)
    running.configure(running.config(user_agent="meanwhile/2.0"))
    running.systemctl("reload", MAIN)
    assert is_whole(stream)
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert running.is_served()
    assert dict(running.seen()["fields"])["user-agent"] == "meanwhile/2.0"


@pytest.mark.parametrize("suite", SUITES)
def test_a_shutdown_meanwhile_lets_streams_finish_and_is_not_held_up(suite):
    # In a box of its own, which is off then.
    with with_upstreamd(suite) as box, loopback_upstream(box) as upstream:
        service = Service(box, upstream)
        service.reset()
        service.systemctl("start", MAIN)
        stream = in_the_middle(service)
        other = streaming(service)
        box.run("systemctl", "--no-block", "poweroff")
        assert is_whole(stream) and is_whole(other)
        wait_until(box.is_off, "the end of the box")


@pytest.mark.parametrize("unit", [MAIN, COVER])
def test_a_crash_meanwhile_keeps_nobody_out(running, unit):
    stream = in_the_middle(running)
    running.systemctl("kill", "--kill-whom=main", "--signal=KILL", unit)
    assert running.is_served()
    assert is_whole(stream) == (unit == COVER)
    wait_until(lambda: is_over(running), "the end of the upgrade")
    assert running.show("ActiveState", COVER) == "inactive"
    assert running.is_served()


def test_an_upgrade_that_was_interrupted_is_finished_by_the_next(running):
    install(running, "new")
    stream = in_the_middle(running)
    running.systemctl("stop", UPGRADE)
    assert running.is_served() and is_whole(stream)
    wait_until(lambda: running.state() == "active" and version(running) == "new", "the new version")
    assert running.show("ActiveState", COVER) == "active"
    upgrade(running)
    assert (version(running), running.show("ActiveState", COVER)) == ("new", "inactive")
    assert running.is_served()


def test_an_upgrade_that_was_killed_is_finished_by_itself(running):
    install(running, "new")
    stream = in_the_middle(running)
    running.drop_in(UPGRADE, "[Service]\nRestartSec=1s\n")
    running.systemctl("kill", "--signal=KILL", UPGRADE)
    assert is_whole(stream)
    wait_until(lambda: running.show("ActiveState", COVER) == "inactive", "the end of the cover")
    assert version(running) == "new" and running.is_served()
