-- The roles of a shared ledger, in the schema that is current. Their rights are taken and given anew, for all tables.
-- Tables of later versions are given theirs as they are made (default privileges of who runs this), or by running it again.

DO $$
DECLARE
  place text := quote_ident(current_schema());
  role text;
BEGIN
  IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'runs'::regclass), 'USAGE') THEN
    RAISE insufficient_privilege USING MESSAGE = 'only the owner of the tables gives rights to them';
  END IF;
  FOREACH role IN ARRAY ARRAY['runstone_server', 'runstone_worker', 'runstone_reader'] LOOP
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', place, role);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM %I', place, role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %s TO %I', place, role);
    EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %s TO %I', place, role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT SELECT ON TABLES TO %I', place, role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT SELECT ON SEQUENCES TO %I', place, role);
  END LOOP;
  FOREACH role IN ARRAY ARRAY['runstone_server', 'runstone_worker'] LOOP
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %I', place, role);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %s TO %I', place, role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT INSERT, UPDATE, DELETE ON TABLES TO %I', place, role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT USAGE, SELECT ON SEQUENCES TO %I', place, role);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s.migrations FROM %I', place, role);
  END LOOP;
  -- History is not a worker's to take away.
  EXECUTE format('REVOKE DELETE ON %1$s.runs, %1$s.events, %1$s.attempts, %1$s.journal, %1$s.usage, %1$s.messages, %1$s.threads,
    %1$s.inputs, %1$s.commands, %1$s.removed_usage FROM runstone_worker', place);
  EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %1$s.views, %1$s.seen FROM runstone_worker', place);
  -- Of the engine that carries dispatches, where it is there.
  IF EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'dbos') THEN
    GRANT USAGE ON SCHEMA dbos TO runstone_server, runstone_worker;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbos TO runstone_server, runstone_worker;
    GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA dbos TO runstone_server, runstone_worker;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA dbos TO runstone_server, runstone_worker;
  END IF;
END
$$;
