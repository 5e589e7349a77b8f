"""Runstone: the durable run ledger for AI agents. This module is the public API; docs/reference describes it."""

from runstone.client import connect
from runstone.domain.provider_usage import usage_from
from runstone.domain.resume import Plan, ResumePolicy
from runstone.domain.secrets import Secret
from runstone.engine.handle import RunHandle, current_run
from runstone.engine.registry import Registry, agent, default_registry, workflow
from runstone.errors import (
    AwaitingInput,
    ChildFailed,
    ChildrenFailed,
    InputExpired,
    NotFound,
    RunFailed,
    RunInterrupted,
    RunMismatch,
    RunPaused,
    RunstoneError,
    RunStopped,
    SecretMissing,
    Suspended,
)
from runstone.execution import plan, resumable, resume, run
from runstone.forking import fork
from runstone.ledger import Ledger, open
from runstone.queueing import enqueue

__all__ = [
    "AwaitingInput",
    "ChildFailed",
    "ChildrenFailed",
    "InputExpired",
    "Ledger",
    "NotFound",
    "Plan",
    "Registry",
    "ResumePolicy",
    "RunFailed",
    "RunHandle",
    "RunInterrupted",
    "RunMismatch",
    "RunPaused",
    "RunStopped",
    "RunstoneError",
    "Secret",
    "SecretMissing",
    "Suspended",
    "agent",
    "connect",
    "current_run",
    "default_registry",
    "enqueue",
    "fork",
    "open",
    "plan",
    "resumable",
    "resume",
    "run",
    "usage_from",
    "workflow",
]
