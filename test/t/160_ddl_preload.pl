# Preloaded, beside other libraries with hooks, in both orders: event triggers of
# ours, REASSIGN OWNED and DROP DATABASE are seen, and everybody's hooks are called.
# Also: DDL with an approval, as two persons.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @others = ('pg_stat_statements');
my $sharedir = `pg_config --sharedir`;
chomp $sharedir;
push @others, 'pgaudit' if -e "$sharedir/extension/pgaudit.control";
note "beside: @others";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'delete_guard'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE owner LOGIN;
	CREATE DATABASE guarded OWNER owner;
	CREATE DATABASE free OWNER owner;
});
$node->safe_psql(
	'guarded', q{
	CREATE EXTENSION delete_guard;
	CREATE SCHEMA s AUTHORIZATION owner;
	CREATE TABLE s.arch (id int PRIMARY KEY, name text);
	CREATE TABLE s.pkg (id int PRIMARY KEY, arch_id int REFERENCES s.arch);
	CREATE TABLE s.part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE s.part_1 PARTITION OF s.part FOR VALUES FROM (0) TO (10);
	CREATE TABLE s.part_2 PARTITION OF s.part FOR VALUES FROM (10) TO (20);
	ALTER TABLE s.arch OWNER TO owner;
	ALTER TABLE s.pkg OWNER TO owner;
	ALTER TABLE s.part OWNER TO owner;
	ALTER TABLE s.part_1 OWNER TO owner;
	ALTER TABLE s.part_2 OWNER TO owner;
	INSERT INTO s.arch VALUES (1, 'i586'), (2, 'x86_64');
	INSERT INTO s.pkg VALUES (1, 1);
	SELECT delete_guard.protect('s.arch');
	SELECT delete_guard.protect('s.part');
	SELECT delete_guard.add_approver('bob');
});

