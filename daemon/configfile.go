package daemon

import (
	"fmt"
	"os"
	"strings"
)

// setting is one "key = value" line of a configuration file.
type setting struct {
	key, value string
	line       int
}

// readConfig returns the settings of one section of a file in the key file format that rtpengine's configuration has: sections in
// brackets, whole-line comments with #, the escapes \s \t \n \r \\, and of equal keys the last one.
func readConfig(path, section string) ([]setting, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	var found []setting
	index := make(map[string]int)
	inside, present := false, false
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			name, ok := strings.CutSuffix(line[1:], "]")
			if !ok {
				return nil, fmt.Errorf("%s line %d: a section header ends in %q", path, n+1, "]")
			}
			inside = name == section
			present = present || inside
			continue
		case !inside:
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s line %d: %q is no \"key = value\"", path, n+1, line)
		}
		s := setting{strings.TrimSpace(key), unescape(strings.TrimSpace(value)), n + 1}
		if i, again := index[s.key]; again {
			found[i] = s
			continue
		}
		index[s.key] = len(found)
		found = append(found, s)
	}
	if !present {
		return nil, fmt.Errorf("%s has no section [%s]; --config-section names another", path, section)
	}
	return found, nil
}

var unescaper = strings.NewReplacer(`\s`, " ", `\t`, "\t", `\n`, "\n", `\r`, "\r", `\\`, `\`)

func unescape(s string) string { return unescaper.Replace(s) }
