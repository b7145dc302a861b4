// Package mediaproxy serves the protocol of the old mediaproxy module of OpenSER: one command per TCP connection, which is answered with a
// line and closed. Request is an offer by address, lookup the answer to it; every stream of a call becomes a pair of medias in the call model.
package mediaproxy
