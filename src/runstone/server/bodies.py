"""Reading a request's body: its JSON is measured before it is read, and answers are written once."""

from typing import Any

import msgspec
from litestar import Request, Response

from runstone.errors import InvalidInput
from runstone.server.etags import etag_of, unchanged
from runstone.server.security.limits import check_depth

JSON = "application/json"
_encoder = msgspec.json.Encoder(enc_hook=str)


class MeasuredRequest(Request[Any, Any, Any]):
    """A request whose JSON is not too deep."""

    async def body(self) -> bytes:
        """The body. Raises `RequestTooDeep`, and `InvalidInput` for what is no UTF-8."""
        data = await super().body()
        check_depth(data, self.app.state.max_json_depth)
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"the body is not UTF-8 text: byte {error.start}") from error
        return data


def encode(value: Any) -> bytes:
    """The value as JSON."""
    return _encoder.encode(value)


def tagged(request: Request[Any, Any, Any], value: Any, etag: str | None = None) -> Response[Any]:
    """An answer with its ETag, or 304 where the reader has it."""
    body = encode(value)
    etag = etag or etag_of(body)
    if unchanged(request, etag):
        return Response(
            b"", status_code=304, headers={"etag": etag, "cache-control": "no-cache"}, media_type=JSON
        )
    return Response(body, headers={"etag": etag, "cache-control": "no-cache"}, media_type=JSON)
