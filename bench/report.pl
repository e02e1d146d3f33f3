#!/usr/bin/env perl
#
# Medians, ratios and targets from raw.csv of bench/run.sh.
#
#   perl bench/report.pl [--bounds] DIR
#
# Writes results.csv, results.md and *.dat (for bench/plots.gp) into DIR and
# prints results.md.  A ratio is the median of the ratios of each run, as the
# contenders of one run are measured right after each other.  With --bounds the
# status is 1 if a ratio is beyond a bound that is far wider than its target.
use strict;
use warnings;

my $bounds = @ARGV && $ARGV[0] eq '--bounds' ? shift : undef;
my $dir = shift or die "usage: report.pl [--bounds] DIR\n";
my @columns = qw(wall_ms cpu_ms wal_bytes value);
my (%runs, @order, @report);

open my $raw, '<', "$dir/raw.csv" or die "$dir/raw.csv: $!\n";
readline $raw;
while (my $line = <$raw>)
{
	chomp $line;
	my ($measure, $contender, $size, $run, @numbers) = split /,/, $line, -1;
	my $key = "$measure,$contender,$size";

	# a hundredth of the rows was deleted
	if ($contender eq 'noindex_fk') { $_ ne '' and $_ *= 100 for @numbers[0, 1] }
	push @order, $key unless $runs{$key};
	$runs{$key}{$run} = {};
	@{ $runs{$key}{$run} }{@columns} = @numbers;
}
delete $_->{0} for grep { keys %$_ > 1 } values %runs;

sub median
{
	my @sorted = sort { $a <=> $b } grep { defined && $_ ne '' } @_;
	return @sorted ? ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2 : undef;
}

# of one contender: measure, contender, size, column
sub value
{
	my ($measure, $contender, $size, $column) = @_;
	my $runs = $runs{"$measure,$contender,$size"} or return undef;
	return median(map { $_->{$column} } values %$runs);
}

