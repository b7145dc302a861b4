package main

import (
	"github.com/spf13/cobra"

	"github.com/weir-media/weir/control/cli"
)

// ctlCommand is rtpengine-ctl, which reads its options in a way of its own.
func ctlCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rtpengine-ctl [--ip ADDRESS[:PORT]] [--port PORT] [--config-file FILE] COMMAND",
		Short: "Send a command to a running daemon, as rtpengine-ctl does",
		Long: `Send a command to the port that --listen-cli opens, and print the reply. Without a command the daemon
lists those it has. Unless --ip and --port say where it is, the file ` + cli.DefaultCtlConfig + `
does, else it is ` + cli.DefaultCtlHost + `:` + cli.DefaultCtlPort + `.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := cli.ParseCtl(args)
			if err != nil {
				return err
			}
			return req.Do(cmd.OutOrStdout())
		},
	}
}
