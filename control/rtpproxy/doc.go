// Package rtpproxy serves the text protocol of RTPproxy, as the rtpproxy modules of Kamailio and OpenSIPS speak it.
//
// A Dispatcher executes commands, whatever socket they came by: Parse reads one, and what it asks for becomes requests to the call
// model, in which a session of the protocol is a pair of medias. What a command answers is text of one line, or E and a number.
package rtpproxy
