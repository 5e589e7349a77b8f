"""Every exception of Runstone.

    RunstoneError
    ├── InvalidInput            what the caller gave cannot be taken
    │   ├── NotJournalable      not JSON, so it could not be stored and given back equal
    │   ├── InvalidEvent        the event type or its payload breaks the catalogue
    │   ├── InvalidLine         a line of the line protocol breaks its rules
    │   ├── InvalidDefinition   a workflow or agent definition is wrong; names the place
    │   ├── InvalidItem         an item of what is reported from elsewhere breaks its rules
    │   ├── InvalidExport       the file is no export, or was cut off or changed; names the line
    │   ├── InvalidCursor       the cursor belongs to other filters or another ledger
    │   ├── ValueTooLarge       over the bound of its field
    │   ├── AmbiguousId         a short id fits several runs
    │   ├── InputRefused        the input lacks what a declarative workflow needs
    │   ├── SecretMissing       a secret that an input refers to has no value here
    │   ├── InvalidAnswer       the answer is none of the choices, or does not fit the question's schema
    │   └── RunMismatch         the id exists with another workflow or input
    ├── NotFound                run, thread, board, card, blob, agent, workflow or workspace
    ├── Refused                 the ledger's state does not allow it; nothing was changed
    │   ├── IllegalTransition   the status table has no such move
    │   ├── Fenced              a newer attempt owns the run
    │   │   └── RunMoved        it goes on in another ledger, and can only be read here
    │   ├── NotObserved         the run's own process says how it stands; reports from elsewhere do not
    │   ├── DispatchOver        the run has gone on since it was handed to this worker
    │   ├── RunIsLive           another owner holds a live lease
    │   ├── NotAChild           the run was not started by the one that wants to continue it
    │   ├── OrphanAlive         processes of the last attempt still live on another host
    │   ├── ImportConflict      a run, thread or card of the file is here with another content
    │   ├── CommandConflict     another order was given under the same idempotency key
    │   ├── RevisionConflict    the card or board changed since it was read
    │   ├── BudgetReached       the run is at its cap; nothing new starts
    │   ├── DefinitionChanged   the definition changed and the policy says refuse
    │   ├── ConfigNotTrusted    runstone.toml could run code, and its owner has not allowed it
    │   ├── AmbiguousQuestion   two equal questions are open at once
    │   ├── AlreadyAnswered     the question has another answer already
    │   ├── AlreadyDelivered    the end of a run was acknowledged already, or somebody else has it in hand
    │   ├── InputExpired        nobody answered in time
    │   ├── InputWithdrawn      the run does not ask any more
    │   ├── PreconditionFailed  it is not what the request was made against
    │   ├── IdempotencyMismatch another request was made under the same idempotency key
    │   ├── ServerRuns          a server of this workspace runs already
    │   └── Misuse              the call is not allowed at this place
    ├── AccessRefused           a server does not let the request in
    │   ├── NotAuthenticated    it names no token that is valid
    │   ├── RoleMissing         its token may not do that
    │   ├── HostRefused         it is meant for another host
    │   ├── CrossSiteRefused    it comes from a page of another site
    │   └── BindingRefused      a server may not listen there as it is set up
    ├── RequestRefused          a server cannot take the request as it is
    │   ├── RouteNotFound, MethodRefused, MediaTypeRefused
    │   ├── RequestTooLarge (HeadersTooLarge), RequestTooSlow, RequestTooDeep
    │   └── TooManyRequests     as many as it takes are under way
    ├── RunOutcome              a run ended or stopped in a way that is no result
    │   ├── RunFailed, RunStopped, RunPaused, RunInterrupted, AwaitingInput
    │   └── ChildFailed, ChildrenFailed
    ├── CommandError            a process agent's command did not do its work
    │   ├── CommandNotFound, CommandNotExecutable, CommandInputRefused
    │   └── CommandFailed, CommandTimedOut, CommandResultInvalid
    ├── ClientMissing           the extra `client` is not installed
    ├── ServerMissing           the extra `server` is not installed
    ├── PostgresMissing         the extra `postgres` is not installed
    ├── DistributedMissing      the extra `distributed` is not installed
    ├── PricesMissing           the extra `prices` is not installed, so that no cost can be computed
    ├── ProcessesUnreadable     the operating system does not show the processes here
    └── StoreError              the ledger itself
        ├── StoreBusy, StoreFull, StoreCorrupt, StoreReadOnly, StoreIO
        ├── StoreUnreachable        the database server does not answer, or the connection was lost
        ├── DatabaseRefused, RightsMissing, PoolerMode, DatabaseTooOld
        ├── SchemaTooNew, SchemaTooOld, UnknownCodec
        ├── LedgerInUse             it may be replaced only while nobody uses it
        ├── LedgerMoved             it goes on elsewhere, and can only be read here
        ├── ServerUnreachable       no server answers at the address
        ├── SpoolFull               the server is away, and no more can be kept for it
        └── LedgerClosed, ForkedLedger, WriteUncertain

`Suspended` is a `BaseException`: it is no error, and code that catches `Exception` must not see it.
Every class has a stable `code` (used by the CLI, the API and in stored errors) and a `hint`: what to do or type next.
"""

