"""Two runs side by side."""

from typing import Annotated, Any

from litestar import Router, get
from litestar.params import QueryParameter

from runstone.ledger import Ledger
from runstone.server.parts import LedgerPart, ReadsPart
from runstone.server.shapes.comparisons import ComparisonShape, comparison_of


@get("/compare", summary="Compare two runs")
async def compare(
    ledger: LedgerPart,
    reads: ReadsPart,
    a: Annotated[str, QueryParameter(max_length=200, description="A run.")],
    b: Annotated[
        str | None,
        QueryParameter(
            max_length=200, description="The other; without it a fork's source, or a source's newest fork."
        ),
    ] = None,
) -> ComparisonShape:
    """How the two differ: as wholes, by phase and by child."""
    return await reads(_compare, ledger, a, b)


def _compare(ledger: Ledger, a: str, b: str | None) -> ComparisonShape:
    return comparison_of(ledger.compare(a, b))


router: Any = Router(path="/", route_handlers=[compare], tags=["comparing"])
