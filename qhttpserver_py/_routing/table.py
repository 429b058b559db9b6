"""The table of routes: which rule answers a request. Pure.

Strategy: the first route, in the order of registration, that takes the method and the path wins, exactly as if all
were tried one after the other. Two dictionaries only avoid the attempts that cannot succeed: one by the whole path, for
routes without placeholders, and one by the longest literal directory that a route begins with. Both give the routes to
try, in order; the lists are made when they are first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any, Generic, TypeVar

from qhttpserver_py._protocol.engine import Message
from qhttpserver_py._protocol.path import decoded_path

Target = TypeVar("Target")
Found = tuple[Target, tuple[object, ...]]
Test = Callable[[str], Any]
Convert = Callable[[Any], tuple[object, ...] | None]

HEAD_BY_GET = "HEAD answered by GET"
"""Stands for HEAD where no route takes HEAD itself: such a route's GET answers it (RFC 9110 9.3.2)."""


class EveryMethod:
    """The methods of a route that decides by itself."""

    __slots__ = ()

    def __contains__(self, token: object) -> bool:
        return token != HEAD_BY_GET


class Route(Generic[Target]):
    """One way to a target.

    ``convert`` makes the captures of what ``test`` returns; ``make`` makes the two when a path is first tested.
    Both are None where the path alone decides (``exact``), or where the target does (``dynamic``).
    """

    __slots__ = ("_make", "convert", "dynamic", "exact", "found", "methods", "prefix", "pure", "target", "test")

    def __init__(
        self,
        target: Target,
        methods: Container[str],
        *,
        exact: str | None = None,
        prefix: str = "",
        make: Callable[[], tuple[Test, Convert | None]] | None = None,
        pure: bool = True,
    ) -> None:
        self.target = target
        self.methods = methods
        self.exact = exact
        self.prefix = prefix
        self._make = make
        self.test: Test | None = None
        self.convert: Convert | None = None
        self.pure = pure  # equal paths convert to equal values without side effects, so the result may be remembered
        self.dynamic = exact is None and make is None
        self.found: Found[Target] = (target, ())

    def ready(self) -> Route[Target]:
        """Make ``test`` and ``convert`` if need be; return this route."""
        if self._make is not None:
            self.test, self.convert = self._make()
            self._make = None
        return self

    def match(self, path: str) -> Found[Target] | None:
        """Return the target with its captures if *path* matches; not for dynamic routes."""
        test = self.test
        if test is None:
            return self.found if path == self.exact else None
        match = test(path)
        if match is None:
            return None
        convert = self.convert
        if convert is None:
            return self.found
        captures = convert(match)
        return None if captures is None else (self.target, captures)

    def may_take(self, path: str) -> bool:
        """Return whether this may answer *path*, without running code of the application."""
        if self.dynamic:
            return True
        if self.pure:
            return self.match(path) is not None
        return self.test is not None and self.test(path) is not None


Routes = tuple[Route[Target], ...]


