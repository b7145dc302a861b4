#!/usr/bin/perl
# Takes the audio at one end of the demo's calls: binds the media ports, which SIPp only sends from, and reads all that
# comes. That is the demo's evidence that does not rest on the daemon's own word: the kernel hands a packet to a socket
# only if its checksums are right, and the audio is compared with what audio.pl made.
# Prints one JSON object when told to end (SIGTERM), by local port:
#   {"PORT": {"arrived": N, "missing": N, "altered": N}}
# "missing" are gaps between the first packet and the last.
# usage: listener.pl TONE ADDRESS FIRST-PORT STEP COUNT
use strict;
use warnings;
use Socket qw(:DEFAULT AF_INET6 inet_pton pack_sockaddr_in6 SO_RCVBUFFORCE);

my ($tone_file, $address, $first, $step, $count) = @ARGV;
open my $file, '<:raw', $tone_file or die "cannot read $tone_file: $!\n";
my $tone = do { local $/; <$file> };
close $file;

my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
my (@streams, %by_fd);
my $watched = '';
for my $port (map { $first + $step * $_ } 0 .. $count - 1) {
    socket my $socket, $family, SOCK_DGRAM, 0 or die "no socket: $!\n";
    my $ip = inet_pton($family, $address) // die "'$address' is no IP address\n";
    bind $socket, $family == AF_INET ? pack_sockaddr_in($port, $ip) : pack_sockaddr_in6($port, $ip)
        or die "cannot bind $address port $port: $!\n";
    my $stream = {socket => $socket, port => $port, arrived => 0, altered => 0};
    push @streams, $stream;
    $by_fd{fileno $socket} = $stream;
    vec($watched, fileno $socket, 1) = 1;
}

my $ended = 0;
$SIG{TERM} = sub { $ended = 1 };
$| = 1;
print "{\n";    # says that it listens

# A signal just before the wait is noticed after it, a quarter of a second later at most.
while (1) {
    my $ready = $watched;
    my $found = select $ready, undef, undef, $ended ? 0 : 0.25;
    last if $ended && $found <= 0;
    next if $found <= 0;
    for my $stream (grep { vec $ready, fileno $_->{socket}, 1 } @streams) {
        recv $stream->{socket}, my $packet, 2048, 0 // next;
        $stream->{arrived}++;
        # RTP version 2 without extras, payload type 0, which is PCMU (RFC 3550, section 5.1; RFC 3551, section 6).
        my ($first_byte, $second_byte, $timestamp) = length $packet >= 12 ? unpack 'C2 x2 N', $packet : (0, 0, 0);
        my $n = int($timestamp / 160);
        if ($first_byte != 0x80 || ($second_byte & 0x7f) || substr($packet, 12) ne substr $tone, $n % 50 * 160, 160) {
            $stream->{altered}++;
            next;
        }
        $stream->{lowest}  = $n if !defined $stream->{lowest}  || $n < $stream->{lowest};
        $stream->{highest} = $n if !defined $stream->{highest} || $n > $stream->{highest};
    }
}

print join ",\n", map {
    my $sent = defined $_->{lowest} ? $_->{highest} - $_->{lowest} + 1 : 0;
    my $missing = $sent - ($_->{arrived} - $_->{altered});
    sprintf '  "%d": {"arrived": %d, "missing": %d, "altered": %d}', $_->{port}, $_->{arrived},
        $missing > 0 ? $missing : 0, $_->{altered};
} @streams;
print "\n}\n";
