-- Who may do what: PUBLIC has the public functions and views; own tables,
-- sequences and the audit log are for nobody without a grant.  Trigger functions
-- are for everybody, as triggers are made in the name of a table's owner; on
-- other tables, and beside the guard's own triggers, they do nothing.
BEGIN;
SELECT no_plan();
CREATE ROLE dg_nobody;

CREATE TEMP TABLE public_functions AS SELECT unnest(ARRAY[
    'protect', 'unprotect', 'declare_reference', 'forget_reference', 'references_to', 'suggest_references', 'ignore_suggestion', 'unignore_suggestion', 'find_orphans', 'add_approver', 'remove_approver',
    'preview_delete', 'explain_delete', 'request_change', 'request_delete', 'approve', 'deny', 'cancel', 'restore']::name[]) AS name;

SELECT ok(has_function_privilege('dg_nobody', p.oid, 'EXECUTE'), p.proname || ': everybody may call it')
  FROM pg_proc p JOIN public_functions f ON f.name = p.proname
 WHERE p.pronamespace = 'delete_guard'::regnamespace ORDER BY p.proname;
SELECT is((SELECT count(*) FROM pg_proc p JOIN public_functions f ON f.name = p.proname WHERE p.pronamespace = 'delete_guard'::regnamespace),
    (SELECT count(*) FROM public_functions), 'each public function exists once');
SELECT ok(NOT has_function_privilege('dg_nobody', f, 'EXECUTE'), f || ': takes a grant')
  FROM unnest(ARRAY['delete_guard.break_glass(bigint, text)', 'delete_guard.purge(interval)']) AS f;
SELECT is((SELECT proacl::text FROM pg_proc WHERE oid = 'delete_guard.break_glass(bigint, text)'::regprocedure), '{}', 'break_glass: not even its owner has it');
SELECT set_eq(
    $$SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'delete_guard'::regnamespace
         AND has_function_privilege('dg_nobody', p.oid, 'EXECUTE') AND p.proname NOT IN (SELECT name FROM public_functions)$$,
    ARRAY['_may_see_request', '_may_read_keys', '_request_radius', '_library_version', '_guard_rows', '_guard_end', '_guard_truncate', '_note_key_change']::name[],
    'beside the public functions everybody may call only what the views and the triggers need, and the version');

SELECT ok(has_function_privilege('pg_monitor', 'delete_guard.health()', 'EXECUTE'), 'health is for members of pg_monitor');

SELECT ok(NOT has_table_privilege('dg_nobody', c.oid, p.privilege), format('%s: no %s', c.relname, p.privilege))
  FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p(privilege)
 WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname, p.privilege;
