-- Who could approve: what a refusal finds in the table of approvers, without SQL, is
-- what the view says that approvals go by. Compared in many combinations of who is
-- named and what became of him
CREATE SCHEMA dg_hint;
SET search_path = dg_hint;
SET client_min_messages = warning;
CREATE TABLE guarded (id int PRIMARY KEY);
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO guarded SELECT generate_series(0, 9);
CREATE ROLE regress_dg_hint_1 LOGIN;
CREATE ROLE regress_dg_hint_2 LOGIN;
-- nobody is named elsewhere, which would count here too
SELECT count(*) FROM delete_guard.approver;
-- in mode log, where approvers are free to name
SELECT delete_guard.protect(t, 'log', 'all') FROM unnest('{guarded,other}'::regclass[]) AS t \g /dev/null

-- One role is an approver of all scopes of a list (NULL stands for all tables); then its fate
CREATE PROCEDURE name_approver(role text, scopes regclass[], fate text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM delete_guard.add_approver(role, s) FROM unnest(scopes) AS s;
    IF fate IN ('renamed', 'replaced', 'named again') THEN
        EXECUTE format('ALTER ROLE %I RENAME TO %I', role, role || '_was');
    END IF;
    IF fate IN ('dropped', 're-created') THEN
        EXECUTE format('DROP ROLE %I', role);
    END IF;
    -- somebody else of that name
    IF fate IN ('replaced', 're-created') THEN
        EXECUTE format('CREATE ROLE %I LOGIN', role);
    END IF;
    IF fate = 'no login' THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', role);
    END IF;
    -- of these two an old version of the row is left behind
    IF fate = 'removed' THEN
        PERFORM delete_guard.remove_approver(role, s) FROM unnest(scopes) AS s;
    END IF;
    IF fate = 'named again' THEN
        PERFORM delete_guard.add_approver(role || '_was', s) FROM unnest(scopes) AS s;
    END IF;
END $$;
-- Who could approve, by the view
CREATE FUNCTION by_view(t regclass) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM delete_guard._approver_for p JOIN pg_roles r
                     ON r.oid = p.role AND r.rolname = p.role_name AND r.rolcanlogin
                     WHERE p.for_table IS NULL OR p.for_table = t) THEN 'somebody'
        WHEN EXISTS (SELECT FROM delete_guard._approver_for p
                     WHERE p.for_table IS NULL OR p.for_table = t) THEN 'nobody left'
        ELSE 'nobody yet' END
$$;
-- Who could approve, by what a refused statement says; as it is, if no request was stored
CREATE FUNCTION by_hint(said text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE substring(said FROM 'delete_guard\.approve\(N\); then run this in one transaction with SET LOCAL delete_guard\.approval = N\.([^\n]*)')
        WHEN '' THEN 'somebody'
        WHEN '  No approver is left who can log in; somebody who was granted EXECUTE on delete_guard.break_glass() can let it through.' THEN 'nobody left'
        WHEN '  There is no approver for this table yet; see delete_guard.add_approver().' THEN 'nobody yet'
        ELSE said END
$$;

-- Nobody; one role with all lists of scopes; two roles with one scope each, in either order
CREATE TABLE combination (n int GENERATED ALWAYS AS IDENTITY, scopes_1 regclass[], fate_1 text, scopes_2 regclass[], fate_2 text,
    viewed text, hinted text, weakened text);
CREATE VIEW fates AS
    SELECT * FROM unnest('{able,no login,renamed,replaced,named again,dropped,re-created,removed}'::text[]) AS fate;
CREATE VIEW one AS
    SELECT ARRAY[scope] AS scopes, fate FROM unnest('{guarded,NULL,other}'::regclass[]) AS scope, fates;
INSERT INTO combination DEFAULT VALUES;
INSERT INTO combination (scopes_1, fate_1)
SELECT scopes::regclass[], fate
FROM unnest(ARRAY['{guarded}', '{NULL}', '{other}', '{guarded,NULL}', '{guarded,other}', '{other,NULL}', '{guarded,other,NULL}']) AS scopes, fates;
INSERT INTO combination (scopes_1, fate_1, scopes_2, fate_2)
SELECT a.scopes, a.fate, b.scopes, b.fate FROM one AS a, one AS b;
-- Each is set up, tried, and undone. The attempts are few, made again and again, so that few events are left
-- behind; but not one only, as who repeats it a hundred times in a minute is slowed down
CREATE PROCEDURE compare() LANGUAGE plpgsql AS $$
DECLARE
    c combination;
BEGIN
    FOR c IN SELECT * FROM combination ORDER BY n LOOP
        BEGIN
            CALL name_approver('regress_dg_hint_1', c.scopes_1, c.fate_1);
            CALL name_approver('regress_dg_hint_2', c.scopes_2, c.fate_2);
            PERFORM delete_guard.protect('guarded', 'block', 'all', 2 + c.n % 10);
            c.viewed := by_view('guarded');
            c.hinted := by_hint(dg_test.says(format('DELETE FROM guarded WHERE id = %s', c.n % 10)));
            -- fewer approvals: free as long as nobody is named
            c.weakened := by_hint(dg_test.says(format('SELECT delete_guard.protect(''guarded'', ''block'', ''all'', %s)', 1 + c.n % 10)));
            RAISE EXCEPTION USING ERRCODE = 'DGOK0';
        EXCEPTION WHEN SQLSTATE 'DGOK0' THEN
            NULL;
        END;
        UPDATE combination SET viewed = c.viewed, hinted = c.hinted, weakened = c.weakened WHERE n = c.n;
        COMMIT;
    END LOOP;
END $$;
CALL compare();
-- how many combinations of each kind
SELECT viewed, count(*) FILTER (WHERE fate_1 IS NULL) AS nobody, count(*) FILTER (WHERE fate_1 IS NOT NULL AND fate_2 IS NULL) AS one,
    count(fate_2) AS two FROM combination GROUP BY viewed ORDER BY viewed;
-- one role for the table or for all: each fate
SELECT fate_1, string_agg(DISTINCT viewed, ', ') FROM combination WHERE fate_2 IS NULL AND scopes_1 IN ('{guarded}', '{NULL}') GROUP BY fate_1 ORDER BY fate_1;
-- any that differ?
SELECT scopes_1, fate_1, scopes_2, fate_2, viewed, hinted, weakened FROM combination
WHERE hinted IS DISTINCT FROM viewed OR weakened IS DISTINCT FROM CASE viewed WHEN 'nobody yet' THEN 'ok' ELSE viewed END
ORDER BY n LIMIT 10;

-- other tests look for what is open
SELECT count(delete_guard.cancel(request_id)) > 0 AS cancelled FROM delete_guard.pending_requests WHERE table_name = 'dg_hint.guarded';
CALL dg_test.release('dg_hint');
SELECT count(*) FROM delete_guard.approver;
DROP SCHEMA dg_hint CASCADE;
DROP ROLE regress_dg_hint_1, regress_dg_hint_2;
