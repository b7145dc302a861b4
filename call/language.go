package call

import "sync/atomic"

// Language is the control language that a call was made in. What a call can do does not depend on it.
type Language uint8

// The languages. They are a closed set, so that counts can be kept by them.
const (
	NG Language = iota
	RTPproxy
	Mediaproxy
	languageCount
)

var languageNames = [languageCount]string{"ng", "rtpproxy", "mediaproxy"}

func (l Language) String() string { return languageNames[l] }

// LanguageStats are the counts of calls made in one language.
type LanguageStats struct{ Live, Created uint64 }

type languageCounts struct {
	live    atomic.Int64
	created atomic.Uint64
}

// languages returns the counts by language.
func (m *Manager) languages() map[Language]LanguageStats {
	all := make(map[Language]LanguageStats, languageCount)
	for l := range languageCount {
		c := &m.byLanguage[l]
		all[l] = LanguageStats{Live: uint64(max(0, c.live.Load())), Created: c.created.Load()}
	}
	return all
}
