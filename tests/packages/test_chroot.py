"""Installed where no systemd runs: a chroot, an image that is being built."""

import pytest

# A root of its own over the box's, without its /run, /proc and /sys.
MAKE = """
mkdir -p /tmp/chroot/upper /tmp/chroot/work /tmp/chroot/root
mount -t overlay overlay -o lowerdir=/,upperdir=/tmp/chroot/upper,workdir=/tmp/chroot/work /tmp/chroot/root
cp "$1" /tmp/chroot/root/upstreamd.deb
"""


@pytest.fixture
def inside(machine, debs):
    machine.box.sh(MAKE, debs[0])
    yield lambda script: machine.box.sh('chroot /tmp/chroot/root sh -euc "$1" 2>&1', script)
    machine.box.sh("umount /tmp/chroot/root; rm -r /tmp/chroot")


def test_an_installation_is_complete_for_the_first_boot(inside):
    inside("test ! -d /run/systemd/system; dpkg --install /upstreamd.deb")
    inside("systemctl is-enabled upstreamd.socket; ! systemctl is-enabled upstreamd.service")
    assert inside("stat -c '%a %U %G' /etc/upstreamd/clients/local").strip() == "640 root upstreamd"


def test_a_purge_leaves_nothing(inside):
    inside("dpkg --install /upstreamd.deb; dpkg --purge upstreamd")
    assert inside("find /etc /usr /var/lib/systemd /run -name '*upstreamd*'") == ""
    inside("! getent passwd upstreamd; ! getent group upstreamd")
