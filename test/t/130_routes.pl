# Ways around a guard, each by the number it has in doc/threat-model.md: routes
# by which rows of a protected table go or change their keys, by which the whole
# guard is switched off, and by which an approval is had by one person.
#
# Each route has a schema of its own, with arch (1 is referred to by soft, 2 by
# fk, 5 by nothing), as owner; alice tries.  "refused" means: SQLSTATE 23001 or
# 42501, nothing changed, and the attempt in the audit log.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 4');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION delete_guard;
	CREATE ROLE owner LOGIN;
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;
	CREATE ROLE writer LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
	GRANT CREATE ON DATABASE postgres TO owner;
	SELECT delete_guard.add_approver(role) FROM unnest('{alice,bob,carol}'::name[]) role;
});

my $standard = q{
	CREATE TABLE arch (id int PRIMARY KEY, name text UNIQUE, note text);
	CREATE TABLE soft (arch_id int);
	CREATE TABLE fk (arch_id int REFERENCES arch);
	INSERT INTO arch SELECT i, 'arch' || i FROM generate_series(1, 6) i;
	INSERT INTO soft VALUES (1);
	INSERT INTO fk VALUES (2);
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');
};

# Run SQL as somebody in a route's schema; returns stdout and stderr.
sub as
{
	my ($who, $number, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', "SET search_path = r$number, public;\n$sql",
		on_error_stop => 0, extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return ($stdout, $stderr);
}

# Make the schema of a route, with tables by the given SQL.
sub setup
{
	my ($number, $sql) = @_;
	my (undef, $stderr) = as('owner', $number, qq{
		CREATE SCHEMA r$number; SET search_path = r$number; SET client_min_messages = warning;
		$sql
		GRANT USAGE ON SCHEMA r$number TO PUBLIC;
		GRANT ALL ON ALL TABLES IN SCHEMA r$number TO alice;});
	is($stderr, '', "route $number: set up") if $stderr;
	return;
}

sub events
{
	my ($number) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(operation || ' ' || outcome || ' ' || row_count, ', ' ORDER BY event_id)
		FROM delete_guard.audit_log WHERE table_name LIKE 'r$number.%' AND row_count IS NOT NULL AND outcome <> 'done'");
}

# What is in the tables of a route's schema.
sub contents
{
	my ($number) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(c.relname || ' ' || query_to_xml('SELECT t::text AS row FROM ONLY ' || c.oid::regclass || ' AS t ORDER BY t::text', false, true, '')::text, '' ORDER BY c.relname)
		FROM pg_class c WHERE relnamespace = 'r$number'::regnamespace AND relkind = 'r'");
}

# Arguments: number, title, statements tried by alice (or options who, setup,
# events: what the log says, one statement each).
sub refused
{
	my ($number, $title, $sql, %options) = @_;
	my $schema = $number;
	setup($schema, $options{setup} // $standard);
	my $before = contents($schema);
	my (undef, $stderr) = as($options{who} // 'alice', $schema, $sql);
	like($stderr, qr/ERROR:  (23001|42501):/, "route $number: $title: refused");
	is(contents($schema), $before, "route $number: $title: nothing changed");
	like(events($schema) // '', $options{events} // qr/blocked/, "route $number: $title: the attempt is in the log");
	return;
}

# Arguments: number, title, statements, what the log says.
sub allowed
{
	my ($number, $title, $sql, $events, %options) = @_;
	setup($number, $options{setup} // $standard);
	my (undef, $stderr) = as($options{who} // 'alice', $number, $sql);
	unlike($stderr, qr/ERROR/, "route $number: $title: allowed");
	is(events($number), $events, "route $number: $title: in the log");
	return;
}

# ---- rows ----
my %dml = (
	'DELETE' => 'DELETE FROM arch WHERE id = 1',
	'USING' => 'DELETE FROM arch USING soft WHERE id = arch_id',
	'RETURNING' => 'DELETE FROM arch WHERE id = 2 RETURNING *',
	'EXECUTE' => 'PREPARE p AS DELETE FROM arch WHERE id = $1; EXECUTE p(1)',
	'WHERE CURRENT OF' => 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM arch WHERE id = 1 FOR UPDATE; FETCH c; DELETE FROM arch WHERE CURRENT OF c; COMMIT',
	'EXPLAIN ANALYZE' => 'EXPLAIN ANALYZE DELETE FROM arch WHERE id = 1',
	'COPY' => 'COPY (DELETE FROM arch WHERE id = 1 RETURNING id) TO STDOUT',
	'a function' => q{CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS 'DELETE FROM arch WHERE id = 1'; SELECT pg_temp.f()},
);
setup(1, $standard);
my $before = contents(1);
for my $how (sort keys %dml)
{
	my (undef, $stderr) = as('alice', 1, $dml{$how});
	like($stderr, qr/ERROR:  23001:/, "route 1: $how: refused");
}
is(contents(1), $before, 'route 1: nothing changed');
is($node->safe_psql('postgres', q{SELECT sum(repeats + 1) FROM delete_guard.audit_log WHERE table_name = 'r1.arch' AND outcome = 'blocked'}), scalar(keys %dml), 'route 1: every attempt is counted in the log');

refused(2, 'in a CTE', 'WITH d AS (DELETE FROM arch WHERE id = 1 RETURNING *) SELECT * FROM d');
refused(3, 'with the references, in one statement', 'WITH a AS (DELETE FROM soft RETURNING *) DELETE FROM arch WHERE id = 1');
refused(4, 'a view, an INSTEAD OF trigger, a rule', 'DELETE FROM v WHERE id = 1; DELETE FROM w WHERE id = 2; DELETE FROM x',
	setup => "$standard CREATE VIEW v AS SELECT * FROM arch; CREATE VIEW w AS SELECT id, count(*) FROM arch GROUP BY id;
		CREATE FUNCTION del() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM arch WHERE id = OLD.id; RETURN OLD; END';
		CREATE TRIGGER t INSTEAD OF DELETE ON w FOR EACH ROW EXECUTE FUNCTION del();
		CREATE TABLE x (id int); CREATE RULE r AS ON DELETE TO x DO ALSO DELETE FROM arch WHERE id = 1;",
	events => qr/^delete blocked 1, delete blocked 1/);
refused(5, 'MERGE', 'MERGE INTO arch USING soft ON id = arch_id WHEN MATCHED THEN DELETE');
refused(6, 'a cascade into the protected table', 'DELETE FROM top WHERE id = 1', setup => q{
	CREATE TABLE top (id int PRIMARY KEY); CREATE TABLE arch (id int PRIMARY KEY, top int REFERENCES top ON DELETE CASCADE);
	CREATE TABLE soft (arch_id int); INSERT INTO top VALUES (1); INSERT INTO arch VALUES (1, 1); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');});
refused(7, 'a diamond: another cascade takes the references first', 'DELETE FROM top WHERE id = 1', setup => q{
	CREATE TABLE top (id int PRIMARY KEY);
	CREATE TABLE arch (id int PRIMARY KEY, top int); CREATE TABLE ref (arch_id int, top int CONSTRAINT a_first REFERENCES top ON DELETE CASCADE);
	ALTER TABLE arch ADD CONSTRAINT z_later FOREIGN KEY (top) REFERENCES top ON DELETE CASCADE;
	INSERT INTO top VALUES (1); INSERT INTO arch VALUES (1, 1); INSERT INTO ref VALUES (1, 1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('ref', '{arch_id}', 'arch');});
setup(8, $standard);
as('alice', 8, q{DO $$BEGIN DELETE FROM arch WHERE id = 1; EXCEPTION WHEN OTHERS THEN NULL; END$$});
is($node->safe_psql('postgres', 'SELECT count(*) FROM r8.arch'), '6', 'route 8: the error swallowed: nothing changed');
is(events(8), 'delete blocked 1', 'route 8: the error swallowed: the attempt is in the log');
refused(9, 'many rows, one referred to', 'DELETE FROM arch WHERE id <> 2', events => qr/^delete blocked 5$/);
refused(10, 'SET NULL, SET DEFAULT, a unique column, composite, MATCH FULL',
	join(';', map {"DELETE FROM arch WHERE id = $_"} 1 .. 4), events => qr/^(delete blocked 1(, |$)){4}/, setup => q{
	CREATE TABLE arch (id int PRIMARY KEY, a int, b int, name text UNIQUE, UNIQUE (b, a));
	INSERT INTO arch SELECT i, i, i * 10, 'n' || i FROM generate_series(0, 5) i;
	CREATE TABLE f1 (x int REFERENCES arch ON DELETE SET NULL); CREATE TABLE f2 (x int DEFAULT 0 REFERENCES arch ON DELETE SET DEFAULT);
	CREATE TABLE f3 (x text REFERENCES arch (name) ON DELETE CASCADE); CREATE TABLE f4 (p int, q int, FOREIGN KEY (p, q) REFERENCES arch (a, b) MATCH FULL ON DELETE CASCADE);
	INSERT INTO f1 VALUES (1); INSERT INTO f2 VALUES (2); INSERT INTO f3 VALUES ('n3'); INSERT INTO f4 VALUES (4, 40), (NULL, NULL);
	SELECT delete_guard.protect('arch');});
refused(11, 'a self-reference', 'DELETE FROM tree WHERE id IN (1, 2)', setup => q{
	CREATE TABLE tree (id int PRIMARY KEY, parent int); INSERT INTO tree VALUES (1, 1), (2, 1), (3, 2);
	SELECT delete_guard.protect('tree'); SELECT delete_guard.declare_reference('tree', '{parent}', 'tree');});
unlike((as('alice', 11, 'DELETE FROM tree'))[1], qr/ERROR/, 'route 11: a whole tree is one act: allowed');
refused(12, 'cyclic cascades, deferred', 'BEGIN; SET CONSTRAINTS ALL DEFERRED; DELETE FROM a WHERE id = 1; COMMIT', setup => q{
	CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE DEFERRABLE);
	ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
	BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT;
	SELECT delete_guard.protect('a');});
allowed(13, 'references removed by an earlier statement', 'DELETE FROM soft; DELETE FROM arch WHERE id = 1', 'delete logged 1');
my $partitioned = q{
	CREATE TABLE arch (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
	CREATE TABLE leaf PARTITION OF arch FOR VALUES FROM (0) TO (10); CREATE TABLE leaf2 PARTITION OF arch FOR VALUES FROM (10) TO (20);
	CREATE TABLE soft (arch_id int); INSERT INTO arch VALUES (1), (2), (5), (11); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');
};
refused(14, 'root, leaf, ONLY leaf', 'DELETE FROM arch WHERE id = 1; DELETE FROM leaf WHERE id = 1; DELETE FROM ONLY leaf WHERE id = 1', setup => $partitioned);
allowed(15, 'a row moves to another partition', q{UPDATE w SET region = 'b' WHERE id = 1}, '', setup => q{
	CREATE TABLE w (id int, region text) PARTITION BY LIST (region); CREATE TABLE wa PARTITION OF w FOR VALUES IN ('a'); CREATE TABLE wb PARTITION OF w FOR VALUES IN ('b');
	ALTER TABLE w ADD PRIMARY KEY (id, region); CREATE TABLE soft (id int); INSERT INTO w VALUES (2, 'a');
	SELECT delete_guard.protect('w');});
refused(16, 'UPDATE of the key', 'UPDATE arch SET id = 101 WHERE id = 1', events => qr/^key change blocked 1$/);
refused(17, 'a key changed by another trigger', q{UPDATE arch SET note = 'x' WHERE id = 1}, setup => "$standard
	CREATE FUNCTION rekey() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id = 100; RETURN NEW; END';
	CREATE TRIGGER z BEFORE UPDATE ON arch FOR EACH ROW EXECUTE FUNCTION rekey();");
refused(18, 'MERGE and ON CONFLICT', q{MERGE INTO arch USING soft ON id = arch_id WHEN MATCHED THEN UPDATE SET id = 100;
	INSERT INTO arch VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 101});
refused(19, 'keys swapped', 'UPDATE arch SET id = 7 - id WHERE id IN (1, 6)', setup => q{
	CREATE TABLE arch (id int UNIQUE DEFERRABLE, k int PRIMARY KEY); INSERT INTO arch SELECT i, i FROM generate_series(1, 6) i;
	CREATE TABLE soft (arch_id int); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch', '{id}');});
allowed(20, 'the same key in another spelling', 'UPDATE arch SET n = 1.00 WHERE n = 1.0', '', setup => q{
	CREATE TABLE arch (n numeric PRIMARY KEY); CREATE TABLE soft (n numeric); INSERT INTO arch VALUES (1.0); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{n}', 'arch');});
refused(22, 'DELETE and INSERT of the same key', q{BEGIN; DELETE FROM arch WHERE id = 1; INSERT INTO arch VALUES (1, 'arch1'); COMMIT});
refused(23, 'an inheritance child', 'DELETE FROM arch WHERE id = 1; DELETE FROM child WHERE id = 1; UPDATE arch SET id = 100 WHERE id = 1', setup => q{
	CREATE TABLE arch (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (arch); INSERT INTO child VALUES (1);
	CREATE TABLE soft (arch_id int); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');});
refused(30, 'row security hides the references', 'DELETE FROM arch WHERE id = 1', setup => "$standard
	ALTER TABLE soft ENABLE ROW LEVEL SECURITY; ALTER TABLE soft FORCE ROW LEVEL SECURITY;");
setup(31, $standard);
as('owner', 31, 'REVOKE ALL ON soft, fk FROM alice');
like((as('alice', 31, 'DELETE FROM arch WHERE id = 1'))[1], qr/ERROR:  23001:/, 'route 31: without rights on the references: refused');
is(events(31), 'delete blocked 1', 'route 31: in the log');
refused(35, 'a NOT VALID key and one made later, a renamed column', 'DELETE FROM arch WHERE id = 5; DELETE FROM arch WHERE id = 6; DELETE FROM arch WHERE id = 1', events => qr/^(delete blocked 1(, |$)){3}/, setup => "$standard
	CREATE TABLE late (x int); INSERT INTO late VALUES (5), (99); ALTER TABLE late ADD FOREIGN KEY (x) REFERENCES arch NOT VALID;
	CREATE TABLE later (x int REFERENCES arch); INSERT INTO later VALUES (6); ALTER TABLE soft RENAME arch_id TO architecture;");
refused(36, 'a renamed key with a decoy', 'DELETE FROM arch WHERE k = 1', setup => "$standard
	ALTER TABLE arch RENAME id TO k; ALTER TABLE arch ADD id int DEFAULT -1; ALTER TABLE soft RENAME arch_id TO a; ALTER TABLE soft ADD arch_id int DEFAULT -1;");
refused(38, 'no primary key: a unique key serves', q{DELETE FROM arch WHERE name = 'arch1'}, setup => q{
	CREATE TABLE arch (name text NOT NULL UNIQUE); CREATE TABLE soft (arch text); INSERT INTO arch VALUES ('arch1'); INSERT INTO soft VALUES ('arch1');
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch}', 'arch', '{name}');});

# ---- TRUNCATE ----
refused(40, 'TRUNCATE CASCADE', 'TRUNCATE arch CASCADE', events => qr/^truncate blocked 6$/);
refused(41, 'TRUNCATE of another table', 'TRUNCATE top CASCADE', setup => "CREATE TABLE top (id int PRIMARY KEY);
	CREATE TABLE arch (id int PRIMARY KEY, top int REFERENCES top); CREATE TABLE soft (arch_id int); INSERT INTO arch VALUES (1); INSERT INTO soft VALUES (1);
	SELECT delete_guard.protect('arch'); SELECT delete_guard.declare_reference('soft', '{arch_id}', 'arch');");
refused(42, 'TRUNCATE of a leaf, also one made later', 'TRUNCATE leaf; TRUNCATE leaf3', setup => "$partitioned
	CREATE TABLE leaf3 PARTITION OF arch FOR VALUES FROM (20) TO (30); INSERT INTO arch VALUES (21); INSERT INTO soft VALUES (21);",
	events => qr/^truncate blocked 3, truncate blocked 1$/);

# ---- other triggers, the replica role ----
allowed(70, 'another trigger cancels the delete', 'DELETE FROM arch WHERE id = 1', '', setup => "$standard
	CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER a BEFORE DELETE ON arch FOR EACH ROW EXECUTE FUNCTION no();");
refused(71, 'another trigger removes the references first', 'DELETE FROM arch WHERE id = 1', setup => "$standard
	CREATE FUNCTION first() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM soft; RETURN OLD; END';
	CREATE TRIGGER a BEFORE DELETE ON arch FOR EACH ROW EXECUTE FUNCTION first();");
refused(80, 'session_replication_role', q{SET session_replication_role = replica; DELETE FROM arch WHERE id = 1; UPDATE arch SET id = 9 WHERE id = 1; TRUNCATE arch CASCADE},
	who => $node->safe_psql('postgres', 'SELECT current_user'), events => qr/^delete blocked 1, key change blocked 1, truncate blocked 6$/);

# ---- approvals ----
# A request by alice to delete row 1 of a route's arch.
sub request
{
	my ($number, $row) = @_;
	my $stderr = (as('alice', $number, 'DELETE FROM arch WHERE id = ' . ($row // 1)))[1];
	my ($r) = $stderr =~ /delete_guard\.approve\((\d+)\)/;
	return $r;
}

# alice cannot use this; returns nothing.
sub no_use
{
	my ($number, $title, $sql) = @_;
	my $held = contents($number);
	my (undef, $stderr) = as('alice', $number, $sql);
	like($stderr, qr/ERROR:  (23001|42501|22023|55000|0A000)/, "route $number: $title: refused");
	is(contents($number), $held, "route $number: $title: nothing changed");
	return;
}
setup(110, $standard);
my $r = request(110);
no_use(110, "a value of the flag without an approval: $_", "BEGIN; SET LOCAL delete_guard.approval = '$_'; DELETE FROM arch WHERE id = 1; COMMIT") for ($r, 999999, '0', '-1', "$r,$r", 'all', "$r'' OR true");
setup(111, $standard);
$r = request(111);
no_use(111, 'approved by oneself', "SELECT delete_guard.approve($r); BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
setup(112, $standard);
$r = request(112);
as('bob', 112, "CREATE FUNCTION public.trojan(r bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'SELECT FROM delete_guard.approve(r)'") if $node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA public TO bob; GRANT bob TO alice') eq '';
no_use(112, 'SET ROLE and a SECURITY DEFINER function of the approver', "SET ROLE bob; SELECT delete_guard.approve($r); RESET ROLE; SELECT public.trojan($r); BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
$node->safe_psql('postgres', 'REVOKE bob FROM alice; DROP FUNCTION public.trojan');
setup(113, $standard);
$node->safe_psql('postgres', "ALTER ROLE alice SUPERUSER");
$r = request(113);
no_use(113, 'SET SESSION AUTHORIZATION', "SET SESSION AUTHORIZATION bob; SELECT delete_guard.approve($r); RESET SESSION AUTHORIZATION; BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM r113.arch WHERE id = 1; COMMIT");
$node->safe_psql('postgres', "ALTER ROLE alice NOSUPERUSER");
setup(115, $standard);
$r = request(115);
$node->safe_psql('postgres', "ALTER ROLE carol RENAME TO other; CREATE ROLE carol LOGIN");
like((as($_, 115, "SELECT delete_guard.approve($r)"))[1], qr/ERROR/, "route 115: an approver renamed, or of the same name: $_ cannot approve") for qw(carol other);
no_use(115, 'an approver re-created', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
setup(116, $standard);
$r = request(116);
as('bob', 116, "SELECT delete_guard.approve($r)");
unlike((as('alice', 116, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT"))[1], qr/ERROR/, 'route 116: the first use');
as('owner', 116, q{INSERT INTO arch VALUES (1, 'arch1')});
no_use(116, 'used again', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
setup(118, $standard);
$r = request(118);
as('bob', 118, "SELECT delete_guard.approve($r)");
unlike((as('alice', 118, "BEGIN; SET LOCAL delete_guard.approval = $r; SAVEPOINT s; DELETE FROM arch WHERE id = 1; ROLLBACK TO s; COMMIT"))[1], qr/ERROR/, 'route 118: used in a savepoint and rolled back');
is($node->safe_psql('postgres', "SELECT state FROM delete_guard.request_history WHERE request_id = $r"), 'approved', 'route 118: that is no use');
no_use(119, 'PREPARE TRANSACTION after a use', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; PREPARE TRANSACTION 'p'") if setup(119, $standard) || 1;
is((as('alice', 118, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; PREPARE TRANSACTION 'p'; SELECT count(*) FROM pg_prepared_xacts"))[0], '0', 'route 119: a transaction that used one is not prepared');
setup(120, "$standard CREATE TABLE other (LIKE arch INCLUDING ALL); INSERT INTO other TABLE arch; SELECT delete_guard.protect('other', scope => 'all');");
$r = request(120);
as('bob', 120, "SELECT delete_guard.approve($r)");
no_use(120, $_, "BEGIN; SET LOCAL delete_guard.approval = $r; $_; COMMIT") for ('DELETE FROM arch WHERE id IN (1, 2)', 'DELETE FROM other WHERE id = 1', 'UPDATE arch SET id = 100 WHERE id = 1', 'TRUNCATE arch CASCADE', 'DELETE FROM arch WHERE id = 2');
as('owner', 120, 'INSERT INTO soft VALUES (1)');
no_use(121, 'a reference added after the approval', "SET search_path = r120; BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT") if setup(121, $standard) || 1;
is($node->safe_psql('postgres', 'SELECT count(*) FROM r120.arch WHERE id = 1'), '1', 'route 121: the row is there');
as('owner', 120, q{DELETE FROM soft; INSERT INTO soft VALUES (1); UPDATE arch SET note = 'changed' WHERE id = 1});
like((as('alice', 120, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT"))[1], qr/ERROR:  23001/, 'route 121: a row changed after the approval');
setup(122, $standard);
$node->safe_psql('postgres', q{LOAD 'delete_guard'; ALTER SYSTEM SET delete_guard.approval_lifetime = '1s'});
$node->reload;
$r = request(122);
as('bob', 122, "SELECT delete_guard.approve($r)");
$node->poll_query_until('postgres', "SELECT state = 'expired' FROM delete_guard.request_history WHERE request_id = $r");
no_use(122, 'expired', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
$node->safe_psql('postgres', q{LOAD 'delete_guard'; ALTER SYSTEM RESET delete_guard.approval_lifetime});
$node->reload;
$node->poll_query_until('postgres', q{SELECT delete_guard._library_version() IS NOT NULL AND current_setting('delete_guard.approval_lifetime') <> '1s'});
setup(123, $standard);
$r = request(123);
as('bob', 123, "SELECT delete_guard.approve($r)");
like((as('writer', 123, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT"))[1], qr/ERROR:  23001/, 'route 123: the flag of another login');
like(($node->psql('postgres', "LOAD 'delete_guard'; $_ SET delete_guard.approval = '$r'"))[2], qr/ERROR/, "route 124: $_ SET: refused") for ('ALTER ROLE alice', 'ALTER DATABASE postgres', 'ALTER SYSTEM');
$node->safe_psql('postgres', "ALTER ROLE alice SET delete_guard.approval = '$r'; ALTER ROLE writer SET delete_guard.approval = '$r'");
like((as($_, 123, 'DELETE FROM arch WHERE id = 1'))[1], qr/ERROR:  (23001|42501)/, "route 124: the flag from a role setting, $_: refused") for qw(alice writer);
$node->safe_psql('postgres', 'ALTER ROLE writer RESET ALL; ALTER ROLE alice RESET ALL');
is((as('alice', 125, "DO 'BEGIN PERFORM delete_guard._library_version(); END'; SET delete_guard.approval = '$r'; BEGIN; COMMIT; SHOW delete_guard.approval"))[0], '', 'route 125: the flag is gone after COMMIT');
setup(128, "$standard CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';");
$r = request(128);
as('bob', 128, "SELECT delete_guard.approve($r)");
as('owner', 128, 'CREATE TRIGGER a BEFORE DELETE ON arch FOR EACH ROW EXECUTE FUNCTION no()');
as('alice', 128, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
is($node->safe_psql('postgres', "SELECT state FROM delete_guard.request_history WHERE request_id = $r"), 'approved', 'route 128: a cancelled delete uses no approval');
like((as('bob', 129, "SELECT delete_guard.approve($_)"))[1], qr/ERROR:  (?!XX)/, "route 129: approve($_): an error with an SQLSTATE") for ('999999', '-1', 'NULL', $r);

# ---- injection, forging ----
refused(140, 'temporary tables named like catalogs and references', q{CREATE TEMP TABLE soft (arch_id int); CREATE TEMP TABLE pg_constraint (LIKE pg_catalog.pg_constraint);
	SET search_path = pg_temp, r140, pg_catalog; DELETE FROM arch WHERE id = 1; DELETE FROM arch WHERE id = 2});
setup(144, "$standard CREATE TABLE own (LIKE arch);");
as('owner', 144, 'GRANT ALL ON SCHEMA r144 TO alice');
as('alice', 144, q{CREATE TABLE mine (id int); CREATE TRIGGER t AFTER DELETE ON mine FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows();
	CREATE TRIGGER "00_delete_guard_delete" AFTER DELETE ON mine FOR EACH ROW EXECUTE FUNCTION delete_guard._guard_rows(); INSERT INTO mine VALUES (1); DELETE FROM mine});
is(events(144), '', 'route 144: the guard on a table that is not protected records nothing');
like((as('alice', 145, 'SELECT delete_guard._guard_rows(); SELECT delete_guard._guard_truncate(); SELECT delete_guard._guard_end()'))[1], qr/^(.*ERROR:  (?!XX)\w{5}:.*\n(LOCATION.*\n|.*\n)*?){3}/, 'route 145: called directly: errors');
setup(146, $standard);
as('alice', 146, q{SET application_name = 'bob'; SET delete_guard.claimed_user = 'bob'; DELETE FROM arch WHERE id = 1});
is($node->safe_psql('postgres', q{SELECT person, session_role, active_role, claimed_user, application_name FROM delete_guard.audit_log WHERE table_name = 'r146.arch' AND outcome = 'blocked'}),
	'alice|alice|alice|bob|bob', 'route 146: what a session says of itself is told apart from who it is');
setup(148, $standard);
as('alice', 148, "/* DELETE FROM elsewhere */ DELETE FROM arch WHERE id = 1 -- " . ('x' x 100000));
cmp_ok($node->safe_psql('postgres', q{SELECT length(statement) FROM delete_guard.audit_log WHERE table_name = 'r148.arch' AND outcome = 'blocked'}), '<', 70000, 'route 148: a long statement is cut');

# ---- the record ----
setup(155, $standard);
as('alice', 155, q{DO $$BEGIN FOR i IN 1..200 LOOP BEGIN DELETE FROM arch WHERE id = 1; EXCEPTION WHEN restrict_violation THEN NULL; END; END LOOP; END$$});
is($node->safe_psql('postgres', q{SELECT count(*) <= 2, sum(repeats + 1) FROM delete_guard.audit_log WHERE table_name = 'r155.arch' AND outcome = 'blocked'}), 't|200', 'route 155: a flood is counted, not stored');

$node->stop;
done_testing();
