#!/usr/bin/env perl
#
# A webhook on loopback: webhook.pl FILE. The first line of FILE is its port; then
# comes one line per request: time, path, body. As long as there is FILE.down, it
# answers with an error instead.

use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "socket: $!\n";
open my $out, '>', $ARGV[0] or die "$ARGV[0]: $!\n";
$out->autoflush(1);
print $out $server->sockport, "\n";
while (my $client = $server->accept) {
    my $request = <$client> // next;
    my $length = 0;
    while (defined(my $header = <$client>)) {
        last if $header =~ /^\r?\n$/;
        $length = $1 if $header =~ /^content-length:\s*(\d+)/i;
    }
    read $client, my $body, $length;
    if (-e "$ARGV[0].down") {
        print $client "HTTP/1.1 500 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        close $client;
        next;
    }
    my ($path) = $request =~ m{^\S+ (\S+)};
    printf $out "%.3f %s %s\n", time, $path, $body =~ s/\n/ /gr;
    print $client "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close $client;
}
