package daemon

import (
	"context"
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

const (
	// statusInterval is how often the service manager is told what there is to say, if it does not want signs of life more often.
	statusInterval = 10 * time.Second
	// closing is how long an orderly end may take beyond the deadline of the drain.
	closing = 30 * time.Second
	// patience is how long requests may be held up before GET /healthz says no. It is longer than a busy host takes for anything.
	patience = 30 * time.Second
)

// tell sends lines of sd_notify(3) to the service manager. Without one there is nobody to tell.
func (d *Daemon) tell(lines string) {
	if _, err := sd.SdNotify(false, lines); err != nil && d.untold.CompareAndSwap(false, true) {
		d.log.Warn("the service manager cannot be told anything", "err", err)
	}
}

// tellReady also ends what tellReloading has begun.
func (d *Daemon) tellReady() { d.tell(sd.SdNotifyReady + "\nSTATUS=" + d.statusLine()) }

func (d *Daemon) tellReloading() { d.tell(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec()) }

// tellStopping asks for as much time as the end may take, whatever the unit says.
func (d *Daemon) tellStopping(after time.Duration) {
	d.tell(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", sd.SdNotifyStopping, (after + closing).Microseconds(), d.statusLine()))
}

// statusLine is what "systemctl status" shows of the daemon.
func (d *Daemon) statusLine() string {
	rate := d.load.rate()
	kernel, userspace := rate.Kernel.Packets, rate.Userspace.Packets
	line := fmt.Sprintf("%d calls, %d packets/s", d.calls.Stats().Live, kernel+userspace)
	if kernel+userspace > 0 {
		line += fmt.Sprintf(", %.1f %% in the kernel", 100*float64(kernel)/float64(kernel+userspace))
	}
	if on, _ := d.calls.Draining(); on {
		line = "draining: " + line
	}
	return line
}

// watch looks again and again, until ctx ends, whether requests get through, and tells the service manager when they do. Nothing else
// does: when they are stuck there is no sign of life, and the service manager replaces this process, whose calls the next one takes over.
func (d *Daemon) watch(ctx context.Context) {
	interval, sign := statusInterval, ""
	// An error is an environment that asks for no signs of life.
	if wanted, err := sd.SdWatchdogEnabled(false); err == nil && wanted > 0 {
		interval, sign = min(interval, wanted/3), sd.SdNotifyWatchdog+"\n"
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		d.disp.Pass()
		d.passed.Store(time.Now().UnixNano())
		d.tell(sign + "STATUS=" + d.statusLine())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stuck tells whether requests have not got through for a while.
func (d *Daemon) stuck() bool {
	at := d.passed.Load()
	return at != 0 && time.Since(time.Unix(0, at)) > patience
}
