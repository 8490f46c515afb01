"""Showing how long downloads get on: to who listens, and as a progress bar of the task run."""

from __future__ import annotations

import time
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from ..execution.events import DownloadProgress, report

LONG = 2.0
"""Seconds after which a download has a progress bar, and between two updates of it."""


class Downloads:
    """Follows the downloads of one task; give it to `prefetch` as ``on_progress``."""

    def __init__(self) -> None:
        self._file = ""
        self._shown = 0.0
        self._bar: Any = None

    def __call__(self, file: str, received: int, size: int) -> None:
        """Take note of what has arrived."""
        report(DownloadProgress(file, received, size))
        now = time.monotonic()
        if file != self._file:
            self._file, self._shown, self._bar = file, now, None
        done = received >= size
        if now - self._shown > LONG or (done and self._bar is not None):
            percent = 100.0 * received / max(size, 1)
            if self._bar is None:
                self._bar = create_progress_artifact(percent, description=f"Fetching {file}")
            else:
                update_progress_artifact(self._bar, percent)
            self._shown = now
