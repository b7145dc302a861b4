package ng

import (
	"errors"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

// connect carries out "connect".
func (d *Dispatcher) connect(req *ngproto.Request) (*ngproto.Reply, error) {
	err := d.calls.Connect(&call.ConnectRequest{
		CallID: req.CallID, Sources: selection(req), ToTag: req.ToTag, ToCallID: req.ToCallID,
		Directional: req.Flags.Directional, Bidirectional: req.Flags.Bidirectional,
	})
	return done(err, wording{call.ErrMerge, ngproto.ReasonMergeConnect})
}

// mesh carries out "mesh".
func (d *Dispatcher) mesh(req *ngproto.Request) (*ngproto.Reply, error) {
	m := &call.MeshRequest{CallIDs: req.Calls, Unsubscribe: req.Flags.Unsubscribe, Bidirectional: req.Flags.Bidirectional}
	for _, t := range req.Tags {
		if t.From == "" {
			return nil, &ngproto.Error{Reason: ngproto.ReasonMeshNoFromTag}
		}
		m.Flows = append(m.Flows, call.MeshFlow{From: t.From, To: t.To})
	}
	return done(d.calls.Mesh(m), wording{call.ErrMerge, ngproto.ReasonMergeMesh},
		wording{call.ErrNoSource, ngproto.ReasonMeshFromTag}, wording{call.ErrNoHearer, ngproto.ReasonMeshToTag})
}

// inject carries out "inject start" and "inject stop".
func (d *Dispatcher) inject(req *ngproto.Request) (*ngproto.Reply, error) {
	i := &call.InjectRequest{
		CallID: req.CallID, ToTag: req.ToTag, SourceCallID: req.SourceCallID, SourceTag: req.SourceTag,
		Stop: req.Command == ngproto.InjectStop,
	}
	none := ngproto.ReasonInjectStart
	if i.Stop {
		none = ngproto.ReasonInjectStop
	}
	return done(d.calls.Inject(i), wording{call.ErrMerge, ngproto.ReasonMergeInject},
		wording{call.ErrNoSource, ngproto.ReasonSourceTagUnknown}, wording{call.ErrSelf, ngproto.ReasonInjectSelf},
		wording{call.ErrNoMedia, none})
}

// wording is what a command says of an error where others say something else.
type wording struct {
	err    error
	reason string
}

// done returns the reply of a command that has nothing to tell but whether it succeeded.
func done(err error, words ...wording) (*ngproto.Reply, error) {
	if err == nil {
		return ngproto.OK(), nil
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return nil, &reworded{err, w.reason}
		}
	}
	return nil, err
}
