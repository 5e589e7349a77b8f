"""What parked runs wait for, and who is woken when a child ends."""

from runstone.domain import codec, runs
from runstone.domain.runs import Head
from runstone.store.batch import Batch


def is_met(mode: str, children: list[Head]) -> bool:
    """Whether a branch is fulfilled by the statuses of its children."""
    ended = [child.status in runs.ENDED for child in children]
    return any(ended) if mode == "any" else all(ended)


def add(batch: Batch, head: Head, branch: int, mode: str, child: int) -> None:
    """Stages a wait."""
    batch.stage("insert_wait", head.pk, branch, mode, child)
    batch.cache.awaited.add(child)


def met_by(batch: Batch, child: Head) -> list[Head]:
    """The parked runs that go on when `child` ends. Reads; called before staging.

    The heads are those of this transaction: of two children that end at the same moment the second one sees the first.
    """
    if not batch.cache.awaited.has(batch.db, child.pk):
        return []
    woken = {}
    for run, _branch, mode, another in batch.read("waits_of_child", child=child.pk):
        if mode == "any" or not another:
            woken[run] = batch.head_at(run)
    return [head for head in woken.values() if head.status == "waiting"]


def wake(batch: Batch, parked: list[Head]) -> None:
    """Stages that parked runs are ready to go on; once, as a run that is woken waits no more."""
    for head in parked:
        batch.stage("delete_waits", head.pk)
        batch.record(head, "run.resumed", {"reason": "children ended", "from": "waiting"})


def unclaimed(batch: Batch, head: Head, claimed: list[int]) -> list[Head]:
    """Children in the journal that the finishing attempt did not ask for."""
    rows = batch.read("unclaimed_children", run=head.pk, claimed=codec.encode(claimed).decode())
    return [batch.head_at(pk) for (pk,) in rows]


def never_begun(batch: Batch, head: Head) -> list[Head]:
    """Pending descendants below an interrupted run: nobody will begin them unless it is resumed."""
    found, queue = [], [head.pk]
    while queue:
        for (pk,) in batch.read("children_pks", run=queue.pop()):
            child = batch.head_at(pk)
            if child.status == "pending" and not child.detached:
                found.append(child)
                queue.append(pk)
    return found


def stuck(batch: Batch, head: Head) -> list[Head]:
    """The parked run and its parked ancestors, as far up as nothing that they wait for can go on."""
    found: list[Head] = []
    while head.status == "waiting" and head.wake_at is None and head.status_reason == "children":
        children = [batch.head_at(pk) for (pk,) in batch.read("awaited_by", run=head.pk)]
        if any(_goes_on(child) for child in children if child not in found):
            break
        found.append(head)
        if head.parent is None:
            break
        head = batch.head_at(head.parent)
    return found


def _goes_on(child: Head) -> bool:
    """Whether it lives, or was woken and may finish; one that is tried again begins something new (`limits.check`)."""
    woken = child.status == "pending" and child.attempt > 0 and child.status_reason in runs.WOKEN
    return woken or child.status in ("running", "waiting", "awaiting_user")


def stranded(batch: Batch, head: Head) -> list[Head]:
    """Ancestors parked for children of which none lives any more once `head` is interrupted.

    A child that has not begun counts as living while somebody works in this tree, who may begin it.
    """
    found, gone, current = [], {head.pk}, head
    alive = {"running", "waiting", "awaiting_user"}
    if batch.read("live_in_tree", root=head.root, self=head.pk, now=batch.now)[0][0]:
        alive.add("pending")
    while current.parent is not None:
        parent = batch.head_at(current.parent)
        if parent.status != "waiting" or parent.wake_at is not None or parent.status_reason != "children":
            break
        children = [batch.head_at(pk) for (pk,) in batch.read("awaited_by", run=parent.pk)]
        if any(child.status in alive for child in children if child.pk not in gone):
            break
        found.append(parent)
        gone.add(parent.pk)
        current = parent
    return found
