"""Packages of the debug build in two versions, and a box of each Debian for them."""

import json
import subprocess
from pathlib import Path

import pytest

from boxes import BUILT, ROOT, SUITES, Service, a_process_for_each_debian, booted
from machine import Machine

PACKAGES = BUILT.parent / "packages"

VERSIONS = ["0.1.0+1", "0.1.0+2"]

pytest_collection_modifyitems = a_process_for_each_debian


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """The directory of the packages that a box sees."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="session")
def debs(shelf):
    """The debug build as two versions; the second ships another configuration."""
    first, second = (build(shelf, version, "deb") for version in VERSIONS)
    edit(second, 'echo "# Of the second version." >>etc/upstreamd/upstreamd.toml')
    return first, second


@pytest.fixture(scope="session")
def rpms(shelf):
    return [build(shelf, version, "rpm") for version in VERSIONS]


def build(shelf, version, family):
    command = [ROOT / "packaging" / "build", "--binary", BUILT / "upstreamd", "--version", version, "--out", shelf, family]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (made,) = shelf.glob(f"upstreamd[_-]{version}[_-]*.{family}")
    return made


def edit(deb, script):
    """Changes what a package has, by a shell script that runs in its root."""
    root = deb.with_suffix("")
    subprocess.run(["dpkg-deb", "--raw-extract", deb, root], check=True)
    subprocess.run(["sh", "-euc", script], cwd=root, check=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, deb], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session", params=SUITES)
def box(request, shelf):
    with booted(request.param, ROOT, BUILT, shelf, *filter(Path.exists, [PACKAGES])) as box:
        # The group is the package's, so who is in it joins later.
        box.sh("useradd --no-create-home outsider; useradd --no-create-home member")
        yield box


@pytest.fixture(scope="session")
def upstream(box):
    """The loopback upstream, inside; 50 ms between two words."""
    command = [BUILT / "examples" / "loopback-upstream", "50"]
    with box.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield json.loads(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def machine(box, upstream):
    """A machine without upstreamd, as it was before the first installation."""
    machine = Machine(Service(box, upstream))
    yield machine
    machine.clean()


@pytest.fixture(scope="session")
def released():
    """The packages of the release build, as `make packages` leaves them."""
    found = {family: list(PACKAGES.glob(f"*.{family}")) for family in ("deb", "rpm")}
    if not all(found.values()):
        pytest.skip("there is no package of the release build; `make packages` makes it")
    return {family: max(packages, key=lambda package: package.stat().st_mtime) for family, packages in found.items()}
