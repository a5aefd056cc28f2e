import pytest

from forecast.errors import UnknownNameError, nearest, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc", "'abc'"),
        (7, "7"),
        (["a", 1], "['a', 1]"),
        ("a" * 60, repr("a" * 60)),
        ("a" * 300_000, f"'{'a' * 60}…' (300,000 characters)"),
        (b"a" * 61, f"{b'a' * 60!r} (61 bytes)"),
        ("\0\u202e", r"'\x00\u202e'"),
    ],
)
def test_a_value_is_shown_as_in_code_and_cut_where_it_is_long(value, text):
    assert shown(value) == text


def test_a_name_of_any_length_is_cut_in_the_message():
    error = UnknownNameError("state", "Utopia" * 50_000, ["France", "x" * 300_000])
    assert len(str(error)) < 200
    assert nearest("y" * 300_000, ["France"]) is None
    assert nearest(10**10_000, ["France"]) is None
    assert shown(10**10_000) == "<int that is too long to write>"
