"""What people ask for and no source here measures, in the words in which they ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from forecast.errors import nearest

__all__ = ["UNMEASURABLE", "why_unmeasured"]

_NO_SOURCE = "No source covers it by state and year; it is refused rather than guessed."

#: By name the words in which it is asked for, as a regular expression over lower-case words with
#: single blanks between them. The first that is found is meant.
_WORDS: Mapping[str, str] = {
    "trade_openness": r"openness",
    "cyber": r"\bcyber|\bhack",
    "hybrid_warfare": r"\bhybrid|\bgr[ae]y ?zone|disinformation",
    "terrorism": r"terror(is|$|\b)",
    "transnational_crime": r"crimes?\b|criminal|traffick|smuggl",
    "climate": r"\bclimat|global ?warming",
    "pandemics": r"pandemi|epidemi|\bcovid|\bdiseases?\b",
    "ai": r"\ba ?i\b|artificial ?intelligence|machine ?learning",
    "public_trust": r"trust\b|public ?(opinion|support)",
    "intelligence_sharing": r"intelligence|\bintel\b",
    "joint_exercises": r"exercises?\b|\bdrills?\b|\bwar ?games?\b",
    "communication": r"communications?\b",
    "next_ally": r"\bnext ?all(y|ies)|who will all(y|ies)|alliance ?formation",
    "cohesion": r"cohesi(on|ve)|solidarity|unity of (the )?(members|allies)",
}

#: What people ask for and cannot have, with the reason.
UNMEASURABLE: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_WORDS, _NO_SOURCE)
    | {
        "next_ally": "No model here says who will ally next or leave: alliances are those on "
        "record, and those that a scenario edits.",
        "cohesion": "No source covers by state and year how united allies are or whether they "
        "would act; pact_depth and treaty_depth say how much a treaty coordinates, "
        "ally_reliability whether allies came when they were called.",
        "trade_openness": "Trade over GDP cannot be measured: the data with trade have no GDP on "
        "the same footing. trade_dependence is the share of one partner in a state's trade.",
    }
)

#: Similarity from which a word is taken for a misspelling of a name of `UNMEASURABLE`.
_MISSPELT = 80.0


def why_unmeasured(asked: str, valid: Iterable[str] = ()) -> str | None:
    """Why what is asked for cannot be had; None if it is nothing of the kind.

    Parameters
    ----------
    asked : str
        A name as people write it: ``"cyber_attack"``, ``"climate change"``, ``"AI"``; none of
        those that are valid.
    valid : iterable of str
        Valid names: a misspelling that is nearer to one of them is none of these.

    Returns
    -------
    str or None
        A sentence of `UNMEASURABLE`.
    """
    text = " ".join(re.findall(r"[^\W_]+", asked.casefold()))
    for name, words in _WORDS.items():
        if re.search(words, text):
            return UNMEASURABLE[name]
    # "ai" is near to every word of three letters.
    long = [name for name in UNMEASURABLE if len(name) > 2]
    near = nearest(text, [*valid, *long], cutoff=_MISSPELT)
    return None if near is None else UNMEASURABLE.get(near)
