from types import SimpleNamespace

import pytest
from lantern.model import Row

from stpipe_prefect.datamodel import file_name, is_library, is_model, is_sequence


def test_real_models_satisfy_it():
    from stdatamodels.jwst.datamodels import ImageModel

    with ImageModel((2, 2)) as model:
        assert is_model(model)
        assert not is_library(model)
    assert is_model(Row([1.0]))


def test_real_containers_and_libraries():
    from jwst.datamodels import ModelContainer, ModelLibrary

    container = ModelContainer()
    assert is_model(container) and is_sequence(container)
    assert is_library(ModelLibrary([]))


@pytest.mark.parametrize("other", [None, "name.fits", 3, [], {}, SimpleNamespace(save=print)])
def test_other_things_are_none(other):
    assert not is_model(other)
    assert not is_library(other)


def test_looking_does_not_evaluate_properties():
    class Lazy:
        @property
        def crds_observatory(self):
            raise AssertionError("read the file")

        get_crds_parameters = save = crds_observatory

    assert is_model(Lazy())


def test_file_name():
    assert file_name("/data/a_raw.row") == "a_raw.row"
    assert file_name([Row([1.0], filename="b.row"), "c.row"]) == "b.row"
    assert file_name([]) is None
    assert file_name(5) is None
