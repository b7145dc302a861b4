// Package redis keeps documents of calls in databases of Redis or Valkey servers, and follows what other nodes keep there.
package redis
