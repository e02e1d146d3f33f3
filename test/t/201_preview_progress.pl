# A long preview tells in pg_stat_activity how far it is, and ends at once when
# it is cancelled or its time is over.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('progress');
$node->init;
$node->start;
# a chain without an index on what refers: each of a thousand levels reads the table
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE chain (id int PRIMARY KEY, parent int);
	INSERT INTO chain SELECT i, CASE WHEN i < 2000 THEN i - 1 END FROM generate_series(1, 200000) i;
	ALTER TABLE chain ADD FOREIGN KEY (parent) REFERENCES chain ON DELETE CASCADE NOT VALID;
});

my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', q{SELECT count(*) FROM delete_guard.preview_delete('chain', 'id = 1')} ],
	'>', \my $out, '2>', \my $err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE '/* delete_guard: level %, rows that refer to "chain", % found so far */ SELECT count%'}),
	'the level, the table and the rows found so far are in pg_stat_activity');
is($node->safe_psql('postgres', q{SELECT mode FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE relation = 'chain'::regclass AND query LIKE '/* delete_guard: %'}), 'AccessShareLock', 'the table can be written');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '/* delete_guard: %'});
$session->finish;
like($err, qr/canceling statement due to user request/, 'cancelled');

my ($rc, $stdout, $stderr) = $node->psql('postgres', q{SET statement_timeout = '50ms'; SELECT delete_guard.explain_delete('chain', 'id = 1')});
like($stderr, qr/canceling statement due to statement timeout/, 'statement_timeout holds');
is($node->safe_psql('postgres', q{SET delete_guard.preview_limit = 10; SELECT max(depth), count(*) FILTER (WHERE effect = 'cut') FROM delete_guard.preview_delete('chain', 'id = 1')}),
	'11|1', 'the limit on rows holds, and the preview says so');

$node->stop;
done_testing();
