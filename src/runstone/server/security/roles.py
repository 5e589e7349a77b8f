"""Roles: what a token may do. Each has the rights of those before it."""

from typing import Final

import msgspec

from runstone.errors import InvalidInput, RoleMissing

ROLES: Final = ("read", "ingest", "control")
"""read: look at everything. ingest: report events and usage of runs, too. control: everything."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request it is: the token that it came with."""

    token_id: str
    role: str
    name: str
    by_cookie: bool = False

    def require(self, role: str) -> None:
        """Raises `RoleMissing` unless the token's role is that one or has its rights."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise RoleMissing(f"this takes the role {role}, and the token has {self.role}", role=role)


def check_role(role: str) -> str:
    """The role. Raises `InvalidInput` for a text that is none."""
    if role not in ROLES:
        raise InvalidInput(f"a role is one of {', '.join(ROLES)}, not {role!r:.80}")
    return role
