package sdp

// What one description may hold. Real ones stay far below; the limits bound the memory and time a hostile text costs.
const (
	MaxText       = 256 << 10 // bytes of a description
	MaxLine       = 16 << 10  // bytes of a line
	MaxLines      = 10_000    // lines of a description
	MaxSessions   = 16        // v= lines of a description
	MaxMedia      = 512       // m= lines of a description, all sessions together
	MaxFormats    = 128       // formats of an m= line
	MaxAttributes = 2_000     // a= lines of a section
	MaxContacts   = 32        // e= and p= lines of a session
	MaxCandidates = 256       // a=candidate lines, and entries of a=remote-candidates, of a section
	MaxCrypto     = 64        // a=crypto lines of a section
)
