"""A damaged input is refused in one line, and the others go on: run, plan and reprocessing."""

import os

import pytest

from flows.calibrate import command
from flows.calwebb.mission import JWST
from flows.reprocess.survey import survey
from stpipe_prefect.references.context import pinned_context

# jwst has stpipe ask crds, which means to change
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock' is deprecated:DeprecationWarning")

NOT_UTF8 = os.fsdecode(b"jw3\xff_uncal.fits")


@pytest.fixture
def night(uncal, tmp_path, monkeypatch):
    """Make a folder of one whole exposure and five that are not; give what is to be said."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "night"
    folder.mkdir()
    (folder / uncal.name).symlink_to(uncal)
    content = uncal.read_bytes()
    for name, card, column, byte in (
        ("jw1_uncal.fits", b"NGROUPS ", 26, b'"'),
        ("jw2_uncal.fits", b"XTENSION", 20, b"!"),
        ("jw4_uncal.fits", b"EXP_TYPE", 2, b"!"),
    ):
        place = content.index(card) + column
        (folder / name).write_bytes(content[:place] + byte + content[place + 1 :])
    (folder / "x_uncal.fits").mkdir()
    (folder / NOT_UTF8).symlink_to(uncal)
    return folder, {
        "jw1_uncal.fits": "not a readable FITS file: Unparsable card (NGROUPS)",
        "jw2_uncal.fits": "not a readable FITS file: ",
        r"jw3\xff_uncal.fits": "its path is not UTF-8, so no provenance record can",
        "jw4_uncal.fits": "no EXP_TYPE in its primary header",
        "x_uncal.fits": "is a folder",
    }


def check_lines(lines, folder, problems):
    assert len(lines) == len(problems)
    for line, (name, problem) in zip(sorted(lines), problems.items(), strict=True):
        assert line.startswith(f"{folder / name}: {problem}")


@pytest.mark.parametrize("by", ["folder", "name"])
def test_the_command_refuses_it_and_runs_the_others(night, uncal, monkeypatch, capsys, by):
    folder, problems = night
    named = [folder] if by == "folder" else sorted(folder.iterdir())
    runs = []
    monkeypatch.setattr(command, "_start_processes", lambda mission: None)
    monkeypatch.setattr("stpipe_prefect.references.context.resolve_context", lambda *args: "any")
    monkeypatch.setattr(
        command.Command, "_run_campaign", lambda self, campaign, *_: runs.append(campaign)
    )
    monkeypatch.setattr(type(JWST), "load_flow", lambda mission: None)
    if by == "name":  # a folder stands for what is in it
        named.remove(folder / "x_uncal.fits")
        problems.pop("x_uncal.fits")
    assert command.main(JWST, [*map(str, named), "--output-dir=out"]) == 1
    assert [[job.input for job in run.jobs] for run in runs] == [[folder / uncal.name]]
    lines = [line.removeprefix("calwebb: ") for line in capsys.readouterr().err.splitlines()]
    check_lines(lines, folder, problems)


def test_the_plan_refuses_it_and_plans_the_others(night, uncal, crds_path, capsys):
    folder, problems = night
    assert command.main(JWST, [str(folder), "--plan", "--output-dir=out"]) == 1
    out, err = capsys.readouterr()
    assert f"{uncal.name}  calwebb_detector1  will run: no product" in out
    check_lines([line.removeprefix("calwebb: ") for line in err.splitlines()], folder, problems)


def test_reprocessing_refuses_it_and_surveys_the_others(night, uncal, crds_path):
    folder, problems = night
    with pinned_context("jwst", "jwst_0001.pmap") as context:
        items = list(survey([folder], context))
    assert [item.input.name for item in items if item.stale] == [uncal.name]
    check_lines([item.error for item in items if item.error], folder, problems)


def test_a_count_rate_image_that_no_pipeline_takes_is_no_obstacle(with_header, crds_path):
    whole = with_header("jw1_rate.fits")
    other = with_header("jw2_rate.fits", EXP_TYPE="NRC_DARK")
    with pinned_context("jwst", "jwst_0001.pmap") as context:
        items = {item.input: item for item in survey([whole.parent], context)}
    assert items[whole].stale and not items[whole].error
    assert items[other].error.startswith(f"{other}: no pipeline takes rate files of EXP_TYPE")


def test_output_folder_that_no_record_can_name(uncal, tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"out\xff")
    assert command.main(JWST, [str(uncal), f"--output-dir={folder}"]) == 1
    assert capsys.readouterr().err == (
        f"calwebb: Output folder {tmp_path}/out\\xff: its path is not UTF-8, so no provenance "
        "record can name it: choose another\n"
    )
    assert not folder.exists()


@pytest.fixture
def crds_path(small, monkeypatch):
    from crds.core import utils

    for name in ("CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))
    utils.clear_function_caches()
    yield
    utils.clear_function_caches()
