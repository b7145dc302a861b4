package main

import (
	"context"
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
and in a configuration file.`,
		Example: `  weir serve
  weir serve --interface=eth0 --listen-ng=127.0.0.1:2223
  weir serve --interface=pub/10.0.0.5!203.0.113.9 --interface=priv/192.168.1.5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := opts.Complete(); err != nil {
				return err
			}
			d, err := daemon.New(opts, version, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			ctx, leave := context.WithCancelCause(ctx)
			defer leave(nil)
			handOver := make(chan os.Signal, 1)
			signal.Notify(handOver, syscall.SIGUSR2)
			defer signal.Stop(handOver)
			go func() {
				select {
				case <-handOver:
					leave(daemon.ErrLeave)
				case <-ctx.Done():
				}
			}()
			return d.Run(ctx)
		},
	}
	opts.Register(cmd.Flags())
	return cmd
}
