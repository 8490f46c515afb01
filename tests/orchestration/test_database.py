"""Which database an embedded server records in."""

import sqlite3
from contextlib import closing

import pytest

from stpipe_prefect.orchestration.database import usable_database


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "prefect.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE run (name TEXT)")
        made.execute("CREATE INDEX names ON run (name)")
        made.executemany("INSERT INTO run VALUES (?)", [(f"run {i}" * 50,) for i in range(500)])
        made.commit()
    return path


def test_usual_one_if_it_is_whole(database):
    before = database.read_bytes()
    assert usable_database(database) == (database, "")
    assert database.read_bytes() == before


def test_none_yet(tmp_path):
    assert usable_database(tmp_path / "prefect.db") == (tmp_path / "prefect.db", "")


def test_damaged_page(database):
    content = bytearray(database.read_bytes())
    content[8192:12288] = bytes(4096)
    database.write_bytes(content)
    found, problem = usable_database(database)
    assert found == database.with_name("prefect-2.db")
    assert problem.startswith(f"Prefect's database {database} cannot be used (")
    assert problem.endswith("repair or move the file, or set PREFECT_HOME to another folder")


def test_newer_prefect(database):
    with closing(sqlite3.connect(database)) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES ('0123456789ab')")
        made.commit()
    found, problem = usable_database(database)
    assert found == database.with_name("prefect-2.db")
    assert "(it was made by a newer Prefect)" in problem


def test_one_that_somebody_writes_into_is_whole(database):
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert usable_database(database) == (database, "")
        other.execute("ROLLBACK")


def test_fresh_one_is_used_again(database):
    database.write_text("no database")
    database.with_name("prefect-2.db").write_text("nor is this")
    assert usable_database(database)[0] == database.with_name("prefect-3.db")
    assert usable_database(database)[0] == database.with_name("prefect-3.db")


def test_folder_that_cannot_be_written_to(tmp_path):
    found, problem = usable_database(tmp_path / "absent" / "prefect.db")
    assert found.name == "prefect.db"
    assert found.parent.is_dir()
    assert "(No such file or directory): runs are recorded in" in problem
