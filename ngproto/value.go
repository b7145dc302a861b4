package ngproto

import (
	"math"
	"strconv"
	"strings"
)

// Kind tells which of the shapes a Value has.
type Kind uint8

// The kinds of a Value. Float occurs in replies and in JSON requests only; bencode carries it as a decimal string.
const (
	KindString Kind = iota
	KindInt
	KindFloat
	KindList
	KindDict
)

// Value is one item of the wire language: a binary-safe string, an integer, a float, a list or a dictionary. The zero
// Value is the empty string. Values are read-only once built and then safe for concurrent use.
type Value struct {
	kind Kind
	num  int64
	str  string
	list []Value
	dict Dict
}

// Entry is one key of a Dict.
type Entry struct {
	Key   string
	Value Value
}

// Dict is a dictionary in the order in which it was received, which matters because later settings win. A key may
// occur more than once; lookups return the last one. The zero Dict is empty and ready to use.
type Dict []Entry

// String returns a string value.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Int returns an integer value.
func Int(n int64) Value { return Value{kind: KindInt, num: n} }

// Float returns a floating point value. A value that is not finite becomes 0, as JSON has no word for it.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return Value{kind: KindFloat, num: int64(math.Float64bits(f))}
}

// List returns a list value that holds on to items.
func List(items ...Value) Value { return Value{kind: KindList, list: items} }

// Strings returns a list of strings.
func Strings(items ...string) Value {
	list := make([]Value, len(items))
	for i, s := range items {
		list[i] = String(s)
	}
	return List(list...)
}

// Map returns a dictionary value that holds on to d.
func Map(d Dict) Value { return Value{kind: KindDict, dict: d} }

// Kind returns the shape of v.
func (v Value) Kind() Kind { return v.kind }

// Text returns the value as text: a string as it is, a number in decimal, "" for lists and dictionaries.
func (v Value) Text() string {
	switch v.kind {
	case KindString:
		return v.str
	case KindInt:
		return strconv.FormatInt(v.num, 10)
	case KindFloat:
		return strconv.FormatFloat(v.float(), 'f', -1, 64)
	default:
		return ""
	}
}

// Int returns the value as an integer. A string counts if all of it is a decimal number (blanks around it are ignored);
// a float is cut towards zero.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case KindInt:
		return v.num, true
	case KindString:
		n, err := strconv.ParseInt(strings.TrimSpace(v.str), 10, 64)
		return n, err == nil
	case KindFloat:
		f := v.float()
		if math.Abs(f) >= math.MaxInt64 {
			return 0, false
		}
		return int64(f), true
	default:
		return 0, false
	}
}

// Float returns the value as a floating point number; strings count if they are one.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case KindFloat:
		return v.float(), true
	case KindInt:
		return float64(v.num), true
	case KindString:
		f, err := strconv.ParseFloat(v.str, 64)
		return f, err == nil
	default:
		return 0, false
	}
}

// List returns the items of a list, or nil for any other kind. The caller must not change them.
func (v Value) List() []Value { return v.list }

// Dict returns the entries of a dictionary, or nil for any other kind. The caller must not change them.
func (v Value) Dict() Dict { return v.dict }

// Strings returns the value as a list of strings: the scalar items of a list, or a scalar split at its commas.
func (v Value) Strings() []string {
	switch v.kind {
	case KindList:
		out := make([]string, 0, len(v.list))
		for _, item := range v.list {
			if item.scalar() {
				out = append(out, item.Text())
			}
		}
		return out
	case KindDict:
		return nil
	default:
		var out []string
		for item := range strings.SplitSeq(v.Text(), ",") {
			if item != "" {
				out = append(out, item)
			}
		}
		return out
	}
}

func (v Value) scalar() bool { return v.kind < KindList }

func (v Value) float() float64 { return math.Float64frombits(uint64(v.num)) }

// Get returns the last value stored under key.
func (d Dict) Get(key string) (Value, bool) {
	for i := len(d) - 1; i >= 0; i-- {
		if d[i].Key == key {
			return d[i].Value, true
		}
	}
	return Value{}, false
}

// Text returns the value under key as text, "" if it is missing or not a scalar.
func (d Dict) Text(key string) string {
	v, _ := d.Get(key)
	return v.Text()
}

// Int returns the integer under key, and whether there is one.
func (d Dict) Int(key string) (int64, bool) {
	v, ok := d.Get(key)
	if !ok {
		return 0, false
	}
	return v.Int()
}

// Dict returns the dictionary under key, nil if there is none.
func (d Dict) Dict(key string) Dict {
	v, _ := d.Get(key)
	return v.Dict()
}

// List returns the list under key, nil if there is none.
func (d Dict) List(key string) []Value {
	v, _ := d.Get(key)
	return v.List()
}

// Has reports whether key is present.
func (d Dict) Has(key string) bool {
	_, ok := d.Get(key)
	return ok
}

// Set stores v under key, in place of the present value if there is one, else at the end.
func (d *Dict) Set(key string, v Value) {
	for i := len(*d) - 1; i >= 0; i-- {
		if (*d)[i].Key == key {
			(*d)[i].Value = v
			return
		}
	}
	*d = append(*d, Entry{key, v})
}

// Add appends key without looking for an earlier one: the cheap form of Set for keys known to be new.
func (d *Dict) Add(key string, v Value) { *d = append(*d, Entry{key, v}) }
