-- What stands before each COMMIT, in one call: the numbers that were given out, the batch's own id, and the hint.

CREATE FUNCTION end_batch(writer_ uuid, batch_ uuid, names text[], lasts bigint[], channel text, hint text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE numbers SET last = greatest(last, lasts[array_position(names, name::text)]) WHERE name = ANY (names);
  INSERT INTO writers VALUES (writer_, batch_, now())
  ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at;
  PERFORM pg_notify(channel, hint);
END
$$;
