#!/usr/bin/perl
# One call between two phones in network namespaces of their own, with Weir between them: makes it over ng, sends a packet every 20 ms each way, and
# tells which have not arrived. SIGUSR1 has it forget what is lost so far, SIGTERM end the call: with 0 if nothing was lost.
# Each namespace has the name of an interface of Weir's.
# usage: call.pl NETNS=ADDRESS NETNS=ADDRESS
use strict;
use warnings;
use Socket;

my @phones = map { my ($netns, $address) = split /=/; {netns => $netns, address => $address} } @ARGV;

# A socket belongs to the network namespace it was made in (setns(2), for x86-64 and arm64).
my $setns = `uname -m` =~ /aarch64/ ? 268 : 308;
sub enter {
    open my $netns, '<', $_[0] or die "cannot open $_[0]: $!\n";
    syscall($setns, fileno $netns, 0x40000000) == 0 or die "cannot enter $_[0]: $!\n";
}

sub bound {
    my ($address, $port) = @_;
    socket my $socket, AF_INET, SOCK_DGRAM, 0 or die "no socket: $!\n";
    bind $socket, pack_sockaddr_in($port, inet_aton $address) or die "cannot bind $address: $!\n";
    return $socket;
}

for my $phone (@phones) {
    enter("/run/netns/$phone->{netns}");
    $phone->{socket} = bound($phone->{address}, 4000);
}
enter('/proc/1/ns/net');
my $ng = bound('127.0.0.1', 0);
my $cookie = 0;

# request returns the reply to a request in JSON, which is sent again as long as there is none.
sub request {
    my ($json) = @_;
    $cookie++;
    for (1 .. 30) {
        send $ng, "$$-$cookie $json", 0, pack_sockaddr_in(2223, inet_aton '127.0.0.1');
        vec(my $ready = '', fileno $ng, 1) = 1;
        next if select($ready, undef, undef, 1) <= 0;
        recv $ng, my $reply, 65536, 0 // next;
        return $reply if $reply =~ s/^$$-$cookie //;
    }
    die "no reply to $json\n";
}

sub description {
    my ($phone) = @_;
    return join '\r\n', 'v=0', "o=- 1 1 IN IP4 $phone->{address}", 's=-', "c=IN IP4 $phone->{address}", 't=0 0', 'm=audio 4000 RTP/AVP 0', '';
}

# told remembers where a description tells a phone to send to.
sub told {
    my ($phone, $reply) = @_;
    my ($port) = $reply =~ /m=audio (\d+) / or die "no description in $reply\n";
    my ($address) = $reply =~ /c=IN IP4 ([\d.]+)/ or die "no address in $reply\n";
    $phone->{to} = pack_sockaddr_in($port, inet_aton $address);
}

my ($caller, $callee) = @phones;
told($callee, request(sprintf '{"command":"offer","call-id":"packaged","from-tag":"a","direction":["%s","%s"],"sdp":"%s"}', $caller->{netns},
        $callee->{netns}, description($caller)));
told($caller, request(sprintf '{"command":"answer","call-id":"packaged","from-tag":"a","to-tag":"b","sdp":"%s"}', description($callee)));

my ($n, $from, $ended) = (0, 0, 0);
$SIG{USR1} = sub { $from = $n };
$SIG{TERM} = sub { $ended ||= $n + 1 };

my $watched = '';
vec($watched, fileno $_->{socket}, 1) = 1 for @phones;
# Packets go on for a second after the end, so that the last ones that count find their way.
while (!$ended || $n < $ended + 50) {
    for my $phone (@phones) {
        send $phone->{socket}, pack('C2 n N2', 0x80, 0, $n & 0xffff, 160 * $n, 1) . "\xff" x 160, 0, $phone->{to};
    }
    $n++;
    select undef, undef, undef, 0.02;
    while (select(my $ready = $watched, undef, undef, 0) > 0) {
        for my $phone (grep { vec $ready, fileno $_->{socket}, 1 } @phones) {
            recv $phone->{socket}, my $packet, 2048, 0 // next;
            my (undef, undef, undef, $time) = unpack 'C2 n N', $packet;
            $phone->{heard}{int($time / 160)} = 1;
        }
    }
}
my $lost = 0;
for my $phone (@phones) {
    my @missing = grep { !$phone->{heard}{$_} } $from .. $ended - 1;
    printf "%s has not heard %d of %d packets: @missing[0 .. ($#missing < 20 ? $#missing : 20)]\n", $phone->{netns}, scalar @missing, $ended - $from;
    $lost += @missing;
}
exit($lost > 0);
