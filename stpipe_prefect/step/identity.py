"""Who a step is: its name, its parent, its loggers."""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Self

LOGGER_NAME = "stpipe"
"""Missions show and record the lines of the loggers they name, and they name this one."""


class Member:
    """One of a family: a pipeline and its steps.

    Attributes
    ----------
    class_alias : str or None
        Short name of the class, under which products record it; unique within a package.
    name : str
        Of this instance; in a pipeline, the one it has there.
    qualified_name : str
        The same with those of its ancestors, and that of its logger.
    parent : Step or None
        The pipeline it belongs to.
    config_file : str or None
        The parameter file it was configured from.
    """

    class_alias: ClassVar[str | None] = None
    _log_records_formatter: ClassVar[logging.Formatter | None] = None

    name: str
    qualified_name: str
    parent: Self | None
    config_file: str | None

    @property
    def log(self) -> logging.Logger:
        """The logger that bears the step's qualified name."""
        return logging.getLogger(self.qualified_name)

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Name the loggers whose records belong to a run; for missions to override.

        Returns
        -------
        tuple of str
            ``"py.warnings"`` among them stands for Python's warnings, ``"CRDS"`` for the
            crds client. By default everything that is logged.
        """
        return ("root",)

    def search_attr(self, attribute: str, default: Any = None, parent_first: bool = False) -> Any:
        """Find the first value other than None among a step and its ancestors.

        Parameters
        ----------
        attribute : str
            Name of the attribute.
        default : object
            What to return where none has a value.
        parent_first : bool
            Start at the outermost ancestor instead of at the step.
        """
        lineage = [self]
        while (ancestor := lineage[-1].parent) is not None:
            lineage.append(ancestor)
        for member in reversed(lineage) if parent_first else lineage:
            value = getattr(member, attribute, None)
            if value is not None:
                return value
        return default
