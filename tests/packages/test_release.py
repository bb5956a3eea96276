"""The packages that `make packages` leaves: the release build."""

import json
import os
import subprocess
import tomllib
import zlib
from hashlib import sha256

import pytest

from boxes import ROOT


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options).stdout


@pytest.fixture(scope="module")
def binary(released, tmp_path_factory):
    root = tmp_path_factory.mktemp("released")
    run("dpkg-deb", "--extract", released["deb"], root)
    return root / "usr" / "bin" / "upstreamd"


def test_the_release_package_serves(machine, released):
    machine.install(released["deb"])
    assert machine.box.sh("dpkg --verify upstreamd") == ""
    machine.configure()
    assert machine.service.is_served()
    assert machine.service.is_served(unix=True)


def test_it_depends_on_nothing_that_debian_12_has_not(released):
    depends = run("dpkg-deb", "--field", released["deb"], "Depends", text=True).strip()
    names = {each.split()[0] for each in depends.split(", ")}
    # Installed by apt in both boxes, which have no network; so these were enough.
    assert names == {"libc6", "libgcc-s1", "ca-certificates", "systemd"}


def test_no_path_of_this_machine_is_in_the_binary(binary):
    content = binary.read_bytes()
    for path in {str(ROOT), os.environ.get("CARGO_HOME", os.path.expanduser("~/.cargo")), os.path.expanduser("~/")}:
        assert path.encode() not in content


def test_the_binary_has_the_list_of_its_dependencies(binary, tmp_path):
    section = tmp_path / "section"
    run("objcopy", "--dump-section", f".dep-v0={section}", binary, tmp_path / "copy")
    listed = {(each["name"], each["version"]) for each in json.loads(zlib.decompress(section.read_bytes()))["packages"]}
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    assert listed <= {(each["name"], each["version"]) for each in locked}
    assert {"rustls", "hyper", "tokio", "upstreamd"} <= {name for name, _ in listed}


def test_packed_twice_it_is_the_same_bytes(binary, tmp_path):
    here = packed(ROOT, tmp_path / "here", binary, umask=0o22)
    there = packed(clone(tmp_path), tmp_path / "there", binary, umask=0o77)
    assert here == there and len(here) == 2


# Minutes of compiling, so only if asked for: UPSTREAMD_REBUILD=1.
if "UPSTREAMD_REBUILD" in os.environ:

    @pytest.mark.timeout(1800)
    def test_built_twice_it_is_the_same_bytes(released, tmp_path):
        sources = clone(tmp_path)
        environment = os.environ | {"CARGO_TARGET_DIR": str(sources / "target")}
        run(sources / "packaging" / "build", "--out", tmp_path / "there", env=environment)
        for package in released.values():
            assert digest(tmp_path / "there" / package.name) == digest(package)


def clone(tmp_path):
    """The sources in another directory."""
    run("git", "clone", "--quiet", ROOT, tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def packed(sources, out, binary, umask):
    run(sources / "packaging" / "build", "--binary", binary, "--out", out, umask=umask)
    return {package.name: digest(package) for package in out.iterdir()}


def digest(file):
    return sha256(file.read_bytes()).hexdigest()
