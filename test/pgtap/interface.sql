-- The public interface: functions with their arguments, views with their
-- columns, settings; and what every object of the extension must have.
BEGIN;
SELECT no_plan();

-- Functions, as other software calls them.
SELECT is(
    (SELECT pg_get_function_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid)
       FROM pg_proc p WHERE p.pronamespace = 'delete_guard'::regnamespace AND p.proname = f.name),
    f.signature, f.name || ': arguments, defaults and result')
FROM (VALUES
    ('protect', '"table" regclass, mode text DEFAULT ''block''::text, scope text DEFAULT ''referenced''::text, approvals integer DEFAULT 1 -> void'),
    ('unprotect', '"table" regclass -> void'),
    ('declare_reference', 'referencing regclass, referencing_columns name[], referenced regclass, referenced_columns name[] DEFAULT NULL::name[], condition text DEFAULT NULL::text -> text'),
    ('forget_reference', 'name text -> void'),
    ('references_to', '"table" regclass, OUT name text, OUT kind text, OUT referencing regclass, OUT referencing_columns name[], OUT referenced_columns name[], OUT on_delete text, OUT on_update text, OUT condition text, OUT index regclass -> SETOF record'),
    ('suggest_references', '"table" regclass DEFAULT NULL::regclass, min_score numeric DEFAULT 0.5, OUT score numeric, OUT referencing regclass, OUT referencing_columns name[], OUT referenced regclass, OUT referenced_columns name[], OUT condition text, OUT evidence text, OUT declaration text -> SETOF record'),
    ('ignore_suggestion', 'referencing regclass, referencing_columns name[], referenced regclass DEFAULT NULL::regclass, reason text DEFAULT NULL::text -> void'),
    ('unignore_suggestion', 'referencing regclass, referencing_columns name[], referenced regclass DEFAULT NULL::regclass -> void'),
    ('find_orphans', '"table" regclass DEFAULT NULL::regclass, OUT reference text, OUT kind text, OUT referencing regclass, OUT referencing_columns name[], OUT referenced regclass, OUT referenced_columns name[], OUT condition text, OUT orphans bigint, OUT missing_keys bigint, OUT sample_keys jsonb, OUT query text -> SETOF record'),
    ('health', 'OUT severity text, OUT subject text, OUT problem text, OUT remedy text -> SETOF record'),
    ('add_approver', 'role name, "table" regclass DEFAULT NULL::regclass -> void'),
    ('remove_approver', 'role name, "table" regclass DEFAULT NULL::regclass -> void'),
    ('request_delete', '"table" regclass, condition text, reason text DEFAULT NULL::text -> bigint'),
    ('preview_delete', '"table" regclass, condition text DEFAULT NULL::text, samples integer DEFAULT 3, OUT depth integer, OUT path text, OUT table_name text, OUT reference text, OUT effect text, OUT rows bigint, OUT sample_keys jsonb, OUT guard text, OUT postgres text -> SETOF record'),
    ('explain_delete', '"table" regclass, condition text DEFAULT NULL::text, format text DEFAULT ''text''::text -> SETOF text'),
    ('approve', 'request bigint, comment text DEFAULT NULL::text, OUT request_id bigint, OUT approvals integer, OUT approvals_needed integer, OUT usable_until timestamp with time zone, OUT blast_radius jsonb -> record'),
    ('deny', 'request bigint, comment text DEFAULT NULL::text -> void'),
    ('cancel', 'request bigint -> void'),
    ('restore', 'event bigint, on_conflict text DEFAULT ''error''::text, dry_run boolean DEFAULT false, OUT table_name text, OUT effect text, OUT key jsonb, OUT action text, OUT note text -> SETOF record')
) AS f(name, signature);

-- Views: these columns in this order; more may follow.
SELECT is(
    (SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
      WHERE attrelid = ('delete_guard.' || v.name)::regclass AND attnum BETWEEN 1 AND cardinality(string_to_array(v.columns, ' '))),
    v.columns, v.name || ': columns in the documented order')
