# Two persons at the same time: one approval used in two sessions, approve or
# deny while it is being used.  Whoever comes second waits, and then goes by
# what the first has done.
#
# Routes: 117

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
	CREATE ROLE carol LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 100) i;
	GRANT ALL ON arch, assoc TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	BEGIN;
	SELECT delete_guard.add_approver('bob');
	SELECT delete_guard.add_approver('carol');
	COMMIT;
});

# A session of somebody, and what it said last.
sub session
{
	my ($who, $database) = @_;
	my $psql = $node->background_psql($database // 'postgres', on_error_stop => 0,
		extra_params => [ '-U', $who ]);
	$psql->query('\set VERBOSITY verbose');
	my $pid = $psql->query('SELECT pg_backend_pid()');
	return { psql => $psql, pid => $pid, n => 0 };
}

# Run SQL in a session; returns its output and its errors.
sub run_in
{
	my ($session, $sql) = @_;
	$session->{psql}->{stderr} = '';
	my $out = $session->{psql}->query($sql);
	my $err = $session->{psql}->{stderr};
	$session->{psql}->{stderr} = '';
	return $out . $err;
}

# Begin to run SQL in a session and see that it waits for a lock.
sub begin_in
{
	my ($session, $sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$session->{psql}->{stderr} = '';
	$session->{psql}->query_until(qr/started/, "\\echo started\n$sql;\n");
	return ok(
		$node->poll_query_until('postgres',
			"SELECT cardinality(pg_blocking_pids($session->{pid})) > 0"),
		"$name: waits");
}

# What the SQL begun with begin_in gave in the end.
sub end_in
{
	my ($session) = @_;
	my $out = $session->{psql}->query('SELECT 1');
	my $err = $session->{psql}->{stderr};
	$session->{psql}->{stderr} = '';
	return $out . $err;
}

my $alice = session('alice');
my $alice2 = session('alice');
my $bob = session('bob');
my $carol = session('carol');
my $id = 0;

# Have a delete of the next row refused; approved unless told otherwise.
sub request
{
	my ($approved) = @_;
	$id++;
	my ($request) = run_in($alice, "DELETE FROM arch WHERE id = $id") =~
	  /delete_guard\.approve\((\d+)\)/;
	die 'no request' unless $request;
	run_in($bob, "SELECT delete_guard.approve($request)") if $approved;
	return $request;
}

sub use_of { return "BEGIN; SET LOCAL delete_guard.approval = $_[0]; DELETE FROM arch WHERE id = $id" }
sub gone { return $node->safe_psql('postgres', "SELECT count(*) = 0 FROM arch WHERE id = $id") }

sub uses
{
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'approved' AND request_id = $_[0]");
}

# One approval, two sessions.
my $name = 'two uses, the first commits';
my $r = request(1);
unlike(run_in($alice, use_of($r)), qr/ERROR/, "$name: the first is allowed");
begin_in($alice2, use_of($r), $name);
run_in($alice, 'COMMIT');
unlike(end_in($alice2), qr/ERROR/, "$name: the second finds no row");
run_in($alice2, 'COMMIT');
is(gone() . uses($r), 't1', "$name: deleted once, recorded once");

# The row lock does not help where the rows differ: an approval of two rows.
sub request_two
{
	$id += 2;
	my $first = $id - 1;
	my ($request) =
	  run_in($alice, "DELETE FROM arch WHERE id IN ($first, $id)") =~
	  /delete_guard\.approve\((\d+)\)/;
	run_in($bob, "SELECT delete_guard.approve($request)");
	return ($request, "BEGIN; SET LOCAL delete_guard.approval = $request; DELETE FROM arch WHERE id = $first",
		"BEGIN; SET LOCAL delete_guard.approval = $request; DELETE FROM arch WHERE id = $id");
}

my ($first_use, $second_use);
$name = 'two uses of different rows, the first commits';
($r, $first_use, $second_use) = request_two();
unlike(run_in($alice, $first_use), qr/ERROR/, "$name: the first is allowed");
begin_in($alice2, $second_use, $name);
run_in($alice, 'COMMIT');
like(end_in($alice2), qr/ERROR:  23001:.*has been used/s, "$name: the second is refused");
run_in($alice2, 'ROLLBACK');
is(gone() . uses($r), 'f1', "$name: one use");

$name = 'two uses of different rows, the first rolls back';
($r, $first_use, $second_use) = request_two();
unlike(run_in($alice, $first_use), qr/ERROR/, "$name: the first is allowed");
begin_in($alice2, $second_use, $name);
run_in($alice, 'ROLLBACK');
unlike(end_in($alice2), qr/ERROR/, "$name: the second is allowed");
run_in($alice2, 'COMMIT');
is(gone() . uses($r), 't1', "$name: one use");

$name = 'two uses, REPEATABLE READ';
($r, $first_use, $second_use) = request_two();
run_in($alice2, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM arch');
unlike(run_in($alice, "$first_use; COMMIT"), qr/ERROR/, "$name: the first commits");
like(run_in($alice2, $second_use =~ s/BEGIN; //r), qr/ERROR:  23001:.*has been used/s,
	"$name: the second sees it, though its snapshot is older");
run_in($alice2, 'ROLLBACK');
is(gone() . uses($r), 'f1', "$name: one use");

$name = 'two uses, the first in a savepoint rolled back';
($r, $first_use, $second_use) = request_two();
run_in($alice, 'BEGIN; SAVEPOINT s');
unlike(run_in($alice, $first_use =~ s/BEGIN; //r), qr/ERROR/, "$name: the first is allowed");
run_in($alice, 'ROLLBACK TO s');
is(run_in($alice, 'SELECT count(*) FROM arch WHERE id >= ' . ($id - 1) . " AND id <= $id"), '2',
	"$name: and taken back");
unlike(run_in($alice, $second_use =~ s/BEGIN; //r), qr/ERROR/, "$name: it can still be used");
unlike(run_in($alice, 'DELETE FROM arch WHERE id = ' . ($id - 1)), qr/ERROR/,
	"$name: and used on for its other row");
run_in($alice, 'COMMIT');
is(gone() . uses($r), 't2', "$name: two events, one use");
is($node->safe_psql('postgres', "SELECT count(*) FROM delete_guard.decision WHERE kind = 'use' AND request_id = $r"),
	'1', "$name: the use is one");

# Approve and use.
$name = 'approve, then use before it commits';
$r = request(0);
run_in($bob, "BEGIN; SELECT delete_guard.approve($r)");
begin_in($alice, use_of($r), $name);
run_in($bob, 'COMMIT');
unlike(end_in($alice), qr/ERROR/, "$name: allowed when the approval is there");
run_in($alice, 'COMMIT');
is(gone() . uses($r), 't1', "$name: deleted");

$name = 'approve, use, approval rolled back';
$r = request(0);
run_in($bob, "BEGIN; SELECT delete_guard.approve($r)");
begin_in($alice, use_of($r), $name);
run_in($bob, 'ROLLBACK');
like(end_in($alice), qr/ERROR:  23001:.*0 of 1 approvals/s, "$name: refused");
run_in($alice, 'ROLLBACK');
is(gone(), 'f', "$name: not deleted");

$name = 'use, then approve again before it commits';
$r = request(1);
unlike(run_in($alice, use_of($r)), qr/ERROR/, "$name: allowed");
begin_in($carol, "SELECT delete_guard.approve($r)", $name);
run_in($alice, 'COMMIT');
like(end_in($carol), qr/ERROR:  55000:.*has been used/s, "$name: too late");

# Deny and cancel.
$name = 'use, then deny before it commits';
$r = request(1);
unlike(run_in($alice, use_of($r)), qr/ERROR/, "$name: allowed");
begin_in($carol, "SELECT delete_guard.deny($r)", $name);
run_in($alice, 'COMMIT');
like(end_in($carol), qr/ERROR:  55000:.*has been used/s, "$name: too late");
is(gone() . uses($r), 't1', "$name: deleted");

$name = 'use rolled back, deny goes on';
$r = request(1);
unlike(run_in($alice, use_of($r)), qr/ERROR/, "$name: allowed");
begin_in($carol, "SELECT delete_guard.deny($r)", $name);
run_in($alice, 'ROLLBACK');
unlike(end_in($carol), qr/ERROR/, "$name: denied");
like(run_in($alice, use_of($r)), qr/ERROR:  23001:.*denied or cancelled/s, "$name: of no use after that");
run_in($alice, 'ROLLBACK');

$name = 'deny, then use before it commits';
$r = request(1);
run_in($carol, "BEGIN; SELECT delete_guard.deny($r)");
begin_in($alice, use_of($r), $name);
run_in($carol, 'COMMIT');
like(end_in($alice), qr/ERROR:  23001:.*denied or cancelled/s, "$name: refused");
run_in($alice, 'ROLLBACK');

$name = 'cancel, then approve before it commits';
$r = request(0);
run_in($alice, "BEGIN; SELECT delete_guard.cancel($r)");
begin_in($bob, "SELECT delete_guard.approve($r)", $name);
run_in($alice, 'COMMIT');
like(end_in($bob), qr/ERROR:  55000:.*denied or cancelled/s, "$name: too late");

$name = 'approve twice by one person at once';
$r = request(0);
my $bob2 = session('bob');
run_in($bob, "BEGIN; SELECT delete_guard.approve($r)");
begin_in($bob2, "SELECT delete_guard.approve($r)", $name);
run_in($bob, 'COMMIT');
like(end_in($bob2), qr/ERROR:  42710:/, "$name: counts once");

$name = 'approve and deny by two persons at once';
$r = request(0);
run_in($bob, "BEGIN; SELECT delete_guard.approve($r)");
begin_in($carol, "SELECT delete_guard.deny($r)", $name);
run_in($bob, 'COMMIT');
unlike(end_in($carol), qr/ERROR/, "$name: denied");
like(run_in($alice, use_of($r)), qr/ERROR:  23001:.*denied or cancelled/s, "$name: of no use");
run_in($alice, 'ROLLBACK');

# What changes between approval and use.
$name = 'the row changes while the use waits for it';
$r = request(1);
run_in($carol, "BEGIN; UPDATE arch SET name = 'changed' WHERE id = $id");
begin_in($alice, use_of($r), $name);
run_in($carol, 'COMMIT');
like(end_in($alice), qr/ERROR:  23001:.*row was changed/s, "$name: refused");
run_in($alice, 'ROLLBACK');

$name = 'more refers to the row while the use waits for it';
$r = request(1);
run_in($carol, "BEGIN; SELECT FROM arch WHERE id = $id FOR UPDATE");
begin_in($alice, use_of($r), $name);
run_in($bob, "INSERT INTO assoc VALUES ($id)");
run_in($carol, 'COMMIT');
my $refusal = end_in($alice);
like($refusal, qr/ERROR:  23001:.*[Mm]ore rows hang/s, "$name: refused");
run_in($alice, 'ROLLBACK');

# What the hint says is a way on.
$name = 'after more refers to the row';
($r) = $refusal =~ /delete_guard\.approve\((\d+)\)/;
unlike(run_in($bob, "SELECT delete_guard.approve($r)"), qr/ERROR/, "$name: the same person approves what there is now");
unlike(run_in($alice, use_of($r)), qr/ERROR/, "$name: and it can be used");
run_in($alice, 'COMMIT');

# The first approvers of a table are free to name in one transaction, as long as
# it holds the lock that keeps others from naming theirs.
$name = 'first approvers';
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql(
	'fresh', q{
	CREATE ROLE owner LOGIN;
	CREATE EXTENSION delete_guard;
	GRANT CREATE ON SCHEMA public TO owner;
	SET ROLE owner;
	CREATE TABLE named (id int PRIMARY KEY);
	SELECT delete_guard.protect('named');
});
my $owner = session('owner', 'fresh');
my $owner2 = session('owner', 'fresh');

sub approvers { return $node->safe_psql('fresh', 'SELECT string_agg(role_name, $$ $$ ORDER BY role_name) FROM delete_guard.approver') }
sub name_approver { return "SELECT delete_guard.add_approver('$_[0]', 'named')" }

run_in($owner, 'BEGIN; SAVEPOINT a; ' . name_approver('carol') . '; ROLLBACK TO a');
unlike(run_in($owner2, name_approver('bob')), qr/ERROR/, "$name: a rolled back savepoint gives the lock back");
like(run_in($owner, name_approver('alice')), qr/ERROR:  42501:/, "$name: and the freedom to name others");
run_in($owner, 'COMMIT');
is(approvers(), 'bob', "$name: one was named");


$node->safe_psql(
	'fresh', q{
	SET ROLE owner;
	CREATE TABLE named_2 (id int PRIMARY KEY);
	SELECT delete_guard.protect('named_2');
});
sub name_second { return "SELECT delete_guard.add_approver('$_[0]', 'named_2')" }
run_in($owner, 'BEGIN; SAVEPOINT a; ' . name_second('carol') . '; RELEASE a; SAVEPOINT b');
begin_in($owner2, name_second('bob'), "$name: a released savepoint keeps the lock");
unlike(run_in($owner, name_second('alice')), qr/ERROR/, "$name: and the freedom to name others");
run_in($owner, 'COMMIT');
like(end_in($owner2), qr/ERROR:  42501:/, "$name: who waited is not the first");
is(approvers(), 'alice bob carol', "$name: the others were named together");

$_->{psql}->quit for ($alice, $alice2, $bob, $bob2, $carol, $owner, $owner2);
$node->stop;
done_testing();