from typing import Any, ClassVar


class RunstoneError(Exception):
    """Base of every error of Runstone."""

    code: ClassVar[str] = "error"
    hint: str = "see the message"

    def __init__(self, message: str = "", *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])
        if hint is not None:
            self.hint = hint
        self.details: dict[str, Any] = details


class InvalidInput(RunstoneError):
    """The argument cannot be taken."""

    code = "invalid_input"
    hint = "correct the argument that the message names"


class NotJournalable(InvalidInput):
    """The value is not JSON, so it could not be stored and given back equal."""

    code = "not_journalable"
    hint = "pass JSON values (string keys, finite numbers, text), or give key= and convert the value yourself"


class InvalidEvent(InvalidInput):
    """The event type or its payload breaks the catalogue."""

    code = "invalid_event"
    hint = "event types are `domain.action` in the past tense; see docs/reference/events.md"


class InvalidLine(InvalidInput):
    """The line is meant as one of the line protocol, and breaks its rules."""

    code = "invalid_line"
    hint = "correct the program that wrote it; see docs/how-to/line-protocol.md"


class InvalidItem(InvalidInput):
    """The item of what is reported breaks its rules."""

    code = "invalid_item"
    hint = "correct what sends it; docs/how-to/ingest-from-elsewhere.md has every item with its fields"


class InvalidExport(InvalidInput):
    """The file is no export, or it was cut off or changed."""

    code = "invalid_export"
    hint = "export it again where it came from: runstone export --all -o FILE"


class InvalidDefinition(InvalidInput):
    """A workflow or agent definition is wrong."""

    code = "invalid_definition"
    hint = "correct the definition at the place that the message names"


class InvalidCursor(InvalidInput):
    """The cursor belongs to other filters or to another ledger."""

    code = "invalid_cursor"
    hint = "list again without a cursor"


class ValueTooLarge(InvalidInput):
    """The value is over the bound of its field."""

    code = "value_too_large"
    hint = "store long text as a message or a result; a row holds at most 4 KB"


class AmbiguousId(InvalidInput):
    """The short id fits more than one run."""

    code = "ambiguous_id"
    hint = "type more characters of the id"


class InputRefused(InvalidInput):
    """The input, or a result of an earlier phase, lacks what a declarative workflow needs of it."""

    code = "input_refused"
    hint = "give the run the part that the message names, or correct the definition in runstone.toml"


class InvalidAnswer(InvalidInput):
    """The answer does not fit the question."""

    code = "invalid_answer"
    hint = "see the question and what fits: runstone inputs show INPUT"


class SecretMissing(InvalidInput):
    """A secret that an input refers to has no value here; it is not stored, so each process is given it anew."""

    code = "secret_missing"
    hint = "set the variable of its name, or give it: runstone.run(..., secrets={NAME: value})"


