"""Reasons, counts and what is left, as a person reads them."""

import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from records import write_record

from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from flows.reprocess.summary import Summary
from flows.reprocess.survey import Item
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.provenance.plans import Plan

NEWER = "jwst_0002.pmap"
FLAT, GAIN = "reference flat 0001 → 0002", "reference gain 0001 → 0002"


@pytest.fixture
def items(tmp_path):
    """Three stale ones, the last of them the newest, one up to date and one unreadable."""

    def item(number, *reasons, error=""):
        path = tmp_path / f"{number}_uncal.fits"
        path.touch()
        os.utime(path, (number * 1e6, number * 1e6))
        plan = Plan(path.name, "calwebb_detector1", reasons)
        return Item(Job(path, (plan.pipeline,), plans=(plan,)), JWST, NEWER, error)

    return [
        item(1, GAIN),
        item(2, GAIN, "input 2_rate.fits will be remade"),
        item(3, FLAT),
        item(4),
        Item(Job(tmp_path / "5_uncal.fits", ()), JWST, NEWER, "5_uncal.fits: truncated | cut"),
    ]


def test_counts_reasons_the_newest_first(items):
    reasons = Summary(items).reasons
    assert [(each.text, each.count) for each in reasons] == [(FLAT, 1), (GAIN, 2)]
    assert reasons[1].since == datetime.fromtimestamp(2e6, UTC)


def test_names_of_files_do_not_make_a_reason_another_one(items):
    plans = [Plan("a", "b", (f"input {n}_rate.fits changed",)) for n in (1, 2)]
    items = [Item(replace(items[0].job, plans=(plan,)), JWST, NEWER) for plan in plans]
    summary = Summary(items)
    assert [(each.text, each.count) for each in summary.reasons] == [("input changed", 2)]


def test_keeps_account(items):
    summary = Summary(items)
    assert str(summary) == "3 of 5 stale under jwst_0002.pmap: 0 done, 1 failed, 3 left"
    summary.done.append(items[0].input)
    summary.failed[items[1].input] = "2_uncal.fits: no"
    assert str(summary) == "3 of 5 stale under jwst_0002.pmap: 1 done, 2 failed, 1 left"
    assert summary.left == [items[2]]
    assert round(summary.percent) == 67


def test_is_shown_as_tables(items):
    lines = Summary(items).markdown().splitlines()
    assert lines[0] == "**3 of 5 stale under jwst_0002.pmap: 0 done, 1 failed, 3 left**"
    assert f"| 2 | 1970-01-24 03:33 | {GAIN} |" in lines
    assert lines[-1] == "1. **failed** 5_uncal.fits: truncated | cut"


def test_what_needs_attention_is_in_it(items, tmp_path):
    step = {"step": "tweakreg", "outcome": "Degraded", "reason": "no stars", "seconds": 1.0}
    write_record(tmp_path, "1", steps=[step])
    summary = Summary(items)
    summary.done.append(items[0].input)
    summary.results.append(Result(items[0].input.name, Ended(Outcome.DEGRADED)))
    failed, degraded = summary.markdown().splitlines()[-2:]
    assert failed.startswith("1. **failed** 5_uncal.fits")
    assert degraded == "1. **degraded** 1_uncal.fits: calwebb_detector1, tweakreg: no stars"


def test_with_nothing_stale_is_one_line_and_done(items):
    summary = Summary([items[3]])
    assert (
        summary.markdown().strip()
        == "**0 of 1 stale under jwst_0002.pmap: 0 done, 0 failed, 0 left**"
    )
    assert summary.percent == 100


def test_for_programs(items):
    report = Summary(items).as_json()
    assert report["total"] == 5
    assert report["reasons"] == {FLAT: 1, GAIN: 2}
    assert report["left"] == [str(item.input) for item in items[:3]]
    assert report["failed"] == {str(items[4].input): items[4].error}
