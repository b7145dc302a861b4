// Package graphite pushes statistics to a Carbon server, in its plain text protocol over TCP, with rtpengine's names.
package graphite
