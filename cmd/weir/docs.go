package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/weir-media/weir/daemon"
)

// docsCommand writes what is made from the program into its source tree, for those who build it.
func docsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs DIRECTORY",
		Short:  "Write the generated pages of the documentation again",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := pages()
			if err != nil {
				return err
			}
			for name, text := range all {
				path := filepath.Join(args[0], name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					return fmt.Errorf("write a page of the documentation: %w", err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			return nil
		},
	}
}

// manual is where the man pages are in the source tree.
const manual = "packaging/man"

// pages are the generated files by their path in the source tree.
func pages() (map[string]string, error) {
	all := map[string]string{"docs/metrics.md": daemon.MetricsPage(), "docs/options.md": daemon.OptionsPage()}
	for _, called := range []string{"weir", "rtpengine-ctl"} {
		if err := manPages(root(called), all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// manPages adds the pages of a command and of those below it.
func manPages(cmd *cobra.Command, all map[string]string) error {
	cmd.DisableAutoGenTag = true
	cmd.InitDefaultHelpFlag()
	// The date is that of the form of the pages, so that they are the same whenever they are made.
	date := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	var b bytes.Buffer
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Date: &date, Source: "Weir", Manual: "Weir"}
	if err := doc.GenMan(cmd, header, &b); err != nil {
		return fmt.Errorf("make the man page of %s: %w", name, err)
	}
	all[filepath.Join(manual, name+".1")] = strings.TrimRight(b.String(), "\n") + "\n"
	for _, below := range cmd.Commands() {
		if !below.IsAvailableCommand() || below.IsAdditionalHelpTopicCommand() || below.Name() == "completion" {
			continue
		}
		if err := manPages(below, all); err != nil {
			return err
		}
	}
	return nil
}
