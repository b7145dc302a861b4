package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weir-media/weir/control/cli"
)

// clearScreen moves to the corner and erases what is below (ECMA-48).
const clearScreen = "\x1b[H\x1b[J"

func topCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the calls live: packets in kernel and userspace, loss, both directions",
	}
	client, asJSON := tool(cmd)
	interval := cmd.Flags().Duration("interval", time.Second, "time between two tables")
	count := cmd.Flags().Int("count", 0, "end after this many tables; 0 goes on until interrupted")
	rows := cmd.Flags().Int("rows", 20, "at most this many calls, the busiest first")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		c := client()
		for n := 1; ; n++ {
			calls, err := c.Calls(cmd.Context(), 100000)
			if err != nil {
				return err
			}
			if *asJSON {
				err = printJSON(out, calls)
			} else {
				if term.IsTerminal(int(os.Stdout.Fd())) {
					fmt.Fprint(out, clearScreen)
				}
				err = printTop(out, calls, *rows)
			}
			if err != nil || n == *count {
				return err
			}
			select {
			case <-cmd.Context().Done():
				return nil
			case <-time.After(*interval):
			}
		}
	}
	return cmd
}

// line is one row of the table: all RTP legs of a call together, and what each direction received.
type line struct {
	call               *cli.Call
	kernel, user, lost uint64
	planes             []string
	directions         []string
	packets            uint64
}

func printTop(out io.Writer, calls *cli.Calls, rows int) error {
	var lines []line
	var kernel, user uint64
	for i := range calls.Calls {
		l := summarise(&calls.Calls[i])
		kernel += l.kernel
		user += l.user
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(b.packets, a.packets), cmp.Compare(a.call.CallID, b.call.CallID))
	})
	fmt.Fprintf(out, "%s  %d calls, %d RTP packets in the kernel, %d in userspace (%s in the kernel)\n",
		time.Now().Format(time.TimeOnly), calls.Total, kernel, user, share(kernel, user))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CALL\tSTATE\tAGE\tPLANE\tKERNEL\tUSER\tLOST\tRECEIVED FROM")
	for i, l := range lines {
		if i == rows {
			fmt.Fprintf(w, "… and %d more\n", len(lines)-rows)
			break
		}
		fmt.Fprintf(w, "%s\t%s\t%ds\t%s\t%d\t%d\t%d\t%s\n", short(l.call.CallID), l.call.State, l.call.AgeSeconds,
			strings.Join(l.planes, "/"), l.kernel, l.user, l.lost, strings.Join(l.directions, ", "))
	}
	return w.Flush()
}

func summarise(c *cli.Call) line {
	l := line{call: c}
	for _, leg := range c.Legs {
		if leg.Component != "RTP" {
			continue
		}
		l.kernel += leg.KernelPackets
		l.user += leg.UserPackets
		l.lost += leg.Lost
		l.packets += leg.Packets
		if !slices.Contains(l.planes, leg.Plane) {
			l.planes = append(l.planes, leg.Plane)
		}
		peer := leg.Source
		if peer == "" {
			peer = cmp.Or(leg.Signalled, "nobody yet")
		}
		l.directions = append(l.directions, fmt.Sprintf("%s: %d", peer, leg.Packets))
	}
	return l
}
