"""Formulas as Bambi and lme4 write them, read into the tables of a specification."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn, get_args

from forecast.errors import ArgumentError, SpecificationError, UnknownNameError, nearest, shown
from forecast.modeling.defaults import shipped_terms
from forecast.modeling.terms import Side, Smooth, Term, Varying
from forecast.panel.types import unit_of

__all__ = ["GROUPS", "Formula", "Parts"]

_SIDES = tuple(side for side in get_args(Side) if side != "none")
_TRANSFORMS = tuple(
    t for t in get_args(Term.model_fields["transform"].annotation) if t != "identity"
)
_OF_SMOOTHS = get_args(Smooth.model_fields["transform"].annotation)
GROUPS = tuple(g for g in get_args(Varying.model_fields["name"].annotation) if g != "slope")
_CALLS = ("s", "mm", *_TRANSFORMS, *_SIDES)


@dataclass
class Parts:
    """The tables of a specification while it is put together."""

    columns: dict[str, str]
    unit: str | None = None
    outcome: str = "onset"
    terms: list[dict[str, Any]] = field(default_factory=list)
    smooths: list[dict[str, Any]] = field(default_factory=list)
    interactions: list[dict[str, Any]] = field(default_factory=list)
    varying: list[dict[str, Any]] = field(default_factory=list)

    def entry(self, entry: dict[str, Any], kind: list[dict[str, Any]]) -> str:
        """Add a term or smooth unless it is there; its name.

        Raises `ValueError`: Another of that name is there.
        """
        for other in (*self.terms, *self.smooths):
            if other["name"] == entry["name"]:
                alone = kind is self.terms and not set(entry) - {"name", "feature", "family"}
                if not alone and (other != entry or not any(other is one for one in kind)):
                    raise ValueError(f"{entry['name']!r} is in the model in another form")
                return str(entry["name"])
        kind.append(entry)
        return str(entry["name"])

    def slopes(self, terms: list[str], by: list[str]) -> None:
        """Let coefficients vary by era, or by strata."""
        for group in self.varying:
            if group["name"] == "slope" and group.get("by", []) == by and "terms" in group:
                group["terms"] += [name for name in terms if name not in group["terms"]]
                return
        self.varying.append({"name": "slope", "terms": terms} | ({"by": by} if by else {}))


class Formula:
    """A formula, or a piece of one, read into `Parts`."""

    def __init__(self, text: str, parts: Parts) -> None:
        self._text, self._parts = text, parts
        self._tree = self._parsed()

    def read(self) -> str:
        """Add what is right of the tilde, if there is one; the name on the left."""
        tree, right = self._tree, None
        if _operator(tree) == "~":
            tree, right = tree.left, tree.right
        if type(tree).__name__ != "Variable":
            self._refuse(tree, "expected one outcome on the left, such as onset ~ …")
        outcome = str(tree.name.lexeme)
        self._parts.unit = self._parts.unit or unit_of(outcome)
        if right is not None:
            self._sum(right)
        return outcome

    def add(self) -> None:
        """Add a piece that has no left side."""
        self._sum(self._tree)

    def _parsed(self) -> Any:
        from formulae.parser import ParseError, Parser
        from formulae.scanner import ScanError, Scanner

        class Placed(Scanner):  # type: ignore[misc]
            """Tokens that know where they are."""

            def add_token(self, kind: str, literal: Any = None) -> None:
                super().add_token(kind, literal)
                self.tokens[-1].at = self.start

        if not self._text.strip() or "`" in self._text:
            self._refuse(self._text.find("`"), "expected names, calls, +, :, * and (…|group)")
        scanner = Placed(self._text)
        try:
            tokens = scanner.scan(add_intercept=False)
        except (ScanError, SyntaxError) as error:
            self._refuse(scanner.start, str(error))
        tokens[-1].at = len(self._text)
        self._ends = [(token.at, token.at + len(token.lexeme)) for token in tokens]
        parser = Parser(tokens)
        try:
            tree = parser.parse()
        except (ParseError, AttributeError) as error:
            self._refuse(parser.peek().at, f"{error}")
        if not parser.at_end():
            self._refuse(parser.peek().at, f"{parser.peek().lexeme!r} is not expected here")
        return tree

    def _refuse(self, where: Any, why: str) -> NoReturn:
        """Raise with the place of a node, or with a place."""
        at = where if isinstance(where, int) else _place(where)
        at = min(max(at, 0), len(self._text))
        ends = [end for start, end in getattr(self, "_ends", []) if start == at]
        mark = "^" * max(1, (ends[0] if ends else at) - at)
        if len(self._text) > 300:
            raise SpecificationError(f"formula, position {at + 1}: {why}")
        line = self._text.replace("\n", " ")
        raise SpecificationError(f"formula, position {at + 1}: {why}\n  {line}\n  {' ' * at}{mark}")

    def _sum(self, tree: Any) -> None:
        """Each summand."""
        while type(tree).__name__ == "Grouping" and _operator(tree.expression) != "|":
            tree = tree.expression
        if _operator(tree) == "+":
            self._sum(tree.left)
            self._sum(tree.right)
        elif _is_number(tree, 1):
            return  # every model has an intercept
        elif _operator(tree) == "-" or _is_number(tree, 0):
            self._refuse(tree, "every model has an intercept, and nothing is taken away from one")
        elif type(tree).__name__ == "Grouping":
            self._group(tree.expression)
        elif _operator(tree) in (":", "*"):
            self._product(tree)
        elif _callee(tree) == "mm":
            self._members(tree)
        else:
            self._entry(tree)

    def _members(self, call: Any) -> None:
        if len(call.args) != 1 or _name(call.args[0]) != "state":
            self._refuse(call, "mm(state) is the one multiple membership: both states of a pair")
        self._effects("state")

    def _effects(self, name: str) -> None:
        if not any(group["name"] == name for group in self._parts.varying):
            self._parts.varying.append({"name": name})

    def _group(self, bar: Any) -> None:
        """``(1|dyad)``, ``(0 + pact|era)``, ``(pact|era)``, ``(0 + pact|far:quiet)``."""
        slopes, intercept, stack = list[str](), True, [bar.left]
        while stack:
            node = stack.pop()
            if _operator(node) == "+":
                stack += [node.right, node.left]
            elif _is_number(node, 0):
                intercept = False
            elif not _is_number(node, 1):
                slopes.append(self._entry(node))
        name = _name(bar.right) or ""
        if name in GROUPS:
            if slopes and name != "era":
                self._refuse(bar.right, f"a slope varies by era or by binary terms, not by {name}")
            if intercept:
                self._effects(name)
            if slopes:
                self._parts.slopes(slopes, [])
            return
        if not slopes:
            hint = nearest(str(name), GROUPS)
            why = f"unknown group {shown(name)}"
            why += f"; did you mean {hint!r}?" if hint else ""
            self._refuse(bar.right, f"{why} Groups: {', '.join(GROUPS)}.")
        if intercept:
            self._refuse(bar.left, "only slopes vary by strata: write (0 + … | …)")
        by, stack = [], [bar.right]
        while stack:
            node = stack.pop()
            if _operator(node) == ":":
                stack += [node.right, node.left]
            else:
                by.append(self._entry(node))
        self._parts.slopes(slopes, by)

    def _product(self, tree: Any) -> None:
        """``a:b`` with its terms; ``a:era`` lets the coefficient of a vary by era."""
        sides = [tree.left, tree.right]
        if any(_operator(side) in (":", "*") for side in sides):
            self._refuse(tree, "a product is of two terms")
        named = [side for side in sides if _name(side) != "era"]
        names = [self._entry(side) for side in named]
        if len(names) == 1:
            self._parts.slopes(names, [])
        elif names:
            pair = {"name": "_".join(names), "of": names}
            if not any(set(other["of"]) == set(names) for other in self._parts.interactions):
                self._parts.interactions.append(pair)
        else:
            self._refuse(tree, "a product is of two terms")

    def _entry(self, node: Any) -> str:
        """Add the term or smooth of a name or call, unless it is there; its name."""
        entry: dict[str, Any] = {}
        smooth, options, inner = False, dict[str, Any](), node
        while (callee := _callee(inner)) is not None:
            smooth |= self._call(inner, callee, entry, options)
            inner = inner.args[0]
        feature = _name(inner)
        if feature is None:
            self._refuse(inner, "expected a name or a call of " + ", ".join(_CALLS))
        parts = [feature, entry.get("side", ""), *(str(v) for v in options.values())]
        entry["name"] = "_".join(part for part in parts if part).replace(".", "_").lower()
        self._known(inner, feature, entry, options)
        if smooth and entry.get("transform", "identity") not in _OF_SMOOTHS:
            self._refuse(node, f"a smooth takes the transforms {', '.join(_OF_SMOOTHS[1:])}")
        try:
            return self._parts.entry(entry, self._parts.smooths if smooth else self._parts.terms)
        except ValueError as error:
            self._refuse(node, str(error))

    def _call(self, call: Any, callee: str, entry: dict[str, Any], options: dict[str, Any]) -> bool:
        """Read one call around a name into its table; whether it is that of a smooth."""
        if callee not in _CALLS or callee == "mm":
            hint = nearest(callee, _CALLS)
            meant = f"; did you mean {hint!r}?" if hint else "."
            self._refuse(call, f"unknown function {shown(callee)}{meant} "
                               f"Functions: {', '.join(_CALLS)}.")  # fmt: skip
        if not call.args:
            self._refuse(call, f"{callee}() needs a term")
        if callee in _SIDES:
            entry["side"] = callee
        elif callee in _TRANSFORMS:
            entry["transform"] = callee
        knots = list[float]()
        for argument in call.args[1:]:
            if type(argument).__name__ == "Assign":
                value = argument.value
                if type(value).__name__ not in ("Literal", "Variable"):
                    self._refuse(value, "expected a number or a word")
                options[argument.name.name.lexeme] = (
                    value.value if type(value).__name__ == "Literal" else value.name.lexeme
                )
            elif callee == "s" and isinstance(getattr(argument, "value", None), int | float):
                knots.append(argument.value)
            else:
                self._refuse(argument, "expected name = value" + " or knots" * (callee == "s"))
        if knots:
            if len(knots) < 3 or any(b <= a for a, b in pairwise(knots)):
                self._refuse(call, "expected three knots or more, each above the one before")
            entry["knots"] = knots
        return callee == "s"

    def _known(self, node: Any, name: str, entry: dict[str, Any], options: dict[str, Any]) -> None:
        """Refuse what is neither a feature nor a column; the rest of the table."""
        from forecast.features.registry import get_feature, registered_features

        features = [feature.name for feature in registered_features()]
        shipped = {
            key: value
            for key, value in shipped_terms(self._parts.unit or "dyad-year").items()
            if key not in features
        }
        if options:
            entry["options"] = options
        if name in self._parts.columns:
            if "side" in entry or options:
                self._refuse(node, f"{name!r} is a column, which has one value a row: no side, no "
                                   "options")  # fmt: skip
            entry |= {"feature": None, "family": self._parts.columns[name]}
            return
        if name not in features and name not in shipped:
            hint = nearest(name, [*features, *shipped, *self._parts.columns])
            meant = f"; did you mean {hint!r}?" if hint else "."
            self._refuse(node, f"unknown term {shown(name)}{meant} A column of your own is named "
                               "in columns={name: family}.")  # fmt: skip
        if entry["name"] != name:
            for key, value in shipped.get(name, {"feature": name}).items():
                entry.setdefault(key, value)
        try:
            feature = shipped.get(name, {}).get("feature", name)
            get_feature(feature).check_options(options)
        except (UnknownNameError, ArgumentError) as error:
            self._refuse(node, str(error))


def _operator(node: Any) -> str | None:
    return str(node.operator.lexeme) if hasattr(node, "operator") else None


def _callee(node: Any) -> str | None:
    return _name(node.callee) if type(node).__name__ == "Call" else None


def _name(node: Any) -> str | None:
    return str(node.name.lexeme) if type(node).__name__ == "Variable" else None


def _is_number(node: Any, value: int) -> bool:
    return type(node).__name__ == "Literal" and node.value == value


def _place(node: Any) -> int:
    """Where a node begins; 0 if it holds no name."""
    for key in ("left", "callee", "expression", "name", "operator", "right"):
        inner = getattr(node, key, None)
        if inner is not None:
            return int(inner.at) if hasattr(inner, "at") else _place(inner)
    return 0
