package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/weir-media/weir/internal/netrig"
)

// process is a program that runs on a host, with what it says in a file.
type process struct {
	name  string
	log   string // path
	cmd   *exec.Cmd
	ended chan struct{} // closed with its end
}

// start starts cmd on a host, in a process group of its own. What it says goes to dir, in a file of that name; standard output
// only if it goes nowhere else.
func start(host *netrig.Host, dir, name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), cmd: cmd, ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if cmd.Stderr = log; cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := host.Start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	return p, nil
}

// conversation is a pair of pipes to and from a program.
type conversation struct {
	out, in *os.File // our ends
	its     [2]*os.File
}

// newConversation makes the pipes. What the program reads from and writes to is in its.
func newConversation() (c conversation, err error) {
	if c.its[0], c.out, err = os.Pipe(); err != nil {
		return c, err
	}
	if c.in, c.its[1], err = os.Pipe(); err != nil {
		err = errors.Join(err, c.out.Close(), c.its[0].Close())
	}
	return c, err
}

// begun gives up the program's ends, once it has been started or could not be.
func (c *conversation) begun() error { return errors.Join(c.its[0].Close(), c.its[1].Close()) }

// end closes ours.
func (c *conversation) end() error { return errors.Join(c.out.Close(), c.in.Close()) }

// await waits until ready returns nil.
func (p *process) await(what string, ready func() error) error {
	err := await(patience, p.name+" "+what, func() error {
		select {
		case <-p.ended:
			return nil // to give up at once
		default:
			return ready()
		}
	})
	select {
	case <-p.ended:
		err = errors.New("ended: " + p.cmd.ProcessState.String())
	default:
	}
	if err != nil {
		err = fmt.Errorf("%s: %w; the end of its log:\n%s", p.name, err, p.tail(20))
	}
	return err
}

// tail is the end of the log. Lines that say the same as the one before are left out.
func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := slices.Compact(strings.Split(strings.TrimSpace(string(text)), "\n"))
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// says tells whether the log contains a text.
func (p *process) says(text string) bool {
	log, err := os.ReadFile(p.log)
	return err == nil && strings.Contains(string(log), text)
}

// Close asks the program to end, and kills it and what it has started when it takes long.
func (p *process) Close() error {
	group := -p.cmd.Process.Pid
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
	}
	if err := syscall.Kill(group, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	<-p.ended
	return nil
}
