package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-media/weir/control/counts"
)

const (
	// scrapesAtATime bounds what impatient scrapers can make the daemon do at once.
	scrapesAtATime = 3
	scrapeTimeout  = 20 * time.Second
)

// collector turns a snapshot into samples. It keeps nothing between two scrapes.
type collector struct {
	take     func() *counts.Snapshot
	families []family
	descs    []*prometheus.Desc
	took     *prometheus.Desc
}

// NewRegistry returns a registry of everything that is exported. take is called once for each scrape; it must be safe for concurrent
// use.
func NewRegistry(take func() *counts.Snapshot) *prometheus.Registry {
	c := &collector{take: take, families: families()}
	for i := range c.families {
		f := &c.families[i]
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.names(), nil))
	}
	c.took = prometheus.NewDesc("weir_snapshot_seconds", snapshotHelp, nil, nil)
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

const snapshotHelp = "Seconds it took to gather what this scrape shows."

// NewHandler returns what answers a scrape.
func NewHandler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), MaxRequestsInFlight: scrapesAtATime, Timeout: scrapeTimeout,
	})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
	to <- c.took
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	began := time.Now()
	s := c.take()
	for i := range c.families {
		f, desc := &c.families[i], c.descs[i]
		f.read(s, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, f.kind, value, labels...)
		})
	}
	to <- prometheus.MustNewConstMetric(c.took, prometheus.GaugeValue, time.Since(began).Seconds())
}
