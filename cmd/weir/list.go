package main

import (
	"bufio"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/control/cli"
)

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the calls with their legs",
	}
	client, asJSON := tool(cmd)
	limit := cmd.Flags().Int("limit", 1000, "at most this many calls")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		calls, err := client().Calls(cmd.Context(), *limit)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), calls)
		}
		if err := printCalls(cmd.OutOrStdout(), calls); err != nil {
			return err
		}
		if len(calls.Calls) < calls.Total {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d calls shown; --limit raises that\n", len(calls.Calls), calls.Total)
		}
		return nil
	}
	return cmd
}

func printCalls(out io.Writer, calls *cli.Calls) error {
	whole := bufio.NewWriterSize(out, 1<<16) // the tabwriter writes cell by cell
	w := tabwriter.NewWriter(whole, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CALL\tLANGUAGE\tSTATE\tAGE\tPARTY\tMEDIA\tLOCAL\tPEER\tPLANE\tKERNEL\tUSER\tLOST\tOUT\tREFUSED")
	for _, c := range calls.Calls {
		for _, l := range c.Legs {
			peer := l.Source
			if peer == "" {
				peer = l.Signalled
			}
			plane := l.Plane
			if l.Why != "" {
				plane += " (" + l.Why + ")"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%ds\t%s\t%s %s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", short(c.CallID), c.Language, c.State, c.AgeSeconds,
				short(l.Party), l.Media, l.Component, l.Local, peer, plane, l.KernelPackets, l.UserPackets, l.Lost, l.PacketsOut, l.Refused)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return whole.Flush()
}

// short keeps long identifiers from pushing the columns off the screen.
func short(id string) string {
	const most = 24
	if len(id) <= most {
		return id
	}
	return id[:most-1] + "…"
}
