package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/control/cli"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain CALL-ID",
		Short: "Say why a call has sound, or has none",
		Long: `Say for each party and direction of a call what was signalled, what was learnt and when, when the last packet came,
what was dropped and why, which plane relays and why not the kernel, how far ICE and DTLS are, and what follows from it.
The first line is the verdict, the second one the likely cause and what to do.`,
	}
	client, asJSON := tool(cmd)
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = completeCalls(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := client().Explain(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), e)
		}
		return printExplanation(cmd.OutOrStdout(), e)
	}
	return cmd
}

func printExplanation(out io.Writer, e *cli.Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.Verdict.Code, e.Verdict.Text)
	if e.Verdict.Advice != "" {
		fmt.Fprintf(&b, "%s\n", e.Verdict.Advice)
	}
	b.WriteString("\n")
	fmt.Fprintf(&b, "call %s, %s, %s old; ends by %s in %s\n", e.Call.CallID, e.Call.State, time.Duration(e.Call.AgeSeconds)*time.Second,
		e.Call.EndsBy, time.Duration(e.Call.EndsSeconds)*time.Second)
	for i := range e.Flows {
		writeFlow(&b, &e.Flows[i])
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func writeFlow(b *strings.Builder, f *cli.Flow) {
	l := &f.Leg
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	to := strings.Join(f.To, ", ")
	if to == "" {
		to = "nobody"
	}
	fmt.Fprintf(b, "\n%s to %s: %s %d, %s\n", f.From, to, l.Media, l.Index, f.Direction)
	local := l.Local
	if f.Told != l.Local {
		local += ", told as " + f.Told
	}
	row("local", "%s", local)
	row("signalled", "%s", cmp.Or(l.Signalled, "nothing"))
	learnt := "nothing yet"
	if l.Source != "" {
		learnt = l.Source
		if f.LearntS >= 0 {
			learnt += fmt.Sprintf(", %.1f s ago", f.LearntS)
		}
	}
	row("learnt", "%s", learnt)
	last := "none"
	if l.LastPacketMS >= 0 {
		last = fmt.Sprintf("%.1f s ago", float64(l.LastPacketMS)/1000)
	}
	row("last packet", "%s", last)
	row("packets", "%d received (%d in the kernel), %d lost, %d sent to %s", l.Packets, l.KernelPackets, l.Lost, l.PacketsOut, f.From)
	if len(f.Payloads) > 0 {
		row("payloads", "%s", strings.Trim(fmt.Sprint(f.Payloads), "[]"))
	}
	for i, d := range f.Drops {
		row([]string{"dropped", ""}[min(i, 1)], "%d  %s", d.Count, d.Reason)
	}
	if f.Stranger != "" {
		row("refused", "last from %s", f.Stranger)
	}
	plane := l.Plane
	if l.Why != "" {
		plane += ": " + l.Why
	}
	row("plane", "%s", plane)
	row("keys", "%s", f.Keying)
	if f.ICE != "" {
		row("ICE", "%s %s", f.ICE, f.Selected)
	}
	if c := f.Checks; c != nil {
		row("checks", "%d sent to %s, %d answered; %d received, %d with wrong credentials", c.Sent, cmp.Or(strings.Join(c.To, ", "), "nowhere"),
			c.Answered, c.Received, c.Unauthenticated)
	}
	if f.DTLS != "" {
		row("DTLS", "%s %s", f.DTLS, f.DTLSError)
	}
	for i, finding := range f.Findings {
		row([]string{"verdict", ""}[min(i, 1)], "%s: %s", finding.Code, finding.Text)
		if finding.Advice != "" {
			row("", "%s", finding.Advice)
		}
	}
}

func showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show CALL-ID",
		Short: "Show one call with its legs",
	}
	client, asJSON := tool(cmd)
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = completeCalls(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := client().Call(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), c)
		}
		return printCalls(cmd.OutOrStdout(), &cli.Calls{Calls: []cli.Call{*c}, Total: 1})
	}
	return cmd
}
