package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

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
			for name, text := range pages() {
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

// pages are the generated files by their path in the source tree.
func pages() map[string]string {
	return map[string]string{"docs/metrics.md": daemon.MetricsPage(), "docs/options.md": daemon.OptionsPage()}
}
