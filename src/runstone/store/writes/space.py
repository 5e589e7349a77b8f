"""Giving space back: blobs that nobody refers to, what removed texts left in the search index, and free pages.

Each write is a short chunk, as those of a removal are. Nothing here changes what a ledger says.
"""

from typing import Final

from runstone.domain import codec
from runstone.store.base import Write
from runstone.store.batch import Batch

COLLECT_BYTES: Final = 8 * 1024 * 1024
"""Stored bytes of blobs that one write removes, about, so that none lasts over 200 ms."""


class CollectBlobs(Write):
    """Removes those of the blobs that no row refers to, some megabytes a time.

    The value: how many went, their stored bytes, and the digests that are still to be looked at.
    """

    __slots__ = ("digests",)

    def __init__(self, digests: list[str]) -> None:
        self.digests = digests

    def decide(self, batch: Batch) -> tuple[int, int, list[str]]:
        loose = batch.read("loose_blobs", digests=codec.encode(self.digests).decode())
        count = size = 0
        for digest, stored in loose:
            if count and size + stored > COLLECT_BYTES:
                break
            batch.stage("delete_blob", digest)
            count, size = count + 1, size + stored
        return count, size, [digest for digest, _ in loose[count:]]


class TidySearch(Write):
    """Merges so many pages of the full-text index, which drops what removed texts left in it.

    Parts of it that hold few removed texts are left as they are. The value says whether there was anything to do.
    """

    __slots__ = ("pages",)

    def __init__(self, pages: int) -> None:
        self.pages = pages

    def decide(self, batch: Batch) -> bool:
        before = batch.read("total_changes")[0][0]
        batch.stage("merge_search", self.pages)
        return int(batch.read("total_changes")[0][0]) - int(before) >= 2  # as FTS5 documents it


class GiveBack(Write):
    """Gives a chunk of free pages back to the file system. The value: how many are still free."""

    __slots__ = ()

    def decide(self, batch: Batch) -> int:
        batch.read("give_back_pages")
        return int(batch.read("free_pages")[0][0])
