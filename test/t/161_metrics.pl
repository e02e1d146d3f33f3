# The view metrics: counts are right whatever order transactions commit in and
# whether they have been added to the totals or not; they survive restarts,
# crashes, and dump and restore, and can be read on a standby.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 2\ndelete_guard.record_timeout = '1s'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE monitor LOGIN IN ROLE pg_monitor;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 50000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 1000) i;
	CREATE INDEX ON assoc (arch_id);
	GRANT ALL ON arch TO alice;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});

# A value as the monitoring system reads it.
sub metric
{
	my ($name, $outcome, $from, $db) = @_;
	my $where = $outcome ? "AND labels ->> 'outcome' = '$outcome' AND labels ->> 'operation' = 'delete'" : '';
	return ($from // $node)->safe_psql($db // 'postgres',
		"SET default_transaction_read_only = on; SELECT sum(value) FROM delete_guard.metrics WHERE name = '$name' $where",
		extra_params => [ '-U', 'monitor' ]);
}

# An attempt that has not been made before; the recorder stores it, and then counts.
my $attempts = 0;

sub attempt
{
	$attempts++;
	return ($node->psql('postgres', "DELETE FROM arch WHERE id = $attempts", extra_params => [ '-U', 'alice' ]))[2];
}

sub folded { return $node->safe_psql('postgres', q{SELECT coalesce(max(upto), 0) FROM delete_guard.tally WHERE kind = 'folded'}) }
sub last_event { return $node->safe_psql('postgres', 'SELECT last_value FROM delete_guard.event_id') }

# Wait until the recorder has counted up to an event.
sub counted_up_to
{
	my ($event) = @_;
	for (1 .. 180)
	{
		return 1 if folded() >= $event;
		attempt();
		select(undef, undef, undef, 0.5);
	}
	return 0;
}

# An event that is committed later than those after it, one that is rolled back,
# one that is prepared.
my ($first, $second) = map { $node->background_psql('postgres') } 1 .. 2;
$first->query_safe('BEGIN; DELETE FROM arch WHERE id = 2000');
$second->query_safe('BEGIN; DELETE FROM arch WHERE id = 2001');
$node->safe_psql('postgres', q{BEGIN; DELETE FROM arch WHERE id = 2002; PREPARE TRANSACTION 'third'});
my $open = last_event();
$node->safe_psql('postgres', 'DELETE FROM arch WHERE id = 2003');
is(metric('events_total', 'logged'), '1', 'what is committed counts, what is not does not');
like(attempt(), qr/approve\(1\)/, 'an attempt is refused');
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM delete_guard.tally WHERE kind = 'pending' AND upto > $open"), 'the recorder looks for events to count');
is(metric('events_total', 'logged'), '1', 'the count is the same while older transactions are open');
cmp_ok(folded(), '<', $open, 'and their events are not passed over');
$second->query_safe('ROLLBACK');
$node->safe_psql('postgres', q{COMMIT PREPARED 'third'});
attempt();
is(metric('events_total', 'logged'), '2', 'the prepared one counts when it is committed');
cmp_ok(folded(), '<', $open, 'one is still open');
$first->query_safe('COMMIT');
is(metric('events_total', 'logged'), '3', 'a late commit counts');
ok(counted_up_to($open + 1), 'all are added to the totals');
is(metric('events_total', 'logged'), '3', 'and the count is the same');
is(metric('events_total', 'blocked'), $attempts, 'each attempt counts');
is(metric('event_rows_total', 'logged'), '3', 'rows are counted');
$_->quit for $first, $second;

# Many events: reading them starts the recorder, which counts in pieces.
$node->safe_psql('postgres', q{
	DO $$ BEGIN FOR i IN 3000 .. 27999 LOOP DELETE FROM arch WHERE id = i; END LOOP; END $$});
my $many = last_event();
is(metric('events_total', 'logged'), '25003', 'many events count at once');
ok($node->poll_query_until('postgres', "SELECT sum(value) >= 0 AND (SELECT upto >= $many - 10000 FROM delete_guard.tally WHERE kind = 'folded') FROM delete_guard.metrics"),
	'the recorder adds them to the totals, without an attempt');
