# restore() is exact for every type: rows with values at the edges of all built-in
# types, of types that users make and of contrib's are deleted and restored under
# settings that change how values are printed and read, and are then the same to
# the last bit; and so they are when the audit log was dumped and restored into
# another cluster, where OIDs and column numbers differ.
#
# DG_BIG_VALUES=1 adds values of some 300 MB (and a bytea too long to be printed,
# in a database of its own, as pg_dump cannot take that); that takes about 4 GB of
# memory and some minutes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

# First the columns, then a line per row.
my $definitions = <<'TABLES';
= numbers
a int2, b int8, c numeric, d numeric(10, 3), e real, f float8, g money, h oid, i bool, j bit(5), k varbit, l varbit(9)
-32768, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', 4294967295, true, B'10101', B'', B'1'
32767, 9223372036854775807, 'Infinity', -1234567.891, 'Infinity', '-Infinity', '92233720368547758.07', 0, false, B'00000', repeat('10', 500)::varbit, B'101010101'
0, 0, '-Infinity', 0.000, '-0', '-0', '0.01', 1, NULL, NULL, NULL, NULL
1, 1, 1.00000000000000000000, 1.5, 0.1, 0.1, NULL, NULL, NULL, B'11111', NULL, NULL
NULL, NULL, -0.000, NULL, 3.4028235e38, 1.7976931348623157e308, NULL, NULL, NULL, NULL, NULL, NULL
NULL, NULL, (10::numeric ^ 1000) + 1, NULL, 1e-45, 5e-324, NULL, NULL, NULL, NULL, NULL, NULL
NULL, NULL, ('0.' || repeat('0', 900) || '1')::numeric, NULL, 0.1234567890123456, 0.1234567890123456, NULL, NULL, NULL, NULL, NULL, NULL
= times
a date, b time, c time(3), d timetz, e timestamp, f timestamp(0), g timestamptz, h interval, i interval year to month, j interval second(2)
'infinity', '24:00:00', '23:59:59.999', '24:00:00+15:59:59', 'infinity', 'infinity', 'infinity', '178000000 years', '178000000 years', '1.239 s'
'-infinity', '00:00', '00:00', '00:00-15:59:59', '-infinity', '-infinity', '-infinity', '-178000000 years -11 mons', '-1 month', '-1.239 s'
'4714-11-24 BC', '12:34:56.789012', '12:34:56.789', '12:34:56.789012+02', '4714-11-24 00:00:00 BC', '2000-02-29', '4714-11-24 00:00:00+00 BC', '-1 year +2 mons -3 days +04:05:06.789', NULL, NULL
'5874897-12-31', '00:00:00.000001', NULL, '01:02:03+05:30', '294276-12-31 23:59:59.999999', NULL, '294276-12-31 23:59:59.999999+00', '00:00:00.000001', NULL, NULL
'2001-02-03', NULL, NULL, '01:02:03.4-00:01', '2001-02-03 04:05:06', NULL, '2023-10-29 02:30:00+01', '1 day -24:00', NULL, NULL
'0001-01-01 BC', NULL, NULL, NULL, '0001-12-31 BC', NULL, '2023-10-29 02:30:00+02', '2147483647 days -9223372036854.775807 s', NULL, NULL
= texts
a text, b varchar(30), c char(10), d name, e "char", f bytea, g uuid, h xml, i json, j jsonb, k tsvector, l tsquery, m bpchar
'', '', '', '', 'a', '', '00000000-0000-0000-0000-000000000000', '', '{}', '{}', '', '', 'a  '
'äöü €', 'NULL', 'null', repeat('n', 63), '"', '\x00ff5c27', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '<a b="c">d</a>', ' { "a" : 1, "a" : 2 } ', '{"a": [1, 2.50, "x", null, true], "": {}}', 'a:1A b:2,3 ''it''''s''', 'a & !b:*A <-> c', '  '
E'\n\t\r\b\f\\"''/', ' lead', 'trail  ', 'x', '\', NULL, NULL, 'plain &amp; <b/>', '"\u0000"', '"text"', NULL, NULL, NULL
E'\x01\x1f\x7f', 'trail ', ' ', NULL, ' ', ('\x' || repeat('00', 3000))::bytea, NULL, '<r/>', '[1e400]', '1e400', NULL, NULL, NULL
'null', '{}', '[]', 'true', '0', NULL, NULL, '<!DOCTYPE r [<!ENTITY e "x">]><r>&e;</r>', 'null', 'null', NULL, NULL, NULL
'x', NULL, NULL, NULL, '', NULL, NULL, NULL, '{"deep": [[[{"k": 1.0}]]]}', '[null]', NULL, NULL, NULL
repeat('ä', 200000), NULL, NULL, NULL, NULL, decode(repeat('ab', 100000), 'hex'), NULL, NULL, ('"' || repeat('x', 100000) || '"')::json, to_jsonb(repeat('y', 100000)), NULL, NULL, NULL
= declaration
x xml
'<?xml version="1.0"?><r/>'
= places
a point, b line, c lseg, d box, e path, f polygon, g circle, h inet, i cidr, j macaddr, k macaddr8, l pg_lsn, m pg_snapshot, n xid8, o xid, p cid, q tid, r txid_snapshot, s refcursor
'(-0,NaN)', '{0.1,-1,5e-324}', '[(0.1,0.2),(1e300,Infinity)]', '(1,2),(0,-0)', '[(0,0),(1,1)]', '((0,0),(1,1),(0.3,0.7))', '<(0.1,0.2),3>', '::ffff:1.2.3.4/128', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '18446744073709551615', '4294967295', '4294967295', '(4294967295,65535)', '10:20:10,14', 'x'
NULL, NULL, NULL, NULL, '((0,0),(1,1))', NULL, NULL, '192.168.100.128/25', '::/0', NULL, NULL, '0/0', NULL, '0', NULL, NULL, NULL, NULL, NULL
= ranges
a int4range, b numrange, c tsrange, d tstzrange, e daterange, f int8range, g int4multirange, h nummultirange, i tstzmultirange
'empty', '(,)', '(,2020-01-01)', '["2020-01-01 00:00+00",infinity)', '[-infinity,infinity]', '[-9223372036854775808,9223372036854775807)', '{}', '{[1.0,2.00),(3,)}', '{["2020-01-01 00:00+02","2020-01-02 00:00+02")}'
'[1,2]', '(1.10,1.100]', '["2020-01-01 12:00:00.000001",]', '(,)', 'empty', NULL, '{[1,3),[5,7)}', '{}', NULL
= arrays
a int[], b text[], c numeric[][], d timestamptz[], e jsonb[], f float8[], g bytea[], h int4range[], i int2vector, j oidvector, k interval[], l money[], m xml[], n char(3)[]
'{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '', '', '{}', '{}', '{}', '{}'
'[0:1]={1,2}', ARRAY['', 'NULL', NULL, ' a ', '"', '\', '{}', ','], '[-1:0][5:6]={{1.0,2.00},{NULL,NaN}}', ARRAY['2020-01-01 00:00+02', 'infinity']::timestamptz[], ARRAY['null', '{"a": 1}', '"\""']::jsonb[], '{-0,NaN,0.1,Infinity}', ARRAY['\x00', '\x5c22']::bytea[], '{"[1,2)",empty}', '1 2', '3 4', ARRAY['-1 day +02:00', '1 mon']::interval[], ARRAY['-1.50'::money], ARRAY['<a/>', 'b']::xml[], ARRAY['a', 'b  ']::char(3)[]
ARRAY[NULL]::int[], NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
= own
a mood, b mood[], c posint, d jdom, e tdom, f pair, g nested, h pairdom, i frange, j fmultirange, k tdom[], l jdom[], m bdom, n altered
'sad', '{"O''Hara \"x\"",""}', 1, '{"a": [1]}', '2023-06-20 12:32+02', ROW(1, 'x,"(y)', '2020-01-01 00:00+05'), ROW(ROW(NULL, '', NULL), ARRAY[ROW(1, NULL, 'infinity')]::pair[], ''), ROW(3, ' ', NULL), '[-0,0.1]', '{[0.1,0.2)}', '{"2020-01-01 00:00+05"}', ARRAY['null', '{"b": 1.0}']::jdom[], 'true', ROW(1, 'kept')
'', '{}', NULL, 'null', NULL, ROW(NULL, NULL, NULL), NULL, ROW(1, NULL, '-infinity'), 'empty', '{}', '{}', NULL, NULL, NULL
= names
"A" text, "a b" text, "quote""d" text, "ä" text, n text, _n text, dg_n text, dg_e text, dg_t text, dg_k1 text, new_1 text, "012345678901234567890123456789012345678901234567890123456789012" text
'1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'
= dropped
x1 text, a int, x2 int[], b text, x3 jsonb
'gone', 1, '{1}', 'b', '{}'
NULL, NULL, NULL, NULL, NULL
TABLES

# The same for contrib's types; the extension has the table's name.
my $contrib_definitions = <<'TABLES';
= hstore
h hstore, i hstore[]
'"a"=>"1", "q\"uo"=>NULL, ""=>"NULL", " "=>"\\"', ARRAY['a=>b'::hstore, '']
'', NULL
= citext
c citext, d citext[]
'MiXed', '{A,a}'
'', NULL
= ltree
l ltree, q lquery, t ltxtquery, a ltree[]
'Top.Science.A_1', '*.a*@{1,2}.!b|c', 'a* & !b@', '{a.b,""}'
'', NULL, NULL, '{}'
= cube
c cube
'(0.1,-0,1e-300),(3,4,5)'
'(1)'
'(0)'
= isn
a isbn13, b issn, c ean13, d upc
'978-0-393-04002-9', '1436-4522', '0220356483481', '220356483481'
'9780393040029!', NULL, '0220356483480!', NULL
= seg
s seg
'1.5 .. 3.20'
'~5(+-)0.3'
= intarray
q query_int
'1&(2|!3)'
TABLES

# Name => [columns, rows]
sub parse
{
	my %tables;
	my $name;
	foreach my $line (split /\n/, shift)
	{
		if ($line =~ /^= (\w+)$/) { $name = $1 }
		else { push @{ $tables{$name} }, $line }
	}
	return %tables;
}
my %tables = parse($definitions);
my %contrib = parse($contrib_definitions);

my $available = $node->safe_psql('postgres', 'SELECT name FROM pg_available_extensions');
my @contrib = grep { $available =~ /^$_$/m } sort keys %contrib;
note('without ' . join(', ', grep { my $c = $_; !grep { $_ eq $c } @contrib } sort keys %contrib)) if @contrib < keys %contrib;

$node->safe_psql(
	'postgres', q{
	CREATE ROLE keeper LOGIN;
	CREATE ROLE alice LOGIN;
	CREATE DATABASE types OWNER keeper;
});
$node->safe_psql('types', join("\n", 'CREATE EXTENSION delete_guard;', map { "CREATE EXTENSION $_;" } @contrib));
$node->safe_psql('types', q{
	GRANT CREATE ON SCHEMA public TO keeper;
	GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO keeper, alice;
	SET ROLE keeper;
	CREATE TYPE mood AS ENUM ('sad', 'O''Hara "x"', '');
	CREATE DOMAIN posint AS int CHECK (VALUE > 0);
	CREATE DOMAIN jdom AS jsonb;
	CREATE DOMAIN bdom AS bool;
	CREATE DOMAIN tdom AS timestamptz;
	CREATE TYPE pair AS (a int, "B c" text, t timestamptz);
	CREATE TYPE nested AS (p pair, l pair[], m mood);
	CREATE DOMAIN pairdom AS pair CHECK ((VALUE).a IS NOT NULL OR VALUE IS NULL);
	CREATE TYPE frange AS RANGE (subtype = float8);
	CREATE TYPE altered AS (a int, gone text, b text);
	ALTER TYPE altered DROP ATTRIBUTE gone;
});
my @names = sort keys %tables;
push @names, $_ foreach @contrib;
foreach my $name (@names)
{
	my ($columns, @rows) = @{ $tables{$name} // $contrib{$name} };
	my $i = 0;
	my $values = join(",\n", map { $i++; "($i, $_)" } @rows);
	$node->safe_psql('types', "SET ROLE keeper; CREATE TABLE t_$name (id int PRIMARY KEY, $columns); SELECT delete_guard.protect('t_$name', 'log');
		INSERT INTO t_$name VALUES $values; GRANT ALL ON t_$name TO alice");
}
$node->safe_psql('types', 'SET ROLE keeper; ALTER TABLE t_dropped DROP x1, DROP x2, DROP x3; ALTER TABLE t_dropped ADD late jsonb DEFAULT $$null$$');

if ($ENV{DG_BIG_VALUES})
{
	push @names, 'big';
	$node->safe_psql('types', q{
		SET ROLE keeper;
		CREATE TABLE t_big (id int PRIMARY KEY, t text, b bytea, j json);
		SELECT delete_guard.protect('t_big', 'log');
		GRANT ALL ON t_big TO alice;
		INSERT INTO t_big VALUES (1, repeat('0123456789', 30000000), NULL, NULL);
		INSERT INTO t_big VALUES (2, 'small', convert_to(repeat('0123456789', 15000000), 'UTF8'), NULL);
		INSERT INTO t_big VALUES (4, 'small', NULL, ('"' || repeat('x', 280000000) || '"')::json);
	});
}
$node->safe_psql('types', "SET ROLE keeper; CREATE TABLE b_$_ AS TABLE t_$_") foreach @names;

# Settings that change what is printed, and what is understood.
# 19 knows only strings as the standard has them
my ($major) = $node->pg_version =~ /^(\d+)/;
my @old_strings = $major < 19 ? ('SET standard_conforming_strings = off; SET backslash_quote = off;', 'SET escape_string_warning = on;') : ('', '');
my @hostile = (
	q{SET datestyle = 'German, DMY'; SET intervalstyle = 'sql_standard'; SET timezone = 'Asia/Kathmandu'; SET extra_float_digits = -15;
	  SET bytea_output = 'escape'; SET quote_all_identifiers = on; SET xmlbinary = 'hex'; SET xmloption = 'document'; SET array_nulls = off;},
	q{SET datestyle = 'SQL, MDY'; SET intervalstyle = 'iso_8601'; SET timezone = 'America/St_Johns'; SET extra_float_digits = 3;
	  SET search_path = pg_temp; SET default_text_search_config = 'pg_catalog.german';} . $old_strings[0],
	q{SET datestyle = 'Postgres, YMD'; SET intervalstyle = 'postgres_verbose'; SET timezone = 'UTC'; SET row_security = off; SET transform_null_equals = on;
	  SET work_mem = '64kB'; SET enable_hashjoin = off; SET jit = off;} . $old_strings[1],
);
# The locale of money, where the machine has another one.
my $locale = $node->safe_psql('types', q{SELECT coalesce(max(collcollate), '') FROM pg_collation WHERE collcollate ~ '^(de|fr|ja)_.*utf-?8$'});

sub same_as_before
{
	my ($server, $db, $name, $what) = @_;
	is($server->safe_psql($db, "SELECT count(*) FILTER (WHERE b.id IS NULL OR t.id IS NULL), count(b.id) > 0
		FROM b_$name b FULL JOIN t_$name t ON (b.*) OPERATOR(pg_catalog.*=) (t.*)"), '0|t', $what);
}

# Run as alice in one session; returns what is printed
sub as_alice
{
	my ($server, $db, $sql) = @_;
	my ($rc, $out, $err) = $server->psql($db, $sql, on_error_stop => 1, extra_params => [ '-U', 'alice' ]);
	$err =~ s/^.*NOTICE:  text-search query doesn't contain lexemes.*\n?//mg;    # what the type's input function says
	is($err, '', "no error or warning in: " . substr($sql, -80));
	return $out;
}
sub removal
{
	my ($name) = @_;
	return "(SELECT max(event_id) FROM delete_guard.audit_log WHERE table_name = 'public.t_$name' AND operation = 'delete')";
}

foreach my $name (@names)
{
	my $round = 0;
	foreach my $settings ($name eq 'big' ? $hostile[0] : @hostile)
	{
		my $other = $hostile[ ($round + 1) % @hostile ];
		my $money = $locale ne '' && $round == 0 ? "SET lc_monetary = '$locale';" : '';
		$round++;
		as_alice($node, 'types', "$settings $money DELETE FROM public.t_$name");
		is(as_alice($node, 'types', "RESET ALL; $other $money SELECT count(*) FROM delete_guard.restore(" . removal($name) . ") WHERE action OPERATOR(pg_catalog.=) 'insert'"),
			$node->safe_psql('types', "SELECT count(*) FROM b_$name"), "$name: all rows came back under settings $round");
		same_as_before($node, 'types', $name, "$name: the same to the last bit");
	}
	as_alice($node, 'types', "$hostile[0] DELETE FROM public.t_$name");
}

if ($ENV{DG_BIG_VALUES})
{
	$node->safe_psql('postgres', 'CREATE DATABASE huge OWNER keeper');
	$node->safe_psql('huge', q{
		CREATE EXTENSION delete_guard;
		GRANT SELECT ON delete_guard.audit_log, delete_guard.audit_rows TO alice;
		GRANT CREATE ON SCHEMA public TO keeper;
		SET ROLE keeper;
		CREATE TABLE t_huge (id int PRIMARY KEY, b bytea);
		SELECT delete_guard.protect('t_huge', 'log');
		GRANT ALL ON t_huge TO alice;
		INSERT INTO t_huge VALUES (1, convert_to(repeat('0123456789', 60000000), 'UTF8'));
		CREATE TABLE b_huge AS TABLE t_huge;
	});
	as_alice($node, 'huge', "$hostile[0] DELETE FROM public.t_huge");
	is(as_alice($node, 'huge', "$hostile[1] SELECT count(*) FROM delete_guard.restore(" . removal('huge') . ')'), '1', 'huge: the row came back');
	same_as_before($node, 'huge', 'huge', 'huge: the same to the last bit');
}

# Into another cluster, by names: OIDs differ and columns have other numbers.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "fsync = off\n");
$other->start;
$other->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; CREATE ROLE alice LOGIN; CREATE DATABASE types OWNER keeper');
$other->safe_psql('types', 'CREATE TABLE first (a int, b text)');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('types') ], 'pg_dump');
$other->command_ok([ 'pg_restore', '-e', '-d', $other->connstr('types'), $dump ], 'pg_restore into another cluster');
isnt($other->safe_psql('types', "SELECT 't_dropped'::regclass::oid"), $node->safe_psql('types', "SELECT 't_dropped'::regclass::oid"), 'OIDs differ');
isnt($other->safe_psql('types', "SELECT attnum FROM pg_attribute WHERE attrelid = 't_dropped'::regclass AND attname = 'late'"),
	$node->safe_psql('types', "SELECT attnum FROM pg_attribute WHERE attrelid = 't_dropped'::regclass AND attname = 'late'"), 'column numbers differ');
foreach my $name (@names)
{
	as_alice($other, 'types', "$hostile[1] SELECT count(*) FROM delete_guard.restore(" . removal($name) . ')');
	same_as_before($other, 'types', $name, "$name: the same in another cluster") if $name ne 'declaration';
}

# (pg_dump itself leaves the declaration of an XML document out, so the copy has none; the audit log has it.)
is($other->safe_psql('types', 'SELECT xmlserialize(CONTENT x AS text) FROM t_declaration'), '<?xml version="1.0"?><r/>', 'declaration: the same in another cluster');

# A table of another cluster that has the recorded OID by accident is not touched.
$node->safe_psql('types', 'SET ROLE keeper; CREATE TABLE later (id int PRIMARY KEY); GRANT ALL ON later TO alice');
$node->safe_psql('types', q{SELECT delete_guard.protect('later', 'log'); INSERT INTO later VALUES (1); DELETE FROM later});
# own tables refuse everybody: their triggers are off for a moment, which takes an edit of the catalog
$node->safe_psql('types', q{UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'delete_guard.origin'::regclass});
$node->safe_psql('types', 'UPDATE delete_guard.origin SET origin = origin + 1');
$node->safe_psql('types', q{UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'delete_guard.origin'::regclass});
$node->safe_psql('types', 'ALTER TABLE later RENAME TO renamed_later');
my ($rc, $out, $err) = $node->psql('types', q{SELECT delete_guard.restore((SELECT max(event_id) FROM delete_guard.audit_log WHERE operation = 'delete'))});
like($err, qr/table public\.later of event \d+ does not exist any more/, 'an OID of another database is not followed');

$other->stop;
$node->stop;
done_testing();