# Run SQL as a role in a database, one session; returns standard output and error.
sub as
{
	my ($who, $db, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($db, $sql, on_error_stop => 0,
		extra_params => [ '-U', $who, '-v', 'VERBOSITY=verbose' ]);
	return ($stdout, $stderr);
}

# Refused, approved by bob, done once, and not twice.
sub two_persons
{
	my ($who, $sql, $name) = @_;
	my ($out, $err) = as($who, 'guarded', $sql);
	like($err, qr/ERROR:  42501/, "$name: refused");
	my ($r) = $err =~ /delete_guard\.approve\((\d+)\)/;
	ok($r, "$name: opens a request") or return;
	(undef, $err) = as($who, 'guarded', "SELECT delete_guard.approve($r)");
	like($err, qr/ERROR:  42501/, "$name: not approved by oneself");
	as('bob', 'guarded', "SELECT delete_guard.approve($r, 'yes')");
	(undef, $err) = as($who, 'guarded', "BEGIN; SET LOCAL delete_guard.approval = $r; ALTER TABLE s.arch SET UNLOGGED; COMMIT");
	like($err, qr/ERROR:  42501.*Request $r /s, "$name: allows nothing else");
	(undef, $err) = as($who, 'guarded', "BEGIN; SET LOCAL delete_guard.approval = $r; $sql; COMMIT");
	is($err, '', "$name: goes through");
	is($node->safe_psql('guarded', "SELECT outcome, approved_by FROM delete_guard.audit_log WHERE request_id = $r AND operation = 'ddl' ORDER BY event_id DESC LIMIT 1"),
		'approved|bob', "$name: is recorded");
	(undef, $err) = as($who, 'guarded', "BEGIN; SET LOCAL delete_guard.approval = $r; $sql; ROLLBACK");
	like($err, qr/ERROR/, "$name: not twice");
}

# routes 58, 53, 51, 55, 69, 72, 81 with an approval
two_persons('owner', 'ALTER TABLE s.arch ALTER id TYPE bigint', 'ALTER TYPE');
two_persons('owner', 'ALTER TABLE s.arch DISABLE TRIGGER "00_delete_guard_truncate"', 'DISABLE TRIGGER');
as('owner', 'guarded', 'ALTER TABLE s.arch ENABLE ALWAYS TRIGGER "00_delete_guard_truncate"');
two_persons('owner', 'CREATE RULE r AS ON INSERT TO s.arch WHERE NEW.id < 0 DO INSTEAD NOTHING', 'CREATE RULE');
two_persons('owner', 'ALTER TABLE s.part DETACH PARTITION s.part_1', 'DETACH');
my (undef, $err) = as('owner', 'guarded', 'ALTER TABLE s.part DETACH PARTITION s.part_2 CONCURRENTLY');
like($err, qr/ERROR:  42501/, 'DETACH CONCURRENTLY is refused');
two_persons('owner', 'ALTER TABLE s.part DETACH PARTITION s.part_2', 'DETACH of the other');
is($node->safe_psql('guarded', q{SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('s.part_1'::regclass, 's.part_2'::regclass)}), '0', 'what was detached is not guarded any more');
two_persons('owner', 'ALTER TABLE s.pkg DROP CONSTRAINT pkg_arch_id_fkey', 'DROP foreign key');
two_persons('owner', 'DROP TABLE s.part', 'DROP TABLE');
is($node->safe_psql('guarded', 'SELECT table_id FROM delete_guard.protected_tables'), 's.arch', 'and it is not registered any more');
two_persons('postgres', 'ALTER FUNCTION delete_guard._ddl_end() COST 2', 'ALTER FUNCTION');

# request_change in advance
my ($out) = as('owner', 'guarded', q{SELECT delete_guard.request_change('s.arch', 'alter table s.arch  drop column id cascade')});
as('bob', 'guarded', "SELECT delete_guard.approve($out)");
(undef, $err) = as('owner', 'guarded', "BEGIN; SET LOCAL delete_guard.approval = $out; ALTER TABLE s.arch DROP id CASCADE; ROLLBACK");
unlike($err, qr/ERROR/, 'asked in advance, in another spelling');
(undef, $err) = as('owner', 'guarded', q{SELECT delete_guard.request_change('s.arch', 'ALTER TABLE s.arch ADD x int')});
like($err, qr/ERROR:  22023.*needs no approval/, 'what needs no approval is not asked for');

# The same beside others, in both orders.
for my $libraries (join(',', 'delete_guard', @others), join(',', @others, 'delete_guard'))
{
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'$libraries'");
	$node->restart;
	$node->safe_psql('guarded', "CREATE EXTENSION IF NOT EXISTS $_") for @others;
	$node->safe_psql('guarded', 'SELECT pg_stat_statements_reset()');
	my $from = -s $node->logfile;

	# route 85: event triggers of ours
	for my $sql (
		'ALTER EVENT TRIGGER delete_guard_ddl_start DISABLE',
		'ALTER EVENT TRIGGER delete_guard_ddl_end ENABLE',
		'ALTER EVENT TRIGGER delete_guard_ddl_drop ENABLE REPLICA',
		'ALTER EVENT TRIGGER delete_guard_ddl_drop RENAME TO zz',
		'ALTER EVENT TRIGGER delete_guard_ddl_drop OWNER TO postgres')
	{
		(undef, $err) = as('postgres', 'guarded', $sql);
		like($err, qr/ERROR:  42501.*The change is: \Q$sql\E/s, "$libraries: $sql");
	}
	(undef, $err) = as('postgres', 'guarded', 'ALTER EVENT TRIGGER delete_guard_ddl_start ENABLE ALWAYS');
	is($err, '', "$libraries: ENABLE ALWAYS is free");

	# route 88: DROP DATABASE
	(undef, $err) = as('owner', 'postgres', 'DROP DATABASE guarded');
	like($err, qr/ERROR:  42501: cannot drop database "guarded" because tables in it are protected/, "$libraries: DROP DATABASE");
	(undef, $err) = as('alice', 'postgres', 'DROP DATABASE guarded');
	like($err, qr/ERROR:  42501: must be owner of database/, "$libraries: DROP DATABASE by somebody else");
	(undef, $err) = as('owner', 'postgres', 'DROP DATABASE no_such');
	like($err, qr/ERROR:  3D000/, "$libraries: DROP DATABASE of none");
	$node->safe_psql('postgres', 'ALTER DATABASE guarded ALLOW_CONNECTIONS false');
	(undef, $err) = as('postgres', 'postgres', 'DROP DATABASE guarded WITH (FORCE)');
	like($err, qr/ERROR:  42501: cannot drop database/, "$libraries: DROP DATABASE of a closed one");
	$node->safe_psql('postgres', 'ALTER DATABASE guarded ALLOW_CONNECTIONS true');
	(undef, $err) = as('owner', 'postgres', 'DROP DATABASE free');
	is($err, '', "$libraries: DROP DATABASE of one without protected tables");
	# what an interrupted DROP DATABASE leaves: nobody can look into it
	$node->safe_psql('postgres', q{CREATE DATABASE half}); $node->safe_psql("postgres", q{UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'});
	(undef, $err) = as('postgres', 'postgres', 'DROP DATABASE half');
	is($err, '', "$libraries: DROP DATABASE of an invalid one");
	$node->safe_psql('postgres', 'CREATE DATABASE free OWNER owner');

	# route 68: REASSIGN OWNED
	$node->safe_psql('guarded', 'REASSIGN OWNED BY owner TO alice; REASSIGN OWNED BY alice TO owner');
	is($node->safe_psql('guarded', q{SELECT details ->> 'action' FROM delete_guard.audit_log WHERE operation = 'ddl' ORDER BY event_id DESC LIMIT 2}),
		"REASSIGN OWNED BY alice TO owner\nREASSIGN OWNED BY owner TO alice", "$libraries: REASSIGN OWNED is recorded");

	# the others' hooks are called
	cmp_ok($node->safe_psql('guarded', q{SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'REASSIGN%'}), '>', 0, "$libraries: pg_stat_statements sees utility commands");
	$node->safe_psql('guarded', q{SET pgaudit.log = 'ddl'; CREATE TABLE audited (a int); DROP TABLE audited}) if grep { $_ eq 'pgaudit' } @others;
	like(slurp_file($node->logfile, $from), qr/AUDIT: SESSION,\d+,\d+,DDL/, "$libraries: pgaudit logs") if grep { $_ eq 'pgaudit' } @others;
	(undef, $err) = as('owner', 'guarded', 'DROP TABLE s.arch CASCADE');
	like($err, qr/ERROR:  42501/, "$libraries: DDL is refused");

	# own queries are not compiled, whatever the planner takes them for
	$node->safe_psql('guarded', q{SET pg_stat_statements.track = 'all'; SET jit = on; SET jit_above_cost = 0;
		CREATE TABLE s.plain (id int PRIMARY KEY); SELECT delete_guard.protect('s.plain', 'log'); SELECT count(*) FROM s.plain;
		DROP TABLE s.plain});
	is($node->safe_psql('guarded', q{SELECT count(*) > 0, sum(jit_functions) FROM pg_stat_statements WHERE query LIKE 'INSERT INTO delete_guard.protected_table%'}),
		't|0', "$libraries: own queries are not compiled");
	is($node->safe_psql('guarded', q{SELECT sum(jit_functions) > 0 FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) FROM s.plain'}),
		$node->safe_psql('guarded', 'SELECT pg_jit_available()'), "$libraries: others are");
}

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'the server did not crash');
$node->stop;
done_testing();
