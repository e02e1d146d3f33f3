# Many sessions at once, and recorders that are terminated while they work:
# each attempt is recorded exactly once.

use strict;
use warnings;

use IPC::Run;
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
	CREATE INDEX ON assoc (arch_id);
	CREATE SEQUENCE next_id;
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 5000) i;
	INSERT INTO assoc SELECT i, 'x' FROM generate_series(1, 5000) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});

# Each transaction tries another row, and goes on after the refusal.
my $attempts = "$PostgreSQL::Test::Utils::tmp_check/attempts.sql";
append_to_file(
	$attempts, q{DO $$
DECLARE
	n bigint := nextval('next_id');
BEGIN
	DELETE FROM arch WHERE id = n;
	RAISE 'row % was deleted', n USING ERRCODE = 'assert_failure';
EXCEPTION WHEN restrict_violation THEN
	NULL;
END $$;
});

# Arguments: name of the test, number of clients, attempts of each, whether to
# terminate the recorder again and again.
sub attempts
{
	my ($name, $clients, $each, $terminate) = @_;
	my $before = recorded();
	my ($out, $err) = ('', '');
	my $pgbench = IPC::Run::start(
		[
			'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $each, '-f',
			$attempts, $node->connstr('postgres')
		],
		'>', \$out, '2>', \$err);
	while ($terminate && $pgbench->pumpable)
	{
		$node->safe_psql('postgres',
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'delete_guard recorder'"
		);
		$pgbench->pump_nb;
	}
	ok($pgbench->finish, "$name: each attempt was refused") or diag($err);
	is(recorded() + logged_instead() - $before,
		$clients * $each, "$name: each attempt is recorded once");
}

# Attempts that stand in the server log instead: that is where a record goes
# that two recorders in a row were terminated over.
sub logged_instead
{
	my $log = slurp_file($node->logfile);
	my $logged = () = $log =~ /attempt not stored: \{/g;
	my $after_all = () = $log =~ /was logged as not stored is event/g;
	return $logged - $after_all;
}

sub recorded
{
	return $node->safe_psql('postgres',
		"SELECT count(*) + coalesce(sum(repeats), 0) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
	);
}

attempts('two sessions', 2, 100, 0);
attempts('fifty sessions', 50, 20, 0);
unlike(slurp_file($node->logfile),
	qr/attempt not stored/, 'none went to the server log');
attempts('recorder terminated', 10, 50, 1);

# What comes while the recorder stores an attempt shares its transaction, and so
# its flush.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE delete_guard.event IN SHARE MODE');
my @sessions;
foreach my $id (4001 .. 4003)
{
	push @sessions,
	  IPC::Run::start(
		[
			'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
			"DELETE FROM arch WHERE id = $id"
		],
		'>', \my $out, '2>', \my $err);
	ok( $node->poll_query_until(
			'postgres',
			"SELECT count(*) FILTER (WHERE wait_event_type = 'Extension' AND query LIKE 'DELETE%') = "
			  . scalar(@sessions)
			  . " AND bool_or(query = 'storing refused attempts' AND wait_event_type = 'Lock') FROM pg_stat_activity"
		),
		"attempt on $id waits, and the recorder has begun");
}
$holder->query_safe('COMMIT');
$holder->quit;
$_->finish foreach @sessions;
is( $node->safe_psql(
		'postgres',
		"SELECT count(*), count(DISTINCT xmin::text) FROM delete_guard.event WHERE statement ~ '= 400[123]\$'"
	),
	'3|1',
	'attempts that come meanwhile are stored in the same transaction');

$node->stop;
done_testing();
