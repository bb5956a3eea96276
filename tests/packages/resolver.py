"""A name server for the tests: every name it is asked for is 127.0.0.1.

    resolver.py        # prints its address when it listens, on port 53; ends with its input
"""

import socket
import sys
import threading

HERE = ("127.0.0.53", 53)
ADDRESS = socket.inet_aton("127.0.0.1")


def answer(query):
    """RFC 1035: the question again, and for an A one record that points at its name."""
    name_ends = query.index(b"\0", 12) + 1
    question = query[12 : name_ends + 4]
    is_a = question[-4:-2] == b"\0\1"
    record = b"\xc0\x0c" + question[-4:] + (60).to_bytes(4, "big") + b"\0\4" + ADDRESS
    counts = b"\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
    return query[:2] + b"\x81\x80" + counts + question + (record if is_a else b"")


def serve(listener):
    while True:
        query, client = listener.recvfrom(512)
        listener.sendto(answer(query), client)


listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(HERE)
threading.Thread(target=serve, args=(listener,), daemon=True).start()
print(HERE[0], flush=True)
sys.stdin.read()
