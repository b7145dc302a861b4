package ngproto

import (
	"slices"
	"strings"
)

// sdpSections are the scopes of sdp-attr and the media types of sdp-media-remove.
var sdpSections = map[string]bool{
	"none": true, "global": true,
	"audio": true, "video": true, "image": true, "message": true, "text": true, "application": true, "other": true,
}

func isMediaType(section string) bool {
	return sdpSections[section] && section != "none" && section != "global"
}

// attrs returns the changes of one scope, making them if need be. "none" is another word for "global".
func (r *reader) attrs(scope string) *AttrChanges {
	if scope == "none" {
		scope = "global"
	}
	i := slices.IndexFunc(r.SDPAttr, func(c AttrChanges) bool { return c.Scope == scope })
	if i < 0 {
		i = len(r.SDPAttr)
		r.SDPAttr = append(r.SDPAttr, AttrChanges{Scope: scope})
	}
	return &r.SDPAttr[i]
}

// sdpAttrKey reads {"<scope>": {"add": [...], "remove": [...], "substitute": [...]}}.
func sdpAttrKey(r *reader, v Value) error {
	if v.Kind() != KindDict {
		return &Error{ReasonWrongType}
	}
	for _, section := range v.Dict() {
		if !sdpSections[section.Key] {
			return &Error{ReasonSDPSection}
		}
		if section.Value.Kind() != KindDict {
			return &Error{ReasonWrongContent}
		}
		changes := r.attrs(section.Key)
		for _, command := range section.Value.Dict() {
			if err := r.attrCommand(changes, command.Key, command.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) attrCommand(c *AttrChanges, command string, v Value) error {
	switch command {
	case "add":
		c.Add = appendUnescaped(c.Add, v.Strings())
	case "remove":
		c.Remove = appendUnescaped(c.Remove, v.Strings())
	case "substitute":
		return r.substitute(c, v)
	default:
		return &Error{ReasonManipulation}
	}
	return nil
}

// substitute reads [from, to], [[from, to], ...], ["from>to", ...] or "from>to,...".
func (r *reader) substitute(c *AttrChanges, v Value) error {
	if v.Kind() != KindList {
		for _, text := range v.Strings() {
			if !c.substitute(text) {
				return &Error{ReasonInvalidToken}
			}
		}
		return nil
	}
	items := v.List()
	if len(items) >= 2 && isPlain(items[0]) && isPlain(items[1]) {
		c.addPair(items[0].Text(), items[1].Text())
		return nil
	}
	for _, item := range items {
		pair := item.List()
		switch {
		case len(pair) >= 2:
			c.addPair(pair[0].Text(), pair[1].Text())
		case !c.substitute(item.Text()):
			r.warn("sdp-attr: substitute needs two values, as from>to or [from, to]: %q", clip(item.Text()))
		}
	}
	return nil
}

func isPlain(v Value) bool { return v.scalar() && !strings.Contains(v.Text(), ">") }

// substitute adds the pair "from>to".
func (c *AttrChanges) substitute(text string) bool {
	from, to, ok := strings.Cut(text, ">")
	if !ok || from == "" {
		return false
	}
	c.addPair(from, to)
	return true
}

func (c *AttrChanges) addPair(from, to string) {
	c.Substitute = append(c.Substitute, Substitution{unescape(from), unescape(to)})
}

// attrFlag reads the flag form, "<scope>-<attribute>".
func attrFlag(command string) func(*reader, string) {
	return func(r *reader, item string) {
		scope, attr, ok := strings.Cut(item, "-")
		if !ok || attr == "" || !sdpSections[scope] {
			r.unknown("sdp-attr-" + command + "-" + item)
			return
		}
		c := r.attrs(scope)
		switch command {
		case "add":
			c.Add = append(c.Add, unescape(attr))
		case "remove":
			c.Remove = append(c.Remove, unescape(attr))
		default:
			if !c.substitute(attr) {
				r.warn("sdp-attr: substitute needs two values, as from>to: %q", clip(attr))
			}
		}
	}
}

func sdpMediaRemoveKey(r *reader, v Value) error {
	if v.Kind() != KindList {
		return &Error{ReasonWrongType}
	}
	for _, media := range v.Strings() {
		if !isMediaType(media) {
			return &Error{ReasonSDPSection}
		}
		r.SDPMediaRemove = append(r.SDPMediaRemove, media)
	}
	return nil
}

func appendUnescaped(to, words []string) []string {
	for _, w := range words {
		to = append(to, unescape(w))
	}
	return to
}

// boundAttrs drops changes of sdp-attr beyond what one request may ask for.
func (r *reader) boundAttrs() {
	for i := range r.SDPAttr {
		c := &r.SDPAttr[i]
		add, remove := bounded(c.Add, textSize), bounded(c.Remove, textSize)
		substitute := bounded(c.Substitute, func(s Substitution) int { return len(s.From) + len(s.To) })
		if len(add) < len(c.Add) || len(remove) < len(c.Remove) || len(substitute) < len(c.Substitute) {
			r.warn("sdp-attr: more than %d changes or %d bytes of one kind in %s are dropped", maxChanges, maxChangeBytes, c.Scope)
		}
		c.Add, c.Remove, c.Substitute = add, remove, substitute
	}
}

func textSize(s string) int { return len(s) }

// bounded returns the first changes that are within the bounds.
func bounded[T any](all []T, size func(T) int) []T {
	bytes := 0
	for i, change := range all {
		if bytes += size(change); i == maxChanges || bytes > maxChangeBytes {
			return all[:i]
		}
	}
	return all
}
