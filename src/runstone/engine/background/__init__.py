"""Commands in the background: a keeper that waits for the command, spool files for what it prints, and a watcher."""
