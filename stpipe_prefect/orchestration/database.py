"""The SQLite database of an embedded server: the usual one, or a fresh one where that is broken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp

CHECKED = 100_000_000
"""Bytes up to which every page of a database is looked at: 0.1 s."""

NEEDED = 1_000_000
"""Bytes that have to be free: a run of a pipeline takes some hundred thousand."""


def usable_database(database: Path) -> tuple[Path, str]:
    """Find a database that a server can record runs in, and say why if it is another one.

    That is this one, or else the first beside it that is of use, or one in a temporary folder.
    """
    problem = _problem(database)
    if not problem:
        return database, ""
    beside = (database.with_stem(f"{database.stem}-{number}") for number in range(2, 10))
    usable = (other for other in beside if not _problem(other))
    other = next(usable, None) or Path(mkdtemp()) / database.name
    return other, (
        f"Prefect's database {database} cannot be used ({problem}): runs are recorded in {other}; "
        "repair or move the file, or set PREFECT_HOME to another folder"
    )


def _problem(database: Path) -> str:
    """Say why runs cannot be recorded in a file, or nothing."""
    try:
        with TemporaryFile(dir=database.parent) as file:
            file.write(bytes(NEEDED))
        with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
            if database.stat().st_size < CHECKED:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    return str(found).splitlines()[-1]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return "" if _is_known(connection) else "it was made by a newer Prefect"
    except sqlite3.Error as error:
        return "" if "locked" in str(error) else str(error)  # somebody writes into it just now
    except OSError as error:
        return str(error.strerror)


def _is_known(connection: sqlite3.Connection) -> bool:
    """Tell whether this Prefect has heard of the version of a database."""
    from .workarounds import is_known_revision

    try:
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.OperationalError:  # no such table: Prefect has yet to make it
        return True
    return all(is_known_revision(version) for (version,) in versions)
