#!/usr/bin/perl
# Makes the audio of the demo: one second of a tone (tone.ulaw) and what each side sends of it (caller.pcap,
# callee.pcap), for SIPp to play. Packet n carries the n-th 20 ms piece and the time stamp 160 n, by which listener.pl
# knows every packet again.
# usage: audio.pl DIRECTORY SECONDS
use strict;
use warnings;

my ($directory, $seconds) = @ARGV;

sub write_file {
    my ($name, @parts) = @_;
    open my $file, '>:raw', "$directory/$name" or die "cannot write $directory/$name: $!\n";
    print $file @parts;
    close $file or die "cannot write $directory/$name: $!\n";
}

# ulaw encodes a sample of 16 bits: sign, exponent and mantissa, all inverted (ITU-T G.711, table 2).
sub ulaw {
    my ($sample) = @_;
    my $sign      = $sample < 0 ? 0x80 : 0;
    my $magnitude = abs($sample) + 132;
    my $exponent  = 0;
    $exponent++ while $magnitude >> ($exponent + 8);
    return ~($sign | $exponent << 4 | $magnitude >> ($exponent + 3) & 15) & 255;
}

# A rising tone: every piece of it differs from the others.
my $tone = pack 'C*', map { ulaw(int 8000 * sin(0.3 * $_ + 2e-5 * $_ * $_)) } 0 .. 7999;
write_file('tone.ulaw', $tone);

my %ssrc = (caller => 0xca11e200, callee => 0xca11ee00);
for my $side (sort keys %ssrc) {
    # Headers of the pcap file format; SIPp replaces addresses, ports and checksums.
    my @file = pack 'V v v V4', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1;
    for my $n (0 .. 50 * $seconds - 1) {
        my $rtp = pack('C2 n N2', 0x80, $n ? 0 : 0x80, $n & 0xffff, 160 * $n, $ssrc{$side});
        $rtp .= substr $tone, $n % 50 * 160, 160;
        my $udp = pack('n4', 5004, 5004, 8 + length $rtp, 0) . $rtp;
        my $ip  = pack('C2 n3 C2 n N2', 0x45, 0, 20 + length $udp, 0, 0, 64, 17, 0, 0x0a000001, 0x0a000002) . $udp;
        my $frame = pack('x12 n', 0x0800) . $ip;
        push @file, pack('V4', int($n / 50), $n % 50 * 20000, (length $frame) x 2), $frame;
    }
    write_file("$side.pcap", @file);
}
