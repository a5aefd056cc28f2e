"""Named features of states and dyads, each one registered function (see `feature_table`)."""

from forecast.features import (  # noqa: F401  (importing a module registers its features)
    commitment,
    dependency,
    deterrence,
    expansion,
    history,
    power,
    reliability,
    rivalry,
    similarity,
    society,
    structure,
)
from forecast.features.gather import FeatureRequest, compute_features, feature_arrays
from forecast.features.registry import Feature, feature_table, features_markdown, get_feature
from forecast.features.treaty import treaty_features

__all__ = [
    "Feature", "FeatureRequest", "compute_features", "feature_arrays", "feature_table",
    "features_markdown", "get_feature", "treaty_features",
]  # fmt: skip
