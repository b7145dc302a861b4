package call

import "github.com/weir-media/weir/sdp"

// ice takes out the candidates of the other side: they would lead around this proxy.
func (t *telling) ice() {
	t.out.ICE, t.out.Candidates, t.out.RemoteCandidates, t.out.EndOfCandidates = sdp.ICE{}, nil, nil, false
}