is(metric('events_total', 'logged'), '25003', 'and the count is the same');
cmp_ok(metric('events_not_counted'), '<=', 10000, 'few are left to be counted');

# Attempts that cannot be stored.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE delete_guard.event IN SHARE MODE');
attempt();
$holder->quit;
$attempts--;    # it does not count among the others
is(metric('attempts_not_stored_total'), '1', 'an attempt that is not stored counts');
attempt();
ok($node->poll_query_until('postgres', q{SELECT lately = 1 FROM delete_guard.recorder_total WHERE name = 'not_stored'}), 'and is kept');
my $repeat = "DELETE FROM arch WHERE id = 1";
$node->psql('postgres', $repeat) for 1 .. 3;
is(metric('repeated_attempts_total'), '2', 'repeats count');
$attempts++;
ok($node->poll_query_until('postgres', q{SELECT lately = 2 FROM delete_guard.recorder_total WHERE name = 'repeats'}), 'and are kept');

# What is purged still counts, whether it had been added to the totals or not.
my $left = $node->safe_psql('postgres', 'SELECT count(*) FROM delete_guard.event');
for my $more (28000 .. 28002) { $node->safe_psql('postgres', "DELETE FROM arch WHERE id = $more") }
cmp_ok($node->safe_psql('postgres', q{SELECT delete_guard.purge('0 seconds')}), '>', 25000, 'events are purged');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM delete_guard.event'), '<', $left, 'they are gone');
is(metric('events_total', 'logged'), '25006', 'purged: deletes still count');
is(metric('events_total', 'blocked'), $attempts, 'purged: attempts still count');
my $deleted = 25006;

# Restart, crash, and again.
for my $how (qw(fast immediate))
{
	$node->stop($how);
	$node->start;
	is(metric('events_total', 'logged'), $deleted, "$how: deletes");
	is(metric('events_total', 'blocked'), $attempts, "$how: attempts");
	is(metric('attempts_not_stored_total'), '1', "$how: attempts not stored");
	is(metric('repeated_attempts_total'), '2', "$how: repeats");
	attempt();
}

# On a standby, which cannot count on by itself.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
attempt();
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(metric('events_total', 'logged', $standby), $deleted, 'standby: deletes');
is(metric('events_total', 'blocked', $standby), $attempts, 'standby: attempts');
is(metric('attempts_not_stored_total', undef, $standby), '1', 'standby: attempts not stored');
$standby->stop;

# In another cluster's place: a dump holds the totals, and counting goes on.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_dump', '-f', $node->basedir . '/dump.sql', '-d', $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/dump.sql', '-d', $node->connstr('copy') ], 'restore');
is(metric('events_total', 'logged', $node, 'copy'), $deleted, 'restored: deletes');
is(metric('events_total', 'blocked', $node, 'copy'), $attempts, 'restored: attempts');
is(metric('attempts_not_stored_total', undef, $node, 'copy'), '1', 'restored: attempts not stored');
$node->psql('copy', 'DELETE FROM arch WHERE id = 500');
is(metric('events_total', 'blocked', $node, 'copy'), $attempts + 1, 'restored: counting goes on');

# More databases than are counted for at one time (256). It takes minutes.
SKIP:
{
	skip 'DG_MANY_DATABASES is not set', 3 unless $ENV{DG_MANY_DATABASES};
	my ($before, $here) = map { metric('attempts_not_stored_total', undef, $node, $_) } qw(copy postgres);
	for my $name ((map { "many$_" } 1 .. 260), 'last')
	{
		$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE copy STRATEGY file_copy");
		$node->psql($name, 'TRUNCATE delete_guard.event');    # refused, and only logged
		$node->safe_psql('postgres', "DROP DATABASE $name") if $name ne 'last';
	}
	is(metric('attempts_not_stored_total', undef, $node, 'last'), $before + 1, 'counted beyond 256 databases');
	is(metric('attempts_not_stored_total'), $here, 'what was counted before is not lost');
	$node->psql('postgres', 'TRUNCATE delete_guard.event');
	is(metric('attempts_not_stored_total'), $here + 1, 'and goes on');
}

$node->stop;
done_testing();
