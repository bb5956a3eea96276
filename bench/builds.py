"""Release builds of what is measured."""

import os
import subprocess
import sys
from pathlib import Path

from proxies import Failed

ROOT = Path(__file__).resolve().parent.parent


def build(binary, crate):
    """Both crates in one target directory, so that dependencies compile once."""
    print(f"cargo build --release: {binary}", file=sys.stderr)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    command = ["cargo", "build", "--release", "--quiet", "--locked", "--bin", binary, "--target-dir", str(target)]
    if subprocess.run(command, cwd=crate).returncode != 0:
        raise Failed(f"{binary} does not build")
    return target / "release" / binary