FROM (VALUES
    ('audit_log', 'event_id occurred_at operation outcome table_id table_name row_count person session_role active_role claimed_user client_addr application_name backend_pid backend_start transaction_id statement request_id approved_by blast_radius repeats'),
    ('audit_rows', 'event_id row_number table_name effect key old_row'),
    ('pending_requests', 'request_id requested_by requested_at expires_at operation table_name keys row_count blast_radius reason approvals approvals_needed action new_keys'),
    ('request_history', 'request_id requested_by requested_at expires_at operation table_name keys row_count blast_radius reason state approvals approvals_needed decided_by comments decided_at usable_until used_at event_id action new_keys'),
    ('protected_tables', 'table_id mode scope approvals'),
    ('ignored_suggestions', 'referencing referencing_columns referenced reason ignored_by ignored_at'),
    ('metrics', 'name kind labels value')
) AS v(name, columns);
SELECT has_view('delete_guard'::name, v, v || ' is a view')
FROM unnest('{audit_log,audit_rows,pending_requests,request_history,protected_tables,ignored_suggestions,metrics}'::name[]) v;
SELECT col_type_is('delete_guard', v, c, t, v || '.' || c || ' is ' || t)
FROM (VALUES ('audit_log', 'event_id', 'bigint'), ('audit_log', 'occurred_at', 'timestamp with time zone'),
             ('audit_log', 'table_id', 'oid'), ('audit_log', 'row_count', 'bigint'), ('audit_log', 'client_addr', 'inet'),
             ('audit_log', 'transaction_id', 'xid8'), ('audit_log', 'blast_radius', 'jsonb'), ('audit_log', 'repeats', 'integer'),
             ('audit_rows', 'key', 'jsonb'), ('audit_rows', 'old_row', 'jsonb'), ('audit_rows', 'row_number', 'bigint'),
             ('pending_requests', 'keys', 'jsonb'), ('pending_requests', 'request_id', 'bigint'),
             ('metrics', 'labels', 'jsonb'), ('metrics', 'value', 'numeric'),
             ('pending_requests', 'expires_at', 'timestamp with time zone')) AS x(v, c, t);

-- Metrics: these names; more may follow.
SELECT is((SELECT kind FROM delete_guard.metrics m WHERE m.name = v.name LIMIT 1), v.kind, v.name || ' is a ' || v.kind)
FROM (VALUES ('repeated_attempts_total', 'counter'), ('attempts_not_stored_total', 'counter'), ('recorder_starts_total', 'counter'),
             ('recorder_failures_total', 'counter'), ('pending_requests', 'gauge'), ('oldest_pending_request_seconds', 'gauge'),
             ('protected_tables', 'gauge'), ('health_problems', 'gauge'), ('enforce', 'gauge'), ('events_not_counted', 'gauge')) AS v(name, kind);

-- Settings: name, who may set them, default, unit.  (Loads the library.)
SELECT delete_guard._library_version() IS NOT NULL AS loaded \gset
SELECT is(
    (SELECT context || ' ' || vartype || ' ' || boot_val || coalesce(' ' || unit, '') FROM pg_settings WHERE name = s.name),
    s.expected, s.name || ': context, type, default and unit')
FROM (VALUES
    ('delete_guard.approval', 'user string '),
    ('delete_guard.claimed_user', 'user string '),
    ('delete_guard.request_lifetime', 'superuser integer 3600 s'),
    ('delete_guard.approval_lifetime', 'superuser integer 900 s'),
    ('delete_guard.record_timeout', 'superuser integer 5000 ms'),
    ('delete_guard.capture_limit', 'superuser integer -1'),
    ('delete_guard.preview_limit', 'user integer 100000'),
    ('delete_guard.enforce', 'sighup bool on')
) AS s(name, expected);
SELECT set_has(
    $$VALUES ('delete_guard.approval'), ('delete_guard.claimed_user'), ('delete_guard.request_lifetime'), ('delete_guard.approval_lifetime'),
             ('delete_guard.record_timeout'), ('delete_guard.capture_limit'), ('delete_guard.preview_limit'), ('delete_guard.enforce')$$,
    $$SELECT name FROM pg_settings WHERE name LIKE 'delete_guard.%'$$,
    'there are no settings but these');
