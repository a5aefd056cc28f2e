import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.errors import ArgumentError
from forecast.text import percentage, percentage_interval, rounded, rounding_step


@pytest.mark.parametrize(
    ("value", "widths", "text"),
    [
        (0.0312, [0.035], "3.1%"),  # 1.7–5.2%
        (0.0312, [0.107], "3%"),  # 0.3–11%
        (0.312, [0.25], "31%"),
        (0.312, [0.6], "30%"),
        (0.0234, [0.0035], "2.3%"),  # never more than two digits
        (0.0004, [0.03], "0.04%"),  # never fewer than one
        (0.0312, [], "3%"),  # nothing known of it
        (0.0312, [math.nan, math.inf], "3%"),
        (0.0312, [0.001, 0.107], "3%"),  # the widest decides
        (0.0, [0.035], "0.0%"),
        (0.997, [0.004], ">99%"),
        (1.0, [0.004], "100%"),
    ],
)
def test_digits_follow_the_widest_uncertainty(value, widths, text):
    assert percentage(value, rounding_step(value, widths)) == text


@given(st.floats(1e-6, 1.0), st.lists(st.floats(1e-7, 1.0), max_size=3))
def test_a_step_keeps_one_or_two_digits_and_moves_a_number_little(value, widths):
    step = rounding_step(value, widths)
    assert math.log10(step) == pytest.approx(round(math.log10(step)), abs=1e-9)
    digits = math.floor(math.log10(value) + 1e-12) - round(math.log10(step)) + 1
    assert digits in (1, 2)
    if widths and digits == 2:
        # a finer step than the least digits allow was taken only where it is supported
        assert step <= max(widths) / 4 * (1 + 1e-9) or value / step < 100 * (1 + 1e-9)
    if widths and 10 * step <= max(widths) / 4:
        assert digits == 1, "a coarser step would have been supported"


def test_an_interval_is_written_in_the_same_steps():
    assert percentage_interval(0.0172, 0.0519, 0.001) == "1.7–5.2%"
    assert percentage_interval(0.0004, 0.0519, 0.01) == "<1–5%"
    assert percentage_interval(0.0, 0.99999, 0.01) == "0–>99%"


def test_rounded_has_no_noise_of_floats():
    assert rounded(0.40990492850542054, 0.01) == 0.41
    assert rounded(0.679567, 0.1) == 0.7


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(value):
    with pytest.raises(ArgumentError, match="not finite"):
        rounding_step(value)


@pytest.mark.parametrize("step", [0.0, -1.0, 2.0])
def test_a_bad_step_is_refused(step):
    with pytest.raises(ArgumentError, match="step"):
        percentage(0.1, step)
