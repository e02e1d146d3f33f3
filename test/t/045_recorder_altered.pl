# Somebody gives an own table another column, which only a superuser can who
# switches the event triggers off in the catalog.  What was on its way to the
# recorder then goes to the server log; what comes after it is an error, and
# nothing is removed.

use strict;
use warnings;

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "delete_guard.record_timeout = '100s'");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int, what text);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 10) i;
	INSERT INTO assoc SELECT i, 'x' FROM generate_series(1, 9) i;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	UPDATE pg_event_trigger SET evtenabled = 'D';
});

# A session that knows the columns of before.
my ($in, $out, $err) = ('', '', '');
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

# Have it run a statement, up to an answer if there is to be one.
sub say_to_session
{
	my ($sql, $wait) = @_;
	($out, $err) = ('', '');
	$in .= "$sql;\n\\echo done\n";
	$session->pump_nb;
	$session->pump until !$wait || $out =~ /^done$/m;
}

say_to_session('DELETE FROM arch WHERE id = 1', 1);
like($err, qr/^ERROR:  23001: .*approve\(1\)/ms, 'refused');

my $holder = $node->background_psql('postgres');
$holder->query_safe(
	'BEGIN; ALTER TABLE delete_guard.event ADD COLUMN extra int');
my $offset = -s $node->logfile;
say_to_session('DELETE FROM arch WHERE id = 2', 0);
ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'delete_guard recorder' AND wait_event_type = 'Lock'"
	),
	'the recorder waits for the table');
$holder->query_safe('COMMIT');
$holder->quit;
$session->pump until $out =~ /^done$/m;
like($err, qr/^ERROR:  23001: /m, 'refused');
like($err, qr/no request could be stored/, 'the client is told');

my $log = slurp_file($node->logfile, $offset);
like($log, qr/"event" was changed after the record of an attempt was made/,
	'the recorder says why');
my @lines = $log =~ /delete_guard: attempt not stored: (.*)$/mg;
is(scalar @lines, 1, 'one line in the server log');
my $record = eval { decode_json($lines[0]) };
is($record->{event}{table_name}, 'public.arch', 'it is a record');
like($record->{event}{statement}, qr/id = 2/, 'with the statement');
is_deeply($record->{keys}, [ { id => 2 } ], 'the keys');
is($record->{request}{operation}, 'delete', 'and the request');
ok(!exists $record->{event}{extra}, 'with the columns of before');

# From now on.
foreach my $case ([ 3, 'refused' ], [ 10, 'recorded' ])
{
	my ($id, $otherwise) = @$case;

	say_to_session("DELETE FROM arch WHERE id = $id", 1);
	like($err, qr/^ERROR:  55000: table "event" of delete_guard has 28 columns instead of 27$/m,
		"what would be $otherwise is an error");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM arch'),
	'10', 'all rows are still there');
is( $node->safe_psql(
		'postgres',
		"SELECT count(*) FROM delete_guard.event WHERE operation = 'delete'"),
	'1', 'one attempt is stored');

$in .= "\\q\n";
$session->finish;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/,
	'nobody crashed');

$node->stop;
done_testing();
