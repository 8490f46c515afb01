"""What a step records about its own work, in models as different missions have them."""

import logging
from types import SimpleNamespace

import pytest

from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.provenance.statuses import judged


def step(alias, skip=False):
    return SimpleNamespace(class_alias=alias, skip=skip)


def model(**statuses):
    return SimpleNamespace(meta=SimpleNamespace(cal_step=SimpleNamespace(**statuses)))


def warned(*messages, logger="jwst.tweakreg", level=logging.WARNING):
    return [logging.LogRecord(logger, level, "", 0, message, None, None) for message in messages]


def test_failed_is_degraded_for_the_last_that_the_step_warned_of():
    logged = [*warned("a", "b", "c\n  d"), *warned("all is well", level=logging.INFO)]
    judgement = judged(step("tweakreg"), model(tweakreg="FAILED"), logged)
    assert (judgement.outcome, judgement.reason) == (Outcome.DEGRADED, "b; c d")


def test_without_a_warning_the_last_line_of_the_step_is_the_reason():
    logged = [
        *warned("no good", level=logging.INFO),
        *warned("Step tweakreg done", logger="stpipe.step", level=logging.INFO),
        *warned("overflow encountered", logger="py.warnings"),
    ]
    assert judged(step("tweakreg"), model(tweakreg="FAILED"), logged).reason == "no good"
    assert judged(step("tweakreg"), model(tweakreg="FAILED"), []).reason == "it did not say why"


@pytest.mark.parametrize(
    ("alias", "status"),
    [("dark_current", "dark_sub"), ("resample_spec", "resample"), ("tweakreg", "tweakreg")],
)
def test_status_is_looked_for_where_the_step_writes_it(alias, status):
    assert judged(step(alias), model(**{status: "FAILED"}), []).outcome is Outcome.DEGRADED


def test_only_the_step_that_has_run_counts():
    earlier = model(tweakreg="FAILED", skymatch="COMPLETE")
    assert judged(step("skymatch"), earlier, []).outcome is Outcome.COMPLETED
    new = model(flux="INCOMPLETE")  # as every status of Roman is at first
    assert judged(step("flux"), new, []).outcome is Outcome.COMPLETED


def test_each_member_is_looked_at():
    members = [model(tweakreg="COMPLETE"), model(tweakreg="FAILED"), model(tweakreg="COMPLETE")]
    judgement = judged(step("tweakreg"), members, warned("no sources"))
    assert judgement.reason == "1 of 3 members: no sources"


def test_what_left_the_data_alone_is_skipped():
    assert judged(step("x", skip=True), model(x="COMPLETE"), []).outcome is Outcome.SKIPPED
    for status in ("SKIPPED", "N/A"):
        assert judged(step("x"), [model(x=status)], []).outcome is Outcome.SKIPPED


def test_what_did_not_apply_is_skipped_for_a_reason():
    logged = warned("Input only contains 1 exposures", "Outlier detection will be skipped")
    judgement = judged(step("outlier_detection"), [model(outlier_detection="FAILED")], logged)
    assert judgement.outcome is Outcome.SKIPPED
    assert judgement.reason == "Input only contains 1 exposures; Outlier detection will be skipped"
    logged = warned("Too few images. At least two exposures are required for image alignment.")
    assert judged(step("tweakreg"), model(tweakreg="FAILED"), logged).outcome is Outcome.DEGRADED
