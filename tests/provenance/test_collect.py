"""What a run is made from, and that a plan notices what of it is different."""

import pytest
from lantern.pipelines import CalibratePipeline

from stpipe_prefect import as_flow

pytestmark = [
    pytest.mark.filterwarnings("default::Warning"),  # Prefect's own
    pytest.mark.usefixtures("mission", "prefect_server"),
]


class Ours(CalibratePipeline):
    """A pipeline that inherits its alias."""


class Theirs(CalibratePipeline):
    """Another one."""


@pytest.mark.parametrize("named", ["$PLACE/p", "~/p"])
def test_folder_is_named_as_stpipe_lets_one_name_it(mission, monkeypatch, named):
    for variable in ("PLACE", "HOME"):
        monkeypatch.setenv(variable, str(mission / "there"))
    for given in ({"output_dir": named}, {"steps": {"flat": {"output_dir": named}}}):
        flat = {"save_results": True, "suffix": "flat"}
        steps = {"flat": flat | given.pop("steps", {}).get("flat", {})}
        made = as_flow(Ours)("one_raw.row", **given, steps=steps, overwrite=True)
        assert str(mission / "there/p/one_flat.row") in made
        assert (mission / "there/p/one_flat.row").is_file()
    assert [path.name for path in mission.iterdir() if path.name.startswith((".", "$", "~"))] == []


def test_another_class_of_the_same_alias_is_not_up_to_date():
    as_flow(Ours)("one_raw.row", output_dir="out")
    assert as_flow(Ours).plan("one_raw.row", output_dir="out").is_up_to_date
    plan = as_flow(Theirs).plan("one_raw.row", output_dir="out")
    assert plan.reasons == (f"pipeline {__name__}.Ours → {__name__}.Theirs",)
    assert "one_cal.row made by" in plan.refusal
