package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weir-media/weir/daemon"
)

func serveCommand(configFile, section string) *cobra.Command {
	opts := daemon.NewOptions(configFile, section)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the daemon",
		Long: `Start the media proxy. Without options it relays on all addresses of the host and takes
commands on ` + daemon.DefaultNG + `. All options of rtpengine are understood, on the command line
and in a configuration file; docs/options.md lists them all.

SIGTERM refuses new calls and ends when those that live have ended, or after --drain-deadline; a second one, and
SIGINT, end at once. SIGUSR2 ends the daemon and leaves its calls to the next one. SIGHUP reloads the configuration, SIGUSR1
has the log say less until then.`,
		Example: `  weir serve
  weir serve --interface=eth0 --listen-ng=127.0.0.1:2223
  weir serve --interface=pub/10.0.0.5!203.0.113.9 --interface=priv/192.168.1.5
  weir serve --config-file=new.conf --check-config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.Complete(); err != nil {
				return err
			}
			if done, err := opts.OneShot(cmd.OutOrStdout()); done {
				return err
			}
			d, err := daemon.New(opts, version, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancelCause(cmd.Context())
			defer stop(nil)
			signals := make(chan os.Signal, 4)
			signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
			defer signal.Stop(signals)
			go obey(ctx, stop, d, signals)
			return d.Run(ctx)
		},
	}
	opts.Register(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return opts.FlagError(err) })
	return cmd
}

// obey does what signals ask of a running daemon until ctx ends, which it does with the cause for stop.
func obey(ctx context.Context, stop context.CancelCauseFunc, d *daemon.Daemon, signals <-chan os.Signal) {
	ending := false
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			switch s {
			case syscall.SIGINT:
				stop(nil)
			case syscall.SIGTERM:
				if ending {
					stop(nil)
				} else {
					d.End()
				}
				ending = true
			case syscall.SIGHUP:
				_, _ = d.Reload() // which has logged how it went
			case syscall.SIGUSR1:
				d.LogMore(-1)
			case syscall.SIGUSR2:
				stop(daemon.ErrLeave)
			}
		}
	}
}

func reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration file again",
		Long: `Have the daemon read its configuration file again, as SIGHUP does. When all of it is good, limits, timeouts, log levels
and templates take effect; what else has changed is listed, and waits for the next start. When anything is wrong,
everything stays as it was.`,
	}
	client, asJSON := tool(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, err := client().Reload(cmd.Context())
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if *asJSON {
			return printJSON(out, r)
		}
		for _, name := range r.Changed {
			fmt.Fprintf(out, "in effect      %s\n", name)
		}
		for _, name := range r.Restart {
			fmt.Fprintf(out, "needs a start  %s\n", name)
		}
		if len(r.Changed)+len(r.Restart) == 0 {
			fmt.Fprintln(out, "nothing has changed")
		}
		return nil
	}
	return cmd
}

func configCommand(configFile, section string) *cobra.Command {
	opts := daemon.NewOptions(configFile, section)
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration as the daemon would take it",
		Long: `Show what the configuration file and the options of "weir serve" amount to, as a configuration file. It is checked
on the way. Passwords are not shown.`,
		Example: `  weir config
  weir config --effective --config-file=/etc/weir/weir.conf
  weir config --effective --json`,
		Args: cobra.NoArgs,
	}
	opts.Register(cmd.Flags())
	effective := cmd.Flags().Bool("effective", false, "show options at their default, too")
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.Flags().SortFlags = false
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return opts.FlagError(err) })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := opts.Complete(); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Settings []daemon.Setting `json:"settings"`
			}{opts.Effective(*effective)})
		}
		return opts.WriteEffective(cmd.OutOrStdout(), *effective)
	}
	return cmd
}
