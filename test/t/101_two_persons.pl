# Two persons: requester and approvers are who authenticated, by real logins
# with passwords.  SET ROLE, SET SESSION AUTHORIZATION, SECURITY DEFINER, a
# second role of the same login, and an approver made later do not help.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
$node->start;
my $version = $node->safe_psql('postgres', 'SHOW server_version_num');
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

my @persons = qw(owner alice bob carol dave erin);
$node->safe_psql('postgres', join "\n",
	map { "CREATE ROLE $_ LOGIN PASSWORD 'secret of $_';" } @persons);
$node->safe_psql('postgres', 'CREATE ROLE one LOGIN; CREATE ROLE two LOGIN');
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION delete_guard;
	GRANT CREATE ON SCHEMA public TO owner, bob;
	GRANT bob TO alice;
	SET SESSION AUTHORIZATION owner;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int, distribution_id int);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i, d FROM generate_series(1, 100) i, generate_series(1, 2) d;
	GRANT SELECT, INSERT, UPDATE, DELETE ON arch, assoc TO PUBLIC;
	SELECT delete_guard.protect('arch', approvals => 2);
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	BEGIN;
	SELECT delete_guard.add_approver('bob', 'arch');
	SELECT delete_guard.add_approver('carol', 'arch');
	SELECT delete_guard.add_approver('dave', 'arch');
	SELECT delete_guard.add_approver('two', 'arch');
	COMMIT;
});

# Everybody but the superuser needs a password; "one" and "two" are two roles
# of the one operating system user, if the server can tell who that is.
my $os_user = getpwuid($<);
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_ident.conf', "same $os_user one\nsame $os_user two");
$node->append_conf(
	'pg_hba.conf', qq{
local all $superuser trust
local all one,two peer map=same
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
});
$node->reload;

my $pass = PostgreSQL::Test::Utils::tempdir() . '/pgpass';
open my $fh, '>', $pass or die $!;
print $fh "*:*:*:$_:secret of $_\n" for @persons;
close $fh;
chmod 0600, $pass;
$ENV{PGPASSFILE} = $pass;

