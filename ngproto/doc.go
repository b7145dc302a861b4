// Package ngproto is the ng control language on the wire: framing, cookies, bencode and JSON dictionaries, requests and
// their flags as typed values, replies, the retransmission cache, and a client.
//
// A datagram is "<cookie> <dictionary>". [Parse] splits and decodes it into an ordered [Dict]; [ParseRequest] turns that
// into a [Request]; [Check] tests for the keys a command cannot do without; a [Reply] is encoded in the encoding of its
// request. The package knows nothing of calls: it only says what the client asked for.
package ngproto
