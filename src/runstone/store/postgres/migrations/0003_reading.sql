-- What reading asks for beyond the tables.

-- JSON as it is stored, to be asked for parts of it. PostgreSQL cannot take a NUL out of JSON: a sign stands for it there.
CREATE FUNCTION object_of(stored text) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT replace($1, '\u0000', '\u2400')::json
$$;

CREATE FUNCTION is_json(stored text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  PERFORM stored::json;
  RETURN TRUE;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN FALSE;
END
$$;

-- Trees level by level: a page of a tree costs the same however large it is.
CREATE INDEX runs_by_level ON runs (root, depth, id);

-- What is looked for, as `words` keeps it: each part in quotation marks is a phrase of its own.
CREATE FUNCTION words_query(asked text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT websearch_to_tsquery('simple', regexp_replace(
    regexp_replace(normalize(asked, NFD), '[\u0300-\u036F]', '', 'g'), '[\x01-\x21\x23-\x2F\x3A-\x40\x5B-\x60\x7B-\x7F]+', ' ', 'g'))
$$;
