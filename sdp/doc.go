// Package sdp parses, holds losslessly and prints session descriptions (RFC 8866).
//
// [Parse] turns a text into a [Description] of plain, exported, optional fields; a Description prints itself with the
// line order users of SIP media proxies rely on. The same types serve to compose a description from nothing: a field
// that is not set is not printed.
//
// Values given once for a whole session (connection address, direction, ICE credentials, DTLS role and fingerprint,
// header extensions) stay where they were written when parsed. The methods ending in Of resolve them for a media
// section, and printing writes the resolved value into each section, which is why a printed description never has
// a session-level c= line.
//
// Strings of a parsed Description alias the text it came from. Nothing in this package changes its input, and a
// Description that nobody writes to may be read by several goroutines at once.
package sdp
