"""How a process talks to the warm one: JSON and open files through a socket of the system.

Nothing heavy is imported here: every command begins with this.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

_LENGTH = struct.Struct("!I")
_MOST_FILES = 8


def send(connection: socket.socket, message: Message, files: Sequence[int] = ()) -> None:
    """Send a message, and with it files that are open here."""
    content = json.dumps(message).encode("utf-8", "surrogateescape")
    content = _LENGTH.pack(len(content)) + content
    sent = socket.send_fds(connection, [content], files)  # mostly at once, as signals want it
    if sent < len(content):
        connection.sendall(content[sent:])


def receive(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """Wait for a message, and the files that come with it; None if the other side has gone."""
    header, files, _, _ = socket.recv_fds(connection, _LENGTH.size, _MOST_FILES)
    try:
        return _content(connection, header), files
    except BaseException:
        for file in files:
            os.close(file)
        raise


def _content(connection: socket.socket, header: bytes) -> Message | None:
    while 0 < len(header) < _LENGTH.size:
        header += _some(connection, _LENGTH.size - len(header))
    if not header:
        return None
    (missing,) = _LENGTH.unpack(header)
    content = bytearray()
    while len(content) < missing:
        content += _some(connection, missing - len(content))
    message: Message = json.loads(content.decode("utf-8", "surrogateescape"))
    return message


def _some(connection: socket.socket, size: int) -> bytes:
    content = connection.recv(size)
    if not content:
        raise ConnectionResetError("the other side has gone in the middle of a message")
    return content


def is_of_this_user(connection: socket.socket) -> bool:
    """Tell whether the process at the other end is this user's."""
    if not hasattr(socket, "SO_PEERCRED"):  # other systems: the folder of the socket is private
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    user: int = struct.unpack("3i", credentials)[1]
    return user == os.getuid()
