"""Inputs that failed, written into campaign files."""

import tomllib

import pytest

from flows.calibrate.exclusions import write_exclusions
from stpipe_prefect.exceptions import UsageError

FAILED = {"a_uncal.fits": 'no "science"', "b_uncal.fits": "truncated: 3 \\ 4 bytes"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "campaign.toml"


def test_new_file_holds_the_table_alone(file):
    assert write_exclusions(file, FAILED) == 2
    assert tomllib.loads(file.read_text()) == {"exclude": FAILED}


@pytest.mark.parametrize(
    "text",
    [
        'inputs = ["a"]  # mine',
        'inputs = ["a"]\r\n\r\n[exclude]  # bad\r\n"c*" = "moon"\r\n\r\n[[for]]\r\nwhen = {}\r\n',
        "note = '''\nin it\n'''\n[exclude]",
        '[exclude]\n\n"b_uncal.fits" = "by hand"\n[calwebb_image3]\nb = [\n1,\n]\n',
    ],
)
def test_all_else_in_a_file_stays_byte_for_byte(file, text):
    file.write_bytes(text.encode())
    before = tomllib.loads(text)
    count = write_exclusions(file, FAILED)
    made = file.read_bytes().decode()
    known = before.get("exclude", {})
    assert tomllib.loads(made) == before | {"exclude": FAILED | known}
    assert count == len(FAILED.keys() - known)
    added = [line for line in made.splitlines() if line.startswith(('"a_uncal', '"b_uncal'))]
    rest = [line for line in made.splitlines() if line not in added]
    kept = [line for line in text.splitlines() if line not in added]
    assert rest[: len(kept)] == kept
    assert ("\r\n" in text) == ("\r\n" in made)
    assert write_exclusions(file, FAILED) == 0
    assert file.read_bytes().decode() == made


@pytest.mark.parametrize("text", ["[exclude]\n", 'inputs = ["a"]\n'])
def test_byte_order_mark_stays(file, text):
    file.write_text(text, encoding="utf-8-sig")
    assert write_exclusions(file, FAILED) == 2
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert tomllib.loads(file.read_text(encoding="utf-8-sig"))["exclude"] == FAILED


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("inputs = [", "not a readable TOML file: "),
        ('exclude = {"c" = "d"}\n', "exclude: expected a table, [exclude], to add"),
        ("text = '''\n[exclude]\n'''\n", "exclude: expected a table, [exclude], to add"),
    ],
)
def test_file_that_cannot_be_added_to_is_left_alone(file, text, problem):
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        write_exclusions(file, FAILED)
    assert str(raised.value).startswith(f"{file}: {problem}")
    assert file.read_text() == text
