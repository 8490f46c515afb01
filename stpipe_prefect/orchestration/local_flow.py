"""Moved to `.flows`; this module goes with the last who imports it."""

from .flows import LocalFlow

__all__ = ["LocalFlow"]
