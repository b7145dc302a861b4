package fastpath

import (
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// schemaOf names what the maps of collections mean: the version of the flow, for what people know to have changed, and a
// fingerprint of every layout, for what they forget. How many entries a map may have does not count.
func schemaOf(specs ...*ebpf.CollectionSpec) string {
	h := fnv.New32a()
	for _, spec := range specs {
		for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
			if strings.HasPrefix(name, ".") {
				continue
			}
			m := spec.Maps[name]
			fmt.Fprintln(h, name, m.Type, m.KeySize, m.ValueSize, m.Flags)
			layout(h, m.Key, 0)
			layout(h, m.Value, 0)
		}
	}
	return fmt.Sprintf("%d-%08x", flowVersion, h.Sum32())
}

// layout writes what a type is made of.
func layout(w io.Writer, t btf.Type, depth int) {
	const enough = 8
	if t == nil || depth == enough {
		return
	}
	fmt.Fprintf(w, "%T %s\n", t, t.TypeName())
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members(w, t.Members, depth)
	case *btf.Union:
		members(w, t.Members, depth)
	case *btf.Array:
		fmt.Fprintln(w, t.Nelems)
		layout(w, t.Type, depth+1)
	case *btf.Enum:
		for _, v := range t.Values {
			fmt.Fprintln(w, v.Name, v.Value)
		}
	}
}

func members(w io.Writer, all []btf.Member, depth int) {
	for _, m := range all {
		fmt.Fprintln(w, m.Name, m.Offset, m.BitfieldSize)
		layout(w, m.Type, depth+1)
	}
}