class RunMismatch(InvalidInput):
    """The run id exists with another workflow or input."""

    code = "run_mismatch"
    hint = "use another id, or resume the run with its own input: runstone resume RUN"


class NotFound(RunstoneError):
    """Nothing with that id is in the ledger."""

    code = "not_found"
    hint = "list what there is: runstone runs list"


class WorkspaceNotFound(NotFound):
    """There is no workspace here or above."""

    code = "workspace_not_found"
    hint = "go to the project's folder, name one with --workspace DIR, or create one: runstone run ..."


class AgentNotFound(NotFound):
    """No agent is registered under that name."""

    code = "agent_not_found"
    hint = "import the module that registers it, or name it in runstone.toml: modules = [...]"


class WorkflowNotFound(NotFound):
    """No workflow is registered under that name."""

    code = "workflow_not_found"
    hint = "import the module that registers it, or name it in runstone.toml: modules = [...]"


class Refused(RunstoneError):
    """The state of the ledger does not allow it; nothing was changed."""

    code = "refused"
    hint = "look at the run: runstone runs show RUN"


class IllegalTransition(Refused):
    """The run's status does not allow this move."""

    code = "illegal_transition"


class RunMoved(IllegalTransition):
    """The run goes on in another ledger, and can only be read here."""

    code = "run_moved"
    hint = "go on with it there; or, if it is to go on here instead: runstone export --move --undo RUN"


class NotObserved(Refused):
    """The run is not an observed one: its own process says how it stands."""

    code = "not_observed"
    hint = "report its events and usage without a status, or report another run"


class Fenced(Refused):
    """A newer attempt owns the run, or the run has ended; this owner may not write any more."""

    code = "fenced"
    hint = "stop working on this run: it was taken over or ended; see runstone runs show RUN"


class DispatchOver(Refused):
    """The dispatch is not the run's any more: another worker has it, or it was paused, stopped or dispatched again."""

    code = "dispatch_over"
    hint = "nothing to do: whoever has the run goes on with it"


class RunIsLive(Refused):
    """Another owner works on the run."""

    code = "run_is_live"
    hint = "wait for it (runstone runs watch RUN) or stop it first (runstone runs stop RUN)"


class NotAChild(Refused):
    """The run is no child of the run that wants to continue it."""

    code = "not_a_child"
    hint = "a parent continues the runs that it started itself; see them: runstone runs tree RUN"


class OrphanAlive(Refused):
    """Processes of the last attempt may still live on another host."""

    code = "orphan_alive"
    hint = "end them on the host that the message names, or resume there"


class ImportConflict(Refused):
    """A run, thread or card of the file is here with another content; nothing of it was changed."""

    code = "import_conflict"
    hint = "import the file into a workspace of its own: runstone --workspace DIR import FILE"


class CommandConflict(Refused):
    """Another order was given to the run under the same idempotency key; this one was not."""

    code = "command_conflict"
    hint = "give the order under a key of its own"


class RevisionConflict(Refused):
    """It changed since it was read."""

    code = "revision_conflict"
    hint = "read it again, apply the change to what is there now, and send that revision"


class BudgetReached(Refused):
    """The run is at its budget's cap; nothing new starts."""

    code = "budget_reached"
    hint = "resume with a larger budget: runstone resume RUN --max-cost USD"


class DefinitionChanged(Refused):
    """The definition changed since the run was started, and the policy refuses that."""

    code = "definition_changed"
    hint = "resume with definition='accept', or restore the definition"


class ConfigNotTrusted(Refused):
    """A runstone.toml can import modules and start commands, and nobody has allowed this one to."""

    code = "config_not_trusted"
    hint = "read it, then allow it once: runstone run --trust ..."


class AmbiguousQuestion(Refused):
    """Two equal questions are open at once."""

    code = "ambiguous_question"
    hint = "give each its own key="


class AlreadyAnswered(Refused):
    """The question has been answered otherwise; the first answer counts."""

    code = "already_answered"
    hint = "see the answer that counts: runstone inputs show INPUT"


