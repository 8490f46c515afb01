"""What may differ between two makings of the same product."""

import pytest

from stpipe_prefect.provenance.volatile import is_volatile


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meta.date", True),
        ("roman.meta.file_date", True),
        ("roman.meta.cal_logs[12]", True),
        ("cal_logs.calwebb_detector1", True),
        ("spec[0].meta.date", True),
        ("slits.3.meta.filename", True),
        ("asdf_library.version", True),
        ("HISTORY[2]", True),
        ("DATE", True),
        ("DATE-OBS", False),
        ("meta.observation.date", False),
        ("spec[0].meta.exposure.date", False),
        ("meta.dates", False),
    ],
)
def test_dates_of_the_file_but_not_of_the_exposure(name, expected):
    assert is_volatile(name) is expected
