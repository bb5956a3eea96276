"""Clients of the service while something happens to it (tests/load)."""

import json
import subprocess
from contextlib import contextmanager

from boxes import BUILT, CLIENT_KEY, TCP

# With pipes, and in a session of its own: the scheduler gives each session the
# same share of a busy machine (autogroup), whatever else pytest's is doing.
ALONE = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}


@contextmanager
def load(box, **plan):
    """Begins it, and waits until its streams are open."""
    options = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
    command = [BUILT / "examples" / "load", "--to", TCP, "--key", CLIENT_KEY, *options]
    with box.start(*command, **ALONE) as process:
        running = Load(process)
        running.read()
        running.lap()
        yield running


class Load:
    def __init__(self, process):
        self.process = process

    def lap(self):
        """What happened since the last lap."""
        self.process.stdin.write("lap\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        """Begins nothing new, and waits for what runs; the last lap."""
        self.process.stdin.close()
        return self.read()

    def read(self):
        line = self.process.stdout.readline()
        assert line, "the load has ended"
        return json.loads(line)


def failures(lap):
    """What went wrong for any client."""
    kinds = [lap["streams"]["cut"], lap["requests"]["failed"], lap["kept"]["failed"]]
    return {fault: count for kind in kinds for fault, count in kind.items()}


def slowest_connect(lap):
    return lap["connects"]["others_ms"]["max"]


def side_by_side(title, laps):
    """A table; each lap has a name."""
    def times(of):
        return " / ".join(f"{of[part]:.0f}" for part in ("p50", "p99", "max"))

    rows = {
        "streams whole": lambda lap: lap["streams"]["whole"],
        "streams cut": lambda lap: sum(lap["streams"]["cut"].values()),
        "requests answered": lambda lap: lap["requests"]["answered"] + lap["kept"]["answered"],
        "requests failed": lambda lap: sum((lap["requests"]["failed"] | lap["kept"]["failed"]).values()),
        "connects": lambda lap: lap["connects"]["at_once"],
        "  not at once, slowest (ms)": lambda lap: f"{slowest_connect(lap):.0f}",
        "fewest streams open": lambda lap: lap["streams"]["least_open"],
        "first event (ms: median / 99 % / most)": lambda lap: times(lap["streams"]["first_byte_ms"]),
        "request (the same)": lambda lap: times(lap["requests"]["ms"]),
        "request on a kept connection": lambda lap: times(lap["kept"]["ms"]),
    }
    lines = [f"{title:<40}" + "".join(f"{name:>22}" for name in laps)]
    lines += [f"{row:<40}" + "".join(f"{value(lap)!s:>22}" for lap in laps.values()) for row, value in rows.items()]
    return "\n".join(lines)
