package call

import (
	"fmt"
	"slices"
	"sync/atomic"
)

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

// text is how documents have a language: ng, which was the only one once, is not told.
func (l Language) text() string {
	if l == NG {
		return ""
	}
	return l.String()
}

// languageOf is the reverse of text. The error is ErrDocument.
func languageOf(text string) (Language, error) {
	if text == "" {
		return NG, nil
	}
	i := slices.Index(languageNames[:], text)
	if i < 0 {
		return 0, fmt.Errorf("%w: nobody speaks %q", ErrDocument, text)
	}
	return Language(i), nil
}

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
