# Crash of the server: a refused attempt whose error the client has seen, and
# everything that a committed delete has journalled, are there afterwards;
# nothing remains of a delete that was not committed.
#
# Routes: 157

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
	CREATE ROLE alice LOGIN SUPERUSER;
	CREATE ROLE bob LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	CREATE TABLE pkg (id int PRIMARY KEY, arch_id int REFERENCES arch ON DELETE CASCADE);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 5000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 100) i;
	INSERT INTO pkg SELECT i, i FROM generate_series(1, 10) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.add_approver('bob');
});

# Run SQL as somebody; returns stderr.
sub as
{
	my ($who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

sub crash
{
	$node->stop('immediate');
	$node->start;
	return;
}

sub value { return $node->safe_psql('postgres', $_[0]) }

# A refused attempt, its request and its keys.
my $err = as('alice', 'DELETE FROM arch WHERE id IN (1, 2)');
my ($r) = $err =~ /delete_guard\.approve\((\d+)\)/;
ok($r, 'refused, with a request');
crash();
is(value("SELECT l.outcome, l.person, l.row_count, string_agg(r.key::text, ',' ORDER BY r.row_number), l.repeats
	FROM delete_guard.audit_log l JOIN delete_guard.audit_rows r USING (event_id) WHERE l.request_id = $r GROUP BY l.event_id, 1, 2, 3, 5"),
	'blocked|alice|2|{"id": 1},{"id": 2}|0', 'the attempt is there after a crash');
is(value("SELECT requested_by, row_count FROM delete_guard.pending_requests WHERE request_id = $r"),
	'alice|2', 'so is its request');

# An approval, and its use.
is(as('bob', "SELECT delete_guard.approve($r)"), '', 'approved');
crash();
is(value("SELECT state FROM delete_guard.request_history WHERE request_id = $r"), 'approved', 'the approval is there after a crash');
is(as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id IN (1, 2); COMMIT"), '', 'used');
crash();
is(value('SELECT count(*) FROM arch WHERE id <= 2'), '0', 'the rows are gone after a crash');
is(value("SELECT l.outcome, l.approved_by, string_agg(r.old_row::text, ',' ORDER BY r.row_number)
	FROM delete_guard.audit_log l JOIN delete_guard.audit_rows r USING (event_id)
	WHERE l.outcome = 'approved' AND r.table_name = 'public.arch' GROUP BY l.event_id, 1, 2"),
	'approved|bob|{"id": 1, "name": "arch 1"},{"id": 2, "name": "arch 2"}', 'their images are there');
like(as('alice', "BEGIN; INSERT INTO arch VALUES (1, 'arch 1'), (2, 'arch 2'); SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id IN (1, 2)"),
	qr/ERROR:  23001:.*has been used/s, 'and the approval is used');

# Many rows that nothing refers to.
is(as('alice', 'DELETE FROM arch WHERE id > 1000'), '', 'a large delete is allowed');
crash();
is(value(q{SELECT l.row_count, count(*), count(DISTINCT r.key ->> 'id'), min((r.old_row ->> 'id')::int), max((r.old_row ->> 'id')::int),
	bool_and(r.old_row ->> 'name' = 'arch ' || (r.old_row ->> 'id'))
	FROM delete_guard.audit_log l JOIN delete_guard.audit_rows r USING (event_id)
	WHERE l.operation = 'delete' AND l.outcome = 'logged' GROUP BY l.event_id, 1}),
	'4000|4000|4000|1001|5000|t', 'all images are there after a crash');

# Not committed: nothing of it.
my $events = value('SELECT count(*) FROM delete_guard.audit_log');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; DELETE FROM arch WHERE id > 500');
$session->query_safe('SELECT pg_current_wal_insert_lsn()');
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
$node->start;
eval { $session->quit };
is(value('SELECT count(*) FROM arch WHERE id > 500'), '500', 'a delete that was not committed is undone by a crash');
is(value('SELECT count(*) FROM delete_guard.audit_log'), $events, 'with its event');
is(value('SELECT count(*) FROM delete_guard.event_rows r WHERE NOT EXISTS (SELECT FROM delete_guard.event e WHERE e.event_id = r.event_id)'),
	'0', 'and its images');

# Whatever the transaction did before: the attempt is stored.
my $before = value("SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'");
my $id = 20;
for my $trick (
	'ALTER TABLE arch RENAME TO renamed; DELETE FROM renamed WHERE id = %d',
	'ALTER TABLE arch RENAME TO renamed; CREATE TABLE arch (id int PRIMARY KEY); DELETE FROM renamed WHERE id = %d',
	'ALTER TABLE arch RENAME TO renamed; ALTER TABLE assoc RENAME TO arch; DELETE FROM renamed WHERE id = %d',
	'CREATE SCHEMA other; ALTER TABLE arch SET SCHEMA other; DELETE FROM other.arch WHERE id = %d',
	'ALTER TABLE arch RENAME COLUMN id TO number; DELETE FROM arch WHERE number = %d',
	'CREATE ROLE carol LOGIN; ALTER TABLE arch OWNER TO carol; DELETE FROM arch WHERE id = %d',
	q{CREATE TABLE fresh (id int PRIMARY KEY); INSERT INTO fresh SELECT %1$d; SELECT delete_guard.protect('fresh', scope => 'all'); DELETE FROM fresh})
{
	$id++;
	my $sql = sprintf($trick, $id);
	like(as('alice', "BEGIN; SET LOCAL client_min_messages = error; $sql"),
		qr/ERROR:  23001:.*delete_guard\.approve\(/s, "refused with a request: $sql");
	is(value("SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'"), ++$before, 'and recorded');
}
is(value(q{SELECT count(*) FROM delete_guard.request r WHERE r.table_id = 'assoc'::regclass}), '0', 'under the table that it was about');

$node->stop;
done_testing();
