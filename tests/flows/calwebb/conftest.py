"""One raw exposure, and files made from it."""

import json

import pytest
from astropy.io import fits


@pytest.fixture(scope="session")
def uncal(small):
    return small.program.exposures[0]


@pytest.fixture(scope="session")
def environment(user, small):
    """The variables of a user with a CRDS cache and a Prefect server."""
    return user | {"CRDS_PATH": str(small.crds_path)}


@pytest.fixture
def with_header(uncal, tmp_path):
    """Copy the exposure with another name and other cards in its primary header."""

    def make(name, **cards):
        path = tmp_path / name
        with fits.open(uncal) as hdus:
            for keyword, value in cards.items():
                hdus[0].header.pop(keyword, None)
                if value is not None:
                    hdus[0].header[keyword] = value
            hdus.writeto(path)
        return path

    return make


@pytest.fixture
def association(tmp_path):
    """Write an association of the given members."""

    def make(*members, name="some_asn.json", **others):
        listed = [{"expname": str(member), "exptype": "science"} for member in members]
        path = tmp_path / name
        path.write_text(json.dumps({"products": [{"name": "p", "members": listed}], **others}))
        return path

    return make
