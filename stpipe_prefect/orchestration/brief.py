"""Moved to `.artifacts`; this module goes with the last who imports it."""

from .artifacts import is_in_batch as is_brief

__all__ = ["is_brief"]
