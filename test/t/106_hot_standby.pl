# On a hot standby everything that reads works and what would write says so;
# after promotion the guard is on duty.
#
# Routes: 161

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 50) i;
	GRANT ALL ON arch, assoc TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch', condition => 'arch_id > 0');
	SELECT delete_guard.add_approver('bob');
	DELETE FROM arch WHERE id > 90;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Run SQL on the standby as somebody; returns stdout and stderr.
sub as
{
	my ($who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $standby->psql('postgres', $sql,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return ($stdout, $stderr);
}

my ($rc, $stdout, $stderr) = $primary->psql('postgres', 'DELETE FROM arch WHERE id = 1', extra_params => [ '-U', 'alice' ]);
my ($r) = $stderr =~ /delete_guard\.approve\((\d+)\)/;
ok($r, 'refused on the primary');
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', q{SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked' AND person = 'alice'}),
	'1', 'the attempt is on the standby');
for my $sql ('SELECT count(*) > 0 FROM delete_guard.audit_rows', 'SELECT count(*) = 1 FROM delete_guard.protected_tables',
	q{SELECT name = 'assoc_arch_id' FROM delete_guard.references_to('arch')},
	q{SELECT bool_and(guard LIKE 'would be refused: %') FROM delete_guard.preview_delete('arch', 'id = 1') WHERE depth = 0},
	q{SELECT rows = 1 AND effect = 'dangle' FROM delete_guard.preview_delete('arch', 'id = 1') WHERE depth = 1},
	q{SELECT count(*) > 3 FROM delete_guard.explain_delete('arch')},
	"SELECT state = 'pending' FROM delete_guard.request_history",
	"SELECT (blast_radius -> 0 ->> 'rows') = '1' FROM delete_guard.pending_requests WHERE request_id = $r")
{
	is($standby->safe_psql('postgres', $sql), 't', "readable on a standby: $sql");
}
is((as('bob', "SELECT requested_by, keys FROM delete_guard.pending_requests WHERE request_id = $r"))[0],
	'alice|[{"id": 1}]', 'an approver sees the request there');
for my $sql ('DELETE FROM arch WHERE id = 1', 'TRUNCATE arch', q{SELECT delete_guard.protect('arch')}, q{SELECT delete_guard.unprotect('arch')},
	q{SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch')}, q{SELECT delete_guard.forget_reference('assoc_arch_id')},
	q{SELECT delete_guard.add_approver('alice')}, q{SELECT delete_guard.remove_approver('bob')},
	q{SELECT delete_guard.request_delete('arch', 'id = 2')})
{
	($rc, $stdout, $stderr) = $standby->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($stderr, qr/ERROR:  (25006|55000|42501):.*(read-only|recovery)/s, "not on a standby: $sql");
}
for my $sql ("SELECT delete_guard.approve($r)", "SELECT delete_guard.deny($r)")
{
	like((as('bob', $sql))[1], qr/ERROR:  (25006|55000):.*(read-only|recovery)/s, "not on a standby: $sql");
}
like((as('alice', "SELECT delete_guard.cancel($r)"))[1], qr/ERROR:  (25006|55000):.*(read-only|recovery)/s, 'nor can a request be cancelled');

$standby->promote;
($stdout, $stderr) = as('alice', 'DELETE FROM arch WHERE id = 2');
like($stderr, qr/ERROR:  23001:.*delete_guard\.approve\((\d+)\)/s, 'refused after promotion');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked' AND person = 'alice'}), '2', 'and recorded');
is((as('bob', "SELECT delete_guard.approve($r)"))[1], '', 'the request from before can be approved');
is((as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT"))[1], '', 'and used');
is($standby->safe_psql('postgres', 'SELECT count(*) = count(DISTINCT event_id) FROM delete_guard.audit_log'), 't', 'events have numbers of their own');
unlike(slurp_file($standby->logfile), qr/PANIC|TRAP|terminated by signal/, 'nothing crashed');

$standby->stop;
$primary->stop;
done_testing();
