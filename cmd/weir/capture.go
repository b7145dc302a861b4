package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weir-media/weir/control/cli"
)

// Defaults of the limits of a capture, so that one that is forgotten neither fills a disk nor costs the call for ever.
const (
	captureDuration = time.Hour
	capturePackets  = 1000000
)

func captureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "capture CALL-ID -w FILE",
		Short: "Write the packets of a call to a pcapng file, those relayed in the kernel included",
		Long: `Write all that the parties of a call send and are sent to a pcapng file, from now on: RTP and RTCP in clear where the
daemon has the keys, STUN and DTLS as they are. Each media of each party is an interface, named by its tag, label and number;
directions are as the daemon sees them, addresses and ports are those on the wire. What the kernel relays stays there, and is
copied. Branches, re-offers and subscribers that come later are included.

It ends with the call, with a limit, or when interrupted, and says how many packets the file has and how many are missing.
Whoever may use the control socket can hear calls by this; the daemon logs who does.`,
		Example: `  weir capture 3848276298220188511@atlanta.example.com -w call.pcapng
  weir capture CALL-ID --duration=30s -w - | tshark -r - -q -z rtp,streams`,
	}
	client, asJSON := tool(cmd)
	var o cli.CaptureOptions
	file := cmd.Flags().StringP("write", "w", "", "file to write; - for the standard output")
	cmd.Flags().DurationVar(&o.Duration, "duration", captureDuration, "end after this time; 0 for none")
	cmd.Flags().Uint64Var(&o.Packets, "packets", capturePackets, "end after so many packets; 0 for any number")
	cmd.Flags().IntVar(&o.SnapLen, "snaplen", 0, "bytes of each packet to keep, from the IP header on; 0 for all")
	cmd.Flags().StringVar(&o.Only, "only", "", "received or sent: packets of one direction, as the daemon sees it")
	quiet := cmd.Flags().BoolP("quiet", "q", false, "do not say how far it is")
	cmd.Args = cobra.ExactArgs(1)
	cmd.ValidArgsFunction = completeCalls(client)
	_ = cmd.MarkFlagRequired("write")                                  // exists
	_ = cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions( // exists
		[]cobra.Completion{cli.OnlyReceived, cli.OnlySent}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.Duration < 0 || o.SnapLen < 0 {
			return errors.New("--duration and --snaplen must not be negative")
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		stream, err := client().Capture(args[0], o)
		if err != nil {
			return err
		}
		report, err := writeCapture(ctx, stop, stream, *file, cmd, *quiet)
		if err = errors.Join(err, stream.Close()); err != nil || report == nil {
			return err
		}
		if !*asJSON {
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), capturedText(report))
			return err
		}
		if *file == "-" {
			return printJSON(cmd.ErrOrStderr(), report)
		}
		return printJSON(cmd.OutOrStdout(), report)
	}
	return cmd
}

// writeCapture writes a capture until it ends. When ctx ends, so does the capture, and a further signal ends the program.
func writeCapture(ctx context.Context, again func(), s *cli.CaptureStream, name string, cmd *cobra.Command, quiet bool) (*cli.Captured, error) {
	out := cmd.OutOrStdout()
	if name != "-" {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it is what people say
		if err != nil {
			return nil, err
		}
		defer file.Close() // after it has been synced below
		out = file
	} else if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, errors.New("the file would go to the terminal: pipe it into a program, or name one with -w")
	}
	defer context.AfterFunc(ctx, func() {
		s.Stop()
		again()
	})()
	ended := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		showCapture(s, cmd.ErrOrStderr(), quiet, ended)
	}()
	_, err := io.Copy(out, s)
	close(ended)
	<-shown
	if err != nil {
		packets, _ := s.Packets()
		return nil, fmt.Errorf("%w; %d packets were written", err, packets)
	}
	if file, ok := out.(*os.File); ok && name != "-" {
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
	return s.Report()
}

// showCapture says how far a capture is, on a terminal again and again.
func showCapture(s *cli.CaptureStream, out io.Writer, quiet bool, ended <-chan struct{}) {
	f, ok := out.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		<-ended
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for began := time.Now(); ; {
		packets, bytes := s.Packets()
		fmt.Fprintf(out, "\r%d packets, %d kB, %s; Ctrl-C ends it \x1b[K", packets, bytes/1000, time.Since(began).Round(time.Second))
		select {
		case <-ended:
			fmt.Fprint(out, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

func capturedText(c *cli.Captured) string {
	text := fmt.Sprintf("%d packets in %s; %s", c.Packets, time.Duration(c.Seconds*float64(time.Second)).Round(100*time.Millisecond), c.Ended)
	if c.DroppedQueue > 0 {
		text += fmt.Sprintf("; %d are missing, as they were not written in time", c.DroppedQueue)
	}
	if c.DroppedKernel > 0 {
		text += fmt.Sprintf("; %d are missing, as the kernel had no room for copies", c.DroppedKernel)
	}
	return text
}
