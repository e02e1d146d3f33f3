# A session that is cancelled, timed out or terminated while its attempt is
# being recorded does not take the record with it.
#
# Routes: 151, 156

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
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int, what text);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO assoc SELECT i, 'x' FROM generate_series(1, 100) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
});

my $blocked = "SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'";

# statement_timeout: a statement may run out of time before the guard sees it,
# but one that was refused is recorded.
my $script = join('',
	map { "SET statement_timeout = '${_}ms';\nDELETE FROM arch WHERE id = $_;\n" }
	  1 .. 40);
my ($rc, $stdout, $stderr) = $node->psql(
	'postgres', $script,
	on_error_stop => 0,
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
my $refused = () = $stderr =~ /ERROR:  23001:/g;
my $cancelled = () = $stderr =~ /ERROR:  57014:/g;
is($refused + $cancelled, 40, 'each statement was refused or cancelled');
ok($refused > 0, 'some were refused within the timeout');
cmp_ok($node->safe_psql('postgres', $blocked),
	'>=', $refused, 'no refused attempt is lost to statement_timeout');

# Cancel and terminate while the record waits: somebody else holds a lock that
# the recorder needs.
my $id = 50;
for my $kind ('cancel', 'terminate')
{
	$id++;
	my $holder = $node->background_psql('postgres');
	$holder->query_safe(
		'BEGIN; LOCK TABLE delete_guard.event IN SHARE MODE');

	my $victim = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $victim->query_safe('SELECT pg_backend_pid()');
	$victim->query_until(qr/begun/,
		"\\echo begun\nDELETE FROM arch WHERE id = $id;\n");
	ok( $node->poll_query_until(
			'postgres',
			"SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid"
		),
		"$kind: the session waits for its record");
	is($node->safe_psql('postgres', "SELECT pg_${kind}_backend($pid)"),
		't', "$kind: signal sent");

	# It must go on waiting; a look at it that takes a transaction is enough.
	is( $node->safe_psql(
			'postgres',
			"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid"),
		'Extension',
		"$kind: it goes on waiting");
	$holder->query_safe('COMMIT');
	$holder->quit;
	ok( $node->poll_query_until(
			'postgres', "$blocked AND statement LIKE '%id = $id%'", '1'),
		"$kind: the attempt is recorded");
	ok( $node->poll_query_until(
			'postgres',
			"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid AND state = 'active')"
		),
		"$kind: the session has ended its statement");
	eval { $victim->quit };
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM arch'),
	'100', 'all rows are still there');

$node->stop;
done_testing();
