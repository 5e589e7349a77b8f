-- What a ledger takes up.

-- name: space
-- Bytes of the tables with their indexes. What is free in them is used again; PostgreSQL gives it back by itself, if at all.
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint, 0, 0 FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'm')
