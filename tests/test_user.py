"""A process of a user that the system does not know."""

import getpass
import os
import pwd
from pathlib import Path

import pytest

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.user import check_user


@pytest.fixture
def unknown(monkeypatch):
    def nobody(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for variable in ("HOME", "PREFECT_HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


def test_user_without_a_name_has_a_number(unknown, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    check_user()
    assert getpass.getuser() == str(os.getuid())
    assert Path.home() == tmp_path


def test_no_home_at_all(unknown):
    with pytest.raises(UsageError) as caught:
        check_user()
    assert str(caught.value) == (
        f"User {os.getuid()} has no home folder: set HOME, or PREFECT_HOME, to a folder that you "
        "may write to"
    )


def test_known_user_is_left_alone(monkeypatch):
    before = dict(os.environ)
    check_user()
    assert dict(os.environ) == before
