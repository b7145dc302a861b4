package ng

import (
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

// manipulate carries out the commands that block, silence and forward media, and those that undo it.
func (d *Dispatcher) manipulate(req *ngproto.Request) (*ngproto.Reply, error) {
	m := &call.ManipulateRequest{CallID: req.CallID, ToTag: req.ToTag, ToLabel: req.ToLabel, Flows: flows(req.All)}
	switch req.Command {
	case ngproto.BlockDTMF, ngproto.UnblockDTMF:
		m.Verb, m.On = call.VerbBlockDTMF, req.Command == ngproto.BlockDTMF
		m.DTMF = dtmfSecurity(req)
	case ngproto.BlockMedia, ngproto.UnblockMedia:
		m.Verb, m.On = call.VerbBlockMedia, req.Command == ngproto.BlockMedia
	case ngproto.SilenceMedia, ngproto.UnsilenceMedia:
		m.Verb, m.On = call.VerbSilenceMedia, req.Command == ngproto.SilenceMedia
	case ngproto.StartForwarding, ngproto.StopForwarding:
		m.Verb, m.On = call.VerbForward, req.Command == ngproto.StartForwarding
	}
	m.Selection = selection(req)
	if m.Verb != call.VerbSilenceMedia && !req.Flags.Directional {
		m.FromTag = "" // proxies send it with whatever they ask
	}
	m.FromTags = nil // not a choice of these commands
	if err := d.calls.Manipulate(m); err != nil {
		return nil, err
	}
	return ngproto.OK(), nil
}

func selection(req *ngproto.Request) call.Selection {
	return call.Selection{
		All: req.All == ngproto.AllAll, Label: req.Label, Address: req.Address, FromTag: req.FromTag, FromTags: req.FromTags,
		SetLabel: req.SetLabel,
	}
}

func flows(all ngproto.AllMode) call.Flows {
	switch all {
	case ngproto.AllOfferAnswer:
		return call.FlowsOfferAnswer
	case ngproto.AllExceptOfferAnswer:
		return call.FlowsExceptOfferAnswer
	case ngproto.AllFlows:
		return call.FlowsAll
	}
	return call.FlowsNone
}

// defaultTone is the volume of tones in dB below full scale, and their frequency in Hz, unless the request says otherwise.
const (
	defaultToneVolume    = 10
	defaultToneFrequency = 400
)

// dtmfSecurity reads what a request to block DTMF says. Without a mode, events are dropped, or if a trigger shall start that,
// not yet.
func dtmfSecurity(req *ngproto.Request) call.DTMFSecurity {
	s := call.DTMFSecurity{
		Mode: dtmfMode(req.DTMFSecurity), Digit: uint8(req.Code.Or(0)),
		Trigger: req.Trigger, TriggerEnd: req.TriggerEnd,
		TriggerMode: dtmfMode(req.DTMFSecurityTrigger), TriggerEndMode: dtmfMode(req.DTMFSecurityTriggerEnd),
		TriggerEndTime: milliseconds(req.TriggerEndTime), TriggerEndDigits: max(0, req.TriggerEndDigits.Or(0)),
		Delay:       milliseconds(req.DTMFDelay),
		Frequencies: req.Frequencies,
		Volume:      min(max(req.Volume.Or(defaultToneVolume), -req.Volume.Or(defaultToneVolume)), 63),
	}
	if s.Trigger != "" && req.DTMFSecurityTrigger == ngproto.BlockUnset {
		s.TriggerMode = call.DTMFDrop
	}
	if len(s.Frequencies) == 0 {
		s.Frequencies = []int{defaultToneFrequency}
	}
	if req.DTMFSecurity == ngproto.BlockUnset && s.Trigger == "" {
		s.Mode = call.DTMFDrop
	}
	return s
}

func dtmfMode(m ngproto.BlockMode) call.DTMFMode {
	switch m {
	case ngproto.BlockDrop:
		return call.DTMFDrop
	case ngproto.BlockSilence:
		return call.DTMFSilence
	case ngproto.BlockTone:
		return call.DTMFTone
	case ngproto.BlockRandom:
		return call.DTMFRandom
	case ngproto.BlockZero:
		return call.DTMFZero
	case ngproto.BlockReplace:
		return call.DTMFReplace
	}
	return call.DTMFPass
}

func milliseconds(n ngproto.Number) time.Duration {
	return time.Duration(max(0, n.Or(0))) * time.Millisecond
}

// offerDTMF returns what an offer or answer says about the events of its sender; nil when it does not say.
func offerDTMF(req *ngproto.Request) *call.DTMFSecurity {
	if !req.Flags.BlockDTMF {
		return nil
	}
	s := dtmfSecurity(req)
	return &s
}

func mediaEcho(e ngproto.MediaEcho) call.MediaEcho {
	switch e {
	case ngproto.EchoBlackhole:
		return call.MediaEchoBlackhole
	case ngproto.EchoForward:
		return call.MediaEchoForward
	case ngproto.EchoBackward:
		return call.MediaEchoBackward
	case ngproto.EchoBoth:
		return call.MediaEchoBoth
	}
	return call.MediaEchoKeep
}

func dropTraffic(d ngproto.DropTraffic) *bool {
	if d == ngproto.DropUnset {
		return nil
	}
	drop := d == ngproto.DropStart
	return &drop
}
