"""Handles carry models past Prefect, and are empty afterwards."""

import gc
import weakref

import pytest

from stpipe_prefect import Handle
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.handles import Lineage


class Model:
    """Stands for a data model."""


def test_handle_gives_its_content_once():
    model = Model()
    handle = Handle(model)
    assert handle.take() is model
    with pytest.raises(UsageError, match="empty"):
        handle.take()


def test_emptied_handle_keeps_nothing_alive():
    handle = Handle(Model(), [Model()])
    references = [weakref.ref(item) for item in handle.take_all()[:1]]
    gc.collect()
    assert [reference() for reference in references] == [None]


def test_prefect_sees_nothing_in_a_handle():
    from prefect.utilities.collections import visit_collection

    seen = []
    visit_collection([Handle(Model())], visit_fn=seen.append)
    assert not any(isinstance(item, Model) for item in seen)


def test_lineage_finds_the_latest_maker():
    lineage, model, other = Lineage(), Model(), Model()
    first, second = Handle(model), Handle(model, "jw01_rate.fits")
    lineage.add(first)
    lineage.add(second)
    assert lineage.of([model]) == [second]
    assert lineage.of([[model], other]) == [second]
    assert lineage.of([other, "jw01_rate.fits"]) == []


def test_lineage_does_not_mistake_a_new_model_for_one_that_is_gone():
    lineage = Lineage()
    for _ in range(100):
        lineage.add(Handle(Model()))
        assert lineage.of([Model()]) == []
