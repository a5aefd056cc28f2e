"""How features move in a simulated year: values as rules make them, words as needs give them."""

import numpy as np
import pytest

from forecast.features.needs import (
    as_at_origin,
    flagged,
    from_conflicts,
    from_status,
    moves_of,
    tabulated,
)


def test_a_count_is_looked_up_in_a_short_list():
    count = np.array([[3, 5], [4, 3]])
    found = tabulated(count, lambda number: 100 * number / 8)
    np.testing.assert_array_equal(found.array(), 100 * count / 8)
    assert found.raw.size <= 6
    assert found.index is not None
    np.testing.assert_array_equal(found.rows(slice(1, None)).array(), [[50.0, 37.5]])
    np.testing.assert_array_equal(tabulated(count).array(), count)
    below = np.array([[-2, 1]])  # what is taken out may be more than what there was
    np.testing.assert_array_equal(tabulated(below, lambda n: 1.0 * n).array(), below)
    assert tabulated(np.zeros((0, 4), dtype=int)).array().shape == (0, 4)


def test_a_flag_is_zero_or_one():
    np.testing.assert_array_equal(flagged(np.array([[True, False]])).array(), [[1.0, 0.0]])


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"obligation", "treaty", "member"}, "with alliances (as edited)"),
        ({"capability", "member"}, "with capability shares (drawn forward)"),
        ({"regime", "member"}, "constant: regimes as last recorded"),
        ({"member"}, "constant: members of the system and their status as last recorded"),
    ],
)
def test_what_is_not_built_from_conflicts_moves_as_its_needs_do(needs, words):
    assert moves_of(frozenset(needs)).words == words
    assert moves_of(frozenset(needs)).rule is None


def test_conflicts_move_by_a_rule_or_say_why_not():
    def rule(past):
        raise AssertionError

    assert from_conflicts(rule).rule is rule
    assert from_status(rule).of_status
    assert as_at_origin("a reason").words == "its conflicts stay as at the origin: a reason"
