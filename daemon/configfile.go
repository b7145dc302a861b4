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

// configFile is a configuration file in the key file format that rtpengine's has: sections in brackets, whole-line comments with #,
// the escapes \s \t \n \r \\, and of equal keys in a section the last one.
type configFile struct {
	path     string
	names    []string // of the sections, in order
	sections map[string][]setting
}

func readConfig(path string) (*configFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration file: %w", err)
	}
	return parseConfig(path, string(text))
}

// parseConfig reads the text of a file of that name.
func parseConfig(path, text string) (*configFile, error) {
	f := &configFile{path: path, sections: make(map[string][]setting)}
	section := ""
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name, ok := strings.CutSuffix(line[1:], "]")
			if !ok || name == "" {
				return nil, fmt.Errorf("%s line %d: %q is no [section]", path, n+1, line)
			}
			section = name
			if _, again := f.sections[name]; !again {
				f.names = append(f.names, name)
				f.sections[name] = nil
			}
		case section == "":
			return nil, fmt.Errorf("%s line %d: %q stands before the first [section]", path, n+1, line)
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, fmt.Errorf("%s line %d: %q is no \"key = value\"", path, n+1, line)
			}
			f.set(section, setting{strings.TrimSpace(key), unescape(strings.TrimSpace(value)), n + 1})
		}
	}
	return f, nil
}

func (f *configFile) set(section string, s setting) {
	for i, old := range f.sections[section] {
		if old.key == s.key {
			f.sections[section][i] = s
			return
		}
	}
	f.sections[section] = append(f.sections[section], s)
}

// section returns the settings of a section that must be there.
func (f *configFile) section(name, option string) ([]setting, error) {
	s, ok := f.sections[name]
	if !ok {
		return nil, fmt.Errorf("%s has no section [%s]; %s names another", f.path, name, option)
	}
	return s, nil
}

func unescape(s string) string {
	return strings.NewReplacer(`\s`, " ", `\t`, "\t", `\n`, "\n", `\r`, "\r", `\\`, `\`).Replace(s)
}
