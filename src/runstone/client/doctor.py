"""What `doctor` says of spools: what killed processes left, and nobody has delivered yet."""

from collections.abc import Iterator
from pathlib import Path

from runstone.care.doctor.check import Check, ok, warning
from runstone.client import connecting, spool


def check_spools(place: Path | None = None) -> Iterator[Check]:
    """Spools in the user's state folder that no living process has."""
    place = connecting.spools_folder() if place is None else place
    left = [standing for base in sorted(place.glob("*")) if (standing := spool.left_behind(base)).spools]
    if not left:
        yield ok("client.spools", "no process has left writes for a server undelivered")
    for one in left:
        yield warning(
            "client.spools",
            f"{one.spools} spools with {one.bytes >> 10:,} kB wait for their server, in {one.folder}",
            "runstone up; the next runstone.connect() to that server delivers them",
        )
