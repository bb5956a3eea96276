"""The generator gives units what the running systemd can do, and no more."""

import subprocess

import pytest

from boxes import ROOT

GENERATOR = ROOT / "systemd" / "upstreamd-generator"


@pytest.mark.parametrize(
    "version, added",
    [("252 (252.38-1~deb12u1)", []), ("254", ["10"]), ("256.7-1.fc41", ["10"]), ("257 (257.9-1)", ["10", "20"]), ("260~rc1", ["10", "20"])],
)
def test_drop_ins_are_for_the_version_in_their_name_or_later(tmp_path, version, added):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho 'systemd {version}'\necho '+PAM +AUDIT'\n")
    systemctl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "UPSTREAMD_DROP_INS": str(ROOT / "systemd")}
    subprocess.run([GENERATOR, tmp_path, tmp_path, tmp_path], env=environment, check=True)
    for unit in ("upstreamd.service", "upstreamd@.service"):
        made = sorted((tmp_path / f"{unit}.d").glob("*"))
        assert [link.name.split("-")[0] for link in made] == added
        assert all(link.resolve().is_file() for link in made)
