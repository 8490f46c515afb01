"""Moved to `.batch`; this module goes with the last who imports it."""

from .batch import task_runner

__all__ = ["task_runner"]
