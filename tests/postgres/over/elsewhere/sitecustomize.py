"""Python runs this as it starts, where the folder is in PYTHONPATH: folders are looked for as the test does."""

from standing import locate

from runstone import workspace

workspace.locate = locate  # type: ignore[assignment]
