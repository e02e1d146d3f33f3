/*
 * The contenders: functions that make, fill and describe them.
 *
 * Each has a table t_<contender> of the same shape.  Rows with an id above 0 are
 * to be deleted and nothing refers to them; rows with an id below 0 stay, and
 * what refers to the table (r1_ to r3_<contender>) refers to these.  The row
 * with id 0 is deleted before the clock starts, so that caches are warm.
 */
CREATE EXTENSION delete_guard;
CREATE SCHEMA bench;

/* CPU time of this backend, in ms */
CREATE FUNCTION bench.cpu_ms() RETURNS numeric LANGUAGE sql AS
$$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric / 1e6 $$;

/* rows from .. upto, as every contender holds them */
CREATE FUNCTION bench.fill(contender text, since bigint, upto bigint) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    EXECUTE format('INSERT INTO t_%s (id, name, ok, at, doc)
        SELECT i, ''name '' || i, i %% 2 = 0, now(), jsonb_build_object(''a'', i, ''b'', ''x'' || i)
        FROM generate_series(%s, %s) AS i', contender, since, upto);
END
$$;

/* tables whose rows refer to the rows that stay */
CREATE FUNCTION bench.make_referring(contender text, rows bigint, tables int, foreign_key boolean, indexed boolean)
RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    FOR k IN 1..tables LOOP
        EXECUTE format('CREATE TABLE r%s_%s (id bigint PRIMARY KEY, ref bigint)', k, contender);
        EXECUTE format('INSERT INTO r%s_%s SELECT i, -i FROM generate_series(1, %s) AS i', k, contender, rows);
        IF indexed THEN
            EXECUTE format('CREATE INDEX ON r%s_%s (ref)', k, contender);
        END IF;
        IF foreign_key THEN
            EXECUTE format('ALTER TABLE r%s_%s ADD FOREIGN KEY (ref) REFERENCES t_%2$s', k, contender);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION bench.guard(contender text, declared int) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM delete_guard.protect(format('t_%s', contender)::regclass, 'log');
    FOR k IN 1..declared LOOP
        PERFORM delete_guard.declare_reference(format('r%s_%s', k, contender)::regclass, '{ref}',
                                               format('t_%s', contender)::regclass);
    END LOOP;
END
$$;

/* what a plpgsql trigger function does with OLD */
CREATE FUNCTION bench.checks(contender text) RETURNS text LANGUAGE sql AS
$$
SELECT string_agg(format('IF EXISTS (SELECT FROM r%s_%s WHERE ref = OLD.id) THEN
    RAISE EXCEPTION ''row is referenced'' USING ERRCODE = ''restrict_violation''; END IF;', k, contender), ' ')
FROM generate_series(1, 3) AS k
$$;

CREATE FUNCTION bench.make_trigger(contender text, timing text, level text, body text)
RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    EXECUTE format('CREATE FUNCTION bench.f_%s() RETURNS trigger LANGUAGE plpgsql AS %L', contender,
                   format('BEGIN %s RETURN OLD; END', body));
    EXECUTE format('CREATE TRIGGER t %s DELETE ON t_%s %s EXECUTE FUNCTION bench.f_%2$s()',
                   timing, contender, level);
END
$$;

/* Make one contender with its tables: rows -kept .. n; others refer to those below 0. */
CREATE FUNCTION bench.make(contender text, n bigint, kept bigint) RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
    audit text := format('INSERT INTO audit_%s (image) VALUES (to_jsonb(OLD));', contender);
    noindex boolean := contender LIKE 'noindex%';
BEGIN
    EXECUTE format('CREATE TABLE t_%s (id bigint PRIMARY KEY, name text, ok boolean,
                    at timestamptz DEFAULT now(), doc jsonb)', contender);
    EXECUTE format('CREATE TABLE audit_%s (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), image jsonb)',
                   contender);
    PERFORM bench.fill(contender, -kept, n);
    IF contender IN ('fk', 'fk_guarded', 'guarded', 'index_guarded', 'check_trigger', 'row_trigger_checks') OR noindex THEN
        PERFORM bench.make_referring(contender, kept, CASE WHEN noindex OR contender = 'index_guarded' THEN 1 ELSE 3 END,
                                     contender IN ('fk', 'fk_guarded', 'noindex_fk'), NOT noindex);
    END IF;
    CASE
        WHEN contender IN ('guarded_alone', 'fk_guarded') THEN PERFORM bench.guard(contender, 0);
        WHEN contender = 'guarded' THEN PERFORM bench.guard(contender, 3);
        WHEN contender IN ('noindex_guarded', 'index_guarded') THEN PERFORM bench.guard(contender, 1);
        WHEN contender = 'row_trigger' THEN
            PERFORM bench.make_trigger(contender, 'AFTER', 'FOR EACH ROW', audit);
        WHEN contender = 'row_trigger_checks' THEN
            PERFORM bench.make_trigger(contender, 'AFTER', 'FOR EACH ROW', bench.checks(contender) || audit);
        WHEN contender = 'check_trigger' THEN
            PERFORM bench.make_trigger(contender, 'BEFORE', 'FOR EACH ROW', bench.checks(contender));
        WHEN contender = 'statement_trigger' THEN
            PERFORM bench.make_trigger(contender, 'AFTER', 'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT',
                format('INSERT INTO audit_%s (image) SELECT to_jsonb(gone) FROM gone;', contender));
        WHEN contender = 'table_log' THEN
            EXECUTE 'SELECT table_log_init(5, ''public'', ''t_table_log'', ''public'', ''audit_table_log_own'')';
        WHEN contender = 'periods' THEN
            EXECUTE 'SELECT periods.add_system_time_period(''t_periods'')';
            EXECUTE 'SELECT periods.add_system_versioning(''t_periods'')';
        ELSE NULL;
    END CASE;
END
$$;

/* The statement that deletes what the condition names, with what the contender has to write itself */
CREATE FUNCTION bench.statement(contender text, condition text) RETURNS text LANGUAGE sql AS
$$
SELECT CASE
    WHEN contender IN ('audited', 'noindex_antijoin') THEN
        format('WITH d AS (DELETE FROM t_%s AS t WHERE %s%s RETURNING *) INSERT INTO audit_%1$s (image) SELECT to_jsonb(d) FROM d',
               contender, condition,
               CASE WHEN contender = 'audited' THEN ''
                    ELSE ' AND NOT EXISTS (SELECT FROM r1_noindex_antijoin AS r WHERE r.ref = t.id)' END)
    ELSE format('DELETE FROM t_%s AS t WHERE %s', contender, condition)
END
$$;

/* Empty what a contender has recorded, so that it does not grow from run to run */
CREATE FUNCTION bench.clear(contender text) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    EXECUTE format('TRUNCATE audit_%s', contender);
    IF contender = 'table_log' THEN
        TRUNCATE audit_table_log_own;
    END IF;
END
$$;

/* Rows that are refused: each has one row that refers to it */
CREATE FUNCTION bench.make_refused(n bigint) RETURNS void LANGUAGE plpgsql AS
$$
BEGIN
    CREATE TABLE refused (id bigint PRIMARY KEY);
    CREATE TABLE refused_child (id bigint PRIMARY KEY, ref bigint);
    CREATE TABLE refused_fk (id bigint PRIMARY KEY);
    CREATE TABLE refused_fk_child (id bigint PRIMARY KEY, ref bigint REFERENCES refused_fk);
    CREATE TABLE committed (id bigserial);
    CREATE TABLE traffic (id bigint PRIMARY KEY, n bigint);
    INSERT INTO refused SELECT generate_series(1, n);
    INSERT INTO refused_fk SELECT generate_series(1, n);
    INSERT INTO refused_child SELECT i, i FROM generate_series(1, n) AS i;
    INSERT INTO refused_fk_child SELECT i, i FROM generate_series(1, n) AS i;
    INSERT INTO traffic SELECT i, 0 FROM generate_series(1, 1000) AS i;
    CREATE INDEX ON refused_child (ref);
    CREATE INDEX ON refused_fk_child (ref);
    PERFORM delete_guard.protect('refused');
    PERFORM delete_guard.declare_reference('refused_child', '{ref}', 'refused');
END
$$;
