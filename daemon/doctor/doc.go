// Package doctor looks at a host for what keeps Weir from working well on it, and says how to mend that. It changes nothing.
package doctor
