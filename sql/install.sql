-- delete_guard is installed; roles and helpers that the other files use.
-- Each of them is one login; what takes two is done with \c.
\set ECHO errors
SET client_min_messages = warning;
DO $$
DECLARE
    r text;
BEGIN
    FOREACH r IN ARRAY ARRAY['regress_dg_alice', 'regress_dg_bob', 'regress_dg_carol', 'regress_dg_owner'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            EXECUTE format('DROP OWNED BY %I CASCADE', r);
            EXECUTE format('DROP ROLE %I', r);
        END IF;
    END LOOP;
END $$;
RESET client_min_messages;
\set ECHO all

CREATE ROLE regress_dg_alice LOGIN;
CREATE ROLE regress_dg_bob LOGIN;
CREATE ROLE regress_dg_carol LOGIN;
CREATE ROLE regress_dg_owner LOGIN;

CREATE EXTENSION delete_guard;
-- all of it is in its own schema, which belongs to the extension; versions agree
SELECT count(*) AS schema_is_member FROM pg_depend
WHERE classid = 'pg_namespace'::regclass AND objid = 'delete_guard'::regnamespace AND deptype = 'e';
SELECT delete_guard._library_version() = extversion AS versions_agree, NOT extrelocatable AS stays
FROM pg_extension WHERE extname = 'delete_guard';
-- what the extension consists of: public names, then internal ones
SELECT p.oid::regprocedure AS function, has_function_privilege('regress_dg_alice', p.oid, 'EXECUTE') AS for_all
FROM pg_proc p WHERE pronamespace = 'delete_guard'::regnamespace
ORDER BY (proname LIKE '\_%'), p.oid::regprocedure::text COLLATE "C";
SELECT c.oid::regclass AS relation, relkind,
       has_table_privilege('regress_dg_alice', c.oid, 'SELECT') AS select,
       has_table_privilege('regress_dg_alice', c.oid, 'INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER') AS write
FROM pg_class c WHERE relnamespace = 'delete_guard'::regnamespace AND relkind IN ('r', 'v')
ORDER BY relkind, relname COLLATE "C";
-- everything is a member of the extension
SELECT count(*) AS strays FROM pg_proc p
WHERE pronamespace = 'delete_guard'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND classid = 'pg_proc'::regclass AND deptype = 'e');
-- each function and view has a comment
SELECT p.oid::regprocedure AS without_comment FROM pg_proc p
WHERE pronamespace = 'delete_guard'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass AS without_comment FROM pg_class c
WHERE relnamespace = 'delete_guard'::regnamespace AND relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL;
-- settings with their defaults
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'delete\_guard.%' ORDER BY name COLLATE "C";
-- an unknown setting of ours is refused
SET delete_guard.no_such = 1;  -- fails

-- Nothing to see yet, for anybody
SET ROLE regress_dg_alice;
TABLE delete_guard.protected_tables;
SELECT count(*) FROM delete_guard.pending_requests;
SELECT count(*) FROM delete_guard.request_history;
TABLE delete_guard.audit_log;  -- fails
TABLE delete_guard.audit_rows;  -- fails
RESET ROLE;

-- Helpers of the tests.  Removals and requests in the audit log since here() or
-- the last news():
CREATE SCHEMA dg_test;
GRANT USAGE ON SCHEMA dg_test TO PUBLIC;
CREATE TABLE dg_test.mark (event_id bigint NOT NULL);
INSERT INTO dg_test.mark VALUES (0);
CREATE FUNCTION dg_test.news(OUT operation text, OUT outcome text, OUT table_name text,
    OUT rows bigint, OUT images bigint, OUT request boolean, OUT hangs text)
RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    m bigint;
BEGIN
    SELECT event_id INTO m FROM dg_test.mark;
    RETURN QUERY
        SELECT l.operation, l.outcome, l.table_name, l.row_count,
               (SELECT count(r.old_row) FROM delete_guard.audit_rows r WHERE r.event_id = l.event_id),
               l.request_id IS NOT NULL,
               (SELECT string_agg(format('%s %s: %s', e.v ->> 'rows', e.v ->> 'reference', e.v ->> 'effect'), '; '
                                  ORDER BY (e.v ->> 'depth')::int, e.v ->> 'reference' COLLATE "C")
                FROM jsonb_array_elements(l.blast_radius) AS e(v))
        FROM delete_guard.audit_log l WHERE l.event_id > m AND l.outcome <> 'done' ORDER BY l.event_id;
    UPDATE dg_test.mark SET event_id = (SELECT coalesce(max(l.event_id), 0) FROM delete_guard.audit_log l);
