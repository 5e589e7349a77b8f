-- Full-text search over titles, prompts, summaries, errors and messages.
-- `searchable` is a function of ours: the beginning of a stored text, as the index keeps it.

CREATE TABLE texts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,          -- title, prompt, summary, error, message
  run INTEGER REFERENCES runs (id),
  message INTEGER REFERENCES messages (id)
) STRICT;
CREATE INDEX texts_by_run ON texts (run, source) WHERE run IS NOT NULL;
CREATE INDEX texts_by_message ON texts (message) WHERE message IS NOT NULL;

CREATE VIRTUAL TABLE search USING fts5 (body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');

INSERT INTO texts (source, run) SELECT 'title', id FROM runs WHERE title IS NOT NULL;
INSERT INTO texts (source, run) SELECT 'prompt', id FROM runs WHERE prompt_ref IS NOT NULL;
INSERT INTO texts (source, run) SELECT 'summary', id FROM runs WHERE summary IS NOT NULL;
INSERT INTO texts (source, run) SELECT 'error', id FROM runs WHERE error_json IS NOT NULL;
INSERT INTO texts (source, run, message) SELECT 'message', run, id FROM messages;
INSERT INTO search (rowid, body)
  SELECT t.id, CASE t.source WHEN 'title' THEN r.title WHEN 'summary' THEN r.summary WHEN 'error' THEN r.error_json ->> 'message'
    ELSE searchable(b.codec, b.data) END
  FROM texts t JOIN runs r ON r.id = t.run LEFT JOIN blobs b ON b.digest = r.prompt_ref WHERE t.message IS NULL;
INSERT INTO search (rowid, body)
  SELECT t.id, coalesce(m.text, searchable(b.codec, b.data))
  FROM texts t JOIN messages m ON m.id = t.message LEFT JOIN blobs b ON b.digest = m.text_ref;
