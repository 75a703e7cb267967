"""Ports of 127.0.0.1 for servers that are started later, or again."""
import itertools
import os
import socket

FIRST, RANGE, EACH = 10_000, 20_000, 1_000  # below those that the kernel takes for outgoing connections
_numbers = itertools.count()


def free_port():
    """Test processes that run side by side have pids side by side, and here a thousand ports each."""
    begin = FIRST + os.getpid() * EACH % RANGE
    while True:
        port = begin + next(_numbers) % EACH
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
