package cli

import "strings"

// mediaCommands are about media that is kept in memory. Nothing is, so that lists are empty and nothing can be found.
func mediaCommands() []command {
	nothing := func(*Commands, []string) string { return "" }
	says := func(text string) func(*Commands, []string) string {
		return func(*Commands, []string) string { return text }
	}
	return []command{
		{"list", "", "", nil, []command{
			{"files", "", "media files in memory", nothing, nil},
			{"dbs", "", "media of the database in memory", nothing, nil},
			{"caches", "", "media of the database in the file system", nothing, nil},
			{"players", "", "media that is encoded already", nothing, nil},
		}},
		{"add", "", "", nil, []command{
			{"file", "<path>", "load a file", failing("reload"), nil},
			{"db", "<index>", "load an entry of the database", failingNumber("reload"), nil},
			{"cache", "<index>", "load an entry into the file system", failingNumber("reload"), nil},
		}},
		{"reload", "", "", nil, []command{
			{"file", "<path>", "load a file again", failing("reload"), nil},
			{"files", "", "load all files again", says("0 media files reloaded\n"), nil},
			{"db", "<index>", "load an entry of the database again", failingNumber("reload"), nil},
			{"dbs", "", "load all entries of the database again", says("0 media entries reloaded\n"), nil},
			{"cache", "<index>", "load an entry into the file system again", failingNumber("reload"), nil},
			{"caches", "", "load all entries into the file system again", says("0 media entries reloaded\n"), nil},
		}},
		{"evict", "", "", nil, []command{
			{"file", "<path>", "forget a file", func(_ *Commands, words []string) string {
				if len(words) == 0 {
					return moreParameters
				}
				return "Failed to evict '" + words[0] + "'" // rtpengine ends no line here, either
			}, nil},
			{"files", "", "forget all files", says("0 media files evicted\n"), nil},
			{"db", "<index> …", "forget entries of the database", evictNumbers, nil},
			{"dbs", "", "forget all entries of the database", says("0 DB media entries evicted\n"), nil},
			{"cache", "<index> …", "forget entries in the file system", evictNumbers, nil},
			{"caches", "", "forget all entries in the file system", says("0 DB cache entries evicted\n"), nil},
			{"players", "", "forget what is encoded already", says("0 DB cache entries evicted\n"), nil},
		}},
	}
}

func failing(verb string) func(*Commands, []string) string {
	return func(_ *Commands, words []string) string {
		if len(words) == 0 {
			return moreParameters
		}
		return "Failed to " + verb + " '" + words[0] + "'\n"
	}
}

func failingNumber(verb string) func(*Commands, []string) string {
	fail := failing(verb)
	return func(c *Commands, words []string) string {
		if len(words) > 0 {
			if _, trouble := unsigned(words[0]); trouble != "" {
				return "Invalid ID '" + words[0] + "'\n"
			}
		}
		return fail(c, words)
	}
}

func evictNumbers(_ *Commands, words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	var b strings.Builder
	for _, word := range words {
		if _, trouble := unsigned(word); trouble != "" {
			b.WriteString("Invalid ID '" + word + "'\n")
		} else {
			b.WriteString("Failed to evict " + word + "\n")
		}
	}
	return b.String()
}
