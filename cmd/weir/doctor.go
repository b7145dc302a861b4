package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/daemon/doctor"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this host, and say how to mend it",
		Long: `Look at rights, kernel, limits, ports, clock, connection tracking and the network devices of this host for what keeps
calls out of the kernel or loses packets, and say how to mend each. Nothing is changed. It fails when something will not work.`,
		Args: cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	low := cmd.Flags().IntP("port-min", "m", 30000, "lowest media port")
	high := cmd.Flags().IntP("port-max", "M", 39999, "highest media port")
	devices := cmd.Flags().StringArray("device", nil, "network device of media; repeatable (default all that are up)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		host, err := doctor.Here(*low, *high, *devices)
		if err != nil {
			return err
		}
		findings := doctor.Examine(host)
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), struct {
				Findings []doctor.Finding `json:"findings"`
			}{findings})
		} else {
			err = printFindings(cmd.OutOrStdout(), findings)
		}
		bad := 0
		for _, f := range findings {
			if f.State == doctor.Bad {
				bad++
			}
		}
		if err == nil && bad > 0 {
			err = fmt.Errorf("%d things will not work", bad)
		}
		return err
	}
	return cmd
}

func printFindings(out io.Writer, findings []doctor.Finding) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.Check, f.Text)
		if f.Fix != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", f.Fix)
		}
	}
	return w.Flush()
}
