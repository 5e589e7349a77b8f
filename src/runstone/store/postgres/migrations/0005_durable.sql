-- What is acknowledged is on the disk: a batch waits for it also where the database's settings would not have it wait.

CREATE OR REPLACE FUNCTION begin_batch(
  lock bigint, wait text, rest text, OUT batches bigint, OUT schema bigint, OUT now_us bigint)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('lock_timeout', wait, true), set_config('idle_in_transaction_session_timeout', rest, true),
    set_config('plan_cache_mode', 'force_generic_plan', true);
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  PERFORM pg_advisory_xact_lock(lock);
  SELECT last INTO batches FROM numbers WHERE name = 'batches';
  SELECT max(number) INTO schema FROM migrations;
  now_us := extract(epoch FROM clock_timestamp()) * 1000000;
END
$$;
