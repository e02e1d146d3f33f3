# Many sessions at once, and recorders that are terminated while they work:
# each attempt is recorded exactly once.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int, what text);
	CREATE INDEX ON assoc (arch_id);
	CREATE SEQUENCE next_id;
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 5000) i;
	INSERT INTO assoc SELECT i, 'x' FROM generate_series(1, 5000) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});

# Each transaction tries another row, and goes on after the refusal.
my $attempts = "$PostgreSQL::Test::Utils::tmp_check/attempts.sql";
append_to_file(
	$attempts, q{DO $$
DECLARE
	n bigint := nextval('next_id');
BEGIN
	DELETE FROM arch WHERE id = n;
	RAISE 'row % was deleted', n USING ERRCODE = 'assert_failure';
EXCEPTION WHEN restrict_violation THEN
	NULL;
END $$;
});

# Arguments: name of the test, number of clients, attempts of each, whether to
# terminate the recorder again and again.
sub attempts
{
	my ($name, $clients, $each, $terminate) = @_;
	my $before = recorded();
	my ($out, $err) = ('', '');
	my $pgbench = IPC::Run::start(
		[
			'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $each, '-f',
			$attempts, $node->connstr('postgres')
		],
		'>', \$out, '2>', \$err);
	while ($terminate && $pgbench->pumpable)
	{
		$node->safe_psql('postgres',
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'delete_guard recorder'"
		);
		$pgbench->pump_nb;
	}
	ok($pgbench->finish, "$name: each attempt was refused") or diag($err);
	is(recorded() + logged_instead() - $before,
		$clients * $each, "$name: each attempt is recorded once");
}

# Attempts that stand in the server log instead: that is where a record goes
# that two recorders in a row were terminated over.
sub logged_instead
{
	my $log = slurp_file($node->logfile);
	my $logged = () = $log =~ /attempt not stored: \{/g;
	my $after_all = () = $log =~ /was logged as not stored is event/g;
	return $logged - $after_all;
}

sub recorded
{
	return $node->safe_psql('postgres',
		"SELECT count(*) + coalesce(sum(repeats), 0) FROM delete_guard.audit_log WHERE outcome = 'blocked'"
	);
}

attempts('two sessions', 2, 100, 0);
attempts('fifty sessions', 50, 20, 0);
unlike(slurp_file($node->logfile),
	qr/attempt not stored/, 'none went to the server log');
attempts('recorder terminated', 10, 50, 1);

# Records too large for the arena, together with small ones: the recorder takes
# them within its transaction, and survives it.
my $large = "$PostgreSQL::Test::Utils::tmp_check/large.sql";
my $offset = -s $node->logfile;
my $before = recorded();
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION try_large() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		a bigint := nextval('next_id') % 2000;
	BEGIN
		DELETE FROM arch WHERE id BETWEEN a AND a + CASE WHEN a % 2 = 0 THEN 600 ELSE 0 END;
	EXCEPTION WHEN restrict_violation THEN
		NULL;
	END $$});
append_to_file($large, "SELECT try_large();\n");
$node->command_ok(
	[ 'pgbench', '-n', '-c', 6, '-j', 2, '-t', 40, '-f', $large, $node->connstr('postgres') ],
	'large and small records');
is(recorded() - $before, 240, 'each is recorded once');
unlike(slurp_file($node->logfile, $offset), qr/exited with exit code|shared memory leak|not owned by/,
	'and the recorder lives');

$node->stop;
done_testing();
