# Alerts: a notification on the channel "delete_guard" and a line in the server
# log for what was refused and for what was approved, and for nothing else.

use strict;
use warnings;

use Encode qw(encode_utf8);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "log_min_messages = panic\nlog_min_error_statement = panic");
$node->start;

$node->safe_psql(
	'postgres', qq{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE "a""li\\ce 'x'" LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY, name text);
	CREATE TABLE assoc (arch_id int);
	CREATE TABLE pkg (arch_id int REFERENCES arch ON DELETE CASCADE);
	INSERT INTO arch SELECT i, 'arch ' || i FROM generate_series(1, 5000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 3000) i;
	INSERT INTO assoc SELECT i FROM generate_series(1, 100) i;
	INSERT INTO pkg SELECT 1 FROM generate_series(1, 7) i;
	CREATE SCHEMA "sch""ema \\ '%;";
	CREATE TABLE "sch""ema \\ '%;"."t""able \\ '%;\t\n" ("i""d" text PRIMARY KEY);
	INSERT INTO "sch""ema \\ '%;"."t""able \\ '%;\t\n" SELECT repeat('\\"', 100) || i FROM generate_series(1, 2000) i;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
	SELECT delete_guard.protect('arch');
	SELECT delete_guard.declare_reference('assoc', '{arch_id}', 'arch');
	SELECT delete_guard.protect(oid, scope => 'all') FROM pg_class WHERE relname LIKE 't"able%' AND relkind = 'r';
	SELECT delete_guard.add_approver('bob');
});

my $listener = $node->background_psql('postgres');
$listener->query_safe('LISTEN delete_guard');
my $offset = -s $node->logfile;

# Run SQL as somebody; returns stderr.
sub as { return as_in('postgres', @_) }

