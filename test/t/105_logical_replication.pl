# On a logical replication subscriber the apply worker is recorded and never
# refused, while everybody else is guarded; a row filter that turns an UPDATE
# into a DELETE included.
#
# Routes: 43, 100, 101, 102

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;

my $tables = q{
	CREATE TABLE arch (id int PRIMARY KEY, name text, active boolean DEFAULT true);
	CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
};
$publisher->safe_psql('postgres', $tables . q{
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 2000) i;
	INSERT INTO part VALUES (1), (11);
	CREATE PUBLICATION pub FOR TABLE arch WHERE (id < 1000), part WITH (publish_via_partition_root = true);
});
$subscriber->safe_psql('postgres', $tables . q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE assoc (arch_id int);
	CREATE TABLE pkg (id int, arch_id int REFERENCES arch ON DELETE CASCADE);
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.protect('part', scope => 'all');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION sub CONNECTION '$connstr' PUBLICATION pub");
$subscriber->wait_for_subscription_sync($publisher, 'sub');
$subscriber->safe_psql('postgres', 'INSERT INTO assoc SELECT id FROM arch; INSERT INTO pkg SELECT id, id FROM arch WHERE id <= 10');

sub value { return $subscriber->safe_psql('postgres', $_[0]) }

# Run SQL at the publisher and wait until it has arrived.
sub replicate
{
	$publisher->safe_psql('postgres', $_[0]);
	$publisher->wait_for_catchup('sub');
	return;
}
my $last = 0;

# Events since the last time, summed up.
sub events
{
	my $result = value("SELECT string_agg(line, ' ' ORDER BY line) FROM (SELECT format('%s/%s/%s/%s', operation, outcome, table_name, sum(row_count)) AS line
		FROM delete_guard.audit_log WHERE event_id > $last GROUP BY operation, outcome, table_name) x");
	$last = value('SELECT max(event_id) FROM delete_guard.audit_log');
	return $result;
}
events();
my $log = -s $subscriber->logfile;

is(value('SELECT count(*) FROM arch'), '999', 'the tables are filled');
replicate('DELETE FROM arch WHERE id = 1');
is(value('SELECT count(*) FROM arch WHERE id = 1'), '0', 'a replicated delete of a referenced row is applied');
is(events(), 'delete/replicated/public.arch/1', 'and recorded as such');
is(value(q{SELECT key, old_row FROM delete_guard.audit_rows WHERE key = '{"id": 1}' ORDER BY event_id DESC LIMIT 1}),
	'{"id": 1}|{"id": 1, "name": "arch 1", "active": true}', 'with its image');
is(value('SELECT person IS NOT NULL, backend_pid IS NOT NULL, client_addr IS NULL FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1'),
	't|t|t', 'and who and where');
is(value('SELECT blast_radius IS NOT NULL FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1'), 't', 'and what hung on it');

replicate('DELETE FROM arch WHERE id BETWEEN 100 AND 599');
is(value('SELECT count(*) FROM arch'), '498', 'many rows');
is(events(), 'delete/replicated/public.arch/500', 'are recorded');
is(value("SELECT count(*), count(DISTINCT key) FROM delete_guard.audit_rows JOIN delete_guard.audit_log USING (event_id) WHERE outcome = 'replicated'"),
	'501|501', 'each with its image');

replicate('DELETE FROM arch WHERE id = 999; UPDATE arch SET id = 999 WHERE id = 2');
is(value('SELECT count(*) FROM arch WHERE id = 2'), '0', 'a replicated key change is applied');
is(events(), 'delete/replicated/public.arch/1 key change/replicated/public.arch/1', 'and recorded');
replicate('UPDATE arch SET name = name || $$x$$ WHERE id = 3');
is(events(), '', 'another update is no event');

replicate('UPDATE arch SET id = 2500 WHERE id = 3');
is(value('SELECT count(*) FROM arch WHERE id = 3'), '0', 'an update that leaves the row filter is a delete here');
is(events(), 'delete/replicated/public.arch/1', 'and recorded as one');

replicate('DELETE FROM part WHERE id = 1; UPDATE part SET id = 5 WHERE id = 11');
is(value('SELECT string_agg(id::text, $$,$$) FROM part'), '5', 'partitions: delete and move');
is(events(), 'delete/replicated/public.part/2', 'both keys are recorded');

replicate('TRUNCATE part');
is(value('SELECT count(*) FROM part'), '0', 'a replicated TRUNCATE is applied');
is(events(), 'truncate/replicated/public.part/1', 'and recorded');

# A savepoint rolled back, and a transaction that is streamed.
replicate('BEGIN; SAVEPOINT s; DELETE FROM arch WHERE id = 4; ROLLBACK TO s; DELETE FROM arch WHERE id = 5; COMMIT');
is(events(), 'delete/replicated/public.arch/1', 'what was rolled back is not recorded');
unlike(slurp_file($subscriber->logfile, $log), qr/ERROR/, 'no error in the log of the subscriber');
is(value("SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0"), '0', 'nor in its statistics');

# What replication brings for the tables of the extension is left out: copied
# at first, inserted, deleted.
$publisher->safe_psql('postgres', q{
	CREATE EXTENSION delete_guard;
	CREATE ROLE bob LOGIN;
	SELECT delete_guard.protect('arch', 'log');
	SELECT delete_guard.add_approver('bob', 'arch');
	CREATE PUBLICATION own FOR TABLE delete_guard.approver, delete_guard.event;
});
$subscriber->safe_psql('postgres', "CREATE ROLE bob LOGIN; CREATE SUBSCRIPTION own CONNECTION '$connstr' PUBLICATION own");
$subscriber->wait_for_subscription_sync($publisher, 'own');
$publisher->safe_psql('postgres', q{SELECT delete_guard.add_approver('bob'); SELECT delete_guard.remove_approver('bob', 'arch')});
$publisher->wait_for_catchup('own');
is($publisher->safe_psql('postgres', 'SELECT count(*) FROM delete_guard.approver'), '1', 'an approver at the publisher');
is(value('SELECT count(*) FROM delete_guard.approver'), '0', 'is none at the subscriber');
is(events(), '', 'nor are events replicated');
unlike(slurp_file($subscriber->logfile, $log), qr/ERROR/, 'no error in the log of the subscriber on account of that');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION own');

# Others are guarded there, also when they look like a replica.
for my $set ('', 'SET session_replication_role = replica; ')
{
	my ($rc, $stdout, $stderr) = $subscriber->psql('postgres', $set . 'DELETE FROM arch WHERE id = 6');
	like($stderr, qr/cannot delete from protected table "arch"/, "refused: ${set}DELETE");
	($rc, $stdout, $stderr) = $subscriber->psql('postgres', $set . 'TRUNCATE arch CASCADE');
	like($stderr, qr/cannot truncate protected table "arch"/, "refused: ${set}TRUNCATE");
}
is(value('SELECT count(*) FROM arch WHERE id = 6'), '1', 'the row is still there');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION sub');
$subscriber->stop;
$publisher->stop;
done_testing();
