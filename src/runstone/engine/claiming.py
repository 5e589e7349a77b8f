"""Which of a run's records its next attempt may use."""

from runstone.domain.records import AgentRun, JournalEntry
from runstone.domain.resume import ResumePolicy, unusable
from runstone.domain.workflows import WorkflowDefinition
from runstone.engine.foresight import phases_again
from runstone.store.reads import Reader


def taken_away(
    reader: Reader, run: AgentRun, definition: WorkflowDefinition | None, policy: ResumePolicy
) -> list[JournalEntry]:
    """The records that the policy (`rerun`, `from_phase`) takes from the run's next attempt.

    Raises `InvalidInput` where it names a phase or a record that the run does not know.
    """
    if policy.from_phase is None and not policy.rerun:
        return []
    phases = phases_again(reader, run, definition, policy.from_phase)
    return unusable(reader.journal.of(run.id), policy, phases)
