# pg_dump and restore, plain and custom, in parallel, with --clean, schema and
# data apart, with --disable-triggers: settings, references, approvers and the
# audit log come along although OIDs and column numbers differ, and the tables are
# protected from the end of the restore on.  After each health() is clean, or says
# what to run, and running exactly that makes it clean.
#
# Routes: 90, 91

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE DATABASE source;
});
$node->safe_psql(
	'source', q{
	CREATE EXTENSION delete_guard;
	CREATE SCHEMA "Odd Schema";
	CREATE TABLE arch (gone int, id int PRIMARY KEY, name text UNIQUE);
	CREATE TABLE assoc (gone_too text, arch_id int, kind text);
	CREATE TABLE "Odd Schema"."Odd ""Table""" ("Arch Name" varchar(20));
	CREATE TABLE renamed (arch_id int);
	CREATE TABLE pkg (id int PRIMARY KEY, arch_id int REFERENCES arch ON DELETE CASCADE);
	CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
	CREATE TABLE parent (id int PRIMARY KEY);
	CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
	ALTER TABLE arch DROP COLUMN gone;
	ALTER TABLE assoc DROP COLUMN gone_too;
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 20) i;
	INSERT INTO assoc SELECT i, CASE WHEN i > 5 THEN 'Project' ELSE 'Other' END FROM generate_series(1, 10) i;
	INSERT INTO "Odd Schema"."Odd ""Table""" VALUES ('arch 11');
	INSERT INTO pkg VALUES (1, 12);
	INSERT INTO renamed VALUES (13);
	INSERT INTO part VALUES (1), (11);
	INSERT INTO child VALUES (1);
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
	SELECT delete_guard.protect('arch', approvals => 2);
	SELECT delete_guard.protect('part', 'block', 'all');
	SELECT delete_guard.protect('parent', 'log');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => $$kind = 'Project'$$);
	SELECT delete_guard.declare_reference('"Odd Schema"."Odd ""Table"""', '{Arch Name}', 'arch', '{name}');
	BEGIN;
	SELECT delete_guard.add_approver('alice');
	SELECT delete_guard.add_approver('bob', 'arch');
	COMMIT;
	SELECT delete_guard.declare_reference('renamed', '{arch_id}', 'arch');
	ALTER TABLE renamed RENAME COLUMN arch_id TO architecture;
	DELETE FROM arch WHERE id = 1;
	DELETE FROM child;
});

# Run SQL in a database; returns stderr.
sub as
{
	my ($who, $db, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($db, $sql, on_error_stop => 0,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}
my ($r) = as('alice', 'source', 'DELETE FROM arch WHERE id = 6') =~ /delete_guard\.approve\((\d+)\)/;
as('bob', 'source', "SELECT delete_guard.approve($r, 'yes')");

# What must be the same.
my %contents = (
	'protected tables' => 'SELECT table_id::text, mode, scope, approvals, protected_by, protected_at FROM delete_guard.protected_tables ORDER BY 1',
	'references' => q{SELECT name, kind, referencing::text, referencing_columns, referenced_columns, on_delete, condition, index IS NOT NULL
		FROM delete_guard.references_to('arch') ORDER BY 1},
	'approvers' => 'SELECT role::text, role_name, table_id::text, added_at FROM delete_guard.approver ORDER BY 1',
	'audit log' => 'SELECT event_id, occurred_at, operation, outcome, table_name, row_count, person, statement, request_id, blast_radius, repeats, details FROM delete_guard.audit_log ORDER BY 1',
	'audit rows' => 'SELECT * FROM delete_guard.audit_rows ORDER BY 1, 2',
	'requests' => 'SELECT request_id, requested_by, keys, row_count, state, approvals, approvals_needed, decided_by, comments, decided_at FROM delete_guard.request_history ORDER BY 1',
	'triggers' => q{SELECT tgrelid::regclass::text, tgname, tgenabled, tgtype, tgoldtable, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE '00%' ORDER BY 1, 2},
	'members' => q{SELECT pg_describe_object(classid, objid, 0), deptype FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
		WHERE refclassid = 'pg_extension'::regclass AND extname = 'delete_guard' AND classid <> 'pg_type'::regclass ORDER BY 1},
);
my %expected = map { $_ => $node->safe_psql('source', $contents{$_}) } keys %contents;

# What health() finds, but for how the server is set up.
sub findings
{
	my ($db) = @_;
	return $node->safe_psql($db, q{SELECT severity, subject, problem FROM delete_guard.health() WHERE subject NOT IN ('authentication', 'library') AND severity <> 'info'});
}

# Run exactly what health() says.
sub mend
{
	my ($db) = @_;
	my $remedies = $node->safe_psql($db, q{SELECT DISTINCT remedy FROM delete_guard.health() WHERE subject NOT IN ('authentication', 'library') AND severity <> 'info'});
	$node->safe_psql($db, $remedies);
	return;
}

is(findings('source'), '', 'the source is healthy');
my $names = "SELECT tgrelid::regclass::text, tgname, tgenabled, tgtype, tgoldtable FROM pg_trigger WHERE tgname LIKE '00%' ORDER BY 1, 2";

my $dir = PostgreSQL::Test::Utils::tempdir();
$node->command_ok([ 'pg_dump', '-f', "$dir/plain", '-d', $node->connstr('source') ], 'pg_dump, plain');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", '-d', $node->connstr('source') ], 'pg_dump, custom');
$node->command_ok([ 'pg_dump', '--clean', '--if-exists', '-f', "$dir/clean", '-d', $node->connstr('source') ], 'pg_dump, plain, clean');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(plain custom parallel clean cleaned);
$node->safe_psql($_, 'CREATE TABLE other (a int, b text)') for qw(plain custom parallel clean cleaned);    # OIDs differ
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain" ], 'restore, plain');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('custom'), "$dir/custom" ], 'restore, custom');
$node->command_ok([ 'pg_restore', '-e', '-j', '4', '-d', $node->connstr('parallel'), "$dir/custom" ], 'restore, custom, four jobs');
# into databases where there is nothing to clean
$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('clean'), '-f', "$dir/clean" ], 'restore, plain, clean');
$node->command_ok([ 'pg_restore', '-e', '--clean', '--if-exists', '-d', $node->connstr('cleaned'), "$dir/custom" ], 'restore, custom, clean');

