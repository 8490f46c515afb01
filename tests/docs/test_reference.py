"""What the pages say there is, is there; and what there is, they say."""

import re

import pytest
from pages import PAGES, ROOT, blocks

from stpipe_prefect.cli.main import _parser
from stpipe_prefect.orchestration.deployments import PREFIX, DeploymentSettings
from stpipe_prefect.provenance.record import Record

VARIABLE = re.compile(r"\bSTPIPE_[A-Z_]*[A-Z]\b(?!_)")
DOCS = ROOT / "docs"


def variables(*paths):
    return {name for path in paths for name in VARIABLE.findall(path.read_text())}


def rows(page):
    """Give the first cell of each row of a page's tables."""
    return re.findall(r"^\| (`[^|]*) \|", page.read_text(), re.MULTILINE)


def test_settings_are_those_of_the_code():
    fields = {f"{PREFIX}{name.upper()}" for name in DeploymentSettings.model_fields}
    code = variables(*ROOT.glob("stpipe_prefect/**/*.py"), *ROOT.glob("flows/**/*.py")) | fields
    table = {cell.strip("`") for cell in rows(DOCS / "settings.md") if "STPIPE_" in cell}
    assert table == code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_settings_that_exist(page):
    assert variables(page) <= variables(DOCS / "settings.md")


def test_defaults_of_switches():
    shown = re.findall(
        r"^\| `(STPIPE_PREFECT_ALLOW_\w+)` \| (\w+) \|", (DOCS / "settings.md").read_text(), re.M
    )
    defaults = {name: field.default for name, field in DeploymentSettings.model_fields.items()}
    assert len(shown) == 4
    assert all(defaults[n.removeprefix(PREFIX).lower()] == (d == "true") for n, d in shown)


def test_every_command_is_in_the_reference():
    (subcommands,) = (
        a for a in _parser()._actions if hasattr(a, "choices") and a.dest == "command"
    )
    flows = [path.parent.name for path in ROOT.glob("flows/*/__main__.py")]
    expected = {
        "python -m stpipe_prefect --help",
        *(f"python -m stpipe_prefect {name} --help" for name in subcommands.choices),
        *(f"python -m flows.{name} --help" for name in flows),
    }
    assert {c for block in blocks(DOCS / "cli.md") for c in block.commands} == expected


def test_every_field_and_statistic_of_the_provenance_record():
    from dataclasses import fields

    from stpipe_prefect.provenance.dependencies import Dependencies

    known = {f.name for f in fields(Record)} - {"path", "dependencies"}
    known |= {f.name for f in fields(Dependencies)} | {"fingerprint"}
    code = (ROOT / "stpipe_prefect/provenance/statistics.py").read_text()
    known |= set(re.findall(r'yield "(\w+)"', code))
    named = {name for cell in rows(DOCS / "provenance.md") for name in re.findall(r"`(\w+)`", cell)}
    assert named == known


def test_modules_that_the_design_names_are_there():
    house = next(
        block.text for block in blocks(DOCS / "design.md") if "stpipe_prefect/" in block.text
    )
    folders: list[tuple[int, str]] = []
    named = set()
    for line in house.splitlines():
        indent = len(line) - len(line.lstrip())
        word = line.split()[0]
        folders = [(depth, name) for depth, name in folders if depth < indent]
        if word.endswith("/"):
            folders.append((indent, word))
        named.add("".join(name for _, name in folders) + ("" if word.endswith("/") else word))
    absent = {name for name in named if not (ROOT / name).exists()}
    assert absent == set()
    modules = {
        f"stpipe_prefect/orchestration/{p.name}"
        for p in ROOT.glob("stpipe_prefect/orchestration/*.py")
    }
    assert modules - {"stpipe_prefect/orchestration/__init__.py"} <= named


def test_functions_that_the_design_walks_through_are_there():
    walked = re.findall(r"^\d+\. `([\w/]+\.py):(\w+)`", (DOCS / "design.md").read_text(), re.M)
    assert len(walked) > 20
    for file, name in walked:
        assert re.search(rf"^ *(def|class) {name}\b", (ROOT / file).read_text(), re.M), (file, name)
