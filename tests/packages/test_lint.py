"""What distributions' own checks say of the packages and of their scripts."""

import subprocess

from boxes import ROOT

PACKAGING = ROOT / "packaging"


def clean(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_lintian_has_nothing_to_say(released):
    # Not only of errors: of what it calls information and pedantry too. But for
    # words that it finds misspelt: they are in the machine code, other ones each time.
    said = clean("lintian", "--allow-root", "--display-info", "--pedantic", "--suppress-tags=spelling-error-in-binary", released["deb"])
    assert said == ""


def test_rpmlint_has_nothing_to_say(released):
    said = clean("rpmlint", "--config", PACKAGING / "rpm" / "rpmlint.toml", released["rpm"])
    assert "0 errors, 0 warnings" in said


def test_every_override_is_explained():
    for file in [*(PACKAGING / "deb" / "lintian").iterdir(), PACKAGING / "rpm" / "rpmlint.toml"]:
        before = ""
        for line in file.read_text().splitlines():
            if "upstreamd: " in line or line.startswith('    "'):
                assert before.strip().startswith("#"), f"{file.name}: {line}"
            before = line


def test_shellcheck_has_nothing_to_say():
    scripts = [PACKAGING / name for name in ("binary", "build", "files", "setup")]
    scripts += sorted((PACKAGING / "deb").glob("p*"))
    clean("shellcheck", *scripts, ROOT / "systemd" / "upstreamd-generator", *(ROOT / "systemd").glob("upgrade"))
