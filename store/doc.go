// Package store keeps the documents of calls for other processes: in a file of this host, from which the next process takes the calls
// of one that was killed, and in databases that nodes share.
package store
