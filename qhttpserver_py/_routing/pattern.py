"""Path patterns: text with ``<arg>`` placeholders, turned into one regular expression.

Strategy: the text around the placeholders is itself a regular expression in Qt's dialect, and most patterns use little
of it. An expression is *portable* when every token of it has the same meaning in Python's ``re`` and cannot make ``re``
backtrack for long, which has no limit for that. All others are matched by QRegularExpression, which gives up after a
bounded number of steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PLACEHOLDER = "<arg>"

INTEGER = r"[+-]?\d+"
UNSIGNED = r"[+]?\d+"
REAL = r"[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)"
SEGMENT = "[^/]+"
REST = ".*"
LINEAR = frozenset({INTEGER, UNSIGNED, REAL, SEGMENT})
"""Expressions known to stay inside one segment and to fail in linear time."""

_TOKEN = re.compile(
    r"""
      (?P<literal> [^\\\[\](){}*+?.^$|] )
    | (?P<escaped> \\[!-.:-@\[-^`{-~/] )
    | (?P<charclass> \\[dDwWsStnrf] | \. | \[\^? (?: \\[dDwWsStnrf!-/:-@\[-^`{-~] | [^\\\[\]] )+ \] )
    | (?P<open> \( (?: \?: | (?![?*]) ) )
    | (?P<close> \) )
    | (?P<bar> \| )
    | (?P<quantifier> (?: [*+?] | \{\d+(?:,\d*)?\} ) \?? )
    """,
    re.VERBOSE,
)
_SET_OPERATION = re.compile(r"--|&&|\|\||~~")
_UNBOUNDED = re.compile(r"[*+]|\{\d+,\}")

# Within these, PCRE accepts whatever Python accepts.
_LONGEST = 10000
_DEEPEST = 100
_MOST_REPEATS = re.compile(r"\d{5}")

_GROUP_TOKEN = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\[1-9]|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P?<(?![=!])\w+>|\(\?'\w+'|\((?![?*])", re.DOTALL
)
_REFERENCE = re.compile(r"\\[1-9gk]|\(\?(?:R|&|P[=>]|[+-]?\d|\()")


class PathExpression:
    """A pattern with its placeholders filled in. Immutable."""

    __slots__ = ("_pieces", "_python", "certain", "exact", "named", "plain", "prefix")

    def __init__(self, pattern: str, converters: Sequence[str]) -> None:
        pieces = _pieces(pattern, converters)
        self.plain = "".join(f"({text})" if filled else text for filled, text in pieces)
        self.named = _join(pieces, "(?<{}>{})")
        leading, whole = _leading_text(pieces[0][1])
        self.exact = leading if whole and len(pieces) == 1 else None
        """The one path this stands for, if there is only one."""
        plain = all(text in LINEAR if filled else _leading_text(text)[1] for filled, text in pieces)
        portable = self.exact is None and _is_portable(pieces)
        self.certain = self.exact is not None or (plain and portable)
        """Whether it is valid without being compiled: most are, and compiling all of them would delay a program's
        start.
        """
        # An alternative may begin with anything.
        bar = any("|" in text for filled, text in pieces if not filled)
        self.prefix = "" if bar else leading[: leading.rfind("/") + 1]
        """What every matching path begins with: empty, or text that ends with a slash."""
        self._pieces = pieces if portable else None
        self._python: re.Pattern[str] | None = None

    @property
    def python(self) -> re.Pattern[str] | None:
        """The expression for Python, valid in both dialects, if it is portable and not exact."""
        if self._pieces is not None:
            self._python = _compile(self._pieces)
            self._pieces = None
        return self._python

    def groups(self) -> tuple[int, ...]:
        """Return which groups of ``python`` are the placeholders', in order."""
        index = self.python.groupindex if self.python is not None else {}
        return tuple(index.values())


def group_name(position: int) -> str:
    """Return the name of the group that holds the placeholder at *position*."""
    return f"_arg{position}"


def placeholders(pattern: str) -> int:
    """Return how many placeholders *pattern* has."""
    return pattern.count(PLACEHOLDER)


def _pieces(pattern: str, converters: Sequence[str]) -> list[tuple[bool, str]]:
    """Return pairs in order: whether the text is a converter's, and the text; types left over are matched at the
    end.
    """
    first, *others = pattern.split(PLACEHOLDER)
    pieces = [(False, first)]
    for position, text in enumerate(others):
        known = position < len(converters)
        pieces += [(known, converters[position] if known else PLACEHOLDER), (False, text)]
    pieces += [(True, regexp) for regexp in converters[len(others) :]]
    return pieces


