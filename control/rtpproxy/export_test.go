package rtpproxy

import "time"

// Hurry shortens how long a dispatcher waits for clients, before it serves.
func Hurry(d *Dispatcher, wait time.Duration) { d.patience = patience{wait, wait} }
