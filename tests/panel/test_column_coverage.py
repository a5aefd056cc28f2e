"""A column that its source covers for less than the table: the neutrality of the embedded data."""

import json
import shutil

import numpy as np
import pytest

from forecast.errors import DataError
from forecast.features.registry import get_feature
from forecast.features.treaty import treaty_features
from forecast.panel.world import build_world
from forecast.paths import data_folder
from forecast.sources.embedded import read_coverage
from forecast.sources.tables import Coverage


def _last(values, world):
    """Last year with a known value."""
    known = np.isfinite(values).any(axis=tuple(range(1, values.ndim)))
    return int(world["year"].to_numpy()[known].max())


def test_neutrality_of_the_embedded_data_ends_in_1990(tables):
    world = build_world(tables, first_year=1980, last_year=2027, carry_forward=True)
    neutral = {"obligation": "neutrality"}
    for name, options, last in [
        ("outside_neutrality", {}, 1990),
        ("outside_neutrality_capability", {}, 1990),
        ("pact_in_dyad", neutral, 1990),
        ("external_share", {"weights": "ordinal"}, 1990),
        ("external_share", {"weights": {"defense": 1.0, "neutrality": 0.0}}, 2027),
        ("pact_in_dyad", {"obligation": "nonaggression"}, 2027),
        ("outside_offense", {}, 2027),
        ("nonaligned", {}, 2027),
    ]:
        found = get_feature(name)(world, **options).to_numpy()
        assert _last(found, world) == last, (name, options)
    treaties = treaty_features(world)
    assert _last(treaties["neutrality"].to_numpy(), world) == 1990
    assert _last(treaties["defense"].to_numpy(), world) == 2027


def test_no_pledge_of_neutrality_stands_alone(tables):
    """Why similarity and non-alignment, which rank it with non-aggression, go on after 1990."""
    world = build_world(tables, first_year=1985, last_year=2025)
    owed = {name: world["obligations"].sel(obligation=name) for name in world["obligation"].values}
    others = owed["nonaggression"] | owed["defense"] | owed["offense"]
    assert int((owed["neutrality"] & ~others).sum()) == 0
    assert int(owed["neutrality"].sum()) > 0


def test_other_data_are_not_affected(tables):
    """ATOP codes the class in all its years: a source that declares nothing covers it all."""
    from dataclasses import replace

    plain = replace(tables.coverage["members"], columns={})
    free = replace(tables, coverage={**tables.coverage, "members": plain})
    world = build_world(free, first_year=1980, last_year=2025)
    assert _last(get_feature("outside_neutrality")(world).to_numpy(), world) == 2025


def test_the_years_of_a_column_are_part_of_the_coverage(tables):
    cover = tables.coverage["members"]
    assert Coverage(**cover.to_dict()) == cover
    assert cover.columns == {"neutrality": (1946, 1990)}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"neutrality": {"first": 1946, "last": 2030}}, "2030"),
        ({"neutrality": [1946, 1990]}, "1946, 1990"),
        ({"neutralty": {"first": 1946, "last": 1990}}, "'neutralty', expected obligations"),
    ],
)
def test_what_the_descriptor_says_of_a_column_is_checked(tmp_path, columns, found):
    shutil.copy(data_folder() / "datapackage.json", tmp_path)
    path = tmp_path / "datapackage.json"
    package = json.loads(path.read_text(encoding="utf-8"))
    (members,) = (r for r in package["resources"] if r["name"] == "members")
    members["coverage"]["columns"] = columns
    path.write_text(json.dumps(package), encoding="utf-8")
    with pytest.raises(DataError, match=r"coverage\.columns") as caught:
        read_coverage(tmp_path)
    assert found in str(caught.value)