def _join(pieces: Sequence[tuple[bool, str]], template: str) -> str:
    """Return the expression with a named group for each placeholder, by *template*."""
    parts = []
    position = 0
    for filled, text in pieces:
        if filled:
            parts.append(template.format(group_name(position), _without_groups(text)))
            position += 1
        else:
            parts.append(text)
    return "".join(parts)


def _without_groups(regexp: str) -> str:
    """Return a converter's expression without captures of its own, so that those after it keep their numbers.

    An expression that refers to its groups keeps them; the references become relative, because its
    groups are no longer the first ones.
    """
    if _REFERENCE.search(regexp) is None:
        return _GROUP_TOKEN.sub(lambda token: "(?:" if token[0][0] == "(" else token[0], regexp)
    opened = 0

    def relative(token: re.Match[str]) -> str:
        nonlocal opened
        text = token[0]
        if text[0] == "(":
            opened += 1
        elif text[0] == "\\" and text[1:].isdigit() and int(text[1:]) <= opened:
            return f"\\g{{-{opened - int(text[1:]) + 1}}}"
        return text

    return _GROUP_TOKEN.sub(relative, regexp)


def _leading_text(text: str) -> tuple[str, bool]:
    """Return the plain text that *text* begins with, and whether that is all of it."""
    plain: list[str] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.lastgroup not in ("literal", "escaped"):
            # What was not recognised may be a quantifier, which belongs to the last character.
            return "".join(plain[:-1] if token is None or token.lastgroup == "quantifier" else plain), False
        plain.append(token[0][-1])
        position = token.end()
    return "".join(plain), True


def _is_portable(pieces: Sequence[tuple[bool, str]]) -> bool:
    return sum(len(text) for _, text in pieces) <= _LONGEST and _PortabilityCheck().portable(pieces)


def _compile(pieces: Sequence[tuple[bool, str]]) -> re.Pattern[str] | None:
    try:
        # ASCII: \d, \w and \s are ASCII in QRegularExpression.
        return re.compile(_join(pieces, "(?P<{}>{})"), re.ASCII)
    except re.error:  # a range or count in the wrong order: Qt's message says so
        return None


class _PortabilityCheck:
    """Visits the tokens of one expression and decides whether it is portable.

    Time: one unbounded loop in a segment fails in linear time, because nothing else can match the same characters; two
    may be quadratic, a loop around a loop exponential. A loop over characters that can be a slash can match what all
    segments after it match, so only one is allowed.
    """

    __slots__ = ("atom", "conditional", "crossing", "depth", "kind", "loops")

    def __init__(self) -> None:
        self.atom = ""
        self.kind: str | None = None
        self.conditional = False  # a group may not take part in the match
        self.crossing = 0  # loops over a slash
        self.loops = 0  # unbounded loops in this segment
        self.depth = 0

    def portable(self, pieces: Iterable[tuple[bool, str]]) -> bool:
        filled = False
        for is_filled, text in pieces:
            filled = filled or is_filled
            if not (self._converter(text) if is_filled else self._text(text)):
                return False
        # A placeholder that took no part in the match has no text to convert; for QRegularExpression it is "".
        return self.depth == 0 and not (filled and self.conditional)

    def _converter(self, regexp: str) -> bool:
        if regexp in LINEAR:
            self.loops += 1
        else:
            outside = self.conditional
            if not self._text(regexp):
                return False
            self.conditional = outside  # with an alternative inside of the placeholder it still takes part
        self.kind = "close"
        return self.loops <= 1

    def _text(self, text: str) -> bool:
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None or not self._accept(str(token.lastgroup), token[0]):
                return False
            position = token.end()
        return True

    def _accept(self, kind: str, text: str) -> bool:
        if kind == "quantifier":
            return self._repeat(text)
        if kind == "charclass" and _SET_OPERATION.search(text):
            return False
        if kind == "bar":
            self.conditional = True
        elif kind in ("open", "close"):
            self.depth += 1 if kind == "open" else -1
        elif text == "/" and self.depth == 0:
            self.loops = 0
        self.kind, self.atom = kind, text
        return 0 <= self.depth <= _DEEPEST

    def _repeat(self, quantifier: str) -> bool:
        if self.kind in (None, "quantifier", "open", "bar") or _MOST_REPEATS.search(quantifier):
            return False
        if self.kind == "close":
            self.conditional = True
            self.kind = "quantifier"
            return quantifier in ("?", "??")
        if _UNBOUNDED.match(quantifier):
            self.loops += 1
            try:
                self.crossing += re.fullmatch(self.atom, "/", re.ASCII) is not None
            except re.error:  # a range in the wrong order: Qt's message says so
                return False
        self.kind = "quantifier"
        return self.loops <= 1 and self.crossing <= 1
