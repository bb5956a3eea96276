"""A box of each Debian with upstreamd installed, and upstreamd reset for each test."""

import json
import subprocess
from contextlib import contextmanager

import pytest

from boxes import BUILT, ROOT, SUITES, Service, a_process_for_each_debian, booted

# Where a package will put them.
INSTALL = """
install -m 755 "$1/upstreamd" /usr/bin/
cd "$2/systemd"
units=/usr/lib/systemd/system
install -m 644 *.socket *.service *.path $units/
install -D -m 755 upgrade /usr/lib/upstreamd/upgrade
install -m 644 sysusers.d/* /usr/lib/sysusers.d/
install -m 644 tmpfiles.d/* /usr/lib/tmpfiles.d/
install -m 644 upstreamd.catalog /usr/lib/systemd/catalog/
journalctl --update-catalog
# Drop-ins are linked by the generator.
install -D -m 644 -t /usr/lib/upstreamd/upstreamd.service.d upstreamd.service.d/*
install -D -m 755 -t /usr/lib/systemd/system-generators upstreamd-generator
systemd-sysusers upstreamd.conf
systemd-tmpfiles --create upstreamd.conf
systemctl daemon-reload
# No member of the group, and two, one of whom is in another one as well.
groupadd ci
useradd --no-create-home outsider
useradd --no-create-home --groups upstreamd member
useradd --no-create-home --groups upstreamd,ci builder
"""

pytest_collection_modifyitems = a_process_for_each_debian


@contextmanager
def with_upstreamd(suite):
    """A booted Debian that has it."""
    with booted(suite, ROOT, BUILT) as box:
        box.sh(INSTALL, BUILT, ROOT)
        yield box


@pytest.fixture(scope="session", params=SUITES)
def box(request):
    with with_upstreamd(request.param) as box:
        yield box


@contextmanager
def loopback_upstream(box, *options):
    """Inside; 50 ms between two words."""
    command = [BUILT / "examples" / "loopback-upstream", "50", *options]
    with box.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline())
        process.stdin.close()


@pytest.fixture(scope="session")
def upstream(box):
    with loopback_upstream(box) as upstream:
        yield upstream


@pytest.fixture
def service(box, upstream):
    service = Service(box, upstream)
    service.reset()
    yield service
