"""Matches paths by expressions: with Python's ``re`` where that certainly agrees with Qt, else with
QRegularExpression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PySide6.QtCore import QRegularExpression, QRegularExpressionMatch

from qhttpserver_py._routing.converters import NO_VALUE, Converter, ConverterTable, UnknownTypeError
from qhttpserver_py._routing.pattern import PathExpression, group_name, placeholders


class RefusedError(Exception):
    """A rule that cannot be added; the text is the warning."""


class PathMatcher:
    """Matches whole decoded paths, and converts what the placeholders matched."""

    __slots__ = ("_groups", "_regular", "_test", "converters", "expression")

    def __init__(self, expression: PathExpression, converters: Sequence[Converter]) -> None:
        self.expression = expression
        self.converters = tuple(converters)
        self._groups = tuple(range(len(self.converters)))
        self._regular: QRegularExpression | None = None
        self._test: Callable[[str], Any] | None = None

    @property
    def test(self) -> Callable[[str], Any]:
        """What returns None for a path that does not match, else what ``convert`` takes."""
        test = self._test
        if test is None:
            python = self.expression.python
            if python is not None:
                self._groups = self.expression.groups()
            self._test = test = self._test_regular if python is None else python.fullmatch
        return test

    @property
    def pure(self) -> bool:
        """Whether equal paths convert to equal, immutable values, without side effects."""
        return all(converter.pure for converter in self.converters)

    def regular_expression(self) -> QRegularExpression:
        """Return the expression for Qt, anchored at both ends of the text; it is made at the first call."""
        regular = self._regular
        if regular is None:
            regular = QRegularExpression(QRegularExpression.anchoredPattern(self.expression.named))
            self._regular = regular
        return regular

    def match(self, path: str) -> QRegularExpressionMatch:
        """Return Qt's match of *path*."""
        return self.regular_expression().match(path)

    def convert(self) -> Callable[[Any], tuple[object, ...] | None] | None:
        """Return what turns a result of ``test`` into captures, or None if there is nothing to capture.

        It returns None for text that cannot be converted: the path does not match then.
        """
        if not self.converters:
            return None
        _ = self.test  # whose groups are known
        if len(self.converters) == 1:
            return _convert_one(self.converters[0].convert, self._groups[0])
        steps = tuple(
            (converter.convert, group) for converter, group in zip(self.converters, self._groups, strict=True)
        )
        return _convert_all(steps)

    def captured(self, match: QRegularExpressionMatch) -> list[str]:
        """Return the text of each placeholder; *match* may be of another expression, then by position."""
        if group_name(0) in match.regularExpression().namedCaptureGroups():
            return [match.captured(group_name(position)) for position in range(len(self.converters))]
        return [match.captured(position + 1) for position in range(len(self.converters))]

    def captures(self, match: QRegularExpressionMatch) -> tuple[object, ...]:
        """Return the converted captures of *match*. Raises one of NO_VALUE for text that cannot be converted."""
        texts = self.captured(match)
        return tuple(converter(text) for converter, text in zip(self.converters, texts, strict=True))

    def _test_regular(self, path: str) -> tuple[str, ...] | None:
        match = self.match(path)
        if not match.hasMatch():
            return None
        return tuple(match.captured(group_name(position)) for position in range(len(self.converters)))


class FailedCaptures(tuple[object, ...]):
    """The captures where a converter raised: the handler's call raises the same exception."""

    error: Exception

    def __new__(cls, error: Exception) -> FailedCaptures:
        captures = super().__new__(cls)
        captures.error = error
        return captures

    def __getitem__(self, _index: Any) -> Any:
        raise self.error

    def __iter__(self) -> Iterator[object]:
        raise self.error


Step = tuple[Callable[[str], object] | None, int]


def _convert_one(convert: Callable[[str], object] | None, group: int) -> Callable[[Any], tuple[object, ...] | None]:
    if convert is None:
        return lambda match: (match[group],)

    def one(match: Any) -> tuple[object, ...] | None:
        try:
            return (convert(match[group]),)
        except NO_VALUE:
            return None
        except Exception as error:  # noqa: BLE001 - user code, and nobody's parser or look-up may see it fail
            return FailedCaptures(error)

    return one


def _convert_all(steps: Sequence[Step]) -> Callable[[Any], tuple[object, ...] | None]:
    def several(match: Any) -> tuple[object, ...] | None:
        try:
            return tuple([match[group] if convert is None else convert(match[group]) for convert, group in steps])
        except NO_VALUE:
            return None
        except Exception as error:  # noqa: BLE001 - as above
            return FailedCaptures(error)

    return several


def compile_path(table: ConverterTable, pattern: str, types: Sequence[Any]) -> PathMatcher:
    """Return the matcher of *pattern* with its placeholders standing for *types*. Raises RefusedError."""
    try:
        converters = [table.find(annotation) for annotation in types]
    except UnknownTypeError as error:
        raise RefusedError(f"Can not find converter for type: {error}") from None
    expression = PathExpression(pattern, [converter.regexp for converter in converters])
    wanted = placeholders(pattern)
    if not wanted <= len(converters) <= wanted + 1:
        what = "not enough types or one of the types is not supported"
        if len(converters) > wanted:
            what = "more than one type beyond the placeholders"
        raise RefusedError(
            f"{what}, regexp: {quoted(expression.plain)} , pattern: {quoted(pattern)} , types: {_types(converters)}"
        )
    if not expression.certain and expression.python is None:
        _check(pattern, expression)
    return PathMatcher(expression, converters)


def _check(pattern: str, expression: PathExpression) -> None:
    # Both alone and with the group around it: "a)(b" is no valid expression, though "(a)(b)" is one.
    for text in (expression.plain, expression.named):
        regular = QRegularExpression(text)
        if not regular.isValid():
            raise RefusedError(
                f"invalid regular expression: {regular.errorString()} at {regular.patternErrorOffset()}, "
                f"regexp: {quoted(text)} , pattern: {quoted(pattern)}"
            )


def quoted(text: str) -> str:
    """Return *text* as QDebug prints a QString."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _types(converters: Sequence[Converter]) -> str:
    names = [converter.name for converter in converters] or ["void"]
    return f"std::initializer_list({', '.join(f'QMetaType({name})' for name in names)})"
