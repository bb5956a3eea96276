"""The unit files themselves."""

import pytest

from boxes import ROOT

UNITS = ROOT / "systemd"
EXAMPLES = UNITS / "examples"
MAIN, COVER = "upstreamd.service", "upstreamd@cover.service"


# What upstreamd@.service has of its own; it has no [Install].
OF_ITS_OWN = {"Unit": {"Description", "Requires"}, "Service": {"ExecReload", "Restart", "Sockets"}}


def test_the_units_verify_clean(service):
    units = [path.name.replace("@", "@cover") for pattern in ("*.service", "*.socket", "*.path") for path in UNITS.glob(pattern)]
    assert COVER in units
    verified = service.box.run("systemd-analyze", "verify", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_cover_is_the_same_unit_but_for_what_it_says():
    main, cover = sections("upstreamd.service"), sections("upstreamd@.service")
    assert main.keys() - cover.keys() == {"Install"} and cover.keys() == OF_ITS_OWN.keys()
    for section, differs in OF_ITS_OWN.items():
        same = [[line for line in lines if line.split("=")[0] not in differs] for lines in (main[section], cover[section])]
        assert same[0] == same[1], section
        assert set(cover[section]) - set(main[section])
    assert "Restart=on-failure" in cover["Service"] and "Sockets=upstreamd.socket" in cover["Service"]


def sections(unit):
    """The lines of each section, without comments."""
    found, lines = {}, None
    for line in (UNITS / unit).read_text().splitlines():
        if line.startswith("["):
            lines = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


@pytest.mark.parametrize("unit", [MAIN, COVER])
def test_the_exposure_is_1_1_as_shipped(service, unit):
    service.box.sh('systemd-analyze security --no-pager --threshold=11 "$1"', unit)


@pytest.mark.parametrize("unit", [MAIN, COVER])
def test_the_exposure_is_0_9_with_the_allow_list(service, unit):
    allow_list(service)
    service.box.sh('systemd-analyze security --no-pager --threshold=9 "$1"', unit)


def test_the_allow_list_lets_the_daemon_reach_what_is_on_it(service):
    allow_list(service)
    assert service.is_served()


def test_the_allow_list_keeps_the_daemon_from_all_else(service):
    allow_list(service)
    service.box.sh("sed -i /localhost/d /etc/systemd/system/system-upstreamd.slice.d/allow-list.conf; systemctl daemon-reload")
    # The socket's traffic is not the daemon's, so the client hears of it.
    status, body = service.answer(unix=True)
    assert status in (502, 504), body


def test_an_address_in_a_drop_in_of_the_socket_is_served(service):
    service.drop_in("upstreamd.socket", "[Socket]\nListenStream=127.0.0.1:4001\nListenStream=/run/upstreamd/second.sock\n")
    service.systemctl("restart", "upstreamd.socket")
    assert service.is_served(at="127.0.0.1:4001")
    assert "on 4 sockets" in service.show("StatusText")


def allow_list(service):
    service.box.sh('cp -r "$1"/* /etc/systemd/system/; systemctl daemon-reload', EXAMPLES / "allow-list")
