"""Moved to `.artifacts`; this module goes with the last who imports it."""

from .artifacts import BatchProgress, show_batch

__all__ = ["BatchProgress", "show_batch"]
