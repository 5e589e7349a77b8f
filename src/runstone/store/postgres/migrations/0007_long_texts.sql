-- An index takes a third of a page: of longer texts their beginning and a hash stand in it.

CREATE FUNCTION hash_of(told text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')
$$;

-- A label's name or value, as it is searched.
CREATE FUNCTION label_of(told text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length($1) <= 1000 THEN $1 ELSE left($1, 200) || hash_of($1) END
$$;

CREATE OR REPLACE FUNCTION labels_in(run bigint, labels_json text) RETURNS TABLE (name text, value text, run bigint)
LANGUAGE sql IMMUTABLE AS $$
  SELECT label_of(l.key), label_of(l.value), $1
  FROM json_each_text(regexp_replace($2, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::json) l WHERE l.value IS NOT NULL
$$;

UPDATE labels SET name = label_of(name), value = label_of(value)
WHERE octet_length(name) > 1000 OR octet_length(value) > 1000;

-- What removed runs had spent: one row for each group, however long its names are.
ALTER TABLE removed_usage
  DROP CONSTRAINT removed_usage_day_kind_agent_id_definition_id_thread_id_lab_key;
ALTER TABLE removed_usage ADD COLUMN what text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
  hash_of(hash_of(kind) || hash_of(agent_id) || hash_of(definition_id) || hash_of(thread_id) || hash_of(labels_json)
    || hash_of(provider) || hash_of(model) || hash_of(cost_source))) STORED;
ALTER TABLE removed_usage ADD CONSTRAINT removed_usage_once UNIQUE (day, what);
