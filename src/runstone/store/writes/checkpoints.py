"""Checkpoints: one head, and a row for each place of the state that changed."""

from typing import Any

from runstone.domain import codec, groups, runs
from runstone.domain.state import Place
from runstone.errors import RevisionConflict
from runstone.store.base import Row, Write
from runstone.store.batch import Batch
from runstone.store.blobs import compress, pack

PLAIN_BYTES = 4_000
"""So long an item that its group is to take in is not compressed: its row needs one more page in any case."""

Packed = tuple[int, bytes | None, Row | None]
"""What a row has of a value: codec and bytes, or the blob that it is to refer to."""

INLINE_BYTES = 900
"""A value of a place that takes more (compressed) is a blob, so that equal ones are stored once.

A row of `places` that does not fit into a quarter of a page takes a page of its own for what is over: of 1.2 KB each,
1,000 rows took 4.7 MB, and 1.6 MB as blobs, with all their indexes. An item that its group is to take in stays in its
row all the same: that page is soon free again, where a blob writes to two indexes and leaves a value to collect.
"""


class SaveCheckpoint(Write):
    """Saves the changed places as the run's next checkpoint. The value is its number.

    `after` is the number that the changes were found against; another one refuses the save.
    """

    __slots__ = ("after", "attempt", "groups", "label", "late", "rows", "run_id", "size")

    def __init__(
        self, run_id: str, attempt: int, places: list[Place], *, label: str | None, after: int
    ) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.label = label
        self.after = after
        self.late = False
        """The attempt has ended; nobody else has had the run since."""
        self.size = 500
        self.rows = {(place.path, place.item): self._pack(place) for place in places if not place.replaces}
        self.groups = [(place, self._pack(place)) for place in places if place.replaces]

    def _pack(self, place: Place) -> Packed:
        self.size += 100
        if place.value is None:
            return 0, None, None
        if place.passing and len(place.value) <= PLAIN_BYTES:
            number, data = codec.PLAIN, place.value
        else:
            number, data = compress(place.value)
        self.size += len(data)
        if len(data) <= INLINE_BYTES or place.passing:
            return number, data, None
        return 0, None, pack(place.value, (number, data))

    def decide(self, batch: Batch) -> int:
        head = batch.head(self.run_id)
        if not self.late:
            runs.check_fence(head, self.attempt)
        last = batch.read("last_checkpoint", run=head.pk)[0][0]
        if last != self.after:
            raise RevisionConflict(f"the last checkpoint of run {self.run_id} is {last}, not {self.after}")
        number = last + 1
        rows = {key: (number, packed) for key, packed in self.rows.items()}
        for place, packed in self.groups:
            self._group(batch, head.pk, place, packed, rows)
        batch.stage(
            "insert_checkpoint",
            head.pk,
            number,
            self.attempt,
            self.label,
            head.definition_hash,
            last or None,
            batch.now,
            batch.last_number("journal"),
        )
        for (path, item), (since, (form, value, blob)) in rows.items():
            ref = None if blob is None else batch.put_blob(blob)
            batch.stage("insert_place", head.pk, path, item, since, form, value, ref)
        payload: dict[str, Any] = {"number": number}
        if self.label:
            payload["label"] = self.label
        batch.record(head, "checkpoint.saved", payload)
        return int(number)

    def _group(
        self, batch: Batch, run: int, place: Place, packed: Packed, rows: dict[tuple[str, int], Any]
    ) -> None:
        """Has a group take the place of its items, as far as each was saved once: what changed keeps its rows.

        It counts from the first of them on, so that each checkpoint since finds its items in it; how long the list was
        then says how many. An item's own row is never older than its group, and so counts before it.
        """
        first = groups.first_of(place.item)
        there = batch.read(
            "rows_of_items", run=run, path=place.path, first=first, end=first + groups.SIZE, group=place.item
        )
        saved: dict[int, list[Row]] = {}
        for row in there:
            saved.setdefault(row[0], []).append(row)
        if place.item in saved:
            return  # items that are saved for the second time stay as they are
        for item in place.replaces:
            own, key = saved.get(item, []), (place.path, item)
            if not own:
                rows.pop(key, None)
            elif len(own) == 1 and key not in rows and own[0][2] is None:
                batch.stage("delete_place", run, place.path, *own[0][:2])
        rows[place.path, place.item] = min((row[1] for row in there), default=self.after + 1), packed
