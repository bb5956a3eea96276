"""Packages that replace each other while clients are served: nobody notices."""

import json
import time

import pytest

from boxes import BUILT, Service, wait_until
from load import ALONE, failures, load, side_by_side, slowest_connect
from machine import Machine

UPGRADE, COVER = "upstreamd-upgrade.service", "upstreamd@cover.service"


@pytest.fixture
def machine(box):
    """Configured for an upstream whose streams have a word each half second."""
    with box.start(BUILT / "examples" / "loopback-upstream", "500", **ALONE) as process:
        machine = Machine(Service(box, json.loads(process.stdout.readline())))
        yield machine
        machine.clean()
        process.stdin.close()


def install(machine, deb):
    """With apt, and waits for the end of the upgrade that follows."""
    before = machine.service.pid()
    machine.install(deb, "-o", "Dpkg::Options::=--force-confold")
    assert deb.name.split("_")[1] in machine.status()
    wait_until(lambda: machine.service.pid() not in (0, before), "the new daemon")
    wait_until(lambda: machine.service.show("ActiveState", UPGRADE) == "inactive", "the end of the upgrade")
    assert (machine.service.state(), machine.service.show("ActiveState", COVER)) == ("active", "inactive")


def test_ten_upgrades_under_load_are_noticed_by_nobody(machine, debs, capsys):
    machine.install_configured(debs[0])
    # A machine that is busy with other things takes its time for a handshake.
    machine.service.configure(machine.service.config().replace('connect_timeout = "2s"', 'connect_timeout = "1m"'))
    machine.service.systemctl("start", "upstreamd.service")
    laps = {}
    # Streams of three seconds.
    with load(machine.box, streams=1000, words=4, ramp=3, requests=200, kept=20) as clients:
        time.sleep(3)
        laps["nothing, 3 s"] = clients.lap()
        for number in range(10):
            install(machine, debs[(number + 1) % 2])
        laps["10 upgrades"] = clients.lap()
        machine.service.systemctl("restart", "upstreamd.service")
        laps["1 restart"] = clients.end()
    with capsys.disabled():
        print("\n" + side_by_side(f"Clients, systemd {machine.box.systemd}", laps))
    covered = laps["10 upgrades"]
    assert not failures(covered)
    assert slowest_connect(covered) < 100
