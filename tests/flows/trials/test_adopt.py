"""A trial becomes the base: whole at every moment, begun again if it was killed."""

import json
import signal
import subprocess
import sys
from shutil import copytree

import pytest

from flows.trials.folders import Trial
from flows.trials.main import main
from stpipe_prefect.provenance.record import find_record, looks_path, read_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own

KILLED = """
import os, signal, sys
calls = [0]
def stop(event, arguments):
    if event in ("os.rename", "os.remove", "os.link", "os.rmdir"):
        calls[0] += 1
        if calls[0] == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
from flows.trials.main import main
sys.addaudithook(stop)
sys.exit(main([sys.argv[1], "--adopt", "a"]))
"""


@pytest.fixture
def trial(base, calibrate):
    """A trial with another product than the base."""
    trial = Trial(base, "a")
    calibrate(trial.folder, clip={"low": 30.0})
    return trial


def pixels(folder):
    return json.loads((folder / "one_cal.row").read_text())["data"]


def test_base_has_the_products_of_the_trial_afterwards(base, trial, campaign, capsys, opened):
    expected = pixels(trial.folder)
    looks = looks_path(find_record(base / "one_cal.row").path)
    looks.write_text('{"of": "the base"}')
    (trial.folder / looks.name).write_text('{"of": "the trial"}')
    assert main([str(base), "--adopt", "a"]) == 0
    assert "trial" in looks.read_text()
    assert "trials/a is the base now: 1 runs adopted" in capsys.readouterr().out
    assert pixels(base) == expected
    assert not (base / "trials").exists()
    assert find_record(base / "one_cal.row").problems(verify=True) == []
    with opened() as files:
        (job,) = campaign(clip={"low": "30.0"}).planned()
    assert str(job.plans[0]) == "up to date"
    assert not [file for file in files if file.endswith("_cal.row")]
    assert main([str(base), "--adopt", "a"]) == 2
    assert "there is no trial 'a'" in capsys.readouterr().err


def test_killed_at_any_moment_products_are_whole_and_it_goes_on_the_next_time(base, trial):
    """The product that the base has is one that a record beside it names, or is being moved."""
    before, after = pixels(base), pixels(trial.folder)
    folder, number = base.parent, 1
    while True:
        number += 3
        copy = folder / f"killed{number}"
        copytree(base, copy)
        command = [sys.executable, "-c", KILLED, copy, str(number)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert pixels(copy) in (before, after)
        for path in copy.glob("*.provenance.json"):
            assert read_record(path).problems(verify=True) == []
        if (copy / "trials/a").exists():
            assert main([str(copy), "--adopt", "a"]) == 0
        assert pixels(copy) == after
        assert find_record(copy / "one_cal.row").problems(verify=True) == []
        assert not list((copy / "trials").glob("*"))
    assert number > 15


def test_product_of_the_base_that_somebody_changed_is_kept(base, trial, capsys):
    changed = (base / "one_cal.row").read_text() + "\n"
    (base / "one_cal.row").write_text(changed)
    assert main([str(base), "--adopt", "a"]) == 1
    assert "one_cal.row was changed since lantern_calibrate made it" in capsys.readouterr().err
    assert (base / "one_cal.row").read_text() == changed
    assert (trial.folder / "one_cal.row").exists()


def test_damaged_trial_is_not_adopted(base, trial, capsys):
    before = pixels(base)
    (trial.folder / "one_cal.row").write_text("{")
    assert main([str(base), "--adopt", "a"]) == 1
    assert "one_cal.row is damaged: calibrate the trial once more" in capsys.readouterr().err
    assert pixels(base) == before


def test_removed_trial_leaves_what_no_run_made_and_the_base_untouched(
    base, shared, campaign, capsys, opened
):
    (shared.folder / "notes.txt").write_text("mine")
    looks_path(find_record(shared.folder / "one_cal.row").path).write_text("{}")
    assert main([str(base), "--remove", "a"]) == 0
    assert "is kept, with files that no run made: notes.txt" in capsys.readouterr().err
    assert [path.name for path in shared.folder.iterdir()] == ["notes.txt"]
    with opened() as files:
        (job,) = campaign().planned()
    assert str(job.plans[0]) == "up to date"
    assert not [file for file in files if file.endswith("_cal.row")]


def test_list_says_in_what_trials_differ_and_what_they_share(base, trial, campaign, capsys):
    assert campaign(Trial(base, "b")).up_to_date()
    assert main([str(base), "--json"]) == 0
    of_base, a, b = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in (of_base, a, b)] == ["base", "a", "b"]
    assert [*a["differs"]] == ["parameter clip.low 1.0 → 30.0 (pipeline code → flow run)"]
    assert (a["shared_runs"], b["shared_runs"], b["differs"]) == (0, 1, {})
    size, own = ((folder / "one_cal.row").stat().st_size for folder in (base, trial.folder))
    assert (a["shared_bytes"], b["own_bytes"], b["shared_bytes"]) == (0, 0, size)
    assert (a["own_bytes"], of_base["own_bytes"]) == (own, 0)
    assert main([str(base)]) == 0
    assert "differs from the base in" in capsys.readouterr().out


def test_trial_without_products_is_not_adopted(tmp_path, capsys):
    (tmp_path / "trials/a").mkdir(parents=True)
    (tmp_path / "trials/a/notes.txt").touch()
    assert main([str(tmp_path), "--adopt", "a"]) == 1
    assert "trials/a is not adopted: it has no products, but notes.txt" in capsys.readouterr().err
    (tmp_path / "trials/a/notes.txt").unlink()
    assert main([str(tmp_path), "--remove", "a"]) == 0
    assert not (tmp_path / "trials").exists()
    assert main([str(tmp_path / "absent")]) == 2
    assert "absent: expected the folder of the base" in capsys.readouterr().err
