# Nothing that the owner of a database sets for it stops or softens recording.
#
# Routes: 153, 154

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres',
	'CREATE ROLE alice LOGIN; CREATE DATABASE shop OWNER alice');
$node->safe_psql(
	'shop', q{
	CREATE EXTENSION delete_guard;
	SET ROLE alice;
	CREATE SCHEMA a;
	CREATE TABLE a.arch (id int PRIMARY KEY, name text);
	CREATE TABLE a.assoc (arch_id int, what text);
	INSERT INTO a.arch SELECT i, 'arch ' || i FROM generate_series(1, 100) i;
	INSERT INTO a.assoc SELECT i, 'x' FROM generate_series(1, 100) i;
	RESET ROLE;
	SELECT delete_guard.protect('a.arch');
	SELECT delete_guard.declare_reference('a.assoc', '{arch_id}', 'a.arch');
});

my @settings = (
	"default_transaction_read_only = on",
	"default_transaction_isolation = 'serializable'",
	"default_transaction_deferrable = on",
	"synchronous_commit = off",
	"lock_timeout = '1ms'",
	"statement_timeout = '1ms'",
	"idle_in_transaction_session_timeout = '1ms'",
	"search_path = nowhere",
	"role = pg_monitor",
	"row_security = off",
	"exit_on_error = on",
	"datestyle = 'german, dmy'",
	"intervalstyle = 'sql_standard'",
	"timezone = 'Asia/Tokyo'",
	"bytea_output = 'escape'",
	"client_encoding = 'latin1'",
	"jit_above_cost = 0",
	"work_mem = '64kB'",
	"array_nulls = off",
	"plan_cache_mode = 'force_custom_plan'");
push @settings, "transaction_timeout = '1ms'"
  if $node->pg_version >= 17;
$node->safe_psql('postgres',
	join(';', map { "ALTER DATABASE shop SET $_" } @settings));

# The sessions of this test do without them.
$ENV{PGOPTIONS} =
    '-c statement_timeout=0 -c role=none -c exit_on_error=off'
  . ' -c idle_in_transaction_session_timeout=0'
  . ' -c default_transaction_read_only=off'
  . ($node->pg_version >= 17 ? ' -c transaction_timeout=0' : '');

my $blocked =
  "SELECT count(*) FROM delete_guard.audit_log WHERE outcome = 'blocked'";
my ($rc, $stdout, $stderr);

$node->psql(
	'shop', 'DELETE FROM a.arch WHERE id = 1',
	stderr => \$stderr,
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($stderr, qr/23001/, 'refused');
is($node->safe_psql('shop', $blocked),
	'1', 'recorded against all database settings');
is( $node->safe_psql(
		'shop', q{
	SELECT abs(extract(epoch FROM clock_timestamp() - occurred_at)) < 600
	  FROM delete_guard.audit_log WHERE outcome = 'blocked'}),
	't',
	'with the right time');
$node->stop('immediate');
$node->start;
is($node->safe_psql('shop', $blocked),
	'1', 'and on disk in spite of synchronous_commit');

# A session goes on after its database was closed for new ones, and the
# recorder has ended: the next one gets in all the same.
my $session = $node->background_psql('shop', on_error_stop => 0);
$node->safe_psql('postgres',
	'ALTER DATABASE shop ALLOW_CONNECTIONS false CONNECTION LIMIT 0');
ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'delete_guard recorder'"
	),
	'no recorder is there');
$session->query('DELETE FROM a.arch WHERE id = 2');
is($session->query($blocked),
	'2', 'recorded in a database that takes no connections');
$session->quit;
$node->safe_psql('postgres',
	'ALTER DATABASE shop ALLOW_CONNECTIONS true CONNECTION LIMIT -1');
is($node->safe_psql('shop', 'SELECT count(*) FROM a.arch'),
	'100', 'all rows are still there');

$node->stop;
done_testing();