for my $db (qw(plain custom parallel clean cleaned))
{
	is(findings($db), '', "$db: healthy");
	isnt($node->safe_psql($db, "SELECT 'arch'::regclass::oid"), $node->safe_psql('source', "SELECT 'arch'::regclass::oid"), "$db: OIDs differ");
	is($node->safe_psql($db, $contents{$_}), $expected{$_}, "$db: $_") for sort keys %contents;

	# Protected as it stands, before anything else is done.
	like(as('alice', $db, 'DELETE FROM arch WHERE id = 7'), qr/ERROR:  23001:.*"assoc" \(arch_id\), declared/s, "$db: a declared reference is known");
	like(as('alice', $db, 'DELETE FROM arch WHERE id = 13'), qr/ERROR:  23001:.*"renamed" \(architecture\), declared/s, "$db: also one whose column was renamed since");
	unlike(as('alice', $db, 'BEGIN; DELETE FROM arch WHERE id = 2; ROLLBACK'), qr/ERROR/, "$db: and its condition");
	like(as('alice', $db, 'DELETE FROM arch WHERE id = 11'), qr/ERROR:  23001:.*"Odd "Table"" \(.*Arch Name/s, "$db: one between text columns too");
	like(as('alice', $db, 'DELETE FROM arch WHERE id = 12'), qr/ERROR:  23001:.*"pkg" \(arch_id\), would be deleted/s, "$db: a foreign key too");
	like(as('alice', $db, "UPDATE arch SET name = 'x' WHERE id = 11"), qr/ERROR:  23001:.*change a key/s, "$db: a key change");
	like(as('alice', $db, 'TRUNCATE arch CASCADE'), qr/ERROR:  23001:.*cannot truncate/s, "$db: TRUNCATE");
	like(as('alice', $db, "$_"), qr/ERROR:  23001:/s, "$db: $_") for ('DELETE FROM part', 'DELETE FROM part_2', 'TRUNCATE part', 'TRUNCATE part_1');
	like(as('alice', $db, 'SET session_replication_role = replica; DELETE FROM arch WHERE id = 7'), qr/ERROR:  (42501|23001)/, "$db: ENABLE ALWAYS");
	is($node->safe_psql($db, "SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked' AND person = 'alice'"), '10', "$db: attempts are stored");
	is($node->safe_psql($db, 'SELECT count(*) = count(DISTINCT event_id) FROM delete_guard.audit_log'), 't', "$db: under new numbers");

	# The request is what it was.
	as('alice', $db, "SELECT delete_guard.approve($r)");
	like(as('alice', $db, "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 6; COMMIT"),
		qr/ERROR:  23001:.*1 of 2 approvals/s, "$db: a request that came along is still one of two");

	# Again.
	$node->safe_psql($db, q{SELECT delete_guard.protect('arch', approvals => 2); SELECT delete_guard.protect('part', 'block', 'all')});
	is($node->safe_psql($db, $names), $node->safe_psql('source', $names), "$db: protect() again changes no trigger");
	$node->safe_psql($db, q{SELECT delete_guard.unprotect('parent')});
	is($node->safe_psql($db, "SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('parent'::regclass, 'child'::regclass)"), '0', "$db: unprotect() works");
}

# Over what is there: what is in block mode, and the extension, are not dropped, so
# the restore tells of errors and changes none of it.  A table in mode log is
# dropped and made again; that it is protected no more health() tells.  Tables that
# refer by declaration are dropped as anybody may; that the declarations went with
# them is in the log.  Sequences are set back; health() tells.
$node->safe_psql('clean', q{SELECT delete_guard.protect('parent', 'log'); INSERT INTO child VALUES (5); INSERT INTO arch VALUES (99, 'later')});
my $kept = q{SELECT (SELECT string_agg(a::text, ',' ORDER BY id) FROM arch a), (SELECT count(*) FROM part), (SELECT count(*) FROM delete_guard.audit_rows)};
my $settings = q{SELECT table_id::text, mode, scope, approvals FROM delete_guard.protected_tables WHERE mode = 'block' ORDER BY 1};
my %before = map { $_ => $node->safe_psql('clean', $_) } ($kept, $settings, $contents{'approvers'});
my $blocked = $node->safe_psql('clean', q{SELECT count(*) FROM delete_guard.audit_log WHERE operation = 'ddl' AND outcome = 'blocked'});
$node->command_checks_all([ 'pg_restore', '--clean', '--if-exists', '-d', $node->connstr('clean'), "$dir/custom" ], 1, [],
	[ qr/cannot run this command on protected table "arch" without an approval/, qr/cannot run a command that disarms delete_guard/ ],
	'over: refused where it would drop what is protected');
is($node->safe_psql('clean', $_), $before{$_}, "over: nothing of that has changed: $_") for sort keys %before;
ok($node->safe_psql('clean', q{SELECT count(*) FROM delete_guard.audit_log WHERE operation = 'ddl' AND outcome = 'blocked'}) > $blocked, 'over: recorded');
is($node->safe_psql('clean', q{SELECT string_agg(details ->> 'name', ', ' ORDER BY details ->> 'name' COLLATE "C") FROM delete_guard.audit_log WHERE operation = 'forget_reference' AND details ? 'dropped_table' AND table_name = 'public.arch'}),
	'Odd "Table"_Arch Name, assoc_arch_id, renamed_arch_id', 'over: declarations of dropped tables are in the log');
like(findings('clean'), qr/^warning\|sequence delete_guard\.request_id\|has been set back/m, 'over: health() tells of sequences');
like(findings('clean'), qr/^error\|table public\.parent\|has triggers of delete_guard, and is not registered as protected/m, 'over: health() tells of the table that was in mode log');
mend('clean');
is(findings('clean'), '', 'over: mended');
like(as('alice', 'clean', 'DELETE FROM arch WHERE id = 12'), qr/ERROR:  23001/, 'over: guarded');

# Schema and data apart, the data also with triggers disabled.  (That leaves
# triggers enabled, but not always.)
for my $how ('apart', 'disabled')
{
	my @options = $how eq 'disabled' ? ('--disable-triggers') : ();
	$node->safe_psql('postgres', "CREATE DATABASE $how");
	$node->command_ok([ 'pg_dump', '-s', '-f', "$dir/$how.schema", '-d', $node->connstr('source') ], "$how: pg_dump, schema");
	$node->command_ok([ 'pg_dump', '-a', @options, '-f', "$dir/$how.data", '-d', $node->connstr('source') ], "$how: pg_dump, data");
	$node->command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($how), '-f', "$dir/$how.$_" ], "$how: restore, $_") for qw(schema data);
	is($node->safe_psql($how, $contents{$_}), $expected{$_}, "$how: $_") for grep { $_ ne 'triggers' } sort keys %contents;
	if ($how eq 'disabled')
	{
		like(findings($how), qr/^error\|table delete_guard\.event\|trigger "delete_guard_own_row" is not enabled ALWAYS/m, "$how: health() tells of own tables");
		unlike(findings($how), qr/table public/, "$how: protected ones are armed again by their last ENABLE TRIGGER ALL");
		mend($how);
	}
	is(findings($how), '', "$how: healthy");
	is($node->safe_psql($how, $contents{'triggers'}), $expected{'triggers'}, "$how: triggers") if $how eq 'apart';
	like(as('alice', $how, 'DELETE FROM arch WHERE id = 7'), qr/ERROR:  23001:.*"assoc" \(arch_id\), declared/s, "$how: guarded");
}

