/*
 * Is the guard itself intact?
 *
 * error: it does not act somewhere; warning: it acts, but does not keep its
 * promise; info: worth knowing.  Each finding comes with the command that mends
 * it.
 */
CREATE FUNCTION delete_guard._arm_faults(
    table_id oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
    RETURNS SETOF record STRICT
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_arm_faults';
COMMENT ON FUNCTION delete_guard._arm_faults(oid) IS
    'what keeps the triggers of a protected table from acting';

CREATE FUNCTION delete_guard._reference_faults(
    table_id oid, OUT severity text, OUT relation regclass, OUT problem text, OUT remedy text)
    RETURNS SETOF record STRICT
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_reference_faults';
COMMENT ON FUNCTION delete_guard._reference_faults(oid) IS
    'references to a table that have no index, are not valid or cannot be followed';

CREATE FUNCTION delete_guard._declaration_fault(name text, referenced oid) RETURNS text STRICT
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_declaration_fault';
COMMENT ON FUNCTION delete_guard._declaration_fault(text, oid) IS
    'what keeps a declared reference from being followed';

/* own relations: all that are in the schema, members of the extension or not */
CREATE VIEW delete_guard._own_relation AS
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relhastriggers, e.extowner,
           c.oid::regclass AS name, d.objid IS NOT NULL AS is_member
    FROM pg_catalog.pg_extension e
         JOIN pg_catalog.pg_class c ON c.relnamespace = 'delete_guard'::regnamespace
         LEFT JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass
              AND d.refobjid = e.oid AND d.deptype = 'e'
              AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
    WHERE e.extname = 'delete_guard' AND c.relkind IN ('r', 'S', 'v');
COMMENT ON VIEW delete_guard._own_relation IS
    'tables, sequences and views in the schema of the extension';

/* what the extension has made of triggers and indexes on its tables */
CREATE VIEW delete_guard._own_trigger AS
    SELECT r.oid AS relid, x.name, t.oid, t.tgenabled,
           t.tgtype = x.type AND t.tgfoid = to_regproc('delete_guard._guard_own') AND t.tgqual IS NULL
           AND t.tgattr = '' AND NOT t.tgdeferrable AS is_intact,
           format('CREATE OR REPLACE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE%s ON %s FOR EACH %s EXECUTE FUNCTION delete_guard._guard_own();',
                  x.name, CASE x.level WHEN 'STATEMENT' THEN ' OR TRUNCATE' ELSE '' END, r.name, x.level) AS statement
    FROM delete_guard._own_relation r
         CROSS JOIN (VALUES ('delete_guard_own_statement'::name, 'STATEMENT', 62), ('delete_guard_own_row', 'ROW', 31)) AS x(name, level, type)
         LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgname = x.name
    WHERE r.relkind = 'r' AND to_regproc('delete_guard._guard_own') IS NOT NULL;
COMMENT ON VIEW delete_guard._own_trigger IS
    'triggers on the tables of the extension, as they should be and as they are';

CREATE VIEW delete_guard._own_index AS
    SELECT v.name, v.statement, i.indexrelid IS NOT NULL AS is_there,
           coalesce(i.indisvalid AND i.indisready AND i.indislive, false) AS is_valid
    FROM (VALUES
        ('event_pkey', 'ALTER TABLE delete_guard.event ADD PRIMARY KEY (event_id);'),
        ('event_rows_pkey', 'ALTER TABLE delete_guard.event_rows ADD PRIMARY KEY (event_id, part, first_row);'),
        ('request_pkey', 'ALTER TABLE delete_guard.request ADD PRIMARY KEY (request_id);'),
        ('decision_pkey', 'ALTER TABLE delete_guard.decision ADD PRIMARY KEY (decision_id);'),
        ('protected_table_pkey', 'ALTER TABLE delete_guard.protected_table ADD PRIMARY KEY (table_id);'),
        ('declared_reference_pkey', 'ALTER TABLE delete_guard.declared_reference ADD PRIMARY KEY (name);'),
        ('approver_pkey', 'ALTER TABLE delete_guard.approver ADD PRIMARY KEY (role, table_id);'),
        ('tally_pkey', 'ALTER TABLE delete_guard.tally ADD PRIMARY KEY (kind);'),
        ('event_total_pkey', 'ALTER TABLE delete_guard.event_total ADD PRIMARY KEY (operation, outcome, table_name);'),
        ('recorder_total_pkey', 'ALTER TABLE delete_guard.recorder_total ADD PRIMARY KEY (name);'),
        ('request_fingerprint', 'CREATE INDEX request_fingerprint ON delete_guard.request (fingerprint);'),
        ('request_expires', 'CREATE INDEX request_expires ON delete_guard.request (expires_at);'),
        ('decision_request', 'CREATE INDEX decision_request ON delete_guard.decision (request_id);'),
        ('attempt_fingerprint', 'CREATE INDEX attempt_fingerprint ON delete_guard.attempt (fingerprint);')) AS v(name, statement)
         LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = to_regclass('delete_guard.' || v.name);
COMMENT ON VIEW delete_guard._own_index IS
    'indexes on the tables of the extension that its work rests on, and whether they are there';

/* roles that may approve, and whether they can */
CREATE VIEW delete_guard._approver_state AS
    SELECT a.role, a.role_name, a.table_id,
           CASE WHEN r.oid IS NULL THEN 'does not exist any more'
                WHEN r.rolname <> a.role_name THEN 'has another name now, and is not taken for the same'
                WHEN NOT r.rolcanlogin THEN 'cannot log in'
                WHEN r.rolvaliduntil < now() THEN 'has a password that is no longer valid'
           END AS problem,
           r.rolname
    FROM delete_guard.approver a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.role::oid;
COMMENT ON VIEW delete_guard._approver_state IS
    'roles that may approve, and what keeps them from it';

CREATE FUNCTION delete_guard._without_approvers(command text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION delete_guard.break_glass(bigint, text) TO "somebody"; run %s which is'
                             ' refused and names a request; "somebody" then runs SELECT delete_guard.break_glass(the request,'
                             ' ''no approver is left''); and it can be run with SET LOCAL delete_guard.approval = the request;', command)
$$;
COMMENT ON FUNCTION delete_guard._without_approvers(text) IS
    'how to change settings of a table none of whose approvers is left';

CREATE VIEW delete_guard._health (ord, severity, subject, problem, remedy) AS

    /* settings and the server */
    SELECT 10, 'error', 'delete_guard.enforce',
           'is off: nothing is refused, only recorded as not_enforced',
           'ALTER SYSTEM SET delete_guard.enforce = on; SELECT pg_reload_conf();'
    WHERE NOT current_setting('delete_guard.enforce')::boolean
    UNION ALL
    SELECT 10, 'error', 'library',
           format('is version %s, and the extension is version %s', delete_guard._library_version(), e.extversion),
           'ALTER EXTENSION delete_guard UPDATE;'
    FROM pg_catalog.pg_extension e
    WHERE e.extname = 'delete_guard' AND e.extversion <> delete_guard._library_version()
    UNION ALL
    SELECT 10, 'info', 'library',
           'is not preloaded, so it is loaded by the first statement that needs it',
           'ALTER SYSTEM SET shared_preload_libraries = '
           || (SELECT string_agg(quote_literal(l.name), ', ' ORDER BY l.n)
               FROM regexp_split_to_table(current_setting('shared_preload_libraries') || ',delete_guard', '[\s",]+')
                    WITH ORDINALITY AS l(name, n) WHERE l.name <> '')
           || '; -- and restart'
    WHERE NOT 'delete_guard' = ANY (regexp_split_to_array(
              current_setting('shared_preload_libraries'), '[\s",]+'))
    UNION ALL
    SELECT 10, 'warning', 'recorder',
           format('cannot start: all %s worker processes are taken, so refused attempts go to the server log only', w.most),
           format('ALTER SYSTEM SET max_worker_processes = %s; -- and restart', greatest(w.most, 4) + 4)
    FROM (SELECT current_setting('max_worker_processes')::int AS most,
                 (SELECT count(*) FROM pg_catalog.pg_stat_activity
                  WHERE backend_type NOT IN (
                        'client backend', 'autovacuum launcher', 'autovacuum worker', 'archiver',
                        'background writer', 'checkpointer', 'startup', 'walreceiver', 'walsender',
                        'walwriter', 'walsummarizer', 'slotsync worker', 'io worker', 'logger')
                        AND backend_type <> 'delete_guard recorder') AS taken) w
    WHERE w.taken >= w.most AND NOT pg_is_in_recovery()
    UNION ALL
    SELECT 10, 'error', 'event_triggers', 'is off: DDL is not guarded',
           'ALTER SYSTEM SET event_triggers = on; SELECT pg_reload_conf();'
    WHERE current_setting('event_triggers', true) = 'off'
    UNION ALL
    SELECT 10, CASE s.name WHEN 'event_triggers' THEN 'error' ELSE 'warning' END,
           coalesce(nullif(concat_ws(' ', 'role ' || s.role, 'database ' || s.database), ''), 'all roles'),
           CASE s.name WHEN 'event_triggers' THEN 'runs with event_triggers = off: DDL is not guarded'
                ELSE 'runs with session_replication_role = replica: foreign keys are not checked' END,
           format('ALTER %s RESET %s;',
                  CASE WHEN s.role IS NULL AND s.database IS NULL THEN 'ROLE ALL'
                       WHEN s.role IS NULL THEN format('DATABASE %I', s.database)
                       ELSE format('ROLE %I', s.role)
                            || CASE WHEN s.database IS NULL THEN '' ELSE format(' IN DATABASE %I', s.database) END END, s.name)
    FROM (SELECT r.rolname AS role, d.datname AS database, split_part(c.setting, '=', 1) AS name,
                 lower(split_part(c.setting, '=', 2)) AS value
          FROM pg_catalog.pg_db_role_setting x
               CROSS JOIN LATERAL unnest(x.setconfig) AS c(setting)
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.setrole
               LEFT JOIN pg_catalog.pg_database d ON d.oid = x.setdatabase
          WHERE d.datname IS NULL OR d.datname = current_database()) s
    WHERE (s.name = 'session_replication_role' AND s.value = 'replica')
          OR (s.name = 'event_triggers' AND s.value ~ '^(of|off|f|fa|fal|fals|false|n|no|0)$')

    /* event triggers: one for each function that is made for one */
    UNION ALL
    SELECT 20, 'error', 'event trigger ' || coalesce(t.evtname, p.trigger), p.problem, rtrim(p.remedy)
    FROM (SELECT 'delete_guard' || f.proname AS trigger, t.oid,
                 CASE WHEN t.oid IS NULL THEN 'is missing'
                      WHEN t.evtevent <> e.event OR t.evttags IS NOT NULL THEN 'is for other events'
                      WHEN t.evtenabled <> 'A' THEN 'is not enabled ALWAYS'
                      WHEN d.objid IS NULL THEN 'does not belong to the extension any more' END AS problem,
                 CASE WHEN t.oid IS NULL
                      THEN format('CREATE EVENT TRIGGER %1$I ON %2$s EXECUTE FUNCTION delete_guard.%3$I(); ALTER EVENT TRIGGER %1$I ENABLE ALWAYS; ',
                                  'delete_guard' || f.proname, e.event, f.proname)
                      WHEN t.evtevent <> e.event OR t.evttags IS NOT NULL
                      THEN format('UPDATE pg_catalog.pg_event_trigger SET evtevent = %L, evttags = NULL, evtenabled = ''A'' WHERE evtname = %L; ', e.event, t.evtname)
                      WHEN t.evtenabled <> 'A' THEN format('ALTER EVENT TRIGGER %I ENABLE ALWAYS; ', t.evtname)
                      ELSE '' END
                 || CASE WHEN d.objid IS NULL THEN format('ALTER EXTENSION delete_guard ADD EVENT TRIGGER %I;', coalesce(t.evtname, 'delete_guard' || f.proname)) ELSE '' END AS remedy
          FROM pg_catalog.pg_proc f
               CROSS JOIN LATERAL (SELECT CASE WHEN f.proname ~ 'start' THEN 'ddl_command_start' WHEN f.proname ~ 'drop' THEN 'sql_drop'
                                               ELSE 'ddl_command_end' END AS event) e
               LEFT JOIN pg_catalog.pg_event_trigger t ON t.evtfoid = f.oid
               LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e'
          WHERE f.pronamespace = 'delete_guard'::regnamespace AND f.prorettype = 'event_trigger'::regtype) p
         LEFT JOIN pg_catalog.pg_event_trigger t ON t.oid = p.oid
    WHERE p.problem IS NOT NULL

    /* functions, tables, sequences and views of the extension */
    UNION ALL
    SELECT 30, 'error', 'function ' || p.oid::regprocedure,
           'is not the one that the extension has made',
           format('CREATE OR REPLACE FUNCTION %s(%s) RETURNS %s LANGUAGE c %s%sAS %L, %L;', p.oid::regproc,
                  pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
                  CASE p.provolatile WHEN 's' THEN 'STABLE ' WHEN 'i' THEN 'IMMUTABLE ' ELSE '' END,
                  CASE WHEN p.proisstrict THEN 'STRICT ' ELSE '' END,
                  '$libdir/delete_guard', 'delete_guard' || regexp_replace(p.proname, '^(?!_)', '_'))
    FROM pg_catalog.pg_depend d
         JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'delete_guard'
         JOIN pg_catalog.pg_proc p ON p.oid = d.objid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
          AND d.classid = 'pg_catalog.pg_proc'::regclass
          AND (CASE WHEN p.prolang = (SELECT oid FROM pg_catalog.pg_language WHERE lanname = 'c')
                    THEN p.prosrc <> 'delete_guard' || regexp_replace(p.proname, '^(?!_)', '_')
                         OR p.probin !~ '(^|/)delete_guard$'
                    ELSE p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype)
                         OR p.prolang <> (SELECT oid FROM pg_catalog.pg_language WHERE lanname = 'sql') END
               OR p.prosecdef OR p.proconfig IS NOT NULL)
    UNION ALL
    SELECT 30, 'error', 'function ' || p.oid::regprocedure, 'does not belong to the extension any more',
           format('ALTER EXTENSION delete_guard ADD FUNCTION %s;', p.oid::regprocedure)
    FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'delete_guard'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 30, 'error', 'table ' || r.name, 'belongs to ' || r.relowner::regrole || ', and not to the owner of the extension',
           format('ALTER TABLE %s OWNER TO %s;', r.name, r.extowner::regrole)
    FROM delete_guard._own_relation r WHERE r.relowner <> r.extowner AND r.relkind = 'r'
    UNION ALL
    SELECT 30, 'error', format('%s %s', CASE r.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, r.name),
           'does not belong to the extension',
           format('ALTER EXTENSION delete_guard ADD %s %s;', CASE r.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, r.name)
    FROM delete_guard._own_relation r WHERE NOT r.is_member
    UNION ALL
    SELECT 30, 'error', 'view ' || r.name, 'belongs to ' || r.relowner::regrole || ', and not to the owner of the extension',
           format('ALTER VIEW %s OWNER TO %s;', r.name, r.extowner::regrole)
    FROM delete_guard._own_relation r WHERE r.relowner <> r.extowner AND r.relkind = 'v'
    UNION ALL
    SELECT 30, 'error', 'function ' || p.oid::regprocedure, 'belongs to ' || p.proowner::regrole || ', and not to the owner of the extension',
           format('ALTER FUNCTION %s OWNER TO %s;', p.oid::regprocedure, e.extowner::regrole)
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_extension e ON e.extname = 'delete_guard'
    WHERE p.pronamespace = 'delete_guard'::regnamespace AND p.proowner <> e.extowner
    UNION ALL
    SELECT 30, 'error', 'schema delete_guard', 'belongs to ' || n.nspowner::regrole || ', and not to the owner of the extension',
           format('ALTER SCHEMA delete_guard OWNER TO %s;', e.extowner::regrole)
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_extension e ON e.extname = 'delete_guard'
    WHERE n.nspname = 'delete_guard' AND n.nspowner <> e.extowner
    UNION ALL
    SELECT 30, 'error', 'index delete_guard.' || i.name,
           CASE WHEN i.is_there THEN 'is not valid' ELSE 'is missing' END,
           CASE WHEN i.is_there THEN format('REINDEX INDEX delete_guard.%I;', i.name) ELSE i.statement END
    FROM delete_guard._own_index i WHERE NOT i.is_valid
    UNION ALL
    SELECT 30, 'error', 'table ' || r.name, 'has a child, whose rows are read as its own: ' || h.inhrelid::regclass,
           format('ALTER TABLE %s NO INHERIT %s;', h.inhrelid::regclass, r.name)
    FROM delete_guard._own_relation r JOIN pg_catalog.pg_inherits h ON h.inhparent = r.oid
    UNION ALL
    SELECT 30, 'warning', format('table %s, column %I', r.name, a.attname),
           format('%s may %s', CASE g.grantee WHEN 0 THEN 'everybody' ELSE g.grantee::regrole::text END,
                  string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type)),
           format('REVOKE %s ON %s FROM %s;', string_agg(format('%s (%I)', g.privilege_type, a.attname), ', ' ORDER BY g.privilege_type),
                  r.name, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
    FROM delete_guard._own_relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
         CROSS JOIN LATERAL aclexplode(a.attacl) AS g
    WHERE g.grantee <> r.relowner AND g.privilege_type <> 'SELECT'
    GROUP BY r.name, a.attname, g.grantee
    UNION ALL
    SELECT 30, 'warning', format('%s %s', CASE r.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, r.name),
           format('%s may %s', CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END,
                  string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
           format('REVOKE %s ON %s %s FROM %s;', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type),
                  CASE r.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, r.name,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
    FROM delete_guard._own_relation r CROSS JOIN LATERAL aclexplode(r.relacl) AS a
    WHERE a.grantee <> r.relowner AND a.privilege_type <> 'SELECT'
    GROUP BY r.name, r.relkind, a.grantee
    UNION ALL
    SELECT 30, 'warning', 'sequence delete_guard.' || s.name,
           CASE WHEN s.given < s.taken THEN format('has been set back to %s, and %s is taken', s.given, s.taken)
                ELSE format('has been set ahead to %s, so numbers run out', s.given) END,
           format('SELECT pg_catalog.setval(''delete_guard.%1$s'', greatest((SELECT max(%1$s) FROM delete_guard.%2$s)%3$s, 1));',
                  s.name, replace(s.name, '_id', ''), CASE s.name WHEN 'event_id' THEN ', (SELECT max(upto) FROM delete_guard.tally)' ELSE '' END)
    FROM (SELECT 'event_id' AS name, coalesce(pg_sequence_last_value('delete_guard.event_id'::regclass), 0) AS given,
                 greatest((SELECT max(event_id) FROM delete_guard.event), (SELECT max(upto) FROM delete_guard.tally), 0) AS taken
          UNION ALL
          SELECT 'request_id', coalesce(pg_sequence_last_value('delete_guard.request_id'::regclass), 0),
                 coalesce((SELECT max(request_id) FROM delete_guard.request), 0)
          UNION ALL
          SELECT 'decision_id', coalesce(pg_sequence_last_value('delete_guard.decision_id'::regclass), 0),
                 coalesce((SELECT max(decision_id) FROM delete_guard.decision), 0)) s
    WHERE s.given < s.taken OR s.given > 4611686018427387904
    UNION ALL
    SELECT 30, 'warning', 'sequence delete_guard.use_count',
           'has been set back, so the owner of the extension may write to its tables as if he restored a dump',
           'SELECT pg_catalog.setval(''delete_guard.use_count'', 1);'
    FROM delete_guard.use_count u
    WHERE NOT u.is_called AND (EXISTS (SELECT FROM delete_guard.tally WHERE kind = 'pending') OR EXISTS (SELECT FROM delete_guard.attempt))
    UNION ALL
    SELECT 30, 'warning', 'schema delete_guard',
           CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END || ' may create objects in it',
           format('REVOKE CREATE ON SCHEMA delete_guard FROM %s;',
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
    FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
    WHERE n.nspname = 'delete_guard' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
          AND a.grantee <> (SELECT extowner FROM pg_catalog.pg_extension WHERE extname = 'delete_guard')
    UNION ALL
    SELECT 30, 'error', 'table ' || t.relid::regclass,
           CASE WHEN t.oid IS NULL THEN format('trigger "%s" is missing', t.name)
                WHEN NOT t.is_intact THEN format('trigger "%s" has another definition', t.name)
                ELSE format('trigger "%s" is not enabled ALWAYS', t.name) END,
           CASE WHEN t.is_intact THEN '' ELSE t.statement || ' ' END
           || format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', t.relid::regclass, t.name)
    FROM delete_guard._own_trigger t
    WHERE t.is_intact IS NOT TRUE OR t.tgenabled <> 'A'
    UNION ALL
    SELECT 30, 'error', 'table ' || r.name, 'the catalog says that it has no triggers',
           format('UPDATE pg_catalog.pg_class SET relhastriggers = true WHERE oid = %s::regclass;', quote_literal(r.name))
    FROM delete_guard._own_relation r
    WHERE r.relkind = 'r' AND NOT r.relhastriggers AND EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = r.oid)
    UNION ALL
    SELECT 30, 'warning', 'table ' || r.name, format('has a trigger that is not the extension''s, "%s"', t.tgname),
           format('DROP TRIGGER %I ON %s;', t.tgname, r.name)
    FROM delete_guard._own_relation r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid
    WHERE t.tgfoid IS DISTINCT FROM to_regproc('delete_guard._guard_own') AND NOT t.tgisinternal
    UNION ALL
    SELECT 30, 'warning', 'table ' || r.name, format('has a rule, "%s"', w.rulename),
           format('DROP RULE %I ON %s;', w.rulename, r.name)
    FROM delete_guard._own_relation r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
    WHERE r.relkind = 'r'

    /* protected tables */
    UNION ALL
    SELECT 40, 'warning', 'table with OID ' || p.table_id::oid, 'is registered as protected, and does not exist any more',
           format('SELECT delete_guard.unprotect(%s::oid);', p.table_id::oid)
    FROM delete_guard.protected_table p
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = p.table_id)
    UNION ALL
    SELECT 40, 'error', 'table ' || t.tgrelid::regclass,
           'has triggers of delete_guard, and is not registered as protected: they do nothing',
           format('SELECT delete_guard.protect(%L);', t.tgrelid::regclass)
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
    WHERE t.tgname = '00_delete_guard_delete' AND t.tgparentid = 0
          AND t.tgfoid = to_regproc('delete_guard._guard_rows')
          AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_trigger u ON u.tgrelid = i.inhparent AND u.tgname = t.tgname
              WHERE i.inhrelid = t.tgrelid)
          AND NOT EXISTS (
              WITH RECURSIVE above AS (
                  SELECT t.tgrelid AS relid
                  UNION SELECT i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid = above.relid)
              SELECT FROM above JOIN delete_guard.protected_table p ON p.table_id = above.relid)
    UNION ALL
    SELECT 40, f.severity, 'table ' || f.relation, f.problem,
           coalesce(f.remedy, format('SELECT delete_guard.protect(%L, %L, %L, %s);', p.table_id, p.mode, p.scope, p.approvals))
    FROM delete_guard.protected_table p CROSS JOIN LATERAL delete_guard._arm_faults(p.table_id::oid) AS f
    UNION ALL
    SELECT 40, 'warning', 'table ' || h.relid::regclass, format('rule "%s" decides what becomes of %s', w.rulename,
                  CASE w.ev_type WHEN '2' THEN 'an UPDATE' ELSE 'a DELETE' END),
           format('DROP RULE %I ON %s;', w.rulename, h.relid::regclass)
    FROM (WITH RECURSIVE h AS (
              SELECT p.table_id::oid AS relid FROM delete_guard.protected_table p
              UNION SELECT i.inhrelid FROM h JOIN pg_catalog.pg_inherits i ON i.inhparent = h.relid)
          SELECT relid FROM h) h
         JOIN pg_catalog.pg_rewrite w ON w.ev_class = h.relid
    WHERE w.ev_type IN ('2', '4') AND w.is_instead
    UNION ALL
    SELECT 40, 'error', 'table ' || t.tgrelid::regclass,
           format('trigger "%s" of a foreign key fires before the guard''s', t.tgname),
           format('ALTER TRIGGER %I ON %s RENAME TO %I;', t.tgname, t.tgrelid::regclass,
                  'RI_ConstraintTrigger_a_' || t.oid)
    FROM delete_guard.protected_table p JOIN pg_catalog.pg_trigger t ON t.tgrelid = p.table_id
    WHERE t.tgisinternal AND t.tgconstraint <> 0 AND t.tgname < '00_delete_guard_delete'

    /* persons */
    UNION ALL
    SELECT 50, 'warning', 'table ' || p.table_id, 'is in block mode and has no approver: what is refused cannot be approved',
           CASE WHEN EXISTS (SELECT FROM delete_guard.approver a WHERE a.table_id::oid IN (0, p.table_id))
                THEN delete_guard._without_approvers(format('SELECT delete_guard.add_approver(%s, %L);', '''a role''', p.table_id))
                ELSE format('SELECT delete_guard.add_approver(%s, %L);', '''a role''', p.table_id) END
    FROM delete_guard.protected_table p JOIN pg_catalog.pg_class c ON c.oid = p.table_id
    WHERE p.mode = 'block' AND NOT EXISTS (
        SELECT FROM delete_guard._approver_state a WHERE a.table_id::oid IN (0, p.table_id) AND a.problem IS NULL)
    UNION ALL
    SELECT 50, CASE WHEN s.able < s.approvals THEN 'warning' ELSE 'info' END, 'table ' || s.table_id,
           CASE WHEN s.able < s.approvals
                THEN format('asks for %s approvals, and %s can approve', s.approvals, s.names)
                ELSE format('asks for %s of the approvals of %s, so none of them can have a request of his own approved', s.approvals, s.names) END,
           format('SELECT delete_guard.add_approver(%s, %L);', '''another role''', s.table_id)
    FROM (SELECT p.table_id, p.approvals, count(DISTINCT a.role) AS able,
                 string_agg(DISTINCT a.rolname::text, ', ') AS names
          FROM delete_guard.protected_table p JOIN pg_catalog.pg_class c ON c.oid = p.table_id
               JOIN delete_guard._approver_state a ON a.table_id::oid IN (0, p.table_id) AND a.problem IS NULL
          WHERE p.mode = 'block'
          GROUP BY p.table_id, p.approvals) s
    WHERE s.able <= s.approvals
    UNION ALL
    SELECT 50, 'warning', 'approver ' || a.role_name, a.problem,
           CASE WHEN a.problem ~ 'password' THEN format('ALTER ROLE %I VALID UNTIL ''infinity'';', a.rolname)
                WHEN a.problem ~ 'log in' THEN format('ALTER ROLE %I LOGIN;', a.rolname)
                ELSE (SELECT CASE WHEN EXISTS (
                                  SELECT FROM delete_guard._approver_state o
                                  WHERE o.problem IS NULL AND (o.table_id::oid = 0 OR o.table_id = a.table_id))
                             THEN c ELSE delete_guard._without_approvers(c) END
                      FROM format('SELECT delete_guard.remove_approver(%L%s);', a.role_name,
                                  CASE WHEN a.table_id::oid <> 0 THEN ', ' || quote_literal(a.table_id) ELSE '' END) AS c) END
    FROM delete_guard._approver_state a
    WHERE a.problem IS NOT NULL
    UNION ALL
    SELECT 50, 'warning', 'approver ' || a.role_name, format('is one for table with OID %s, which does not exist any more', a.table_id::oid),
           format('SELECT delete_guard.remove_approver(%L, %s::oid);', a.role_name, a.table_id::oid)
    FROM delete_guard._approver_state a
    WHERE a.table_id::oid <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = a.table_id)

    /* references */
    UNION ALL
    SELECT 60, 'warning', 'declared reference ' || d.name,
           CASE WHEN f.oid IS NULL OR t.oid IS NULL THEN 'is of a table that does not exist any more'
                ELSE 'is of a column that does not exist any more' END,
           format('SELECT delete_guard.forget_reference(%L);', d.name)
    FROM delete_guard.declared_reference d
         LEFT JOIN pg_catalog.pg_class f ON f.oid = d.referencing
         LEFT JOIN pg_catalog.pg_class t ON t.oid = d.referenced
    WHERE f.oid IS NULL OR t.oid IS NULL
          OR (SELECT count(*) FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped
                    AND CASE WHEN d.referencing_oid = f.oid THEN a.attnum = ANY (d.referencing_attnums)
                             ELSE a.attname = ANY (d.referencing_columns) END) < cardinality(d.referencing_columns)
          OR (SELECT count(*) FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                    AND CASE WHEN d.referenced_oid = t.oid THEN a.attnum = ANY (d.referenced_attnums)
                             ELSE a.attname = ANY (d.referenced_columns) END) < cardinality(d.referenced_columns)
    UNION ALL
    SELECT 60, 'error', 'declared reference ' || f.name, 'cannot be followed: ' || f.fault,
           format('SELECT delete_guard.forget_reference(%L);', f.name)
    FROM (SELECT name, delete_guard._declaration_fault(name, referenced::oid) AS fault
          FROM delete_guard.declared_reference) f
    WHERE f.fault IS NOT NULL
    UNION ALL
    SELECT DISTINCT 60, f.severity, 'table ' || f.relation, f.problem, f.remedy
    FROM (SELECT table_id FROM delete_guard.protected_table
          UNION SELECT referenced FROM delete_guard.declared_reference) x
         CROSS JOIN LATERAL delete_guard._reference_faults(x.table_id::oid) AS f;
COMMENT ON VIEW delete_guard._health IS
    'what health() finds, but for authentication';

CREATE VIEW delete_guard._health_authentication (severity, subject, problem, remedy) AS
    SELECT 'warning', 'authentication',
           format('line %s of pg_hba.conf lets everybody in by "trust", as whoever he says he is: two persons cannot be told apart', h.lines),
           'Change the method to scram-sha-256, cert, peer or another that proves it, in '
           || current_setting('hba_file') || ', then SELECT pg_reload_conf();'
    FROM (SELECT string_agg(line_number::text, ', ' ORDER BY line_number) AS lines
          FROM pg_catalog.pg_hba_file_rules
          WHERE auth_method = 'trust' AND database <> '{replication}'
                AND database && ARRAY['all', 'sameuser', 'samerole', 'samegroup', current_database()::text]) h
    WHERE h.lines IS NOT NULL;
COMMENT ON VIEW delete_guard._health_authentication IS
    'what health() finds of how persons prove who they are';

CREATE FUNCTION delete_guard.health(
    OUT severity text, OUT subject text, OUT problem text, OUT remedy text)
    RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'delete_guard_health';
COMMENT ON FUNCTION delete_guard.health() IS
    'is the guard itself intact: severity, what, why, and the command that mends it';
