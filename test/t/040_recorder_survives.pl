# A refused attempt is on disk before the client sees the error, whatever
# becomes of its transaction, its session or the server.
#
# Routes: 150

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
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int, what text);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i, 'x' FROM generate_series(1, 100) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});

# Run SQL that is refused; returns what psql wrote to stderr.
sub refused
{
	my ($sql, $db) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($db // 'postgres', $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

# Number of refused attempts in the audit log.
sub blocked
{
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
	);
}

my $recorder = "backend_type = 'delete_guard recorder'";

like(refused('DELETE FROM arch WHERE id = 1'),
	qr/ERROR:  23001:/, 'a referenced row is not deleted');
is( $node->safe_psql(
		'postgres', q{
	SELECT operation, table_name, row_count, repeats, request_id IS NOT NULL
	  FROM delete_guard.audit_log WHERE outcome = 'blocked'}),
	'delete|public.arch|1|0|t',
	'the attempt is in the audit log');
is( $node->safe_psql(
		'postgres', q{
	SELECT count(*) FROM delete_guard.pending_requests p
	  JOIN delete_guard.audit_log a USING (request_id)}),
	'1',
	'it has opened a request');

refused('DELETE FROM arch WHERE id = 1');
is( $node->safe_psql('postgres',
		"SELECT count(*), sum(repeats) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
	),
	'1|1',
	'the same attempt within a minute is counted, not stored again');

refused('BEGIN; DELETE FROM arch WHERE id = 2; ROLLBACK');
is(blocked(), 2, 'an attempt survives the rollback');

$node->safe_psql(
	'postgres', q{
	DO $$
	BEGIN
		FOR i IN 3..12 LOOP
			BEGIN
				DELETE FROM arch WHERE id = i;
			EXCEPTION WHEN restrict_violation THEN
				NULL;
			END;
		END LOOP;
	END $$});
is(blocked(), 12, 'attempts survive in a block that swallows the error');

my $id = 12;
for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	$id++;
	refused(
		"BEGIN ISOLATION LEVEL $level; SAVEPOINT a; DELETE FROM arch WHERE id = $id"
	);
	is(blocked(), $id, "an attempt is recorded under $level");
}

# The server stops at once after the client got the error.
for my $try (1 .. 2)
{
	$id++;
	like(refused("DELETE FROM arch WHERE id = $id"), qr/23001/, 'refused');
	$node->stop('immediate');
	$node->start;
	is(blocked(), $id, 'the attempt is there after a crash of the server');
}

# The recorder ends when it has nothing to do, and comes back.
$id++;
refused("DELETE FROM arch WHERE id = $id");
is( $node->safe_psql(
		'postgres', "SELECT count(*) FROM pg_stat_activity WHERE $recorder"),
	'1',
	'the recorder stays for a while');
ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE $recorder"),
	'the recorder ends when it has nothing to do');
$id++;
refused("DELETE FROM arch WHERE id = $id");
is(blocked(), $id, 'another one is started for the next attempt');

# It does not keep a database from being dropped.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql(
	'other', q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY);
	CREATE TABLE assoc (arch_id int REFERENCES arch);
	INSERT INTO arch VALUES (1);
	INSERT INTO assoc VALUES (1);
	SELECT delete_guard.protect('arch');
});
like(refused('DELETE FROM arch', 'other'),
	qr/23001/, 'refused in another database');
is( $node->safe_psql(
		'other',
		"SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
	),
	'1',
	'and recorded there');
is( $node->psql('postgres', 'DROP DATABASE other'),
	0, 'a database can be dropped right after an attempt');

is($node->safe_psql('postgres', 'SELECT count(*) FROM arch'),
	'100', 'all rows are still there');

$node->stop;
done_testing();
