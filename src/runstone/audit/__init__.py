"""The bundled workflow `repo-audit`: importing this package registers it and its agents.

    runstone run repo-audit path=FOLDER [report=FILE] [limit=N] [concurrency=N]

It lists the tracked files of a git repository, inspects each in a child of its own with real tools run as
processes, lets a second tool judge the findings, and writes one Markdown report. The repository is never
written to, its code is never executed, and its configuration reaches no tool.
"""

from runstone.audit.listing import NotAuditable
from runstone.audit.workflow import cross_checker, inspector, repo_audit

__all__ = ["NotAuditable", "cross_checker", "inspector", "repo_audit"]
