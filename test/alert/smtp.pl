#!/usr/bin/env perl
#
# A mail server on loopback: smtp.pl FILE. The first line of FILE is its port; then
# comes one line per mail: time, "mail-to-" and the receiver, subject.

use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "socket: $!\n";
open my $out, '>', $ARGV[0] or die "$ARGV[0]: $!\n";
$out->autoflush(1);
print $out $server->sockport, "\n";
while (my $client = $server->accept) {
    $client->autoflush(1);
    my ($receiver, $subject, $in_mail) = ('', '', 0);
    print $client "220 loopback\r\n";
    while (defined(my $line = <$client>)) {
        $line =~ s/\r?\n$//;
        if ($in_mail) {
            $subject = $1 if $line =~ /^Subject: (.*)/i;
            next if $line ne '.';
            printf $out "%.3f mail-to-%s %s\n", time, $receiver, $subject;
            $in_mail = 0;
            print $client "250 taken\r\n";
            next;
        }
        $receiver = $1 if $line =~ /^RCPT TO:<([^>]*)>/i;
        $in_mail = $line =~ /^DATA/i;
        print $client $in_mail ? "354 go on\r\n" : $line =~ /^QUIT/i ? "221 bye\r\n" : "250 ok\r\n";
        last if $line =~ /^QUIT/i;
    }
    close $client;
}
