package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-media/weir/control/counts"
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// emit takes one sample of a family with the values of its labels, in their order.
type emit func(value float64, labels ...string)

// family is one row of what is exported.
type family struct {
	name   string
	kind   prometheus.ValueType
	labels []label
	help   string
	idle   string // why it is always 0; empty when it is not
	read   func(*counts.Snapshot, emit)
}

// label is a dimension of a family. Its values are a closed list, or bounded by what bounds says.
type label struct {
	name   string
	values []string
	bounds string
}

func oneOf(name string, values ...string) label { return label{name: name, values: values} }

func boundedBy(name, bounds string) label { return label{name: name, bounds: bounds} }

// interfaceLabels name an address of a logical interface.
func interfaceLabels() []label {
	return []label{boundedBy("name", "configured interfaces"), boundedBy("address", "configured addresses")}
}

// families are all that the registry has of ours. It is never written to.
func families() []family {
	all := peerFamilies()
	all = append(all, qualityFamilies()...)
	all = append(all, interfaceFamilies()...)
	all = append(all, idleFamilies()...)
	return append(all, ownFamilies()...)
}

// names returns those of the labels.
func (f *family) names() []string {
	names := make([]string, len(f.labels))
	for i := range f.labels {
		names[i] = f.labels[i].name
	}
	return names
}

func (f *family) kindName() string {
	if f.kind == counter {
		return "counter"
	}
	return "gauge"
}

// describe tells the values of a label for people.
func (l *label) describe() string {
	if l.bounds != "" {
		return "`" + l.name + "` (" + l.bounds + ")"
	}
	return "`" + l.name + "` = " + strings.Join(l.values, ", ")
}
