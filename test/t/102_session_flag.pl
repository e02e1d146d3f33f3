# The session flag delete_guard.approval names an approval for one transaction:
# a pooled connection does not hand it on, however it was set.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 100) i;
	GRANT ALL ON arch, assoc TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.add_approver('bob');
});

# Run SQL as somebody in a session of its own; returns stdout and stderr.
sub as
{
	my ($who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql,
		on_error_stop => 0,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return ($stdout, $stderr);
}

# Have the delete of rows refused and approved; returns the request.
sub approved
{
	my ($condition) = @_;
	my ($stdout, $stderr) = as('alice', "DELETE FROM arch WHERE $condition");
	my ($request) = $stderr =~ /delete_guard\.approve\((\d+)\)/;
	die $stderr unless $request;
	as('bob', "SELECT delete_guard.approve($request)");
	return $request;
}

sub left
{
	return $node->safe_psql('postgres',
		"SELECT string_agg(id::text, ',' ORDER BY id) FROM arch WHERE id BETWEEN $_[0] AND $_[1]");
}

my ($out, $err);

# One client after another on the same connection, in a session that has the
# library loaded, and in one that has not and so keeps the setting as a
# placeholder for a while.
my $id = 0;
my $loaded = 'SELECT delete_guard._library_version() IS NULL; ';
for my $load ('', $loaded)
{
	my $where = $load ? 'library loaded' : 'library not loaded';
	my ($one, $two) = ($id + 1, $id + 2);
	my $r = approved("id IN ($one, $two)");
	my $delete = "DELETE FROM arch WHERE id = $one";
	$id += 2;

	for my $before ("SET delete_guard.approval = $r",
		"BEGIN; SET delete_guard.approval = $r; COMMIT",
		"BEGIN; SET delete_guard.approval = $r; ROLLBACK",
		"BEGIN; SET LOCAL delete_guard.approval = $r; COMMIT",
		"BEGIN; SET delete_guard.approval = $r; PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'",
		"SELECT set_config('delete_guard.approval', '$r', false)")
	{
		($out, $err) = as('alice', "$load $before; BEGIN; $delete; ROLLBACK; BEGIN; $delete; ROLLBACK; \\echo shown\nSHOW delete_guard.approval");
		is(() = $err =~ /ERROR:  23001/g, 2, "$where: no flag after $before");
		like($out, qr/shown\n$/, "$where: as SHOW says");
	}
	($out, $err) = as('alice', "$load BEGIN; SET delete_guard.approval = $r; $delete; COMMIT; SHOW delete_guard.approval; DELETE FROM arch WHERE id = $two");
	unlike($err, qr/\(id\)=\($one\)/, "$where: a plain SET counts within its transaction");
	like($err, qr/ERROR:  23001.*\($two\)/s, "$where: and not in the next");
	is(left($one, $two), $two, "$where: what was approved is gone, what came later is not");

	$r = approved("id = $two");
	($out, $err) = as('alice', "$load BEGIN; SAVEPOINT s; SET LOCAL delete_guard.approval = $r; ROLLBACK TO s; DELETE FROM arch WHERE id = $two");
	like($err, qr/ERROR:  23001/, "$where: a rolled back savepoint takes the flag along");
	($out, $err) = as('alice', "$load BEGIN; SET delete_guard.approval = $r; SAVEPOINT s; RELEASE s; DELETE FROM arch WHERE id = $two; ROLLBACK");
	unlike($err, qr/ERROR/, "$where: a released one does not");
	($out, $err) = as('alice', "$load BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = $two; COMMIT");
	unlike($err, qr/ERROR/, "$where: what was rolled back was not used");
	is(left($one, $two), '', "$where: now it is");
}
my $r;

# What poolers do between clients.
$r = approved('id = 5');
for my $reset ('DISCARD ALL', 'RESET ALL', 'RESET delete_guard.approval')
{
	($out, $err) = as('alice', qq{SET delete_guard.claimed_user = 'x'; SET delete_guard.approval = $r; $reset;
		SHOW delete_guard.approval; DELETE FROM arch WHERE id = 5});
	like($err, qr/ERROR:  23001/, "$reset leaves no flag");
	unlike($err, qr/ERROR:  (?!23001)/, "$reset works");
}

# Not from outside of the session.
for my $setting ("ALTER ROLE alice SET delete_guard.approval = $r",
	"ALTER DATABASE postgres SET delete_guard.approval = $r",
	"ALTER SYSTEM SET delete_guard.approval = $r")
{
	isnt($node->psql('postgres', $loaded . $setting), 0, "refused: $setting");
}
for my $setting ("ALTER ROLE alice SET delete_guard.approval = $r",
	"ALTER DATABASE postgres SET delete_guard.approval = $r")
{
	$node->safe_psql('postgres', $setting);    # the library is not loaded
	($out, $err) = as('alice', 'DELETE FROM arch WHERE id = 5; SHOW delete_guard.approval');
	like($err, qr/ERROR:  23001/, "of no effect: $setting");
	is($out, '', 'as SHOW says');
	$node->safe_psql('postgres', 'ALTER ROLE alice RESET ALL; ALTER DATABASE postgres RESET ALL');
}
($out, $err) = as('alice', "ALTER ROLE alice SET delete_guard.approval = $r");
like($err, qr/ERROR:  42501/, 'an ordinary role cannot even try');
my ($rc, $stdout, $stderr) = $node->psql('postgres', 'DELETE FROM arch WHERE id = 5',
	connstr => $node->connstr('postgres') . " user=alice options='-c delete_guard.approval=$r'");
like($stderr, qr/cannot delete/, 'the flag in the options of the connection does not count');

# Other values set before the library is loaded.
($out, $err) = as('alice', q{SET delete_guard.approval = 'nonsense'; DELETE FROM arch WHERE id = 6});
like($err, qr/ERROR:  23001/, 'nonsense set before the library is loaded is no approval');
like($err, qr/22023|invalid value for parameter/, 'and is complained about');
($out, $err) = as('alice', q{SET delete_guard.enforce = off; DELETE FROM arch WHERE id = 6});
like($err, qr/ERROR:  23001/, 'enforce set before the library is loaded does not count');

# A function's SET clause.
$r = approved('id = 7');
$node->safe_psql('postgres', qq{
	CREATE FUNCTION trojan() RETURNS void LANGUAGE sql AS 'DELETE FROM arch WHERE id IN (7, 8)';
	UPDATE pg_proc SET proconfig = ARRAY['delete_guard.approval=$r'] WHERE oid = 'trojan'::regproc});
($out, $err) = as('alice', 'SELECT trojan()');
like($err, qr/ERROR:  23001.*does not name every row/s, 'a function cannot use an approval for more than it names');

# One transaction, several approvals, several statements.
my $r1 = approved('id = 10');
my $r2 = approved('id = 11');
($out, $err) = as('alice', "BEGIN; SET LOCAL delete_guard.approval = '$r1, $r2'; DELETE FROM arch WHERE id IN (10, 11); COMMIT");
unlike($err, qr/ERROR/, 'several approvals for one statement');
is(left(10, 11), '', 'both rows are gone');
$r = approved('id IN (12, 13)');
($out, $err) = as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 12; DELETE FROM arch WHERE id = 13; COMMIT");
unlike($err, qr/ERROR/, 'one approval for several statements of a transaction');
is(left(12, 13), '', 'both rows are gone');
$r = approved('id IN (14, 15)');
as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 14; COMMIT");
($out, $err) = as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 15; COMMIT");
like($err, qr/ERROR:  23001.*has been used/s, 'but not for another transaction');

# Two-phase commit.
$r = approved('id = 16');
($out, $err) = as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 16; PREPARE TRANSACTION 'x'");
like($err, qr/ERROR:  0A000:.*cannot PREPARE/, 'a transaction that used an approval cannot be prepared');
is(left(16, 16), '16', 'and is rolled back');
($out, $err) = as('alice', "BEGIN; DELETE FROM assoc WHERE arch_id = 17; PREPARE TRANSACTION 'z'; COMMIT PREPARED 'z'; BEGIN; DELETE FROM arch WHERE id = 17; PREPARE TRANSACTION 'z2'; COMMIT PREPARED 'z2'");
unlike($err, qr/ERROR/, 'a transaction that used none can be prepared');
is($node->safe_psql('postgres', q{SELECT l.outcome, r.old_row FROM delete_guard.audit_log l JOIN delete_guard.audit_rows r USING (event_id)
	WHERE r.key = '{"id": 17}'}), 'logged|{"id": 17, "name": "arch 17"}', 'and its event and image are there');

$node->stop;
done_testing();