SELECT isnt(short_desc, '', name || ' is described') FROM pg_settings WHERE name LIKE 'delete\_guard.%' ORDER BY name;
SELECT throws_ok($$SET delete_guard.approval = 'x'$$, '22023', NULL, 'approval: a number, or several');
SELECT lives_ok($$SET LOCAL delete_guard.approval = '17,18'$$, 'approval: several numbers');
SELECT lives_ok($$SET LOCAL delete_guard.approval = 17$$, 'approval: one number');
SELECT throws_ok($$SET delete_guard.enforce = off$$, '55P02', NULL, 'enforce: not in a session, not even by a superuser');
SELECT throws_ok($$ALTER ROLE CURRENT_USER SET delete_guard.approval = 17$$, '22023', NULL, 'approval: not for a role');
SELECT throws_ok($$SET delete_guard.no_such_setting = 1$$, '42602', NULL, 'unknown settings are refused');

-- Every object of the extension.
CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS what
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
     WHERE e.extname = 'delete_guard' AND d.deptype = 'e';
SELECT isnt_empty('SELECT FROM members', 'the extension has objects');
SELECT is_empty(
    $$SELECT what FROM members WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_event_trigger'::regclass)
        AND coalesce(obj_description(objid, (SELECT relname FROM pg_class WHERE oid = classid)), '') = ''
        AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = objid AND classid = 'pg_class'::regclass AND c.relkind IN ('i', 'S'))$$,
    'every function, table and view has a comment');
SELECT is_empty(
    $$SELECT what FROM members m JOIN pg_proc p ON p.oid = m.objid AND m.classid = 'pg_proc'::regclass
       WHERE p.prosecdef OR p.pronamespace <> 'delete_guard'::regnamespace
          OR p.prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('c', 'internal', 'sql'))$$,
    'no function is SECURITY DEFINER; all are in C or SQL and in the schema delete_guard');
SELECT is_empty(
    $$SELECT what, pg_get_userbyid(o.owner) FROM members m
       JOIN (SELECT 'pg_proc'::regclass AS classid, oid, proowner AS owner FROM pg_proc
             UNION ALL SELECT 'pg_class'::regclass, oid, relowner FROM pg_class
             UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace) o ON (o.classid, o.oid) = (m.classid, m.objid)
      WHERE o.owner <> (SELECT extowner FROM pg_extension WHERE extname = 'delete_guard')$$,
    'the owner of the extension owns everything in it');
SELECT ok(EXISTS (SELECT FROM members WHERE classid = 'pg_namespace'::regclass AND objid = 'delete_guard'::regnamespace),
    'the schema delete_guard belongs to the extension');
SELECT ok(NOT extrelocatable, 'which cannot be moved') FROM pg_extension WHERE extname = 'delete_guard';
SELECT is_empty(
    $$SELECT m.what FROM members m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
       WHERE c.relkind IN ('r', 'S')
         AND m.what NOT IN ('table delete_guard.attempt', 'sequence delete_guard.use_count', 'table delete_guard.origin')
         AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'delete_guard')$$,
    'pg_dump takes along what is in every table and sequence, but for the memory of the last minute and what tells one database from another');
SELECT is_empty(
    $$SELECT m.what, a.attname, format_type(a.atttypid, a.atttypmod)
        FROM members m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       WHERE c.relkind = 'r'
         AND a.atttypid IN ('regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype, 'regoperator'::regtype,
                            'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype, 'regcollation'::regtype)$$,
    'no column of a type that pg_upgrade cannot carry over');
SELECT is_empty(
    $$SELECT m.what, a.attname FROM members m JOIN pg_class c ON c.oid = m.objid AND m.classid = 'pg_class'::regclass
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relkind = 'r' AND a.atttypid IN ('json'::regtype, 'timestamp'::regtype)$$,
    'points in time have a time zone, JSON is jsonb');
SELECT is(extversion, delete_guard._library_version(), 'library and SQL objects are of one version')
  FROM pg_extension WHERE extname = 'delete_guard';

SELECT * FROM finish();
ROLLBACK;
