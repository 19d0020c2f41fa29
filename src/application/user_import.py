"""Making many accounts at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from application.ports import Clock, Random, UnitOfWorkFactory
from application.user import SETUP_LIFETIME, Setup, new_user_entry
from domain.access import Action, require
from domain.user import User
from domain.user_import import AccountRow, refuse_taken, users_from


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportUsers:
    """Make accounts for many, all or none, from a table with the header `username,email,role`; an empty role is a member's.

    Each gets a one-time `setup_token` of its own. A fault is pointed at as `/rows/<n>/<field>`, the first data row being 1; a username
    that comes twice or is taken is one too.
    """

    unit_of_work: UnitOfWorkFactory
    random: Random
    clock: Clock

    async def __call__(self, rows: Sequence[AccountRow], *, by: User) -> list[Setup]:
        require(by, Action.USER_IMPORT)
        now = self.clock.now()
        expires_at = now + SETUP_LIFETIME
        wanted = users_from(rows, at=now)
        async with self.unit_of_work() as work:
            added = {user.username: user for user in await work.users.add_free(wanted)}
            refuse_taken(wanted, free=added)
            made = [Setup(user=added[user.username], token=self.random.token(), expires_at=expires_at) for user in wanted]
            await work.setup_tokens.add_all({each.user.id: each.token for each in made}, expires_at=expires_at)
            await work.audit.add(*(new_user_entry("user.import", each.user, by=by) for each in made))
            await work.commit()
        return made
