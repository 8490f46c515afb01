"""Finding classes by the names users give."""

import sys

import pytest
from lantern.steps import ClipStep

from stpipe_prefect.exceptions import UnknownStepError
from stpipe_prefect.registry import find_step, import_object


def test_by_dotted_path():
    assert find_step("lantern.steps.ClipStep") is ClipStep
    assert import_object("lantern.steps.double").__name__ == "double"


def test_beside_a_parameter_file(tmp_path):
    path = sys.path[:]
    for number in ("one", "two"):
        folder = tmp_path / number
        folder.mkdir()
        (folder / "besides.py").write_text(f"number = {number!r}\n")
        assert import_object("besides.number", folder) == number
    assert sys.path == path
    with pytest.raises(UnknownStepError, match=r"Cannot import 'besides_not\.number'"):
        import_object("besides_not.number", tmp_path)


def test_what_is_installed_wins_over_what_lies_beside(tmp_path):
    (tmp_path / "lantern.py").write_text("raise SystemExit('imported the wrong one')")
    (tmp_path / "colorsys.py").write_text("raise SystemExit('imported the wrong one')")
    assert find_step("lantern.steps.ClipStep", tmp_path) is ClipStep
    assert import_object("colorsys.rgb_to_hsv", tmp_path)


def test_a_module_beside_that_fails(tmp_path):
    (tmp_path / "failing_module.py").write_text("import no_such_thing_at_all")
    with pytest.raises(UnknownStepError, match="No module named 'no_such_thing_at_all'"):
        import_object("failing_module.x", tmp_path)
    assert "failing_module" not in sys.modules
