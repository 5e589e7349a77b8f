-- Lists by parent, thread and root in the order of their last change: a page of them costs the same however many there are.

DROP INDEX runs_by_parent_id;
CREATE INDEX runs_by_parent_id ON runs (parent_run_id, updated_at, id) WHERE parent_run_id IS NOT NULL;
DROP INDEX runs_by_root;
CREATE INDEX runs_by_root ON runs (root, updated_at, id);
DROP INDEX runs_by_parent_thread;
CREATE INDEX runs_by_parent_thread ON runs (parent_thread_id, updated_at, id) WHERE parent_thread_id IS NOT NULL;

-- Counts by status, of all runs and of those at the top, without a look at the rows.
CREATE INDEX runs_counted ON runs (status, depth) WHERE superseded = 0;
