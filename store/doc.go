// Package store keeps the documents of calls for processes to come: today in a file of this host, from which the next process
// takes the calls of one that was killed.
package store
