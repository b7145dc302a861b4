package ng

import (
	"errors"
	"strconv"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// subscribeRequest carries out "subscribe request".
func (d *Dispatcher) subscribeRequest(req *ngproto.Request) (*ngproto.Reply, error) {
	f := &req.Flags
	sub := &call.SubscribeRequest{
		Request: *oneSided(req, nil), Sources: selection(req), Label: firstOf(req.SetLabel, req.ToLabel),
		Bidirectional: f.Bidirectional, Inactive: f.Inactive, Mix: f.Mix, RTCPMirror: f.RTCPMirror, Egress: f.Egress, Labels: f.SIPREC,
	}
	sub.Sources.SetLabel = "" // it is for the subscriber
	sub.Request.Label = ""
	if req.RTPPFlags && !f.ToTag {
		sub.ToTag = "" // it came with the SIP message and names somebody else
	}
	done, err := d.calls.Subscribe(sub)
	if err != nil {
		return nil, inWords(err, ngproto.ReasonSubscribe)
	}
	reply := ngproto.OK().Set("sdp", ngproto.String(done.SDP)).Set("to-tag", ngproto.String(done.ToTag))
	var tags []string
	for i := range done.Sources {
		tags = append(tags, done.Sources[i].Tag)
	}
	reply.Set("from-tags", ngproto.Strings(tags...))
	if len(tags) == 1 {
		reply.Set("from-tag", ngproto.String(tags[0]))
	}
	if f.SIPREC {
		describeSources(reply, done.Sources)
	}
	return reply, nil
}

// describeSources tells which label stands for which media, by party and by label.
func describeSources(reply *ngproto.Reply, sources []call.Source) {
	var parties []ngproto.Value
	var labels ngproto.Dict
	for i := range sources {
		src := &sources[i]
		var medias []ngproto.Value
		for _, m := range src.Media {
			d := ngproto.Dict{
				{Key: "index", Value: ngproto.Int(int64(m.Index + 1))}, {Key: "type", Value: ngproto.String(m.Type)},
				{Key: "label", Value: ngproto.String(m.Label)}, {Key: "mode", Value: ngproto.String(m.Mode.String())},
			}
			medias = append(medias, ngproto.Map(d))
			l := ngproto.Dict{
				{Key: "tag", Value: ngproto.String(src.Tag)}, {Key: "index", Value: ngproto.Int(int64(m.Index + 1))},
				{Key: "type", Value: ngproto.String(m.Type)}, {Key: "mode", Value: ngproto.String(m.Mode.String())},
			}
			if src.Label != "" {
				l.Set("label", ngproto.String(src.Label))
			}
			labels.Set(m.Label, ngproto.Map(l))
		}
		p := ngproto.Dict{{Key: "tag", Value: ngproto.String(src.Tag)}, {Key: "medias", Value: ngproto.List(medias...)}}
		if src.Label != "" {
			p.Set("label", ngproto.String(src.Label))
		}
		parties = append(parties, ngproto.Map(p))
	}
	reply.Set("tag-medias", ngproto.List(parties...))
	reply.Set("media-labels", ngproto.Map(labels))
}

// subscribeAnswer carries out "subscribe answer".
func (d *Dispatcher) subscribeAnswer(req *ngproto.Request) (*ngproto.Reply, error) {
	desc, err := d.sdp.Parse(req.SDP)
	if err != nil {
		return nil, err
	}
	if err := d.calls.SubscribeAnswer(oneSided(req, desc), req.Flags.AllowTranscoding); err != nil {
		return nil, inWords(err, ngproto.ReasonSubscribeAnswer)
	}
	return ngproto.OK(), nil
}

// unsubscribe carries out "unsubscribe".
func (d *Dispatcher) unsubscribe(req *ngproto.Request) (*ngproto.Reply, error) {
	u := &call.UnsubscribeRequest{CallID: req.CallID, ToTag: req.ToTag, Bidirectional: req.Flags.Bidirectional}
	if req.Flags.Directional {
		u.FromTag = req.FromTag
	}
	if err := d.calls.Unsubscribe(u); err != nil {
		return nil, inWords(err, ngproto.ReasonUnsubscribe)
	}
	return ngproto.OK(), nil
}

// oneSided says a request in which only one party takes part in the terms of the call model: both directions mean its interface.
func oneSided(req *ngproto.Request, desc *sdp.Description) *call.Request {
	r := translate(req, desc)
	name := firstOf(req.Interface, req.ToInterface, req.FromInterface)
	r.FromInterface, r.ToInterface = name, name
	return r
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

// inWords gives a reason to an error that has none of its own.
func inWords(err error, reason string) error {
	for _, row := range reasons {
		// Two of offer and answer are no reasons of other commands.
		if errors.Is(err, row.err) && row.reason != ngproto.ReasonBadDialogue && row.reason != ngproto.ReasonRewriteSDP {
			return err
		}
	}
	var known *ngproto.Error
	if errors.As(err, &known) {
		return err
	}
	return &reworded{err, reason}
}

// reworded is an error with a reason for the client. The log has the error.
type reworded struct {
	err    error
	reason string
}

func (e *reworded) Error() string { return strconv.Quote(e.reason) + ": " + e.err.Error() }
func (e *reworded) Unwrap() []error {
	return []error{e.err, &ngproto.Error{Reason: e.reason}}
}
