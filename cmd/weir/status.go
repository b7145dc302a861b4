package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/control/cli"
)

// tool adds the flags every command has that asks a running daemon.
func tool(cmd *cobra.Command) (client func() *cli.Client, asJSON *bool) {
	socket := cmd.Flags().String("control-socket", cli.DefaultSocket, "unix socket of the daemon")
	asJSON = cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.Args = cobra.NoArgs
	return func() *cli.Client { return cli.NewClient(*socket) }, asJSON
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs where: engines, calls, packets, ports",
	}
	client, asJSON := tool(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		st, err := client().Status(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), st)
		}
		return printStatus(cmd.OutOrStdout(), st)
	}
	return cmd
}

func printStatus(out io.Writer, st *cli.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "weir %s\tpid %d, up %s\n", st.Version, st.PID, time.Duration(st.UptimeSeconds)*time.Second)
	for _, e := range st.Engines {
		fmt.Fprintf(w, "%s\t%s on %s: %s\n", e.Interface, e.Engine, strings.Join(e.Addresses, ", "), e.Reason)
	}
	fmt.Fprintf(w, "userspace\t%s: %s\n", st.IO.Engine, st.IO.Reason)
	plane := "in userspace"
	if st.SRTP.Kernel {
		plane = "in the kernel"
	}
	fmt.Fprintf(w, "SRTP\t%s: %s\n", plane, st.SRTP.Reason)
	fmt.Fprintf(w, "life\t%s\n", st.Life.Outlook)
	fmt.Fprintf(w, "calls\t%d live, %d ended, %d of them timed out, %d refused\n",
		st.Calls.Live, st.Calls.Ended, st.Calls.TimedOut, st.Calls.Rejected)
	for _, language := range slices.Sorted(maps.Keys(st.Calls.ByLanguage)) {
		if n := st.Calls.ByLanguage[language]; n.Created > 0 {
			fmt.Fprintf(w, "\t%d live by %s, %d created\n", n.Live, language, n.Created)
		}
	}
	fmt.Fprintf(w, "packets\t%d in the kernel, %d in userspace (%s in the kernel), %d dropped\n",
		st.Packets.Kernel, st.Packets.Userspace, share(st.Packets.Kernel, st.Packets.Userspace), st.Packets.Dropped)
	fmt.Fprintf(w, "RTP legs\t%d in the kernel, %d in userspace\n", st.Flows.Kernel, st.Flows.Userspace)
	for _, section := range []struct {
		name string
		rows []cli.ReasonCount
	}{{"not in the kernel", st.NotFast}, {"dropped", st.Drops}, {"kernel exits", st.Kernel}} {
		for i, r := range section.rows {
			name := section.name
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(w, "%s\t%d  %s\n", name, r.Count, r.Reason)
		}
	}
	for _, p := range st.Ports {
		fmt.Fprintf(w, "ports\t%s: %d pairs used, %d free, %d resting\n", p.Address, p.Used, p.Free, p.Resting)
	}
	fmt.Fprintf(w, "ng\t%d requests, %d failed\n", st.NG.Requests, st.NG.Failed)
	return w.Flush()
}

func share(part, rest uint64) string {
	if part+rest == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(part+rest))
}
