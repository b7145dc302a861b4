package ng

import (
	"fmt"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

// record judges the commands that start, stop and pause recording. There is nothing yet that could carry them out.
func (d *Dispatcher) record(req *ngproto.Request) (*ngproto.Reply, error) {
	if _, err := d.calls.Parties(req.CallID, call.Selection{}); err != nil {
		return nil, err
	}
	return nil, &ngproto.Error{Reason: ngproto.ReasonNoHandler}
}

// play judges the commands that play media and events. There is nothing yet that could carry them out.
func (d *Dispatcher) play(req *ngproto.Request) (*ngproto.Reply, error) {
	sel := selection(req)
	sel.FromTags = nil // not a choice of these commands
	parties, err := d.calls.Parties(req.CallID, sel)
	src := req.Source
	switch {
	case err != nil:
		return nil, err
	case !sel.All && parties == 0:
		return nil, &ngproto.Error{Reason: ngproto.ReasonNoParty}
	case req.Command == ngproto.PlayMedia && src.File == "" && src.Blob == "" && !src.DBID.Set:
		return nil, &ngproto.Error{Reason: ngproto.ReasonNoMediaFile}
	case req.Command == ngproto.PlayDTMF && !req.Code.Set:
		return nil, &ngproto.Error{Reason: ngproto.ReasonDTMFCode}
	}
	return nil, &reworded{fmt.Errorf("%q needs codecs, which this build does not have", req.Command), ngproto.ReasonUnsupported}
}

// report carries out "statistics".
func (d *Dispatcher) report(*ngproto.Request) (*ngproto.Reply, error) {
	var tree ngproto.Dict
	if d.statistics != nil {
		tree = d.statistics()
	}
	return ngproto.OK().Set("statistics", ngproto.Map(tree)), nil
}

// commandLine carries out "cli".
func (d *Dispatcher) commandLine(req *ngproto.Request) (*ngproto.Reply, error) {
	if d.cli == nil {
		return nil, &ngproto.Error{Reason: ngproto.ReasonNoHandler}
	}
	return ngproto.OK().Set("response", ngproto.String(d.CommandLine(req.Body))), nil
}
