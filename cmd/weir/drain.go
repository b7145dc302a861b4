package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/control/cli"
)

func drainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Refuse new calls, so that the daemon may end without cutting any",
		Long: `Refuse new calls with the answer that makes proxies try their next node, and let those that live go on. GET /readyz says no
from then on, and weir status how many calls are left. Pings of proxies are still answered, since a proxy that takes
this node for dead does not end its calls here, either; --fail-ping refuses them.`,
		Example: `  weir drain --deadline=30m
  weir drain --wait && systemctl stop weir`,
	}
	client, asJSON := tool(cmd)
	deadline := cmd.Flags().Duration("deadline", 0, "end the calls that are left after this time; 0 never does")
	failPing := cmd.Flags().Bool("fail-ping", false, "answer pings with an error, too")
	wait := cmd.Flags().Bool("wait", false, "return when no call is left")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c := client()
		d, err := c.Drain(cmd.Context(), *deadline, *failPing)
		for err == nil && *wait && d.Draining && d.Remaining > 0 {
			select {
			case <-cmd.Context().Done():
				return cmd.Context().Err()
			case <-time.After(time.Second):
			}
			var st *cli.Status
			if st, err = c.Status(cmd.Context()); err == nil {
				d = &st.Drain
			}
		}
		if err != nil {
			return err
		}
		return printDrain(cmd, *asJSON, d)
	}
	return cmd
}

func undrainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain",
		Short: "Take new calls again",
	}
	client, asJSON := tool(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, err := client().Undrain(cmd.Context())
		if err != nil {
			return err
		}
		if d.Draining {
			return errors.New("the daemon has been asked to end and goes on draining")
		}
		return printDrain(cmd, *asJSON, d)
	}
	return cmd
}

func printDrain(cmd *cobra.Command, asJSON bool, d *cli.Drain) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), d)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), drainText(d))
	return err
}

func drainText(d *cli.Drain) string {
	if !d.Draining {
		return "new calls are taken"
	}
	text := fmt.Sprintf("new calls are refused; %d calls are left", d.Remaining)
	if d.DeadlineSeconds >= 0 {
		text += fmt.Sprintf(", and are ended in %s", time.Duration(d.DeadlineSeconds)*time.Second)
	}
	if d.Ending {
		text += "; the daemon ends then"
	}
	return text
}

func terminateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "terminate CALL-ID | --all",
		Short: "End a call at once, or all",
	}
	client, asJSON := tool(cmd)
	all := cmd.Flags().Bool("all", false, "end all calls")
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.ValidArgsFunction = completeCalls(client)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all == (len(args) == 1) {
			return errors.New("name a call, or give --all")
		}
		id := ""
		if len(args) == 1 {
			if id = args[0]; id == "" {
				return errors.New("the call-id is empty")
			}
		}
		t, err := client().Terminate(cmd.Context(), id)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), t)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d ended\n", t.Calls)
		return err
	}
	return cmd
}
