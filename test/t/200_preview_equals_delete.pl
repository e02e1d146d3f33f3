# What preview_delete says, what DELETE does and what the audit log stores of it
# are the same, and restore() brings all of it back, on random schemas: foreign
# keys with every action, deferred ones, cycles, self-references, diamonds,
# several columns, keys other than the primary one, keys that refer on,
# partitions, inheritance, declared references.  Then all those deletes that go
# through are done for good, and restored: what pg_dump writes of the data is the
# same before and after, byte for byte, with the lines of each table sorted, as
# rows come back in another order.  Sequences are compared as well: nothing here
# moves them.
#
# DG_SEED gives the random numbers, DG_SCHEMAS how many schemas (220).

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{DG_SEED} // 20230620;
my $schemas = $ENV{DG_SCHEMAS} // 220;

my $node = PostgreSQL::Test::Cluster->new('preview');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nautovacuum = off");
$node->start;
note "DG_SEED=$seed DG_SCHEMAS=$schemas";

# Random numbers that are the same for every Perl
my $state = $seed;
sub any { my ($n) = @_; $state = ($state * 1103515245 + 12345) % 2147483648; return int(($state >> 8) % $n); }
sub chance { return any(100) < $_[0]; }
sub one_of { return $_[any(scalar @_)]; }

