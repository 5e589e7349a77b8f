-- Saved views of lists, and how far each viewer has seen.

-- name: views_list
SELECT view_id, name, filters_json, sort, sort_order, grouping, is_default, revision, created_at, updated_at FROM views ORDER BY id

-- name: one_view
SELECT view_id, name, filters_json, sort, sort_order, grouping, is_default, revision, created_at, updated_at FROM views
WHERE view_id = :view_id

-- name: view_standing
-- What a write needs to know: the view's key and revision, whose the name is, which one is the default, how many there are.
SELECT (SELECT id FROM views WHERE view_id = :view_id), (SELECT revision FROM views WHERE view_id = :view_id),
  (SELECT created_at FROM views WHERE view_id = :view_id), (SELECT view_id FROM views WHERE name = :name),
  (SELECT id FROM views WHERE is_default = 1), (SELECT count(*) FROM views)

-- name: save_view
INSERT INTO views (id, view_id, name, filters_json, sort, sort_order, grouping, is_default, revision, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, filters_json = excluded.filters_json, sort = excluded.sort,
  sort_order = excluded.sort_order, grouping = excluded.grouping, is_default = excluded.is_default,
  revision = excluded.revision, updated_at = excluded.updated_at

-- name: seen_by
SELECT viewer, cursor, at, before_at FROM seen WHERE viewer = :viewer

-- name: viewers
SELECT count(*) FROM seen

-- name: save_seen
INSERT INTO seen (viewer, cursor, at, before_at) VALUES (?, ?, ?, ?)
ON CONFLICT (viewer) DO UPDATE SET cursor = excluded.cursor, at = excluded.at, before_at = excluded.before_at
