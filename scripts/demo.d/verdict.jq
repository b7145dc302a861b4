# The demo's judgement of its calls, as one object. Two witnesses are heard for every direction of every call: the
# counters of the daemon ($list, by "weir list --json") and the sockets the audio went to ($heard_by_caller and
# $heard_by_callee, by listener.pl). That packets went through the kernel has a second witness too: how many datagrams
# programs on the proxy host have read ($read_by_proxy). Further input: $status ("weir status --json"), the proxy's
# addresses on both sides ($caller, $callee), what was asked for ($engine, $wanted calls, $seconds) and SIPp's exit
# code ($placed).

# host and port of "10.0.0.1:4000" and "[2001:db8::1]:4000"
def host: sub(":[0-9]+$"; "") | ltrimstr("[") | rtrimstr("]");
def port: capture(":(?<port>[0-9]+)$").port;

def percent: . * 1000 | floor / 10 | tostring | if test("[.]") then . else . + ".0" end | . + " %";
def thousands: tostring | if length > 3 then (.[:-3] | thousands) + "," + .[-3:] else . end;
def total(f): map(f) | add // 0;

# Each side sends 50 packets a second. A machine so busy that some come late is forgiven a fifth of them.
($seconds * 50) as $sent |
($sent * 0.8) as $enough |

# One direction: $from and $to are RTP legs, $ports what was heard at the far end.
def direction($name; $from; $to; $ports):
    ($ports[$to.signalled | port] // {arrived: 0, missing: 0, altered: 0}) as $heard |
    {
        sent: $sent, received: $from.packets, relayed: $to.packets_out, arrived: $heard.arrived,
        lost: $from.lost, missing: $heard.missing, altered: $heard.altered,
        kernel_packets: $from.kernel_packets, user_packets: $from.user_packets,
        learning_packets: $from.learning_packets, plane: $from.plane, why: ($from.why // ""),
        problems: [
            if $from.packets < $enough then "weir received \($from.packets) of \($sent) packets" else empty end,
            if $to.packets_out < $enough then "weir sent on \($to.packets_out) of \($sent) packets" else empty end,
            if $heard.arrived < $enough then "\($heard.arrived) of \($sent) packets arrived" else empty end,
            if $heard.missing > $sent * 0.01 then "\($heard.missing) packets missing on arrival" else empty end,
            if $from.lost > $sent * 0.01 then "\($from.lost) packets lost before weir" else empty end,
            if $heard.altered > 0 then "the audio of \($heard.altered) packets was altered" else empty end
            | "\($name): \(.)"
        ]
    };

def share: if .packets > .learning then .kernel / (.packets - .learning) else 0 end;

def judged:
    [.legs[] | select(.component == "RTP")] as $rtp |
    [$rtp[] | select(.local | host == $caller)] as $a |
    [$rtp[] | select(.local | host == $callee)] as $b |
    {call_id} +
    if ($rtp | length) != 2 or ($a | length) != 1 or ($b | length) != 1 then
        {directions: {}, problems: ["there should be one RTP leg on each side, but there are \($rtp | map(.local))"]}
    else
        {directions: {
            caller_to_callee: direction("caller to callee"; $a[0]; $b[0]; $heard_by_callee[0]),
            callee_to_caller: direction("callee to caller"; $b[0]; $a[0]; $heard_by_caller[0])
        }} | .problems = [.directions[].problems[]]
    end
    | del(.directions[].problems) | .two_way_audio = (.problems == []);

[$list[0].calls[] | judged] as $calls |
[$calls[].directions[]] as $directions |
{
    packets: ($directions | total(.received)), learning: ($directions | total(.learning_packets)),
    kernel: ($directions | total(.kernel_packets)), user: ($directions | total(.user_packets)),
    lost: ($directions | total(.lost))
} as $sum |
($sum | share) as $share |
($calls | map(select(.two_way_audio)) | length) as $good |
($engine == "none") as $off |
([$status[0].engines[] | select(.engine != "none")] | group_by(.engine) |
    map("\(.[0].engine) on \(map(.interface) | join(" and "))") | join(", ") |
    if . == "" then "no engine" else . end) as $engines |
[
    if ($calls | length) != $wanted then "\($calls | length) calls were set up instead of \($wanted)" else empty end,
    if $placed != 0 then "SIPp ended with exit code \($placed): not every call was answered and ended" else empty end,
    ($calls[] | .call_id as $id | .problems[] | "call \($id), \(.)"),
    # Learning lasts until both parties have sent, which one that is held up can delay; on average it takes a few
    # packets. Without this limit it could be a name for not going through the kernel.
    if $off or $sum.learning <= 25 * ($directions | length) then empty
    else "learning took \($sum.learning) packets, more than half a second of each direction" end,
    # SIP and ng come to some 20 datagrams a call; repeated ones are allowed for.
    if $read_by_proxy > $sum.user + 60 * $wanted + 100 then
        "weir counts \($sum.user) packets in userspace, but programs on its host have read \($read_by_proxy) datagrams"
    else empty end,
    if $off or $share >= 0.95 then empty else
        "only \($share | percent) of the packets after learning went through the kernel, not 95 %",
        ($calls[] | .call_id as $id | .directions | to_entries[] | select(.value.plane != "kernel") |
            "call \($id), \(.key | gsub("_"; " ")): in \(.value.plane)" +
            if .value.why != "" then ", because: \(.value.why)" else "" end)
    end
] as $problems |
{
    ok: ($problems == []),
    verdict: (
        "\($good) of \($wanted) calls had two-way audio; " +
        if $off then "the fast path was off, all \($sum.packets | thousands) packets went through userspace"
        else
            "\($share | percent) of \($sum.packets - $sum.learning | thousands) packets after learning " +
            "went through the kernel (\($engines))"
        end +
        "; \($sum.lost | thousands) lost. " +
        if $problems == [] then "All is well." else "That is not good enough." end),
    problems: $problems,
    calls_wanted: $wanted, calls_good: $good, seconds: $seconds,
    packets: $sum.packets, learning_packets: $sum.learning, kernel_packets: $sum.kernel, user_packets: $sum.user,
    read_by_proxy: $read_by_proxy, lost: $sum.lost,
    kernel_share: (if $off then null else $share end),
    engines: $status[0].engines, calls: $calls
}
