"""Clients of the service while something happens to it (tests/load)."""

import json
import subprocess
from contextlib import contextmanager

from boxes import BUILT, CLIENT_KEY, TCP


@contextmanager
def load(box, **plan):
    """Begins it, and waits until its streams are open."""
    options = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
    command = [BUILT / "examples" / "load", "--to", TCP, "--key", CLIENT_KEY, *options]
    with box.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        running = Load(process)
        running.read()
        running.lap()
        yield running
        process.stdin.close()
        running.rest = running.read()


class Load:
    def __init__(self, process):
        self.process = process

    def lap(self):
        """What happened since the last lap."""
        self.process.stdin.write("lap\n")
        self.process.stdin.flush()
        return self.read()

    def read(self):
        line = self.process.stdout.readline()
        assert line, "the load has ended"
        return json.loads(line)
