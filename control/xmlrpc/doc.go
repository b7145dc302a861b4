// Package xmlrpc tells a signalling proxy by XML-RPC over HTTP of calls that have timed out, in the three forms that rtpengine knows.
package xmlrpc
