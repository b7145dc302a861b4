package codec

import "strings"

// opusKeys are the parameters of Opus (RFC 7587, section 6.1) in the order they are printed.
var opusKeys = []string{
	"stereo", "sprop-stereo", "useinbandfec", "usedtx", "cbr", "maxplaybackrate", "maxaveragebitrate", "sprop-maxcapturerate", "minptime",
}

// printOpus puts parameters in order; those it does not know come last, as they were.
func printOpus(text string) string {
	given := parseParams(text)
	var ordered params
	for _, key := range opusKeys {
		if value, ok := given.get(key); ok {
			ordered = append(ordered, param{key: key, value: value})
		}
	}
	for _, e := range given {
		if !knownToOpus(e.key) {
			ordered = append(ordered, e)
		}
	}
	return ordered.String()
}

func knownToOpus(key string) bool {
	for _, k := range opusKeys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// replyOpus says that Weir takes stereo if the audio has somewhere to go with two channels, and sends it if that was asked for.
func replyOpus(offered string, channels int) string {
	reply := params{{key: "stereo", value: "0"}}
	if channels == 2 {
		reply[0].value = "1"
	}
	if parseParams(offered).or("stereo", "0") == "1" {
		reply = append(reply, param{key: "sprop-stereo", value: "1"})
	}
	return append(reply, param{key: "useinbandfec", value: "1"}).String()
}
