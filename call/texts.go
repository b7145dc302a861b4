package call

import (
	"bytes"
	"reflect"
	"unicode/utf8"
)

// Signalling may come in any encoding, and JSON knows only one. A document with texts in another one has them widened: each
// byte becomes the character of that number.

// mangled tells whether JSON has lost a byte of a text. The encoder writes such a one as an escape, which it uses for nothing
// else.
func mangled(text []byte) bool {
	escape := []byte(`\ufffd`)
	for at := 0; ; {
		i := bytes.Index(text[at:], escape)
		if i < 0 {
			return false
		}
		at += i
		slashes := 0
		for at-slashes > 0 && text[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 { // else the backslash is one of the text
			return true
		}
		at += len(escape)
	}
}

func widen(s string) string {
	wide := make([]rune, 0, len(s))
	for _, b := range []byte(s) {
		wide = append(wide, rune(b))
	}
	return string(wide)
}

func narrow(s string) string {
	if utf8.RuneCountInString(s) == len(s) {
		return s
	}
	bytes := make([]byte, 0, len(s))
	for _, r := range s {
		bytes = append(bytes, byte(r))
	}
	return string(bytes)
}

// eachText returns a copy of a document with change made to all its texts.
func eachText(d *Document, change func(string) string) *Document {
	to := new(Document)
	copyTexts(reflect.ValueOf(to).Elem(), reflect.ValueOf(d).Elem(), change)
	return to
}

func copyTexts(to, from reflect.Value, change func(string) string) {
	switch from.Kind() {
	case reflect.String:
		to.SetString(change(from.String()))
	case reflect.Pointer:
		if from.IsNil() {
			return
		}
		to.Set(reflect.New(from.Type().Elem()))
		copyTexts(to.Elem(), from.Elem(), change)
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			copyTexts(to.Index(i), from.Index(i), change)
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for entries := from.MapRange(); entries.Next(); {
			value := reflect.New(from.Type().Elem()).Elem()
			copyTexts(value, entries.Value(), change)
			to.SetMapIndex(entries.Key(), value)
		}
	case reflect.Struct:
		to.Set(from) // addresses, times and whatever else keeps its parts to itself
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				copyTexts(to.Field(i), from.Field(i), change)
			}
		}
	default:
		to.Set(from)
	}
}