class AlreadyDelivered(Refused):
    """The end of the run was acknowledged already, or another process of the listener has it in hand."""

    code = "already_delivered"
    hint = "leave it to whoever has it, and ask for what is left: ledger.deliveries(...), run.finished_children()"


class InputExpired(Refused):
    """Nobody answered the question in time."""

    code = "input_expired"
    hint = "give the question a default=, or have it asked again: runstone resume RUN"


class InputWithdrawn(Refused):
    """The run ended, or went on without an answer: it does not ask any more."""

    code = "input_withdrawn"
    hint = "see what is asked: runstone inputs list"


class PreconditionFailed(Refused):
    """It is not any more what the request was made against."""

    code = "precondition_failed"
    hint = "read it again, look whether the change still fits, and send the ETag that came with it"


class IdempotencyMismatch(Refused):
    """Another request was made under the same idempotency key; this one was not."""

    code = "idempotency_mismatch"
    hint = "give each request a key of its own; a key is sent again only with the very same request"


class ServerRuns(Refused):
    """A server of this workspace runs already."""

    code = "server_runs"
    hint = "open it: runstone open; or end it: runstone down"


class Misuse(Refused):
    """The call is not allowed at this place."""

    code = "misuse"
    hint = "see the message"


class AccessRefused(RunstoneError):
    """The server does not let this request in."""

    code = "access_refused"
    hint = "see docs/security.md"


class NotAuthenticated(AccessRefused):
    """The request names no token that is valid."""

    code = "not_authenticated"
    hint = "send the header Authorization: Bearer TOKEN, or open the server in a browser: runstone open"


class RoleMissing(AccessRefused):
    """The token may not do that."""

    code = "role_missing"
    hint = "use a token with the role that the message names"


class HostRefused(AccessRefused):
    """The request is meant for another host than this server."""

    code = "host_refused"
    hint = "call the server by the address that it printed, or allow the name when it is started"


class CrossSiteRefused(AccessRefused):
    """The request comes from a page of another site."""

    code = "cross_site_refused"
    hint = "open the server's own address; pages of other sites may not call it"


class BindingRefused(AccessRefused):
    """A server that others can reach needs TLS, or the word that it goes without."""

    code = "binding_refused"
    hint = "listen on 127.0.0.1, or give a certificate and its key, or say that it is meant to be insecure"


class RequestRefused(RunstoneError):
    """The server cannot take the request as it is."""

    code = "request_refused"
    hint = "see docs/reference/openapi.json"


class RouteNotFound(RequestRefused):
    """There is nothing at that path."""

    code = "route_not_found"


class MethodRefused(RequestRefused):
    """The path does not take that method."""

    code = "method_refused"
    hint = "see the header Allow for those that it takes"


class MediaTypeRefused(RequestRefused):
    """The body is of a kind that is not taken."""

    code = "media_type_refused"
    hint = "send JSON, with the header Content-Type: application/json"


class RequestTooLarge(RequestRefused):
    """The body or the headers are larger than the server takes."""

    code = "request_too_large"
    hint = "send less at a time"


class HeadersTooLarge(RequestTooLarge):
    """The head of the request is larger than the server takes."""

    code = "headers_too_large"
    hint = "send fewer or shorter headers; many cookies of other servers on this machine may be the reason"


class RequestTooSlow(RequestRefused):
    """The body did not arrive in time."""

    code = "request_too_slow"
    hint = "send it again, over a better connection or in smaller parts"


class RequestTooDeep(RequestRefused):
    """The JSON is nested deeper than the server takes."""

    code = "request_too_deep"
    hint = "send a flatter value"


class TooManyRequests(RequestRefused):
    """As many as the server takes are under way."""

    code = "too_many_requests"
    hint = "try again in a moment, and end connections that nobody reads"