SELECT ok(NOT has_any_column_privilege('dg_nobody', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'), c.relname || ': no column either')
  FROM pg_class c WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname;
SELECT ok(NOT has_sequence_privilege('dg_nobody', c.oid, 'USAGE, SELECT, UPDATE'), c.relname || ': no use of the sequence')
  FROM pg_class c WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind = 'S' ORDER BY c.relname;
SELECT set_eq(
    $$SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind = 'v'
         AND has_table_privilege('dg_nobody', c.oid, 'SELECT')$$,
    ARRAY['protected_tables', 'ignored_suggestions', 'request_history', 'pending_requests']::name[],
    'everybody may read these views, and not the audit log');
SELECT set_eq(
    $$SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind IN ('r', 'v')
         AND has_table_privilege('pg_monitor', c.oid, 'SELECT')$$,
    ARRAY['protected_tables', 'request_history', 'pending_requests', 'ignored_suggestions', 'metrics']::name[],
    'pg_monitor may read the metrics too, and not the audit log');
SELECT is_empty(
    $$SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'delete_guard'::regnamespace AND c.relkind = 'v'
         AND has_table_privilege('dg_nobody', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES')$$,
    'no view can be written through');
SELECT ok(has_schema_privilege('dg_nobody', 'delete_guard', 'USAGE') AND NOT has_schema_privilege('dg_nobody', 'delete_guard', 'CREATE'),
    'everybody may use the schema, nobody may create in it');

-- And so it is when tried.
CREATE TABLE dg_arch (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_arch');
GRANT SELECT, DELETE ON dg_arch TO dg_nobody;
SET LOCAL ROLE dg_nobody;
SELECT throws_ok('SELECT * FROM delete_guard.audit_log', '42501', NULL, 'audit_log is not readable');
SELECT throws_ok('SELECT * FROM delete_guard.audit_rows', '42501', NULL, 'audit_rows is not readable');
SELECT throws_ok('SELECT * FROM delete_guard.event', '42501', NULL, 'event is not readable');
SELECT throws_ok('SELECT * FROM delete_guard.request', '42501', NULL, 'request is not readable');
SELECT throws_ok('SELECT * FROM delete_guard.decision', '42501', NULL, 'decision is not readable');
SELECT throws_ok('DELETE FROM delete_guard.event', '42501', NULL, 'event cannot be emptied');
SELECT throws_ok($$INSERT INTO delete_guard.approver VALUES ('dg_nobody', 'dg_nobody', 0, 'x', now())$$, '42501', NULL, 'nobody names himself approver');
SELECT throws_ok($$SELECT nextval('delete_guard.event_id')$$, '42501', NULL, 'numbers cannot be taken');
SELECT throws_ok($$CREATE TABLE delete_guard.x ()$$, '42501', NULL, 'nothing can be created in the schema');
SELECT throws_ok(format('SELECT delete_guard.%I()', f), '39P01', NULL, f || ' cannot be called')
  FROM unnest('{_guard_rows,_guard_end,_guard_truncate}'::text[]) f;
SELECT lives_ok('SELECT * FROM delete_guard.protected_tables', 'protected_tables is readable');
SELECT lives_ok('SELECT * FROM delete_guard.pending_requests', 'pending_requests is readable');
SELECT lives_ok('SELECT * FROM delete_guard.request_history', 'request_history is readable');
RESET ROLE;

-- Triggers of one's own.
CREATE TABLE dg_own (id int PRIMARY KEY);
ALTER TABLE dg_own OWNER TO dg_nobody;
CREATE TABLE dg_log (id int PRIMARY KEY);
SELECT delete_guard.protect('dg_log', 'log');
ALTER TABLE dg_log OWNER TO dg_nobody;
INSERT INTO dg_own VALUES (1), (2);
INSERT INTO dg_log VALUES (1), (2);
SET LOCAL ROLE dg_nobody;
CREATE TRIGGER forged AFTER DELETE ON dg_own FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER forged_end AFTER DELETE ON dg_own FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_end();
CREATE TRIGGER forged_truncate BEFORE TRUNCATE ON dg_own FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_truncate();
CREATE TRIGGER forged AFTER DELETE ON dg_log FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER forged_truncate BEFORE TRUNCATE ON dg_log FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_truncate();
CREATE TEMP TABLE wrong (id int);
CREATE TRIGGER wrong BEFORE INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
CREATE TRIGGER wrong_2 AFTER UPDATE ON wrong FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_truncate();
CREATE TRIGGER wrong_3 BEFORE TRUNCATE ON wrong FOR EACH STATEMENT EXECUTE FUNCTION delete_guard._guard_end();
SELECT lives_ok('DELETE FROM dg_own WHERE id = 1; TRUNCATE dg_own; DELETE FROM dg_log WHERE id = 1; TRUNCATE dg_log', 'triggers of one''s own do no harm');
SELECT throws_ok('INSERT INTO wrong VALUES (1)', '39P01', NULL, '_guard_rows: wrong event');
SELECT throws_ok('UPDATE wrong SET id = 1', '39P01', NULL, '_guard_truncate: wrong event');
SELECT throws_ok('TRUNCATE wrong', '39P01', NULL, '_guard_end: wrong event');
RESET ROLE;
SELECT is((SELECT count(*) FROM delete_guard.audit_log WHERE table_id = 'dg_own'::regclass), 0::bigint, 'and record nothing about a table that is not protected');
SELECT results_eq(
    $$SELECT operation COLLATE "C", outcome COLLATE "C", row_count FROM delete_guard.audit_log
       WHERE table_id = 'dg_log'::regclass AND operation IN ('delete', 'truncate') ORDER BY event_id$$,
    $$SELECT o COLLATE "C", 'logged' COLLATE "C", 1::bigint FROM unnest('{delete,truncate}'::text[]) o$$,
    'nor anything twice about one that is');

GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO dg_nobody;
SET LOCAL ROLE dg_nobody;
SELECT lives_ok('SELECT * FROM delete_guard.audit_log, delete_guard.audit_rows', 'the audit log is readable with a grant');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
