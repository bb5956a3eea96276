"""The two ends of the benchmark: the upstream process and the clients, all of
them `bench-load` (src/main.rs), which talk to the run in lines of JSON."""

import contextlib
import json
import subprocess
import threading

import cores
from proxies import Failed

CLIENT_LIMIT_S = 90


class Upstream:
    """The TLS upstream, for the length of a run."""

    def __init__(self, load, directory):
        with cores.on(cores.ENDS):
            self.process = subprocess.Popen(
                [load, "upstream", str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self.port = phase(self.process, "listening")["port"]

    def finish(self):
        """Ends all streams at their next event."""
        print("finish", file=self.process.stdin, flush=True)

    def sent(self):
        """Events sent since the last call."""
        print("sent", file=self.process.stdin, flush=True)
        return phase(self.process, "sent")["events"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


@contextlib.contextmanager
def client(load, *words):
    """A client; it is bounded in time, and its failure is the run's."""
    with cores.on(cores.ENDS):
        process = subprocess.Popen(
            [load, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
    limit = threading.Timer(CLIENT_LIMIT_S, process.kill)
    limit.start()
    try:
        yield lambda name: phase(process, name)
        if process.wait() != 0:
            raise Failed(f"the client failed: {words}")
    finally:
        limit.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()


def phase(process, name):
    """Waits for the line by which a process says that a phase begins."""
    line = process.stdout.readline()
    if not line:
        raise Failed(f"bench-load ended before it said {name!r}: {process.args}")
    said = json.loads(line)
    if said["phase"] != name:
        raise Failed(f"bench-load said {said['phase']!r} in place of {name!r}")
    return said
