"""Runs a command on a terminal of its own, for tests/it/top.rs.

    pty.py COLUMNS ROWS COMMAND...

What the command writes comes out of standard output as it is. Lines of standard
input say what to do: `type TEXT` (with Python's escapes), `size COLUMNS ROWS`,
`kill SIGNAL`. At the end standard error has one line: the exit status, negative
after a signal, and whether the terminal is as it was before.
"""

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios


def resize(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


def obey(line, ours, child):
    verb, _, rest = line.partition(" ")
    if verb == "type":
        os.write(ours, rest.encode().decode("unicode_escape").encode())
    elif verb == "size":
        resize(ours, *rest.split())
    elif verb == "kill":
        child.send_signal(getattr(signal, f"SIG{rest}"))
    else:
        sys.exit(f"pty.py: {line}")


def main():
    columns, rows, *command = sys.argv[1:]
    ours, its = os.openpty()
    resize(ours, columns, rows)
    before = termios.tcgetattr(its)
    # A session of its own, whose terminal this is: signals of its window reach it.
    child = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    pending, inputs = b"", [ours, 0]
    while True:
        ready, _, _ = select.select(inputs, [], [], 0.02)
        if ours in ready:
            os.write(1, os.read(ours, 65536))
        elif child.poll() is not None:
            break
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                inputs.remove(0)
            pending += read
            *lines, pending = pending.split(b"\n")
            for line in lines:
                obey(line.decode(), ours, child)
    same = termios.tcgetattr(its) == before
    print(child.returncode, "restored" if same else "changed", file=sys.stderr, flush=True)


main()