# One comparison.  All rows are told by table and id; rows of partitions and
# children (NAME_p…) count for their parent.
my $compare = <<'SQL';
CREATE FUNCTION base(name text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN regexp_replace(regexp_replace(name, '^.*\.', ''), '_p[0-9]+$', '');
CREATE TABLE was (tab text, id int, r jsonb);
CREATE TABLE now_is (tab text, id int, r jsonb);
CREATE TABLE seen (tab text, id int, effect text, guard text, postgres text);
CREATE PROCEDURE look(tables text[], target regclass) LANGUAGE plpgsql AS $$
DECLARE t text;
BEGIN
    EXECUTE format('DELETE FROM %s', target);
    FOREACH t IN ARRAY tables LOOP
        EXECUTE format('INSERT INTO %s SELECT %L, id, to_jsonb(x) FROM %s x', target, base(t), t);
    END LOOP;
END $$;
CREATE FUNCTION compare(tables text[], root text, cond text, declared jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    problems text := '';
    last_event bigint; event bigint;
    says_guard boolean; says_postgres boolean;
    refused text := ''; context text; state text; message text;
    gone text[]; changed text[]; dangling text[]; d jsonb; part text[];
    images text[]; image_rows text[]; old_values text[]; cut boolean; totals jsonb; wrong text;
    p_gone text[]; p_changed text[]; p_dangling text[];
BEGIN
    CALL look(tables, 'was');
    DELETE FROM seen;
    INSERT INTO seen SELECT base(table_name), (k ->> 'id')::int, effect, guard, postgres
        FROM delete_guard.preview_delete(root::regclass, cond, 1000000) LEFT JOIN LATERAL jsonb_array_elements(sample_keys) k ON true;
    totals := delete_guard.explain_delete(root::regclass, cond, 'json')::jsonb;
    SELECT bool_or(guard LIKE 'would be refused%') IS TRUE,
           bool_or(postgres LIKE 'would refuse: %' OR postgres LIKE 'would refuse at commit: %') IS TRUE,
           bool_or(effect = 'cut') IS TRUE
      INTO says_guard, says_postgres, cut FROM seen;
    IF cut THEN problems := problems || 'the preview stopped early; '; END IF;
    SELECT coalesce(array_agg(DISTINCT tab || ' ' || id ORDER BY tab || ' ' || id), '{}') INTO p_gone FROM seen WHERE effect = 'delete' AND id IS NOT NULL;
    SELECT coalesce(array_agg(DISTINCT tab || ' ' || id ORDER BY tab || ' ' || id), '{}') INTO p_changed FROM seen
        WHERE effect IN ('set null', 'set default') AND tab || ' ' || id <> ALL (p_gone);
    SELECT coalesce(array_agg(DISTINCT tab || ' ' || id ORDER BY tab || ' ' || id), '{}') INTO p_dangling FROM seen
        WHERE effect = 'dangle' AND tab || ' ' || id <> ALL (p_gone);
    SELECT coalesce(max(event_id), 0) INTO last_event FROM delete_guard.event;
    BEGIN
        EXECUTE format('DELETE FROM %s WHERE %s', root, cond);
        SET CONSTRAINTS ALL IMMEDIATE;
        CALL look(tables, 'now_is');
        SELECT coalesce(array_agg(w.tab || ' ' || w.id ORDER BY w.tab || ' ' || w.id), '{}') INTO gone
            FROM was w WHERE NOT EXISTS (SELECT FROM now_is n WHERE (n.tab, n.id) = (w.tab, w.id));
        SELECT coalesce(array_agg(w.tab || ' ' || w.id ORDER BY w.tab || ' ' || w.id), '{}') INTO changed
            FROM was w JOIN now_is n USING (tab, id) WHERE w.r <> n.r;
        dangling := '{}';
        FOR d IN SELECT * FROM jsonb_array_elements(declared) LOOP
            SELECT coalesce(array_agg(n.tab || ' ' || n.id), '{}') INTO part FROM now_is n
            WHERE n.tab = d ->> 'child' AND n.r ->> (d ->> 'column') IS NOT NULL
              AND EXISTS (SELECT FROM was w WHERE w.tab = d ->> 'parent' AND w.r ->> (d ->> 'key') = n.r ->> (d ->> 'column'))
              AND NOT EXISTS (SELECT FROM now_is w WHERE w.tab = d ->> 'parent' AND w.r ->> (d ->> 'key') = n.r ->> (d ->> 'column'));
            dangling := dangling || part;
        END LOOP;
        SELECT coalesce(array_agg(DISTINCT x ORDER BY x), '{}') INTO dangling FROM unnest(dangling) x;
        -- whole rows: each exactly once, with what it held
        SELECT coalesce(array_agg(base(table_name) || ' ' || (old_row ->> 'id') ORDER BY base(table_name) || ' ' || (old_row ->> 'id')), '{}'),
               string_agg(base(table_name) || ' ' || (old_row ->> 'id'), ', ') FILTER (WHERE w.r IS DISTINCT FROM old_row)
            INTO images, wrong FROM delete_guard.audit_rows LEFT JOIN was w ON (w.tab, w.id) = (base(table_name), (old_row ->> 'id')::int)
            WHERE event_id > last_event AND audit_rows.effect IN ('delete', 'cascade');
        IF wrong IS NOT NULL THEN problems := problems || 'images that differ: ' || wrong || '; '; END IF;
        SELECT coalesce(array_agg(DISTINCT base(table_name) || ' ' || (old_row ->> 'id') ORDER BY base(table_name) || ' ' || (old_row ->> 'id')), '{}'),
               string_agg(base(table_name) || ' ' || (old_row ->> 'id'), ', ') FILTER (WHERE NOT coalesce(w.r @> old_row, false))
            INTO old_values, wrong FROM delete_guard.audit_rows LEFT JOIN was w ON (w.tab, w.id) = (base(table_name), (old_row ->> 'id')::int)
            WHERE event_id > last_event AND audit_rows.effect IN ('set null', 'set default')
              AND base(table_name) || ' ' || (old_row ->> 'id') <> ALL (gone);
        IF wrong IS NOT NULL THEN problems := problems || 'old values that differ: ' || wrong || '; '; END IF;
        -- restore() brings all of it back
        FOR event IN SELECT DISTINCT event_id FROM delete_guard.audit_rows WHERE event_id > last_event ORDER BY event_id LOOP
            SELECT coalesce(wrong, '') || string_agg(format('%s %s: %s', action, key, note), ', ')
                INTO wrong FROM delete_guard.restore(event) WHERE action NOT IN ('insert', 'update')
                AND base(table_name) || ' ' || (key ->> 'id') <> ALL (gone);
        END LOOP;
        IF wrong <> '' THEN problems := problems || 'not restored: ' || wrong || '; '; END IF;
        CALL look(tables, 'now_is');
        SELECT string_agg(coalesce(w.tab, n.tab) || ' ' || coalesce(w.id, n.id) || ': ' || coalesce(n.r::text, 'gone'), ', ')
            INTO wrong FROM was w FULL JOIN now_is n USING (tab, id) WHERE w.r IS DISTINCT FROM n.r;
        IF wrong <> '' THEN problems := problems || 'not as before after restore: ' || wrong || '; '; END IF;
        RAISE EXCEPTION USING ERRCODE = 'DG000';
    EXCEPTION
        WHEN SQLSTATE 'DG000' THEN NULL;
        WHEN integrity_constraint_violation THEN
            GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT, message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
            refused := CASE WHEN context LIKE '%delete_guard on table%' THEN 'guard' ELSE 'postgres' END;
    END;
    IF refused = 'guard' AND NOT says_guard OR refused = 'postgres' AND NOT says_postgres OR
       refused = '' AND (says_guard OR says_postgres) THEN
        problems := problems || format('refused by "%s" (%s), previewed: guard %s, PostgreSQL %s; ', refused, message, says_guard, says_postgres);
    END IF;
    IF refused = '' THEN
        IF gone <> p_gone THEN problems := problems || format('gone %s, previewed %s; ', gone, p_gone); END IF;
        IF changed <> p_changed THEN problems := problems || format('changed %s, previewed %s; ', changed, p_changed); END IF;
        IF dangling <> p_dangling THEN problems := problems || format('dangling %s, previewed %s; ', dangling, p_dangling); END IF;
        IF images <> gone THEN problems := problems || format('images of %s, gone %s; ', images, gone); END IF;
        IF old_values <> changed THEN problems := problems || format('old values of %s, changed %s; ', old_values, changed); END IF;
        IF (SELECT sum((t ->> 'deleted')::int) FROM jsonb_array_elements(totals -> 'totals') t) <> cardinality(gone) THEN
            problems := problems || 'totals differ; ';
        END IF;
    END IF;
    RETURN coalesce(nullif(refused, ''), 'rows ' || cardinality(gone) || ' ' || cardinality(changed) || ' ' || cardinality(dangling)) || '|' || problems;
END $$;
SQL

# A table: its kind, its key, rows with ids from 0 on.  Row 0 refers to nothing,
# and is never deleted, so that defaults have something to refer to.
sub make_table
{
	my ($n, $sql) = @_;
	my $kind = one_of('plain', 'plain', 'plain', 'partitioned', 'inherited');
	my %t = (name => "t$n", kind => $kind, composite => chance(30), rows => 1 + any(12), refs => [], columns => []);
	my $key = $t{composite} ? 'id, sub' : 'id';

	push @$sql, "CREATE TABLE t$n (id int NOT NULL, sub int NOT NULL" . ($kind eq 'partitioned' ? '' : ', code text UNIQUE')
	  . ($kind eq 'plain' && $n % 2 ? ', number int GENERATED ALWAYS AS IDENTITY' : '') . ", note text, PRIMARY KEY ($key))" . ($kind eq 'partitioned' ? ' PARTITION BY ' . ($t{by} = one_of('RANGE', 'HASH')) . ' (id)' : '') . ';';
	push @{ $t{after} }, $kind ne 'partitioned' ? () : $t{by} eq 'RANGE'
	  ? ("CREATE TABLE t${n}_p1 PARTITION OF t$n FOR VALUES FROM (0) TO (5);", "CREATE TABLE t${n}_p2 PARTITION OF t$n FOR VALUES FROM (5) TO (100);")
	  : map { "CREATE TABLE t${n}_p$_ PARTITION OF t$n FOR VALUES WITH (MODULUS 2, REMAINDER $_);" } 0 .. 1;
	push @{ $t{after} }, "CREATE TABLE t${n}_p1 () INHERITS (t$n);" if $kind eq 'inherited';
	return \%t;
}

# A reference from one table to another (or itself), as columns with values
sub make_reference
{
	my ($n, $child, $parent, $sql, $declared) = @_;
	my @by = $parent->{composite} ? ('id', 'sub') : ('id');
	my $type = 'int';
	my $how = one_of('CASCADE', 'CASCADE', 'CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT', 'NO ACTION', 'NO ACTION DEFERRABLE INITIALLY DEFERRED', 'declared');
	my @on = grep { !$_->{composite} } @{ $parent->{unique} // [] };
	my $update = '';
	my (@columns, %ref);

	if ($parent->{kind} eq 'plain' && @on && chance(60)) { @by = ($on[0]{column}); $update = ' ON UPDATE ' . one_of('CASCADE', 'SET NULL', 'NO ACTION'); }
	elsif ($parent->{kind} ne 'partitioned' && chance(25)) { @by = ('code'); $type = 'text'; }
	@by = ('id') if $how eq 'declared' && @by > 1;
	return if $how eq 'declared' && $parent->{composite};
	@columns = map { "r${n}_$_" } @by;
	my $not_null = $how =~ /^SET NULL/ && $by[0] !~ /^r/ && chance(8);
	%ref = (column => $columns[0], by => \@by, columns => \@columns, parent => $parent, not_null => $not_null,
		default => $how eq 'SET DEFAULT' && chance(60), composite => @by > 1, type => $type);
	push @{ $child->{refs} }, \%ref;
	push @$sql, "ALTER TABLE $child->{name} ADD $columns[$_] $type"
	  . ($ref{default} ? ' DEFAULT ' . ($type eq 'int' ? '0' : "'c0'") : '') . ';' for 0 .. $#columns;
	push @{ $ref{later} }, "ALTER TABLE $child->{name} ALTER $columns[0] SET NOT NULL;" if $not_null;
	push @$sql, "CREATE INDEX ON $child->{name} ($columns[0]);" if chance(50);

	# a column that refers and is referred to
	if ($how ne 'declared' && $child->{kind} eq 'plain' && !$not_null && !$ref{default} && @by == 1 && $type eq 'int' && chance(25)
		&& $child != $parent && $parent->{kind} ne 'inherited')
	{
		push @$sql, "ALTER TABLE $child->{name} ADD UNIQUE ($columns[0]);";
		$ref{unique} = 1;
		push @{ $child->{unique} }, \%ref;
	}
	if ($how eq 'declared')
	{
		push @$declared, { child => $child->{name}, parent => $parent->{name}, column => $columns[0], key => $by[0] };
		push @{ $ref{later} }, "SELECT delete_guard.declare_reference('$child->{name}', '{$columns[0]}', '$parent->{name}', '{$by[0]}');";
		return;
	}
	my $delete = "ON DELETE $how";
	$delete = "ON DELETE SET NULL ($columns[-1])" if $how eq 'SET NULL' && @columns > 1 && chance(50);
	($delete, $update) = ($1, "$update $2") if $delete =~ /(.*NO ACTION)( DEF.*)/;
	push @{ $ref{later} }, "ALTER TABLE $child->{name} ADD FOREIGN KEY (" . join(', ', @columns) . ") REFERENCES $parent->{name} ("
	  . join(', ', @by) . ") $delete$update;";
	return;
}

# Rows, with foreign keys not looked at: what they refer to is there
sub fill
{
	my ($t, $sql) = @_;

	for my $id (0 .. $t->{rows})
	{
		my $inherited = $t->{kind} eq 'inherited' && $id > 0 && chance(40);
		my (@columns, @values);

		$t->{where}{$id} = $inherited;
		push @columns, 'id', 'sub', 'note';
		push @values, $id, $id % 3, "'row $id'";
		if ($t->{kind} ne 'partitioned') { push @columns, 'code'; push @values, "'c$id'"; }
		for my $ref (@{ $t->{refs} })
		{
			my $to = $id == 0 || (!$ref->{not_null} && chance(30)) ? undef : any($ref->{parent}{rows} + 1);

			$to = $ref->{like}{of}{$id} if $ref->{like} && $id > 0 && $ref->{like}{by}[0] !~ /^r/ && chance(80);
			$to = 0 if $ref->{not_null} && !defined $to;
			# each value once, and only what is there
			undef $to if defined $to && ($ref->{unique} && $ref->{used}{$to}++);
			push @{ $ref->{values} }, [ $id, $to, $inherited ];
			push @columns, @{ $ref->{columns} };
			push @values, map { !defined $to ? 'NULL' : $_ eq 'id' ? $to : $_ eq 'sub' ? $to % 3 : $_ eq 'code' ? "'c$to'" : '@' } @{ $ref->{by} };
			$ref->{of}{$id} = $to;
			# a column that refers on: only a value that it holds
			if ($ref->{by}[0] =~ /^r/)
			{
				my ($on) = grep { $_->{column} eq $ref->{by}[0] } @{ $ref->{parent}{unique} };
				my @held = grep { defined } map { $on->{of}{$_} } sort { $a <=> $b } keys %{ $on->{of} // {} };
				my $value = @held && $id > 0 && chance(70) ? one_of(@held) : 'NULL';

				$value = 'NULL' if $value ne 'NULL' && $ref->{unique} && $ref->{used_on}{$value}++;
				$ref->{of}{$id} = $value eq 'NULL' ? undef : $value;
				$values[-1] = $value;
			}
		}
		push @$sql, "INSERT INTO $t->{name}" . ($inherited ? '_p1' : '') . ' (' . join(', ', @columns) . ') VALUES (' . join(', ', @values) . ');';
	}
	return;
}

sub make_case
{
	my ($i) = @_;
	my (@sql, @declared);
	my @tables = map { make_table($_, \@sql) } 1 .. 2 + any(5);
	my $nrefs = 1 + any(2 + @tables);
	my $block = chance(25);
	my $root = one_of(@tables);
	my %ids = map { 1 + any($root->{rows}) => 1 } 1 .. 1 + any(3);

	for my $n (1 .. $nrefs)
	{
		my ($child, $parent) = (one_of(@tables), one_of(@tables));

		make_reference($n, $child, $parent, \@sql, \@declared);
		# a second way from the same rows to the same rows
		next unless chance(20);
		make_reference("${n}b", $child, $parent, \@sql, \@declared);
		my ($first, $second) = @{ $child->{refs} }[ -2, -1 ];
		$second->{like} = $first if $first && $second->{parent} == $first->{parent} && !$second->{unique};
	}
	push @sql, map { @{ $_->{after} // [] } } @tables;
	push @sql, 'SET session_replication_role = replica;';
	fill($_, \@sql) for @tables;
	# a foreign key on an inheritance parent holds for its own rows only
	push @sql, 'RESET session_replication_role;';
	for my $ref (map { @{ $_->{refs} } } @tables)
	{
		next if $ref->{parent}{kind} ne 'inherited';
		my @in_child = grep { $ref->{parent}{where}{$_} } keys %{ $ref->{parent}{where} };
		my ($child) = grep { my $t = $_; grep { $_ == $ref } @{ $t->{refs} } } @tables;
		my $key = $ref->{by}[0];
		push @sql, "SET session_replication_role = replica; UPDATE $child->{name} SET "
		  . join(', ', map { "$_ = " . ($ref->{not_null} ? ($ref->{type} eq 'int' ? 0 : "'c0'") : 'NULL') } @{ $ref->{columns} })
		  . " WHERE $ref->{column}::text IN (" . join(', ', map { $key eq 'code' ? "'c$_'" : "'$_'" } sort { $a <=> $b } @in_child)
		  . '); RESET session_replication_role;' if @in_child;
	}
	push @sql, map { @{ $_->{later} // [] } } map { @{ $_->{refs} } } @tables;
	for my $t (@tables)
	{
		next unless $t == $root || chance(35);
		push @sql, "SELECT delete_guard.protect('$t->{name}', '" . ($block && chance(50) ? 'block' : 'log') . "');";
	}
	my $cond = 'id IN (' . join(', ', sort { $a <=> $b } keys %ids) . ')';
	my $json = '[' . join(', ', map { my $d = $_; '{' . join(', ', map { "\"$_\": \"$d->{$_}\"" } sort keys %$d) . '}' } @declared) . ']';
	my $names = join(', ', map { "'$_->{name}'" } @tables);
	return ("CREATE SCHEMA s$i; SET search_path = s$i, public;", @sql,
		"SELECT 'case $i|' || compare(ARRAY[$names], '$root->{name}', '$cond', '$json');",
		"SELECT 'delete $i|DELETE FROM s$i.$root->{name} WHERE $cond';");
}

my @cases = map { [ make_case($_) ] } 1 .. $schemas;
my ($out, $err) = ('', '');
$node->safe_psql('postgres', "CREATE EXTENSION delete_guard; $compare");
$node->psql('postgres', "SET client_min_messages = error;\n" . join("\n", map { @$_ } @cases),
	stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 600);

my %said = map { /^case (\d+)\|(.*)/ ? ($1 => $2) : () } split /\n/, $out;
my %delete = map { /^delete (\d+)\|(.*)/ ? ($1 => $2) : () } split /\n/, $out;
my (%outcomes, @differ);
for my $i (1 .. $schemas)
{
	my ($outcome, $problems) = split /\|/, $said{$i} // '|no answer', 2;

	$outcomes{ $outcome =~ /^rows (\d+) (\d+) (\d+)/ ? $1 + $2 + $3 > 1 ? 'reached others' : 'alone' : $outcome }++;
	next if $problems eq '';
	push @differ, $i;
	diag "schema $i: $problems", "\n", join("\n", @{ $cases[ $i - 1 ] }) if @differ <= 3;
}
diag $err if $err ne '';
is($err, '', 'no schema raised an error of its own');
is(scalar @differ, 0, "preview, delete and audit log agree on $schemas random schemas (DG_SEED=$seed)");
note join ', ', map { "$_: $outcomes{$_}" } sort keys %outcomes;
cmp_ok($outcomes{'reached others'} // 0, '>', $schemas / 4, 'many of them went through and reached further rows');
cmp_ok($outcomes{postgres} // 0, '>', 0, 'PostgreSQL refused some');
cmp_ok($outcomes{guard} // 0, '>', 0, 'the guard refused some');

# For good, with commits between, and what pg_dump writes before and after
sub dump_of_data
{
	my ($data, $messages, $table, %dump) = ("", "");

	IPC::Run::run([ 'pg_dump', '--data-only', '-n', 's[0-9]+', '-d', $node->connstr('postgres') ], '>', \$data, '2>', \$messages)
	  or die "pg_dump: $messages";
	for my $line (split /\n/, $data)
	{
		if ($line =~ /^COPY (\S+) .* FROM stdin;$/) { $table = $1; $dump{$table} = [$line]; }
		elsif ($line eq '\\.') { undef $table; }
		elsif (defined $table) { push @{ $dump{$table} }, $line; }
		elsif ($line =~ /setval\('([^']+)'/) { $dump{"sequence $1"} = [$line]; }
	}
	return map { $_ => join("\n", sort @{ $dump{$_} }) } keys %dump;
}

my @through = grep { ($said{$_} // '') =~ /^rows / } 1 .. $schemas;
my %before = dump_of_data();
my $changed = '';
foreach my $i (@through)
{
	$changed .= "SELECT coalesce(max(event_id), 0) AS last FROM delete_guard.event \\gset\n$delete{$i};\n"
	  . "SELECT format('SELECT count(*) FROM delete_guard.restore(%s)', event_id) FROM (SELECT DISTINCT event_id FROM delete_guard.audit_rows WHERE event_id > :last) e ORDER BY event_id \\gexec\n";
}
$node->psql('postgres', "SET client_min_messages = error;\n$changed", stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 600);
is($err, '', 'deletes and restores for good raise no error');
my %after = dump_of_data();
my @other = grep { ($before{$_} // '') ne ($after{$_} // '') } sort keys %{ { %before, %after } };
diag "$_ before:\n$before{$_}\nafter:\n$after{$_}" foreach @other[ 0 .. ($#other < 2 ? $#other : 2) ];
is(scalar @other, 0, 'pg_dump of ' . scalar(keys %before) . ' tables and sequences after ' . scalar(@through) . ' deletes and restores: byte for byte the same');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM delete_guard.audit_log WHERE operation = 'restore' AND row_count > 0}), '>=', scalar @through,
	'each was restored');

$node->stop;
done_testing();