class RouteTable(Generic[Target]):
    """Routes in order. It may be changed while a look-up runs, which goes on with the routes it began with."""

    __slots__ = ("_by_prefix", "_epoch", "_exact", "_longest", "_routes", "_stale")

    def __init__(self) -> None:
        self._routes: Routes[Target] = ()
        self._exact: dict[str, Routes[Target] | None] = {}
        self._by_prefix: dict[str, Routes[Target] | None] = {}
        self._longest = 0
        self._stale = True
        self._epoch = object()  # replaced by every change; look-ups that were remembered under another one are not used

    def add(self, route: Route[Target]) -> None:
        """Append a route."""
        self._change((*self._routes, route))

    def remove(self, target: Target) -> None:
        """Take all routes to *target* out."""
        self._change(tuple(route for route in self._routes if route.target is not target))

    def clear(self) -> None:
        """Take all routes out."""
        self._change(())

    def targets(self) -> list[Target]:
        """Return the targets in order."""
        return [route.target for route in self._routes]

    def lookup(self, message: Message) -> Found[Target] | None:
        """Return the target that answers *message*, and its converted captures; remember it in ``message.route``.

        A dynamic route is returned when it is reached; whether it, or one after it, answers is decided later.
        """
        known: Any = message.route
        if known is not None and known[0] is self._epoch:
            found: Found[Target] = known[1]
            return found
        path = message.path
        if path is None:
            message.path = path = decoded_path(message.target, message.method)
        if self._stale:
            self._prepare()
        routes = self._exact.get(path) or self.candidates(path)
        method = message.method
        answer = self._first(routes, message, path, method)
        if answer is None and method == "HEAD":
            return self._first(routes, message, path, HEAD_BY_GET)
        return answer

    def _first(self, routes: Routes[Target], message: Message, path: str, method: str) -> Found[Target] | None:
        """Call Route.match() for each in turn; its code is repeated here, because most of the time is spent in it."""
        settled = True
        for route in routes:
            if method not in route.methods:
                continue
            found = route.found
            test = route.test
            if test is not None:
                match = test(path)
                if match is None:
                    continue
                convert = route.convert
                if convert is not None:
                    captures = convert(match)
                    settled = settled and route.pure
                    if captures is None:
                        continue
                    found = (route.target, captures)
            # Not after an impure conversion, which may have changed this table and may have another result the next
            # time.
            if settled and route.pure:
                message.route = (self._epoch, found)
            return found
        return None

    def candidates(self, path: str) -> Routes[Target]:
        """Return the routes worth trying for *path*, in order."""
        if self._stale:
            self._prepare()
        if path in self._exact:
            routes = self._exact[path]
            if routes is None:
                self._exact[path] = routes = tuple(filter(_takes(path), self._routes))
            return routes
        by_prefix = self._by_prefix
        end = path.rfind("/", 0, self._longest) + 1
        while path[:end] not in by_prefix:
            end = path.rfind("/", 0, end - 1) + 1 if end else 0
        prefix = path[:end]
        routes = by_prefix[prefix]
        if routes is None:
            routes = tuple(r.ready() for r in self._routes if r.exact is None and prefix.startswith(r.prefix))
            by_prefix[prefix] = routes
        return routes

    def methods_for(self, path: str) -> set[str]:
        """Return the methods for which a route answers *path*; dynamic routes are not asked."""
        return _methods(route for route in self.candidates(path) if route.may_take(path))

    def methods(self) -> set[str]:
        """Return the methods that any route takes; dynamic routes are not asked."""
        return _methods(self._routes)

    def would_match(self, message: Message) -> bool:
        """Return whether a route may answer *message*, running no code of the application."""
        path = path_of(message)
        tokens = methods_tried(message.method)
        return any(
            token in route.methods and route.may_take(path) for token in tokens for route in self.candidates(path)
        )

    def _change(self, routes: Routes[Target]) -> None:
        self._routes = routes
        self._stale = True
        self._epoch = object()

    def _prepare(self) -> None:
        self._exact = {route.exact: None for route in self._routes if route.exact is not None}
        self._by_prefix = {route.prefix: None for route in self._routes if route.exact is None}
        self._by_prefix[""] = None
        self._longest = max(map(len, self._by_prefix))
        self._stale = False


def _methods(routes: Iterable[Route[Any]]) -> set[str]:
    methods: set[str] = set()
    for route in routes:
        if isinstance(route.methods, frozenset):
            methods |= route.methods
    if HEAD_BY_GET in methods:
        methods.remove(HEAD_BY_GET)
        methods.add("HEAD")
    return methods


def _takes(path: str) -> Callable[[Route[Any]], bool]:
    """Return what tells whether a route can take *path*, conversion aside."""

    def takes(route: Route[Any]) -> bool:
        if route.exact is not None or route.dynamic:
            return route.dynamic or route.exact == path
        if not path.startswith(route.prefix):
            return False
        test = route.ready().test
        return test is not None and test(path) is not None

    return takes


def methods_tried(method: str) -> tuple[str, ...]:
    """Return the tokens to look routes up with, in turn."""
    return (method, HEAD_BY_GET) if method == "HEAD" else (method,)


def path_of(message: Message) -> str:
    """Return the path that routes see, decoded once per message."""
    path = message.path
    if path is None:
        message.path = path = decoded_path(message.target, message.method)
    return path
