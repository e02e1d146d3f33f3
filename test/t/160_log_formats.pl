# Alerts in csvlog and jsonlog, read with a CSV and a JSON parser and the
# regular expressions of doc/reference.md.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Expressions as they stand in the documentation.
my $documented = slurp_file('doc/reference.md');
my @expressions = $documented =~ /^\| (?:an alert|its fields|an attempt that is not in `audit_log`) \| `([^`]*)`/mg;
is(scalar @expressions, 3, 'three expressions are documented');
my ($alert, $field, $not_stored) = map { qr/$_/ } @expressions;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
log_filename = 'server.log'
log_min_messages = panic
delete_guard.record_timeout = '1s'
CONF
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE alice LOGIN;
	CREATE EXTENSION delete_guard;
	CREATE TABLE "a ""b"", c;
'd'" (id int PRIMARY KEY, name text);
	INSERT INTO "a ""b"", c;
'd'" VALUES (1, 'x');
	CREATE TABLE arch (id int PRIMARY KEY);
	INSERT INTO arch VALUES (1);
	SELECT delete_guard.protect(c.oid, scope => 'all') FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace;
	SELECT delete_guard.add_approver('alice');
	GRANT ALL ON arch TO alice;
});

my $odd = qq{"a ""b"", c;\n'd'"};
$node->psql('postgres', "DELETE FROM $odd", extra_params => [ '-q' ]);
$node->safe_psql('postgres', qq{SELECT delete_guard.request_delete('arch', 'true', E'say "no",\n\\\\ or; yes\t=')}, extra_params => [ '-U', 'alice' ]);
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE delete_guard.event IN SHARE MODE');
$node->psql('postgres', 'DELETE FROM arch');
$holder->quit;

# Messages of an entry that belong to the guard, as each format has them.
sub csv_messages
{
	my ($text) = @_;
	my (@rows, @row);
	while ($text =~ /\G(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n)/gc)
	{
		my ($quoted, $bare, $end) = ($1, $2, $3);
		push @row, defined $quoted ? $quoted =~ s/""/"/gr : $bare;
		next if $end eq ',';
		push @rows, [@row];
		@row = ();
	}
	is(scalar(grep { @$_ != 26 } @rows), 0, 'csvlog: each entry has 26 columns');
	return map { [ @$_[ 11, 13, 14 ] ] } @rows;
}

sub json_messages
{
	my ($text) = @_;
	return map { my $e = decode_json($_); [ @$e{qw(error_severity message detail)} ] } split /\n/, $text;
}

# The fields of an alert's message.
sub fields
{
	my ($message) = @_;
	my %found;
	while ($message =~ /$field/g) { $found{$1} = $2 }
	for (values %found) { $_ = JSON::PP->new->allow_nonref->decode($_) if /^"/ }
	return \%found;
}

# The collector writes what it has been sent; the last entry tells that it has.
sub entries
{
	my ($suffix, $parse) = @_;
	my $file = $node->data_dir . "/log/server.$suffix";
	for (1 .. 1800)
	{
		last if slurp_file($file) =~ /attempt not stored/ && slurp_file($file) =~ /\n\z/;
		select(undef, undef, undef, 0.1);
	}
	return grep { ($_->[1] // '') =~ /^delete_guard:/ } $parse->(slurp_file($file));
}

for (['csv', \&csv_messages], ['json', \&json_messages])
{
	my ($format, $parse) = @$_;
	my @found = entries($format, $parse);
	my @alerts = grep { $_->[1] =~ $alert } @found;
	is(scalar @alerts, 3, "${format}log: three alerts") or diag explain \@found;
	is(scalar(grep { $_->[0] ne 'LOG' } @alerts), 0, "${format}log: of level LOG");
	my ($added, $blocked, $requested) = map { fields($_->[1]) } @alerts;
	is($added->{operation}, 'add_approver', "${format}log: an approver was added");
	is(decode_json($added->{details})->{role}, 'alice', "${format}log: the details are JSON");
	is("$blocked->{outcome} $blocked->{operation} $blocked->{rows} $blocked->{database}", 'blocked delete 1 postgres', "${format}log: the attempt");
	is($blocked->{table}, "public.$odd", "${format}log: an odd name is exact");
	is("$requested->{outcome} $requested->{person} $requested->{table}", 'requested alice public.arch', "${format}log: the request");
	is($requested->{reason}, qq{say "no",\n\\ or; yes\t=}, "${format}log: an odd reason is exact");

	my @lost = map { $_->[1] =~ $not_stored ? $1 : () } @found;
	is(scalar @lost, 1, "${format}log: one attempt not stored");
	is(decode_json($lost[0])->{event}{table_name}, 'public.arch', "${format}log: its record is JSON");
	my ($entry) = grep { $_->[1] =~ $not_stored } @found;
	like($entry->[2], qr/recorder/, "${format}log: the reason is the detail");
}

$node->stop;
done_testing();
