# health(): what only a server of its own shows: settings, worker slots,
# authentication, preloading, versions; on a standby; after dump and restore.
#
# Routes: 85, 86

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text UNIQUE);
	CREATE TABLE assoc (arch_id int);
	CREATE INDEX ON assoc (arch_id);
	CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (1000);
	SELECT delete_guard.add_approver('bob');
	SELECT delete_guard.add_approver('carol');
	SELECT delete_guard.protect('part', 'log');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.protect('arch');
});

# Findings about one thing, severity and problem.
sub findings
{
	my ($subject, $where) = @_;
	return ($where // $node)->safe_psql('postgres',
		qq{SELECT severity, problem FROM delete_guard.health() WHERE subject = '$subject'});
}

# Run what health() says of one thing, statement by statement.
sub mend
{
	my ($subject) = @_;
	my $remedy = $node->safe_psql('postgres', qq{SELECT remedy FROM delete_guard.health() WHERE subject = '$subject'});
	$remedy =~ s/; --.*//;
	$node->safe_psql('postgres', $_) foreach split /;\s*/, $remedy;
	return;
}

# Wait until a session has a setting.
sub has
{
	my ($name, $setting) = @_;
	return $node->poll_query_until('postgres',
		"SELECT delete_guard._library_version() IS NOT NULL AND current_setting('$name') = '$setting'");
}

is($node->safe_psql('postgres', q{SELECT severity, subject FROM delete_guard.health() WHERE subject <> 'authentication'}),
	'info|library', 'a new database is healthy');

# Authentication: pg_hba.conf is read as it is, loaded or not.
my $hba = $node->data_dir . '/pg_hba.conf';
my $kept = slurp_file($hba);
sub write_hba { open my $f, '>', $hba or die; print $f $_[0]; close $f; return }
write_hba("local replication all trust\nlocal other all trust\nlocal all all scram-sha-256\nlocal all all peer\n");
is(findings('authentication'), '', 'no trust, no finding; replication and other databases do not count');
write_hba("local all all scram-sha-256\nlocal all all trust\nlocal postgres bob trust\n");
like(findings('authentication'), qr/^warning\|line 2, 3 of pg_hba.conf .* "trust"/, 'trust is found');
write_hba($kept);

# The emergency exit.
$node->append_conf('postgresql.conf', 'delete_guard.enforce = off');
$node->reload;
ok(has('delete_guard.enforce', 'off'), 'enforce is off');
like(findings('delete_guard.enforce'), qr/^error\|is off/, 'enforce = off is found');
mend('delete_guard.enforce');
ok(has('delete_guard.enforce', 'on'), 'the remedy turns it on');
is(findings('delete_guard.enforce'), '', 'and then there is no finding');

# Versions.
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'delete_guard'});
like(findings('library'), qr/^error\|is version .*, and the extension is version 0\.1$/m, 'another version of the library is found');
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = delete_guard._library_version() WHERE extname = 'delete_guard'});

# Event triggers can be turned off as a whole from 17 on.
SKIP:
{
	skip 'no setting event_triggers', 3 unless $node->safe_psql('postgres', q{SELECT current_setting('event_triggers', true)}) eq 'on';
	$node->safe_psql('postgres', 'ALTER SYSTEM SET event_triggers = off');
	$node->reload;
	ok(has('event_triggers', 'off'), 'event triggers are off');
	like(findings('event_triggers'), qr/^error/, 'that is found');
	mend('event_triggers');
	ok(has('event_triggers', 'on'), 'the remedy turns them on');
}

# Worker slots, and preloading, beside what is preloaded already.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'auto_explain, passwordcheck'});
$node->restart;
like(findings('library'), qr/^info\|is not preloaded/, 'not preloaded');
mend('library');
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
is(findings('library'), '', 'the remedy preloads it');
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'auto_explain, passwordcheck, delete_guard', 'beside the others');
like(findings('recorder'), qr/^warning\|cannot start: all 0 worker processes are taken/, 'no worker slot is found');
mend('recorder');
$node->restart;
is(findings('recorder'), '', 'the remedy makes room');

# On a standby it sees the same.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', q{UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'part_1'::regclass AND tgname = '00_delete_guard_truncate'});
$node->wait_for_catchup($standby);
like(findings('table public.part_1', $standby), qr/^error\|trigger "00_delete_guard_truncate" is not enabled ALWAYS/, 'a standby sees it');
$standby->stop;
mend('table public.part_1');
is(findings('table public.part_1'), '', 'and the remedy mends it');

# After dump and restore.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
is($node->safe_psql('restored', q{SELECT severity, subject, problem FROM delete_guard.health() WHERE subject <> 'authentication'}),
	'', 'healthy after a restore');

done_testing();
