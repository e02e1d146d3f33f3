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

/* own relations and what they are in the extension */
CREATE VIEW delete_guard._own_relation AS
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relhastriggers, e.extowner,
           c.oid::regclass AS name
    FROM pg_catalog.pg_extension e
         JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass
              AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::regclass
         JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE e.extname = 'delete_guard' AND c.relkind IN ('r', 'S', 'v');
COMMENT ON VIEW delete_guard._own_relation IS
    'tables, sequences and views of the extension';

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
           || quote_literal(concat_ws(',', nullif(current_setting('shared_preload_libraries'), ''), 'delete_guard'))
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
           concat_ws(' ', 'role ' || s.role, 'database ' || s.database),
           CASE s.name WHEN 'event_triggers' THEN 'runs with event_triggers = off: DDL is not guarded'
                ELSE 'runs with session_replication_role = replica: foreign keys are not checked' END,
           format('ALTER %s RESET %s;',
                  CASE WHEN s.role IS NULL THEN format('DATABASE %I', s.database)
                       ELSE format('ROLE %I', s.role)
                            || CASE WHEN s.database IS NULL THEN '' ELSE format(' IN DATABASE %I', s.database) END END, s.name)
    FROM (SELECT r.rolname AS role, d.datname AS database, split_part(c.setting, '=', 1) AS name, c.setting
          FROM pg_catalog.pg_db_role_setting x
               CROSS JOIN LATERAL unnest(x.setconfig) AS c(setting)
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.setrole
               LEFT JOIN pg_catalog.pg_database d ON d.oid = x.setdatabase
          WHERE d.datname IS NULL OR d.datname = current_database()) s
    WHERE s.setting IN ('session_replication_role=replica', 'event_triggers=off')

    /* event triggers: one for each function that is made for one */
    UNION ALL
    SELECT 20, 'error', 'event trigger ' || coalesce(t.evtname, 'delete_guard' || p.proname),
           CASE WHEN t.oid IS NULL THEN 'is missing' ELSE 'is not enabled ALWAYS' END,
           CASE WHEN t.oid IS NULL
                THEN format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION delete_guard.%I(); ',
                            'delete_guard' || p.proname,
                            CASE WHEN p.proname ~ 'start' THEN 'ddl_command_start' WHEN p.proname ~ 'drop' THEN 'sql_drop'
                                 ELSE 'ddl_command_end' END, p.proname) ELSE '' END
           || format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', coalesce(t.evtname, 'delete_guard' || p.proname))
    FROM pg_catalog.pg_proc p
         LEFT JOIN pg_catalog.pg_event_trigger t ON t.evtfoid = p.oid
    WHERE p.pronamespace = 'delete_guard'::regnamespace AND p.prorettype = 'event_trigger'::regtype
          AND t.evtenabled IS DISTINCT FROM 'A'

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
    FROM delete_guard._own_relation r WHERE r.relowner <> r.extowner
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
           format('SELECT pg_catalog.setval(''delete_guard.%s'', %s);', s.name, greatest(s.taken, 1))
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
    WHERE n.nspname = 'delete_guard' AND a.grantee <> n.nspowner AND a.privilege_type = 'CREATE'
    UNION ALL
    SELECT 30, 'error', 'table ' || r.name,
           CASE WHEN t.oid IS NULL THEN format('trigger "%s" is missing', x.name)
                ELSE format('trigger "%s" is not enabled ALWAYS', x.name) END,
           CASE WHEN t.oid IS NULL
                THEN format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE%s ON %s FOR EACH %s EXECUTE FUNCTION delete_guard._guard_own(); ',
                            x.name, CASE x.level WHEN 'STATEMENT' THEN ' OR TRUNCATE' ELSE '' END, r.name, x.level) ELSE '' END
           || format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I;', r.name, x.name)
    FROM delete_guard._own_relation r
         CROSS JOIN (VALUES ('delete_guard_own_statement', 'STATEMENT'), ('delete_guard_own_row', 'ROW')) AS x(name, level)
         LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND t.tgname = x.name
                   AND t.tgfoid = to_regproc('delete_guard._guard_own')
    WHERE r.relkind = 'r' AND to_regproc('delete_guard._guard_own') IS NOT NULL
          AND t.tgenabled IS DISTINCT FROM 'A'
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
           format('SELECT delete_guard.add_approver(%s, %L);', '''a role''', p.table_id)
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
                ELSE format('SELECT delete_guard.remove_approver(%L%s);', a.role_name,
                            CASE WHEN a.table_id::oid <> 0 THEN ', ' || quote_literal(a.table_id) ELSE '' END) END
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
