# Where an attempt cannot be stored it is still refused, within
# record_timeout, and the server log has the whole record in one JSON line.
#
# Routes: 152

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "delete_guard.record_timeout = '1s'");
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

my $blocked =
  "SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'";

# Run SQL whose last statement is refused and not stored; returns the record
# that was logged.
sub refused_and_logged
{
	my ($name, $sql, $reason) = @_;
	my $offset = -s $node->logfile;
	my $begun = time;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	like($stderr, qr/ERROR:  23001:/, "$name: refused");
	unlike($stderr, qr/attempt not stored/, "$name: the client is not told");
	cmp_ok(time - $begun, '<', 20, "$name: in bounded time");

	my $log = slurp_file($node->logfile, $offset);
	my @lines = $log =~ /delete_guard: attempt not stored: (.*)$/mg;
	is(scalar @lines, 1, "$name: one line in the server log");
	like($log, $reason, "$name: with the reason");
	my $record = eval { decode_json($lines[0]) };
	is($record->{event}{outcome}, 'blocked', "$name: which is JSON");
	is($record->{event}{table_name},
		'public.arch', "$name: and holds the record");
	return $record;
}

refused_and_logged(
	'lock of the same session',
	q{SET client_min_messages = debug5;
	  BEGIN;
	  LOCK TABLE delete_guard.event IN ACCESS EXCLUSIVE MODE;
	  DELETE FROM arch WHERE id = 1},
	qr/DETAIL:  The recorder could not store it/);

my $holder = $node->background_psql('postgres');
$holder->query_safe(
	'BEGIN; LOCK TABLE delete_guard.event IN SHARE MODE');
refused_and_logged(
	'lock of another session',
	q{DELETE FROM arch WHERE id = 2},
	qr/DETAIL:  The recorder could not store it/);
$holder->query_safe('ROLLBACK');
$holder->quit;

my ($rc, $stdout, $stderr) =
  $node->psql('postgres', 'DELETE FROM arch WHERE id = 3');
is($node->safe_psql('postgres', $blocked),
	'1', 'recording works again when the lock is gone');

# No worker slot, and a session that wants to keep the log silent.
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
my $record = refused_and_logged(
	'no worker slot',
	q{SET log_min_messages = panic; DELETE FROM arch WHERE id = 4},
	qr/DETAIL:  No background worker slot is free/);
like($record->{event}{statement},
	qr/id = 4/, 'no worker slot: with the statement');
is($node->safe_psql('postgres', $blocked), '1', 'and it is not stored');
is($node->safe_psql('postgres', 'SELECT count(*) FROM arch'),
	'100', 'all rows are still there');

$node->stop;
done_testing();