sub as_in
{
	my ($database, $who, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($database, $sql, extra_params => [ '-U', $who ]);
	return $stderr;
}

# Payloads since the last time, in order.  A notification of the test's own
# marks the end.
my $mark = 0;

sub payloads
{
	my $out = '';
	$mark++;
	$node->safe_psql('postgres', "NOTIFY delete_guard, 'mark $mark'");
	for (1 .. 600)
	{
		$out .= $listener->query('SELECT pg_sleep(0.01)');
		last if $out =~ /"mark $mark"/;
	}
	die 'no mark' unless $out =~ /"mark $mark"/;
	return grep { !/^mark/ } $out =~ /Asynchronous notification "delete_guard" with payload "(.*)" received from server process/g;
}

# Lines of the server log since the last time.
sub lines
{
	my @found = slurp_file($node->logfile, $offset) =~ /LOG:  (delete_guard: event=.*)$/mg;
	$offset = -s $node->logfile;
	return @found;
}

# One payload, decoded.
sub one
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @payloads = payloads();
	is(scalar @payloads, 1, "$name: one notification");
	cmp_ok(length($payloads[0] // ''), '<', 8000, "$name: not too long");
	my $decoded = eval { decode_json($payloads[0]) } // {};
	is(join(' ', sort keys %$decoded), 'application approved_by client database dependents details event operation outcome person radius reason request rows table version', "$name: JSON with the documented keys");
	return $decoded;
}

# A refused attempt arrives although its transaction is rolled back.
my ($r) = as('alice', 'BEGIN; DELETE FROM arch WHERE id = 1; ROLLBACK') =~ /approve\((\d+)\)/;
my $alert = one('refused');
my $event = $node->safe_psql('postgres', "SELECT event_id FROM delete_guard.audit_log WHERE outcome = 'blocked' ORDER BY 1 DESC LIMIT 1");
is_deeply($alert, {
		version => 1, event => $event + 0, operation => 'delete', outcome => 'blocked', person => 'alice', request => $r + 0,
		rows => 1, table => 'public.arch', database => 'postgres', application => '107_alerts.pl', client => undef,
		approved_by => undef, reason => undef, details => undef, dependents => 9,
		radius => { delete => 7, dangle => 2, refuse => 0, 'set null' => 0, 'set default' => 0 } },
	'refused: what it says') or diag explain $alert;
my @lines = lines();
is(scalar @lines, 1, 'refused: one line in the log, whatever log_min_messages is');
is($lines[0], "delete_guard: event=$event outcome=blocked operation=delete table=public.arch rows=1 person=alice request=$r application=107_alerts.pl dependents=9 database=postgres", 'refused: what it says');

# Approved: with the commit, and not without.
as('bob', "SELECT delete_guard.approve($r)");
is(scalar(payloads()), 0, 'an approval alone raises no alert');
lines();
as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; ROLLBACK");
is(scalar(payloads()), 0, 'approved and rolled back: no notification');
lines();
as('alice', "BEGIN; SET LOCAL delete_guard.approval = $r; DELETE FROM arch WHERE id = 1; COMMIT");
$alert = one('approved');
is("$alert->{outcome} $alert->{person} $alert->{approved_by} $alert->{request} $alert->{rows} $alert->{radius}{delete}", "approved alice bob $r 1 7", 'approved: what it says');
like((lines())[0] // '', qr/^delete_guard: event=\d+ outcome=approved operation=delete table=public\.arch rows=1 person=alice request=$r approved_by=bob application=\S+ dependents=9 database=postgres$/, 'approved: one line in the log');

# Nothing else.
as('alice', 'DELETE FROM arch WHERE id = 4000; DELETE FROM assoc WHERE arch_id = 2; UPDATE arch SET name = $$x$%; TRUNCATE pkg');
is(scalar(payloads()), 0, 'what needs no approval raises no alert');
is(scalar(lines()), 0, 'and no line in the log');

# Key changes, TRUNCATE, many rows, odd names.
as('alice', 'UPDATE arch SET id = -id WHERE id = 3');
is(one('key change')->{operation}, 'key change', 'key change: named so');
as('alice', 'TRUNCATE arch CASCADE');
is(one('truncate')->{operation}, 'truncate', 'truncate: named so');
as('alice', 'DELETE FROM arch');
$alert = one('many rows');
is("$alert->{rows} $alert->{radius}{dangle}", '4998 3096', 'many rows: counted');
lines();
as($node->safe_psql('postgres', 'SELECT current_user'), qq{DELETE FROM "sch""ema \\ '%;"."t""able \\ '%;\t\n"});
$alert = one('odd names');
is($alert->{table}, qq{"sch""ema \\ '%;"."t""able \\ '%;\t\n"}, 'odd names: exact');
@lines = lines();
is(scalar @lines, 1, 'odd names: one line in the log');
like($lines[0] // '', qr/rows=2000 person=\S+ request=\d+ application=107_alerts.pl dependents=0 database=postgres$/, 'odd names: not broken up');
as(q{a"li\\ce 'x'}, 'DELETE FROM arch WHERE id = 5');
is(one('odd person')->{person}, q{a"li\\ce 'x'}, 'odd person: exact');
like((lines())[0] // '', qr/person="a\\"li\\\\ce 'x'" request=\d+ /, 'odd person: quoted in the log');

# A request that waits, and what weakens the guard.
as('alice', q{SELECT delete_guard.request_delete('arch', 'id = 6', E'because\n' || repeat(U&'\\263A\0001"', 4000))});
$alert = one('request');
is("$alert->{outcome} $alert->{person} $alert->{rows}", 'requested alice 1', 'request: what it says');
like($alert->{reason}, qr/^because\n(\x{263a}\x{01}")+\x{263a}?\x{01}?$/, 'request: its reason, cut at a character');
cmp_ok(length(encode_utf8($alert->{reason})), '>', 200, 'request: not cut too short');
is(scalar(lines()), 1, 'request: one line in the log');
# Changes of settings that somebody else has approved.
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub agreed
{
	my ($sql) = @_;
	my ($request) = as($superuser, $sql) =~ /approve\((\d+)\)/;
	as('bob', "SELECT delete_guard.approve($request)");
	payloads();
	lines();
	as($superuser, "BEGIN; SET LOCAL delete_guard.approval = $request; $sql; COMMIT");
}

for my $function (qw(add_approver remove_approver))
{
	my $action = "SELECT delete_guard.$function('alice', 'public.arch')";
	agreed("SELECT delete_guard.$function('alice', 'arch')");
	$alert = one($function);
	is_deeply([ @$alert{qw(operation outcome table approved_by details)} ],
		[ $function, 'approved', 'public.arch', 'bob', { role => 'alice', action => $action } ], "$function: what it says")
	  or diag explain $alert;
	like((lines())[0] // '', qr/ details="\{\\"role\\": \\"alice\\", /, "$function: the details are quoted in the log");
}
agreed("SELECT delete_guard.forget_reference('assoc_arch_id')");
is(one('forget_reference')->{operation}, 'forget_reference', 'forget_reference: named so');
agreed("SELECT delete_guard.unprotect('arch')");
is(one('unprotect')->{operation}, 'unprotect', 'unprotect: named so');
$node->safe_psql('postgres', q{SELECT delete_guard.protect('arch', 'log')});
is(scalar(payloads()), 0, 'protect() raises no alert');
$node->safe_psql('postgres', q{SELECT delete_guard.unprotect('arch')});
is(one('unprotect freely')->{outcome}, 'done', 'unprotect in mode log: free, with an alert');

# A setting made weaker while there is no approver: it goes through, and is told.
$node->safe_psql('postgres', 'CREATE DATABASE free');
$node->safe_psql('free', q{
	CREATE EXTENSION delete_guard;
	CREATE TABLE arch (id int PRIMARY KEY);
	SELECT delete_guard.protect('arch', scope => 'all', approvals => 2)});
lines();
for my $settings (q{approvals => 1, scope => 'all'}, q{approvals => 1}, q{'log'})
{
	my $out = $node->safe_psql('free', "LISTEN delete_guard; SELECT delete_guard.protect('arch', $settings)");
	my ($payload) = $out =~ /with payload "(.*)" received/;
	is(eval { decode_json($payload)->{outcome} }, 'weakened', "protect() with $settings: a notification");
	like((lines())[0] // '', qr/^delete_guard: event=\d+ outcome=weakened operation=protect table=public\.arch /, "protect() with $settings: a line in the log");
}
is(scalar(() = $node->safe_psql('free', q{LISTEN delete_guard; SELECT delete_guard.protect('arch')}) =~ /payload/g), 0, 'protect() that makes it stronger: none');
is(scalar(lines()), 0, 'and no line');

# Names of roles are bytes of the database in which they were made.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
my $foreign = "r\xe9s";
$node->safe_psql('latin', qq{SET client_encoding = 'LATIN1'; CREATE ROLE "$foreign" LOGIN SUPERUSER});
$node->safe_psql('free', q{
	CREATE TABLE loose (arch_id int);
	INSERT INTO arch VALUES (1);
	INSERT INTO loose VALUES (1);
	SELECT delete_guard.declare_reference('loose', '{arch_id}', 'arch');
	SELECT delete_guard.protect('arch')});
lines();
as_in('free', $foreign, 'DELETE FROM arch');
like((lines())[0] // '', qr/ person=r\?s /, 'a name in another encoding is told as far as it is valid');

$listener->quit;
$node->stop;
done_testing();
