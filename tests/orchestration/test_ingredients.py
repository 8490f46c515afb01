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


def test_another_class_of_the_same_alias_is_not_up_to_date():
    as_flow(Ours)("one_raw.row", output_dir="out")
    assert as_flow(Ours).plan("one_raw.row", output_dir="out").is_up_to_date
    (reason,) = as_flow(Theirs).plan("one_raw.row", output_dir="out").reasons
    assert reason == f"pipeline {__name__}.Ours → {__name__}.Theirs"
