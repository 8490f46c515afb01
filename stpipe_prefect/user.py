"""The user that a process runs as, where the system has no entry for them."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from .exceptions import UsageError


def check_user() -> None:
    """Have a user name and a home, as libraries want when they are imported.

    jwst asks for the name, Prefect for the home. In containers and on batch systems there may be
    neither.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())
    folder = os.environ.get("PREFECT_HOME")
    try:
        home = Path.home()
    except RuntimeError:
        if not folder:
            raise UsageError(
                f"User {os.getuid()} has no home folder: set HOME, or PREFECT_HOME, to a folder "
                "that you may write to"
            ) from None
        home = Path(folder)
        os.environ["HOME"] = folder
    profiles = Path(folder or home / ".prefect") / "profiles.toml"
    try:
        profiles.exists()
    except PermissionError as error:
        raise UsageError(
            f"Prefect's folder {profiles.parent} cannot be read: set PREFECT_HOME to a folder "
            "that you may write to"
        ) from error