class RunOutcome(RunstoneError):
    """A run ended or stopped in a way that is no result."""

    code = "run_outcome"

    def __init__(self, message: str = "", *, run_id: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.run_id = run_id


class RunFailed(RunOutcome):
    """The run failed."""

    code = "run_failed"
    hint = (
        "see why (runstone runs show RUN), then go on without doing finished work again: runstone resume RUN"
    )


class RunStopped(RunOutcome):
    """The run was stopped."""

    code = "run_stopped"
    hint = "go on with it: runstone resume RUN"


class RunPaused(RunOutcome):
    """The run is paused."""

    code = "run_paused"
    hint = "go on with it: runstone resume RUN"


class RunInterrupted(RunOutcome):
    """The owner of the run is gone."""

    code = "run_interrupted"
    hint = "go on with it: runstone resume RUN"


class AwaitingInput(RunOutcome):
    """The run waits for an answer of a person."""

    code = "awaiting_input"
    hint = "see the question and answer it: runstone inputs list"


class ChildFailed(RunOutcome):
    """A child run failed; `run_id` names it."""

    code = "child_failed"
    hint = "see why: runstone runs show RUN"


class ChildrenFailed(RunOutcome):
    """Some children of a map failed; `failures` holds a `ChildFailed` for each, `results` what the others gave."""

    code = "children_failed"
    hint = "see which: runstone runs tree RUN"

    def __init__(
        self,
        message: str = "",
        *,
        run_id: str = "",
        failures: tuple[RunOutcome, ...] = (),
        results: tuple[Any, ...] = (),
        **details: Any,
    ) -> None:
        super().__init__(message, run_id=run_id, **details)
        self.failures = failures
        self.results = results


class CommandError(RunstoneError):
    """The command of a process agent did not do its work."""

    code = "command_error"
    hint = "see its output: runstone runs logs RUN"


class CommandNotFound(CommandError):
    """The command's program, or the folder to run it in, does not exist."""

    code = "command_not_found"
    hint = "install the program, or correct the agent's command and cwd in runstone.toml"


class CommandNotExecutable(CommandError):
    """The command's program exists, but the system cannot run it."""

    code = "command_not_executable"
    hint = "make it executable (chmod +x), and check the interpreter in its first line"


class CommandInputRefused(CommandError):
    """The input does not fit the command: a placeholder asks for what it lacks, or the system cannot pass it."""

    code = "command_input_refused"
    hint = (
        "give the input the field that the message names; pass big or binary-like values with input = 'stdin'"
    )


class CommandFailed(CommandError):
    """The command ended with an exit code that is no success, or by a signal; `details` has the last error lines."""

    code = "command_failed"


class CommandTimedOut(CommandError):
    """The command did not end within its time, and was ended."""

    code = "command_timed_out"
    hint = (
        "give it more time (timeout_s in its agent's settings), or see where it hangs: runstone runs logs RUN"
    )


class CommandResultInvalid(CommandError):
    """The command succeeded, but what it printed is no result of the kind that the agent promises."""

    code = "command_result_invalid"
    hint = "print one JSON document (or make it the last line), or set result = 'text' for the agent"


class ClientMissing(RunstoneError):
    """What talks to a server is not installed."""

    code = "client_missing"
    hint = "install it: pip install 'runstone[client]'"


class ServerMissing(RunstoneError):
    """What serves a workspace is not installed."""

    code = "server_missing"
    hint = "install it: pip install 'runstone[server]'"


class PostgresMissing(RunstoneError):
    """The driver for PostgreSQL is not installed."""

    code = "postgres_missing"
    hint = "install it: pip install 'runstone[postgres]'"


class DistributedMissing(RunstoneError):
    """What carries runs to workers is not installed."""

    code = "distributed_missing"
    hint = "install it: pip install 'runstone[distributed]'"


class PricesMissing(RunstoneError):
    """There is no price list to compute costs with."""

    code = "prices_missing"
    hint = "install it: pip install 'runstone[prices]'"


class ProcessesUnreadable(RunstoneError):
    """The operating system does not show this process its peers, so none can be watched or ended."""

    code = "processes_unreadable"
    hint = "mount /proc of this PID namespace (unshare --mount-proc, bwrap --proc /proc) without hidepid"


class StoreError(RunstoneError):
    """The ledger could not be read or written."""

    code = "store_error"
    hint = "run: runstone verify"


class StoreBusy(StoreError):
    """Another process held the ledger's write lock for too long."""

    code = "store_busy"
    hint = "find the process that holds it (a stopped one, a backup tool) and let it go on or end it"


class StoreFull(StoreError):
    """The disk is full; nothing of this write was stored."""

    code = "store_full"
    hint = "make room on the disk, then try again"


class StoreCorrupt(StoreError):
    """The file is not a ledger, or it is damaged."""

    code = "store_corrupt"
    hint = "keep the file, and restore a backup beside it"


class StoreReadOnly(StoreError):
    """The ledger or its folder cannot be written."""

    code = "store_read_only"
    hint = "give the owner of the folder write access, or name another workspace with --workspace DIR"


class StoreIO(StoreError):
    """The disk or the file system reported an error."""

    code = "store_io"
    hint = "check the disk and its cable, mount and quota; then run: runstone verify"


class StoreUnreachable(StoreError):
    """The database server does not answer, or the connection to it was lost."""

    code = "store_unreachable"
    hint = "check the DSN's host and port and that the server runs: pg_isready -d DSN"


class DatabaseRefused(StoreError):
    """The database server does not know this user, password or database."""

    code = "database_refused"
    hint = "check user, password and database name in the DSN: psql DSN"


class RightsMissing(StoreError):
    """The database user may not do that."""

    code = "rights_missing"
    hint = "let the owner of the schema open it first, or grant the rights: see docs/how-to/postgresql.md"


class PoolerMode(StoreError):
    """The connection pooler before the database does not keep a transaction on one connection."""

    code = "pooler_mode"
    hint = "set pool_mode = transaction (or session) in the pooler, or connect to the server itself"


class DatabaseTooOld(StoreError):
    """The database server is older than what Runstone needs, or is set up with another encoding than UTF-8."""

    code = "database_too_old"
    hint = "use PostgreSQL 14 or newer, and a database with the encoding UTF8"


class SchemaTooNew(StoreError):
    """The ledger was written by a newer Runstone."""

    code = "schema_too_new"
    hint = "upgrade: pip install --upgrade runstone"


class SchemaTooOld(StoreError):
    """The ledger has an older schema, and it was opened for reading only."""

    code = "schema_too_old"
    hint = "open it once for writing to upgrade it (a backup is made first): runstone verify --upgrade"


class UnknownCodec(StoreError):
    """A stored value has a codec that this version does not know."""

    code = "unknown_codec"
    hint = "upgrade: pip install --upgrade runstone"


class LedgerClosed(StoreError):
    """The ledger is closed."""

    code = "ledger_closed"
    hint = "open it again: runstone.open()"


class ForkedLedger(StoreError):
    """This process was forked from the one that opened the ledger."""

    code = "forked_ledger"
    hint = "open the ledger in the child only, or start it afresh: multiprocessing.get_context('spawn')"


class LedgerInUse(StoreError):
    """Something uses the ledger, and it may be replaced only while nobody does."""

    code = "ledger_in_use"
    hint = "end what the message names, or restore beside it: runstone restore FILE --to DIR"


class LedgerMoved(StoreError):
    """The ledger was moved, and goes on elsewhere; here it can only be read."""

    code = "ledger_moved"
    hint = "work there: runstone --dsn DSN ...; or go on here after all: runstone migrate --undo"


class ServerUnreachable(StoreError):
    """No server answers there."""

    code = "server_unreachable"
    hint = "start it: runstone up; or correct the address in --url or $RUNSTONE_URL"


class SpoolFull(StoreError):
    """The server is away, and the spool that keeps writes for it takes no more; this write was not kept."""

    code = "spool_full"
    hint = "start the server again, or make room: see docs/how-to/client-and-spool.md"


class WriteUncertain(StoreError):
    """The process stopped waiting before the ledger said whether the write was stored."""

    code = "write_uncertain"
    hint = "read the run to see whether it is there: runstone runs show RUN"


class Suspended(BaseException):
    """The run was parked while this code ran; let it pass. It is raised by every `ctx` call after parking."""
