"""The port of a server."""

from __future__ import annotations

import errno
import socket


def take_port(host: str, port: int) -> socket.socket:
    """Take a port, so that one in use is told before a model is loaded; nothing listens there yet.

    Raises
    ------
    ValueError
        If there is no such address, or somebody else has the port.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise ValueError(f"--host {host}: {error.strerror}.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # As every server does: a port whose last connections have not quite ended is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            advice = f"Give another port, such as --port {port + 1 if port >= 1024 else 8000}."
        else:
            advice = "Give an address of this machine, such as --host 127.0.0.1."
        raise ValueError(f"--host {host} --port {port}: {error.strerror}. {advice}") from None
    return listener
