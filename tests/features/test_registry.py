"""The registry: complete, documented, and the source of the docs."""

import subprocess
import sys

import pytest

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import feature_table, features_markdown, get_feature
from forecast.features.registry import FAMILIES, feature, registered_features
from forecast.unmeasured import UNMEASURABLE

#: What issues 2 and 3 ask for by name.
REQUIRED = {
    "portfolio_similarity",
    "structural_balance",
    "polarization",
    "modularity",
    "regional_inclusion",
    "treaty_depth",
    "treaty_depth_in_dyad",
    "pact_depth",
    "reliability",
    "ally_reliability",
    "reliable_external_share",
    "reliable_patron_share",
    "rivalry",
    "rival_count",
    "regime_distance",
    "joint_democracy",
    "lowest_polyarchy",
    "trade_dependence",
    "trade_interdependence",
    "joint_igos",
    "distance",
    "peaceful_settlement",
    "outside_defense_capability",
    "outside_offense_capability",
    "outside_neutrality_capability",
    "own_expansion",
    "own_expansion_capability",
    "own_contraction",
    "own_contraction_capability",
    "expansion_by_formation",
    "expansion_by_accession",
    "expansion_by_succession",
    "rival_expansion",
    "rival_expansion_capability",
    "frontier_expansion",
    "frontier_expansion_capability",
    "mutual_expansion",
    "new_pact",
    "external_share",
    "patron_share",
    "ally_concentration",
    "has_ally",
    "autonomy",
    "patron_withdrawal_loss",
    "commitment_balance",
    "commitments_owed_risk",
    "overextension",
    "asymmetry",
    "conditionality",
    "within_pact_concentration",
    "pact_in_dyad",
    "outside_defense",
    "outside_offense",
    "outside_neutrality",
    "shared_allies",
    "outside_allies",
    "bloc_parity",
    "ally_in_dispute_with_opponent",
    "ally_in_dispute_elsewhere",
    "multilateral_share",
    "nonaligned",
    "land_contiguity",
    "contiguity_closeness",
    "major_powers",
    "capability_ratio",
    "joint_capability",
    "peace_years",
    "disputes_total",
    "disputes_recent",
    "dispute_last_year",
    "state_disputes_recent",
    "system_disputes_recent",
}


def test_everything_asked_for_is_registered():
    assert {f.name for f in registered_features()} >= REQUIRED


def test_table_is_complete():
    table = feature_table()
    assert table.index.is_unique
    assert set(table["family"]) <= set(FAMILIES)
    for text in ("unit", "formula", "source", "needs", "summary"):
        assert (table[text].str.len() > 2).all(), text
    assert table["summary"].str.endswith(".").all()
    bounded = table.dropna(subset=["lower", "upper"])
    assert (bounded["lower"] < bounded["upper"]).all()
    # Shares and flags are bounded on both sides.
    closed = table[table["unit"].isin(["share", "0/1", "index"])]
    assert ((closed["lower"] == 0) & (closed["upper"] == 1)).all()
    assert set(table["sign"]) <= {"+", "-", "free"}
    # A feature that follows conflicts is itself changed by alliances.
    conflict = table["needs"].str.contains("conflict")
    assert not table.loc[conflict, "pre_treatment"].any()
    assert table.loc["own_expansion", "options"] == "window=5"
    assert table.loc["commitment_balance", "options"] == "weights='defense', e=0.0001"


def test_markdown_lists_every_feature_once():
    text = features_markdown()
    for f in registered_features():
        assert text.count(f"| `{f.name}` |") == 1
    for line in text.splitlines():
        if line.startswith("|"):
            # A bar inside a formula is escaped: every row has the same ten cells.
            assert line.replace("\\|", "").count("|") == 11, line
    assert "## Alliance expansion" in text


def test_unknown_feature():
    with pytest.raises(
        UnknownNameError, match=r"Unknown feature 'external_shar'.*'external_share'"
    ):
        get_feature("external_shar")


@pytest.mark.parametrize("name", UNMEASURABLE)
def test_what_cannot_be_measured_is_refused_with_the_reason(name):
    with pytest.raises(UnknownNameError, match=f"Unknown feature '{name}'. (Trade over|No source|No model)"):
        get_feature(name)
    assert f"- `{name}`: " in features_markdown()


def test_bad_registrations():
    terms = {
        "family": "power",
        "level": "state",
        "unit": "x",
        "bounds": (0, 1),
        "sign": "+",
        "formula": "x",
        "source": "x",
        "needs": ("member",),
        "pre_treatment": True,
    }
    with pytest.raises(UnknownNameError, match="Did you mean 'obligation'"):
        feature(**terms | {"needs": ("obligations",)})
    with pytest.raises(UnknownNameError, match="Did you mean 'power'"):
        feature(**terms | {"family": "powers"})

    def capability_share(world):
        raise AssertionError

    with pytest.raises(ArgumentError, match="'capability_share' is registered twice"):
        feature(**terms)(capability_share)


def test_a_feature_of_conflicts_says_how_it_moves_in_a_simulated_year():
    terms = {
        "family": "history",
        "level": "dyad",
        "unit": "x",
        "formula": "x",
        "source": "x",
        "needs": ("conflict", "member"),
    }

    def forgotten(world):
        raise AssertionError

    with pytest.raises(ArgumentError, match=r"'forgotten' is built from .* give simulate="):
        feature(**terms)(forgotten)
    table = feature_table()
    conflict = table["needs"].str.contains("conflict")
    words = table.loc[conflict, "simulated"]
    assert words.str.contains(r"with simulated conflicts|stay as at the origin: .{20}").all()
    assert not table.loc[~conflict, "simulated"].str.contains("conflicts").any()
    assert table.loc["state_age", "simulated"] == "with the calendar: a year older every year"
    assert table.loc["distance", "simulated"] == "constant: borders as last recorded"
    text = "with alliances (as edited) and capability shares (drawn forward)"
    assert table.loc["external_share", "simulated"] == text


def test_a_rule_may_depend_on_the_options():
    listed, counted = ({"rivals": rivals} for rivals in ("auto", "disputes"))
    assert get_feature("rivalry").rule(listed) is None
    assert get_feature("rivalry").rule({}) is None
    assert get_feature("rivalry").rule(counted) is not None
    assert get_feature("long_peace").rule({"years": 3}) is not None


def test_import_is_pure():
    """Features import no sampler, no plotting and read nothing."""
    code = (
        "import sys, forecast.features; "
        "bad = {'pymc', 'arviz', 'matplotlib', 'pytensor', 'numba', 'nutpie'} & set(sys.modules); "
        "sys.exit(str(sorted(bad)) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
