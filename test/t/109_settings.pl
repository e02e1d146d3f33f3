# Settings: the emergency exit, the two clocks, the capture limit, who may set
# what; statement_timeout and cancel.

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
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 1000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 100) i;
	INSERT INTO part SELECT i FROM generate_series(1, 100) i;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.protect('part', 'log');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.add_approver('bob');
});

# Run SQL as somebody; returns stderr.
sub as
{
	my ($who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, on_error_stop => 0,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return $stderr;
}

sub value { return $node->safe_psql('postgres', $_[0]) }

# Change a setting of the server, and see that sessions have it.
sub set
{
	my ($name, $setting) = @_;
	$node->append_conf('postgresql.conf', "$name = $setting");
	$node->reload;
	ok($node->poll_query_until('postgres', "SELECT delete_guard._library_version() IS NOT NULL AND current_setting('$name') = '$setting'"), "$name = $setting");
	return;
}

sub attempt
{
	my ($request) = as('alice', $_[0]) =~ /delete_guard\.approve\((\d+)\)/;
	return $request // 0;
}

# Who may set what.
for my $setting (qw(request_lifetime approval_lifetime record_timeout capture_limit))
{
	like(as('alice', "SELECT delete_guard._library_version(); SET delete_guard.$setting = 1000"), qr/ERROR:  42501:/, "an ordinary role cannot set $setting");
	like(as('alice', "SET delete_guard.$setting = 1000; DELETE FROM arch WHERE id = 1; SHOW delete_guard.$setting"), qr/(42501|permission denied)/,
		"nor before the library is loaded: $setting");
}
like(as('alice', 'SELECT delete_guard._library_version(); SET delete_guard.enforce = off'), qr/ERROR:  55P02:/, 'nobody can set enforce in a session');
isnt($node->psql('postgres', 'SELECT delete_guard._library_version(); SET delete_guard.enforce = off'), 0, 'not even a superuser');
for my $scope ('ROLE alice', 'DATABASE postgres')
{
	isnt($node->psql('postgres', "SELECT delete_guard._library_version(); ALTER $scope SET delete_guard.enforce = off"), 0, "nor for $scope");
}
my ($rc, $stdout, $stderr) = $node->psql('postgres', 'DELETE FROM arch WHERE id = 1',
	connstr => $node->connstr('postgres') . " options='-c delete_guard.enforce=off'");
like($stderr, qr/cannot delete from protected table/, 'nor by the options of a connection');

# The emergency exit, loudly.
my $offset = -s $node->logfile;
set('delete_guard.enforce', 'off');
unlike(as('alice', 'DELETE FROM arch WHERE id = 1; UPDATE arch SET id = -2 WHERE id = 2'), qr/ERROR/, 'enforce = off: allowed');
is(value(q{SELECT string_agg(format('%s %s %s %s', operation, outcome, row_count, request_id), ', ' ORDER BY event_id) FROM delete_guard.audit_log WHERE outcome = 'not_enforced'}),
	'delete not_enforced 1 , key change not_enforced 1 ', 'enforce = off: recorded as such');
is(value(q{SELECT r.old_row, l.blast_radius -> 0 ->> 'rows' FROM delete_guard.audit_log l JOIN delete_guard.audit_rows r USING (event_id)
	WHERE outcome = 'not_enforced' AND operation = 'delete' AND r.table_name = 'public.arch'}),
	'{"id": 1, "name": "arch 1"}|1', 'enforce = off: with image and blast radius');
like(slurp_file($node->logfile, $offset), qr/LOG:  delete_guard: event=\d+ outcome=not_enforced operation=delete table=public\.arch rows=1 person=alice/, 'enforce = off: with an alert');
unlike(as('alice', 'DELETE FROM arch WHERE id = 900'), qr/ERROR/, 'enforce = off: what needs no approval');
is(value(q{SELECT outcome FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1}), 'logged', 'is logged as ever');
$offset = -s $node->logfile;
$node->safe_psql('postgres', q{SELECT delete_guard.add_approver('alice'); SELECT delete_guard.remove_approver('alice')});
is(value(q{SELECT string_agg(operation || ' ' || (details ->> 'action'), ', ' ORDER BY event_id) FROM delete_guard.audit_log
	WHERE outcome = 'not_enforced' AND row_count IS NULL}),
	q{add_approver SELECT delete_guard.add_approver('alice'), remove_approver SELECT delete_guard.remove_approver('alice')},
	'enforce = off: settings too');
like(slurp_file($node->logfile, $offset), qr/LOG:  delete_guard: event=\d+ outcome=not_enforced operation=add_approver /, 'enforce = off: settings with an alert');
$node->safe_psql('postgres', 'DELETE FROM delete_guard.attempt');
like(slurp_file($node->logfile, $offset), qr/LOG:  delete_guard: event=0 outcome=not_enforced operation="own tables" table=delete_guard.attempt person=.* details="\{\\"command\\": \\"delete\\"\}"/, 'enforce = off: own tables, with a line in the log');

set('delete_guard.enforce', 'on');
isnt($node->psql('postgres', 'DELETE FROM delete_guard.attempt'), 0, 'enforce = on: own tables are refused again');
isnt($node->psql('postgres', q{SELECT delete_guard.add_approver('alice')}), 0, 'and settings');
like(as('alice', 'DELETE FROM arch WHERE id = 3'), qr/ERROR:  23001:/, 'enforce = on: refused again');

# A request waits for its approval so long.
set('delete_guard.request_lifetime', '1s');
my $r = attempt('DELETE FROM arch WHERE id = 4');
ok($r, 'a request that waits for a second');
ok($node->poll_query_until('postgres', "SELECT state = 'expired' FROM delete_guard.request_history WHERE request_id = $r"), 'expires');
is(value("SELECT count(*) FROM delete_guard.pending_requests WHERE request_id = $r"), '0', 'is not pending any more');
like(as('bob', "SELECT delete_guard.approve($r)"), qr/ERROR:  55000:.*has expired/s, 'and cannot be approved');
like(as('bob', "SELECT delete_guard.deny($r)"), qr/ERROR:  55000:.*has expired/s, 'nor denied');
set('delete_guard.request_lifetime', '1h');
my $again = attempt('DELETE FROM arch WHERE id = 4');
isnt($again, 0, 'the same attempt after that');
isnt($again, $r, 'opens another request');
is(as('bob', "SELECT delete_guard.approve($again)"), '', 'which can be approved');
is(as('alice', "BEGIN; SET LOCAL delete_guard.approval = $again; DELETE FROM arch WHERE id = 4; COMMIT"), '', 'and used');

# An approval waits for its use so long.
set('delete_guard.approval_lifetime', '1s');
$r = attempt('DELETE FROM arch WHERE id = 5');
is(as('bob', "SELECT delete_guard.approve($r)"), '', 'an approval that lasts a second');
ok($node->poll_query_until('postgres', "SELECT state = 'expired' FROM delete_guard.request_history WHERE request_id = $r"), 'expires');
$stderr = as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 5; COMMIT");
like($stderr, qr/ERROR:  23001:.*approved too long ago/s, 'and cannot be used');
set('delete_guard.approval_lifetime', '15min');
($again) = $stderr =~ /delete_guard\.approve\((\d+)\)/;
is(as('bob', "SELECT delete_guard.approve($again)"), '', 'but the request that the message names can be approved');
is(as('alice', "BEGIN; SET LOCAL delete_guard.approval = $again; DELETE FROM arch WHERE id = 5; COMMIT"), '', 'and used');

# An approver's own settings count for nothing.
like(as('bob', "SELECT delete_guard._library_version(); SET delete_guard.approval_lifetime = '10d'"), qr/ERROR:  42501:/, 'an approver cannot make approvals last');

# The most images that are stored.
set('delete_guard.capture_limit', '10');
is(as('alice', 'DELETE FROM arch WHERE id BETWEEN 201 AND 225; DELETE FROM part WHERE id > 50'), '', 'a delete of more rows than are stored');
is(value(q{SELECT string_agg(format('%s %s %s %s', table_name, row_count, details, (SELECT count(*) FROM delete_guard.audit_rows r WHERE r.event_id = l.event_id)), ', ' ORDER BY event_id)
	FROM delete_guard.audit_log l WHERE row_count IN (25, 50)}),
	'public.arch 25 {"images_stored": 10} 10, public.part 50 {"images_stored": 10} 10', 'says so in its details');
set('delete_guard.capture_limit', '0');
is(as('alice', 'DELETE FROM arch WHERE id BETWEEN 301 AND 326'), '', 'none at all');
is(value(q{SELECT row_count, details FROM delete_guard.audit_log WHERE row_count = 26}), '26|{"images_stored": 0}', 'says so too');
set('delete_guard.capture_limit', '-1');

# statement_timeout, cancel and termination while the guard looks.
$node->safe_psql('postgres', q{CREATE TABLE slow (arch_id int, note text);
	CREATE FUNCTION dawdle(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.05); RETURN true; END';
	INSERT INTO slow SELECT 1000 + i FROM generate_series(1, 2000) i;
	SELECT delete_guard.declare_reference('slow', '{arch_id}', 'arch', condition => 'dawdle(arch_id)')});
my $events = value('SELECT count(*) FROM delete_guard.audit_log');
is(as('alice', 'DELETE FROM arch WHERE id = 500'), '', 'a condition is looked at only where the columns agree');
$node->safe_psql('postgres', 'UPDATE slow SET arch_id = 501');
like(as('alice', "SET statement_timeout = '200ms'; DELETE FROM arch WHERE id = 501"), qr/ERROR:  57014:.*statement timeout/s, 'statement_timeout ends the look');
like(as('alice', "SET statement_timeout = '200ms'; TRUNCATE arch"), qr/ERROR:  57014:.*statement timeout/s, 'that of TRUNCATE too');
is(value('SELECT count(*) FROM arch WHERE id = 501'), '1', 'the row is still there');
is(value('SELECT count(*) FROM delete_guard.audit_log'), $events + 1, 'nothing is recorded of a statement that was cancelled before the verdict');
my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query_until(qr/started/, "\\echo started\nDELETE FROM arch WHERE id = 501;\n");
ok($node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid"), 'a delete is being looked at');
value("SELECT pg_cancel_backend($pid)");
$session->query('SELECT 1');
like($session->{stderr}, qr/canceling statement due to user request/, 'it can be cancelled');
is($session->query('SELECT count(*) FROM arch WHERE id = 501'), '1', 'and the session goes on');
$session->query_until(qr/started/, "\\echo started\nDELETE FROM arch WHERE id = 501;\n");
ok($node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $pid"), 'another one');
value("SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid"), 'it can be terminated');
eval { $session->quit };
is(value('SELECT count(*) FROM arch WHERE id = 501'), '1', 'the row is still there');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');
done_testing();
