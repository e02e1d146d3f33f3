#!/usr/bin/env perl
#
# Medians, ratios and targets from the raw/*.csv of bench/run.sh.
#
#   perl bench/report.pl [--bounds] [--doc] DIR
#
# Writes results.csv, results.md and *.dat (for bench/plots.gp) into DIR and
# prints results.md.  A ratio is the median of the ratios of each run, as the
# contenders of one run are measured right after each other.  With --bounds the
# status is 1 if a ratio is beyond a bound that is far wider than its target.
# With --doc each table replaces the one in doc/performance.md that stands
# between the comments "bench: NAME" and "bench end".
use strict;
use warnings;

my %option = map { shift @ARGV => 1 } grep { /^--/ } @ARGV;
my $bounds = $option{'--bounds'};
my $dir = shift or die "usage: report.pl [--bounds] [--doc] DIR\n";
my @columns = qw(wall_ms cpu_ms wal_bytes value);
my (%runs, @order, @report, %block, $block);

my @sections = grep { -e "$dir/raw/$_.csv" }
  qw(bulk noindex crossover single other refused growth memory instructions pgaudit);
read_section($_) for @sections;
delete $_->{0} for grep { keys %$_ > 1 } values %runs;

sub read_section
{
	my $section = shift;

	open my $raw, '<', "$dir/raw/$section.csv" or die "$dir/raw/$section.csv: $!\n";
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
}

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

# A line of the report, and of the block of doc/performance.md that is being written
sub put
{
	push @report, join '', @_;
	$block{$block} .= join('', @_) . "\n" if $block;
}

# The heading of a table, which begins a block of that name
sub heading
{
	($block, my @words) = @_;
	my $name = $block;

	$block = undef;
	put('**', @words, '**');
	put('');
	$block = $name;
	$block{$block} = '';
}

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
		heading($measure eq 'noindex' ? "noindex $size" : $measure, "$measure, $size", $measure eq 'noindex' ? ' referring rows' : ' rows');
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
	heading($measure, "$measure: one row a statement, one statement a transaction, 2 clients");
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
	heading('other', 'other: what is not guarded, on a guarded table');
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
	heading('instructions', 'instructions of the executor');
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

my @scalars = grep { /^(refused|sessions_|flush_refused)/ } @order;
if (@scalars)
{
	heading('refused', 'refused attempts');
	table(['measure', 'contender', 'clients', 'value'],
		map { my ($m, $c, $s) = split /,/; [$m, $c, $s, number(value($m, $c, $s, 'value'))] } @scalars);
}

for my $measure (qw(crossover growth noindex_growth memory))
{
	my (%seen, @names);
	for my $size (sizes($measure)) { push @names, grep { !$seen{$_}++ } contenders($measure, $size) }
	next unless @names;
	my $column = $measure eq 'memory' ? 'value' : 'cpu_ms';
	my @rows = map { my $size = $_; [$size, map { number(value($measure, $_, $size, $column)) } @names] } sizes($measure);
	heading($measure, "$measure, ", $measure eq 'memory' ? 'kB at most' : 'CPU ms');
	table([$measure eq 'crossover' ? 'keys' : 'rows', @names], @rows);
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
push @targets, ['B4 throughput (synchronous_commit on)', ratio('single_sync', 'fk_guarded', 'fk', 2, 'value'), '>=', 0.9, 0.5];
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
push @targets, ['B6 traffic beside a flood of the same attempt', ratio('flood_traffic', 'guarded', 'alone', 1, 'value'), '>=', 0.9],
  ['B6 the same, on cores of their own', ratio('flood_traffic', 'guarded_apart', 'alone_apart', 1, 'value'), '>=', 0.9];
if (my @stored = grep { /^(refused_stored|sessions_50_lost),/ } @order)
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
heading('targets', 'targets');
table(['target', 'measured', 'wanted', ''], @rows);

heading('flood', 'traffic beside a flood');
table(['beside', 'traffic per second', 'traffic, alone = 1', 'flood per second'],
	map {
		my $c = $_;
		[$c, number(value('flood_traffic', $c, 1, 'value')),
			number(ratio('flood_traffic', $c, $c =~ /_apart/ ? 'alone_apart' : 'alone', 1, 'value')),
			number(value('flood_done', $c, 1, 'value'))]
	} contenders('flood_traffic', 1)) if contenders('flood_traffic', 1);

heading('runs', 'runs');
table(['section', 'UTC', 'commit', 'seconds', 'flush µs before', 'flush µs after', 'load after'], map { [split /\|/, first_line("$dir/raw/$_.run")] } @sections);

sub first_line
{
	open my $file, '<', shift or return '';
	my $line = <$file> // '';
	chomp $line;
	return $line;
}

# Put the blocks into the documentation
if ($option{'--doc'})
{
	my $doc = 'doc/performance.md';
	local $/;
	open my $in, '<', $doc or die "$doc: $!\n";
	my $text = <$in>;
	close $in;
	for my $name (keys %block)
	{
		$text =~ s/(<!-- bench: \Q$name\E -->\n).*?(<!-- bench end -->)/$1\n$block{$name}$2/s
		  or warn "$doc has no place for \"$name\"\n";
	}
	open my $out, '>', $doc or die "$doc: $!\n";
	print $out $text;
	close $out;
}

open my $md, '>', "$dir/results.md" or die "$dir/results.md: $!\n";
print $md "$_\n" for @report;
close $md;
print "\n", map { "$_\n" } @report;
exit 1 if $beyond;
