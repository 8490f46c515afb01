import doctest

import pytest

from stpipe_prefect.products import template
from stpipe_prefect.products.template import FormatTemplate


def test_examples():
    assert doctest.testmod(template).failed == 0


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, 'name="{name}" value="{value}"'),
        ({"name": "fred", "value": "great"}, 'name="fred" value="great"'),
        ({"name": "fred", "extra": "more"}, 'name="fred" value="{value}"_more'),
        ({"name": None, "value": 3, "none": None}, 'name="" value="3"'),
    ],
)
def test_open_fields_stay_and_other_values_are_appended(values, text):
    assert FormatTemplate()('name="{name}" value="{value}"', **values) == text


def test_separator_and_removal():
    template = FormatTemplate(separator="-", remove_unused=True)
    assert template("{a}{b}", a=1, z=26, c=3) == "1-3-26"


def test_formats_of_single_values():
    template = FormatTemplate(key_formats={"idx": ["s{:03d}", "{:s}"], "x": ["{:.2f}"]})
    assert template("{idx}", idx="7") == "s007"
    assert template("{idx}", idx="seven") == "seven"
    assert template("{x}", x="1") == "1.00"
    with pytest.raises(ValueError, match="x = 'one' cannot be shown"):
        template("{x}", x="one")
