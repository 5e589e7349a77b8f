-- What only a ledger in a file has: its pages, its log, and the parts of its full-text index.

-- name: space
-- Bytes of the file, and of what is free in it; whether that can go back to the file system (`auto_vacuum` is 2).
SELECT p.page_count * s.page_size, f.freelist_count * s.page_size, v.auto_vacuum = 2
FROM pragma_page_count p, pragma_page_size s, pragma_freelist_count f, pragma_auto_vacuum v

-- name: merge_search
-- Drops entries of removed texts from the full-text index, so many pages at a time.
INSERT INTO search (search, rank) VALUES ('merge', ?)

-- name: total_changes
SELECT total_changes()

-- name: free_pages
PRAGMA freelist_count

-- name: copy_log
PRAGMA wal_checkpoint(PASSIVE)

-- name: empty_log
PRAGMA wal_checkpoint(TRUNCATE)

-- name: give_back_pages
-- A chunk: about 2 MB of pages are moved from the end of the file into free ones.
PRAGMA incremental_vacuum(500)

-- name: empty_search
INSERT INTO search (search) VALUES (?)

-- name: rebuild_indexes
REINDEX