# Rows can be inserted from outside until the first event, and that is logged.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION delete_guard');
my $from = -s $node->logfile;
my $forge = q{INSERT INTO delete_guard.approver VALUES ('bob', 'bob', 0, 'x', now())};
$node->safe_psql('fresh', $forge);
like(slurp_file($node->logfile, $from), qr/LOG:  delete_guard: event=0 outcome=loaded operation="own tables" table=delete_guard.approver person=.* details="\{\\"command\\": \\"insert\\"\}"/, 'what is loaded is in the server log');
for my $sql ('DELETE FROM delete_guard.approver', q{UPDATE delete_guard.approver SET role_name = 'x'}, 'TRUNCATE delete_guard.approver')
{
	my ($rc, $stdout, $stderr) = $node->psql('fresh', $sql);
	like($stderr, qr/Only functions of delete_guard/, "not even then: $sql");
}
for my $db ('fresh', 'plain', 'custom', 'parallel', 'clean', 'cleaned', 'apart', 'disabled')
{
	my ($rc, $stdout, $stderr) = $node->psql($db, q{INSERT INTO delete_guard.decision SELECT * FROM delete_guard.decision});
	like($stderr, qr/cannot insert into table "decision" of delete_guard/, "$db: after an event, no rows from outside");
}

# A dump of the restored database is the same as the first.
$node->command_ok([ 'pg_dump', '-s', '-f', "$dir/again", '-d', $node->connstr('custom') ], 'pg_dump of a restored database');

$node->stop;
done_testing();
