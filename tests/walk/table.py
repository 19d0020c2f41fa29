"""The table of permissions as a page: `python -m tests.walk.table` writes docs/permissions.md from the code."""

from collections.abc import Iterable
from pathlib import Path

from domain.access import PERMISSIONS, Action, Permission, Role
from entrypoints.http.route import Route
from tests.architecture.test_routes import ROUTES, guards, holds_token, template

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
_HEAD = """# Who may do what

Written by `make docs` from `domain/access.py` and the routes, and held equal to them by a test; another test asks every route as everybody.

*own*: only what the person made; `self`, `session`, `password` and `api-key` are about oneself alone, and what is another's is 404.
*API key*: whether a key may do it for its user, with the scope `read` for `GET` and `write` for all else.

| action | member | annotator | admin | API key | routes |
| --- | --- | --- | --- | --- | --- |
"""


def rendered() -> str:
    """The whole page."""
    rows = [_row(action, PERMISSIONS[action]) for action in Action]
    return _HEAD + "".join(rows) + _tail()


def _row(action: Action, permission: Permission) -> str:
    cells = [f"`{action}`", *(_may(role, permission) for role in Role), "yes" if permission.by_key else "no", _routes(action)]
    return f"| {' | '.join(cells)} |\n"


def _may(role: Role, permission: Permission) -> str:
    if role.rank >= permission.anyones.rank:
        return "yes"
    return "own" if role.rank >= permission.own.rank else "–"


def _routes(action: Action) -> str:
    return _listed(route for route in ROUTES if any(guard.action is action for guard in guards(route)))


def _tail() -> str:
    public = _listed(route for route in ROUTES if not guards(route) and not holds_token(route))
    ending = _listed(route for route in ROUTES if holds_token(route))
    return f"\nFor every sign-in, also one that has ended, and for no API key: {ending}.\n\nFor everybody: {public}.\n"


def _listed(routes: Iterable[Route]) -> str:
    found = sorted((template(route), method) for route in routes for method in route.methods or ())
    return ", ".join(f"`{method} {path}`" for path, method in found)


if __name__ == "__main__":
    PAGE.write_text(rendered())
    print(f"Wrote {PAGE}.")
