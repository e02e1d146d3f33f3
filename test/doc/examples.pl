#!/usr/bin/env perl
#
# Examples in Markdown files: take them out, and compare what they print.
#
#   examples.pl session FILE            print a psql script that runs FILE's examples
#   examples.pl compare FILE OUTPUT LOG print a TAP line per example; OUTPUT is what the
#                                       script printed, LOG the server's log since then
#
# What counts as an example is said in ../doc-examples.sh.

use strict;
use warnings;

my %not_run = (sh => 'shell commands', diagram => 'a drawing',
               ruby => 'run by test/examples.sh', python => 'run by test/examples.sh');

my ($verb, $file, $output_file, $log_file) = @ARGV;
my @blocks = read_blocks($file);

if ($verb eq 'session') { print session($_) for @blocks }
elsif ($verb eq 'compare') {
    my %printed = printed_by_block(slurp($output_file));
    my $log = defined $log_file && -r $log_file ? slurp($log_file) : undef;
    report($_, \%printed, $log) for @blocks;
}
else { die "usage: examples.pl session|compare FILE ...\n" }

# Fenced blocks of a file: language, first line number, text, number; and in
# {expected} the text block that follows a sql block directly.
sub read_blocks {
    my ($name) = @_;
    my (@found, $open, $between);
    my @lines = split /\n/, slurp($name), -1;
    for my $i (0 .. $#lines) {
        if ($open) {
            if ($lines[$i] =~ /^```\s*$/) { push @found, $open; undef $open; $between = 0 }
            else                          { $open->{text} .= "$lines[$i]\n" }
        }
        elsif ($lines[$i] =~ /^```(\S*)/) {
            $open = { language => $1, line => $i + 1, text => '', near => !$between };
        }
        elsif ($lines[$i] =~ /^\s+```/) { die "$name:" . ($i + 1) . ": indented fence\n" }
        elsif ($lines[$i] =~ /\S/)      { $between = 1 }
    }
    die "$name: a fence is not closed\n" if $open;

    my @result;
    for my $block (@found) {
        if ($block->{language} eq 'text' && @result && $block->{near}
            && $result[-1]{language} eq 'sql' && !defined $result[-1]{expected}) {
            $result[-1]{expected} = $block->{text};
            next;
        }
        $block->{number} = @result + 1;
        if ($block->{text} =~ /\A-- not run: (.+)/) { $block->{skip} = $1 }
        else { $block->{skip} = $not_run{ $block->{language} } }
        push @result, $block;
    }
    return @result;
}

# A block as part of a psql script, with marks around it.
sub session {
    my ($block) = @_;
    return '' if defined $block->{skip};
    my $script = "\\echo \@\@block $block->{number}\n";
    if ($block->{language} eq 'sql') {
        for my $line (split /\n/, $block->{text}) {
            $script .= "$line\n";
            $script .= "\\echo \@\@state $1 :SQLSTATE\n" if $line =~ /-- fails with (\w{5})\b/;
        }
    }
    elsif ($block->{language} eq 'conf') {
        for my $line (split /\n/, $block->{text}) {
            $line =~ s/#.*//;
            next unless $line =~ /^\s*([\w.]+)\s*=\s*(.*?)\s*$/;
            $script .= "ALTER SYSTEM SET $1 = $2;\nALTER SYSTEM RESET $1;\n";
        }
    }
    return $script . "\n\\echo \@\@end $block->{number}\n";
}

# What each block printed; a block that was not finished is not in it.
sub printed_by_block {
    my ($output) = @_;
    my %result;
    $result{$1} = $2 while $output =~ /^\@\@block (\d+)\n(.*?)^\@\@end \1$/msg;
    return %result;
}

# One TAP line, and why if it failed.
sub report {
    my ($block, $printed, $log) = @_;
    my $title = "$file:$block->{line} $block->{language}";
    if (defined $block->{skip}) {
        print "# $title: not run: $block->{skip}\n";
        return;
    }
    my @problems = problems($block, $printed->{ $block->{number} }, $log);
    print @problems ? 'not ok' : 'ok', " - $title\n";
    for my $problem (@problems) {
        $problem =~ s/^/# /mg;
        print "$problem\n";
    }
}

sub problems {
    my ($block, $got, $log) = @_;
    return log_problems($block, $log) if $block->{language} eq 'log';
    return ('this kind of block is neither run nor known as one that is not')
        unless $block->{language} =~ /^(sql|conf)$/;
    return ('it was not run to its end; the session ended earlier') unless defined $got;

    my @problems;
    my $states = 0;
    while ($got =~ s/^\@\@state (\w+) (\w+)\n//m) {
        $states++;
        push @problems, "expected SQLSTATE $1, got $2" if $1 ne $2;
    }
    if (defined $block->{expected}) {
        push @problems, "printed:\n${got}expected:\n$block->{expected}"
            unless same($got, $block->{expected});
    }
    else {
        my $errors = () = $got =~ /^(?:ERROR|FATAL|PANIC): /mg;
        push @problems, "it failed, and does not say so:\n$got" if $errors != $states;
        push @problems, "psql complained:\n$got" if $got =~ /^(?:\\|invalid command)/m;
    }
    return @problems;
}

# Each line of a log block stands somewhere in the server's log.
sub log_problems {
    my ($block, $log) = @_;
    return () unless defined $log;
    $log = even_out($log);
    return map { "not in the server's log: $_" }
        grep { my $want = pattern(even_out($_)); $log !~ /$want/ } split /\n/, $block->{text};
}

sub same {
    my ($got, $expected) = @_;
    my $want = pattern(even_out($expected));
    return even_out($got) =~ /\A$want\z/;
}

# Columns are as wide as their widest value, and times differ: even both out.
sub even_out {
    my ($text) = @_;
    $text =~ s/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?)?/<time>/g;
    $text =~ s/PID \d+/PID <n>/g;
    $text =~ s/-{2,}/--/g;
    $text =~ s/[ \t]+/ /g;
    $text =~ s/^ | $//mg;
    $text =~ s/\n{2,}/\n/g;
    $text =~ s/\A\n+|\n+\z//g;
    return $text;
}

# A pattern in which three dots (one character) stand for anything: within a
# line, or for any number of lines if they are a line of their own.
sub pattern {
    my ($text) = @_;
    my $dots = "\xe2\x80\xa6";
    my @lines = split /\n/, $text, -1;
    my $pattern = '';
    for my $i (0 .. $#lines) {
        if ($lines[$i] eq $dots) { $pattern .= '(?:[^\n]*(?:\n|\z))*?'; next }
        $pattern .= join '[^\n]*?', map { quotemeta } split /\Q$dots\E/, $lines[$i], -1;
        $pattern .= $i == $#lines ? '' : $i == $#lines - 1 && $lines[-1] eq $dots ? '(?:\n|\z)' : '\n';
    }
    return qr/$pattern/;
}

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    my $text = <$fh>;
    return defined $text ? $text : '';
}
