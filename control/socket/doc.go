// Package socket holds the sockets that control requests come by, whatever the language: datagrams that are answered one by one, and
// connections with a cap on their number.
package socket