END $$;
CREATE PROCEDURE dg_test.here() LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE dg_test.mark SET event_id = (SELECT coalesce(max(l.event_id), 0) FROM delete_guard.audit_log l);
$$;
-- Rows of the latest event on a table
CREATE FUNCTION dg_test.images(of text, OUT table_name text, OUT effect text, OUT key jsonb, OUT old_row jsonb)
RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.table_name, r.effect, r.key, r.old_row
    FROM delete_guard.audit_rows r
    WHERE r.event_id = (SELECT max(l.event_id) FROM delete_guard.audit_log l
                        WHERE l.table_name = of AND l.row_count IS NOT NULL)
    ORDER BY r.table_name COLLATE "C", r.row_number, r.key::text COLLATE "C";
$$;
-- What a statement says, with numbers of requests masked
CREATE FUNCTION dg_test.says(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text; m text; d text; h text; c text; sch text; tab text; con text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT,
        c = PG_EXCEPTION_CONTEXT, sch = SCHEMA_NAME, tab = TABLE_NAME, con = CONSTRAINT_NAME;
    m := regexp_replace(m, '(request )[0-9]+', '\1N', 'g');
    d := regexp_replace(d, '([Rr]equest )[0-9]+', '\1N', 'g');
    RETURN concat_ws(E'\n', s || ': ' || m, 'DETAIL: ' || nullif(d, ''),
                     'HINT: ' || nullif(regexp_replace(h, '(approve\(|approval = |Request )[0-9]+', '\1N', 'g'), ''),
                     'AT: ' || nullif(concat_ws(' ', nullif(sch, ''), nullif(tab, ''), nullif(con, '')), ''),
                     'GUARD: ' || substring(c FROM 'delete_guard on table [^\n]*'));
END $$;
-- The triggers on an own table, off or on, as only a superuser who edits catalogs can
CREATE PROCEDURE dg_test.own_triggers(own_table regclass, state "char") LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE pg_catalog.pg_trigger SET tgenabled = state WHERE tgrelid = own_table AND NOT tgisinternal;
    UPDATE pg_catalog.pg_class SET relname = relname WHERE oid = own_table;
$$;
-- Weaken settings alone, as the second person is not what a test is about: by
-- hand, tables are in mode log meanwhile
CREATE FUNCTION dg_test.alone(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    blocking oid[];
BEGIN
    CALL dg_test.own_triggers('delete_guard.protected_table', 'D');
    SELECT coalesce(array_agg(table_id), '{}') INTO blocking FROM delete_guard.protected_table WHERE mode = 'block';
    UPDATE delete_guard.protected_table SET mode = 'log' WHERE mode = 'block';
    EXECUTE statement;
    UPDATE delete_guard.protected_table SET mode = 'block' WHERE table_id = ANY (blocking);
    CALL dg_test.own_triggers('delete_guard.protected_table', 'A');
END $$;
-- The latest removal from a table; what a statement says, with numbers of events masked
CREATE FUNCTION dg_test.event(of text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(event_id) FROM delete_guard.audit_log WHERE table_name = of AND operation IN ('delete', 'key change', 'truncate') $$;
CREATE FUNCTION dg_test.says_event(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(dg_test.says(statement), '(event )[0-9]+', '\1N', 'g') $$;
-- What comes of a DDL statement, which is rolled back unless it is to be kept:
-- the change that was refused, the events it left, or the error
CREATE FUNCTION dg_test.ddl_events(since bigint) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%s %s: %s', l.outcome, coalesce(l.table_name, 'all'), regexp_replace(l.details ->> 'action', 'digest [0-9a-f]+', 'digest', 'g')), E'\n' ORDER BY l.event_id)
    FROM delete_guard.audit_log l WHERE l.event_id > since AND l.operation = 'ddl';
$$;
CREATE FUNCTION dg_test.last_event() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(l.event_id), 0) FROM delete_guard.audit_log l;
$$;
CREATE FUNCTION dg_test.ddl(statement text, keep boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    since bigint := dg_test.last_event();
    events text; s text; m text; d text;
BEGIN
    EXECUTE statement;
    events := coalesce(dg_test.ddl_events(since), 'ok');
    IF keep THEN
        RETURN events;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'DGOK0';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
    IF s = 'DGOK0' THEN
        RETURN events;
    END IF;
    RETURN CASE WHEN d LIKE '%The change is: %' THEN s || ' ' || regexp_replace(regexp_replace(d, '^.*The change is: ', ''), 'digest [0-9a-f]+', 'digest', 'g')
                ELSE s || ': ' || m END;
END $$;
-- End the protection of all tables in a schema, as a superuser can by hand
CREATE PROCEDURE dg_test.release(schema text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    CALL dg_test.own_triggers('delete_guard.protected_table', 'D');
    DELETE FROM delete_guard.protected_table p USING pg_catalog.pg_class c
    WHERE c.oid = p.table_id AND c.relnamespace = schema::regnamespace;
    CALL dg_test.own_triggers('delete_guard.protected_table', 'A');
$$;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA dg_test TO PUBLIC;
