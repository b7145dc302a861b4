// Command weir is the media proxy daemon with its tools. Called as rtpengine or rtpengine-ctl it behaves like those.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "development"

func main() {
	called := filepath.Base(os.Args[0])
	if called != "rtpengine-ctl" && len(os.Args) > 1 && isOption(os.Args[1]) {
		called = "rtpengine" // options without a command are rtpengine's way to start the daemon
	}
	cmd := root(called)
	if len(os.Args) > 1 && os.Args[1] == "-?" {
		cmd.SetArgs([]string{"--help"}) // as rtpengine has it
	}
	if err := cmd.Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "weir: %v\n", err)
		os.Exit(1)
	}
}

// isOption tells an option of the daemon from a command, and from the options of the program as a whole.
func isOption(arg string) bool {
	return strings.HasPrefix(arg, "-") && arg != "-h" && arg != "--help" && arg != "-v" && arg != "--version"
}

// root builds the command for the name the program was called by.
func root(called string) *cobra.Command {
	var cmd *cobra.Command
	switch called {
	case "rtpengine":
		cmd = serveCommand("/etc/rtpengine/rtpengine.conf", "rtpengine")
		cmd.Use = "rtpengine"
		cmd.Version = version
		cmd.Flags().BoolP("version", "v", false, "print the version")
		cmd.SetVersionTemplate("Version: {{.Version}}\n")
	case "rtpengine-ctl":
		cmd = ctlCommand()
	default:
		cmd = &cobra.Command{
			Use:   "weir",
			Short: "Media proxy for SIP and WebRTC that relays in the kernel",
			Long: `Weir relays the media of calls that a SIP proxy sets up over the ng protocol. Packets of
established calls stay in the kernel (XDP or tc); everything else goes through userspace.

  weir serve           start the daemon; without options it finds the interfaces itself
  weir status          what runs where, and why not in the kernel
  weir top             the calls, live
  weir explain CALL-ID why a call has no sound
  weir capture CALL-ID the packets of a call as a file
  weir doctor          what is wrong with this host, and how to mend it`,
			Version: version,
		}
		cmd.AddCommand(serveCommand("/etc/weir/weir.conf", "weir"), statusCommand(), listCommand(), topCommand(),
			showCommand(), explainCommand(), captureCommand(), terminateCommand(), drainCommand(), undrainCommand(),
			reloadCommand(), configCommand("/etc/weir/weir.conf", "weir"), doctorCommand(), versionCommand(), docsCommand())
	}
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	return cmd
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "weir %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
	return cmd
}
