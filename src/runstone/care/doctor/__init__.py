"""`doctor`: looks at everything that a ledger rests on, changes nothing, and says what to type.

    versions   Python, SQLite, zstd, extras       place     file system, locks, room
    file       schema, soundness, log, backups    locks     who writes and reads now
    ghosts     what lives without being known     disk      where the bytes are
    rights     modes, owners, git                 settings  runstone.toml, environment
    machine    clock, boot, processes

Each noun is a module of functions that give `Check`s. One that fails is a finding itself.
"""

from runstone.care.doctor.check import SEVERITIES, Check, Severity
from runstone.care.doctor.examine import examine

__all__ = ["SEVERITIES", "Check", "Severity", "examine"]
