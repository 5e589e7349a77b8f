"""Large values, as they are stored: always a download, never something that a browser shows or runs."""

from litestar import Response, Router, get
from litestar.params import FromPath

from runstone.server.parts import LedgerPart, ReadsPart


@get("/{digest:str}", summary="Download a stored value", media_type="application/octet-stream")
async def get_blob(ledger: LedgerPart, reads: ReadsPart, digest: FromPath[str]) -> Response[bytes]:
    """The raw bytes behind a reference. What is behind one never changes."""
    data = await reads(ledger.blob, digest)
    headers = {
        "content-disposition": 'attachment; filename="value.bin"',
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, max-age=31536000, immutable",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


router = Router(path="/blobs", route_handlers=[get_blob], tags=["blobs"])
