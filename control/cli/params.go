package cli

import (
	"fmt"
	"strings"
)

// paramCommands show the settings, and what was changed of them.
func paramCommands() []command {
	return []command{
		{"start", "", "settings as they were at the start", func(c *Commands, _ []string) string { return c.params(c.Tuner.Started()) }, nil},
		{"current", "", "settings as they are", func(c *Commands, _ []string) string { return c.params(c.Tuner.Settings()) }, nil},
		{"diff", "", "those that were changed since the start", (*Commands).paramsDiff, nil},
		{"revert", "", "set them as they were at the start", func(c *Commands, _ []string) string {
			before := c.Tuner.Started()
			return c.change("", func(s *Settings) { *s = before })
		}, nil},
	}
}

// params writes settings with the names that rtpengine has for them inside.
func (c *Commands) params(s Settings) string {
	var b strings.Builder
	for i, system := range logSystemNames {
		fmt.Fprintf(&b, "log-level-%s = %d\n", system.name, s.LogLevels[i])
	}
	l := &s.Limits
	fmt.Fprintf(&b, "max_sessions = %d\ntimeout_us = %d\nsilent_timeout_us = %d\noffer_timeout_us = %d\nfinal_timeout_us = %d\n"+
		"delete_delay = %d\ncontrol_tos = %d\nbw_limit = %d\n", l.MaxSessions, l.Timeout.Microseconds(), l.SilentTimeout.Microseconds(),
		l.OfferTimeout.Microseconds(), l.FinalTimeout.Microseconds(), whole(l.DeleteDelay), s.ControlTOS, s.MaxBandwidth)
	fmt.Fprintf(&b, "redis_allowed_errors = %d\nredis_disable_time = %d\nredis_cmd_timeout = %d\nredis_connect_timeout = %d\n",
		s.Redis.AllowedErrors, s.Redis.DisableTime, s.Redis.CommandTimeout, s.Redis.ConnectTimeout)
	if s.MaxCPU > 0 {
		fmt.Fprintf(&b, "max-cpu = %.1f\n", s.MaxCPU)
	}
	if s.MaxLoad > 0 {
		fmt.Fprintf(&b, "max-load = %.2f\n", s.MaxLoad)
	}
	for _, p := range c.Params() {
		fmt.Fprintf(&b, "%s = %s\n", p.Name, p.Value)
	}
	return b.String()
}

func (c *Commands) paramsDiff([]string) string {
	var b strings.Builder
	before, now := c.Tuner.Started(), c.Tuner.Settings()
	differ := func(name string, old, changed int64) {
		if old != changed {
			fmt.Fprintf(&b, "%s: %d => %d\n", name, old, changed)
		}
	}
	for i, s := range logSystemNames {
		differ("log-level-"+s.name, int64(before.LogLevels[i]), int64(now.LogLevels[i]))
	}
	differ("max-sessions", int64(before.Limits.MaxSessions), int64(now.Limits.MaxSessions))
	differ("max-cpu", int64(before.MaxCPU*100), int64(now.MaxCPU*100))
	differ("max-load", int64(before.MaxLoad*100), int64(now.MaxLoad*100))
	differ("max-bw", int64(before.MaxBandwidth), int64(now.MaxBandwidth))
	differ("timeout", before.Limits.Timeout.Microseconds(), now.Limits.Timeout.Microseconds())
	differ("silent-timeout", before.Limits.SilentTimeout.Microseconds(), now.Limits.SilentTimeout.Microseconds())
	differ("offer-timeout", before.Limits.OfferTimeout.Microseconds(), now.Limits.OfferTimeout.Microseconds())
	differ("final-timeout", before.Limits.FinalTimeout.Microseconds(), now.Limits.FinalTimeout.Microseconds())
	differ("delete-delay", int64(whole(before.Limits.DeleteDelay)), int64(whole(now.Limits.DeleteDelay)))
	differ("control-tos", int64(before.ControlTOS), int64(now.ControlTOS))
	differ("redis_allowed_errors", int64(before.Redis.AllowedErrors), int64(now.Redis.AllowedErrors))
	differ("redis_disable_time", int64(before.Redis.DisableTime), int64(now.Redis.DisableTime))
	differ("redis_cmd_timeout", int64(before.Redis.CommandTimeout), int64(now.Redis.CommandTimeout))
	differ("redis_connect_timeout-db", int64(before.Redis.ConnectTimeout), int64(now.Redis.ConnectTimeout))
	return b.String()
}
