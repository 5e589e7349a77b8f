"""Reading large values, which lie in blobs."""

from typing import TYPE_CHECKING, Any

from runstone.domain import codec
from runstone.domain.bounds import asked_id
from runstone.errors import NotFound
from runstone.store.blobs import unpack

if TYPE_CHECKING:
    from runstone.store.reads import Reader


class Values:
    """Blobs, and the values and texts in them."""

    def __init__(self, reader: "Reader") -> None:
        self._reader = reader

    def blob(self, digest: str) -> bytes:
        """The raw bytes of a blob, checked against its digest."""
        found = self._reader.rows("blob", digest=asked_id("a blob's digest", digest))
        if not found:
            raise NotFound(f"there is no blob {digest}")
        number, data, _ = found[0]
        return unpack(digest, number, data)

    def size(self, digest: str) -> int:
        """How many raw bytes a blob has. Raises `NotFound`."""
        found = self._reader.rows("blob_size", digest=asked_id("a blob's digest", digest))
        if not found:
            raise NotFound(f"there is no blob {digest}")
        return int(found[0][0])

    def json(self, digest: str | None) -> Any:
        """The JSON value of a blob; None for no reference."""
        return None if digest is None else codec.decode(self.blob(digest))

    def text(self, text: str | None, ref: str | None) -> str:
        """Text of a row, or of the blob that the row refers to."""
        return text if text is not None or ref is None else self.blob(ref).decode()  # type: ignore[return-value]