# Run SQL as somebody; returns stdout and stderr.
sub as
{
	my ($who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return ($stdout, $stderr);
}

# Run SQL that has to fail as somebody.
sub fails
{
	my ($who, $sql, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stdout, $stderr) = as($who, $sql);
	return like($stderr, $pattern, $name);
}

# Run SQL that has to work as somebody; returns stdout.
sub works
{
	my ($who, $sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stdout, $stderr) = as($who, $sql);
	unlike($stderr, qr/ERROR|FATAL/, $name);
	return $stdout;
}

# Have a delete refused; returns the number of its request.
sub attempt
{
	my ($who, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($stdout, $stderr) = as($who, $sql);
	my ($request) =
	  $stderr =~ /ERROR:  (?:23001|42501):.*delete_guard\.approve\((\d+)\)/s;
	ok($request, "refused, with a request: $sql");
	return $request // 0;
}

# Delete a row under an approval.
sub use_sql
{
	my ($request, $id) = @_;
	return
	  "BEGIN; SET LOCAL delete_guard.approval = $request; DELETE FROM arch WHERE id = $id; COMMIT";
}

# Change a setting of the table, with the approval of two others.
sub agreed
{
	my ($who, $sql, $others, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $request = attempt($who, $sql);
	as($_, "SELECT delete_guard.approve($request)") foreach @$others;
	return works($who, "BEGIN; SET LOCAL delete_guard.approval = $request; $sql; COMMIT", $name);
}

fails('alice', 'SELECT 1', qr/^$/, 'logins with passwords work');

# The whole story, with two approvals.
my $r = attempt('alice', 'DELETE FROM arch WHERE id = 1');
is( works(
		'bob', "SELECT requested_by, operation, table_name, keys, row_count,
		blast_radius -> 0 ->> 'rows', approvals, approvals_needed
		FROM delete_guard.pending_requests WHERE request_id = $r",
		'an approver reads pending requests'),
	'alice|delete|public.arch|[{"id": 1}]|1|2|0|2',
	'and sees what is asked and what hangs on it');
is(works('erin', "SELECT count(*) FROM delete_guard.pending_requests", 'so may others'),
	'0', 'who see nothing of it');
fails('alice', "SELECT delete_guard.approve($r)", qr/ERROR:  42501:.*same person/s,
	'the requester cannot approve');
fails('alice', "SET ROLE bob; SELECT delete_guard.approve($r)",
	qr/ERROR:  42501:/, 'nor as a member of the approver role');
works('bob', q{
	CREATE FUNCTION endorse(n bigint) RETURNS text LANGUAGE sql SECURITY DEFINER
	AS 'SELECT delete_guard.approve(n)::text'}, 'an approver makes a function');
fails('alice', "SELECT endorse($r)", qr/ERROR:  42501:/,
	'nor by a SECURITY DEFINER function of the approver');
fails('erin', "SELECT delete_guard.approve($r)",
	qr/ERROR:  42501:.*not an approver/s, 'nor does somebody who is no approver');
fails($superuser, "SELECT delete_guard.approve($r)", qr/ERROR:  42501:/,
	'nor a superuser');
fails($superuser, "SET SESSION AUTHORIZATION bob; SELECT delete_guard.approve($r)",
	qr/ERROR:  42501:/, 'nor a superuser who pretends to be the approver');
fails('alice', use_sql($r, 1), qr/ERROR:  23001:.*0 of 2 approvals/s,
	'not approved: refused');
is(works('bob', "SELECT (delete_guard.approve($r, 'fine')).approvals", 'the first approver approves'),
	'1', 'and is told of one approval');
fails('bob', "SELECT delete_guard.approve($r)", qr/ERROR:  42710:/,
	'an approver counts once');
fails('alice', use_sql($r, 1), qr/ERROR:  23001:.*1 of 2 approvals/s,
	'approved by one of two: refused');
is(works('carol', "SELECT (delete_guard.approve($r)).approvals", 'the second approver approves'),
	'2', 'and is told of two approvals');
fails('erin', use_sql($r, 1), qr/ERROR:  23001:.*made by somebody else/s,
	'nobody else can use it');
fails($superuser, 'SET SESSION AUTHORIZATION alice; ' . use_sql($r, 1),
	qr/ERROR:  23001:.*made by somebody else/s,
	'nor a superuser who pretends to be the requester');
fails('alice', use_sql($r, 2), qr/ERROR:  23001:.*does not name every row/s,
	'it is for the rows that it names');
fails('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; UPDATE arch SET id = 1001 WHERE id = 1",
	qr/ERROR:  23001:.*for the operation "delete"/s, 'and for the operation');
works('alice', use_sql($r, 1), 'the requester uses it');
fails('alice', "BEGIN; INSERT INTO arch VALUES (1, 'arch 1'); COMMIT; " . use_sql($r, 1),
	qr/ERROR:  23001:.*has been used/s, 'it can be used once');
is( $node->safe_psql('postgres',
		"SELECT outcome, person, session_role, active_role, approved_by, request_id = $r
		FROM delete_guard.audit_log WHERE operation = 'delete' AND outcome <> 'blocked'"),
	'approved|alice|alice|alice|bob, carol|t',
	'the audit log has both names');
is( $node->safe_psql('postgres',
		"SELECT DISTINCT authenticated_name FROM delete_guard.audit_log WHERE person = 'alice'"),
	$version >= 160000 ? 'scram-sha-256:alice' : 'alice',
	'and the authenticated name');
is( $node->safe_psql('postgres',
		"SELECT state, decided_by, comments FROM delete_guard.request_history WHERE request_id = $r"),
	'used|{bob,carol}|{fine}', 'and the request what became of it');

# A superuser is guarded like everybody, and stays who it is.
$r = attempt($superuser, 'DELETE FROM arch WHERE id = 2');
fails($superuser, "SELECT delete_guard.approve($r)", qr/ERROR:  42501:.*same person/s,
	'a superuser cannot approve an own request');
attempt($superuser, 'SET SESSION AUTHORIZATION alice; DELETE FROM arch WHERE id = 3');
is( $node->safe_psql('postgres',
		'SELECT person, session_role, active_role FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1'),
	"$superuser|alice|alice", 'SET SESSION AUTHORIZATION does not change the person');
attempt('alice', 'SET ROLE bob; DELETE FROM arch WHERE id = 4');
is( $node->safe_psql('postgres',
		'SELECT person, session_role, active_role FROM delete_guard.audit_log ORDER BY event_id DESC LIMIT 1'),
	'alice|alice|bob', 'SET ROLE does not change the person');

# Who approves must be the role that was named, before the request.
$r = attempt('alice', 'DELETE FROM arch WHERE id = 5');
agreed('owner', "SELECT delete_guard.add_approver('erin', 'arch')", [ 'bob', 'carol' ], 'another approver is named');
fails('erin', "SELECT delete_guard.approve($r)", qr/ERROR:  42501:.*after the request was made/s,
	'one named after the request does not count');
my $again = attempt('alice', 'DELETE FROM arch WHERE id = 5');
works('erin', "SELECT delete_guard.approve($again)", 'but does when it is asked for again');
works('bob', "SELECT delete_guard.approve($r)", 'an older one does');
works('dave', "SELECT delete_guard.approve($r)", 'and another');
$node->safe_psql('postgres', "ALTER ROLE dave RENAME TO dave2");
fails('alice', use_sql($r, 5), qr/ERROR:  23001:.*1 of 2 approvals/s,
	'the approval of one renamed since does not count');
$node->safe_psql('postgres', "ALTER ROLE dave2 RENAME TO dave");
$node->safe_psql('postgres', "DROP ROLE dave; CREATE ROLE dave LOGIN PASSWORD 'secret of dave'");
fails('alice', use_sql($r, 5), qr/ERROR:  23001:.*1 of 2 approvals/s,
	'nor of one dropped and made again');
fails('dave', "SELECT delete_guard.approve($r)", qr/ERROR:  42501:/,
	'who cannot approve either');
fails('owner', "SELECT delete_guard.remove_approver('nobody', 'arch')", qr/ERROR:  42704:/,
	'a role that is no approver cannot be removed');
works('carol', "SELECT delete_guard.approve($r)", 'a third approval');
agreed('owner', "SELECT delete_guard.remove_approver('bob', 'arch')", [ 'bob', 'carol' ], 'an approver is removed');
fails('alice', use_sql($r, 5), qr/ERROR:  23001:.*1 of 2 approvals/s,
	'the approval of one removed since does not count');
agreed('owner', "SELECT delete_guard.add_approver('bob', 'arch')", [ 'erin', 'carol' ], 'and is named again');

# Deny and cancel.
$r = attempt('alice', 'DELETE FROM arch WHERE id = 6');
works('bob', "SELECT delete_guard.approve($r)", 'approved by one');
fails('erin', "SELECT delete_guard.cancel($r)", qr/ERROR:  42501:/, 'only the requester cancels');
fails('alice', "SELECT delete_guard.deny($r, 'x')", qr/ERROR:  42501:/, 'only others deny');
works('carol', "SELECT delete_guard.deny($r, 'not now')", 'one approver denies');
fails('erin', "SELECT delete_guard.approve($r)", qr/ERROR:  55000:/, 'which ends it');
fails('alice', use_sql($r, 6), qr/ERROR:  23001:.*denied or cancelled/s, 'and it is of no use');
isnt(attempt('alice', 'DELETE FROM arch WHERE id = 6'), $r,
	'the same attempt after that opens another request');
$r = attempt('alice', 'DELETE FROM arch WHERE id = 7');
works('alice', "SELECT delete_guard.cancel($r)", 'the requester cancels');
fails('bob', "SELECT delete_guard.approve($r)", qr/ERROR:  55000:/, 'which ends it too');
fails('bob', 'SELECT delete_guard.approve(123456789)', qr/ERROR:  42704:/, 'there is no such request');
fails('bob', 'SELECT delete_guard.approve(NULL)', qr/ERROR:  22004:/, 'nor the request NULL');

# What changed after the request ends the approval.
$r = attempt('alice', 'DELETE FROM arch WHERE id = 8');
works('bob', "SELECT delete_guard.approve($r)", 'one approves');
works('erin', "SELECT delete_guard.approve($r)", 'and another');
works('owner', "UPDATE arch SET name = 'changed' WHERE id = 8", 'the row changes');
fails('alice', use_sql($r, 8), qr/ERROR:  23001:.*row was changed/s, 'refused, as the row changed');
works('owner', "UPDATE arch SET name = 'arch 8' WHERE id = 8; INSERT INTO assoc VALUES (8, 3)", 'more hangs on it');
fails('alice', use_sql($r, 8), qr/ERROR:  23001:.*[Mm]ore rows hang/s, 'refused, as more hangs on it');
works('owner', "DELETE FROM assoc WHERE arch_id = 8 AND distribution_id > 1", 'less hangs on it');
works('alice', use_sql($r, 8), 'allowed, as less hangs on it');

# Two roles, one authenticated person.
SKIP:
{
	my ($stdout, $stderr) = as('one', 'SELECT 1');
	skip 'no peer authentication here', 4 if $stderr ne '' || $windows_os;
	my $request = attempt('one', 'DELETE FROM arch WHERE id = 9');
	fails('two', "SELECT delete_guard.approve($request)", qr/ERROR:  42501:.*same person/s,
		'another role of the same login is the same person');
	like( $node->safe_psql('postgres',
			"SELECT DISTINCT authenticated_name FROM delete_guard.audit_log WHERE person = 'one'"),
		qr/^(peer:)?\Q$os_user\E$/, 'the operating system user is the authenticated name');
	works('bob', "SELECT delete_guard.approve($request)", 'others can approve it');
}

# Where from, and for whom.
my ($rc, $stdout, $stderr) = $node->psql(
	'postgres', q{
	SET delete_guard.claimed_user = 'mallory@example.com';
	DELETE FROM arch WHERE id = 10},
	connstr => 'host=127.0.0.1 dbname=postgres application_name=over_tcp user=alice port=' . $node->port);
like($stderr, qr/cannot delete/, 'refused over TCP');
is( $node->safe_psql('postgres', q{
	SELECT client_addr, claimed_user, person, backend_pid IS NOT NULL, backend_start <= occurred_at,
	       statement LIKE '%DELETE FROM arch WHERE id = 10%'
	  FROM delete_guard.audit_log WHERE application_name = 'over_tcp'}),
	'127.0.0.1|mallory@example.com|alice|t|t|t',
	'client address, claimed user, session and statement are recorded');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM delete_guard.audit_log WHERE application_name <> 'over_tcp' AND client_addr IS NOT NULL"),
	'0', 'a Unix socket has no address');

is($node->safe_psql('postgres', 'SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM arch WHERE id <= 10'),
	'1,2,3,4,5,6,7,9,10', 'what was deleted is what was approved');

$node->stop;
done_testing();
