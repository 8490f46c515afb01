"""Standard output and error that a command can rely on, wherever they lead."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO


def with_streams(run: Callable[[], int]) -> int:
    """Run a command; what becomes of its output does not stop it.

    A stream that is closed, or whose reader has gone (``| head``), leads nowhere from then on.
    Characters that its encoding lacks are written as escapes.
    """
    _open_descriptors()
    out, err = _Stream(sys.stdout, 1), _Stream(sys.stderr, 2)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = run()
        finally:
            out.flush()
            err.flush()
        if out.lost:
            print(f"standard output cannot be written to: {out.lost}", file=sys.stderr)
    return code or int(bool(out.lost))


def _open_descriptors() -> None:
    """Open the standard descriptors that are closed: else the next file gets their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


class _Stream:
    """A text stream; to write to it does not fail."""

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        # Python has None for one that was closed.
        self._stream = stream or open(descriptor, "w", closefd=False)  # noqa: SIM115
        self.lost = ""

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            encoding = error.encoding
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Have what is written from now on, and what is in buffers, go nowhere."""
        if not isinstance(error, BrokenPipeError):
            self.lost = self.lost or error.strerror or str(error)
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
