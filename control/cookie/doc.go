// Package cookie remembers the replies to requests that came with a cookie, as every control language over UDP has them: a client
// that does not see the reply sends the same request again.
package cookie