sub ratio
{
	my ($measure, $contender, $base, $size, $column) = @_;
	my ($x, $y) = map { $runs{"$measure,$_,$size"} } $contender, $base;
	return undef unless $x && $y;
	return median(map { $y->{$_}{$column} ? $x->{$_}{$column} / $y->{$_}{$column} : undef }
		  grep { $y->{$_} && ($x->{$_}{$column} // '') ne '' } keys %$x);
}

sub number
{
	my $n = shift;
	return '' unless defined $n;
	return sprintf $n == int $n || abs $n >= 100 ? '%.0f' : abs $n >= 10 ? '%.1f' : '%.2f', $n;
}

sub put { push @report, join '', @_ }

sub table
{
	my ($header, @rows) = @_;
	put('| ', join(' | ', @$header), ' |');
	put('|---|', '--:|' x $#$header);
	put('| ', join(' | ', @$_), ' |') for @rows;
	put('');
}

# contenders measured under a name and size, in the order of the run
sub contenders
{
	my ($measure, $size) = @_;
	return map { (split /,/)[1] } grep { /^$measure,[^,]*,\Q$size\E$/ } @order;
}

sub sizes
{
	my ($measure, %seen) = @_;
	return sort { $a <=> $b } grep { !$seen{$_}++ } map { (split /,/)[2] } grep { /^$measure,/ } @order;
}

open my $csv, '>', "$dir/results.csv" or die "$dir/results.csv: $!\n";
print $csv "measure,contender,size,runs,wall_ms,cpu_ms,wal_bytes,value,wall_min,wall_max\n";
for my $key (@order)
{
	my @wall = sort { $a <=> $b } grep { $_ ne '' } map { $_->{wall_ms} } values %{ $runs{$key} };
	print $csv join(',', $key, scalar keys %{ $runs{$key} },
		(map { number(value(split(/,/, $key), $_)) } @columns),
		@wall ? ($wall[0], $wall[-1]) : ('', '')), "\n";
}
close $csv;

# one statement; base is what the ratios are of
for my $part (['bulk', 'audited'], ['noindex', 'noindex_antijoin'], ['pgaudit', 'plain'])
{
	my ($measure, $base) = @$part;
	for my $size (sizes($measure))
	{
		put("**$measure, $size" . ($measure eq 'noindex' ? ' referring rows' : ' rows') . '**', '');
		put('');
		table(['contender', 'wall ms', 'CPU ms', 'WAL bytes', "CPU, $base = 1", "WAL, $base = 1", 'wall max / min'],
			map {
				my $c = $_;
				my @wall = sort { $a <=> $b } map { $_->{wall_ms} } values %{ $runs{"$measure,$c,$size"} };
				[$c, (map { number(value($measure, $c, $size, $_)) } qw(wall_ms cpu_ms wal_bytes)),
					(map { number(ratio($measure, $c, $base, $size, $_)) } qw(cpu_ms wal_bytes)),
					number($wall[-1] / $wall[0])]
			} contenders($measure, $size));
	}
}

for my $measure (qw(single_sync single_async))
{
	next unless contenders($measure, 2);
	put("**$measure: one row a statement, one statement a transaction, 2 clients**", '');
	put('');
	table(['contender', 'per second', 'CPU µs', 'WAL bytes', 'per second, fk = 1', 'CPU, fk = 1'],
		map {
			my $c = $_;
			[$c, number(value($measure, $c, 2, 'value')), number(1000 * value($measure, $c, 2, 'cpu_ms')),
				number(value($measure, $c, 2, 'wal_bytes')),
				number(ratio($measure, $c, 'fk', 2, 'value')), number(ratio($measure, $c, 'fk', 2, 'cpu_ms'))]
		} contenders($measure, 2));
}

my @other = grep { my ($m, $c, $s) = split /,/; $m =~ /^other_/ && $c eq 'guarded' && ratio($m, $c, 'plain', $s, 'cpu_ms') } @order;
if (@other)
{
	put('**other: what is not guarded, on a guarded table**', '');
	put('');
	table(['statement', 'CPU ms plain', 'CPU ms guarded', 'CPU ratio', 'WAL ratio'],
		map {
			my ($measure, undef, $size) = split /,/;
			[$measure, (map { sprintf '%.3f', value($measure, $_, $size, 'cpu_ms') } qw(plain guarded)),
				map { sprintf '%.3f', ratio($measure, 'guarded', 'plain', $size, $_) // 1 } qw(cpu_ms wal_bytes)]
		} @other);
}

if (my @kinds = sizes_of_words('instructions'))
{
	my @names = contenders('instructions', $kinds[0]);
	put('**instructions of the executor**', '');
	put('');
	table(['statement', @names, 'guarded / plain', 'fk_guarded / fk'],
		map {
			my $kind = $_;
			[$kind, (map { number(value('instructions', $_, $kind, 'value')) } @names),
				map { sprintf '%.3f', ratio('instructions', @$_, $kind, 'value') } ['guarded', 'plain'], ['fk_guarded', 'fk']]
		} @kinds);
}

sub sizes_of_words
{
	my ($measure, %seen) = @_;
	return grep { !$seen{$_}++ } map { (split /,/)[2] } grep { /^$measure,/ } @order;
}

my @scalars = grep { /^(refused|refused_stored|flood_\w+|sessions_\w+)/ } @order;
if (@scalars)
{
	put('**refused attempts**', '');
	put('');
	table(['measure', 'contender', 'clients', 'value'],
		map { my ($m, $c, $s) = split /,/; [$m, $c, $s, number(value($m, $c, $s, 'value'))] } @scalars);
}

for my $measure (qw(growth noindex_growth memory))
{
	my (%seen, @names);
	for my $size (sizes($measure)) { push @names, grep { !$seen{$_}++ } contenders($measure, $size) }
	next unless @names;
	my $column = $measure eq 'memory' ? 'value' : 'cpu_ms';
	my @rows = map { my $size = $_; [$size, map { number(value($measure, $_, $size, $column)) } @names] } sizes($measure);
	put("**$measure, ", $measure eq 'memory' ? 'kB at most' : 'CPU ms', '**');
	put('');
	table(['rows', @names], @rows);
	open my $dat, '>', "$dir/$measure.dat" or die "$dir/$measure.dat: $!\n";
	print $dat join(' ', 'rows', @names), "\n";
	print $dat join(' ', map { $_ eq '' ? '?' : $_ } @$_), "\n" for @rows;
	close $dat;
}
my ($bulk) = sizes('bulk');
if ($bulk)
{
	open my $dat, '>', "$dir/bulk.dat" or die "$dir/bulk.dat: $!\n";
	print $dat "contender cpu\n";
	print $dat "$_ ", value('bulk', $_, $bulk, 'cpu_ms'), "\n" for contenders('bulk', $bulk);
	close $dat;
}

# name, value, '<=' or '>=', target, bound
my @targets;
if ($bulk)
{
	push @targets,
	  ['B1 CPU', ratio('bulk', 'guarded', 'audited', $bulk, 'cpu_ms'), '<=', 1.0, 1.4],
	  ['B1 WAL', ratio('bulk', 'guarded', 'audited', $bulk, 'wal_bytes'), '<=', 0.95, 1.1],
	  ['B1 CPU without references', ratio('bulk', 'guarded_alone', 'audited', $bulk, 'cpu_ms'), '<=', 0.9, 1.3],
	  ['B2 CPU', ratio('bulk', 'fk_guarded', 'fk', $bulk, 'cpu_ms'), '<=', 1.25, 1.7];
}
for my $size (sizes('noindex'))
{
	push @targets, ["B3 wall, $size referring rows", ratio('noindex', 'noindex_guarded', 'noindex_antijoin', $size, 'wall_ms'), '<=', 2, 4];
	push @targets, ["B3 native key check, $size referring rows", ratio_of_fk($size), '>=', 100] if value('noindex', 'noindex_fk', $size, 'wall_ms');
}
sub ratio_of_fk
{
	my $size = shift;
	return value('noindex', 'noindex_fk', $size, 'wall_ms') / value('noindex', 'noindex_guarded', $size, 'wall_ms');
}
if (value('noindex', 'noindex_guarded', 200000, 'wall_ms'))
{
	push @targets, ['B3 growth for ten times the rows',
		value('noindex', 'noindex_guarded', 200000, 'wall_ms') / value('noindex', 'noindex_guarded', 20000, 'wall_ms'), '<=', 10, 15];
}
push @targets, ['B4 throughput', ratio('single_sync', 'fk_guarded', 'fk', 2, 'value'), '>=', 0.9, 0.5];
for (@other)
{
	my ($measure, undef, $size) = split /,/;
	push @targets, ["B5 CPU $measure", ratio($measure, 'guarded', 'plain', $size, 'cpu_ms'), '<=', 1.02, 1.5];
}
for my $what (grep { $_ ne 'delete' } sizes_of_words('instructions'))
{
	push @targets, ["B5 instructions $what", ratio('instructions', 'guarded', 'plain', $what, 'value'), '<=', 1.02];
}
push @targets, ['B6 refused per second, 2 clients', value('refused', 'guarded', 2, 'value'), '>=', 2000, 300];
if (my @stored = grep { /^refused_stored,/ } @order)
{
	my $lost = 0;
	$lost += abs($_) for map { $_->{value} } map { values %{ $runs{$_} } } @stored;
	push @targets, ['B6 attempts lost', $lost, '<=', 0, 0];
}
push @targets, ['B7 kB beyond plain, 5,000,000 rows',
	value('memory', 'guarded', 5000000, 'value') - value('memory', 'plain', 5000000, 'value'), '<=', 65536]
  if value('memory', 'guarded', 5000000, 'value');
if ($bulk)
{
	push @targets,
	  ['B8 row trigger that audits and checks', ratio('bulk', 'row_trigger_checks', 'guarded', $bulk, 'cpu_ms'), '>=', 2.5],
	  ['B8 table_log', ratio('bulk', 'table_log', 'guarded', $bulk, 'cpu_ms'), '>=', 4];
}

sub holds { my ($value, $op, $limit) = @_; return $op eq '<=' ? $value <= $limit : $value >= $limit }

my $beyond = 0;
my @rows;
for (grep { defined $_->[1] } @targets)
{
	my ($name, $value, $op, $target, $bound) = @$_;
	my $met = holds($value, $op, $target) ? 'met' : 'missed';
	if ($bounds && defined $bound && !holds($value, $op, $bound)) { $met = "beyond $bound"; $beyond++ }
	push @rows, [$name, sprintf('%.3f', $value) =~ s/\.?0+$//r, "$op $target", $met];
}
put('**targets**', '');
put('');
table(['target', 'measured', 'wanted', ''], @rows);

open my $md, '>', "$dir/results.md" or die "$dir/results.md: $!\n";
print $md "$_\n" for @report;
close $md;
print "\n", map { "$_\n" } @report;
exit 1 if $beyond;
