"""Checkpoints: one head, and a row for each place of the state that changed."""

from typing import Any

from runstone.domain import runs
from runstone.domain.state import Place
from runstone.errors import RevisionConflict
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import compress, pack

INLINE_BYTES = 900
"""A value of a place that takes more (compressed) is a blob, so that equal ones are stored once.

A row of `places` that does not fit into a quarter of a page takes a page of its own for what is over: of 1.2 KB each,
1,000 rows took 4.7 MB, and 1.6 MB as blobs, with all their indexes.
"""


class SaveCheckpoint(Write):
    """Saves the changed places as the run's next checkpoint. The value is its number.

    `after` is the number that the changes were found against; another one refuses the save.
    """

    __slots__ = ("after", "attempt", "blobs", "label", "rows", "run_id", "size")

    def __init__(
        self, run_id: str, attempt: int, places: list[Place], *, label: str | None, after: int
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.label = label
        self.after = after
        self.rows: list[tuple[Any, ...]] = []
        self.blobs: list[Row] = []
        self.size = 500
        for place in places:
            self._pack(place)

    def _pack(self, place: Place) -> None:
        number, data, ref = 0, place.value, None
        if data is not None:
            number, data = compress(data)
        if place.value is not None and data is not None and len(data) > INLINE_BYTES:
            blob = pack(place.value, (number, data))
            self.blobs.append(blob)
            number, data, ref = 0, None, blob[0]
            self.size += len(blob[3])
        self.rows.append((place.path, place.item, number, data, ref))
        self.size += 100 + len(data or b"")

    def decide(self, batch: Batch) -> int:
        head = batch.head(self.run_id)
        runs.check_fence(head, self.attempt)
        last = batch.read("last_checkpoint", run=head.pk)[0][0]
        if last != self.after:
            raise RevisionConflict(f"the last checkpoint of run {self.run_id} is {last}, not {self.after}")
        for blob in self.blobs:
            batch.put_blob(blob)
        number = last + 1
        batch.stage(
            "insert_checkpoint",
            head.pk,
            number,
            self.attempt,
            self.label,
            head.definition_hash,
            last or None,
            batch.now,
        )
        for path, item, codec, value, ref in self.rows:
            batch.stage("insert_place", head.pk, path, item, number, codec, value, ref)
        payload: dict[str, Any] = {"number": number}
        if self.label:
            payload["label"] = self.label
        batch.record(head, "checkpoint.saved", payload)
        return int(number)
