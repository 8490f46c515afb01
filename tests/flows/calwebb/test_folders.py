"""Folders are named with ``~`` and environment variables wherever a user names one."""

import pytest

from flows.calibrate import command
from flows.calwebb.mission import JWST
from flows.reprocess.archive import folders_of
from stpipe_prefect.provenance.checkpoints import checkpoint_folder

NAMED = pytest.mark.parametrize("named", ["~/there", "$HOME/there"])


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/there").mkdir(parents=True)
    return tmp_path / "home/there"


@NAMED
def test_command_takes_exposures_from_and_has_products_go_there(uncal, there, monkeypatch, named):
    (there / uncal.name).symlink_to(uncal)
    calls = []
    monkeypatch.setattr(command, "_start_processes", lambda mission: None)
    monkeypatch.setattr("stpipe_prefect.references.context.resolve_context", lambda *args: "any")
    monkeypatch.setattr(
        command.Command, "_run_campaign", lambda self, campaign, *_: calls.append(campaign)
    )
    monkeypatch.setattr(type(JWST), "load_flow", lambda mission: None)
    assert command.main(JWST, [named, f"--output-dir={named}/p"]) == 0
    (campaign,) = calls
    assert [job.input for job in campaign.jobs] == [there / uncal.name]
    assert campaign.output_dir == there / "p"
    assert not any(path.name.startswith(("~", "$")) for path in there.parent.parent.iterdir())


@NAMED
def test_reprocess_looks_into_archives_there(there, named, uncal):
    (there / uncal.name).symlink_to(uncal)
    ((mission, found),) = folders_of([named])
    assert (mission, found) == (JWST, [there / uncal.name])


@NAMED
def test_checkpoints_are_kept_there(there, monkeypatch, named):
    monkeypatch.setenv("STPIPE_PREFECT_CHECKPOINTS", named)
    assert checkpoint_folder() == there
