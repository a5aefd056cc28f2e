"""Columns of the baselines, in the steps in which they are compared."""

from __future__ import annotations

from forecast.features import FeatureRequest

__all__ = ["ACTIVITY", "ALLIANCES", "HISTORY", "LOGGED", "STRUCTURE", "UNDER_WAY"]

STRUCTURE = (
    # What defines the population is known of a state's first year too.
    FeatureRequest("land_contiguity", "land_contiguity", at_entry="current"),
    FeatureRequest("contiguity_closeness", "contiguity_closeness", at_entry="current"),
    FeatureRequest("major_powers", "major_powers", at_entry="current"),
    FeatureRequest("capability_ratio", "capability_ratio"),
    FeatureRequest("joint_capability", "joint_capability"),
)
HISTORY = (
    FeatureRequest("peace_years", "peace_years"),
    FeatureRequest("dispute_last_year", "dispute_last_year"),
    FeatureRequest("disputes_total", "disputes_total"),
    FeatureRequest("disputes_recent", "disputes_recent", {"window": 10}),
)
#: Beside `HISTORY` where the rows of disputes under way are among the others.
UNDER_WAY = FeatureRequest("under_way", "under_way")
ACTIVITY = (
    FeatureRequest("state_disputes_max", "state_disputes_recent", {"window": 10}, "max"),
    FeatureRequest("state_disputes_min", "state_disputes_recent", {"window": 10}, "min"),
    FeatureRequest("system_disputes", "system_disputes_recent", {"window": 5}),
)
_PACT = "pact_in_dyad"
#: Ten alliance features as they would be pooled into one model, one slope each for two centuries.
ALLIANCES = (
    FeatureRequest("baseline_defense_pact", _PACT, {"obligation": "defense"}),
    FeatureRequest("baseline_nonaggression_pact", _PACT, {"obligation": "nonaggression"}),
    FeatureRequest("baseline_neutrality_pact", _PACT, {"obligation": "neutrality"}),
    FeatureRequest("outside_defense_max", "outside_defense", {}, "max"),
    FeatureRequest("outside_defense_min", "outside_defense", {}, "min"),
    FeatureRequest("outside_offense_max", "outside_offense", {}, "max"),
    FeatureRequest("outside_neutrality_max", "outside_neutrality", {}, "max"),
    FeatureRequest("baseline_shared_allies", "shared_allies"),
    FeatureRequest("new_pact_max", "new_pact", {"window": 5}, "max"),
    FeatureRequest("ally_in_dispute_max", "ally_in_dispute_with_opponent", {}, "max"),
)
LOGGED = frozenset(
    {"disputes_total", "disputes_recent", "joint_capability", "baseline_shared_allies"}
)
