"""The unit files themselves."""

from boxes import ROOT

EXAMPLES = ROOT / "systemd" / "examples"


def test_the_units_verify_clean(service):
    units = ["upstreamd.service", "upstreamd.socket", "upstreamd-admin.socket"]
    verified = service.box.run("systemd-analyze", "verify", *units)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_exposure_is_1_1_as_shipped(service):
    service.box.sh("systemd-analyze security --no-pager --threshold=11 upstreamd.service")


def test_the_exposure_is_0_9_with_the_allow_list(service):
    allow_list(service)
    service.box.sh("systemd-analyze security --no-pager --threshold=9 upstreamd.service")


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
