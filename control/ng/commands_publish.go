package ng

import (
	"errors"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// publish carries out "publish".
func (d *Dispatcher) publish(req *ngproto.Request) (*ngproto.Reply, error) {
	desc, err := d.sdp.Parse(req.SDP)
	if err != nil {
		return nil, err
	}
	if req.Flags.LoopProtect && d.calls.Looped(desc) {
		return ngproto.OK().Set("sdp", ngproto.String(req.SDP)), nil
	}
	made, err := d.calls.Publish(&call.PublishRequest{
		Request: *oneSided(req, desc), Bidirectional: req.Flags.Bidirectional,
	})
	if err != nil {
		return nil, inWords(err, ngproto.ReasonCreateSDP)
	}
	return published(made), nil
}

func published(made *call.Published) *ngproto.Reply {
	return ngproto.OK().Set("call-id", ngproto.String(made.CallID)).Set("from-tag", ngproto.String(made.Tag)).
		Set("sdp", ngproto.String(made.SDP))
}

// create carries out "create".
func (d *Dispatcher) create(req *ngproto.Request) (*ngproto.Reply, error) {
	c := &call.CreateRequest{Request: *oneSided(req, nil)}
	for i := range req.Medias {
		m := &req.Medias[i]
		c.Media = append(c.Media, call.CreateMedia{Type: m.Type, Codecs: codecSpecs(m.Codecs)})
	}
	made, err := d.calls.Create(c)
	switch {
	case errors.Is(err, call.ErrRewrite):
		return nil, &reworded{err, ngproto.ReasonCreateNoSDP}
	case err != nil:
		return nil, &reworded{err, ngproto.ReasonCreate}
	}
	return published(made), nil
}

// createAnswer carries out "create answer".
func (d *Dispatcher) createAnswer(req *ngproto.Request) (*ngproto.Reply, error) {
	desc, err := d.sdp.Parse(req.SDP)
	if err != nil {
		return nil, err
	}
	switch err := d.calls.CreateAnswer(oneSided(req, desc)); {
	case errors.Is(err, call.ErrNoSource):
		return nil, &reworded{err, ngproto.ReasonCreateFromTag}
	case err != nil:
		return nil, inWords(err, ngproto.ReasonCreateAnswer)
	}
	return ngproto.OK(), nil
}

// transformed reads one side of a conversion.
func transformed(f *ngproto.TransformFormat) sdp.Codec {
	return sdp.Codec{
		PayloadType: uint8(max(0, f.PayloadType)), Name: f.Codec, ClockRate: uint32(f.ClockRate), Channels: uint8(max(1, min(f.Channels, 255))),
		Params: f.Format,
	}
}

// transform carries out "transform".
func (d *Dispatcher) transform(req *ngproto.Request) (*ngproto.Reply, error) {
	if req.Instance == d.calls.Instance() {
		return nil, &ngproto.Error{Reason: ngproto.ReasonTransformLoop}
	}
	t := &call.TransformRequest{
		CallID: req.CallID, Tag: req.FromTag, Interface: firstOf(req.Interface, req.ToInterface, req.FromInterface),
	}
	for i := range req.Medias {
		spec := &req.Medias[i]
		m := call.TransformMedia{Type: spec.Type, Destination: spec.Destination}
		for j := range spec.Transforms {
			c := &spec.Transforms[j]
			m.Codecs = append(m.Codecs, call.CodecPair{From: transformed(&c.Input), To: transformed(&c.Output)})
		}
		t.Media = append(t.Media, m)
	}
	made, err := d.calls.Transform(t)
	if err != nil {
		return nil, &reworded{err, ngproto.ReasonTransform}
	}
	var medias []ngproto.Value
	for i, port := range made.Ports {
		family := "IP4"
		if !port.Addr().Is4() {
			family = "IP6"
		}
		m := ngproto.Dict{
			{Key: "family", Value: ngproto.String(family)}, {Key: "address", Value: ngproto.String(port.Addr().String())},
			{Key: "port", Value: ngproto.Int(int64(port.Port()))},
		}
		if id := req.Medias[i].ID; id != "" {
			m.Set("id", ngproto.String(id))
		}
		medias = append(medias, ngproto.Map(m))
	}
	return ngproto.OK().Set("call-id", ngproto.String(made.CallID)).Set("from-tag", ngproto.String(made.Tag)).
		Set("media", ngproto.List(medias...)), nil
}
