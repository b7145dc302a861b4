package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/internal/netrig"
)

const (
	measuredCPU = 0 // carries the generator, the proxy and the sink
	clientCPU   = 1 // carries the benchmark itself

	// The proxy runs as soon as it has work, so the loop measures its work and not the scheduler's mood.
	generatorPriority = 1
	proxyPriority     = 2

	generatorBatch = 64 // packets between two looks at the scheduler; as many as a network driver takes from its ring
)

// generator is one long test run of the generate program.
type generator struct {
	tid  chan int
	done chan error
}

// startGenerator runs prog on copies of frame in live-frame mode, inside host, until stop.
func startGenerator(host *netrig.Host, prog *ebpf.Program, frame []byte) *generator {
	g := &generator{tid: make(chan int, 1), done: make(chan error, 1)}
	go func() {
		g.done <- host.Do(func() error {
			if err := pinThread(measuredCPU, generatorPriority); err != nil {
				return err
			}
			g.tid <- unix.Gettid()
			return testRun(prog, frame)
		})
	}()
	return g
}

// stop interrupts the run and waits for its end.
func (g *generator) stop() error {
	var tid int
	select {
	case tid = <-g.tid:
	case err := <-g.done:
		return fmt.Errorf("the generator did not start: %w", err)
	}
	for {
		// The Go runtime takes an unexpected SIGURG for nothing, but the system call returns.
		if err := unix.Tgkill(unix.Getpid(), tid, unix.SIGURG); err != nil && err != unix.ESRCH {
			return fmt.Errorf("stop the generator: %w", err)
		}
		select {
		case err := <-g.done:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// testRun is BPF_PROG_TEST_RUN in live-frame mode until a signal arrives. The system call is made here because
// ebpf.Program.Run starts again after a signal, and a run has no other end than its number of repetitions.
func testRun(prog *ebpf.Program, frame []byte) error {
	attr := struct {
		progFD, retval, dataSizeIn, dataSizeOut uint32
		dataIn                                  unsafe.Pointer
		dataOut                                 uint64
		repeat, duration, ctxSizeIn, ctxSizeOut uint32
		ctxIn, ctxOut                           uint64
		flags, cpu, batchSize, _                uint32
	}{
		progFD:     uint32(prog.FD()),
		dataSizeIn: uint32(len(frame)),
		dataIn:     unsafe.Pointer(unsafe.SliceData(frame)),
		repeat:     1 << 31,
		flags:      unix.BPF_F_TEST_XDP_LIVE_FRAMES,
		batchSize:  generatorBatch,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(prog)
	switch errno {
	case unix.EINTR:
		return nil
	case 0:
		return fmt.Errorf("the generator ran out of repetitions")
	case unix.EINVAL:
		return fmt.Errorf("live-frame test run: %w (it needs Linux 5.18)", errno)
	default:
		return fmt.Errorf("live-frame test run: %w", errno)
	}
}

// pinThread puts the calling thread on one CPU, with a real-time priority unless that is zero.
func pinThread(cpu, priority int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	if priority == 0 {
		return nil
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(priority)}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("set real-time priority: %w (a control group without real-time bandwidth refuses it)", err)
	}
	return nil
}

// moveTo puts all threads of this process on one CPU; threads to come follow those that start them.
func moveTo(cpu int) error {
	if n := runtime.NumCPU(); n <= cpu {
		return fmt.Errorf("the benchmark needs %d CPUs, one for what it measures and one for itself; here are %d", cpu+1, n)
	}
	var set unix.CPUSet
	set.Set(cpu)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
	}
	return nil
}
